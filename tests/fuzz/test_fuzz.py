"""Any input at every door: git's side of the remote helper and of pre-push, the command line, and payloads.

Whatever comes, nobody sees a traceback, exit codes are documented ones, what is refused has queued nothing, and
afterwards the queue works. What crashed something once is tried first.

UAM_FUZZ_EXAMPLES=2000 tries so many of each kind, other ones in every run (CONTRIBUTING.md).
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from tests.support.commands import call
from tests.support.landscape import queue
from tests.support.queueing import KINDS, batcher
from tests.support.scenes import Scene
from uam_hooks.hot.core.errors import ExitCode, UamError
from uam_hooks.hot.core.plumbing import ZERO

EXAMPLES = os.environ.get("UAM_FUZZ_EXAMPLES", "")
pytestmark = pytest.mark.timeout(int(EXAMPLES or 0) * 5 + 120)
CHEAP = settings(
    max_examples=int(EXAMPLES or 60), derandomize=not EXAMPLES, deadline=None, database=None, print_blob=False,
    suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate, Phase.shrink],
)  # fmt: skip
# each of these starts a process, and that some gits
DEAR = settings(CHEAP, max_examples=int(EXAMPLES or 12))

_START = "import sys; sys.path.append(sys.argv.pop(1)); from uam_hooks.hot.push.entry import {0}; {0}()"
HELPER_CODES = {0, 65, 128, 130, 141}
HOOK_CODES = {0, 64}

# -- what comes in ---------------------------------------------------------------------------------------------

NOT_ASCII = st.binary(max_size=12).map(os.fsdecode)
HUGE = st.sampled_from(["x" * 131_060, "y" * 70_000, "z" * 5000, "9" * 40, "\u00e9" * 2000])
PLAIN = st.sampled_from(
    ["main", "HEAD", "refs/heads/main", "refs/heads/new", "refs/tags/v1", "refs/uam/pin/x", "0" * 40, "f" * 40,
     "origin", "", "-x", "--all", "..", "a..b", "a b", "*", ":", "+", "@{u}", "1", "#1", "0", "urgent", "true",
     "README", ".git"]
)  # fmt: skip
# what an argument, or a line of git, can hold: no NUL, and bytes that are no UTF-8 as Python has them
WORDS = st.one_of(PLAIN, NOT_ASCII, st.text(st.characters(exclude_categories=["Cs"]), max_size=12), HUGE).map(
    lambda text: text.replace("\0", "")
)
LINE = WORDS.map(lambda text: text.replace("\n", ""))
OPTIONS = st.builds(
    "option {} {}".format,
    st.sampled_from(["push-option", "cas", "atomic", "dry-run", "verbosity", "progress", "force-if-includes", "what"]),
    LINE,
)
PUSHES = st.builds("push {}{}:{}".format, st.sampled_from(["", "+"]), LINE, LINE)
HELPER_LINES = st.lists(
    st.one_of(OPTIONS, PUSHES, PUSHES, LINE, st.sampled_from(["", "capabilities", "list for-push", "import x"])),
    max_size=8,
)
HOOK_LINES = st.lists(st.lists(LINE, min_size=1, max_size=5).map(" ".join), max_size=4)
DEEP = "@deep"  # stands for what no printer could show, see `grown`
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10), st.characters(categories=["Cs"]), PLAIN,
    HUGE, st.just(DEEP),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
FIELDS = st.sampled_from(["message", "files", "remote", "force", "push_options", "source", "strategy", "push", "pr",
                          "method", "ref", "inputs", "what"])  # fmt: skip
PAYLOADS = st.dictionaries(FIELDS, VALUES, max_size=4)
CHOICES = st.dictionaries(
    st.sampled_from(["urgent", "priority", "dependencies", "execute_after", "name", "what"]), VALUES, max_size=2
)
NUMBERS = ("cancel", "retry", "log", "show", "restore", "execute --batch-id", "config", "wait --timeout 0")
COMMANDS = st.one_of(
    st.tuples(st.sampled_from(NUMBERS), WORDS).map(lambda c: [*c[0].split(), "--", c[1]] if "--" not in c[0] else
                                                   [*c[0].split(), c[1]]),
    st.builds(
        lambda kind, target, more: ["queue", f"--action-type={kind}", f"--target={target}",
                                    *(f"{option}={value}" for option, value in more)],
        st.sampled_from(KINDS), WORDS,
        st.lists(st.tuples(st.sampled_from(
            ["--agent-id", "--message", "--files", "--ref", "--inputs", "--source", "--strategy", "--pr", "--method",
             "--remote", "--payload", "--priority", "--depends-on", "--execute-after"]), WORDS), max_size=3),
    ),
)  # fmt: skip


def grown(value: Any) -> Any:
    """`value` with what `DEEP` stands for in its place."""
    if value == DEEP:
        for _ in range(984):
            value = {"a": value}
        return value
    if isinstance(value, dict):
        return {name: grown(inner) for name, inner in value.items()}
    return [grown(inner) for inner in value] if isinstance(value, list) else value


# -- the doors -------------------------------------------------------------------------------------------------


class Ended(NamedTuple):
    """How a door ended."""

    code: int
    out: str
    err: str


def through(scene: Scene, door: str, arguments: list[str], lines: list[str]) -> Ended:
    """Start a door as its shim does, with these lines from git."""
    _, site = (scene.uam / "env").read_text().splitlines()
    feed = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _START.format(door), site, *arguments], input=feed, cwd=scene.top,
        env={**scene.env, "GIT_DIR": str(scene.top / ".git")}, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    found = Ended(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))
    assert "Traceback" not in found.err, found.err[-3000:]
    assert "failed inside" not in found.err, found.err[-3000:]
    return found


def works(scene: Scene) -> None:
    """The queue can be shown and flushed, and an ordinary push lands."""
    for command in (["status"], ["status", "--json"], ["batch", "--dry-run"], ["flush", "--dry-run"], ["flush"]):
        done = scene.run("uam", *command)
        assert "Traceback" not in done.err, done
        assert done.code in (0, 1), done
    tip = scene.commit("afterwards")
    queue(scene, "origin", "HEAD:afterwards")
    assert scene.run("uam", "flush").code in (0, 1)
    assert scene.there("refs/heads/afterwards") == tip


def test_b2_b4_b5_any_lines_at_the_wired_door(quiet: Scene) -> None:
    quiet.bare.git("config", "receive.advertisePushOptions", "true")
    quiet.commit("a")
    shim = str(quiet.uam / "bin" / "git-remote-uam")

    @DEAR
    @given(HELPER_LINES)
    @example([f"option push-option {'x' * 131_060}", "push HEAD:refs/heads/main", "", ""])
    @example(['option push-option "\\', "push HEAD:refs/heads/main", "", ""])
    @example([f"push HEAD:refs/heads/{os.fsdecode(bytes([255]))}", "", ""])
    @example(["push HEAD", "push :", "push", "", ""])
    @example(["option cas", "option cas refs/heads/main:", "list for-push", "push +HEAD:refs/heads/main", "", ""])
    @example([f"push HEAD:refs/heads/{'r' * 5000}", "", ""])
    def run(lines: list[str]) -> None:
        before = len(quiet.rows("sources"))
        done = through(quiet, "remote_helper", ["origin", shim], lines)
        assert done.code in HELPER_CODES, done
        queued = len(quiet.rows("sources")) - before
        assert queued <= sum(line.startswith("ok ") for line in done.out.splitlines()), done

    run()
    works(quiet)


def test_any_lines_at_the_hook_door(unwired: Scene) -> None:
    unwired.git("config", "uam.push.mode", "manual")
    oid, url = unwired.commit("a"), str(unwired.remote)

    @DEAR
    @given(WORDS, WORDS, HOOK_LINES)
    @example(
        "origin", str(unwired.remote), [f"refs/heads/main {oid} refs/heads/{os.fsdecode(bytes([255]))} {'0' * 40}"]
    )
    @example("origin", url, [f"refs/heads/main {oid} refs/heads/main {'f' * 40}"])
    @example(
        "origin", str(unwired.remote), [f"refs/heads/main {oid} refs/heads/x..y {'0' * 40}", "a b c d", " ", "    "]
    )
    @example("u" * 131_060, "x" * 131_060, [f"HEAD {oid} refs/heads/main {ZERO}"])
    def run(name: str, where: str, lines: list[str]) -> None:
        before = len(unwired.rows("sources"))
        done = through(unwired, "pre_push", [name, where], lines)
        assert done.code in HOOK_CODES, done
        if done.code == 0:
            assert len(unwired.rows("sources")) == before

    run()
    for command in (["status"], ["flush"]):
        assert "Traceback" not in unwired.run("uam", *command).err


def test_b4_any_payload(stocked: Scene) -> None:
    @CHEAP
    @given(st.sampled_from(KINDS) | st.text(max_size=5), st.text(max_size=5) | PLAIN, PLAIN | LEAVES, PAYLOADS, CHOICES)
    @example("workflow", "ada", "test.yml", {"ref": "main", "inputs": {"a": "\ud800"}}, {})
    @example("deploy", "ada", "prod", {"ref": "main", "what": DEEP}, {})
    @example("commit", "ada", "main", {"message": "m\ud800", "files": ["README"]}, {})
    @example("deploy", "ada", "prod", {"ref": "main", "what": float("nan")}, {"name": "\ud800"})
    @example("deploy", "ada", "prod", {}, {"priority": 10**40, "dependencies": [10**40], "execute_after": 1e300})
    @example("commit", "ada", "main", {"message": "m", "files": ["/".join("f" * 250 for _ in range(20))]}, {})
    def run(kind: str, agent: str, target: Any, payload: dict[str, Any], options: dict[str, Any]) -> None:
        known = {name: value for name, value in options.items() if name not in ("name", "what")}
        before = len(stocked.rows("deploy_queue"))
        try:
            with batcher(stocked) as queued:
                queued.queue(agent, kind, target, grown(payload), **grown(known))
                before += 1
                whole = {"action_type": kind, "target": target, "payload": payload, **options}
                queued.queue_bulk(agent, [grown(whole)])
        except UamError:
            assert len(stocked.rows("deploy_queue")) <= before

    run()
    works(stocked)


def test_any_command_line(stocked: Scene) -> None:
    @CHEAP
    @given(COMMANDS)
    @example(["cancel", "9" * 30])
    @example(["log", "9" * 30])
    @example(["show", os.fsdecode(b"\xff")])
    @example(["queue", "--action-type", "deploy", "--target=prod", "--payload=" + '{"a":' * 5000 + "1" + "}" * 5000])
    @example(["queue", "--action-type", "commit", "--target=main", "--message=m", "--files=" + "f" * 5000])
    @example(["restore", "main", "--branch", os.fsdecode(b"\xff")])
    def run(command: list[str]) -> None:
        done = call(stocked, *command)
        assert "Traceback" not in done.err, done
        assert done.code in set(ExitCode), done

    run()
    works(stocked)
