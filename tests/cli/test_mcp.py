"""`git uam mcp`, asked over stdio by the SDK's own client, and by one that writes the lines itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.commands import UAM, call, refused, told
from tests.support.queueing import WINDOW, due_now
from tests.support.scenes import PATIENCE, Scene, Worktree, alive, ends_with_its_scene, until, words_of
from uam_hooks.land.steps import Step

anyio = pytest.importorskip("anyio", reason="the MCP SDK is not in this environment: it came with an extra")
pytest.importorskip("mcp", reason="the MCP SDK is not in this environment: it came with an extra")


class Answer(NamedTuple):
    """What a tool answered."""

    found: Any
    text: str
    failed: bool

    @property
    def error(self) -> Any:
        assert self.failed, self
        return self.found["error"]


class Tools:
    """A client of a server in a worktree. A call is expected to work, unless it is a `failing` one."""

    def __init__(self, client: Any) -> None:
        self.client = client

    async def asked(self, name: str, **arguments: Any) -> Answer:
        done = await self.client.call_tool(name, arguments)
        (content,) = done.content
        return Answer(done.structured_content, content.text, done.is_error)

    async def __call__(self, name: str, **arguments: Any) -> Any:
        answer = await self.asked(name, **arguments)
        assert not answer.failed, answer
        assert json.loads(answer.text) == answer.found
        return answer.found

    async def failing(self, name: str, **arguments: Any) -> Any:
        answer = await self.asked(name, **arguments)
        assert json.loads(answer.text) == answer.found
        return answer.error


@asynccontextmanager
async def serving(place: Worktree) -> AsyncIterator[Tools]:
    from mcp.client.client import Client
    from mcp.client.stdio import StdioServerParameters, stdio_client

    server = StdioServerParameters(command=UAM[0], args=[*UAM[1:], "mcp"], cwd=place.top, env=place.env)
    async with Client(stdio_client(server)) as client:
        yield Tools(client)


def pushes(status: Any) -> list[int]:
    return [row["action"] for row in status["waiting"] if row["type"] == "push"]


def commands(place: Worktree, word: bytes = b"uam_hooks.cli") -> list[int]:
    """The processes that do what a tool was called for, and what watches them."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            here = entry.name.isdigit() and (entry / "cwd").resolve() == place.top
        except OSError:
            continue
        if here and any(word in one for one in words_of(entry.name)) and alive(int(entry.name)):
            found.append(int(entry.name))
    return found


def none_left(place: Worktree, word: bytes = b"uam_hooks.cli") -> None:
    until(lambda: not commands(place, word), "the end of what was started for a call")


@pytest.fixture
def queueing(scene: Scene) -> Scene:
    """A scene in which a push is queued, and lands when the test says so."""
    scene.git("config", "uam.push.mode", "queue")
    scene.git("config", "uam.window.push", WINDOW)
    return scene


def queued(place: Worktree, scene: Scene) -> int:
    assert place.push("-q", "origin", "HEAD:main").code == 0
    return int(scene.rows("sources")[-1]["action_id"])


@pytest.mark.slow
def test_each_tool_does_what_the_command_of_its_name_does(queueing: Scene) -> None:
    scene = queueing
    other = scene.worktree("other")

    async def story() -> None:
        async with serving(scene) as tools:
            await _offers(tools)
            tip = scene.commit("mine")
            number = queued(scene, scene)
            status = await tools("status")
            assert set(status) == set(told(scene, "status"))
            assert pushes(status) == [number]
            await _refuses(scene, tools, number)
            other.commit("theirs")
            assert queued(other, scene) == number
            asked = await tools("queue", action_type="push", target="main", urgent=False)
            assert (asked["id"], asked["type"], asked["where"]) == (number, "push", "origin/main")
            early = await tools("wait", ids=[number], timeout_seconds=0)
            assert (early["done"], early["actions"][0]["status"]) == (False, "pending")
            await _waits_beside_others(scene, tools, number)
            assert scene.landed() == ["Add mine", "Add theirs"]
            assert scene.oid("HEAD") == scene.there()  # the branch was brought over
            assert (await tools("wait", ids=[number], directory="../other"))["done"]
            assert other.oid("HEAD") == scene.there()
            known = await tools("log", id=number)
            assert known == told(scene, "log", str(number))
            assert next(one["tip"] for one in known["entries"] if one["agent"] != "other") == tip
            found = await tools("log", limit=1)
            assert found == told(scene, "log", "-n1")
            assert await tools("show", batch=known["batch"]) == told(scene, "show", str(known["batch"]))
            assert (await tools("show", batch=scene.there()))["batch"] == known["batch"]
            await _conflicts_and_tries_again(scene, other, tools)

    anyio.run(story)
    none_left(scene)


