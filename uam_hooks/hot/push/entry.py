"""The two entry points of the hot path, started by the shims as `python -I -S`.

The exit status tells the shim how far it came: 65 from the remote helper means "push straight to the remote, I have
read nothing", 64 from the pre-push hook "queued, or refused". Python's own 1 means that the interpreter cannot import
the package.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

from uam_hooks.hot.core.errors import UamError, report
from uam_hooks.hot.core.interrupts import collect_garbage, interruptible
from uam_hooks.hot.core.typed import NoReturn
from uam_hooks.hot.core.urls import NAME, THIN
from uam_hooks.hot.core.words import say
from uam_hooks.hot.push.address import called, stranger
from uam_hooks.hot.push.arguments import is_dry_run, is_thin, push_arguments, receive_pack
from uam_hooks.hot.push.session import PushSession, open_session

STRAIGHT = 65
QUEUED = 64
FAULT = 70


def remote_helper() -> NoReturn:
    """`git-remote-uam <remote> <address>`: the wired door. A shim of before tells no address."""
    name, shim, address = (*sys.argv[1:4], sys.argv[1])[:3]
    _heed_arguments()
    session = _session()
    if session is None:
        sys.exit(STRAIGHT)
    remote = called(session.settings, name, address)
    why = stranger(session.settings, session.paths, remote)
    if why is not None:
        if why:
            say(why)
        sys.exit(STRAIGHT)
    os._exit(_flushed(interruptible(partial(_serve, session, remote, shim))))


def _serve(session: PushSession, remote: str, shim: str) -> int:
    """One conversation with git; the exit status."""
    from uam_hooks.hot.push.remote_helper import RemoteHelper

    collect_garbage()
    try:
        if not is_dry_run(push_arguments()):  # nor would anything else ask one to land it
            session.prepare_flusher(remote)
        return RemoteHelper(session, remote, shim).serve(sys.stdin.buffer)
    except UamError as error:
        report(error)
        return 128
    except BrokenPipeError:
        return 141
    except Exception as error:  # git must see an exit status that it can report, never a traceback
        say(f"this push failed inside uam ({type(error).__name__}: {error}); `UAM=off git push` does without uam.")
        if os.environ.get("UAM_DEBUG"):
            raise
        return FAULT


def _heed_arguments() -> None:
    """Let --receive-pack and --no-thin be settings given with `-c`, of the remote as which every place is pushed to.

    git tells a remote helper nothing of them.
    """
    arguments = push_arguments()
    program = receive_pack(arguments)
    given = [(f"remote.{NAME}.receivepack", program)] if program is not None else []
    given += [] if is_thin(arguments) else [(THIN, "false")]
    for number, (key, value) in enumerate(given, int(os.environ.get("GIT_CONFIG_COUNT") or 0)):
        os.environ[f"GIT_CONFIG_KEY_{number}"], os.environ[f"GIT_CONFIG_VALUE_{number}"] = key, value
        os.environ["GIT_CONFIG_COUNT"] = str(number + 1)


def pre_push() -> NoReturn:
    """`pre-push <remote> <url>`: the hook door."""
    from uam_hooks.hot.push.pre_push import hook_door, names_ours, push_lines

    def serve() -> int:
        try:
            lines = push_lines(sys.stdin.buffer.read())
            if names_ours(lines):
                return QUEUED
            session = _session()
            return QUEUED if session is not None and hook_door(session, sys.argv[1], lines) else 0
        except (UamError, OSError) as error:
            _say_straight(error)
            return 0

    sys.exit(interruptible(serve))


def _session() -> PushSession | None:
    """The session of the repository in which git started this process; None when the push goes straight."""
    try:
        return open_session(Path(os.environ.get("GIT_DIR", ".git")))
    except (UamError, OSError) as error:
        _say_straight(error)
        return None


def _say_straight(error: UamError | OSError) -> None:
    what = error.what if isinstance(error, UamError) else f"{error.strerror}: {error.filename}"
    say(f"{what} This push goes straight to the remote.")


def _flushed(status: int) -> int:
    """Flush stdout and stderr and return `status`; the interpreter's own shutdown costs milliseconds and is skipped."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    return status
