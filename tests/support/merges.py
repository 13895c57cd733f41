"""Merges that are asked for by name, and branches to merge."""

from __future__ import annotations

import subprocess
from typing import Any

from tests.support.queueing import acting
from tests.support.scenes import Scene, Worktree
from uam_hooks import BatchResult

STRATEGIES = ("no-ff", "squash", "ff-only")


MERGED = "Merge branch 'topic' into main"


def merge(scene: Scene, target: str = "main", source: str = "topic", **payload: Any) -> BatchResult:
    """One merge, executed; `due_only`, since a flush by hand would also squash the commits that nobody pushes."""
    with acting(scene) as agents:
        agents.queue("ada", "merge", target, {"source": source, **payload})
        (result,) = agents.flush_all(due_only=True)
    return result


def topic(scene: Scene, *names: str, checked_out: str = "elsewhere") -> str:
    """A branch topic with commits of its own, main with none since; HEAD is on the branch `checked_out`."""
    scene.git("branch", "-q", "topic", "main")
    for name in names or ("t1", "t2"):
        on(scene, "topic", name)
    if checked_out != "main":
        scene.git("switch", "-q", *([checked_out] if scene.oid(checked_out) else ["-c", checked_out, "main"]))
    return scene.oid("topic")


def on(scene: Scene, branch: str, name: str, text: str = "") -> str:
    """A commit on a branch that is not checked out. No hook sees it, so no flush makes it one with others."""
    content = text or f"{name}\n"
    stream = "\n".join([
        f"commit refs/heads/{branch}", "committer Ada <ada@example.invalid> 1714979289 +0000",
        f"data {len(f'Add {name}'.encode())}", f"Add {name}", f"from refs/heads/{branch}^0",
        f'M 100644 inline "{name}"', f"data {len(content.encode())}", content, "",
    ])  # fmt: skip
    subprocess.run(["git", "fast-import", "--quiet"], input=stream.encode(), cwd=scene.top, env=scene.env, check=True)
    return scene.oid(branch)


def files(place: Worktree, ref: str) -> list[str]:
    return place.git("ls-tree", "-r", "--name-only", ref).splitlines()


def parents(place: Worktree, ref: str) -> list[str]:
    return place.git("log", "-1", "--format=%P", ref).split()


def body(place: Worktree, ref: str) -> str:
    return place.git("log", "-1", "--format=%B", ref).strip()


def last(scene: Scene) -> dict[str, Any]:
    """The newest action that was asked for by name."""
    return [one for one in scene.rows("deploy_queue") if one["asked"]][-1]


class Before:
    """Everything that a refused merge must leave as it is."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.seen = self.look()

    def look(self) -> tuple[Any, ...]:
        scene = self.scene
        refs = scene.git("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/remotes", "refs/tags")
        index = scene.git("ls-files", "-s")
        there = sorted(p.name for p in scene.top.iterdir())
        return refs, index, there, scene.git("status", "--porcelain"), scene.there(), scene.oid("HEAD")

    def is_how_it_is(self) -> None:
        assert self.look() == self.seen
        for name in ("MERGE_HEAD", "MERGE_MSG", "AUTO_MERGE", "index.lock"):
            assert not (self.scene.top / ".git" / name).exists()
