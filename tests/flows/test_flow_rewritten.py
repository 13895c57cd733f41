"""What plain git rejects as non-fast-forward because the pusher gave up something that has landed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.landscape import by_hand, flushed, queue
from tests.support.scenes import TRACKING, Done, Scene, Worktree, finished, gate, until

pytestmark = pytest.mark.staying

REJECTED = " ! [rejected]        main -> main (non-fast-forward)\n"


@contextmanager
def nothing_moves(scene: Scene, place: Worktree) -> Iterator[None]:
    """Neither branch nor files nor tracking ref here, nor anything on the remote, and nothing is queued."""

    def state() -> object:
        refs = scene.git("for-each-ref"), scene.bare.git("for-each-ref"), place.oid("HEAD")
        return refs, scene.pushes(), place.status(), scene.rows("sources")

    before = state()
    yield
    assert state() == before


def rejected(scene: Scene, *args: str, at: Worktree | None = None) -> Done:
    """A push that is rejected, with nothing moved."""
    place = at or scene
    with nothing_moves(scene, place):
        done = place.push(*args)
    assert done.code == 1, done
    assert " ! [rejected]" in done.err, done
    assert "(non-fast-forward)" in done.err, done
    return done


def amend(place: Worktree, *options: str) -> str:
    place.git("commit", "-q", "-a", "--amend", *options)
    return place.oid("HEAD")


@pytest.mark.parametrize("commits", [1, 2])
def test_c2_a_reworded_commit_that_has_landed_is_rejected(scene: Scene, commits: int) -> None:
    for number in range(commits):
        scene.commit(f"a{number}")
    assert scene.push().code == 0
    scene.idle()
    was = scene.oid("HEAD")
    reworded = amend(scene, "-m", "Reworded")
    done = rejected(scene)
    assert REJECTED in done.err
    assert done.ours == [
        f"main was at {was[:7]}, which has landed on origin/main, and has been rewritten since; nothing was moved",
        "what it changes is there, and a message stays as it landed: `git uam sync origin/main` takes it",
        "`git push --force-with-lease` overwrites what origin/main has",
    ]
    assert scene.oid("HEAD") == reworded
    scene.git("uam", "sync", "origin/main")
    assert scene.oid("HEAD") == was
    assert scene.push() == (0, "", "Everything up-to-date\n")


def test_c2_a_commit_that_is_reworded_while_it_lands_is_rejected(scene: Scene) -> None:
    with gate(scene, scene.remote / "hooks" / "pre-receive") as open_gate:
        was = scene.commit("a")
        first = scene.start("push")
        until(open_gate.reached, "a push that has come to the remote")
        reworded = amend(scene, "-m", "Reworded")
        second = scene.start("push")
        until(lambda: len(scene.rows("sources")) == 2, "a second push")
        open_gate()
        assert finished(first).code == 0
        done = finished(second)
    assert done.code == 1, done
    why = f"main was at {was[:7]}, which has landed on origin/main meanwhile, and has been rewritten;"
    assert why in done.err
    assert scene.there() == was
    assert scene.oid("main") == reworded
    # as it is advised
    scene.git("pull", "-q", "--rebase", "origin", "main")
    scene.commit("b")
    assert scene.push().code == 0
    assert scene.files() == ["README", "a", "b"]


def test_c2_the_rewrite_can_overwrite_the_remote_with_a_lease(scene: Scene) -> None:
    scene.commit("a")
    scene.push()
    reworded = amend(scene, "-m", "Reworded")
    rejected(scene)
    assert scene.push("--force-with-lease").code == 0
    assert scene.there() == reworded
    scene.commit("b")
    assert scene.push().code == 0
    assert scene.landed() == ["Reworded", "Add b"]


def test_c2_a_rebase_that_rewords_what_landed_before_is_rejected(scene: Scene) -> None:
    scene.commit("a")
    scene.push()
    was = scene.oid("HEAD")
    scene.commit("b")
    scene.git("-c", "sequence.editor=sed -i 1s/pick/reword/", "-c", "core.editor=echo Reworded >", "rebase", "-q", "-i",
              "HEAD~2")  # fmt: skip
    assert scene.subjects("HEAD~2..HEAD") == ["Add b", "Reworded"]
    done = rejected(scene)
    assert done.ours[0].startswith(f"main was at {was[:7]}, which has landed on origin/main, and has been rewritten")
    assert done.ours[1] == "`git pull --rebase origin main` puts your commits on top of what landed"
    scene.git("pull", "-q", "--rebase", "origin", "main")
    assert scene.push().code == 0
    assert scene.landed() == ["Add a", "Add b"]
    assert scene.clean()


def test_c2_holds_where_no_hook_of_ours_ran(scene: Scene) -> None:
    scene.git("config", "core.hooksPath", "/dev/null")
    scene.commit("a")
    scene.push()
    amend(scene, "-m", "Reworded")
    rejected(scene)


def test_c2_holds_where_no_reflog_is_kept(scene: Scene) -> None:
    scene.git("config", "core.logAllRefUpdates", "false")
    (scene.top / ".git" / "logs" / "refs" / "heads" / "main").unlink()
    scene.commit("a")
    scene.push()
    amend(scene, "-m", "Reworded")
    rejected(scene)


def test_c2_holds_for_a_detached_head(scene: Scene) -> None:
    agent = scene.worktree("agent", "--detach")
    agent.commit("a")
    assert agent.push("origin", "HEAD:main").code == 0
    amend(agent, "-m", "Reworded")
    done = rejected(scene, "origin", "HEAD:main", at=agent)
    assert done.ours[0].startswith("HEAD was at ")
    agent.git("checkout", "-q", "--detach", scene.start_oid)  # another line of work, which is merely behind
    agent.commit("b")
    assert agent.push("origin", "HEAD:main").code == 0
    assert scene.landed() == ["Add a", "Add b"]


def test_c2_a_branch_that_was_not_settled_is_told_as_what_its_commits_landed(scene: Scene) -> None:
    scene.git("config", "uam.settle", "off")
    scene.commit("a")
    tip = scene.commit("b")
    scene.push()
    amend(scene, "-m", "Reworded")
    done = rejected(scene)
    new = scene.there()[:7]
    assert done.ours[0] == (
        f"main was at {tip[:7]}, which has landed on origin/main as {new}, and has been rewritten since;"
        " nothing was moved"
    )


def test_c2_one_of_several_branches_is_rejected_alone(scene: Scene) -> None:
    scene.commit("a")
    scene.push()
    amend(scene, "-m", "Reworded")
    scene.git("branch", "other", TRACKING)
    done = scene.push("origin", "main", "other")
    assert done.code == 1, done
    assert REJECTED in done.err
    assert scene.there("refs/heads/other") == scene.oid("other")
    scene.git("branch", "third", TRACKING)
    assert scene.push("--atomic", "origin", "main", "third").code == 1
    assert scene.there("refs/heads/third") == ""


def test_c2_a_commit_that_a_settle_has_carried_over_is_no_rewrite(scene: Scene) -> None:
    """It was pushed as it was before, and landed as that: the branch is where we have put it."""
    stranger = scene.stranger()
    stranger.commit("others")
    stranger.git("push", "-q", "origin", "HEAD:main")
    tip = scene.commit("mine")
    scene.git("config", "uam.settle", "off")
    assert scene.push().code == 0
    # what a settle makes of a commit that is newer than what has landed
    carried = scene.git("commit-tree", "-p", f"{tip}^", "-m", "Add mine, carried", f"{tip}^{{tree}}")
    scene.git("update-ref", "-m", "uam: landed as 1234567", "refs/heads/main", carried, tip)
    more = scene.commit("more")
    done = scene.push()
    assert done.code == 0, done
    assert {"mine", "more", "others"} <= set(scene.files())
    assert scene.oid("HEAD") == more


def test_c2_a_dry_run_foresees_it(scene: Scene) -> None:
    scene.commit("a")
    scene.push()
    amend(scene, "-m", "Reworded")
    assert REJECTED in rejected(scene, "--dry-run").err


def test_c2_at_the_hook_door_git_judges_itself(unwired: Scene) -> None:
    unwired.commit("a")
    unwired.push()
    unwired.idle()
    unwired.git("fetch", "-q")
    amend(unwired, "-m", "Reworded")
    rejected(unwired)


@pytest.mark.parametrize("commits", [1, 2])
def test_c3_amended_content_is_rejected_and_lands_as_advised(scene: Scene, commits: int) -> None:
    for number in range(commits):
        scene.commit(f"a{number}", "first\n")
    scene.push()
    was = scene.oid("HEAD")
    (scene.top / "a0").write_text("second\n")
    amend(scene, "--no-edit")
    done = rejected(scene)
    assert (
        done.ours[1]
        == f"`git reset --soft {was[:7]}`, `git commit`, `git push` land what is new as a commit of its own"
    )
    scene.git("reset", "--soft", was)
    scene.git("commit", "-q", "-m", "Improve a0")
    assert scene.push().code == 0
    assert scene.landed()[1:] == ["Improve a0"]
    assert scene.bare.git("show", "main:a0") == "second"
    assert scene.clean()


def test_c3_amended_content_on_what_landed_with_others_is_rebased(scene: Scene) -> None:
    """The advice must not take back what others landed in the same commit."""
    by_hand(scene, settle="off")
    other = scene.worktree("other")
    other.commit("theirs")
    queue(other)
    was = scene.commit("a", "first\n")
    queue(scene)
    flushed(scene)
    (scene.top / "a").write_text("second\n")
    amend(scene, "--no-edit")
    done = rejected(scene)
    assert done.ours[0].startswith(f"main was at {was[:7]}, which has landed on origin/main as ")
    assert done.ours[1] == "`git pull --rebase origin main` puts your commits on top of what landed"


def test_h19_a_branch_that_was_set_back_is_rejected(scene: Scene) -> None:
    scene.commit("a")
    scene.push()
    landing = scene.there()
    scene.git("reset", "-q", "--hard", "HEAD^")
    done = rejected(scene)
    assert done.ours[:2] == [
        f"main was at {landing[:7]}, which has landed on origin/main, and has been set back since; nothing was moved",
        f"`git uam sync origin/main` brings it back here; then `git revert {landing[:7]}` and a push undo it",
    ]
    scene.git("uam", "sync", "origin/main")
    scene.git("revert", "--no-edit", landing)
    assert scene.push().code == 0
    assert scene.landed() == ["Add a", 'Revert "Add a"']
    assert "a" not in scene.files()


def test_h19_what_only_looks_like_it_is_integrated_or_up_to_date(scene: Scene) -> None:
    """Branches that are behind, that were made anew, or that stand on their originals, never gave anything up."""
    first = scene.worktree("first")
    first.commit("a")
    tip = first.commit("b")
    assert first.push("origin", "HEAD:main").code == 0
    first.git("reset", "-q", "--hard", tip)  # the originals again, instead of their landing
    assert first.push("origin", "HEAD:main").code == 0
    assert scene.push() == (0, "", "Everything up-to-date\n")  # behind, with nothing of its own
    first.git("checkout", "-q", "--detach")
    first.git("branch", "-q", "-D", "first")
    first.git("checkout", "-q", "-b", "first", scene.start_oid)
    first.commit("c")
    assert first.push("origin", "HEAD:main").code == 0
    assert scene.landed()[1:] == ["Add c"]


def test_h19_a_landing_that_the_remote_has_lost_is_not_asked_for(scene: Scene) -> None:
    scene.commit("a")
    scene.push()
    scene.bare.git("update-ref", "refs/heads/main", scene.start_oid)
    scene.git("reset", "-q", "--hard", "HEAD^")
    scene.commit("b")
    assert scene.push().code == 0
    assert scene.landed() == ["Add b"]
