"""Exit codes and reasons of pushes that are not integrated: those of plain git."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.scenes import Scene, script
from tests.support.twin import Twin
from uam_hooks.hot.push.protocol import GitDied
from uam_hooks.hot.push.straight import push_straight


@pytest.fixture
def twin(scene: Scene) -> Twin:
    return Twin(scene)


def test_h17_force_wins_over_a_stale_lease(twin: Twin) -> None:
    for place in twin.both:
        place.commit("a")
        place.push("-q", "origin", "main")
    twin.scene.idle()
    for place in twin.both:
        place.commit("b")
    done = twin.same("--force", "--force-with-lease=main:main^^", "origin", "main")
    assert done.code == 0
    assert "(forced update)" in done.err


def test_h17_force_wins_over_a_stale_lease_of_what_is_deleted(twin: Twin) -> None:
    """git's own t5533.10."""
    for place in twin.both:
        place.commit("a")
        place.push("-q", "origin", "main:other")
    twin.scene.idle()
    assert twin.same("--force-with-lease=other:main^", "origin", ":other").code == 1
    assert twin.same("--force", "--force-with-lease=other:main^", "origin", ":other").code == 0


@pytest.mark.parametrize("options", [[], ["--porcelain", "--dry-run"]], ids=" ".join)
def test_h19_a_commit_that_is_older_than_the_remotes_is_rejected(twin: Twin, options: list[str]) -> None:
    """git's own t5516.84 and .106."""
    for place in twin.both:
        place.commit("a")
        place.push("-q", "origin", "main")
    twin.scene.idle()
    assert twin.same(*options, "origin", "main^:main").code == 1
    assert twin.same(*options, "origin", "refs/heads/main~1:refs/heads/main").code == 1
    assert twin.same(*options, "origin", f"{twin.scene.oid('main')}:refs/heads/main", words=False).code == 0


def test_h17_without_force_a_stale_lease_is_stale(twin: Twin) -> None:
    for place in twin.both:
        place.commit("a")
    assert twin.same("--force-with-lease=main:main", "origin", "main").code == 1


def test_h18_a_lease_that_holds_forces_the_update(twin: Twin) -> None:
    for place in twin.both:
        place.commit("a")
        place.push("-q", "origin", "main")
    twin.scene.idle()
    for place in twin.both:
        place.git("commit", "-q", "--amend", "-m", "Other words")
    done = twin.same("--force-with-lease", "origin", "main")
    assert "(forced update)" in done.err


def test_h17_a_ref_that_is_not_there_is_deleted_with_a_warning(twin: Twin) -> None:
    assert twin.same("origin", ":refs/heads/nope").code == 0
    assert twin.same("origin", ":nope").code == 1
    assert twin.same("--porcelain", "origin", ":refs/heads/nope", "main:more").code == 0


@pytest.mark.parametrize("how", [[], ["--porcelain"], ["--force"], ["--force-with-lease"], ["--tags"]])
def test_h17_a_remote_that_is_not_reached_ends_with_128(twin: Twin, how: list[str]) -> None:
    for place, bare in zip(twin.both, (twin.scene.bare, twin.bare), strict=True):
        place.commit("a")
        bare.top.rename(bare.top.with_name("away.git"))
    hooked, plain = twin.scene.push(*how, "origin", "main"), twin.push(*how, "origin", "main")
    assert (hooked.code, hooked.out) == (plain.code, plain.out) == (128, "")
    assert "does not appear to be a git repository" in hooked.err


@pytest.mark.parametrize("hides", ["receive", "transfer"])
def test_h17_a_hidden_ref_is_refused(twin: Twin, hides: str) -> None:
    twin.there("config", f"{hides}.hideRefs", "refs/heads/hidden")
    for bare in (twin.scene.bare, twin.bare):
        bare.git("branch", "hidden", "main")
    for place in twin.both:
        place.commit("a")
    done = twin.same("origin", "main:refs/heads/hidden")
    assert done.code == 1
    assert "(deny updating a hidden ref)" in done.err


def test_a_shim_that_died_without_a_word_is_no_success(tmp_path: Path) -> None:
    """An empty answer would be the end of all answers to git, and so a push that was up to date."""
    shim = script(tmp_path / "shim", "exit 128\n")
    with pytest.raises(GitDied, match="got no answer"):
        push_straight(str(shim), "origin", [], ["push refs/heads/main:refs/heads/main"], {})


def test_h6_matching_with_a_remote_that_has_nothing_fails(twin: Twin) -> None:
    """git's own t5528.16."""
    for place in twin.both:
        place.git("init", "-q", "--bare", "../empty.git")
    done = twin.same("../empty.git", ":", words=False)
    assert done.code == 1
    assert "Perhaps you should specify a branch" in done.err
