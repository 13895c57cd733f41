"""An ordinary `git push` through the wired door, as the one who pushes and the remote see it."""

from __future__ import annotations

import pytest

from tests.support.scenes import AUTHOR, SHADOW, TRACKING, Scene, script

pytestmark = pytest.mark.staying


def result_line(old: str, new: str, branch: str = "main") -> str:
    """What git prints for a branch that was pushed."""
    return f"To uam::origin\n   {old[:7]}..{new[:7]}  {branch} -> {branch}\n"


def words(scene: Scene, tip: str, count: int, batch: int) -> str:
    """The two lines of ours when several commits landed as one."""
    new = scene.there()[:7]
    return (
        f"uam: landed on origin/main as {new}: your {count} commits ({tip[:7]}) as one"
        f" (originals: git uam show {batch})\n"
        f"uam: branch main and its files are now at {new}, what origin/main has\n"
    )


# -- what lands ------------------------------------------------------------------------------------------


def test_three_commits_land_as_one(scene: Scene) -> None:
    commits = [scene.commit(name) for name in ("a", "b", "c")]
    tree = scene.oid("HEAD^{tree}")
    done = scene.push()

    new = scene.there()
    assert done == (0, "", words(scene, commits[-1], 3, batch=1) + result_line(scene.start_oid, new))
    assert scene.bare.git("rev-list", "--parents", f"{scene.start_oid}..main").split() == [new, scene.start_oid]
    assert scene.bare.oid("main^{tree}") == tree
    batch = scene.rows("deploy_batches")[0]["id"]
    assert scene.bare.git("log", "-1", "--format=%B", "main") == (
        "Squashed 3 commits:\n\n1. Add a\n2. Add b\n3. Add c\n\n"
        + "".join(f"Uam-Original: {commit}\n" for commit in commits)
        + f"Uam-Batch: {batch}"
    )
    assert scene.bare.git("log", "-1", "--format=%an <%ae>", "main") == AUTHOR
    assert scene.pushes() == [f" {scene.start_oid}:{new}:refs/heads/main"]


def test_a_landing_leaves_branch_tracking_ref_and_shadow_right(scene: Scene) -> None:
    commits = [scene.commit(name) for name in ("a", "b", "c")]
    scene.push()
    assert scene.status() == ["## main...origin/main"]
    assert scene.oid("main") == scene.oid(TRACKING) == scene.there()
    kept = scene.git("log", "--format=%H %s", SHADOW).splitlines()
    assert [line for line in kept if line.partition(" ")[0] in commits] == [
        f"{commits[2]} Add c",
        f"{commits[1]} Add b",
        f"{commits[0]} Add a",
    ]
    assert scene.oid(f"{SHADOW}^{{tree}}") == scene.bare.oid("main^{tree}")
    assert scene.git("log", "-g", "--format=%gs", "-1", "main") == f"uam: landed as {scene.there()[:7]}"


def test_a_second_push_has_nothing_to_do(scene: Scene) -> None:
    for name in ("a", "b"):
        scene.commit(name)
    scene.push()
    scene.idle()  # a push has its answer before the flusher has closed the batch
    before = scene.queue()
    assert scene.push() == (0, "", "Everything up-to-date\n")
    assert scene.queue() == before
    assert len(scene.pushes()) == 1


def test_a_single_commit_is_pushed_as_it_is_and_nothing_of_ours_is_said(scene: Scene) -> None:
    tip = scene.commit("a")
    assert scene.push() == (0, "", result_line(scene.start_oid, tip))
    assert scene.there() == tip
    assert scene.clean()


def test_work_goes_on_after_a_squash(scene: Scene) -> None:
    """Three rounds on the same line: each starts where the last one landed."""
    for turn in range(3):
        scene.commit("counter", f"{turn}.1\n", message=f"Turn {turn}.1")
        scene.commit("counter", f"{turn}.2\n", message=f"Turn {turn}.2")
        assert scene.push().code == 0
        assert scene.clean()
    assert scene.landed() == ["Squashed 2 commits:"] * 3
    assert scene.bare.git("show", "main:counter") == "2.2"
    assert len(scene.git("log", "--oneline", "--grep=^Turn", SHADOW).splitlines()) == 6


