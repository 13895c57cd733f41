"""Many processes queue at once while two others flush: every request ends, and each was executed exactly once.

Eight agents, four of them in the main checkout and four in worktrees of their own, queue 120 actions each, or as many
as UAM_MANY says (CONTRIBUTING.md). Half of those merge: commits to branches that nobody has checked out, with a push of
the branch now and then. The others are deploys, which never merge. What happened is read from the outside: the remote's
branches, and what the deploys' command has written.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import uam_hooks
from tests.support.landscape import environment, sound
from tests.support.scenes import Scene, Worktree, until
from uam_hooks import DeployBatcher

AGENTS, BRANCHES, TARGETS = 8, 4, 4
EACH = int(os.environ.get("UAM_MANY", "120"))
PUSH_EVERY = 15
# What all of it may take on a machine that others use, too.
LIMIT = 900.0

_OURS = str(Path(uam_hooks.__file__).resolve().parent.parent)
_AGENT = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv.pop(1))
from uam_hooks import DeployBatcher

me, each, branches, targets, push_every, report = sys.argv[1], *map(int, sys.argv[2:6]), sys.argv[6]
number = int(me.rpartition("-")[2])
batcher = DeployBatcher(batch_window_ms=0)
sys.stdin.read()
queued = []
for n in range(each):
    turn = n // 2
    if n % 2:
        what = "deploy", f"prod-{(number + turn) % targets}", {"job": f"{me}/{turn}", "ref": "main"}
    elif turn % push_every == push_every - 1:
        what = "push", f"shared-{number % branches}", {}
    else:
        name = f"{me}/{turn}"
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(f"{name}, as it was queued\\n")
        what = "commit", f"shared-{number % branches}", {"message": f"Add {name}", "files": [name]}
    queued.append((batcher.queue(me, *what), *what))
    if what[0] == "commit":
        # what was queued is what counts, whatever becomes of the file
        Path(name).write_text("changed since\\n")
Path(report).write_text(json.dumps(queued))
"""

_FLUSHER = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv.pop(1))
from uam_hooks import DeployBatcher
from uam_hooks.hot.core.errors import Locked

stop, report = map(Path, sys.argv[1:])
batcher = DeployBatcher()
batches = locked = 0
errors = []
while not stop.exists():
    try:
        for result in batcher.flush_all():
            batches += 1
            errors += result.errors
    except Locked:
        locked += 1
