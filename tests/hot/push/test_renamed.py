"""Refs that are neither branches nor tags, and remotes that give them another name (the proc-receive hook)."""

from __future__ import annotations

import sys

import pytest

from tests.support.scenes import Scene, script
from tests.support.twin import Twin

# A remote that takes refs/for/<branch> as a review: it says where, once or twice, or that it does not want it.
_REVIEWS = """#!{python} -I
import subprocess, sys
def line():
    size = int(sys.stdin.buffer.read(4), 16)
    return sys.stdin.buffer.read(size - 4).decode().rstrip("\\n") if size else None
def say(*lines):
    for one in lines:
        sys.stdout.buffer.write(b"%04x%s\\n" % (len(one) + 5, one.encode()))
    sys.stdout.buffer.write(b"0000")
    sys.stdout.buffer.flush()
line(), line()
say("version=1")
commands = []
while (command := line()) is not None:
    commands.append(command.split(" "))
answers = []
for number, (old, new, ref) in enumerate(commands):
    if ref.endswith("/closed"):
        answers.append(f"ng {{ref}} no more reviews")
        continue
    if ref.endswith("/itself"):  # and beside that another
        answers += [f"ok {{ref}}", f"option new-oid {{new}}", "option old-oid " + "1" * 40]
    names = [f"refs/changes/{{number}}/{{n}}" for n in ((1, 2) if ref.endswith("/twice") else (1,))]
    for name in names:
        subprocess.run(["git", "update-ref", name, new], check=True)
        answers += [f"ok {{ref}}", f"option refname {{name}}", f"option new-oid {{new}}"]
        if ref.endswith("/forced"):
            answers += ["option old-oid " + "1" * 40, "option forced-update"]
say(*answers)
"""


@pytest.fixture
def twin(scene: Scene) -> Twin:
    found = Twin(scene)
    found.there("config", "receive.procReceiveRefs", "refs/for")
    for bare in (scene.bare, found.bare):
        hook = bare.top / "hooks" / "proc-receive"
        hook.write_text(_REVIEWS.format(python=sys.executable))
        hook.chmod(0o755)
    for place in found.both:
        place.commit("a")
    return found


def test_h8_a_ref_that_the_remote_renames_is_pushed(twin: Twin) -> None:
    done = twin.same("origin", "HEAD:refs/for/main")
    assert done.code == 0
    assert twin.scene.there("refs/changes/0/1") == twin.oid("HEAD")


@pytest.mark.parametrize("way", ["hooked", "off"])
@pytest.mark.parametrize("options", [[], ["--porcelain"], ["--atomic"]], ids=" ".join)
def test_h8_several_refs_of_which_some_are_renamed(twin: Twin, options: list[str], way: str) -> None:
    refs = ("refs/for/main", "refs/for/twice", "refs/for/forced", "refs/notes/x", "refs/heads/other")
    done = twin.same(*options, "origin", *(f"HEAD:{ref}" for ref in refs), words=False, UAM=way)
    assert done.code == 0
    for number in range(3):
        assert f"refs/changes/{number}/1" in done.out + done.err


@pytest.mark.parametrize("way", ["hooked", "off"])
def test_h8_a_ref_that_keeps_its_name_and_gets_another(twin: Twin, way: str) -> None:
    """git's own t5411.143."""
    assert twin.same("origin", "HEAD:refs/for/itself", UAM=way).code == 0


@pytest.mark.parametrize("way", ["hooked", "off"])
def test_h8_what_the_remote_does_not_want_is_refused_in_its_words(twin: Twin, way: str) -> None:
    refs = ("refs/for/closed", "refs/for/main", "refs/heads/other")
    done = twin.same("origin", *(f"HEAD:{ref}" for ref in refs), words=False, UAM=way)
    assert done.code == 1
    assert " ! [remote rejected] HEAD -> refs/for/closed (no more reviews)" in done.err


def test_h8_a_branch_beside_it_is_integrated_all_the_same(twin: Twin) -> None:
    twin.stranger("theirs", "origin", "HEAD:main")
    scene = twin.scene
    done = scene.push("origin", "HEAD:refs/for/main", "main:main")
    assert done.code == 0
    assert scene.landed() == ["Add theirs", "Add a"]
    assert scene.there("refs/changes/0/1")


def test_h8_without_us_it_is_the_same(twin: Twin) -> None:
    assert twin.same("origin", "HEAD:refs/for/main", UAM="off").code == 0
    assert twin.same("origin", "HEAD:refs/for/twice", UAM="off").code == 0
    assert twin.same("origin", "HEAD:refs/for/forced", UAM="off").code == 0


def test_h8_hooks_of_the_remote_are_told_as_a_whole_of_what_nothing_is_integrated_in(twin: Twin) -> None:
    """git's own t5411.9 and .23."""
    for place in (twin.scene.bare, twin.bare):
        script(place.top / "hooks" / "pre-receive", "wc -l\n")
    done = twin.same("origin", "HEAD:refs/for/main", "HEAD:refs/heads/new", "+HEAD:refs/heads/other")
    assert [line.split() for line in done.err.splitlines() if line.startswith("remote: ")] == [["remote:", "3"]]


def test_h8_a_branch_that_the_remote_gives_another_name(twin: Twin) -> None:
    """git's own t5411.175: what is pushed to main becomes a review, and main stays."""
    twin.scene.git("config", "uam.squash", "false")
    twin.there("config", "--add", "receive.procReceiveRefs", "refs/heads/main")
    assert twin.same("origin", "main").code == 0
    scene = twin.scene
    assert scene.there("refs/changes/0/1") == scene.oid("main")
    assert scene.there() == scene.oid("refs/remotes/origin/main") == scene.start_oid
    for place in twin.both:
        place.commit("b")
    done = twin.same("origin", "main", "HEAD:refs/heads/other")
    assert (done.code, done.ours) == (0, [])
    assert scene.there("refs/changes/0/1") == scene.oid("main")
    assert scene.pushed() == ["completed"] * 3
    scene.idle()
    assert scene.status() == ["## main...origin/main [ahead 2]"]
