"""How what git uam does grows with what it is given: five curves, as a table, as JSON, and as one picture.

    python benchmarks/growth.py [--quick] [--json FILE] [--svg docs/images/growth.svg]

- commits: one push that brings so many, squashed into one
- sources: pushes of so many branches, one commit each, landed together
- files: one push of a small change to a tree of so many
- depth: so many actions wait; a call of `queue()`, and `git uam status`
- agents: so many push at the same time, each from a worktree of its own; until the last one is answered

All but the last are processor time, of the process that lands and of all that it starts, the least of a few runs: where
others keep the machine busy, that tells more than the clock. Agents are timed by the clock, a window of 0.5 s included.
An exponent is the slope of the last two points of a curve where both axes are logarithmic: 1 grows with what is given.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).resolve().parent))

from queueing import scene

from uam_hooks import DeployBatcher
from uam_hooks.flush.flush import flush
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.push.intake import enter
from uam_hooks.hot.push.request import Request, Spec
from uam_hooks.hot.push.resolve import resolve
from uam_hooks.hot.push.session import open_session as open_push
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import iso
from uam_hooks.session import open_session

_PERSON = "A <a@example.invalid>"
_DATE = "1700000000 +0000"


class Curve(NamedTuple):
    """What was measured: the sizes, and milliseconds at each."""

    name: str
    what: str
    sizes: list[int]
    ms: list[float]

    @property
    def exponent(self) -> float:
        """How it grows at its end."""
        (x, y), (u, v) = list(zip(self.sizes, self.ms, strict=True))[-2:]
        return math.log(v / y) / math.log(u / x)


def _git(at: Path, *args: str, feed: bytes = b"") -> str:
    done = subprocess.run(["git", *args], cwd=at, check=True, input=feed, capture_output=True)
    return done.stdout.decode().strip()


def _processor_ms() -> float:
    spent = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in spent) * 1000


def _spent(what: Callable[[], object]) -> float:
    before = _processor_ms()
    what()
    return _processor_ms() - before


def _commits(branch: str, begin: str, each: Sequence[Sequence[tuple[str, str]]]) -> bytes:
    """What makes git fast-import write a branch of commits, each of them these files with these texts."""
    lines = []
    for number, files in enumerate(each):
        message = f"Change {number} of {branch}"
        lines += [f"commit refs/heads/{branch}", f"author {_PERSON} {_DATE}", f"committer {_PERSON} {_DATE}"]
        lines += [f"data {len(message)}", message]
        if number == 0 and begin:
            lines.append(f"from {begin}")
        for name, text in files:
            lines += [f"M 644 inline {name}", f"data {len(text)}", text]
    return "\n".join([*lines, ""]).encode()


@contextmanager
def _place() -> Iterator[Path]:
    """A repository in which nothing is landed but by `_landed`."""
    with scene() as top:
        for key, value in (("uam.push.mode", "manual"), ("uam.settle", "off"), ("uam.push.accept", "false"),
                           ("gc.auto", "0"), ("uam.gh.repo", "owner/shop")):  # fmt: skip
            _git(top, "config", key, value)
        yield top


def _push(top: Path, branch: str) -> None:
    """Queue a push of a branch to main, as the wired door does."""
    session = open_push(RepoPaths.of(top / ".git").git_dir)
    assert session is not None
    with session.store:
        known = {"refs/heads/main": _git(top, "rev-parse", "refs/remotes/origin/main")}
        specs = resolve(session, Request("origin", (Spec(f"refs/heads/{branch}", "refs/heads/main"),)), known)
        enter(session, specs, urgent=False, waits=False, last=True)


def _landed(top: Path, branches: Sequence[str]) -> float:
    """Push these branches, and land them together; milliseconds of the landing."""
    for branch in branches:
        _push(top, branch)

    def land() -> None:
        with open_session(top) as session:
            (result,) = flush(session, False, 60.0)
            assert result.success, result

    before = _git(top.parent / "origin.git", "rev-parse", "main")
    spent = _spent(land)
    landed = _git(top.parent / "origin.git", "log", "--format=%h", f"{before}..main").splitlines()
    assert landed, "nothing has landed"
    return spent


def commits(size: int) -> float:
    with _place() as top:
        files = [[(f"c/{n % 97}.txt", f"{n}\n")] for n in range(size)]
        _git(top, "fast-import", "--quiet", feed=_commits("topic", "refs/heads/main", files))
        return _landed(top, ["topic"])


def sources(size: int) -> float:
    with _place() as top:
        names = [f"b{n}" for n in range(size)]
        feed = b"".join(_commits(name, "refs/heads/main", [[(f"s/{name}", "x\n")]]) for name in names)
        _git(top, "fast-import", "--quiet", feed=feed)
        return _landed(top, names)


def files(size: int) -> float:
    with _place() as top:
        tree = [(f"d{n // 2500}/e{n // 50 % 50}/{n}.txt", f"{n}\n") for n in range(size)]
        _git(top, "fast-import", "--quiet", feed=_commits("base", "refs/heads/main", [tree]))
        _git(top.parent / "origin.git", "fetch", "-q", str(top), "base:main")
        _git(top, "fetch", "-q", "origin")
        change = [[("d0/e0/1.txt", "changed\n")]]
        _git(top, "fast-import", "--quiet", feed=_commits("topic", "refs/heads/base", change))
        others = [[("d0/e1/60.txt", "changed\n")]]
        _git(top, "fast-import", "--quiet", feed=_commits("other", "refs/heads/base", others))
        return _landed(top, ["topic", "other"])


def _wait(top: Path, size: int) -> None:
    """Let so many actions wait."""
    now = time.time()
    with Store(RepoPaths.of(top / ".git").database) as store, store.transaction() as db:
        db.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO deploy_queue"
            " (agent_id, action_type, target, payload, queued_at, execute_after, asked)"
            " SELECT 'agent', 'deploy', 'prod', json_object('n', i), ?, ?, 1 FROM n",
            (size, iso(now), iso(now + 36000)),
        )
        db.execute(
            "INSERT INTO sources (action_id, agent_id, worktree, branch, tip, exact, push_group, atomic, waiter,"
            " queued_at, follow) SELECT id, 'agent', '/work', '', '', 0, '', 0, 0, ?, 0 FROM deploy_queue",
            (iso(now),),
        )


def queueing(size: int) -> float:
    with _place() as top:
        _wait(top, size)
        with DeployBatcher(repository=top, dynamic_windows={"workflow": 3_600_000}) as batcher:
            one = {"ref": "main"}
            batcher.queue("bench", "workflow", "ci.yml", one)
            return min(
                _spent(lambda: [batcher.queue("bench", "workflow", "ci.yml", one) for _ in range(20)]) / 20
                for _ in range(3)
            )


def status(size: int) -> float:
    with _place() as top:
        _wait(top, size)
        return min(_spent(lambda: _git(top, "uam", "status")) for _ in range(3))


def agents(size: int) -> float:
    with scene() as top:
        _git(top, "config", "uam.window.push", "500ms")
        _git(top, "config", "gc.auto", "0")
        places = []
        for n in range(size):
            place = top.parent / f"agent-{n}"
            _git(top, "worktree", "add", "-q", "-b", f"agent-{n}", str(place))
            (place / f"f{n}").write_text("x\n")
            _git(place, "add", "--all")
            _git(place, "commit", "-q", "-m", f"Add f{n}")
            places.append(place)
        began = time.monotonic()
        pushes = [subprocess.Popen(["git", "push", "-q", "origin", "HEAD:main"], cwd=place, stderr=subprocess.PIPE)
                  for place in places]  # fmt: skip
        ended = [process.communicate() and process.returncode for process in pushes]
        took = time.monotonic() - began
        assert not any(ended), ended
        return took * 1000


class Task(NamedTuple):
    """A curve to be measured: its points, those of --quick, and how often each is."""

    name: str
    what: str
    measure: Callable[[int], float]
    sizes: tuple[int, ...]
    quick: tuple[int, ...]
    times: int = 2


TASKS = (
    Task("commits", "landing one push of so many commits", commits, (10, 100, 1000, 3000, 10_000), (10, 100)),
    Task("sources", "landing pushes of so many branches", sources, (1, 10, 50, 100, 200), (1, 5)),
    Task("files", "landing a small change of so many files", files, (100, 1000, 10_000, 100_000), (100, 1000)),
    Task("depth: queue()", "a call while so many actions wait", queueing, (10, 100, 1000, 10_000, 100_000), (10, 100)),
    Task("depth: status", "git uam status while so many wait", status, (10, 100, 1000, 10_000, 100_000), (10, 100)),
    Task("agents", "so many push at once, to the last answer", agents, (1, 5, 10, 25, 50), (1, 3), 1),
)


def measure(quick: bool) -> list[Curve]:
    """All curves, told on stderr as they come."""
    found = []
    for task in TASKS:
        sizes = task.quick if quick else task.sizes
        ms = []
        for size in sizes:
            ms.append(round(min(task.measure(size) for _ in range(1 if quick else task.times)), 2))
            print(f"{task.name} {size}: {ms[-1]} ms", file=sys.stderr, flush=True)
        found.append(Curve(task.name, task.what, list(sizes), ms))
    return found


# -- the picture ---------------------------------------------------------------------------------------------

_WIDE, _HIGH, _ACROSS = 310, 220, 3
_LEFT, _TOP, _RIGHT, _BOTTOM = 52, 44, 26, 30
_STYLE = """
text { font: 11px system-ui, sans-serif; fill: #333 } .name { font-weight: 600; font-size: 13px }
.what { fill: #666 } .grid { stroke: #ddd } .axis { stroke: #888 }
.line { fill: none; stroke: #0b62c4; stroke-width: 2 } .dot { fill: #0b62c4 }
.even { stroke: #999; stroke-dasharray: 4 3 }
@media (prefers-color-scheme: dark) {
text { fill: #ddd } .what { fill: #aaa } .grid { stroke: #3a3a3a } .axis { stroke: #888 }
.line { stroke: #6db3ff } .dot { fill: #6db3ff } .even { stroke: #777 } }
"""


def picture(curves: Sequence[Curve]) -> str:
    """The curves side by side, each with its own axes, both logarithmic. Dashed: what grows with what is given."""
    rows = math.ceil(len(curves) / _ACROSS)
    wide, high = _WIDE * _ACROSS, _HIGH * rows
    svg = ElementTree.Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {wide} {high}",
                              width=str(wide), height=str(high), role="img")  # fmt: skip
    ElementTree.SubElement(svg, "title").text = "How what git uam does grows: milliseconds against size"
    ElementTree.SubElement(svg, "style").text = _STYLE
    for number, curve in enumerate(curves):
        at = f"translate({number % _ACROSS * _WIDE} {number // _ACROSS * _HIGH})"
        _panel(ElementTree.SubElement(svg, "g", transform=at), curve)
    ElementTree.indent(svg, " ")
    return ElementTree.tostring(svg, encoding="unicode") + "\n"


def _panel(group: ElementTree.Element, curve: Curve) -> None:
    across = _decades(curve.sizes)
    up = _decades(curve.ms)

    def x(value: float) -> float:
        return round(_LEFT + (_WIDE - _LEFT - _RIGHT) * (math.log10(value) - across[0]) / (across[-1] - across[0]), 1)

    def y(value: float) -> float:
        return round(_HIGH - _BOTTOM - (_HIGH - _TOP - _BOTTOM) * (math.log10(value) - up[0]) / (up[-1] - up[0]), 1)

    def text(words: str, at: tuple[float, float], anchor: str = "start", kind: str = "") -> None:
        where = {"x": str(at[0]), "y": str(at[1]), "text-anchor": anchor, "class": kind}
        ElementTree.SubElement(group, "text", where).text = words

    def line(one: tuple[float, float], other: tuple[float, float], kind: str) -> None:
        ends = {"x1": one[0], "y1": one[1], "x2": other[0], "y2": other[1]}
        ElementTree.SubElement(group, "line", {name: str(v) for name, v in ends.items()} | {"class": kind})

    text(curve.name, (_LEFT, 16), kind="name")
    text(curve.what, (_LEFT, 31), kind="what")
    for power in across:
        line((x(10**power), _TOP), (x(10**power), _HIGH - _BOTTOM), "grid")
        text(f"{10**power:,}", (x(10**power), _HIGH - _BOTTOM + 16), "middle")
    for power in up:
        line((_LEFT, y(10.0**power)), (_WIDE - _RIGHT, y(10.0**power)), "grid")
        text(_time(10.0**power), (_LEFT - 6, y(10.0**power) + 4), "end")
    first, last = (curve.sizes[0], curve.ms[0]), curve.sizes[-1]
    # a line of slope 1 from the first point, as far as the panel goes
    until = min(last, first[0] * 10 ** up[-1] / first[1])
    line((x(first[0]), y(first[1])), (x(until), y(first[1] * until / first[0])), "even")
    points = [(x(size), y(ms)) for size, ms in zip(curve.sizes, curve.ms, strict=True)]
    ElementTree.SubElement(group, "polyline", {"points": " ".join(f"{a},{b}" for a, b in points), "class": "line"})
    for a, b in points:
        ElementTree.SubElement(group, "circle", {"cx": str(a), "cy": str(b), "r": "3", "class": "dot"})


def _decades(values: Sequence[float]) -> list[int]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return list(range(low, max(high, low + 1) + 1))


def _time(ms: float) -> str:
    return f"{ms / 1000:g} s" if ms >= 1000 else f"{ms:g} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two small points of each curve, to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write the picture there")
    given = parser.parse_args()
    began, load = time.monotonic(), os.getloadavg()[0]
    curves = measure(given.quick)
    took = time.monotonic() - began
    if given.json is not None:
        facts = {"curves": [curve._asdict() | {"exponent": round(curve.exponent, 2)} for curve in curves]}
        given.json.write_text(json.dumps(facts | {"load": load, "seconds": round(took)}, indent=2) + "\n")
    if given.svg is not None:
        given.svg.write_text(picture(curves))
    print("```\n$ python benchmarks/growth.py --svg docs/images/growth.svg")
    for curve in curves:
        points = ", ".join(f"{size:,}: {ms:,.0f}" if ms >= 10 else f"{size:,}: {ms:.2g}"
                           for size, ms in zip(curve.sizes, curve.ms, strict=True))  # fmt: skip
        print(f"{curve.name:<15} ms at {points}; exponent at the end {curve.exponent:.2f}")
    print(f"{took:.0f} s in all; load of the machine {load:.1f} before, {os.getloadavg()[0]:.1f} after\n```")


if __name__ == "__main__":
    main()
