"""Where the page goes: a file that is there as a whole, or as it was."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from uam_hooks.hot.core import whole
from uam_hooks.hot.core.errors import UamError, UsageError

STDOUT = "-"


def write(name: str, page: str) -> None:
    """Write the page to this file, to stdout for `-`; what was there keeps its mode, and a link goes on to lead there.

    UsageError where that cannot be a file, UamError where it could not be written.
    """
    data = page.encode("utf-8", "replace")
    if name == STDOUT:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        path = Path(name).resolve()
        mode = path.stat().st_mode if path.exists() else None
        if mode is not None and stat.S_ISDIR(mode):
            raise UsageError(f"{name} is a directory.", "Name a file in it.")
        if mode is not None and not stat.S_ISREG(mode):  # a pipe, a terminal, /dev/null
            path.write_bytes(data)
        elif not path.parent.is_dir():
            raise UsageError(f"There is no directory {path.parent}.", "Make it, or name another file.")
        else:
            whole.put(path, data, _usual() if mode is None else stat.S_IMODE(mode))
    except BrokenPipeError:
        raise
    except (OSError, ValueError, RuntimeError) as error:  # a name with a zero byte; links that go round in a circle
        why = (error.strerror if isinstance(error, OSError) else "") or str(error)
        raise UamError(f"{name} could not be written: {why}.", "A file that was there is as it was.") from None


def _usual() -> int:
    """The mode of a new file."""
    umask = os.umask(0o077)
    os.umask(umask)
    return 0o666 & ~umask
