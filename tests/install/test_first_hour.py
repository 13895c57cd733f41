"""README's first hour, as README tells it: install.sh in an empty home, two agents, a conflict, a gate, a kill.

The blocks below "A first hour" whose info string begins with `console` are transcripts, and are run here from top to
bottom; whoever runs the other blocks of the pages may leave these to this test. A line that begins with a prompt is
typed into the terminal of that name: `$`, `ann$` and `bob$` are shells of their own, which stand in the home at first.
What follows is what it prints. Two words may follow `console`:

    at once  the commands of different terminals go on at the same time. A command is typed when the push before it
             waits in the queue, and what waits at the end is let go by `git uam flush`, not by a clock
    killed   while the gate runs, every process that works for the repository is killed, but for the shells
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.scenes import PATIENCE, Worktree, alive, ends_with_its_scene, until
from tests.support.terminals import Terminal

CHECKOUT = Path(__file__).resolve().parents[2]
TITLE = "## A first hour"
_BLOCK = re.compile(r"^```console ?(.*)\n((?:.*\n)*?)```$", flags=re.MULTILINE)
_COMMAND = re.compile(r"^(\w*)\$ (.*)$")
# What differs from run to run, in README as well as on the screen: names of objects, and for how long something lasts.
_VARIES = ((r"\b[0-9a-f]{7,40}\b", "OID"), (r"\b\d+(\.\d+)? (ms|s|min|h)\b", "TIME"))
# The window of pushes that are to meet ends by a flush; in README it is the usual one, of 5 s.
_LONG, _NONE = "1h", "0"


class Command(NamedTuple):
    """What is typed into one terminal, and what it prints."""

    terminal: str
    words: str
    prints: list[str]


class Block(NamedTuple):
    """A transcript, and how it is played."""

    how: str
    commands: list[Command]


def blocks(text: str) -> list[Block]:
    """The transcripts in a text, in order."""
    found = []
    for how, lines in _BLOCK.findall(text):
        commands: list[Command] = []
        for line in lines.splitlines():
            if match := _COMMAND.match(line):
                commands.append(Command(match[1], match[2], []))
            else:
                commands[-1].prints.append(line)
        found.append(Block(how, commands))
    return found


def first_hour() -> list[Block]:
    after = (CHECKOUT / "README.md").read_text().split(f"\n{TITLE}\n", 1)[1]
    return blocks(re.split(r"^## ", after, maxsplit=1, flags=re.MULTILINE)[0])


class Shell:
    """bash at a terminal that no program sees: what it prints is read as it comes, without progress and colours."""

    def __init__(self, env: dict[str, str]) -> None:
        self._shown = Path(env["HOME"]).parent / f"shown-{time.monotonic_ns()}"
        with self._shown.open("wb") as shown:
            self.process = ends_with_its_scene(subprocess.Popen(
                ["bash", "--noprofile", "--norc"], cwd=env["HOME"], env=env, stdin=subprocess.PIPE, stdout=shown,
                stderr=subprocess.STDOUT, text=True, bufsize=1,
            ))  # fmt: skip
        self._from, self._mark = 0, ""

    def type(self, words: str) -> None:
        assert self.process.stdin is not None
        self._from, self._mark = len(self._shown.read_text()), f"-- {time.monotonic_ns()}"
        self.process.stdin.write(f"{{ {words}\n}} </dev/null; echo '{self._mark}'\n")

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()

    @property
    def idle(self) -> bool:
        return self._mark in self._shown.read_text()[self._from :]

    def printed(self) -> list[str]:
        """The lines of the last command, when it has ended."""
        until(lambda: self.idle, f"the end of what {self._shown} shows", 4 * PATIENCE)
        return self._shown.read_text()[self._from :].partition(self._mark)[0].splitlines()


class Home:
    """An empty home with a repository `shop` that has a remote, as a person has it; git knows who that is."""

    def __init__(self, root: Path) -> None:
        self.path = root / "home"
        self.path.mkdir(parents=True)
        # what a login has when ~/.local/bin is on PATH; nothing of whoever runs the tests
        path = f"{self.path}/.local/bin:/usr/local/bin:/usr/bin:/bin"
        self.env = {"HOME": str(self.path), "PATH": path, "LANG": "C.UTF-8"}
        self.shop = Worktree(self.path / "shop", self.env)
        (self.path / "uam").symlink_to(CHECKOUT)
        for words in (
            "config --global user.name Ada", "config --global user.email ada@example.com", "config --global gc.auto 0",
            f"config --global uam.window.commit {_LONG}", "init -q --bare -b main shop.git", "clone -q shop.git shop",
            "-C shop checkout -q -b main", "-C shop commit -q --allow-empty -m Begin", "-C shop push -q -u origin main",
        ):  # fmt: skip
            subprocess.run(["git", *words.split()], cwd=self.path, env=self.env, check=True, capture_output=True)
        self.shells: dict[str, Shell] = {}

    def shell(self, terminal: str) -> Shell:
        if terminal not in self.shells:
            self.shells[terminal] = Shell(self.env)
        return self.shells[terminal]

    def window(self, value: str) -> None:
        subprocess.run(["git", "config", "--global", "uam.window.push", value], env=self.env, check=True)

    def waiting(self) -> int:
        """How many pushes wait in the queue."""
        done = subprocess.run(
            ["git", "uam", "status", "--json"], cwd=self.shop.top, env=self.env, check=False, capture_output=True
        )
        rows = json.loads(done.stdout)["waiting"] if done.returncode == 0 else []
        return sum(len(row["members"]) for row in rows if row["type"] == "push")

    def at_work(self) -> list[int]:
        """The processes of this home that are no shells, and what those started: each has it in its environment."""
        shells = {shell.process.pid for shell in self.shells.values()}
        mine = f"HOME={self.path}\0".encode()
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mine in (place / "environ").read_bytes() and int(place.name) not in shells:
                    found.append(int(place.name))
        return [pid for pid in found if alive(pid)]


def same(prints: list[str], home: Home) -> list[str]:
    """Lines as they are compared: without empty ones, and without why it takes so long, where it does."""
    kept = [line.replace(str(home.path), "~").rstrip() for line in prints]
    kept = [line for line in kept if line and not re.match(r"uam: (waiting for|landing on) ", line)]
    for pattern, instead in _VARIES:
        kept = [re.sub(pattern, instead, line) for line in kept]
    return kept


def play(home: Home, block: Block) -> Iterator[tuple[Command, list[str]]]:
    """Type the commands of a block; each with what it has printed, in the order in which they end."""
    together = block.how == "at once"
    home.window(_LONG if together else _NONE)
    wait = []
    for command in block.commands:
        if command.words.endswith("--watch"):
            yield command, watched(home, command)
            continue
        shell, before = home.shell(command.terminal), home.waiting() if together else 0
        shell.type(command.words)
        if together:
            goes_on(home, shell, before)
        if block.how == "killed" and command is block.commands[-1]:
            kill(home)
            yield command, []
        elif together and not shell.idle:
            wait.append(command)
        else:
            yield command, shell.printed()
    if together:
        subprocess.run(["git", "uam", "flush"], cwd=home.shop.top, env=home.env, check=True, capture_output=True)
    for command in wait:
        yield command, home.shell(command.terminal).printed()


def goes_on(home: Home, shell: Shell, before: int) -> None:
    """Wait until what was typed has ended, or has put one more push than before into the queue."""
    until(lambda: shell.idle or home.waiting() > before, "a push that waits")


def kill(home: Home) -> None:
    """Kill everything of the home while a gate runs in it."""
    until(lambda: any(_words(pid)[:2] == ["sleep", "600"] for pid in home.at_work()), "a gate")

    def gone() -> bool:
        for number in (signal.SIGSTOP, signal.SIGKILL):  # nobody starts another in time
            for pid in home.at_work():
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
        return not home.at_work()

    until(gone, "the end of all")


def _words(pid: int) -> list[str]:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return []


def watched(home: Home, command: Command) -> list[str]:
    """What the live display shows once it is what is expected, or at last; it is left with Ctrl-C."""
    place = Worktree(home.shop.top, home.env)
    terminal = Terminal(place, command.words.split(), 160, out=True)
    found: list[str] = []

    def is_there() -> bool:
        frame = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.shown.rpartition("\x1b[H")[2])
        found[:] = [line.rstrip() for line in frame.splitlines() if line.strip()]
        return same(found, home) == same(command.prints, home)

    with suppress(AssertionError):  # what is there instead is compared
        until(is_there, command.words)
    os.killpg(terminal.process.pid, signal.SIGINT)
    terminal.end()
    return found


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(not Path("/proc/self/environ").exists() or not shutil.which("bash"), reason="needs /proc and bash")
def test_the_first_hour_of_the_readme(tmp_path: Path) -> None:
    home, played = Home(tmp_path), []
    try:
        for block in first_hour():
            for command, printed in play(home, block):
                prompt = f"{command.terminal}$ {command.words}"
                assert [prompt, *same(printed, home)] == [prompt, *same(command.prints, home)]
                played.append(command.words)
        # uninstall has left nothing: neither of the program nor of who worked for it
        assert not any((home.path / ".local").rglob("*uam*"))
        assert b"uam" not in (home.path / "shop/.git/config").read_bytes()
    finally:
        for shell in home.shells.values():
            shell.end()
    assert any("--watch" in words for words in played)
