"""Every kind of event, from real runs, against what docs/events.md says of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.support.deploys import command
from tests.support.queueing import acting, ask, retry
from tests.support.scenes import Scene, script

PAGE = Path(__file__).resolve().parents[2] / "docs" / "events.md"
COMMON = ["v", "at", "event", "batch", "batch_id", "action"]


def events(scene: Scene) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (scene.uam / "log" / "events.jsonl").read_text().splitlines()]


def documented() -> dict[str, list[str]]:
    """The kinds of events that the page has, with the fields of each."""
    found = re.findall(r"^\| `(\w+)` \| [^|]+ \| ((?:`\w+` ?)+) \|$", PAGE.read_text(), re.MULTILINE)
    return {kind: COMMON + re.findall(r"`(\w+)`", fields) for kind, fields in found}


def flush(scene: Scene) -> None:
    with acting(scene) as queue:
        queue.flush_all()


def test_events_of_each_kind_have_the_fields_that_the_page_names(scene: Scene) -> None:
    """And ids that the queue has, no more than one end for each source, and times in order."""
    scene.git("config", "uam.push.mode", "manual")
    scene.git("config", "uam.retry.delay", "0")
    scene.git("config", "uam.gate.tests.command", str(script(scene.root / "gate", "! test -e bad\n")))
    scene.git("config", "uam.gate.tests.retries", "0")
    one, two, three = (scene.worktree(name) for name in ("one", "two", "three"))
    one.commit("one", "1\n")
    assert one.push("origin", "HEAD:main").code == 0
    two.commit("one", "2\n")
    assert two.push("origin", "HEAD:main").code == 1  # told at once
    flush(scene)
    three.git("reset", "-q", "--hard", "origin/main")
    three.commit("bad", message="\x1b[31mcaf\xe9")
    assert three.push("origin", "HEAD:main").code == 0
    scene.git("config", "uam.push.accept", "false")
    assert two.push("origin", "HEAD:main").code == 0
    flush(scene)
    command(scene, "prod")
    command(scene, "broken", "exit 3")
    for name in ("prod", "broken"):
        ask(scene, "deploy", name)
    flush(scene)
    (cancelled,) = (row["id"] for row in scene.rows("deploy_queue") if row["target"] == "broken")
    with acting(scene) as queue:
        queue.cancel(retry(scene, cancelled))
    one.commit("more")
    assert one.push("origin", "HEAD:main").code == 0
    aside = scene.remote.rename(scene.root / "aside")
    flush(scene)
    aside.rename(scene.remote)

    found, pages = events(scene), documented()
    for event in found:
        assert list(event) == pages[event["event"]], event
    kinds = {event["event"] for event in found}
    assert kinds == set(pages) - {"held", "released"}  # these: tests/ci/test_held.py
    batches = {row["id"]: row["number"] for row in scene.rows("deploy_batches")} | {None: None}
    assert all(batches[event["batch_id"]] == event["batch"] for event in found)
    assert {event["action"] for event in found} <= {row["id"] for row in scene.rows("deploy_queue")} | {None}
    assert [event["at"] for event in found] == sorted(event["at"] for event in found)
    ends = [event["source"] for event in found if event["event"] in ("landed", "done", "failed", "conflict")]
    assert len(ends) == len(set(ends))
    of = {row["id"]: row for row in scene.rows("sources")}
    (landed,) = (event for event in found if event["event"] == "landed")
    assert (landed["agent"], landed["new"], landed["tip"]) == ("one", scene.there(), of[landed["source"]]["tip"])
    assert [event["files"] for event in found if event["event"] in ("refused", "conflict")] == [["one"], ["one"]]
    assert [event["green"] for event in found if event["event"] == "gate"][:2] == [True, False]


def test_the_example_of_the_page_is_one_of_this_program() -> None:
    (example,) = re.findall(r"```json\n(.*)\n```", PAGE.read_text())
    event = json.loads(example)
    assert list(event) == documented()[event["event"]]
    assert re.search(r"^\| `landed` \|", PAGE.read_text(), re.MULTILINE)
