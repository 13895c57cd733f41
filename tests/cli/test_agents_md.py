"""What agents are told of git uam, in the files that they read."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from tests.support.commands import call, facts, refused, said
from tests.support.scenes import Scene
from uam_hooks.install.advice import BEGIN, END, TEXT

BLOCK = f"{BEGIN}\n{TEXT}{END}\n"


def test_it_is_printed(stocked: Scene) -> None:
    assert said(stocked, "agents-md") == TEXT.rstrip("\n")
    assert not (stocked.top / "AGENTS.md").exists()


def test_the_guide_shows_it() -> None:
    guide = Path(__file__).parents[2] / "docs" / "guide.md"
    assert f"```\n{TEXT}```\n" in guide.read_text()


def test_the_commands_that_it_names_exist(stocked: Scene) -> None:
    named = {line.split("`")[0].split()[0] for line in TEXT.split("`git uam ")[1:]}
    assert named == {"wait", "show", "sync", "log", "status"}
    for name in named:
        assert call(stocked, name, "--help").code == 0


def test_it_is_kept_up_to_date_between_its_markers(stocked: Scene) -> None:
    file = stocked.top / "AGENTS.md"
    assert said(stocked, "agents-md", "--write") == "AGENTS.md: the paragraph was added"
    assert file.read_text() == BLOCK
    assert said(stocked, "agents-md", "--write") == "AGENTS.md: is up to date"
    file.write_text(f"# Ours\n\n{BEGIN[:20]} of before -->\nold\n{END}\nand more\n")
    file.chmod(0o600)
    assert facts(stocked, "agents-md", "--write") == {"text": TEXT, "files": {"AGENTS.md": "updated"}}
    assert file.read_text() == f"# Ours\n\n{BLOCK}and more\n"
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_is_there_stays(stocked: Scene) -> None:
    """Every byte, and the ends of lines; a file and a link to it are one."""
    (stocked.top / "CLAUDE.md").write_bytes(b"# Caf\xe9\r\n\r\nno end")
    (stocked.top / "AGENTS.md").symlink_to("CLAUDE.md")
    assert facts(stocked, "agents-md", "--write")["files"] == {"AGENTS.md": "added", "CLAUDE.md": "added"}
    expected = b"# Caf\xe9\r\n\r\nno end\r\n\r\n" + BLOCK.encode().replace(b"\n", b"\r\n")
    assert (stocked.top / "CLAUDE.md").read_bytes() == expected
    assert (stocked.top / "AGENTS.md").is_symlink()
    assert facts(stocked, "agents-md", "--write")["files"] == {"AGENTS.md": "current", "CLAUDE.md": "current"}


@pytest.mark.parametrize("text", [BEGIN, END, f"{END}\n{BEGIN}\n", BLOCK * 2])
def test_markers_that_do_not_pair_are_left_alone(stocked: Scene, text: str) -> None:
    (stocked.top / "AGENTS.md").write_text("mine\n")
    (stocked.top / "CLAUDE.md").write_text(text)
    refused(call(stocked, "agents-md", "--write"), 4, "The markers of git uam in CLAUDE.md do not pair.")
    assert (stocked.top / "CLAUDE.md").read_text() == text
    assert (stocked.top / "AGENTS.md").read_text() == "mine\n"


@pytest.mark.parametrize("where", ["../victim", ".git/config", "gone/AGENTS.md", ".", "AGENTS.md"])
def test_nothing_is_written_outside_of_the_worktree(stocked: Scene, where: str) -> None:
    """A tree that somebody has pushed may hold any link."""
    victim = stocked.root / "victim"
    victim.write_text("mine\n")
    config = (stocked.top / ".git" / "config").read_bytes()
    (stocked.top / "AGENTS.md").symlink_to(where)
    refused(call(stocked, "agents-md", "--write"), 4, "AGENTS.md is not a file of this worktree.")
    assert victim.read_text() == "mine\n"
    assert (stocked.top / ".git" / "config").read_bytes() == config


def test_a_disk_that_is_full_leaves_what_was_there(stocked: Scene) -> None:
    file = stocked.top / "AGENTS.md"
    file.write_text("mine\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 8, hard))
    try:
        refused(call(stocked, "agents-md", "--write"), 1, "The paragraph could not be put into", "File too large")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert file.read_text() == "mine\n"
    assert not list(stocked.top.glob(".uam-*"))


def test_it_is_the_worktree_that_counts(stocked: Scene) -> None:
    """Not the directory in it that somebody stands in; a bare repository has none."""
    sub = stocked.top / "sub"
    sub.mkdir()
    assert call(stocked, "agents-md", "--write", at=sub).code == 0
    assert (stocked.top / "AGENTS.md").exists() and list(sub.iterdir()) == []
    bare = call(stocked, "agents-md", "--write", at=stocked.remote)
    refused(bare, 4, "There is no worktree here to write into.")
