"""Clones in a fleet: pushes of several machines land together, whoever of them dies, stops, or cannot ask anybody."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from functools import partial

import pytest

from tests.fleet.machines import Clone, clones, database_of, holders, let_hold, pushed_together, url_of, waiting
from tests.support.postgres import Server
from tests.support.scenes import Scene, finished, until
from uam_hooks.fleet.steps import Handing

pytestmark = [pytest.mark.slow, pytest.mark.staying]


@pytest.fixture
def machines(plain: Scene, postgres: Server, request: pytest.FixtureRequest) -> Iterator[list[Clone]]:
    """Two machines, or as many as are named."""
    plain.commit("lines", "".join(f"{n}\n" for n in range(20)))
    plain.git("push", "-q", "origin", "main")
    made = clones(plain, postgres, getattr(request, "param", ["ada", "bob"]))
    yield made
    for one in made:
        one.close()


def warm(machines: list[Clone]) -> None:
    """Let each machine have a flusher, and all of them what is on the remote."""
    for one in machines:
        one.commit(f"warm-{one.top.name}")
        assert one.push("origin", "main").code == 0
    for one in machines:
        one.git("pull", "-q", "--rebase", "origin", "main")


def runs(scene: Scene) -> int:
    """How often main was pushed to: what CI would run for."""
    return sum(":refs/heads/main" in line for line in scene.pushes())


def once(scene: Scene, *subjects: str) -> None:
    """These subjects are on main exactly once each."""
    there = scene.bare.subjects("main")
    assert {subject: there.count(subject) for subject in subjects} == dict.fromkeys(subjects, 1)


def _has_ended(one: Clone) -> bool:
    return not set(one.pushed()) - {"completed", "failed", "cancelled"}


def _has_died_or_ended(one: Clone) -> bool:
    return _has_ended(one) or not one.flushers()


def nothing_left(machines: list[Clone]) -> None:
    """No queue has anything that waits, and no branch is behind or ahead."""
    for one in machines:
        until(partial(_has_ended, one), "the end of its pushes")
        one.git("fetch", "-q")
        one.git("merge", "-q", "--ff-only", "origin/main")
        assert one.clean(), one.status()


@pytest.mark.parametrize("machines", [["ada", "bob", "eve"]], indirect=True, ids=["three"])
def test_what_three_machines_push_within_a_window_is_one_push(plain: Scene, machines: list[Clone]) -> None:
    warm(machines)
    before = runs(plain)
    for one in machines:
        one.commit(f"work-{one.top.name}", message=f"Work of {one.top.name}")
    done = pushed_together(machines)
    assert [one.code for one in done] == [0, 0, 0], done
    assert runs(plain) == before + 1
    once(plain, *(f"Work of {one.top.name}" for one in machines))
    main = plain.there()
    for one, how in zip(machines, done, strict=True):
        assert one.oid("HEAD") == one.oid("refs/remotes/origin/main") == main
        assert one.clean()
        others = [other.top.name for other in machines if other is not one]
        assert f"{others[0]} and {others[1]} landed in the same push" in how.err
    # the unsquashed history is there for whoever comes later
    assert plain.there("refs/uam/shadow/main")
    nothing_left(machines)


def test_a_machine_that_nobody_else_was_seen_beside_waits_for_no_window(
    plain: Scene, postgres: Server, machines: list[Clone]
) -> None:
    ada, bob = machines
    for one in machines:
        one.git("config", "uam.window.company", "10m")
        one.git("config", "uam.window.push", "1h")
    ada.commit("alone", message="Alone")
    assert ada.push("origin", "main").code == 0
    # bob holds the branch, for what nobody waits for, and ada hears of him by that
    bob.commit("held", message="Held")
    assert bob.run("-c", "uam.push.mode=queue", "push", "origin", "main").code == 0
    until(lambda: holders(postgres, bob) == 1, "a holder")
    ada.commit("with", message="With bob")
    assert ada.push("origin", "main").code == 0
    once(plain, "Alone", "Held", "With bob")  # what bob holds lands with it
    ada.commit("later", message="Later")
    second = ada.start("push", "origin", "main")
    until(lambda: len(ada.pushed()) == 3, "the second push")
    dues = [row["execute_after"] > row["queued_at"] for row in ada.rows("deploy_queue") if row["action_type"] == "push"]
    assert dues == [False, False, True]
    os.killpg(second.pid, signal.SIGTERM)
    finished(second)
    bob.commit("end", message="End")
    bob.git("config", "uam.window.push", "0")
    assert bob.push("origin", "main").code == 0
    once(plain, "Alone", "Held", "With bob", "End")


def test_who_holds_a_branch_lands_what_is_due_of_others_before_its_own_window_ends(
    plain: Scene, postgres: Server, machines: list[Clone]
) -> None:
    ada, bob = machines
    let_hold(postgres, ada)
    bob.commit("due", message="Due")
    assert bob.push("origin", "main").code == 0
    assert runs(plain) == 2  # the first commit, and both of these
    once(plain, "Held", "Due")


def test_what_several_push_on_one_machine_is_handed_over_within_the_window(
    plain: Scene, postgres: Server, machines: list[Clone]
) -> None:
    """What joins a push while it is handed over goes along, and nothing sleeps until its window ends."""
    ada, bob = machines
    warm(machines)
    places = [bob.worktree(f"bob-{number}") for number in range(4)]
    for number, place in enumerate(places):
        place.commit(f"work-{number}", message=f"Work {number}")
    ada.git("config", "uam.window.push", "1h")
    ada.commit("first", message="First")
    assert ada.run("-c", "uam.push.mode=queue", "push", "origin", "main").code == 0
    until(lambda: holders(postgres, ada) == 1, "a holder")
    bob.git("config", "uam.window.push", "1h")
    before = runs(plain)
    pushes = [place.start("push", "origin", "HEAD:main") for place in places]
    waiting(postgres, url_of(bob), 4)
    ada.git("config", "uam.window.push", "0")
    ada.commit("last", message="Last")
    assert ada.push("origin", "main").code == 0
    assert [finished(push).code for push in pushes] == [0] * 4
    assert runs(plain) == before + 1
    once(plain, "First", "Last", *(f"Work {number}" for number in range(4)))


def test_a_flush_by_hand_lands_what_waits_and_says_what_landed(plain: Scene, machines: list[Clone]) -> None:
    ada = machines[0]
    ada.git("config", "uam.window.push", "1h")
    ada.commit("now", message="Now")
    assert ada.run("-c", "uam.push.mode=queue", "push", "origin", "main").code == 0
    done = ada.run("uam", "flush")
    assert done.code == 0, done
    assert "landed on origin/main" in done.out
    once(plain, "Now")


def test_a_flush_by_hand_lands_what_another_machine_has_in_hand(
    plain: Scene, postgres: Server, machines: list[Clone]
) -> None:
    ada, bob = machines
    for one in machines:
        one.git("config", "uam.window.push", "1h")
        one.git("config", "uam.push.mode", "queue")
    ada.commit("held", message="Held")
    assert ada.push("origin", "main").code == 0
    until(lambda: holders(postgres, ada) == 1, "a holder")
    bob.commit("handed", message="Handed")
    assert bob.push("origin", "main").code == 0
    waiting(postgres, url_of(bob), 1)
    until(lambda: any(row["entrusted"] for row in bob.rows("deploy_queue")), "what is handed over")
    done = bob.run("uam", "flush")
    assert done.code == 0, done
    assert "landed on origin/main" in done.out
    once(plain, "Held", "Handed")


def test_who_conflicts_with_another_machine_is_told_with_whose_work(plain: Scene, machines: list[Clone]) -> None:
    warm(machines)
    ada, bob = machines[:2]
    for one in (ada, bob):
        one.commit("lines", f"{one.top.name}\n", message=f"Mine, {one.top.name}")
    done = pushed_together([ada, bob])
    assert sorted(how.code for how in done) == [0, 1], done
    loser = next(n for n, how in enumerate(done) if how.code)
    winner = (ada, bob)[1 - loser].top.name
    assert f"lines conflicts with the work of {winner}" in done[loser].err
    assert "`git pull --rebase origin main`, resolve, and push again" in done[loser].err
    assert (ada, bob)[loser].subjects("-1") == [f"Mine, {(ada, bob)[loser].top.name}"]
    once(plain, f"Mine, {winner}")


def test_a_push_of_another_form_lands_from_its_own_machine(plain: Scene, machines: list[Clone]) -> None:
    warm(machines)
    ada = machines[0]
    ada.git("tag", "-m", "One", "v1")
    ada.git("checkout", "-q", "-b", "topic")
    ada.commit("topic")
    assert ada.push("origin", "v1", "topic").code == 0
    assert plain.there("refs/tags/v1") == ada.oid("v1")
    assert plain.there("refs/heads/topic") == ada.oid("topic")
    ada.git("commit", "-q", "--amend", "-m", "Another topic")
    assert ada.push("--force-with-lease", "origin", "topic").code == 0
    assert ada.push("origin", ":topic").code == 0
    assert not plain.there("refs/heads/topic")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_holder_that_dies_or_stops_is_replaced(
    plain: Scene, postgres: Server, machines: list[Clone], how: signal.Signals
) -> None:
    warm(machines)
    ada, bob = machines[:2]
    ada.git("config", "uam.window.push", "1h")
    ada.commit("held", message="Held")
    assert ada.push("origin", "main", UAM_AGENT_ID="ada", GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="uam.push.mode",
                    GIT_CONFIG_VALUE_0="queue").code == 0  # fmt: skip
    until(lambda: holders(postgres, ada) == 1, "a holder")
    bob.git("config", "uam.window.push", "4s")
    bob.commit("urgent", message="Urgent")
    process = bob.start("push", "origin", "main")
    waiting(postgres, url_of(bob), 1)
    for pid in ada.flushers():
        os.kill(pid, how)
    done = finished(process)
    assert done.code == 0, done
    once(plain, "Urgent")
    assert "Held" not in plain.bare.subjects("main")
    for pid in ada.flushers():
        os.kill(pid, signal.SIGCONT)
    ada.git("config", "uam.window.push", "0")
    ada.commit("more", message="More")
    assert ada.push("origin", "main").code == 0
    until(lambda: "Held" in plain.bare.subjects("main"), "the landing of what was held")
    once(plain, "Urgent", "Held", "More")
    nothing_left(machines)


def test_whoever_dies_at_a_step_nothing_is_lost_and_nothing_lands_twice(plain: Scene, machines: list[Clone]) -> None:
    """Both machines die there, the one that hands over and the one that lands: after each step, one after the other."""
    subjects = []
    for step in Handing:
        for one in machines:
            one.git("config", "uam.push.mode", "queue")
            one.git("config", "uam.window.push", "300ms")
            one.commit(f"work-{one.top.name}", f"{step}\n", message=f"{one.top.name} at {step}")
            assert one.push("origin", "main", UAM_DIE_AT=step).code == 0
        for one in machines:
            until(partial(_has_died_or_ended, one), "the death of its flusher")
        for one in machines:
            one.git("config", "uam.push.mode", "wait")
            one.git("config", "uam.window.push", "0")
            one.commit(f"more-{one.top.name}", f"{step}\n", message=f"{one.top.name} after {step}")
            done = one.push("origin", "main")
            assert done.code == 0, (step, done)
        subjects += [f"{one.top.name} {when} {step}" for one in machines for when in ("at", "after")]
        once(plain, *subjects)
    nothing_left(machines)


def test_without_the_database_pushes_wait_and_land_when_it_is_back(
    plain: Scene, postgres: Server, machines: list[Clone]
) -> None:
    warm(machines)
    ada = machines[0]
    postgres.kill()
    ada.commit("waits", message="Waits")
    process = ada.start("push", "origin", "main")
    until(lambda: [r for r in ada.rows("deploy_queue") if "fleet's database" in r["error"]], "the reason")
    assert "Waits" not in plain.bare.subjects("main")
    postgres.start()
    done = finished(process)
    assert done.code == 0, done
    once(plain, "Waits")


def test_without_the_database_each_machine_lands_by_itself_where_that_is_wished(
    plain: Scene, postgres: Server, machines: list[Clone]
) -> None:
    warm(machines)
    ada, bob = machines[:2]
    for one in (ada, bob):
        one.git("config", "uam.fleet.onLoss", "local")
        one.commit(f"alone-{one.top.name}", message=f"Alone, {one.top.name}")
    bob.git("config", "uam.window.push", "1h")
    held = bob.start("push", "origin", "main")
    until(lambda: bob.rows("sources")[-1:], "the push of bob")
    ada.git("config", "uam.window.push", "4s")
    process = ada.start("push", "origin", "main")
    waiting(postgres, url_of(ada), 1)
    postgres.kill()
    done = finished(process)
    assert done.code == 0, done
    once(plain, "Alone, ada")
    postgres.start()
    bob.git("config", "uam.window.push", "0")
    os.killpg(held.pid, signal.SIGTERM)
    finished(held)
    bob.commit("more", message="More")
    done = bob.push("origin", "main")
    assert done.code == 0, done
    once(plain, "Alone, ada", "Alone, bob", "More")


def test_a_database_that_has_lost_what_was_handed_over_is_told_again(
    plain: Scene, postgres: Server, machines: list[Clone]
) -> None:
    warm(machines)
    ada, bob = machines
    for one in machines:
        one.git("config", "uam.window.push", "4s")
    running = []
    for one in (ada, bob):
        one.commit(f"work-{one.top.name}", message=f"Work of {one.top.name}")
        running.append(one.start("push", "origin", "main"))
        until(partial(_is_handed_or_held, postgres, one), "its place in the fleet")
    waiting(postgres, url_of(bob), 1)
    postgres.sql("DELETE FROM uam.entries", database=database_of(url_of(bob)))
    postgres.kill()
    postgres.start()
    done = [finished(process) for process in running]
    assert [how.code for how in done] == [0, 0], done
    once(plain, "Work of ada", "Work of bob")


def _is_handed_or_held(server: Server, one: Clone) -> bool:
    return bool(one.rows("sources")) and holders(server, one) == 1


def test_a_remote_that_loses_its_hidden_refs_loses_nothing(
    plain: Scene, postgres: Server, machines: list[Clone]
) -> None:
    warm(machines)
    ada, bob = machines[:2]
    ada.git("config", "uam.window.push", "1s")
    for one in (ada, bob):
        one.commit(f"work-{one.top.name}", message=f"Work of {one.top.name}")
    running = [one.start("push", "origin", "main") for one in (ada, bob)]
    waiting(postgres, url_of(bob), 1)
    for ref in plain.bare.git("for-each-ref", "--format=%(refname)", "refs/uam/").splitlines():
        plain.bare.git("update-ref", "-d", ref)
    assert [finished(process).code for process in running] == [0, 0]
    once(plain, "Work of ada", "Work of bob")