@pytest.mark.slow
def test_what_is_offered_as_read_only_starts_and_decides_nothing(queueing: Scene) -> None:
    """Its flusher has died in the middle: `git uam status` would find out what became of that, and start the next."""
    scene = queueing
    scene.commit("a")
    queued(scene, scene)
    os.kill(scene.flusher(), signal.SIGKILL)
    scene.idle()
    due_now(scene)
    assert scene.run("uam", "flush", UAM_DIE_AT=Step.PUSHED).code == 137
    tables = ("sources", "landings", "deploy_batches")
    before = [scene.rows(table) for table in tables], scene.git("for-each-ref")

    async def story() -> None:
        async with serving(scene) as tools:
            status = await tools("status")
            assert [row["status"] for row in status["running"]] == ["executing"]
            await tools("log")
            await tools("log", id=status["running"][0]["action"])
            await tools("show", batch=1)

    anyio.run(story)
    assert ([scene.rows(table) for table in tables], scene.git("for-each-ref")) == before
    assert (scene.pushed(), scene.flushers(starting=True)) == (["executing"], [])
    call(scene, "status")
    assert scene.pushed() == ["completed"]


async def _offers(tools: Tools) -> None:
    offered = {tool.name: tool for tool in (await tools.client.list_tools()).tools}
    assert list(offered) == ["status", "log", "show", "wait", "queue", "retry", "cancel"]
    hints = {name: tool.annotations for name, tool in offered.items()}
    assert [name for name, hint in hints.items() if hint.read_only_hint] == ["status", "log", "show"]
    assert [name for name, hint in hints.items() if hint.destructive_hint] == ["queue", "cancel"]
    for tool in offered.values():
        assert len(tool.description) > 80, tool
        assert tool.input_schema["additionalProperties"] is False
        assert all(one["description"] for one in tool.input_schema["properties"].values() if "$ref" not in one), tool


async def _waits_beside_others(scene: Scene, tools: Tools, number: int) -> None:
    """A wait for something keeps nobody from asking, and hears of its landing."""
    found: list[Any] = []

    async def wait() -> None:
        found.append(await tools("wait", ids=[number], timeout_seconds=PATIENCE))

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.to_thread.run_sync(until, lambda: commands(scene, b"wait"), "a wait")
        assert pushes(await tools("status")) == [number]
        assert found == []
        due_now(scene)
    (ended,) = found
    assert (ended["done"], ended["actions"][0]["status"]) == (True, "completed")
    assert any(" landed on origin/main" in line for line in ended["said"]), ended


async def _conflicts_and_tries_again(scene: Scene, other: Worktree, tools: Tools) -> None:
    scene.commit("same", "mine\n")
    number = queued(scene, scene)
    stranger = scene.stranger()
    stranger.git("pull", "-q")
    stranger.commit("same", "theirs\n")
    stranger.git("push", "-q", "origin", "HEAD:main")
    due_now(scene)
    ended = await tools("wait", ids=[number], timeout_seconds=PATIENCE)
    assert (ended["done"], ended["actions"][0]["status"]) == (False, "failed")
    assert "conflict in same" in ended["actions"][0]["error"]
    again = (await tools("retry", ids=[number]))["retried"][str(number)]
    assert (await tools("wait", ids=[again], timeout_seconds=PATIENCE))["actions"][0]["status"] == "failed"
    other.commit("more")
    last = queued(other, scene)
    assert (await tools("cancel", ids=[last]))["cancelled"] == [last]
    assert (await tools("log", id=last))["status"] == "cancelled"
    assert (await tools.failing("cancel", ids=[last]))["kind"] == "refused"


