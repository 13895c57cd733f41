"""The MCP server of `git uam mcp`: each call of a tool is a command with --json, in a process of its own.

It is the only importer of the SDK. Nothing of ours is done, or printed, in the process that talks to the client.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, NamedTuple

import anyio
from anyio.to_thread import run_sync
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    ToolAnnotations,
)
from mcp_types import Tool as Offer
from pydantic import TypeAdapter, ValidationError

from uam_hooks import __version__
from uam_hooks.cli.program import as_told
from uam_hooks.cli.tools import TOOLS, Tool
from uam_hooks.command.process import watched
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import Advice, ExitCode, UamError, UsageError, last_line
from uam_hooks.hot.core.words import visible
from uam_hooks.install.advice import TEXT

_START = "import sys, gc; gc.disable(); sys.path.append(sys.argv.pop(1)); from uam_hooks.cli import main; main()"
_SITE = Path(__file__).resolve().parents[2]


def serve() -> None:
    """Serve the client at the other end of stdin and stdout until it closes stdin."""
    # stdin is read in a thread, which no exception ends: Ctrl-C ends the process, and what watches the commands them
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        anyio.run(_serve)
    except* (BrokenPipeError, anyio.BrokenResourceError):  # a client that was killed reads no more
        pass


async def _serve() -> None:
    server: Server[Any] = Server(
        "uam", version=__version__, title="git uam", instructions=TEXT, on_list_tools=_offers, on_call_tool=_called
    )
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


async def _offers(_context: ServerRequestContext[Any], _params: PaginatedRequestParams | None) -> ListToolsResult:
    return ListToolsResult(tools=[_offer(name, kind) for name, kind in TOOLS.items()])


def _offer(name: str, kind: type[Tool]) -> Offer:
    schema = TypeAdapter(kind).json_schema()
    described = schema.pop("description")
    hints = ToolAnnotations(
        read_only_hint=not kind.changes, destructive_hint=kind.destroys, open_world_hint=kind.changes
    )
    return Offer(name=name, description=described, input_schema=schema, annotations=hints)


async def _called(_context: ServerRequestContext[Any], params: CallToolRequestParams) -> CallToolResult:
    try:
        tool = _checked(params.name, params.arguments or {})
        found = _answer(await _run(tool.words(), await _place(tool.directory), tool.changes))
    except UamError as error:
        found = as_told(error.code, error.what, error.do)
    text = TextContent(type="text", text=json.dumps(found))
    failed = isinstance(found.get("error"), dict)  # the facts about an action have one, too, which is a text
    return CallToolResult(content=[text], structured_content=found, is_error=failed)


def _checked(name: str, arguments: dict[str, Any]) -> Tool:
    """The call, if it is one; UsageError for any other."""
    if name not in TOOLS:
        raise UsageError(f"There is no tool '{name}'.", f"These are there: {', '.join(TOOLS)}.")
    try:
        tool: Tool = TypeAdapter(TOOLS[name]).validate_python(arguments)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False)]
        raise UsageError(f"{'; '.join(wrong)}.", f"The schema of the tool {name} says what it takes.") from None
    return tool


async def _place(directory: str | None) -> Path | None:
    """The directory that a call is about, None for that of the server. UsageError for one of another repository."""
    return None if directory is None else await run_sync(_of_the_same, directory)


def _of_the_same(directory: str) -> Path:
    try:
        here = Path.cwd()
        there = here / directory
        with Repository.at(here, brief=True) as own, Repository.at(there, brief=True) as other:
            same = own.paths.common_dir.samefile(other.paths.common_dir)
    except (OSError, ValueError) as error:  # ValueError: a NUL in its name
        raise UsageError(f"{directory} cannot be looked at: {error}.", "Name one of this repository.") from None
    if not same:
        raise UsageError(f"{there} is in another repository.", "Start a server there: it works for one repository.")
    return there


class _Ended(NamedTuple):
    code: int
    out: bytes
    err: bytes


async def _run(words: list[str], at: Path | None, changes: bool) -> _Ended:
    """Run a command of ours until it ends; where the call is given up, or this process ends, it is ended.

    One that `changes` nothing starts nothing either: clients are told so, and need not ask anybody about it.
    """
    env = {**os.environ, "UAM_LOOK": "0" if changes else "1"}
    command = watched([sys.executable, "-I", "-c", _START, str(_SITE), *words])
    # files: a pipe is at its end only when everybody has closed it who has inherited it
    with TemporaryFile() as out, TemporaryFile() as err, _held() as (held, let_go):
        try:
            process = await anyio.open_process(
                command, stdin=held, stdout=out, stderr=err, cwd=at, env=env, start_new_session=True
            )
        except (OSError, ValueError) as error:  # ValueError: a NUL or a lone surrogate in its arguments
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise UsageError(f"`git uam {words[0]}` cannot be started: {why}.", "Say less, in plain text.") from None
        try:
            await process.wait()
        finally:
            let_go()
            with anyio.CancelScope(shield=True):
                code = await process.wait()
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        return _Ended(code, *(_from_the_start(file) for file in (out, err)))


@contextmanager
def _held() -> Iterator[tuple[int, Callable[[], None]]]:
    """A stdin for a command that is watched, and what lets go of its other end."""
    with ExitStack() as stack:
        reading, writing = os.pipe()
        stack.callback(os.close, reading)
        other_end = stack.enter_context(ExitStack())
        other_end.callback(os.close, writing)
        yield reading, other_end.close


def _from_the_start(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def _answer(ended: _Ended) -> dict[str, Any]:
    """What the command printed, with what it said beside that, which is news as a rule, and is said once."""
    said = [visible(line) for line in ended.err.decode("utf-8", "replace").splitlines()]
    try:
        found = json.loads(ended.out)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        why = f"ended with exit code {ended.code}" if ended.code >= 0 else f"was ended by signal {-ended.code}"
        what = last_line("\n".join(said)) or "it said nothing"
        do = Advice.of("{} says what is wrong here.", "git", "uam", "doctor")
        found = as_told(ExitCode.BROKEN, f"The command {why}: {what}.", do)
    return {**found, "said": said} if said else found
