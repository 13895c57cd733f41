"""The two entries of the hot path, started by the shims as `python -I -S`.

An exit status tells the shim how far it came: 65 of the remote helper means "push straight, I have read nothing",
64 of the pre-push hook "queued, or refused". Python's own 1 stands for an interpreter that cannot import us.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from uam_hooks.hot.core.errors import UamError, report, say
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.plumbing import HotGit
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.spool import take_in

STRAIGHT = 65
QUEUED = 64
FAULT = 70


def remote_helper() -> NoReturn:
    """`git-remote-uam <remote>`: the wired door."""
    remote, shim = sys.argv[1:3]
    try:
        paths, git, settings = _here()
        if not settings["uam.enabled"]:
            sys.exit(STRAIGHT)
        store = _open(paths, settings)
    except (UamError, OSError) as error:
        _straight_because(error)
        sys.exit(STRAIGHT)
    from uam_hooks.hot.push.remote_helper import RemoteHelper

    try:
        status = RemoteHelper(remote, shim, paths, git, settings, store).serve(sys.stdin.buffer)
    except UamError as error:
        report(error)
        status = 128
    except BrokenPipeError:
        status = 141
    except KeyboardInterrupt:
        status = 130
    except Exception as error:  # git must see an end that it can report, never a traceback
        say(f"this push failed inside uam ({type(error).__name__}: {error}); UAM=off git push goes without it.")
        if os.environ.get("UAM_DEBUG"):
            raise
        status = FAULT
    os._exit(_flushed(status))


def pre_push() -> NoReturn:
    """`pre-push <remote> <url>`: the hook door."""
    from uam_hooks.hot.push.pre_push import hook_door, names_ours, push_lines

    try:
        paths, git, settings = _here()
        lines = push_lines(sys.stdin.buffer.read())
        refused = names_ours(lines)
        queued = (
            settings["uam.enabled"]
            and not refused
            and hook_door(sys.argv[1], sys.argv[2], lines, paths, git, settings, _open(paths, settings))
        )
    except (UamError, OSError) as error:
        _straight_because(error)
        sys.exit(0)
    sys.exit(QUEUED if queued or refused else 0)


def _here() -> tuple[RepoPaths, HotGit, Settings]:
    """Where git started us: it names its directory in GIT_DIR."""
    paths = RepoPaths.of(Path(os.environ.get("GIT_DIR", ".git")))
    git = HotGit(paths.git_dir, paths.worktree)
    return paths, git, Settings.read(git)


def _open(paths: RepoPaths, settings: Settings) -> Store:
    store = Store(paths.database)
    take_in(store, paths, settings["uam.window.commit"])
    return store


def _straight_because(error: UamError | OSError) -> None:
    what = error.what if isinstance(error, UamError) else f"{error.strerror}: {error.filename}"
    say(f"{what} This push goes straight to the remote.")


def _flushed(status: int) -> int:
    """Leave nothing buffered; the interpreter's own shutdown is skipped, it costs milliseconds."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    return status