async def _refuses(scene: Scene, tools: Tools, number: int) -> None:
    """What is wrong is the error of the tool, and changes nothing."""
    elsewhere = scene.root / "elsewhere"
    scene.outside.git("init", "-q", str(elsewhere))
    before = scene.queue()
    for name, arguments, kind, words in (
        ("log", {"id": 99}, "usage", "There is no action #99."),
        ("show", {"batch": "--json"}, "usage", "There is no batch '--json' here."),
        ("cancel", {"ids": []}, "usage", "ids: "),
        ("cancel", {"ids": [number], "dry_run": True}, "usage", "dry_run: "),
        ("cancel", {"ids": [number], "directory": str(elsewhere)}, "usage", "is in another repository"),
        ("retry", {"ids": [number]}, "refused", f"#{number} is pending"),
        ("queue", {"action_type": "push", "target": "--force"}, "usage", "'--force' is not a valid branch name."),
        ("queue", {"action_type": "push", "target": "a\0b"}, "usage", "`git uam queue` cannot be started: "),
        ("queue", {"action_type": "push", "target": "m" * 200_000}, "usage", "cannot be started: "),
        ("remove", {}, "usage", "There is no tool 'remove'."),
        ("status", {"directory": str(scene.root)}, "usage", "is not in a git repository"),
        ("status", {"directory": "a\0b"}, "usage", "is not a directory"),
    ):
        error = await tools.failing(name, **arguments)
        assert (error["kind"], words in error["what"]) == (kind, True), (name, arguments, error)
    assert scene.queue() == before


# -- lines by hand ---------------------------------------------------------------------------------------------------


class Raw:
    """A client of few words: what it writes and reads are lines."""

    def __init__(self, place: Worktree) -> None:
        self.process = subprocess.Popen(
            [*UAM, "mcp"], cwd=place.top, env=place.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, process_group=0,
        )  # fmt: skip
        ends_with_its_scene(self.process)
        about = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
        self.send("initialize", about, id=1)
        assert self.line()["result"]["serverInfo"]["name"] == "uam"
        self.send("notifications/initialized", {})

    def send(self, method: str, params: dict[str, Any], **more: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", "method": method, "params": params, **more}) + "\n")
        self.process.stdin.flush()

    def calls(self, id: int, name: str, **arguments: Any) -> None:
        self.send("tools/call", {"name": name, "arguments": arguments}, id=id)

    def line(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())


@pytest.mark.slow
@pytest.mark.parametrize("killed", [False, True])
def test_a_call_ends_with_who_made_it_and_leaves_no_process(queueing: Scene, killed: bool) -> None:
    scene = queueing
    scene.commit("mine")
    number = queued(scene, scene)
    client = Raw(scene)
    client.calls(2, "wait", ids=[number], timeout_seconds=300)
    until(lambda: commands(scene, b"wait"), "a wait")
    if killed:
        client.process.kill()
    else:
        client.send("notifications/cancelled", {"requestId": 2})
        none_left(scene, b"wait")
        client.calls(3, "wait", ids=[number], timeout_seconds=300)
        until(lambda: commands(scene, b"wait"), "another wait")
        client.calls(4, "status")
        answer = client.line()
        assert (answer["id"], pushes(answer["result"]["structuredContent"])) == (4, [number])
    out, err = client.process.communicate(timeout=PATIENCE)  # its stdin is closed by this
    none_left(scene)
    assert client.process.returncode == (-signal.SIGKILL if killed else 0)
    assert err == ""
    assert [line for line in out.splitlines() if "jsonrpc" not in json.loads(line)] == []
    assert scene.pushed() == ["pending"]


def test_without_its_sdk_it_says_what_to_install(plain: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "uam_hooks.cli.serving", raising=False)
    for name in [one for one in sys.modules if one.partition(".")[0] in ("mcp", "mcp_types")] + ["mcp", "mcp_types"]:
        monkeypatch.setitem(sys.modules, name, None)
    done = call(plain, "mcp")
    refused(
        done, 5, "The MCP SDK is not in the environment of git uam. ", "-m pip install 'uam-hooks[mcp]'` installs it."
    )
