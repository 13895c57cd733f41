"""A landing is planned on what the remote was last known to have: its lease proves that, and costs no connection."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from tests.support.landscape import by_hand, enqueue, flushed, kept, queue, sound, truthful
from tests.support.scenes import SHADOW, TRACKING, Kept, Scene, Worktree, script
from tests.support.traces import traced
from uam_hooks.land.steps import Step

# What somebody else does on the remote, out of our sight.
Others = Callable[[Scene], object]


@pytest.fixture(scope="module")
def landed_once(tmp_path_factory: pytest.TempPathFactory, templates: dict[str, Scene]) -> Kept:
    scene = Scene(tmp_path_factory.mktemp("known") / "scene", templates["wired"])
    scene.commit("first")
    assert scene.push().code == 0
    scene.idle()
    return Kept(scene)


@pytest.fixture
def known(landed_once: Kept) -> Iterator[Scene]:
    """A scene from which main has been landed on, so that it is known what the remote has."""
    with landed_once.again() as scene:
        yield scene


def theirs(scene: Scene, name: str = "theirs", *push: str) -> str:
    """A commit of somebody who knows nothing of us."""
    other: Worktree = scene.stranger()
    other.git("fetch", "-q")
    other.git("reset", "-q", "--hard", "origin/main")
    oid = other.commit(name)
    other.git("push", "-q", *(push or ("origin", "HEAD:main")))
    return oid


def moved(scene: Scene) -> None:
    theirs(scene)


def rewound(scene: Scene) -> None:
    scene.bare.git("update-ref", "refs/heads/main", scene.start_oid)


def deleted(scene: Scene) -> None:
    scene.bare.git("update-ref", "-d", "refs/heads/main")


def recreated(scene: Scene) -> None:
    """Another history, with the file that was there."""
    tree = scene.bare.git("rev-parse", f"{scene.start_oid}^{{tree}}")
    scene.bare.git("update-ref", "refs/heads/main", scene.bare.git("commit-tree", "-m", "Anew", tree))


MOVES: dict[str, Others] = {one.__name__: one for one in (moved, rewound, deleted, recreated)}


def conflicting(scene: Scene) -> None:
    """Queue what conflicts with others' work, which a flush finds out: it fails, and no tracking ref knows why."""
    by_hand(scene)
    theirs(scene, "f")
    scene.commit("f", "mine\n")
    queue(scene)
    flushed(scene)
    assert scene.rows("sources")[-1]["status"] == "failed"


def test_nobody_has_pushed_since(known: Scene) -> None:
    before = known.there()
    known.commit("second")
    with traced(known) as trace:
        done = known.push()
    assert (done.code, done.ours, trace.connections) == (0, [], ["push"])
    assert f"{before[:7]}..{known.there()[:7]}  main -> main" in done.err
    assert known.landed() == ["Add first", "Add second"]
    assert known.clean()


def test_three_commits_that_become_one(known: Scene) -> None:
    for name in "abc":
        known.commit(name)
    with traced(known) as trace:
        assert known.push().code == 0
    assert trace.connections == ["push"]
    assert known.landed() == ["Add first", "Squashed 3 commits:"]
    assert known.clean()


def test_what_is_not_known_is_asked(scene: Scene) -> None:
    scene.commit("first")
    with traced(scene) as trace:
        assert scene.push().code == 0
    assert trace.connections == ["look", "push"]


def test_a_person_has_fetched_what_others_did(known: Scene) -> None:
    theirs(known)
    known.git("fetch", "-q")
    known.commit("second")
    with traced(known) as trace:
        assert known.push().code == 0
    assert trace.connections == ["push"]
    assert known.files() == ["README", "first", "second", "theirs"]


@pytest.mark.parametrize("last", ["a flush", "a person"])
def test_what_was_seen_last_counts(known: Scene, last: str) -> None:
    """A flush whose push conflicts has seen what no tracking ref says, and a person may have fetched since."""
    conflicting(known)
    assert known.oid(TRACKING) != known.there()
    if last == "a person":
        theirs(known, "more")
        known.git("fetch", "-q")
    known.git("reset", "-q", "--hard", "origin/main")
    known.commit("second")
    assert enqueue(known)  # without a git that lets the tracking ref follow
    with traced(known) as trace:
        flushed(known)
    assert trace.connections == ["push"]
    assert {"f", "second"} < set(known.files())


