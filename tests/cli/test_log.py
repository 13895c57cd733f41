"""`git uam log`: which batches there were, and all that is known of one action."""

from __future__ import annotations

import json
import time

import pytest

from tests.support.commands import call, facts, refused, said
from tests.support.landscape import by_hand, flushed, queue
from tests.support.queueing import change
from tests.support.scenes import Scene
from uam_hooks.hot.queue.model import iso


@pytest.fixture
def story(scene: Scene) -> Scene:
    """ann landed on main, bob's work conflicts with that, and cy landed two commits as one, a day later."""
    by_hand(scene)
    scene.git("config", "uam.push.accept", "false")
    for name, files in (("ann", ["README"]), ("bob", ["README"]), ("cy", ["c", "d"])):
        agent = scene.worktree(name)
        for file in files:
            agent.commit(file, f"{name}\n", message=f"Write {file} of {name}")
        queue(agent)
        if name != "ann":
            flushed(scene)
    change(scene, "UPDATE deploy_batches SET created_at = ? WHERE number = 1", iso(time.time() - 86400 * 2))
    return scene


def test_the_log_lists_who_brought_what_how_it_went_and_how_long_it_waited(story: Scene) -> None:
    batches = facts(story, "log")["batches"]
    assert [batch["batch"] for batch in batches] == [2, 1]
    assert sorted(batches[0]) == [
        "agents", "batch", "created_at", "entries", "executed_at", "id", "landings", "status",
    ]  # fmt: skip
    ann, bob = batches[1]["entries"]
    assert sorted(ann) == [
        "action", "agent", "branch", "commits", "ended_at", "error", "how", "landed_as", "queued_at", "retry", "status",
        "subject", "tip", "type", "waited", "where",
    ]  # fmt: skip
    assert (ann["agent"], ann["subject"], ann["status"], ann["retry"]) == ("ann", "Write README of ann", "landed", None)
    assert (bob["agent"], bob["branch"], bob["status"], bob["landed_as"]) == ("bob", "bob", "failed", "")
    assert bob["error"].startswith("conflict in README with the work of ann") and bob["waited"] > 0
    assert batches[0]["landings"][0]["new"] == story.there()
    assert batches[0]["agents"] == ["cy"] and batches[1]["agents"] == ["ann", "bob"]

    lines = said(story, "log").splitlines()
    assert lines[0] == "batch 2 completed"
    assert lines[1].startswith("Date:   ")
    assert lines[2] == f"Landed: origin/main {ann['landed_as'][:7]}..{story.there()[:7]}"
    assert lines[4].startswith(
        f"    cy {story.oid('cy')[:7]} Write d of cy (with 1 more): landed as {story.there()[:7]}"
    )
    assert lines[6] == "batch 1 completed, 1 failed"
    assert f" (`git uam retry {bob['retry']}` tries again)" in lines[-1]
    short = said(story, "log", "--oneline").splitlines()
    assert [line.split()[0] for line in short] == ["2", "1"]
    assert f"bob {bob['tip'][:7]} Write README of bob failed (#{bob['action']})" in short[1]

    # what the line names is what retry takes; the batch has what is left of it
    assert call(story, "retry", str(bob["retry"])).code == 0
    assert [entry["agent"] for entry in facts(story, "log")["batches"][1]["entries"]] == ["ann"]


def test_what_the_log_is_asked_for(story: Scene) -> None:
    for options, expected in (
        (["-n", "1"], [2]), (["-n", "0"], []), (["--agent", "bob"], [1]), (["--agent", "nobody"], []),
        (["--since", "yesterday"], [2]), (["--since", "1 week ago"], [2, 1]), (["--since", "36h"], [2]),
        (["--since", "now"], []), (["--since", "2020-01-01", "--agent", "cy"], [2]), (["--since", "never"], [2, 1]),
    ):  # fmt: skip
        assert [batch["batch"] for batch in facts(story, "log", *options)["batches"]] == expected, options


def test_what_no_log_can_be_of(stocked: Scene) -> None:
    assert said(stocked, "log") == ""
    assert facts(stocked, "log") == {"batches": []}
    refused(call(stocked, "log", "--since", "rubbish"), 2, "'rubbish' is no moment.")
    refused(call(stocked, "log", "--since", "2026-13-40"), 2, "'2026-13-40' is no day")
    refused(call(stocked, "log", "1", "--oneline"), 2, "An ID names one action")


def test_an_id_tells_all_that_is_known_of_it(story: Scene) -> None:
    story.git("config", "uam.gate.tests.command", "true")
    story.git("reset", "-q", "--hard", "origin/main")
    story.commit("e")
    queue(story)
    flushed(story)
    number = story.rows("sources")[-1]["action_id"]
    found = facts(story, "log", str(number))
    assert (found["batch"], found["where"], found["agents"]) == (3, "origin/main", ["ada@example.invalid@work"])
    assert [gate["gate"] for gate in found["gates"] if gate["green"]] == ["tests"]
    assert found["landings"][0]["new"] == story.there()
    assert found["queued_at"] <= found["executed_at"] <= found["finished_at"]
    lines = said(story, "log", str(number)).splitlines()
    assert lines[0] == f"#{number} push main is completed"
    assert lines[1].endswith("git uam show 3")
    for word in ("landed: origin/main ", "gate:   tests passed after ", "queued: ", "began:  ", "ended:  "):
        assert any(line.startswith(word) for line in lines), (word, lines)
    noted = next(row for row in story.rows("deploy_queue") if row["action_type"] == "commit")
    (commit,) = facts(story, "log", str(noted["id"]))["commits"]
    assert (commit["agent"], commit["status"]) == ("ann", "landed")


def test_a_long_log_is_read_page_by_page(stocked: Scene) -> None:
    with stocked.store() as store, store.transaction() as db:
        db.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 130) INSERT INTO deploy_batches"
            " (id, number, created_at, status) SELECT 'batch-' || i, i, '2026-01-01T00:00:00.000Z', 'completed' FROM n"
        )
    found = json.loads(said(stocked, "log", "--json"))["batches"]
    assert [batch["batch"] for batch in found] == list(range(130, 0, -1))
