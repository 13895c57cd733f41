"""Commits that are asked for by name."""

from __future__ import annotations

from typing import Any

from tests.support.landscape import write
from tests.support.queueing import AT_ONCE, batcher
from tests.support.scenes import Worktree
from uam_hooks import BatchResult


def change(place: Worktree, *files: str, message: str = "", target: str = "main", at: str = "") -> int:
    """Queue a commit of these files; gives its id."""
    with batcher(place, repository=place.top / at, dynamic_windows=AT_ONCE) as queue:
        payload = {"message": message or f"Change {files[0]}", "files": list(files)}
        return queue.queue(place.top.name, "commit", target, payload)


def push(place: Worktree, target: str = "main") -> int:
    with batcher(place, dynamic_windows=AT_ONCE) as queue:
        return queue.queue(place.top.name, "push", target)


def land(place: Worktree) -> BatchResult:
    """Execute what is queued, as one batch."""
    with batcher(place, dynamic_windows=AT_ONCE) as queue:
        batch = queue.create_batch()
        assert batch is not None
        return queue.execute_batch(batch.id)


def frozen(place: Worktree) -> dict[str, object]:
    """The index, HEAD, and every file of a worktree: what asking for a commit never changes."""
    found: dict[str, object] = {
        "the index": (place.git_dir / "index").read_bytes() if (place.git_dir / "index").exists() else b"",
        "HEAD": (place.git_dir / "HEAD").read_text(),
        "branches": place.git("for-each-ref", "refs/heads", "refs/remotes"),
    }
    for path in sorted(place.top.rglob("*")):
        name = path.relative_to(place.top)
        if name.parts[0] == ".git":
            continue
        state = path.lstat()
        content: object = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(name)] = state.st_mode, state.st_mtime_ns, content
    return found


def entry(place: Worktree, name: str, ref: str = "main") -> tuple[str, str]:
    """Mode and content of a file in a commit."""
    mode = place.git("--literal-pathspecs", "ls-tree", ref, "--", name).partition(" ")[0]
    return mode, place.run("cat-file", "-p", f"{ref}:{name}").out


def commit_of(place: Worktree, name: str, text: str = "", message: str = "") -> dict[str, Any]:
    """The payload of a commit of one file, which is written now."""
    write(place, name, text or f"{name}\n")
    return {"message": message or f"Add {name}", "files": [name]}
