"""The ledger: what was asked for and started is what the remote has seen; the rest follows from that by arithmetic."""

from __future__ import annotations

import json

import pytest

from tests.support.landscape import flushed, updates
from tests.support.queueing import change
from tests.support.scenes import Scene
from uam_hooks.hot.core.errors import Failure
from uam_hooks.hot.queue import refusals
from uam_hooks.hot.queue.model import NewSource
from uam_hooks.hot.queue.outcome import Outcome, Rival
from uam_hooks.report.lately import conflicts
from uam_hooks.report.ledger import Cancelled, cancelling, ledger, total, waiting
from uam_hooks.store.conflicts import Met
from uam_hooks.store.conflicts import conflicts as met
from uam_hooks.store.folded import Asked, Run
from uam_hooks.store.ledger import measured


def test_runs_are_the_updates_of_branches_that_the_remote_has_seen(scene: Scene) -> None:
    scene.git("config", "uam.push.mode", "manual")
    agents = [scene.worktree(name) for name in ("one", "two", "three")]
    for agent in agents:
        agent.commit(agent.top.name)
        agent.push("origin", "HEAD:main")
    agents[0].commit("more")
    agents[0].push("origin", "HEAD:main")  # instead of its first push
    agents[1].git("tag", "v1")
    agents[1].push("origin", "v1")  # no branch
    flushed(scene)
    scene.git("config", "uam.push.accept", "false")
    agents[2].commit("one", "in the way")
    agents[2].push("origin", "HEAD:main")  # conflicts
    agents[1].commit("topic")
    agents[1].push("origin", "HEAD:refs/heads/topic")
    flushed(scene)
    agents[1].push("origin", "HEAD:refs/heads/topic")  # nothing new
    flushed(scene)
    found = json.loads(scene.git("uam", "stats", "--json"))
    seen = [ref for push in updates(scene) for ref, _, _ in push if ref.startswith("refs/heads/")]
    assert sorted(seen) == ["refs/heads/main", "refs/heads/topic"]
    assert found["runs"] == {"started": len(seen), "plain": 5, "saved": 3}
    assert found["pushes"] == {"landed": 5, "failed": 1}
    assert {row["agent"]: row["pushes"] for row in found["agents"]} == {"one": 2, "two": 2, "three": 1}
    assert [(row["pushes"], row["runs"], row["saved"]) for row in found["days"]] == [(5, 2, 3)]
    assert found["ci_minutes"] is None
    assert "minutes: not known" in scene.git("uam", "stats")
    scene.git("config", "uam.ci.minutes", "5")
    lines = scene.git("uam", "stats", "--since", "1h").splitlines()
    assert lines[1] == "CI runs: 2, 3 fewer than plain git would have started (60%)"
    assert lines[2] == "minutes: 10 of CI, at 5 for a run (as uam.ci.minutes says)"
    assert lines[3].startswith("         plain git: about 25; with older runs cancelled: about ")
    assert scene.git("uam", "stats", "--since", "2999-01-01").startswith("nothing has landed")


def test_a_moment_that_is_none_is_a_usage_error(scene: Scene) -> None:
    for since in ("rubbish", "2026-13-01", ""):
        done = scene.run("uam", "stats", f"--since={since}")
        assert (done.code, f"'{since}' is no" in done.err) == (2, True), done


def test_minutes_are_measured_where_they_can_be() -> None:
    runs = [
        Run(1, "origin/main", 100.0, (Asked("a", 0.0), Asked("b", 90.0))),
        Run(2, "origin/main", 700.0, (Asked("a", 690.0),)),
    ]
    found = ledger(runs, 0, {1: 120.0}, 5.0)["ci_minutes"]
    assert found == ledger(runs, 0, {1: 120.0}, 5.0)["days"][0]["ci_minutes"]
    assert found == {
        "each": 2.0, "measured_runs": 1, "started": 4.0, "plain": 6.0, "cancelling": 5.5,
        "cancelling_without_verdict": 1,
    }  # fmt: skip


