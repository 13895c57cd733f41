"""Files that are there as a whole, or as they were."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def put(path: Path, data: bytes, mode: int) -> None:
    """Put a file with this content and mode in the place of what is there; on an error that stays as it was."""
    import tempfile  # who only looks imports this module, too

    descriptor, draft = tempfile.mkstemp(prefix=".uam-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(draft).unlink()
        raise
