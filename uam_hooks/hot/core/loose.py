"""Objects written as git's loose ones, without a process: GitPython's writer knows SHA-1 alone."""

from __future__ import annotations

import os
import stat
import zlib
from contextlib import suppress
from pathlib import Path

# How often a directory that was made may be gone again: `git gc` removes those that it finds empty.
_TRIES = 20


def store(objects: Path, oid: str, kind: str, data: bytes) -> None:
    """Write the object `oid` into the directory `objects` of a repository; OSError where that fails.

    It gets the mode of that directory, as far as it may be read, and appears there whole.
    """
    mode = stat.S_IMODE(objects.stat().st_mode)
    # under a name that git gc removes once it is old
    draft = objects / f"tmp_obj_{os.getpid()}_{oid}"
    draft.unlink(missing_ok=True)  # of a process that died, which had our number
    fd = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(zlib.compress(b"%s %d\0" % (kind.encode(), len(data)) + data, 1))
            os.fchmod(file.fileno(), mode & 0o444)
        _move(draft, objects / oid[:2], oid[2:], mode)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise


def _move(draft: Path, directory: Path, name: str, mode: int) -> None:
    for left in reversed(range(_TRIES)):
        with suppress(FileExistsError):
            directory.mkdir()
            directory.chmod(mode)
        try:
            draft.replace(directory / name)
            return
        except FileNotFoundError:
            if not left:
                raise