def test_minutes_of_days_come_to_those_of_all() -> None:
    day, place = 86400.0, "origin/main"
    runs = [
        Run(1, place, day - 20, (Asked("a", day - 80), Asked("b", day - 60))),
        Run(2, place, day + 10, (Asked("a", day - 30), Asked("b", day + 1))),
        Run(3, "origin/topic", day + 20, (Asked("a", day + 2),)),
    ]
    found = ledger(runs, 0, {}, 2.0)
    shown = {day["day"]: day["ci_minutes"] for day in found["days"]}
    assert {day: one["cancelling"] for day, one in shown.items()} == {"1970-01-01": 0.8, "1970-01-02": 4.5}
    assert {day: one["cancelling_without_verdict"] for day, one in shown.items()} == {"1970-01-01": 2, "1970-01-02": 1}
    for key in ("started", "plain", "cancelling", "cancelling_without_verdict"):
        assert sum(one[key] for one in shown.values()) == pytest.approx(found["ci_minutes"][key]), key
    assert ledger(runs, 0, {}, None)["days"][0]["ci_minutes"] is None


def test_what_cancels_the_run_before_it() -> None:
    pushes = [("origin/main", 0.0), ("origin/topic", 1.0), ("origin/main", 10.0), ("origin/main", 100.0)]
    assert cancelling(pushes, 60.0) == [Cancelled(10.0, 1), *[Cancelled(60.0, 0)] * 3]
    assert total(cancelling(pushes, 10.0)) == Cancelled(40.0, 0)
    assert cancelling([], 10.0) == []


def test_half_and_nearly_all_of_the_waits() -> None:
    assert waiting([]) is None
    assert waiting([3.0]) == {"p50": 3.0, "p95": 3.0}
    assert waiting(map(float, range(1, 21))) == {"p50": 10.0, "p95": 19.0}


def test_a_landing_took_as_long_as_its_runs(scene: Scene) -> None:
    scene.commit("a")
    scene.push()
    run = "INSERT INTO ci_runs VALUES ('origin', 'refs/heads/main', ?, ?, 'gh', ?, ?, '', '', '')"
    at = "2026-11-29T10:0{}:00.000Z".format
    with scene.store() as store:
        with store.transaction() as db:
            db.execute(run, (scene.there(), "1", at(0), at(2)))
            db.execute(run, (scene.there(), "2", at(1), at(4)))
        assert measured(store) == {1: 300.0}
        with store.transaction() as db:
            db.execute(run, (scene.there(), "3", at(1), ""))
        assert measured(store) == {}


def test_refusals_are_counted_once_each_and_for_as_long_as_they_are_kept(scene: Scene) -> None:
    why = Outcome(failure=Failure("a conflict"), files=("b", "a\udcff"), rival=Rival("two", None, "", ""))
    nobody = why._replace(rival=None, files=("a\udcff",))
    one, other = (NewSource("origin", "refs/heads/main", "one", "", "", digit * 40) for digit in "12")
    with scene.store() as store:
        refusals.record(store, [(one, why), (other, nobody)], 100.0, 60.0)
        refusals.record(store, [(one, why)], 120.0, 60.0)
        assert conflicts(met(store, 0.0)) == {
            "pushes": 2,
            "files": [{"file": "a\udcff", "conflicts": 2}, {"file": "b", "conflicts": 1}],
            "pairs": [{"agents": ["one", "two"], "conflicts": 1}, {"agents": ["one", None], "conflicts": 1}],
        }
        assert met(store, 110.0) == [Met("one", "two", ("b", "a\udcff"))]
        refusals.record(store, [(one, why)], 170.0, 60.0)
        assert len(met(store, 0.0)) == 1
    change(scene, "UPDATE refusals SET found = '{'")
    assert json.loads(scene.git("uam", "stats", "--json"))["conflicts"]["pushes"] == 0


def test_b4_rows_that_cannot_be_read_are_left_out(scene: Scene) -> None:
    for name in ("a", "b", "c"):
        scene.commit(name)
        assert scene.push().code == 0
    change(scene, "UPDATE sources SET queued_at = 'x', outcome = '{' WHERE id = 1")
    change(
        scene,
        "UPDATE deploy_queue SET finished_at = 'tomorrow' WHERE id = (SELECT action_id FROM sources WHERE id = 2)",
    )
    change(
        scene,
        "INSERT INTO ci_runs SELECT remote, ref, new, '', 'gh', 'x', 'y', '', '', '' FROM landings WHERE id = 3",
    )
    done = scene.run("uam", "stats", "--json")
    assert (done.code, "Traceback" in done.err) == (0, False), done
    assert json.loads(done.out)["runs"] == {"started": 2, "plain": 1, "saved": -1}
    assert scene.run("uam", "stats").code == 0
