"""What a push of many branches and its landing ask of the queue grows with their number, not with its square: counted,
not timed.
"""

from __future__ import annotations

import re
import subprocess
from collections import Counter

import pytest

from tests.store.test_long_history import Steps, counted
from tests.support.landscape import by_hand, environment, flushed
from tests.support.scenes import Scene
from uam_hooks.hot.push.intake import enter
from uam_hooks.hot.push.request import Request, Spec
from uam_hooks.hot.push.resolve import resolve
from uam_hooks.hot.push.session import open_session

FEW, TIMES = 40, 4
# Steps that a statement may take besides: those that are asked once, and pages of the database that were full.
BESIDES = 5000


def grow(scene: Scene, names: list[str]) -> None:
    """Give each of these branches one commit more, with a file of its own."""
    refs = dict(
        line.split()[::-1] for line in scene.git("for-each-ref", "--format=%(objectname) %(refname)").splitlines()
    )
    feed = [
        f"commit {name}\ncommitter A <a@example.invalid> 1700000000 +0000\ndata 1\nA\n"
        f"from {refs.get(name, scene.start_oid)}\nM 100644 inline {number}-{name in refs:d}\ndata 1\nx\n"
        for number, name in enumerate(names)
    ]
    subprocess.run(["git", "fast-import", "--quiet"], cwd=scene.top, input="\n".join(feed), text=True, check=True)


def push(scene: Scene, names: list[str]) -> None:
    """Queue all of these branches as one push."""
    there = dict(line.split()[::-1] for line in scene.bare.git("show-ref").splitlines())
    with environment(scene.env):
        session = open_session(scene.git_dir)
        assert session is not None
        with session.store:
            request = Request("origin", tuple(Spec(name, name) for name in names))
            specs = resolve(session, request, {name: there[name] for name in names if name in there})
            assert len(enter(session, specs, urgent=False, waits=False, last=True).queued) == len(names)


def shapes(steps: Steps) -> Counter[str]:
    """The steps by what was asked, whatever it was asked for."""
    found: Counter[str] = Counter()
    for sql, number in steps.of.items():
        found[re.sub(r"'[^']*('|$)|\d+", "?", sql)[:90]] += number
    return found


def test_h15_what_the_queue_is_asked_grows_with_the_number_of_branches(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_hand(scene)
    scene.git("config", "uam.push.accept", "true")
    found: list[Counter[str]] = []
    for number in (FEW, FEW * TIMES):
        names = [f"refs/heads/of-{number}/{n}" for n in range(number)]
        with counted(monkeypatch) as steps:
            for _ in ("new", "a commit more"):
                grow(scene, names)
                push(scene, names)
                assert flushed(scene)[0].errors == ()
        assert len([ref for ref in scene.bare.git("show-ref").splitlines() if f"/of-{number}/" in ref]) == number
        found.append(shapes(steps))
    few, many = found
    grown = {sql: (few[sql], steps) for sql, steps in many.items() if steps > 1.5 * TIMES * few[sql] + BESIDES}
    assert sum(few.values()) > FEW * 100
    assert grown == {}
