"""Files and directories below .git/uam: opened without following links, and readable by nobody else.

The mode of .git/uam decides that of all that lies in it, so whoever makes a file needs no settings. Nothing here makes
a directory above the one that it is asked for: a repository that was moved or removed does not come back. What stays
there for good is made by the install, pushes and commands (`furnish`); a background process that misses it ends.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from errno import EINVAL, ELOOP, ENOTDIR, ENXIO
from pathlib import Path

from uam_hooks.hot.core.errors import Advice, Refused
from uam_hooks.hot.core.paths import RepoPaths, worktree_around

_PRIVATE = 0o700
_DATABASE = "queue.db"


def directory_mode(shared: str) -> int | None:
    """The mode of .git/uam for a value of core.sharedRepository, "" where it is not set; None: the umask decides."""
    text = shared.strip().lower()
    if text in ("umask", "false", "no", "off", "0"):
        return None
    if text in ("group", "true", "yes", "on", "1"):
        return 0o2770
    if text in ("all", "world", "everybody", "2"):
        return 0o2775
    if re.fullmatch(r"0[0-7]{3}", text):
        bits = int(text, 8)
        return 0o2000 | bits | (bits & 0o444) >> 2  # as git does: who may read a file may enter a directory
    return _PRIVATE


def secure(uam: Path, shared: str) -> None:
    """Give .git/uam, and what an earlier version has left in it, the modes that `shared` asks for.

    Costs one look at the directory where that has been done. Refused where it is a link, or no directory.
    """
    mode = directory_mode(shared)
    fd = _directory(uam)
    try:
        if mode is None or stat.S_IMODE(os.fstat(fd).st_mode) == mode:
            return
        with suppress(PermissionError):  # another user's, in a shared repository
            for top, directories, files in os.walk(uam):
                for name in directories:
                    _change(Path(top, name), mode)
                for name in files:
                    _change(Path(top, name), mode & (0o777 if Path(top).name == "bin" else 0o666))
            os.fchmod(fd, mode)  # last: whoever dies before leaves it to the next one
    finally:
        os.close(fd)


def _change(path: Path, mode: int) -> None:
    with suppress(OSError):  # a link, or a file that is gone by now
        if path.name.startswith(_DATABASE):
            # not opened: closing it again would end the locks of every connection that this process has
            if stat.S_ISREG(path.lstat().st_mode):
                path.chmod(mode)
            return
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.fchmod(fd, mode)
        finally:
            os.close(fd)


def _directory(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (ELOOP, ENOTDIR):
            raise Refused(
                f"{path} is no directory of its own.", Advice.of("Remove it, and run {}.", "git", "uam", "install")
            ) from None
        raise


def furnish(paths: RepoPaths) -> None:
    """Make the locks and directories that are missing in .git/uam, the database excepted.

    What stands in the place of a directory is told by who needs that one.
    """
    for directory in (paths.batches, paths.settling, paths.logs, paths.bells):
        if not directory.is_dir():
            with suppress(Refused):
                make_directory(directory)
    for lock in (paths.flush_lock, paths.settle_lock):
        os.close(opened(lock, os.O_RDWR | os.O_CREAT))


def remember_worktree(paths: RepoPaths, at: Path) -> None:
    """Write down where the worktree is, if `at` is in one whose git directory lies apart and does not tell."""
    if paths.git_dir != paths.common_dir or paths.git_dir.name == ".git":
        return
    top = worktree_around(paths.git_dir, at)
    if top is None or top == paths.worktree:
        return
    fresh = paths.worktree_file.with_name(f"worktree.{os.getpid()}")
    fd = opened(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        os.write(fd, os.fsencode(f"{top}\n"))
    finally:
        os.close(fd)
    fresh.replace(paths.worktree_file)


def make_directory(path: Path) -> None:
    """Make a directory, or see that it is one; Refused where a link or a file is in its place."""
    mode = stat.S_IMODE(path.parent.stat().st_mode)
    try:
        path.mkdir()
    except FileExistsError:
        os.close(_directory(path))
        return
    path.chmod(mode)


def check_directory(path: Path) -> None:
    """Refused where `path` is a link, or no directory; it is not made."""
    os.close(_directory(path))


def opened(path: Path, flags: int) -> int:
    """A descriptor of the regular file `path`; a file that `flags` let make gets the mode of its directory.

    OSError for a link and for anything that is no regular file: a pipe is not waited for.
    """
    mode = stat.S_IMODE(path.parent.stat().st_mode) & 0o666
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, mode)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(EINVAL, "is no regular file", str(path))
        if flags & os.O_CREAT and not found.st_size and stat.S_IMODE(found.st_mode) != mode:
            with suppress(PermissionError):  # another user made it
                os.fchmod(fd, mode)
    except BaseException:
        os.close(fd)
        raise
    return fd


def anew(path: Path) -> int:
    """A descriptor of a new, empty file: what was there under that name is gone, whatever it was."""
    check_directory(path.parent)
    path.unlink(missing_ok=True)
    return opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND)


def text_of(path: Path) -> str | None:
    """The text of the regular file `path`; None where there is no file. Refused for anything else than a file."""
    try:
        fd = opened(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in (ELOOP, EINVAL, ENXIO):
            raise Refused(f"{path} is no file of ours, so it is not read.", "Remove it.") from None
        raise
    with os.fdopen(fd, "rb") as file:
        return file.read().decode("utf-8", "replace")
