"""A branch moves at one place, and never away from its own work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.scenes import Scene
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import GitFailed
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.worktree.branches import checked
from uam_hooks.hot.worktree.landed import Landed
from uam_hooks.hot.worktree.settle import advance, bring_over, settle

MAIN = "refs/heads/main"
PACKAGE = Path(__file__).resolve().parents[2] / "uam_hooks"


def test_refs_are_written_in_few_places_and_branches_in_one() -> None:
    writers = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if re.search(r"\bupdate-ref\b|run\(\s*\"(branch|reset|checkout|switch)\"", path.read_text())
        and path.parent.name != "demo"
    }
    # the repository moves no branch that exists, the intake pins; others name a command for refs/uam/
    named = {"install/install.py", "doctor/refs.py"}
    assert writers == {"hot/worktree/branches.py", "git/repo.py", "hot/push/intake.py", *named}
    makers = {p.name for p in PACKAGE.rglob("*.py") if "BranchMove(" in p.read_text()}
    assert makers == {"branches.py"}


def test_the_repository_moves_no_branch_that_exists(scene: Scene) -> None:
    with Repository(scene.top / ".git") as repo, pytest.raises(ValueError, match="is a branch"):
        repo.move_refs([(MAIN, scene.start_oid, scene.oid("HEAD"))], "no")


def test_a_move_that_would_lose_a_commit_is_none(scene: Scene) -> None:
    first, tip = scene.commit("a"), scene.commit("b")
    with Repository(scene.top / ".git") as repo:

        def asked(new: str, kept: tuple[str, ...] = (), carried: tuple[str, ...] = (), old: str = tip) -> bool:
            return checked(repo, MAIN, old, new, "a test", kept=kept, carried=carried, at=scene.top) is not None

        assert not asked(scene.start_oid)
        assert not asked(first)
        assert asked(tip)
        assert asked(scene.start_oid, kept=(tip,))
        assert asked(scene.start_oid, kept=(first,), carried=(tip,))
        assert not asked(scene.start_oid, carried=(tip,))
        assert asked(tip, old=ZERO)
        with pytest.raises(GitFailed):  # what is not known is not nothing
            asked(scene.start_oid, old="0123456789" * 4)
        with pytest.raises(GitFailed):
            asked(scene.start_oid, kept=("0123456789" * 4,))


def test_what_is_queued_is_not_carried(scene: Scene) -> None:
    first, tip = scene.commit("a"), scene.commit("b")
    new = scene.git("commit-tree", "-p", scene.start_oid, "-m", "both", f"{tip}^{{tree}}")
    pin = f"refs/uam/pin/{tip}"
    with Repository(scene.top / ".git") as repo:
        move = checked(repo, MAIN, tip, new, "a test", kept=(), carried=(first, tip), at=scene.top)
        assert move is not None
        scene.git("update-ref", pin, tip)
        assert move.run(repo, scene.top).code == 128
        assert scene.oid("main") == tip
        assert scene.our_refs() == [f"{tip} {pin}"]
        scene.git("update-ref", "-d", pin)
        assert move.run(repo, scene.top).code == 0
    assert scene.oid("main") == new
    (held,) = scene.our_refs()
    assert held.startswith(f"{tip} refs/uam/original/")
    assert scene.git("reflog", "-1", "--format=%gs", "main") == "a test"


def test_what_was_carried_off_a_detached_head_is_held(scene: Scene) -> None:
    scene.git("checkout", "-q", "--detach")
    tip = scene.commit("a")
    new = scene.git("commit-tree", "-p", scene.start_oid, "-m", "a", f"{tip}^{{tree}}")
    with Repository(scene.top / ".git") as repo:
        move = checked(repo, "", tip, new, "a test", kept=(), carried=(tip,), at=scene.top)
        assert move is not None and move.run(repo, scene.top).code == 0
    assert scene.oid("HEAD") == new
    assert scene.git("rev-parse", "--symbolic-full-name", "HEAD") == "HEAD"
    assert scene.oid("main") == scene.start_oid


def test_whoever_asks_for_it_the_branch_stays(scene: Scene) -> None:
    scene.commit("a")
    tip = scene.commit("b")
    away = scene.start_oid
    with Repository(scene.top / ".git") as repo:
        for moved in (
            settle(repo, repo.paths, Landed(MAIN, tip, away, away), files=True),
            advance(repo, repo.paths, MAIN, tip, away, {}),
            bring_over(repo, repo.paths, MAIN, tip, away, (), ()),
        ):
            assert (moved.moved, moved.at, "commits" in moved.why) == (False, tip, True)
    assert (scene.oid("main"), scene.git("status", "--porcelain")) == (tip, "")
