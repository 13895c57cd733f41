"""uam.notify.command: it is told of failures that nobody waits for.

A process of its own tells it (`notifier`), so that no landing waits for that and the end of a flusher changes nothing.
What has been told, and what not, stands in the queue.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from uam_hooks.hot.core import files
from uam_hooks.hot.core.errors import UamError
from uam_hooks.hot.core.identity import reduced
from uam_hooks.hot.core.processes import start_apart
from uam_hooks.hot.core.words import say
from uam_hooks.session import Session
from uam_hooks.store import notices

_START = (
    "import sys; sys.path.append(sys.argv.pop(1));"
    " from uam_hooks.flush.notifier import main; main(sys.argv[1], sys.argv[2])"
)


def tell(session: Session) -> None:
    """Have the command told of what has failed, if there is any; what goes wrong here is left to the next flush."""
    try:
        if not notices.waiting(session.store, session.identity.id):
            return
        if not session.settings["uam.notify.command"]:
            notices.drop(session.store, session.identity.id)
            return
        _start(session)
    except (UamError, OSError) as error:
        say(f"uam.notify.command is not told now: {error.what if isinstance(error, UamError) else error}")


def _start(session: Session) -> None:
    paths = session.repo.paths
    log = files.opened(paths.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        words = [sys.executable, "-I", "-c", _START, str(Path(__file__).resolve().parents[2]), str(paths.common_dir),
                 session.identity.id]  # fmt: skip
        start_apart(words, log, paths.common_dir, reduced(os.environ, session.settings))
    finally:
        os.close(log)
