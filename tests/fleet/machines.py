"""Machines of a fleet: clones of the scene's remote with homes of their own, and a database."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from urllib.parse import urlsplit

from tests.support.landscape import environment
from tests.support.postgres import Server
from tests.support.scenes import Done, Scene, Worktree, finished, until
from uam_hooks.fleet.clone import clone_of
from uam_hooks.fleet.database import join
from uam_hooks.fleet.values import Machine
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.install.install import install


class Clone(Scene):
    """A clone as a machine: what it has of `Scene` is what is asked of its queue and its flushers."""

    def __init__(self, scene: Scene, name: str, url: str = "", fleet: str = "shop", window: str = "1s") -> None:
        """A clone that is in the fleet already; without a `url` it has yet to join."""
        home = scene.root / f"home-{name}"
        home.mkdir()
        config = (scene.home / "gitconfig").read_text()
        (home / "gitconfig").write_text(config)
        env = {**scene.env, "HOME": str(home), "GIT_CONFIG_GLOBAL": str(home / "gitconfig"), "UAM_AGENT_ID": name}
        Worktree.__init__(self, scene.root / name, env)
        self.root, self.home, self.remote, self.start_oid = scene.root, home, scene.remote, scene.start_oid
        scene.outside.git("clone", "-q", str(scene.remote), name)
        self.outside = scene.outside
        for key, value in (
            ("uam.window.push", window), ("uam.flusher.linger", "2m"), ("uam.squash", "never"),
            ("uam.window.company", "off"), *([("uam.fleet", fleet), ("uam.fleet.url", url)] if url else []),
        ):  # fmt: skip
            self.git("config", key, value)
        with environment(self.env), Repository.at(self.top) as repo:
            install(repo)
        if url:
            clone = clone_of(RepoPaths.of(self.top / ".git"))
            join(url, fleet, Machine(clone.id, name))


def clones(scene: Scene, server: Server, names: Sequence[str], window: str = "1s") -> list[Clone]:
    """Machines with these names in a fleet of their own."""
    url = server.url(server.database())
    return [Clone(scene, name, url, window=window) for name in names]


def pushed_together(machines: Sequence[Worktree]) -> list[Done]:
    """All of them push at the same time."""
    running: list[subprocess.Popen[str]] = [one.start("push", "origin", "main") for one in machines]
    return [finished(process) for process in running]


def waiting(server: Server, url: str, many: int) -> None:
    """Wait until so many entries wait in the database."""
    count = "SELECT count(*) FROM uam.entries WHERE state = 'waiting'"
    until(lambda: server.sql(count, database=database_of(url)) == str(many), f"{many} entries that wait")


def database_of(url: str) -> str:
    """The name of a database, in its URL."""
    return urlsplit(url).path.removeprefix("/")


def url_of(clone: Clone) -> str:
    """The database of its fleet."""
    return clone.git("config", "uam.fleet.url")


def holders(server: Server, one: Clone) -> int:
    """How many branches of the fleet of a machine somebody holds."""
    return int(server.sql("SELECT count(*) FROM uam.holders WHERE pid > 0", database=database_of(url_of(one))))


def let_hold(server: Server, one: Clone, window: str = "1h") -> None:
    """Let a machine hold main, for a push that nobody waits for and that is not due for so long."""
    one.git("config", "uam.window.push", window)
    one.commit("held", message="Held")
    assert one.run("-c", "uam.push.mode=queue", "push", "origin", "main").code == 0
    until(lambda: holders(server, one) == 1, "a holder")
