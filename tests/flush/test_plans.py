"""Plans of all four kinds of landing: what a dry run foresees is what is then done, and it changes nothing itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.commands import call, said
from tests.support.landscape import by_hand, environment, kept, queue, record, sound, truthful, write
from tests.support.scenes import TRACKING, Done, Scene, Worktree, script
from uam_hooks import Batch, BatchResult, DeployBatcher
from uam_hooks.git import trees
from uam_hooks.git.repo import Repository
from uam_hooks.land.steps import Step

AT_ONCE = {"commit": 0, "push": 0, "merge": 0, "workflow": 0, "deploy": 0}
ADA = "Ada <ada@example.invalid>"
Shown = dict[str, Any]


@pytest.fixture
def scene(scene: Scene) -> Iterator[Scene]:
    """Nothing happens by itself, this process has the scene's environment, and HEAD is on no branch of interest."""
    by_hand(scene)
    scene.git("config", "uam.window.push", "0")  # a batch is made of what is due, maybe within milliseconds
    scene.git("switch", "-q", "-c", "elsewhere")
    with environment(scene.env):
        yield scene


def batcher(scene: Scene, **options: Any) -> DeployBatcher:
    return DeployBatcher(repository=scene.top, **{"dynamic_windows": AT_ONCE, **options})


def commit(scene: Scene, name: str, text: str, branch: str = "main", agent: str = "ann") -> int:
    """Queue a commit by name of one file."""
    write(scene, name, text)
    return batcher(scene).queue(agent, "commit", branch, {"message": f"Write {name}", "files": [name]})


def merge(scene: Scene, target: str = "main", source: str = "topic", agent: str = "ann", **payload: Any) -> int:
    return batcher(scene).queue(agent, "merge", target, {"source": source, **payload})


def push(scene: Scene, branch: str = "main", agent: str = "ann", **payload: Any) -> int:
    return batcher(scene).queue(agent, "push", branch, payload)


def on(scene: Scene, branch: str, name: str, text: str, start: str = "main") -> str:
    """A commit on a branch that no worktree has checked out, which no hook has seen."""
    with Repository.at(scene.top) as repo:
        base = scene.oid(f"refs/heads/{branch}") or scene.oid(start)
        blob = repo.write("blob", text.encode())
        tree = trees.edit(repo, repo.commit(base).tree, {name: (0o100644, blob)})
        like = repo.commit(base)
        made = repo.write_commit(like._replace(tree=tree, parents=(base,), message=f"Write {name}\n".encode()))
    scene.git("update-ref", f"refs/heads/{branch}", made)
    return made