def test_squash_off_keeps_every_commit_and_is_one_push(scene: Scene) -> None:
    scene.git("config", "uam.squash", "false")
    for name in ("a", "b", "c"):
        scene.commit(name)
    assert scene.push() == (0, "", result_line(scene.start_oid, scene.oid("main")))
    assert scene.landed() == ["Add a", "Add b", "Add c"]
    assert len(scene.pushes()) == 1


def test_all_authors_are_named(scene: Scene) -> None:
    scene.commit("a", "", "--author=Bob <bob@example.invalid>")
    scene.commit("b")
    scene.commit("c", "", "--author=Cy <cy@example.invalid>")
    scene.push()
    body = scene.bare.git("log", "-1", "--format=%an%n%b", "main").splitlines()
    assert body[0] == "Bob"
    assert [line for line in body if line.startswith("Co-authored-by")] == [
        f"Co-authored-by: {AUTHOR}",
        "Co-authored-by: Cy <cy@example.invalid>",
    ]


@pytest.mark.parametrize(("second", "silent"), [("Add b [skip ci]", True), ("Add b", False)])
def test_one_member_does_not_silence_ci_for_all(scene: Scene, second: str, silent: bool) -> None:
    scene.commit("a", message="Add a [skip ci]")
    scene.commit("b", message=second)
    scene.push()
    assert ("[skip ci]" in scene.bare.git("log", "-1", "--format=%B", "main")) is silent


def test_a_branch_behind_the_remote_is_integrated(scene: Scene) -> None:
    other = scene.stranger()
    theirs = other.commit("theirs")
    other.push("-q", "origin", "main")
    mine = scene.commit("mine", message="Add mine")
    done = scene.push()

    new = scene.there()
    assert done == (
        0,
        "",
        f"uam: landed on origin/main as {new[:7]}: your commit {mine[:7]} moved on top of others' work,"
        " message and date kept\n"
        f"uam: branch main and its files are now at {new[:7]}, what origin/main has\n" + result_line(theirs, new),
    )
    assert scene.landed() == ["Add theirs", "Add mine"]
    assert scene.files() == ["README", "mine", "theirs"]
    assert scene.clean()
    assert (scene.top / "theirs").exists()


def test_what_others_pushed_is_named_when_it_conflicts(scene: Scene) -> None:
    other = scene.stranger()
    theirs = other.commit("README", "theirs\n", "--author=Bob <bob@example.invalid>", message="Say theirs")
    other.push("-q", "origin", "main")
    mine = scene.commit("README", "mine\n", message="Say mine")
    done = scene.push()

    whose = f"{theirs[:7]} by Bob <bob@example.invalid>"
    assert done == (
        1,
        "",
        f"uam: {mine[:7]} was not landed on origin/main: README conflicts with {whose}; your commits are untouched\n"
        "uam: `git pull --rebase origin main`, resolve, and push again\n"
        "To uam::origin\n"
        f" ! [remote rejected] main -> main (conflict in README with {whose})\n"
        "error: failed to push some refs to 'uam::origin'\n",
    )
    assert (scene.there(), scene.oid(TRACKING)) == (theirs, scene.start_oid)
    assert scene.oid("main") == mine

    # what it says to do works
    assert scene.run("pull", "-q", "--rebase", "origin", "main").code != 0
    (scene.top / "README").write_text("both\n")
    scene.git("add", "README")
    scene.git("-c", "core.editor=true", "rebase", "--continue")
    assert scene.push() == (0, "", result_line(theirs, scene.oid("main")))
    assert scene.bare.git("show", "main:README") == "both"


# -- ways to ask for it ------------------------------------------------------------------------------------


def test_dry_run_leaves_queue_refs_and_remote_as_they_were(scene: Scene) -> None:
    scene.git("config", "uam.flusher.linger", "0")  # nothing is begun in time for what comes
    scene.commit("a")
    tip = scene.commit("b")
    scene.report()  # takes the commits in, which a dry run may do as any command
    before = scene.queue(), scene.our_refs(), scene.oid(TRACKING)
    done = scene.push("--dry-run")
    assert done == (0, "", result_line(scene.start_oid, tip))
    assert (scene.queue(), scene.our_refs(), scene.oid(TRACKING)) == before
    assert scene.there() == scene.start_oid
    assert scene.flushers() == []
    assert scene.push().code == 0
    assert scene.landed() == ["Squashed 2 commits:"]


