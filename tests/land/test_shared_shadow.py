"""uam.fleet: a branch and its shadow go to the remote in one push, so that any clone can tell what has landed."""

from __future__ import annotations

import json

import pytest

from tests.support.landscape import (
    by_hand,
    environment,
    flushed,
    kept,
    queue,
    reachable,
    record,
    sound,
    truthful,
    updates,
    write,
)
from tests.support.scenes import Scene, Worktree, script
from tests.support.traces import traced
from uam_hooks.git.repo import Repository
from uam_hooks.install.install import install
from uam_hooks.land import one_push
from uam_hooks.land.steps import Step, reached

MAIN, THERE = "refs/heads/main", "refs/uam/shadow/main"


@pytest.fixture
def fleet(scene: Scene) -> Scene:
    """The scene as one machine of a fleet, which lands by hand."""
    scene.git("config", "uam.fleet", "f")
    return by_hand(scene)


def machine(scene: Scene, name: str = "other") -> Worktree:
    """Another clone of the fleet, with a queue of its own, whose pushes wait for their landing."""
    scene.outside.git("clone", "-q", str(scene.remote), name)
    other = Worktree(scene.root / name, {**scene.env, "UAM_AGENT_ID": name})
    for key, value in {"uam.window.push": "0", "uam.flusher.linger": "0", "uam.fleet": "f"}.items():
        other.git("config", key, value)
    with environment(other.env), Repository.at(other.top) as repo:
        install(repo)
    return other


def two(place: Worktree, name: str) -> list[str]:
    """Two commits, which land as one."""
    return [place.commit(f"{name}{number}") for number in (1, 2)]


def given(other: Worktree, scene: Scene) -> None:
    """Let the other machine have what the scene's worktree is at, as if it had been handed over."""
    other.git("fetch", "-q", str(scene.top), "HEAD")
    other.git("reset", "-q", "--hard", "FETCH_HEAD")


def moves(scene: Scene) -> list[list[str]]:
    """The refs of each push that changed a branch."""
    found = [sorted(ref for ref, _, _ in push) for push in updates(scene)]
    return [refs for refs in found if any(ref.startswith("refs/heads/") for ref in refs)]


def last(scene: Scene) -> tuple[str, str]:
    """What became of the last source, and how."""
    row = scene.rows("sources")[-1]
    return row["status"], json.loads(row["outcome"]).get("how", "")


def holds(scene: Scene, commits: list[str]) -> bool:
    """Whether the remote's shadow is one of what is on its main, and has all of these commits."""
    shadow = scene.bare.git("rev-list", THERE).split()
    return set(commits) <= set(shadow) and scene.bare.oid(f"{THERE}^1") in scene.bare.git("rev-list", "main").split()


@pytest.mark.slow
def test_h15_what_another_machine_has_landed_is_there(fleet: Scene) -> None:
    """It dies after its push, and has recorded nothing. A clone with an empty queue pushes nothing, and follows; one
    that works on the same lines goes on.
    """
    tips = two(fleet, "a")
    other, third = machine(fleet, "other"), machine(fleet, "third")
    given(other, fleet)
    given(third, fleet)
    queue(fleet)
    fleet.run("uam", "flush", UAM_DIE_AT=Step.PUSHED)
    assert (fleet.landed(), moves(fleet), holds(fleet, tips)) == (["Squashed 2 commits:"], [[MAIN, THERE]], True)
    before = fleet.there()
    done = other.push("origin", "HEAD:main")
    assert (done.code, len(moves(fleet)), fleet.there()) == (0, 1, before), done
    assert other.oid("HEAD") == before == other.oid("refs/remotes/origin/main")
    assert set(tips) <= reachable(other)
    write(third, "a1", "again\n")
    record(third, "Again")
    done = third.push("origin", "HEAD:main")
    assert done.code == 0, done
    flushed(fleet)
    assert last(fleet) == ("landed", "squashed")
    assert fleet.landed() == ["Squashed 2 commits:", "Again"]
    assert fleet.bare.git("show", "main:a1") == "again"
    truthful(fleet)
    sound(fleet.bare)


