"""Commands of deploys: what they do, and what they have done."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

from tests.support.queueing import acting, row
from tests.support.scenes import PATIENCE, Scene, script
from uam_hooks import Action, BatchResult


def command(scene: Scene, target: str, text: str = "") -> Path:
    """Let sh run `text` for the deploy `target`, in the directory that is returned."""
    at = scene.root / "deploys"
    at.mkdir(exist_ok=True)
    words = script(scene.root / "commands" / target, f'cd "{at}"\n{text}\n')
    scene.git("config", f"uam.deploy.{target}.command", shlex.quote(str(words)))
    return at


def meeting(scene: Scene, count: int) -> list[str]:
    """Deploys that end only when all of them have been there at the same time, and are ended when that never is.

    The first one opens a pipe to each of the others, which waits for both sides, and then another one: before all have
    come to the first pipes nobody gets beyond the second.
    """
    names = [f"d{n}" for n in range(count)]
    scene.git("config", "uam.deploy.timeout", f"{PATIENCE:g}s")
    pipes = [(f"come-{name}", f"go-{name}") for name in names[1:]]
    for both in pipes:
        for pipe in both:
            path = scene.root / "deploys" / pipe
            path.parent.mkdir(exist_ok=True)
            os.mkfifo(path)
    command(scene, names[0], "\n".join(f": <{pipe}" for at in (0, 1) for pipe in [both[at] for both in pipes]))
    for name, (come, go) in zip(names[1:], pipes, strict=True):
        command(scene, name, f": >{come}\n: >{go}")
    return names


class Beside:
    """What a flush `tell`s: the most actions that ran at the same time."""

    def __init__(self) -> None:
        self.most = 0
        self._running: set[int] = set()

    def __call__(self, action: Action, state: str) -> None:
        if state == "running":
            self._running.add(action.id)
        else:
            self._running.discard(action.id)
        self.most = max(self.most, len(self._running))


def logging(scene: Scene, *targets: str) -> Path:
    """Deploys that write their action's number into the file that is returned."""
    for target in targets:
        at = command(scene, target, 'echo "$UAM_ACTION" >>log')
    return at / "log"


def ran(log: Path) -> list[int]:
    """The actions whose deploys have run, in their order."""
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def ends(scene: Scene, *numbers: int) -> list[tuple[str, str]]:
    """Status and words of each of these actions."""
    return [(row(scene, n)["status"], row(scene, n)["error"]) for n in numbers]


def deploy(scene: Scene, payload: dict[str, Any] | None = None, target: str = "prod") -> tuple[int, BatchResult]:
    """One deploy, executed."""
    with acting(scene) as agents:
        number = agents.queue("ada", "deploy", target, payload)
        (result,) = agents.flush_all()
    return number, result


def told(scene: Scene, name: str = "prod") -> Path:
    """Configure a deploy that notes what it was told, and what the remote's main was then; gives the note."""
    note = scene.root / f"{name}.note"
    command = script(
        scene.root / f"{name}.sh", f'echo "$UAM_SHA $(git --git-dir "{scene.remote}" rev-parse main)" >>"{note}"\n'
    )
    scene.git("config", f"uam.deploy.{name}.command", str(command))
    return note


def noting(scene: Scene, name: str, command: str) -> Path:
    """Configure the deploy `name`: sh runs `command`, in which $log is the file that this gives."""
    log = scene.root / "deployed"
    path = script(scene.root / "deploys" / name, f'log="{log}"\n{command}\n')
    scene.git("config", f"uam.deploy.{name}.command", str(path))
    return log


def deployed(scene: Scene) -> list[str]:
    """What such deploys have written, line by line."""
    log = scene.root / "deployed"
    return log.read_text().splitlines() if log.exists() else []
