"""Landing where somebody else is quicker again and again."""

from __future__ import annotations

import json

import pytest

from tests.support.landscape import by_hand, flushed, outsiders, queue, sound, truthful
from tests.support.scenes import SHADOW, Scene


def between_fetch_and_push(scene: Scene, name: str) -> list[list[str]]:
    """Which git commands this process started between the fetch and the push of each try to land."""
    trace = scene.root / name
    trace.mkdir()
    scene.env["GIT_TRACE2_EVENT"] = str(trace)
    flushed(scene)
    del scene.env["GIT_TRACE2_EVENT"]
    events = [json.loads(line) for path in trace.iterdir() for line in path.read_text().splitlines()]
    ours = [e for e in events if e["event"] == "start" and "/" not in e["sid"] and e["argv"][0] == "git"]
    commands = [e["argv"][1:] for e in sorted(ours, key=lambda event: event["time"])]
    tries: list[list[str]] = []
    for number, command in enumerate(commands):
        if "push" in command and "--porcelain" in command:
            before = [_name(c) for c in commands[:number]]
            last = max((n for n, word in enumerate(before) if word in ("fetch", "ls-remote")), default=0)
            tries.append(before[last + 1 :])
    return tries


def _name(command: list[str]) -> str:
    """The name of a command, behind the options of git itself."""
    while command[0] == "-c":
        command = command[2:]
    return command[0]


@pytest.mark.parametrize("commits", [1, 2])
def test_g11_from_the_third_try_on_nothing_is_done_between_fetch_and_push(scene: Scene, commits: int) -> None:
    by_hand(scene)
    tips = [scene.commit(f"a{number}") for number in range(commits)]
    queue(scene)
    theirs = outsiders(scene, 4)
    tries = between_fetch_and_push(scene, "trace")
    assert len(tries) == 5
    assert len(tries[0]) > 5  # planned in full
    assert tries[2:] == [["update-ref"]] * 3  # the pin of what is pushed
    assert {"a0", *theirs} < set(scene.files())
    (source,) = scene.rows("sources")
    assert (source["status"], json.loads(source["outcome"])["new"]) == ("landed", scene.there())
    assert set(tips) < set(scene.git("rev-list", SHADOW).split())
    assert scene.bare.subjects("-1", "main") == ["Add a0" if commits == 1 else "Squashed 2 commits:"]
    assert scene.git("diff", "--name-only", f"{scene.there()}^", scene.there()).split() == [
        f"a{number}" for number in range(commits)
    ]
    truthful(scene)
    sound(scene)


def test_g11_what_others_changed_too_is_planned_in_full(scene: Scene) -> None:
    """Their change of a path of ours is merged, or it conflicts; it is never passed over."""
    by_hand(scene)
    scene.commit("theirs-1", "ours\n")
    scene.commit("b")
    queue(scene)
    outsiders(scene, 3)  # the last one, theirs-1, comes when the landing is to be put over what is there
    flushed(scene)
    (source,) = scene.rows("sources")
    assert source["status"] == "failed"
    assert "conflict in theirs-1" in json.loads(source["outcome"])["error"]
    assert scene.bare.git("show", "main:theirs-1") == "1"


def test_g11_a_branch_that_was_set_back_in_between_is_planned_in_full(scene: Scene) -> None:
    """The originals of a landing that is gone count as not landed."""
    by_hand(scene)
    scene.commit("first-1")
    scene.commit("first-2")
    queue(scene)
    flushed(scene)
    scene.git("uam", "sync", "origin/main")
    scene.commit("second-1")
    scene.commit("second-2")
    queue(scene)
    outsiders(scene, 2)
    hook = scene.remote / "hooks" / "pre-receive"
    set_back = f'git -C "{scene.remote}" update-ref refs/heads/main {scene.start_oid}'
    hook.write_text(f'{hook.read_text()}\n[ "$left" -gt 1 ] || {set_back}\n')
    flushed(scene)
    assert {"first-1", "first-2", "second-1", "second-2"} < set(scene.files())
