"""Fixtures of the tests that act in a whole repository; see scenes."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.forge import Forge, reaching
from tests.support.landscape import by_hand
from tests.support.queueing import COUNT, Clock
from tests.support.scenes import Scene, script

# The same examples in every run, however slow the machine is.
settings.register_profile("suite", derandomize=True, deadline=None, database=None)
settings.load_profile("suite")

# A shell that runs us in the background has these ignored, and so would every git that a test interrupts.
for _number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)


# Much of what the tests do is making and changing small files: less work in memory than on a disk. What is free there
# has to be far more than the tests that run at the same time need; those that passed leave nothing.
_MEMORY, _ROOM = "/dev/shm", 2 << 30  # noqa: S108
# How much of a flusher's log is shown, in characters.
_SHOWN = 4000


def pytest_configure(config: pytest.Config) -> None:
    """Make temporary directories in memory, unless somebody says where, there is no room, or nothing may run there."""
    if config.option.basetemp or "PYTEST_DEBUG_TEMPROOT" in os.environ or not os.access(_MEMORY, os.W_OK | os.X_OK):
        return
    there = os.statvfs(_MEMORY)
    if there.f_bavail * there.f_frsize > _ROOM and not there.f_flag & getattr(os, "ST_NOEXEC", 0):
        os.environ["PYTEST_DEBUG_TEMPROOT"] = _MEMORY


def pytest_sessionstart(session: pytest.Session) -> None:
    """Import the modules that will be collected, each worker beginning with others.

    Rewriting what they assert takes longer than everything else about them, and is kept in files: a worker finds there
    what another one has done meanwhile.
    """
    worker = getattr(session.config, "workerinput", None)
    folders = [Path(arg) for arg in session.config.args]
    if worker is None or not all(folder.is_dir() for folder in folders):
        return
    found = sorted({path.resolve() for folder in folders for path in folder.rglob("test_*.py")})
    first = int(worker["workerid"].removeprefix("gw")) * len(found) // worker["workercount"]
    for path in found[first:] + found[:first]:
        name = ".".join(path.relative_to(session.config.rootpath).with_suffix("").parts)
        with suppress(Exception):  # the collection says so
            import_module(name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that may take longest: at the end one worker would be at work, and the others wait."""
    items.sort(key=lambda item: -max([mark.args[0] for mark in item.iter_markers("timeout")], default=0))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the flushers of a test that failed have written down: they have no other place to say why."""
    report = yield
    where = getattr(item, "funcargs", {}).get("tmp_path")
    if report.when == "call" and report.failed and where is not None:
        for log in sorted(where.rglob("uam/flush.log")):
            report.sections.append((str(log.relative_to(where)), log.read_text(errors="replace")[-_SHOWN:]))
    return report


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scene]:
    """One scene of each kind, made once and copied for every test."""
    made = Scene(tmp_path_factory.mktemp("plain"))
    found = {"plain": made}
    for kind in ("wired", "staying", "unwired"):
        found[kind] = Scene(tmp_path_factory.mktemp(kind), made)
        found[kind].install(hooks_only=kind == "unwired", linger="2m" if kind == "staying" else "0")
    return found


@pytest.fixture
def plain(tmp_path: Path, templates: dict[str, Scene]) -> Iterator[Scene]:
    """A repository with a remote that we are not installed in."""
    found = Scene(tmp_path, templates["plain"])
    yield found
    found.close()


@pytest.fixture
def scene(request: pytest.FixtureRequest, tmp_path: Path, templates: dict[str, Scene]) -> Iterator[Scene]:
    """A hooked repository with a wired remote, whose flushers end; in tests marked `staying` they stay, as is usual."""
    staying = request.node.get_closest_marker("staying") is not None
    found = Scene(tmp_path, templates["staying" if staying else "wired"])
    yield found
    found.close()


@pytest.fixture
def unwired(tmp_path: Path, templates: dict[str, Scene]) -> Iterator[Scene]:
    """A hooked repository whose remote is not wired: pushes meet the pre-push hook."""
    found = Scene(tmp_path, templates["unwired"])
    yield found
    found.close()


@pytest.fixture
def quiet(scene: Scene) -> Scene:
    """The scene, in which nothing runs unless the test says so."""
    return by_hand(scene)


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    """The stand-in of GitHub, which nobody uses yet."""
    with Forge(tmp_path / "forge") as found:
        yield found


@pytest.fixture
def hub(scene: Scene, forge: Forge) -> Iterator[Scene]:
    """The scene, whose gh talks to the stand-in; whatever a test does, gh leaves nothing behind."""
    reaching(scene, forge)
    yield scene
    kept = [path.name for path in (scene.uam / "log").glob("*") if path.suffix not in (".log", ".jsonl")]
    assert kept == []
    assert list((scene.root / "forge" / "tmp").iterdir()) == []


@pytest.fixture
def github(hub: Scene, forge: Forge) -> Forge:  # noqa: ARG001 - the scene's gh is pointed to it
    """The stand-in of GitHub that the scene's gh talks to."""
    return forge


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def stocked(quiet: Scene) -> Scene:
    """A quiet scene with everything that can be queued."""
    quiet.git("branch", "topic")
    quiet.git("config", "uam.gh.repo", "owner/shop")
    quiet.git("config", "uam.deploy.prod.command", f"{script(quiet.root / 'deploy', 'echo deployed; cat')} now")
    quiet.git("config", "uam.deploy.bad.command", str(script(quiet.root / "bad", "echo broken; exit 3")))
    return quiet


@pytest.fixture
def patient(quiet: Scene) -> Scene:
    """A quiet scene in which pauses before another attempt are far too long to end by themselves."""
    quiet.git("config", "uam.retry.count", str(COUNT))
    quiet.git("config", "uam.retry.delay", "1h")
    return quiet