@pytest.mark.parametrize("count", [1, 2])
def test_somebody_has_pushed_since(known: Scene, count: int) -> None:
    oid = theirs(known)
    for name in "ab"[:count]:
        known.commit(name)
    with traced(known) as trace:
        done = known.push()
    assert (done.code, trace.connections) == (0, ["push", "look", "push"])
    assert f"{oid[:7]}..{known.there()[:7]}  main -> main" in done.err
    assert "stale" not in done.err and "rejected" not in done.err
    assert known.oid(f"{known.there()}^") == oid
    assert known.clean()


def test_what_landed_from_here_in_between_is_remembered(known: Scene) -> None:
    """The git of a push that ends late sets the tracking ref to what its own landing made of the remote."""
    known.git("config", "uam.settle", "off")
    before = known.there()
    mine = [known.commit("a", text) for text in ("first\n", "second\n")]
    assert known.push().code == 0
    other = known.worktree("other", "-b", "other", before)
    for text in ("first\n", "second\n"):
        other.commit("b", text)
    known.git("update-ref", TRACKING, before)
    assert other.push("origin", "HEAD:main").code == 0
    assert [row["status"] for row in known.rows("landings")][-2:] == ["abandoned", "landed"]
    assert set(mine) < set(known.git("rev-list", SHADOW).split())
    known.commit("a", "third\n")
    done = known.push()
    assert done.code == 0, done
    assert known.bare.git("show", "main:a") == "third"
    assert known.files() == ["README", "a", "b", "first"]


@pytest.mark.parametrize(("others", "connections"), [
    (rewound, ["push", "look", "push"]),
    (deleted, ["push", "look", "look", "push"]),
    (recreated, ["push", "look", "push"]),
])  # fmt: skip
def test_the_branch_is_not_what_it_was(known: Scene, others: Others, connections: list[str]) -> None:
    others(known)
    there = known.there()
    known.commit("second")
    with traced(known) as trace:
        done = known.push()
    assert (done.code, trace.connections) == (0, connections), done
    assert ("[new branch]" if not there else f"{there[:7]}..{known.there()[:7]}") in done.err
    assert "stale" not in done.err and "rejected" not in done.err
    assert known.files() == ["README", "first", "second"]
    truthful(known)
    sound(known)


def test_nothing_new_is_an_answer_of_the_remote(known: Scene) -> None:
    with traced(known) as trace:
        done = known.push()
    assert (done.code, done.err, trace.connections) == (0, "Everything up-to-date\n", ["look"])
    rewound(known)
    assert known.push().code == 0
    assert known.landed() == ["Add first"]


def test_the_remote_has_the_very_commit_from_somebody_else(known: Scene) -> None:
    """git would have listed the remote, and said so."""
    oid = known.commit("second")
    known.git("push", "-q", str(known.remote), f"{oid}:refs/heads/main", UAM="off")
    assert known.oid(TRACKING) != oid
    done = known.push()
    assert (done.code, done.ours) == (0, []), done
    assert done.err.endswith("Everything up-to-date\n")
    assert known.oid(TRACKING) == oid
    assert "planned" not in [row["status"] for row in known.rows("landings") if row["new"] != oid]


def test_nobody_is_blamed_for_a_conflict_with_what_is_gone(known: Scene) -> None:
    conflicting(known)
    rewound(known)
    known.push("origin", "HEAD:main")
    flushed(known)
    assert known.rows("sources")[-1]["status"] == "landed"
    assert known.bare.git("show", "main:f") == "mine"


@pytest.mark.parametrize("same", [True, False])
def test_the_remote_is_somewhere_else(known: Scene, same: bool) -> None:
    """What is remembered is what the old place had; the lease is about the new one."""
    other = known.root / "other.git"
    known.outside.git("clone", "-q", "--bare", str(known.remote), str(other))
    there = Worktree(other, known.env)
    if not same:
        there.git("update-ref", "refs/heads/main", known.start_oid)
    known.git("remote", "set-url", "origin", str(other))
    before = known.there()
    known.commit("second")
    with traced(known) as trace:
        assert known.push().code == 0
    assert trace.connections == (["push"] if same else ["push", "look", "push"])
    assert known.there() == before
    assert set(there.git("ls-tree", "--name-only", "main").split()) == {"README", "first", "second"}


