"""Our hooks in the directory where git looks for hooks, together with hooks that exist already.

A hook that is not ours is kept under another name, and ours runs it first. The checksum of each file that is
written is recorded, so that a hook that somebody has edited is neither overwritten nor removed.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core import whole
from uam_hooks.hot.core.errors import Refused
from uam_hooks.install.hookfile import HOOKS, KEPT, SAVED, State, checksum, put_aside, shipped_dir, state_of, supersedes

SHIMS = ("git-remote-uam", "git-uam")
RECORD = "install.json"  # in .git/uam
_USERS = ".uam-repositories"  # in a hooks directory that several repositories share


class HooksInTree(Refused):
    """git runs the hooks of this repository from among the files of a worktree, where we write nothing."""


class Record(NamedTuple):
    """What an install has put into a hooks directory."""

    hooks_dir: Path
    made: bool = False
    sums: Mapping[str, str] = MappingProxyType({})

    @classmethod
    def read(cls, uam: Path) -> Record | None:
        """The record in the directory `uam`; None when it is missing or cannot be read."""
        try:
            found = json.loads((uam / RECORD).read_text())
            return cls(uam.parent / found["hooks_dir"], bool(found["made"]), dict(found["sums"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def text(self, uam: Path) -> bytes:
        """The contents of the record's file in `uam`; paths are relative, so the repository can be moved."""
        inside = self.hooks_dir.is_relative_to(uam.parent)
        directory = self.hooks_dir.relative_to(uam.parent) if inside else self.hooks_dir
        fields = {"hooks_dir": str(directory), "made": self.made, "sums": dict(self.sums)}
        return json.dumps(fields, indent=1).encode() + b"\n"


class Placed(NamedTuple):
    """What `place` did: hooks written, foreign hooks kept, hooks left because somebody edited them."""

    record: Record
    written: tuple[str, ...]
    kept: tuple[str, ...]
    left: tuple[str, ...]


class Removed(NamedTuple):
    """What `remove` did: hooks removed, earlier ones restored, hooks left alone and why."""

    hooks: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


def put_file(path: Path, data: bytes, mode: int, undo: ExitStack) -> None:
    """`whole.put`; a callback that restores the earlier file, or deletes the new one, goes onto `undo`."""
    earlier = (path.read_bytes(), path.stat().st_mode & 0o7777) if path.is_file() else None
    whole.put(path, data, mode)
    if earlier:
        undo.callback(whole.put, path, *earlier)
    else:
        undo.callback(path.unlink, missing_ok=True)


@contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Exclude other callers for the same `directory`. The directory itself is locked, so no lock file is left."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems cannot lock directories
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


# -- where hooks go ------------------------------------------------------------------------------------


def hooks_directory(repo: Repository) -> Path:
    """Where git looks for this repository's hooks; raises HooksInTree when that is inside a worktree."""
    paths = repo.paths
    found = repo.run("rev-parse", "--path-format=absolute", "--git-path", "hooks", at=paths.worktree)
    directory = Path(os.fsdecode(found.out.removesuffix(b"\n")))
    real, common = directory.resolve(), paths.common_dir.resolve()
    for top in _worktrees(repo):
        ours = real.is_relative_to(common) and common.is_relative_to(top)
        if real.is_relative_to(top) and not ours:
            raise HooksInTree(
                f"git runs this repository's hooks from {directory}, among the files of the worktree {top}.",
                "Use git's default directory with `git config --unset core.hooksPath`, or install with --door-only.",
            )
    return directory


def _worktrees(repo: Repository) -> list[Path]:
    listed = repo.run("worktree", "list", "--porcelain", "-z").out.split(b"\0")
    tops = [os.fsdecode(line.removeprefix(b"worktree ")) for line in listed if line.startswith(b"worktree ")]
    # for a submodule, and for --separate-git-dir, git lists the git directory as the main worktree
    here = repo.run("rev-parse", "--show-toplevel", at=repo.paths.worktree, ok=(0, 128))
    if here.code == 0:
        tops.append(os.fsdecode(here.out.removesuffix(b"\n")))
    return [Path(top).resolve() for top in tops]


