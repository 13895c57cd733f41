"""Commands of deploys: what they do, and what they have done."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from tests.support.queueing import acting, row
from tests.support.scenes import Scene, script
from uam_hooks import BatchResult


def command(scene: Scene, target: str, text: str = "") -> Path:
    """Let sh run `text` for the deploy `target`, in the directory that is returned."""
    at = scene.root / "deploys"
    at.mkdir(exist_ok=True)
    words = script(scene.root / "commands" / target, f'cd "{at}"\n{text}\n')
    scene.git("config", f"uam.deploy.{target}.command", shlex.quote(str(words)))
    return at


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
