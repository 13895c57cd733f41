"""Clones as machines: a home, a wire to the database and a way to the remote of its own for each, and one remote."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.landscape import environment
from tests.support.postgres import BIN, Server
from tests.support.scenes import Scene, Worktree, script
from tests.torture.reaper import kind_of, processes
from tests.torture.wire import Wire
from uam_hooks.fleet.clone import clone_of, terms_of
from uam_hooks.fleet.values import Machine as Member
from uam_hooks.git.repo import Repository
from uam_hooks.install.install import install
from uam_hooks.session import open_session

FLEET = "torture"
NOTHING: Mapping[str, str] = {}
SOCKET = ".s.PGSQL.5432"
# What stands between a machine and the remote: it is refused, or waits for as long as a file is there.
_WAY = """test -e {place}/refused && echo "no way to the remote" >&2 && exit 1
while test -e {place}/held; do sleep 0.1; done
exec git {service} "$@"
"""


def missing() -> str:
    """Why no fleet can be tried here; "" where one can."""
    if BIN is None:
        return "PostgreSQL is not installed"
    return "" if find_spec("psycopg") else "psycopg is not installed"


def asked(server: Server, sql: str) -> list[tuple[Any, ...]]:
    """The rows of a question to the database; none while the server does not answer."""
    import psycopg

    try:
        with psycopg.connect(server.url(), connect_timeout=5, autocommit=True) as connection:
            return connection.execute(sql.encode()).fetchall()
    except psycopg.OperationalError:
        return []


class Machine(NamedTuple):
    """A clone, the places of its agents, its wire, and what it is called in the database."""

    name: str
    clone: Worktree
    places: tuple[Worktree, ...]
    wire: Wire
    id: str

    @property
    def room(self) -> Path:
        """The directory of everything of this machine."""
        return self.clone.top.parent

    def flushers(self) -> list[int]:
        """Its processes that land."""
        there = processes(self.room)
        return [pid for pid, process in there.items() if kind_of(process, there) == "flusher"]

    def gits(self) -> list[int]:
        """The gits that those have started."""
        there = processes(self.room)
        return [pid for pid, process in there.items() if "git of flusher" in str(kind_of(process, there))]

    @contextmanager
    def without_remote(self, how: str) -> Iterator[bool]:
        """Refuse what goes to the remote (`refused`), or hold it up (`held`)."""
        mark = self.room / "way" / how
        mark.touch()
        try:
            yield True
        finally:
            mark.unlink()


def remote_of(room: Path) -> Scene:
    """The remote of a run, with the branch that all machines push to."""
    scene = Scene(room)
    scene.bare.git("config", "core.logAllRefUpdates", "true")
    return scene


def with_files(scene: Scene, agents: int) -> None:
    """Give each agent the files that it works with."""
    for number in range(agents):
        for kind, text in (("txt", ""), ("draft", "as it was\n")):
            (scene.top / f"agent{number}.{kind}").write_text(text)
    scene.git("add", ".")
    scene.git("commit", "-q", "-m", "Begin with a file for each agent")
    scene.git("push", "-q", "origin", "main")


def machine(scene: Scene, server: Server, name: str, agents: list[str], more: Mapping[str, str] = NOTHING) -> Machine:
    """Make a machine with the worktrees of these agents, and let it join the fleet of the server; `more` is of its
    environment.
    """
    room = scene.root / name
    home = room / "home"
    home.mkdir(parents=True)
    (home / "gitconfig").write_text((scene.home / "gitconfig").read_text())
    env = {**scene.env, "HOME": str(home), "GIT_CONFIG_GLOBAL": str(home / "gitconfig"), **more}
    Worktree(room, env).git("clone", "-q", str(scene.remote), "clone")
    clone = Worktree(room / "clone", env)
    wire = Wire(server.root / name, server.root / SOCKET)
    way = room / "way"
    way.mkdir()
    for service in ("upload-pack", "receive-pack"):
        wrapper = script(way / service, _WAY.format(place=way, service=service))
        clone.git("config", f"remote.origin.{service.replace('-', '')}", str(wrapper))
    settings = {"uam.window.push": "200ms", "uam.window.company": "off", "uam.flusher.linger": "1s"}
    for key, value in settings.items():
        clone.git("config", key, value)
    for key in more:
        clone.git("config", "--add", "uam.identity.env", key)
    with environment(env), Repository.at(clone.top) as repo:
        install(repo)
    member = joined(clone, server.url().replace(str(server.root), str(wire.at)))
    places = []
    for agent in agents:
        clone.git("worktree", "add", "-q", str(room / agent), "-b", agent)
        places.append(Worktree(room / agent, {**env, "UAM_AGENT_ID": agent}))
    return Machine(name, clone, tuple(places), wire, member)


def joined(clone: Worktree, url: str) -> str:
    """Let a clone join the fleet; what it is called there."""
    from uam_hooks.fleet.database import join  # needs psycopg

    with environment(clone.env), open_session(clone.top) as session:
        own = clone_of(session.repo.paths)
        join(url, FLEET, Member(own.id, own.name), terms_of(session.settings, os.environ))
    clone.git("config", "uam.fleet", FLEET)
    clone.git("config", "uam.fleet.url", url)
    return own.id