def test_every_place_of_a_remote_has_what_landed(known: Scene) -> None:
    other = known.root / "other.git"
    known.outside.git("clone", "-q", "--bare", str(known.remote), str(other))
    for url in (known.remote, other):
        known.git("config", "--add", "remote.origin.uam-pushurl", str(url))
    known.commit("second")
    with traced(known) as trace:
        assert known.push().code == 0
    assert trace.connections == ["push", "push"]
    assert Worktree(other, known.env).oid("main") == known.there()


def test_a_place_that_is_fetched_from_nowhere_is_remembered(known: Scene) -> None:
    """No remote-tracking ref says what is there."""
    other = known.root / "other.git"
    known.outside.git("clone", "-q", "--bare", str(known.remote), str(other))
    known.git("config", "remote.origin.uam-pushurl", str(other))
    by_hand(known)
    counts = []
    for name in "ab":
        known.commit(name)
        queue(known)
        with traced(known) as trace:
            flushed(known)
        counts.append(trace.connections)
    assert counts == [["look", "push"], ["push"]]
    assert Worktree(other, known.env).subjects("-2", "main") == ["Add b", "Add a"]


def test_the_default_branch_is_remembered_with_it(scene: Scene) -> None:
    """Commits are squashed there and kept elsewhere, and nothing in this clone says which it is."""
    scene.bare.git("symbolic-ref", "HEAD", "refs/heads/trunk")
    scene.bare.git("update-ref", "refs/heads/trunk", scene.start_oid)
    by_hand(scene)
    for number in range(2):
        for name in "ab":
            scene.commit(f"{name}{number}")
        queue(scene, "origin", "HEAD:trunk")
        with traced(scene) as trace:
            flushed(scene)
    assert trace.connections == ["push"]
    assert scene.bare.subjects("--first-parent", "trunk") == ["Squashed 2 commits:", "Squashed 2 commits:", "Begin"]


def test_a_remote_that_names_no_default_branch_yet_is_asked_again(scene: Scene) -> None:
    """It had nothing in its default branch when it was asked; the landing has made that."""
    scene.bare.git("symbolic-ref", "HEAD", "refs/heads/trunk")
    by_hand(scene)
    for name in "abcd":
        scene.commit(name)
        if name in "bd":
            queue(scene, "origin", "HEAD:trunk")
            flushed(scene)
    assert scene.bare.subjects("-1", "trunk") == ["Squashed 2 commits:"]


def test_a_gate_tests_what_lands_and_nothing_before(known: Scene) -> None:
    gate = script(known.root / "gate", f'echo run >>"{known.root}/runs"\n')
    known.git("config", "uam.gate.tests.command", str(gate))
    theirs(known)
    known.commit("second")
    with traced(known) as trace:
        assert known.push().code == 0
    assert trace.connections[-1:] == ["push"] and trace.connections.count("push") == 1
    assert (known.root / "runs").read_text().split() == ["run"]


def test_what_a_hook_of_the_remote_says_is_said_once(known: Scene) -> None:
    theirs(known)
    script(known.remote / "hooks" / "pre-receive", "echo seen >&2\n")
    known.commit("second")
    done = known.push()
    assert (done.code, done.err.count("remote: seen")) == (0, 1), done


@pytest.mark.parametrize("step", [Step.PINNED, Step.PUSHED])
@pytest.mark.parametrize("others", MOVES)
def test_a_crash_and_a_branch_that_is_not_what_it_was(known: Scene, step: Step, others: str) -> None:
    """What was planned on memory is recovered by asking."""
    by_hand(known)
    tips = [known.commit("a"), known.commit("b")]
    queue(known)
    known.run("uam", "flush", UAM_DIE_AT=step)
    assert (known.there() != known.oid(TRACKING)) == (step == Step.PUSHED)
    MOVES[others](known)
    flushed(known)
    assert {"a", "b"} < set(known.files())
    subjects = known.bare.subjects("main")
    assert len(set(subjects)) == len(subjects)
    assert json.loads(known.rows("sources")[-1]["outcome"])["new"] in known.bare.git("rev-list", "main")
    kept(known, tips)
    truthful(known)
    sound(known)