def test_porcelain(scene: Scene) -> None:
    tip = scene.commit("a")
    assert scene.push("--porcelain") == (
        0,
        f"To uam::origin\n \trefs/heads/main:refs/heads/main\t{scene.start_oid[:7]}..{tip[:7]}\nDone\n",
        "",
    )


def test_quiet_says_nothing_where_nothing_changed(scene: Scene) -> None:
    tip = scene.commit("a")
    assert scene.push("-q") == (0, "", "")
    assert scene.there() == tip


def test_set_upstream_of_a_new_branch(scene: Scene) -> None:
    scene.git("switch", "-q", "-c", "topic")
    scene.commit("a")
    tip = scene.commit("b")
    done = scene.push("-u", "origin", "topic")
    assert done.code == 0
    assert done.out == "branch 'topic' set up to track 'origin/topic'.\n"
    assert done.err == "To uam::origin\n * [new branch]      topic -> topic\n"
    assert scene.there("refs/heads/topic") == tip
    assert scene.status() == ["## topic...origin/topic"]


def test_several_branches_in_one_push(scene: Scene) -> None:
    main = scene.commit("a")
    scene.git("switch", "-q", "-c", "topic", scene.start_oid)
    topic = scene.commit("b")
    done = scene.push("origin", "main", "topic", "topic:refs/heads/copy")
    assert done == (
        0,
        "",
        f"To uam::origin\n   {scene.start_oid[:7]}..{main[:7]}  main -> main\n"
        " * [new branch]      topic -> topic\n * [new branch]      topic -> copy\n",
    )
    assert [scene.there(f"refs/heads/{name}") for name in ("main", "topic", "copy")] == [main, topic, topic]
    assert len(scene.pushes()) == 1


def test_head_and_object_names_can_be_pushed(scene: Scene) -> None:
    first = scene.commit("a")
    second = scene.commit("b")
    assert scene.push("origin", f"{first}:refs/heads/main").code == 0
    assert scene.there() == first
    assert scene.oid("main") == second
    assert scene.push("origin", "HEAD").code == 0
    assert scene.there() == second
    assert scene.clean()


def test_no_verify_skips_hooks_and_not_the_queue(scene: Scene) -> None:
    for name in ("a", "b"):
        scene.commit(name)
    done = scene.push("--no-verify")
    assert done.code == 0
    assert scene.landed() == ["Squashed 2 commits:"]
    assert scene.pushed() == ["completed"]


def test_uam_off_pushes_straight(scene: Scene) -> None:
    for name in ("a", "b"):
        tip = scene.commit(name)
    assert scene.push(UAM="off") == (0, "", result_line(scene.start_oid, tip))
    assert scene.landed() == ["Add a", "Add b"]
    assert scene.pushed() == []


@pytest.mark.parametrize("setting", ["uam.enabled=false", "uam.enabled=off"])
def test_a_setting_on_the_command_line_pushes_straight(scene: Scene, setting: str) -> None:
    for name in ("a", "b"):
        tip = scene.commit(name)
    assert scene.run("-c", setting, "push") == (0, "", result_line(scene.start_oid, tip))
    assert scene.landed() == ["Add a", "Add b"]
    assert scene.pushed() == []
    assert scene.clean()


@pytest.mark.slow
def test_tags_deletions_and_forced_updates_go_as_they_are(scene: Scene) -> None:
    scene.git("tag", "-a", "-m", "one", "v1")
    assert scene.push("origin", "v1").err == "To uam::origin\n * [new tag]         v1 -> v1\n"
    assert scene.there("refs/tags/v1") == scene.oid("v1")

    first = scene.commit("a")
    assert scene.push("origin", "main:topic").code == 0
    assert scene.there("refs/heads/topic") == first
    scene.git("commit", "-q", "--amend", "-m", "Add a again")
    scene.commit("b")
    forced = scene.push("--force", "origin", "main:topic")
    assert forced.code == 0
    assert forced.err == f"To uam::origin\n + {first[:7]}...{scene.short('main')} main -> topic (forced update)\n"
    assert scene.there("refs/heads/topic") == scene.oid("main")

    assert scene.push("origin", ":topic").err == "To uam::origin\n - [deleted]         topic\n"
    assert scene.there("refs/heads/topic") == ""
    assert scene.oid("refs/remotes/origin/topic") == ""
    assert scene.push("origin", ":topic").code == 1
    assert scene.pushed() == ["completed"] * 4