def everything(scene: Scene) -> object:
    """All that a dry run could change: refs and logs, the queue, the index, files here and of ours, the remote."""
    status = scene.status()  # first: it freshens the index
    git_dir = scene.top / ".git"
    ours = {
        str(path.relative_to(git_dir)): path.read_bytes()
        for top in (scene.uam, git_dir / "logs")
        for path in sorted(top.rglob("*"))
        if path.is_file() and not path.name.startswith("queue.db")  # its rows are compared: reading makes a -wal
    }
    work = {
        str(path.relative_to(scene.top)): path.read_bytes()
        for path in sorted(scene.top.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(scene.top).parts
    }
    tables = [row["name"] for row in scene.rows("sqlite_schema") if row["type"] == "table"]
    queued = {name: scene.rows(name) for name in tables}
    there = scene.bare.git("for-each-ref"), scene.pushes()
    index = (git_dir / "index").read_bytes(), (git_dir / "HEAD").read_bytes()
    return status, scene.git("for-each-ref"), queued, ours, work, there, index


@contextmanager
def unchanged(scene: Scene) -> Iterator[None]:
    scene.report()  # any command takes in what the commit hooks have left
    before = everything(scene)
    yield
    assert everything(scene) == before


def foreseen(scene: Scene) -> list[Shown]:
    """What `git uam flush --dry-run --json` says; the text says the same, and nothing changes."""
    with unchanged(scene):
        done = call(scene, "flush", "--dry-run", "--json")
        text = call(scene, "flush", "--dry-run")
    assert (done.code, done.err, text.code, text.err) == (0, "", 0, ""), (done, text)
    plans: list[Shown] = json.loads(done.out)["plans"]
    lines = [f"{plan['where']}: {plan['summary']}" for plan in plans]
    assert text.out.splitlines() == (lines or ["nothing to land"])
    return plans


def batch_of(scene: Scene) -> tuple[Batch, list[Shown]]:
    """A batch that was made and is not executed, and what its dry runs say."""
    made = batcher(scene).create_batch()
    assert made is not None
    with unchanged(scene):
        plans = batcher(scene, dry_run=True).plan_of(made.id)
        told: list[Shown] = json.loads(said(scene, "execute", "--batch-id", made.id, "--dry-run", "--json"))["plans"]
        assert told == plans
        assert said(scene, "execute", "--batch-id", made.id, "--dry-run").splitlines() == [
            f"{plan['where']}: {plan['summary']}" for plan in plans
        ]
    return made, plans


def executed(scene: Scene, batch: Batch) -> BatchResult:
    return batcher(scene).execute_batch(batch.id)


def landings(scene: Scene) -> dict[int, tuple[str, str, str, str]]:
    """What was written into the journal and took place: by action, the ref, and old and new and how."""
    return {
        row["action_id"]: (row["ref"], row["old"], row["new"], json.loads(row["detail"])["how"])
        for row in scene.rows("landings")
        if row["status"] == "landed"
    }


def as_foreseen(scene: Scene, plans: list[Shown]) -> None:
    """Every plan that moves a ref is what the journal has: the very same commits, as dates are fixed here."""
    moving = {p["action"]: (p["old"], p["new"], p["how"]) for p in plans if not p["fails"] and p["old"] != p["new"]}
    assert moving
    assert {action: entry[1:] for action, entry in landings(scene).items()} == moving


def refused_files(scene: Scene) -> dict[str, str]:
    """The errors of the sources that failed, by their number."""
    return {
        str(row["id"]): json.loads(row["outcome"])["error"]
        for row in scene.rows("sources")
        if row["status"] == "failed"
    }


def tree(place: Worktree, commit: str) -> str:
    return place.oid(f"{commit}^{{tree}}")


def parents(place: Worktree, commit: str) -> list[str]:
    return place.git("rev-list", "--parents", "-1", commit).split()[1:]


# -- a commit by name --------------------------------------------------------------------------------------------


def test_a_commit_by_name(scene: Scene) -> None:
    first, again = commit(scene, "f", "f\n"), commit(scene, "g", "g\n", agent="bob")
    assert first == again
    batch, plans = batch_of(scene)
    (plan,) = plans
    assert (plan["type"], plan["where"], plan["how"], plan["conflicts"]) == ("commit", "main", "squashed", {})
    assert [source["agent"] for source in plan["sources"]] == ["ann", "bob"]
    assert plan["proof"]["ok"] is True
    assert plan["summary"] == "Squashed 2 commits: (2 files)"
    assert executed(scene, batch).success
    assert scene.subjects("main") == ["Squashed 2 commits:", "Begin"]
    assert scene.oid("main") == plan["new"]
    as_foreseen(scene, plans)


def test_a_commit_by_name_that_conflicts(scene: Scene) -> None:
    commit(scene, "f", "ann\n")
    theirs = on(scene, "main", "f", "theirs\n")
    batch, plans = batch_of(scene)
    (plan,) = plans
    assert (plan["conflicts"], plan["fails"], plan["new"]) == ({"1": ["f"]}, True, theirs)
    assert plan["conflict_with"]["1"]["commit"] == theirs
    assert plan["summary"] == f"Write f (1 file); would conflict: ann in f with {theirs[:7]} by {ADA}"
    result = executed(scene, batch)
    assert result.errors == ("conflict in f with what main has by now",)
    assert scene.oid("main") == theirs
    assert landings(scene) == {}


def test_one_of_two_commits_by_name_conflicts(scene: Scene) -> None:
    commit(scene, "f", "ann\n")
    on(scene, "main", "f", "theirs\n")
    agent = scene.worktree("bob", "-b", "bob", "main")
    write(agent, "g", "g\n")
    DeployBatcher(repository=agent.top, dynamic_windows=AT_ONCE).queue(
        "bob", "commit", "main", {"message": "Write g", "files": ["g"]}
    )
    batch, plans = batch_of(scene)
    (plan,) = plans
    assert (list(plan["conflicts"]), [s["agent"] for s in plan["sources"]]) == (["1"], ["bob"])
    executed(scene, batch)
    assert scene.oid("main") == plan["new"]
    assert list(refused_files(scene)) == ["1"]


def test_a_commit_onto_files_that_are_checked_out_and_differ(scene: Scene) -> None:
    """The branch would stay: that is foreseen as well."""
    write(scene, "f", "ann\n")
    commit(scene, "f", "ann\n")
    agent = scene.worktree("agent", "main")
    before = scene.oid("main")
    batch, plans = batch_of(scene)
    (plan,) = plans
    words = "main stays where it is: its files are checked out and would have to change"
    assert (plan["error"], plan["fails"]) == (words, True)
    assert plan["summary"] == f"Write f (1 file); would fail: {words}"
    assert executed(scene, batch).errors == (words,)
    assert (scene.oid("main"), agent.clean()) == (before, True)


# -- a merge by name ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pushed", [False, True])
@pytest.mark.parametrize("strategy", ["no-ff", "squash", "ff-only"])
def test_a_merge_by_name(scene: Scene, strategy: str, pushed: bool) -> None:
    on(scene, "topic", "t", "t\n")
    tip = on(scene, "topic", "u", "u\n")
    main = on(scene, "main", "m", "m\n") if strategy != "ff-only" else scene.oid("main")
    merge(scene, strategy=strategy, push=pushed)
    batch, plans = batch_of(scene)
    (plan,) = plans
    assert (plan["type"], plan["where"], plan["conflicts"]) == ("merge", "origin/main" if pushed else "main", {})
    assert plan["old"] == (scene.there() if pushed else scene.oid("main"))
    assert plan["summary"] == f"merge topic ({strategy}){', pushed' * pushed}"
    assert executed(scene, batch).success
    assert (scene.there() if pushed else scene.oid("main")) == plan["new"]
    if strategy == "ff-only":
        assert plan["new"] == tip
    else:
        assert parents(scene, plan["new"]) == [main, tip][: 2 if strategy == "no-ff" else 1]
    as_foreseen(scene, plans)


@pytest.mark.parametrize("pushed", [False, True])
def test_a_merge_by_name_that_conflicts(scene: Scene, pushed: bool) -> None:
    on(scene, "topic", "f", "topic\n")
    ours = on(scene, "main", "f", "main\n")
    merge(scene, push=pushed)
    batch, plans = batch_of(scene)
    (plan,) = plans
    words = "conflict in f between topic and main"
    assert (plan["conflicts"], plan["fails"], plan["error"]) == ({"1": ["f"]}, True, words)
    assert plan["old"] == plan["new"] == (scene.start_oid if pushed else ours)
    assert plan["conflict_with"]["1"]["commit"] == ours
    whose = f"merge topic (no-ff){', pushed' * pushed}; would conflict: ann in f with {ours[:7]} by {ADA}"
    assert plan["summary"] == whose
    assert executed(scene, batch).errors == (words,)
    assert (scene.oid("main"), scene.there()) == (ours, scene.start_oid)


@pytest.mark.parametrize("pushed", [False, True])
def test_a_merge_that_cannot_go_forward(scene: Scene, pushed: bool) -> None:
    on(scene, "topic", "t", "t\n")
    on(scene, "main", "m", "m\n")
    merge(scene, strategy="ff-only", push=pushed)
    batch, plans = batch_of(scene)
    (plan,) = plans
    words = "topic is not ahead of main: no fast-forward"
    assert (plan["error"], plan["fails"]) == (words, True)
    assert plan["summary"].endswith(f"; would fail: {words}")
    assert executed(scene, batch).errors == (words,)


def test_a_merge_into_a_branch_that_only_the_remote_has(scene: Scene) -> None:
    """The branch here begins where the remote has it."""
    there = on(scene, "release", "r", "r\n")
    scene.git("push", "-q", "origin", "release", UAM="off")
    scene.git("branch", "-q", "-D", "release")
    tip = on(scene, "topic", "t", "t\n")
    merge(scene, "release")
    batch, plans = batch_of(scene)
    (plan,) = plans
    assert (plan["old"], parents(scene, plan["new"])) == ("0" * 40, [there, tip])
    assert executed(scene, batch).success
    assert scene.oid("release") == plan["new"]
    as_foreseen(scene, plans)


def test_a_merge_into_a_branch_that_is_checked_out(scene: Scene) -> None:
    on(scene, "topic", "t", "t\n")
    scene.git("switch", "-q", "main")
    merge(scene)
    batch, plans = batch_of(scene)
    words = "main stays where it is: its files are checked out and would have to change"
    assert [plan["error"] for plan in plans] == [words]
    assert executed(scene, batch).errors == (words,)


def test_a_merge_of_what_is_there_does_nothing(scene: Scene) -> None:
    scene.git("branch", "topic")
    merge(scene)
    batch, plans = batch_of(scene)
    assert [(p["how"], p["old"], p["new"]) for p in plans] == [("nothing-new", scene.oid("main"), scene.oid("main"))]
    assert executed(scene, batch).success
    assert landings(scene) == {}


# -- a push ------------------------------------------------------------------------------------------------------


def pushing(scene: Scene, number: int, name: str) -> Worktree:
    """An agent that pushes one file to main, with its own text."""
    agent = scene.worktree(f"agent-{number}", "-b", f"agent-{number}", "main")
    write(agent, name, f"of {number}\n")
    record(agent, f"Write {name}")
    queue(agent)
    return agent


def test_a_push(scene: Scene) -> None:
    pushing(scene, 1, "f"), pushing(scene, 2, "g")
    batch, plans = batch_of(scene)
    (plan,) = plans
    assert (plan["how"], plan["conflicts"], len(plan["sources"])) == ("moved", {}, 2)
    assert plan["summary"] == "moved, 2 commits from agent-1, agent-2"
    assert executed(scene, batch).success
    assert scene.there() == plan["new"]
    as_foreseen(scene, plans)


def test_a_push_that_conflicts(scene: Scene) -> None:
    one, two = pushing(scene, 1, "f"), pushing(scene, 2, "f")
    batch, plans = batch_of(scene)
    (plan,) = plans
    assert plan["conflicts"] == {"2": ["f"]}
    assert plan["conflict_with"]["2"]["agent"] == "agent-1"
    whose = f"the work of agent-1 in the same batch ({one.short('HEAD')})"
    assert plan["summary"] == f"as-is, 1 commit from agent-1; would conflict: agent-2 in f with {whose}"
    result = executed(scene, batch)
    assert result.errors == (f"conflict in f with {whose}",)
    assert scene.there() == plan["new"] == one.oid("HEAD")
    kept(scene, [two.oid("HEAD")])


def test_a_push_that_carries_a_commit_by_name(scene: Scene) -> None:
    """The commit has no plan of its own: it is a source of the push, and conflicts there."""
    on(scene, "main", "m", "m\n")
    push(scene, "main", agent="bob")
    commit(scene, "f", "f\n")
    on(scene, "main", "f", "main\n")
    batch, plans = batch_of(scene)
    (plan,) = plans
    assert (plan["conflicts"], [s["agent"] for s in plan["sources"]]) == ({"2": ["f"]}, ["bob"])
    assert "would conflict: ann in f with the work of bob in the same batch" in plan["summary"]
    executed(scene, batch)
    assert list(refused_files(scene)) == ["2"]
    as_foreseen(scene, [plan | {"fails": False}])


def test_an_atomic_push_is_foreseen_to_land_whole_or_not_at_all(scene: Scene) -> None:
    on(scene, "topic", "t", "t\n")
    scene.git("tag", "v1", "main")
    on(scene, "main", "f", "main\n")
    queue(scene, "--atomic", "origin", "main", "topic")
    stranger = scene.stranger()
    write(stranger, "f", "theirs\n")
    record(stranger, "Write f")
    stranger.git("push", "-q", "origin", "main")
    scene.git("fetch", "-q", "origin")
    batch, plans = batch_of(scene)
    assert [plan["fails"] for plan in plans] == [True, True]
    assert sorted(plan.get("error", "") for plan in plans) == ["", "another ref of this atomic push failed"]
    assert not executed(scene, batch).success
    assert scene.there("refs/heads/topic") == ""


def test_a_push_that_is_not_a_fast_forward(scene: Scene) -> None:
    """A forced push by name, of a branch that the remote has moved since it was seen."""
    on(scene, "topic", "t", "t\n")
    scene.git("push", "-q", "origin", "topic", UAM="off")
    push(scene, "topic", force=True)
    on(scene, "topic", "t", "more\n")
    stranger = scene.stranger()
    stranger.git("switch", "-q", "topic")
    stranger.commit("s")
    stranger.git("push", "-q", "origin", "topic")
    scene.git("fetch", "-q", "origin", "refs/heads/topic")  # into FETCH_HEAD: its objects are here
    batch, plans = batch_of(scene)
    assert [(p["error"], p["fails"]) for p in plans] == [("stale info", True)]
    assert executed(scene, batch).errors == ("stale info",)


def test_what_is_not_here_yet_is_not_fetched(scene: Scene) -> None:
    push(scene, "main")
    on(scene, "main", "m", "m\n")
    stranger = scene.stranger()
    theirs = stranger.commit("s")
    stranger.git("push", "-q", "origin", "main")
    (plan,) = foreseen(scene)
    assert plan["summary"] == f"the remote is at {theirs[:7]}, which is not here yet; fetch to see a plan"
    assert scene.oid(theirs + "^{commit}") == ""


def test_a_remote_that_does_not_answer(scene: Scene) -> None:
    push(scene, "main")
    merge(scene, "main", "elsewhere", push=True)
    scene.remote.rename(scene.root / "away")
    try:
        done = scene.run("uam", "flush", "--dry-run", "--json")
    finally:
        (scene.root / "away").rename(scene.remote)
    errors = [plan["error"] for plan in json.loads(done.out)["plans"]]
    assert len(errors) == 2
    assert all(error.startswith("origin did not answer") for error in errors)


# -- a local squash ----------------------------------------------------------------------------------------------


def test_a_local_squash(scene: Scene) -> None:
    originals = [scene.commit("a"), scene.commit("b")]
    (plan,) = foreseen(scene)
    assert (plan["type"], plan["where"], plan["how"]) == ("commit", "elsewhere", "squashed")
    assert (plan["old"], plan["commits"]) == (originals[1], originals)
    assert plan["summary"] == "2 commits would be one, not pushed"
    assert scene.run("uam", "flush").code == 0
    new = scene.oid("elsewhere")
    assert (tree(scene, plan["new"]), scene.oid(f"{plan['new']}^")) == (tree(scene, new), scene.oid(f"{new}^"))

    def message(oid: str) -> str:
        return re.sub(r"Uam-(Batch|Original): .*\n?", "", scene.git("log", "-1", "--format=%an %ad %cn %cd%n%B", oid))

    assert message(plan["new"]) == message(new)
    sound(scene)


def test_local_squashes_are_foreseen_where_a_flush_makes_them(scene: Scene) -> None:
    scene.commit("a")
    assert foreseen(scene) == []  # one commit stays what it is
    scene.commit("b")
    with unchanged(scene):
        assert said(scene, "flush", "--due", "--dry-run") == "nothing to land"
    scene.git("config", "uam.commit.onWindow", "squash")
    scene.git("config", "uam.window.commit", "0")
    with unchanged(scene):
        assert said(scene, "flush", "--due", "--dry-run") == "nothing to land"  # queued with the old window
    scene.git("config", "uam.squash", "false")
    assert foreseen(scene) == []


def test_a_local_squash_that_something_holds(scene: Scene) -> None:
    """What a tag stands on is not squashed, and what a rebase holds does not move."""
    scene.commit("a")
    scene.commit("b")
    (scene.top / ".git" / "MERGE_HEAD").write_text(scene.start_oid + "\n")
    (plan,) = foreseen(scene)
    assert plan["error"] == "elsewhere stays where it is: a merge is under way there"
    before = scene.oid("elsewhere")
    done = scene.run("uam", "flush")
    assert (done.code, done.out) == (0, "nothing to land\n")
    assert done.ours == ["elsewhere stays where it is: a merge is under way there"]
    assert scene.oid("elsewhere") == before
    (scene.top / ".git" / "MERGE_HEAD").unlink()
    scene.git("tag", "v1")
    assert foreseen(scene) == []


def test_commits_that_a_foreseen_push_takes_are_not_squashed(scene: Scene) -> None:
    scene.commit("a")
    scene.commit("b")
    scene.git("push", "origin", "elsewhere")
    plans = foreseen(scene)
    assert [plan["type"] for plan in plans] == ["push"]
    assert scene.run("uam", "flush").code == 0
    assert [row["remote"] for row in scene.rows("landings")] == ["origin"]


def test_what_a_foreseen_push_takes_is_no_part_of_a_squash(scene: Scene) -> None:
    """Also where no tracking ref would say that the remote has it."""
    scene.commit("a")
    scene.git("push", "origin", "elsewhere")
    scene.commit("b")
    scene.git("config", "--unset-all", "remote.origin.fetch")
    plans = foreseen(scene)
    assert [(plan["type"], plan["how"]) for plan in plans] == [("push", "as-is")]
    assert scene.run("uam", "flush").code == 0
    assert scene.subjects("elsewhere") == ["Add b", "Add a", "Begin"]


@pytest.mark.parametrize("step", [Step.PLANNED, Step.PINNED, Step.PUSHED, Step.FINISHED])
def test_a_local_squash_that_dies_is_taken_up(scene: Scene, step: Step) -> None:
    originals = [scene.commit("a"), scene.commit("b")]
    assert scene.run("uam", "flush", UAM_DIE_AT=step).code == 137
    assert scene.oid("elsewhere^") == (originals[0] if step in (Step.PLANNED, Step.PINNED) else scene.start_oid)
    assert scene.run("uam", "flush").code == 0
    assert scene.subjects("elsewhere") == ["Squashed 2 commits:", "Begin"]
    assert [row["status"] for row in scene.rows("queued_commits")] == ["squashed", "squashed", "pending"]
    kept(scene, originals)


def test_a_commit_by_name_is_squashed_with_those_before_it(scene: Scene) -> None:
    """A flush by hand notes the commit by name like any other, and then makes one of both."""
    scene.commit("a")
    commit(scene, "b", "b\n", "elsewhere")
    plans = foreseen(scene)
    assert [(plan["type"], plan["how"]) for plan in plans] == [("commit", "as-is"), ("commit", "squashed")]
    assert plans[1]["old"] == plans[0]["new"]
    assert scene.run("uam", "flush").code == 0
    assert scene.subjects("elsewhere") == ["Squashed 2 commits:", "Begin"]
    assert tree(scene, plans[1]["new"]) == tree(scene, "elsewhere")


# -- several in one batch ----------------------------------------------------------------------------------------


def test_a_chain_in_one_batch(scene: Scene) -> None:
    """A commit on topic, a merge of topic into main, and the push of main: each on top of the one before it."""
    on(scene, "topic", "t", "t\n")
    scene.git("push", "-q", "origin", "topic", UAM="off")
    commit(scene, "c", "c\n", "topic")
    merge(scene)
    push(scene, "main", agent="bob")
    batch, plans = batch_of(scene)
    commits, merges, pushes = plans
    assert [plan["type"] for plan in plans] == ["commit", "merge", "push"]
    assert (merges["old"], pushes["old"]) == (scene.oid("main"), scene.there())
    assert parents(scene, merges["new"]) == [scene.oid("main"), commits["new"]]
    assert pushes["new"] not in ("", pushes["old"])
    assert pushes["fails"] is False
    assert executed(scene, batch).success
    assert (scene.oid("topic"), scene.there()) == (commits["new"], pushes["new"])
    as_foreseen(scene, plans)
    truthful(scene)


def test_a_conflict_with_what_the_same_batch_brings(scene: Scene) -> None:
    """Alone the merge would go well; what the commit before it leaves on main makes it conflict."""
    on(scene, "topic", "f", "topic\n")
    commit(scene, "f", "commit\n")
    merge(scene, agent="bob")
    batch, plans = batch_of(scene)
    words = "conflict in f between topic and main"
    assert [plan.get("error", "") for plan in plans] == ["", words]
    assert plans[1]["conflict_with"]["2"]["agent"] == "ann"
    assert f"with the work of ann before it ({plans[0]['new'][:7]})" in plans[1]["summary"]
    result = executed(scene, batch)
    assert result.errors == (words,)
    as_foreseen(scene, plans)


def test_what_depends_on_a_failure_is_foreseen_to_fail(scene: Scene) -> None:
    on(scene, "topic", "f", "topic\n")
    on(scene, "main", "f", "main\n")
    merged = merge(scene)
    script(scene.root / "deploy", "exit 0\n")
    scene.git("config", "uam.deploy.prod.command", str(scene.root / "deploy"))
    after = batcher(scene).queue("ann", "deploy", "prod", {"ref": "main"}, dependencies=[merged])
    batch, plans = batch_of(scene)
    assert [(plan["action"], plan["error"]) for plan in plans] == [
        (merged, "conflict in f between topic and main"), (after, f"dependency #{merged} failed"),
    ]  # fmt: skip
    result = executed(scene, batch)
    assert set(result.errors) == {plan["error"] for plan in plans}


def test_a_merge_of_what_a_push_before_it_lands(scene: Scene) -> None:
    """The branch follows its landing where nobody has it checked out, and that is what is merged."""
    on(scene, "topic", "t", "t\n")
    scene.git("push", "-q", "origin", "topic", UAM="off")
    stranger = scene.stranger()
    stranger.git("switch", "-q", "topic")
    stranger.commit("s")
    stranger.git("push", "-q", "origin", "topic")
    scene.git("fetch", "-q", "origin")
    on(scene, "topic", "u", "u\n")
    push(scene, "topic")
    merge(scene, agent="bob")
    batch, plans = batch_of(scene)
    assert [plan["type"] for plan in plans] == ["push", "merge"]
    assert parents(scene, plans[1]["new"])[1] == plans[0]["new"]
    assert executed(scene, batch).success
    as_foreseen(scene, plans)


def test_a_merge_of_what_a_merge_before_it_pushes(scene: Scene) -> None:
    """The branch here follows what was pushed, and the second merge takes it from there."""
    on(scene, "topic", "t", "t\n")
    on(scene, "topic", "u", "u\n")
    merge(scene, strategy="squash", push=True)
    scene.git("branch", "release", "main")
    merge(scene, "release", "main", agent="bob")
    batch, plans = batch_of(scene)
    assert [plan["where"] for plan in plans] == ["origin/main", "release"]
    assert parents(scene, plans[1]["new"])[1] == plans[0]["new"]
    assert executed(scene, batch).success
    as_foreseen(scene, plans)
    assert scene.oid(TRACKING) == plans[0]["new"]


def test_a_merge_that_is_pushed_after_a_push_of_the_branch(scene: Scene) -> None:
    """It is planned on what the push would leave on the remote."""
    on(scene, "topic", "t", "t\n")
    on(scene, "topic", "u", "u\n")
    push(scene, "topic")
    on(scene, "other", "o", "o\n")
    merge(scene, "topic", "other", agent="bob", push=True)
    batch, plans = batch_of(scene)
    assert [plan["where"] for plan in plans] == ["origin/topic", "origin/topic"]
    assert plans[1]["old"] == plans[0]["new"]
    assert parents(scene, plans[1]["new"]) == [plans[0]["new"], scene.oid("other")]
    assert executed(scene, batch).success
    as_foreseen(scene, plans)


# -- from Python -------------------------------------------------------------------------------------------------


def test_a_dry_run_from_python_tells_of_conflicts(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    on(scene, "topic", "f", "topic\n")
    on(scene, "main", "f", "main\n")
    merge(scene)
    dry = batcher(scene, dry_run=True)
    with unchanged(scene):
        batch = dry.create_batch()
        assert batch is not None
        result = dry.execute_batch(batch.id)
        printed = capsys.readouterr().out
        assert dry.flush_all() == []
        assert capsys.readouterr().out == printed
    assert (result.success, result.executed_actions, result.failed_actions) == (False, 0, 0)
    assert [f"main: {error}\n" for error in result.errors] == [printed]
    assert "would conflict: ann in f with " in printed


def test_a_dry_run_shows_local_squashes_from_python(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.commit("a")
    scene.commit("b")
    dry = batcher(scene, dry_run=True)
    with unchanged(scene):
        dry.flush_all(due_only=True)
        assert capsys.readouterr().out == ""
        dry.flush_all()
        assert capsys.readouterr().out == "elsewhere: 2 commits would be one, not pushed\n"


def test_a_dry_run_in_a_terminal_says_why(scene: Scene) -> None:
    on(scene, "topic", "t", "t\n")
    on(scene, "main", "m", "m\n")
    merge(scene, strategy="ff-only")
    assert scene.run("uam", "flush", "--dry-run") == Done(
        0, "main: merge topic (ff-only); would fail: topic is not ahead of main: no fast-forward\n", ""
    )