@pytest.mark.slow
@pytest.mark.parametrize("late", [False, True])
def test_h15_who_was_stopped_and_goes_on_lands_nothing_twice(
    fleet: Scene, late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine lands the same before its push begins, or while the remote takes it."""
    tips = two(fleet, "a")
    other = machine(fleet)
    given(other, fleet)
    queue(fleet)
    ended: list[int] = []

    def stopped(step: Step) -> None:
        reached(step)
        if step == Step.PINNED and not ended:
            ended.append(other.push("origin", "HEAD:main").code)

    if late:
        script(fleet.remote / "hooks" / "pre-receive", f"""[ ! -e once ] && grep -q {MAIN} || exit 0
touch once
unset $(git rev-parse --local-env-vars) GIT_QUARANTINE_PATH
cd "{other.top}" && git push -q origin HEAD:main
""")  # fmt: skip
    else:
        monkeypatch.setattr(one_push, "reached", stopped)
    flushed(fleet)
    assert ended == ([] if late else [0])
    assert last(fleet) == ("landed", "nothing-new")
    assert (fleet.landed(), moves(fleet), holds(fleet, tips)) == (["Squashed 2 commits:"], [[MAIN, THERE]], True)
    kept(fleet, tips)
    sound(fleet.bare)


@pytest.mark.slow
def test_h15_connections(fleet: Scene) -> None:
    """What the remote has is known after a landing, and what has moved is found out by the lease. The shadow is made
    once, also by a remote that has lost its hidden refs.
    """
    other = machine(fleet)
    found, tips = [], []
    for number in range(4):
        tips += two(fleet, f"a{number}")
        if number == 2:
            tips += two(other, "b")
            assert other.push("origin", "HEAD:main").code == 0
        if number == 3:
            fleet.bare.git("update-ref", "-d", THERE)
        queue(fleet)
        with traced(fleet) as trace:
            flushed(fleet)
        found.append(trace.connections)
    assert found == [
        ["look", "push", "push"],
        ["push"],
        ["push", "look", "look", "push"],
        ["push", "look", "push", "push"],
    ]
    assert fleet.landed() == ["Squashed 2 commits:"] * 5
    assert holds(fleet, tips)


@pytest.mark.slow
def test_h15_a_shadow_that_is_none_is_passed_over(fleet: Scene) -> None:
    """It says of commits that they have landed, in a form that none of ours has: they land whole all the same."""
    bare = fleet.bare
    for kind in ("blob", "elsewhere", "another tree"):
        tips = two(fleet, kind[0])
        bare.git("fetch", "-q", str(fleet.top), tips[1])
        tree = f"{tips[1]}^{{tree}}"
        made = {
            "blob": ("hash-object", "-w", "HEAD"),
            "elsewhere": ("commit-tree", "-m", "No", "-p", tips[0], "-p", tips[1], f"{tips[0]}^{{tree}}"),
            "another tree": ("commit-tree", "-m", "No", "-p", "main", "-p", tips[1], tree),
        }[kind]
        bare.git("update-ref", THERE, bare.git(*made))
        queue(fleet)
        flushed(fleet)
        assert (kind, last(fleet)) == (kind, ("landed", "squashed"))
        assert {f"{kind[0]}1", f"{kind[0]}2"} < set(fleet.files())
        assert holds(fleet, tips)
    assert fleet.landed() == ["Squashed 2 commits:"] * 3
    sound(bare)


@pytest.mark.slow
def test_h15_who_may_write_the_shadow_can_hold_up_work_and_lose_none(fleet: Scene) -> None:
    """One in our form says of commits that they have landed: these land no more, and are kept. What stands on them
    would bring along what nobody has changed, and is refused.
    """
    tips = two(fleet, "a")
    bare = fleet.bare
    bare.git("fetch", "-q", str(fleet.top), f"{tips[1]}:refs/heads/given")
    bare.git("update-ref", THERE, bare.git("commit-tree", "-m", "Forged", "-p", "main", "-p", tips[1], "main^{tree}"))
    bare.git("update-ref", "-d", "refs/heads/given")
    queue(fleet)
    flushed(fleet)
    assert (last(fleet), fleet.landed()) == (("landed", "nothing-new"), [])
    fleet.git("reset", "-q", "--hard", tips[1])
    tips.append(fleet.commit("mine"))
    queue(fleet)
    flushed(fleet)
    assert (last(fleet)[0], fleet.landed()) == ("failed", [])
    assert "would change a1, a2, which no source changed" in fleet.rows("sources")[-1]["outcome"]
    fleet.git("reset", "-q", "--hard", "origin/main")
    kept(fleet, tips)
    fleet.git("config", "--unset", "uam.fleet")
    fleet.git("update-ref", "-d", "refs/uam/shadow/origin/main")
    fleet.git("reset", "-q", "--hard", tips[2])
    queue(fleet)
    flushed(fleet)
    assert fleet.files() == ["README", "a1", "a2", "mine"]


REFUSALS = {
    "a hook": ("update", "case $1 in refs/uam/*) exit 1;; esac\n"),
    "a hook that judges all": ("pre-receive", "! grep -q refs/uam/\n"),
    "hidden": ("transfer.hideRefs", "refs/uam/"),
    "hidden from pushes": ("receive.hideRefs", "refs/uam/"),
    "hidden from fetches": ("uploadpack.hideRefs", "refs/uam/"),
    "no atomic pushes": ("receive.advertiseAtomic", "false"),
}


@pytest.mark.slow
def test_h15_a_remote_that_does_not_take_it_lands_nothing(fleet: Scene) -> None:
    """Also where it takes the branch of an atomic push and not the other ref, as git does with one that is hidden."""
    bare, before = fleet.bare, None
    tips = two(fleet, "a")
    for turn in range(2):  # the shadow is to be made; it is there
        for how, (name, value) in REFUSALS.items():
            if how == "hidden from fetches" if before is None else how in ("a hook", "hidden", "no atomic pushes"):
                continue  # the one is as if it were not there, and the others need not be tried again
            hook = script(fleet.remote / "hooks" / name, value) if how.startswith("a hook") else None
            if hook is None:
                bare.git("config", name, value)
            # who remembers what the remote has needs not see it
            for ref in fleet.git("for-each-ref", "--format=%(refname)", "refs/uam/remote/").split():
                fleet.git("update-ref", "-d", ref)
            queue(fleet)
            flushed(fleet)
            words = json.loads(fleet.rows("sources")[-1]["outcome"]).get("error", "")
            refs = bare.git("for-each-ref", "--format=%(objectname)", "refs/heads/main", THERE).split()
            assert (how, THERE in words, "leave the fleet" in words) == (how, True, True)
            assert (how, refs) == (how, before or [fleet.start_oid])
            if hook is None:
                bare.git("config", "--unset", name)
            else:
                hook.unlink()
        queue(fleet)
        flushed(fleet)
        before = [fleet.there(), fleet.there(THERE)]
        kept(fleet, tips)
        tips += two(fleet, f"b{turn}")
    assert fleet.landed() == ["Squashed 2 commits:"] * 2
    assert holds(fleet, tips[:4])


@pytest.mark.slow
def test_h15_who_joins_late_brings_what_it_remembers(scene: Scene) -> None:
    """Both clones have landed by themselves, squashed; what both remember is one shadow from then on."""
    by_hand(scene)
    other = machine(scene)
    other.git("config", "--unset", "uam.fleet")
    tips = two(scene, "a")
    queue(scene)
    flushed(scene)
    tips += two(other, "b")
    assert other.push("origin", "HEAD:main").code == 0
    assert scene.bare.git("for-each-ref", "refs/uam/") == ""  # who is in no fleet shares nothing
    scene.git("config", "uam.fleet", "f")
    other.git("config", "uam.fleet", "f")
    tips += two(other, "c")
    assert other.push("origin", "HEAD:main").code == 0
    write(scene, "a1", "again\n")
    tips += [record(scene, "Again"), scene.commit("d")]
    queue(scene)
    flushed(scene)
    assert (last(scene)[0], scene.bare.git("show", "main:a1")) == ("landed", "again")
    assert holds(scene, tips)
    sound(scene.bare)


def test_h15_branches_do_not_share_their_fate_unless_asked(fleet: Scene) -> None:
    """The remote refuses one of them; a push that is atomic has both, with their shadows."""
    fleet.git("config", "uam.squash.branches", "*")
    script(fleet.remote / "hooks" / "update", "[ $1 != refs/heads/closed ]\n")
    two(fleet, "a")
    queue(fleet, "origin", "HEAD:main", "HEAD:closed")
    flushed(fleet)
    assert sorted(row["status"] for row in fleet.rows("sources")) == ["failed", "landed"]
    queue(fleet, "--atomic", "origin", "HEAD:open", "HEAD:more")
    flushed(fleet)
    two(fleet, "b")
    queue(fleet, "--atomic", "origin", "HEAD:open", "HEAD:more")
    flushed(fleet)
    refs = ["refs/heads/more", "refs/heads/open", "refs/uam/shadow/more", "refs/uam/shadow/open"]
    assert moves(fleet)[-1] == refs


def test_h15_a_shadow_whose_name_is_in_the_way_makes_room(fleet: Scene) -> None:
    """Its branch is gone from the remote, where another one took its name as a folder."""
    fleet.git("config", "uam.squash.branches", "*")
    for branch in ("topic", "topic/more"):
        two(fleet, branch)
        fleet.bare.git("update-ref", f"refs/heads/{branch}", fleet.start_oid)
        queue(fleet, "origin", f"HEAD:{branch}")
        flushed(fleet)
        assert last(fleet)[0] == "landed"
        fleet.bare.git("update-ref", "-d", f"refs/heads/{branch}")
    assert fleet.bare.git("for-each-ref", "--format=%(refname)", "refs/uam/") == "refs/uam/shadow/topic/more"
