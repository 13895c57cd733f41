"""What the tests of DeployBatcher have in common."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.queueing import AT_ONCE
from tests.support.scenes import Done, Scene, Worktree, script
from uam_hooks import Batch, DeployBatcher


def made(place: Worktree, **options: Any) -> DeployBatcher:
    return DeployBatcher(repository=place.top, **{"dynamic_windows": AT_ONCE, **options})


def add(here: DeployBatcher, name: str = "f", text: str = "", agent: str = "ann", **options: Any) -> int:
    """Queue a commit of one file to main."""
    (here.at / name).write_text(text or f"{name}\n")
    return here.queue(agent, "commit", "main", {"message": f"Add {name}", "files": [name]}, **options)


def created(here: DeployBatcher) -> Batch:
    batch = here.create_batch()
    assert batch is not None
    return batch


@contextmanager
def nothing_changes(scene: Scene) -> Iterator[None]:
    """Neither the queue, nor a ref here or on the remote, nor what is checked out."""

    def state() -> object:
        files = scene.status()  # first: it freshens the index
        index = (scene.top / ".git" / "index").read_bytes()
        refs = scene.git("for-each-ref"), scene.bare.git("for-each-ref"), scene.pushes()
        return scene.queue(), refs, files, index

    before = state()
    yield
    assert state() == before


def elsewhere(place: Worktree, code: str, *args: str) -> Callable[[], Done]:
    """A job: Python `code` in a process of its own that stands in `place`."""
    full = f"import sys, json; from uam_hooks import DeployBatcher\n{code}"
    return lambda: place.execute(sys.executable, "-I", "-c", full, *args)


def deploys(scene: Scene, *names: str, does: str) -> None:
    """Configure deploy targets whose command is this sh text."""
    command = script(scene.root / f"deploy-{names[0]}", does)
    for name in names:
        scene.git("config", f"uam.deploy.{name}.command", str(command))
