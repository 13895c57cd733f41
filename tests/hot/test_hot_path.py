"""What a push costs and what it imports: the real processes are looked at, as they were started."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from tests.support.scenes import Scene

HEAVY = {"click", "git", "gitdb", "smmap", "filelock", "platformdirs", "rich", "dataclasses", "inspect"}
HEAVY |= {"typing", "hashlib"}  # which hot/core has something lighter for
# git processes, as measured: what the pushing side takes to queue, and all that one squashed landing takes, what the
# remote runs not counted. A guard, not a wish: whoever needs more says why and changes the number.
TO_QUEUE = 7
TO_LAND = 28


def watch_imports(scene: Scene) -> Path:
    """Let every interpreter that a shim starts write down its arguments and all that it imports."""
    log = scene.root / "imports"
    scene.with_interpreter(
        f'echo "$1 $2 $3" >>"{log}.started"\nexec 3>&2 2>>"{log}"\nexec "$python" -X importtime "$@"'
    )
    return log


def imported(log: Path) -> set[str]:
    return {found[1] for line in log.read_text().splitlines() if (found := re.match(r"import time:.*\| +(\S+)$", line))}


def only_ours_and_the_standard_library(log: Path) -> set[str]:
    modules = imported(log)
    top = {name.partition(".")[0] for name in modules}
    assert not top & HEAVY
    assert top - sys.stdlib_module_names - {"uam_hooks"} == set()
    started = Path(f"{log}.started").read_text().splitlines()
    assert set(started) == {"-I -S -c"}
    return modules


def test_a_waiting_push(scene: Scene) -> None:
    log = watch_imports(scene)
    scene.commit("a")
    scene.commit("b")
    assert scene.push().code == 0
    assert scene.landed() == ["Squashed 2 commits:"]
    modules = only_ours_and_the_standard_library(log)
    # it really went the whole way: queued, waited, settled
    assert {
        "uam_hooks.hot.push.remote_helper",
        "uam_hooks.hot.push.waiting",
        "uam_hooks.hot.worktree.settle",
        "uam_hooks.hot.queue.enqueue",
    } <= modules


@pytest.mark.parametrize("mode", ["queue", "manual"])
def test_a_push_that_answers_at_once(scene: Scene, mode: str) -> None:
    scene.git("config", "uam.push.mode", mode)
    log = watch_imports(scene)
    scene.commit("a")
    assert scene.push().code == 0
    assert "uam_hooks.hot.push.remote_helper" in only_ours_and_the_standard_library(log)


def test_the_pre_push_hook(unwired: Scene) -> None:
    log = watch_imports(unwired)
    unwired.commit("a")
    assert unwired.push().code == 1
    modules = only_ours_and_the_standard_library(log)
    assert "uam_hooks.hot.push.pre_push" in modules
    assert "uam_hooks.hot.push.waiting" not in modules
    unwired.idle()
    assert unwired.landed() == ["Add a"]


def test_a_wired_push_starts_no_interpreter_in_its_pre_push_hook(scene: Scene) -> None:
    log = watch_imports(scene)
    scene.commit("a")
    assert scene.push().code == 0
    assert Path(f"{log}.started").read_text().splitlines() == ["-I -S -c"]


def test_commits_start_no_interpreter(scene: Scene) -> None:
    log = watch_imports(scene)
    scene.commit("a")
    scene.git("commit", "-q", "--amend", "-m", "Add a again")
    assert not Path(f"{log}.started").exists()
    assert len(list((scene.uam / "spool").iterdir())) == 3


def test_a_push_loads_modules_of_the_hot_path_alone(scene: Scene) -> None:
    """The folder and what is really loaded agree."""
    log = watch_imports(scene)
    scene.commit("a")
    assert scene.push().code == 0
    ours = {name for name in imported(log) if name.partition(".")[0] == "uam_hooks"}
    assert {name for name in ours if not f"{name}.".startswith("uam_hooks.hot.")} == {"uam_hooks"}
    assert "uam_hooks.hot.push.entry" in ours


def traced_push(scene: Scene, name: str) -> list[list[str]]:
    """Push, and give every git command that it took on this side until all was done."""
    trace = scene.root / name
    trace.mkdir()
    assert scene.push(GIT_TRACE2_EVENT=str(trace)).code == 0
    scene.idle()
    found = []
    for path in sorted(trace.iterdir()):
        for line in path.read_text().splitlines():
            event = json.loads(line)
            # a session names those above it: git push / its helper / what that or the flusher starts / the remote
            if event["event"] == "start" and event["sid"].count("/") <= 2:
                found.append(event["argv"])
    return found


def test_how_many_git_processes_a_push_takes_to_be_queued(scene: Scene) -> None:
    scene.git("config", "uam.push.mode", "manual")
    scene.commit("a")
    commands = traced_push(scene, "trace")
    assert len(commands) <= TO_QUEUE, "\n".join(" ".join(command) for command in commands)


def test_how_many_git_processes_a_landing_takes(scene: Scene) -> None:
    scene.commit("a")
    scene.commit("b")
    commands = traced_push(scene, "trace")
    assert scene.landed() == ["Squashed 2 commits:"]
    assert len(commands) <= TO_LAND, "\n".join(" ".join(command) for command in commands)


def test_nobody_polls_git_while_waiting(scene: Scene) -> None:
    """A longer window costs no process more."""
    counts = []
    for number, window in enumerate(("200ms", "200ms", "1200ms")):
        scene.git("config", "uam.window.push", window)
        scene.commit(f"a{number}")
        counts.append(len(traced_push(scene, f"trace-{number}")))
    assert counts[2] <= counts[1]