def shared(repo: Repository, directory: Path) -> bool:
    """Whether other repositories may also use this hooks directory (a global core.hooksPath)."""
    return not directory.resolve().is_relative_to(repo.paths.common_dir.resolve())


# -- putting hooks in ----------------------------------------------------------------------------------


def _states(directory: Path, record: Record | None) -> dict[str, State]:
    return {name: state_of(directory / name, name, _sum(record, name)) for name in HOOKS}


def _sum(record: Record | None, name: str) -> str | None:
    return record.sums.get(name) if record else None


def refuse_two_foreign(directory: Path, record: Record | None, besides: Sequence[str] = ()) -> None:
    """Raise Refused when a hook is not ours and an earlier one is kept already: only one can be kept.

    There is one to keep where the same tool has written both, and where the earlier one can go to where ours lies.
    Those that git runs `besides` take nobody's place.
    """
    for name, state in _states(directory, record).items():
        hook, kept = directory / name, directory / (name + KEPT)
        if name in besides or state is not State.FOREIGN or not os.path.lexists(kept) or supersedes(hook, kept):
            continue
        if not put_aside(directory, name, _sum(record, name)):
            raise Refused(
                f"The hook {hook} is not ours, and {name}{KEPT} next to it is an earlier one.",
                f"Merge the two into one {name}, remove {name}{KEPT}, and install again.",
            )


def place(
    repo: Repository, directory: Path, record: Record | None, undo: ExitStack, besides: Sequence[str] = ()
) -> Placed:
    """Put our hooks into `directory`, keeping existing ones; a callback that undoes each step goes onto `undo`.

    Where git runs ours `besides` what is there, one that is not ours stays where it is.
    """
    made = record.made if record else False
    if not directory.is_dir():
        directory.mkdir(parents=True)
        undo.callback(directory.rmdir)
        made = True
    if shared(repo, directory):
        with exclusive(directory):
            _set_users(directory, {*_users(directory), str(repo.paths.common_dir)}, undo)
    sums = dict(record.sums) if record else {}
    written, kept, left = [], [], []
    for name, state in _states(directory, record).items():
        hook, data = directory / name, (shipped_dir() / name).read_bytes()
        if state is State.EDITED:
            left.append(name)
            continue
        _make_good(directory, name, _sum(record, name), state, undo)
        if state is State.FOREIGN and name in besides:
            continue
        sums[name] = checksum(data)
        if state is State.OURS and hook.read_bytes() == data and os.access(hook, os.X_OK):
            continue
        if state is State.FOREIGN:
            _keep(hook, undo)
            kept.append(name)
        put_file(hook, data, 0o755, undo)
        written.append(name)
    return Placed(Record(directory, made, sums), tuple(written), tuple(kept), tuple(left))


def _make_good(directory: Path, name: str, known: str | None, state: State, undo: ExitStack | None = None) -> None:
    """Remove the copies of our hook `name` that another tool has put aside.

    Where that tool's hook has our place, what ours had kept takes the place of a copy, as if ours had never been there.
    """
    hook, kept, saved = (directory / (name + end) for end in ("", KEPT, SAVED))
    for copy in put_aside(directory, name, known):
        ours, mode = copy.read_bytes(), copy.stat().st_mode & 0o7777
        returns = state is State.FOREIGN and os.path.lexists(kept) and not supersedes(hook, kept)
        if undo:
            undo.callback(whole.put, copy, ours, mode)
        if returns:
            _copy(kept, saved, undo)
            kept.replace(copy)  # a symlink moves as such
            if undo:
                undo.callback(copy.rename, kept)
            continue
        copy.unlink()
        if os.path.lexists(saved):  # the tool has put ours over the hook that had gone to its place
            _copy(saved, copy, None)


