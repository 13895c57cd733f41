"""What a gate finds in its slot is what a fresh checkout of the tested commit has, whatever was there before."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.test_flow_submodules import Super
from tests.support.commands import call
from tests.support.scenes import Scene, alive, script, unprivileged, until

pytestmark = pytest.mark.slow

# A gate that keeps a copy of its tree, and then leaves a mess: files changed (of the same length, and put back in
# time), their modes, files gone, strangers where files are, and what is ignored.
MESSY = """rm -rf SEEN; cp -a . SEEN
if test -f same.txt; then echo evil >same.txt; touch -r run.sh same.txt; fi
chmod -x run.sh 2>/dev/null; chmod +x same.txt
rm -rf turn link gone.txt; mkdir turn; echo x >turn/cache; ln -s nowhere gone.txt
mkdir -p untracked/deep build link; git init -q nested; echo x >untracked/deep/x; echo x >build/out; echo x >link/cache
git update-index --assume-unchanged same.txt; git update-index --skip-worktree run.sh
exit 0
"""


def contents(top: Path) -> dict[str, tuple[str, object]]:
    """Everything below a directory: files with what is in them, and what may be executed; links with where they go."""
    found: dict[str, tuple[str, object]] = {}
    for place, folders, files in os.walk(top):
        for name in folders + files:
            path = Path(place, name)
            key = str(path.relative_to(top))
            if key == ".git" or key.endswith("/.git"):
                continue
            if path.is_symlink():
                found[key] = "link", str(path.readlink())
            elif path.is_dir():
                found[key] = "directory", None
            else:
                found[key] = "executable" if os.access(path, os.X_OK) else "file", path.read_bytes()
        folders[:] = [name for name in folders if name != ".git"]
    return found


@pytest.fixture
def messy(scene: Scene) -> Scene:
    """A repository with a gate that copies what it sees to `seen`, and leaves a mess."""
    path = script(scene.root / "gate", MESSY.replace("SEEN", str(scene.root / "seen")))
    scene.git("config", "uam.gate.tests.command", str(path))
    return scene


def seen(scene: Scene, commit: str) -> dict[str, tuple[str, object]]:
    """What the gate finds when it runs on a commit."""
    done = call(scene, "gate", "run", commit)
    assert done.code == 0, done
    return contents(scene.root / "seen")


def fresh(scene: Scene, commit: str) -> dict[str, tuple[str, object]]:
    """What a new checkout of a commit has."""
    place = scene.root / "fresh"
    scene.git("worktree", "add", "-q", "--detach", "--force", str(place), commit)
    try:
        return contents(place)
    finally:
        scene.git("worktree", "remove", "--force", "--force", str(place))


def tracked(found: dict[str, tuple[str, object]]) -> dict[str, tuple[str, object]]:
    """Without what git ignores here."""
    return {name: what for name, what in found.items() if not {"build", "cache"} & set(name.split("/"))}


def states(scene: Scene) -> list[str]:
    """Four commits between which files change their kind, their mode, only their attributes, or not at all."""
    top = scene.top
    scene.git("config", "filter.loud.clean", "tr A-Z a-z")
    scene.git("config", "filter.loud.smudge", "tr a-z A-Z")
    (top / ".gitignore").write_text("build\ncache\n")
    (top / ".gitattributes").write_text("*.loud filter=loud\n*.wide working-tree-encoding=UTF-16LE-BOM\n")
    for name in ("same.txt", "gone.txt", "a.loud", "b.wide"):
        (top / name).write_text("here\n")
    (top / "b.wide").write_text("wide\n", encoding="utf-16")
    script(top / "run.sh", "exit 0\n")
    (top / "turn").write_text("a file\n")
    (top / "link").symlink_to("same.txt")
    commits = [committed(scene, "One")]
    (top / ".gitattributes").write_text("*.txt eol=crlf\n*.wide working-tree-encoding=UTF-16LE-BOM\n")
    (top / "turn").unlink()
    (top / "turn").mkdir()
    (top / "turn" / "inner").write_text("in a directory\n")
    (top / "run.sh").chmod(0o644)
    (top / "link").unlink()
    (top / "link").write_text("a link no more\n")
    commits.append(committed(scene, "Two"))
    (top / ".gitattributes").unlink()
    (top / "link").unlink()
    (top / "link").mkdir()
    (top / "link" / "file").write_text("in a directory\n")
    shutil.rmtree(top / "turn")
    (top / "turn").symlink_to("link")
    scene.git("rm", "-q", "gone.txt")
    (top / "more").write_text("more\n")
    commits.append(committed(scene, "Three"))
    (top / "more").unlink()
    return [*commits, committed(scene, "Four")]


def committed(scene: Scene, subject: str) -> str:
    scene.git("add", "--all")
    scene.git("commit", "-q", "-m", subject)
    return scene.oid("HEAD")


def test_a_slot_has_what_a_fresh_checkout_has_from_whatever_commit_it_comes(messy: Scene) -> None:
    commits = states(messy)
    expected = {commit: fresh(messy, commit) for commit in commits}
    one, two, *_ = commits
    assert expected[one]["a.loud"] == ("file", b"HERE\n")
    assert expected[two]["same.txt"] == ("file", b"here\r\n")
    assert expected[one]["b.wide"][1] == b"\xff\xfe" + "wide\n".encode("utf-16-le")
    for number in (0, 0, 1, 0, 2, 3, 2, 1, 3, 0):
        commit = commits[number]
        found = seen(messy, commit)
        assert tracked(found) == expected[commit]
    # what is ignored stays: that is what a slot is warm for
    assert found["build/out"] == ("file", b"x\n")


@pytest.fixture
def above(tmp_path: Path, templates: dict[str, Scene]) -> Iterator[Super]:
    """A repository with the submodules `sub`, in which there is `inner`, and `idle`, which nobody has initialised."""
    found = Super(tmp_path, templates["wired"])
    for name in ("inner", "idle"):
        found.outside.git("clone", "-q", "--bare", "sub.git", f"{name}.git")
    found.sub.git("submodule", "add", "-q", "../inner.git", "inner")
    found.sub.commit("s1")
    found.sub.git("push", "-q", "origin", "HEAD:main", UAM="off")
    found.git("submodule", "add", "-q", str(tmp_path / "idle.git"), "idle")
    found.git("submodule", "deinit", "-q", "--force", "idle")
    yield found
    found.close()


def test_submodules_are_at_the_commits_of_the_tested_tree(above: Super) -> None:
    """What is initialised here is there, with all that is in it; it goes along, and a mess in it is put right."""
    mess = "rm -rf SEEN; cp -a . SEEN\nif test -e sub/s1; then echo x >sub/s0; rm -r sub/inner; touch sub/new; fi\n"
    gate = script(above.root / "gate", mess.replace("SEEN", str(above.root / "seen")))
    above.git("config", "uam.gate.tests.command", str(gate))
    before = above.oid("HEAD")
    above.name_it()
    assert above.push().code == 0
    first = contents(above.root / "seen")
    assert first["sub/s0"] == first["sub/inner/s0"] == ("file", b"s0\n")
    assert {name for name in first if name.startswith("idle")} == {"idle"}
    above.sub.commit("s2")
    above.sub.git("push", "-q", "origin", "HEAD:main", UAM="off")
    above.name_it()
    assert above.push().code == 0
    assert contents(above.root / "seen") == first | {"sub/s2": ("file", b"s2\n")}
    assert call(above, "gate", "run", before).code == 0  # one without the submodules in it
    assert {name for name in contents(above.root / "seen") if "/" in name} == {"sub/s0"}
    assert call(above, "gate", "run", above.start_oid).code == 0
    assert set(contents(above.root / "seen")) == {"README"}
    # nothing of that is seen where people work
    assert above.git("config", "--get-regexp", r"^submodule\..*\.url").split()[::2] == ["submodule.sub.url"]
    assert above.status() == ["## main...origin/main"]
    above.git("uam", "uninstall")
    assert len(above.git("worktree", "list").splitlines()) == 1


@pytest.mark.skipif(shutil.which("git-lfs") is None, reason="git-lfs is not installed here")
def test_files_of_git_lfs_are_there_themselves(messy: Scene) -> None:
    messy.git("lfs", "install", "--local", "--skip-repo")
    messy.git("lfs", "track", "*.bin")
    data = os.urandom(2000)
    (messy.top / "a.bin").write_bytes(data)
    commit = committed(messy, "Add a large file")
    assert b"git-lfs" in messy.git("show", f"{commit}:a.bin").encode()
    for one in (commit, f"{commit}^", commit):
        found = seen(messy, messy.oid(one))
        assert ("a.bin" in found) == (one == commit)
    assert found["a.bin"] == ("file", data)


def test_a_slot_that_nobody_may_write_in_is_made_anew(messy: Scene) -> None:
    (messy.top / "gate.setup").write_text("x\n")
    commit = committed(messy, "Begin")
    path = script(messy.root / "gate", "test -e gate.setup || exit 1\nmkdir -p a/b; echo x >a/b/c; chmod 555 a/b a .\n")
    messy.git("config", "uam.gate.tests.command", str(path))
    for _again in range(2):
        done = messy.execute(*unprivileged(), "git", "uam", "gate", "run", commit)
        assert done.code == 0, done


def test_what_a_gate_leaves_running_ends_with_it(messy: Scene) -> None:
    pid = messy.root / "pid"
    path = script(messy.root / "gate", f"(trap '' TERM; while :; do sleep 60; done) & echo $! >{pid}\n")
    messy.git("config", "uam.gate.tests.command", str(path))
    assert call(messy, "gate", "run", "HEAD").code == 0
    until(lambda: not alive(int(pid.read_text())), "the end of what a gate has started")
