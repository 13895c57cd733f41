"""Objects written as git's loose ones, without a process: GitPython's writer knows SHA-1 alone."""

from __future__ import annotations

import os
import stat
import zlib
from _thread import get_ident
from contextlib import suppress
from pathlib import Path

# How often a directory that was made may be gone again: `git gc` removes those that it finds empty.
_TRIES = 20


def store(objects: Path, oid: str, kind: str, data: bytes, *, synced: bool = False) -> None:
    """Write the object `oid` into the directory `objects` of a repository; OSError where that fails.

    It gets the mode of that directory, as far as it may be read, and appears there whole; with `synced` it is on disk
    before. One that is there as a loose object is made young again, as git does it: gc removes old ones.
    """
    place = f"{objects}/{oid[:2]}/{oid[2:]}"
    if _freshened(place):
        return
    mode = stat.S_IMODE(os.stat(objects).st_mode)
    # under a name that git gc removes once it is old
    draft = f"{objects}/tmp_obj_{os.getpid()}_{get_ident()}_{oid}"  # noqa: S108 - not in /tmp
    fd = _opened(draft)
    try:
        try:
            _write(fd, zlib.compress(b"%s %d\0" % (kind.encode(), len(data)) + data, 1))
            os.fchmod(fd, mode & 0o444)
            if synced:
                os.fsync(fd)
        finally:
            os.close(fd)
        _move(draft, place, mode)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise


def there(objects: Path, oid: str) -> bool:
    """Whether the object `oid` is there as a loose one."""
    try:
        return os.stat(f"{objects}/{oid[:2]}/{oid[2:]}").st_size > 0
    except OSError:
        return False


def _freshened(place: str) -> bool:
    """Whether the object is there, not empty, and as young as one that is written now."""
    try:
        if os.stat(place).st_size == 0:  # after a power cut
            return False
        os.utime(place)
    except OSError:
        return False
    return True


def _opened(draft: str) -> int:
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
    try:
        return os.open(draft, flags, 0o600)
    except FileExistsError:  # of a process that died, which had our number
        os.unlink(draft)
        return os.open(draft, flags, 0o600)


def _write(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _move(draft: str, place: str, mode: int) -> None:
    for left in reversed(range(_TRIES)):
        try:
            os.rename(draft, place)
            return
        except FileNotFoundError:
            if not left:
                raise
        with suppress(FileExistsError):
            directory = os.path.dirname(place)
            os.mkdir(directory)
            os.chmod(directory, mode)
