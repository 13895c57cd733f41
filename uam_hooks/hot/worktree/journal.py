"""The journal of settles: what is about to happen to an index and its files, written down before it does.

One file for each worktree in `.git/uam/settling`; the pre-commit hook looks for it by name. Whoever holds the settle
lock knows that the process of a file that is there is gone.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.processes import started
from uam_hooks.hot.core.typed import NamedTuple

_NAME = "move"
_END = "\nend\n"


class Move(NamedTuple):
    """A worktree on its way: `branch` ("" for a detached HEAD) goes from commit `old` (ZERO: none yet) to `new`.

    `git_dir` is that of the worktree. `kept` are paths whose files had their new content before, so that they stay.
    """

    git_dir: str
    branch: str
    old: str
    new: str
    kept: tuple[str, ...] = ()

    @property
    def index_file(self) -> Path:
        return Path(self.git_dir) / "index"

    @property
    def before(self) -> Path:
        """The index as it was. It exists as long as there may be something to undo, and no longer."""
        return Path(self.git_dir) / "index.before-uam"


def place(paths: RepoPaths, git_dir: Path) -> Path:
    """The file of the worktree of `git_dir`."""
    return paths.settling / (_NAME if git_dir == paths.common_dir else f"{_NAME}.{git_dir.name}")


def write(paths: RepoPaths, move: Move) -> Path:
    """Write `move` down, durably; returns the file. Raises OSError, with nothing left behind, where that fails.

    What an earlier move of this worktree left has to be put right before.
    """
    move.before.unlink(missing_ok=True)
    path = place(paths, Path(move.git_dir))
    draft = path.with_name(f".{path.name}")
    # the process tells this try from an earlier one of the same: the index lock is a copy of this text
    process = [os.getpid(), started(os.getpid())]
    said = {"branch": move.branch, "old": move.old, "new": move.new, "kept": move.kept, "process": process}
    text = json.dumps(said) + _END
    try:
        with draft.open("w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise
    directory = os.open(paths.settling, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return path


def unfinished(paths: RepoPaths) -> list[Path]:
    """The files of all moves that were begun and not ended, those of living processes among them."""
    try:
        found = sorted(paths.settling.iterdir())
    except FileNotFoundError:
        return []
    return [path for path in found if path.name == _NAME or path.name.startswith(f"{_NAME}.")]


def read(path: Path) -> Move | None:
    """The move that is written down in `path`; None where the file is gone or incomplete: nothing was begun then."""
    try:
        text = path.read_text("ascii", "replace")
    except FileNotFoundError:
        return None
    if not text.endswith(_END):
        return None
    found = json.loads(text.removesuffix(_END))
    # by the name of the file: the repository may have been moved since
    common, name = path.parents[2], path.name.removeprefix(_NAME).removeprefix(".")
    git_dir = common / "worktrees" / name if name else common
    return Move(str(git_dir), found["branch"], found["old"], found["new"], tuple(found["kept"]))


def forget(path: Path, move: Move | None) -> None:
    """The worktree is as it was, or as it was to be: nothing is left to do."""
    if move is not None:
        for name in ("uam", "uam.lock", "uam-base"):
            move.index_file.with_name(f"{move.index_file.name}.{name}").unlink(missing_ok=True)
        move.before.unlink(missing_ok=True)
    path.unlink(missing_ok=True)