def _drop_saved(directory: Path, name: str) -> bool:
    """Remove the second copy of a hook, if there is one; False where it is the only one that is left."""
    saved = directory / (name + SAVED)
    others = [path for path in directory.glob(f"{name}*") if path != saved and path.is_file()]
    if saved.is_file() and saved.read_bytes() not in [path.read_bytes() for path in others]:
        return False
    saved.unlink(missing_ok=True)
    return True


def _copy(source: Path, target: Path, undo: ExitStack | None) -> None:
    """Copy a hook or a symlink to one, over what may be there."""
    target.unlink(missing_ok=True)
    import shutil

    shutil.copy2(source, target, follow_symlinks=False)
    if undo:
        undo.callback(target.unlink, missing_ok=True)


def _keep(hook: Path, undo: ExitStack) -> None:
    """Move a hook that is not ours to where ours runs it, in place of an earlier one of the same tool."""
    there = hook.with_name(hook.name + KEPT)
    if there.is_file() and not there.is_symlink():
        undo.callback(whole.put, there, there.read_bytes(), there.stat().st_mode & 0o7777)
    hook.rename(there)  # a symlink moves as such
    undo.callback(there.rename, hook)


def place_shims(directory: Path, undo: ExitStack, names: Sequence[str] = SHIMS) -> None:
    """Copy the two shims that the aliases run, or others of our files, into `directory`, unless they are up to date."""
    for name in names:
        data = (shipped_dir() / name).read_bytes()
        shim = directory / name
        if not (shim.is_file() and shim.read_bytes() == data and os.access(shim, os.X_OK)):
            put_file(shim, data, 0o755, undo)


# -- taking hooks out ----------------------------------------------------------------------------------


def remove(repo: Repository, record: Record) -> Removed:
    """Remove our hooks and restore what they had replaced; hooks that somebody has edited stay.

    In a hooks directory that several repositories share, the hooks stay until the last repository is uninstalled.
    """
    directory = record.hooks_dir
    if not directory.is_dir():
        return Removed()
    if shared(repo, directory):
        with exclusive(directory):
            others = {user for user in _users(directory) if (Path(user) / "uam" / "env").is_file()}
            others.discard(str(repo.paths.common_dir))
            _set_users(directory, others)
        if others:
            return Removed(left=(f"the hooks in {directory}: other repositories use them, too",))
    hooks, restored, left = [], [], []
    for name, state in _states(directory, record).items():
        hook, kept = directory / name, directory / (name + KEPT)
        if state is not State.EDITED:
            _make_good(directory, name, _sum(record, name), state)
        if not _drop_saved(directory, name):
            left.append(f"{directory / (name + SAVED)}: a hook from before us that lies nowhere else")
        if state in (State.OURS, State.ABSENT) and os.path.lexists(kept):
            kept.replace(hook)
            restored.append(name)
        elif state is State.OURS:
            hook.unlink()
            hooks.append(name)
        elif state is State.EDITED:
            left.append(f"{hook}: it was edited since we wrote it")
        elif os.path.lexists(kept) and supersedes(hook, kept):
            kept.unlink()
        elif os.path.lexists(kept):
            left.append(f"{kept}: {name} next to it is not ours")
    if record.made:
        with suppress(OSError):  # not empty: it has files of others
            directory.rmdir()
    return Removed(tuple(hooks), tuple(restored), tuple(left))


# -- a hooks directory that several repositories share -----------------------------------------------------


def _users(directory: Path) -> set[str]:
    """The common directories of the repositories that are installed with this hooks directory."""
    try:
        return set(os.fsdecode((directory / _USERS).read_bytes()).splitlines())
    except FileNotFoundError:
        return set()


def _set_users(directory: Path, users: set[str], undo: ExitStack | None = None) -> None:
    path = directory / _USERS
    earlier = path.read_bytes() if path.exists() else b""
    text = b"".join(os.fsencode(user) + b"\n" for user in sorted(users))
    if text == earlier:
        return
    _write_or_unlink(path, text)
    if undo:
        undo.callback(_write_or_unlink, path, earlier)


def _write_or_unlink(path: Path, text: bytes) -> None:
    if text:
        whole.put(path, text, 0o644)
    else:
        path.unlink(missing_ok=True)