report.write_text(json.dumps({"batches": batches, "locked": locked, "errors": errors}))
"""


class Queued(NamedTuple):
    """What an agent asked for, and the id that it was given."""

    id: int
    kind: str
    target: str
    payload: dict[str, Any]

    @property
    def job(self) -> str:
        return str(self.payload["job"])

    @property
    def file(self) -> str:
        return str(self.payload["files"][0])


@contextmanager
def started(code: str, runs: Sequence[tuple[Worktree, Sequence[str]]]) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that run `code` with these arguments; none of them is left in the end.

    They have no fixed dates: with them git is asked for every commit's author and committer.
    """
    found: list[subprocess.Popen[str]] = []
    try:
        for place, args in runs:
            env = {name: value for name, value in place.env.items() if not name.endswith("_DATE")}
            process = subprocess.Popen(
                [sys.executable, "-c", code, _OURS, *args], cwd=place.top, env=env, text=True,
                stdin=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
            found.append(process)
        yield found
    finally:
        for process in found:
            process.kill()
            process.communicate()


def ended(processes: Sequence[subprocess.Popen[str]]) -> Callable[[], bool]:
    """Whether all have ended; one that failed is a failure of the test at once, with what it said."""

    def look() -> bool:
        codes = [process.poll() for process in processes]
        for process, code in zip(processes, codes, strict=True):
            assert not code, process.stderr.read()[-3000:] if process.stderr else code
        return None not in codes

    return look


def let_loose(scene: Scene) -> tuple[list[Queued], list[dict[str, Any]]]:
    """Let agents and flushers run; gives what was queued, and what the flushers say of themselves."""
    places: list[Worktree] = [scene] * (AGENTS // 2)
    places += [scene.worktree(f"home-{n}") for n in range(AGENTS // 2, AGENTS)]
    counts = [str(count) for count in (EACH, BRANCHES, TARGETS, PUSH_EVERY)]
    reports = [scene.root / f"agent-{n}.json" for n in range(AGENTS)]
    said = [scene.root / f"flusher-{n}.json" for n in range(2)]
    stop = scene.root / "stop"
    agents_args = [(p, (f"agent-{n}", *counts, str(reports[n]))) for n, p in enumerate(places)]
    with (
        started(_FLUSHER, [(scene, (str(stop), str(report))) for report in said]) as flushers,
        started(_AGENT, agents_args) as agents,
    ):
        for process in agents:
            assert process.stdin is not None
            process.stdin.close()
            process.stdin = None
        until(lambda: ended(agents)() or ended(flushers)(), "the end of the agents", LIMIT)
        stop.touch()
        until(ended(flushers), "the end of the flushers", LIMIT)
    queued = [Queued(*one) for report in reports for one in json.loads(report.read_text())]
    return queued, [json.loads(report.read_text()) for report in said]


@pytest.mark.slow
@pytest.mark.timeout(2 * LIMIT)
def test_eight_processes_queue_and_two_flush_and_each_action_is_executed_once(scene: Scene) -> None:
    log = scene.root / "deploys.log"
    for n in range(BRANCHES):
        scene.git("branch", f"shared-{n}")
    write_down = f'read -r job; printf "%s %s %s\\n" "$UAM_ACTION" "$UAM_TARGET" "$job" >>"{log}"'
    for n in range(TARGETS):
        scene.git("config", f"uam.deploy.prod-{n}.command", f"sh -c '{write_down}'")
    # so that one of the flushers is turned away now and then
    scene.git("config", "uam.flush.lockTimeout", "200ms")

    queued, said = let_loose(scene)
    with environment(scene.env):
        batcher = DeployBatcher(repository=scene.top, batch_window_ms=0)
        last = [batcher.queue("last", "push", f"shared-{n}") for n in range(BRANCHES)]
        left = batcher.flush_all()

    # nobody was refused, and nothing failed
    assert len(queued) == AGENTS * EACH
    assert [error for one in said for error in one["errors"]] == []
    assert [result.errors for result in left if result.errors] == []
    # each id is an action that was completed
    actions = {row["id"]: row for row in scene.rows("deploy_queue")}
    # one that was given back has taken the work of the one that was queued meanwhile, which says so
    queued = [q._replace(id=went_on(actions, q.id)) for q in queued]
    ids = {*(q.id for q in queued), *(went_on(actions, number) for number in last)}
    assert {i: actions[i]["error"] for i in ids if actions[i]["status"] != "completed"} == {}
    assert {q.id: (q.kind, q.target) for q in queued} == {
        i: (actions[i]["action_type"], actions[i]["target"]) for i in {q.id for q in queued}
    }
    # each request is a source of its own, in the action that its agent was told, and has landed
    requests = Counter(row["action_id"] for row in scene.rows("sources"))
    assert requests == Counter([*(q.id for q in queued), *(went_on(actions, number) for number in last)])
    assert Counter(row["status"] for row in scene.rows("sources")) == {"landed": AGENTS * EACH + BRANCHES}

    # every deploy ran once, with its own payload
    deploys = [q for q in queued if q.kind == "deploy"]
    ran = [line.split(" ", 2) for line in log.read_text().splitlines()]
    assert len({q.id for q in deploys}) == len(deploys) == AGENTS * EACH // 2
    assert sorted((int(i), target, json.loads(job)["job"]) for i, target, job in ran) == sorted(
        (q.id, q.target, q.job) for q in deploys
    )

    # every commit is on its branch as it was queued, and one commit of its history brought it
    for n in range(BRANCHES):
        branch = f"shared-{n}"
        files = sorted(q.file for q in queued if q.kind == "commit" and q.target == branch)
        assert scene.files(branch) == sorted(["README", *files])
        assert contents(scene.bare, branch, files) == [f"{file}, as it was queued\n" for file in files]
        brought = scene.bare.git("log", "--format=", "--name-only", f"{scene.start_oid}..{branch}").split()
        assert sorted(brought) == files
        assert scene.oid(branch) == scene.there(f"refs/heads/{branch}")

    # nothing is left over
    settled = {"completed", "failed", "cancelled", "landed", "squashed", "replaced", "abandoned"}
    for table in ("deploy_queue", "deploy_batches", "sources", "queued_commits", "landings"):
        assert {row["status"] for row in scene.rows(table)} <= settled, table
    assert [ref for ref in scene.our_refs() if " refs/uam/pin/" in ref] == []
    sound(scene)
    sound(scene.bare)


def went_on(actions: dict[int, dict[str, Any]], number: int) -> int:
    """The action that has the work of this one by now."""
    words, _, other = str(actions[number]["error"]).partition("#")
    return went_on(actions, int(other)) if words == "it goes on as " else number


def contents(place: Worktree, branch: str, files: Sequence[str]) -> list[str]:
    """What these files of a branch hold."""
    feed = "".join(f"{branch}:{file}\n" for file in files).encode()
    command = ["git", "cat-file", "--batch"]
    done = subprocess.run(command, cwd=place.top, env=place.env, input=feed, capture_output=True, check=True)
    found, rest = [], done.stdout
    for _ in files:
        head, _, rest = rest.partition(b"\n")
        size = int(head.split()[2])
        found.append(rest[:size].decode())
        rest = rest[size + 1 :]
    return found