def test_commits_below_a_pushed_tag_stay_as_they_are(scene: Scene) -> None:
    scene.commit("a")
    tagged = scene.commit("b")
    scene.git("tag", "v1")
    assert scene.push("origin", "v1").code == 0
    assert scene.push("origin", "main").code == 0
    assert scene.there() == tagged


def test_a_lease_is_kept(scene: Scene) -> None:
    other = scene.stranger()
    other.commit("theirs")
    other.push("-q", "origin", "main")
    scene.commit("a")
    stale = scene.push("--force-with-lease", "origin", "main")
    assert stale.code == 1
    assert "! [rejected]        main -> main (stale info)\n" in stale.err
    scene.git("fetch", "-q")
    assert scene.push("--force-with-lease", "origin", "main").code == 0
    assert scene.landed() == ["Add a"]


def test_an_atomic_push_lands_whole_or_not_at_all(scene: Scene) -> None:
    script(scene.remote / "hooks" / "update", '[ "$1" != refs/heads/closed ]\n')
    scene.commit("a")
    done = scene.push("--atomic", "origin", "main", "main:closed")
    assert done.code == 1
    assert (scene.there(), scene.there("refs/heads/closed")) == (scene.start_oid, "")
    assert scene.push("--atomic", "origin", "main", "main:open").code == 0
    assert (scene.there(), scene.there("refs/heads/open")) == (scene.oid("main"), scene.oid("main"))


@pytest.mark.parametrize("option", ["ci.variable=X=a b", 'title="Grüße"\tan\\alle'])
def test_push_options_reach_the_remote(scene: Scene, option: str) -> None:
    scene.bare.git("config", "receive.advertisePushOptions", "true")
    told = 'printf "%s %s\\n" "$GIT_PUSH_OPTION_COUNT" "$GIT_PUSH_OPTION_0" >options\n'
    script(scene.remote / "hooks" / "pre-receive", told)
    scene.commit("a")
    assert scene.push("-o", option).code == 0
    assert (scene.remote / "options").read_text() == f"1 {option}\n"


# -- remotes that say no -------------------------------------------------------------------------------------


def test_a_remote_that_declines_is_heard(scene: Scene) -> None:
    hook = script(scene.remote / "hooks" / "update", "echo main is frozen until Friday >&2\nexit 1\n")
    mine = scene.commit("a")
    done = scene.push()
    assert (done.code, done.out, done.ours) == (1, "", [])
    assert done.err.startswith(
        "remote: main is frozen until Friday        \nremote: error: hook declined to update refs/heads/main        \n"
        "To uam::origin\n ! [remote rejected] main -> main (hook declined)\n"
    )
    assert (scene.there(), scene.oid(TRACKING), scene.oid("main")) == (scene.start_oid, scene.start_oid, mine)
    hook.unlink()
    assert scene.push() == (0, "", result_line(scene.start_oid, mine))


def test_a_remote_out_of_reach_fails_the_push_and_loses_nothing(scene: Scene) -> None:
    scene.commit("a")
    tip = scene.commit("b")
    away = scene.remote.rename(scene.root / "away")
    done = scene.push()
    assert (done.code, done.out) == (128, "")
    assert done.err.startswith("uam: origin did not answer: ")
    assert scene.oid("main") == tip
    assert scene.oid(f"refs/uam/pin/{tip}") == tip
    assert [failure["tip"] for failure in scene.report()["failed"]] == [tip]

    away.rename(scene.remote)
    assert scene.push().code == 0
    assert scene.landed() == ["Squashed 2 commits:"]
    assert scene.report()["failed"] == []


def test_a_remote_that_was_emptied_gets_everything_again(scene: Scene) -> None:
    tip = scene.commit("a")
    scene.bare.git("update-ref", "-d", "refs/heads/main")
    assert scene.push().code == 0
    assert scene.there() == tip
    assert scene.bare.subjects("main") == ["Add a", "Begin"]


def test_force_pushed_away_work_lands_again(scene: Scene) -> None:
    """A shadow counts only while its landing is on the remote."""
    for name in ("a", "b"):
        scene.commit(name)
    scene.git("branch", "mine")
    scene.push()
    scene.bare.git("update-ref", "refs/heads/main", scene.start_oid)
    assert scene.push("origin", "mine:main").code == 0
    assert scene.landed() == ["Squashed 2 commits:"]
    assert scene.files() == ["README", "a", "b"]
