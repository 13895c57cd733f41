"""The hook door: pre-push for a remote that is not wired.

A pre-push hook cannot say "accepted": with exit 0 git really pushes. So a push that was queued here ends with exit 1
and a message that this is no failure.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from uam_hooks.hot.core import gate
from uam_hooks.hot.core.identity import reduced
from uam_hooks.hot.core.plumbing import Git, is_ancestor, resolve_names
from uam_hooks.hot.core.refs import HEADS, OURS, short_target
from uam_hooks.hot.core.urls import unwired
from uam_hooks.hot.core.words import redact, say
from uam_hooks.hot.push import arguments, meaning, messages
from uam_hooks.hot.push.address import called, stranger
from uam_hooks.hot.push.intake import TRIES, BranchMoved, enter
from uam_hooks.hot.push.request import Request, Spec, wish_of
from uam_hooks.hot.push.resolve import ResolvedSpec, resolve
from uam_hooks.hot.push.session import PushSession
from uam_hooks.hot.queue.model import seconds_of
from uam_hooks.hot.queue.windows import URGENT_OPTION

_WIRE = "import sys; sys.path.append(sys.argv.pop(1)); from uam_hooks.install.later import main; main(*sys.argv[1:])"


def push_lines(stdin: bytes) -> list[list[str]]:
    """githooks(5): local ref, local object, remote ref and remote object of every ref to be pushed."""
    lines = [line.split(" ") for line in stdin.decode("utf-8", "surrogateescape").splitlines()]
    return [line for line in lines if len(line) == 4]


def names_ours(lines: list[list[str]]) -> bool:
    """Whether the push names refs of uam's own, and a message if so. A hook can only refuse a push as a whole."""
    if not any(line[2].startswith(OURS) and line[1].strip("0") for line in lines):  # there they may be deleted
        return False
    say(f"{OURS} belongs to this repository and is never pushed; push branches and tags by name.")
    return True


def hook_door(session: PushSession, name: str, lines: list[list[str]]) -> bool:
    """Queue what pre-push was told to push, or refuse it, and say so; False lets git push it itself.

    `name` is the hook's first argument: the URL for a remote that is not configured.
    """
    given = arguments.push_arguments()
    if not lines or arguments.is_dry_run(given):
        return False
    # what git was given: `url` is rewritten already, and would be once more
    remote = called(session.settings, name, name)
    why = stranger(session.settings, session.paths, remote)
    if why is not None:
        if why:
            say(why)
        return False
    if meaning.leaves_the_hook_alone(given, session.settings, [line[2] for line in lines]):
        return False
    if _wired_now(session, remote):
        return False  # git pushes this once by itself: a hook could only make it fail
    gate.refs((line[2] for line in lines), at_once=False)
    known = {line[2]: line[3] for line in lines if line[3].strip("0")}
    here = {oid for oid, _ in resolve_names(session.git, list(known.values()))}
    specs = tuple(_spec(line, session.git, here) for line in lines)
    options = arguments.push_options(given)
    urgent = URGENT_OPTION in options
    for left in reversed(range(TRIES)):
        resolved = resolve(session, Request(remote, specs, wish=wish_of(options)), known)
        if wrong := [one for one in resolved if one.error]:
            for one in wrong:
                say(f"{short_target(one.spec.dst)} is not pushed: {one.error}")
            return True
        with suppress(BranchMoved):
            queued, refused = enter(session, resolved, urgent=urgent, waits=False, last=not left)
            break
    for one, conflict in refused:
        for line in conflict.advice:
            say(line)
        say(f"{short_target(one.spec.dst)} is not pushed: {conflict.error}")
    if queued:
        _say_queued(session, remote, queued)
    return True


def _wired_now(session: PushSession, remote: str) -> bool:
    """Wire a remote that came after the install, so that the next push gets its answer; whether that was done."""
    if remote not in unwired(session.settings):
        return False
    site, common_dir = str(Path(__file__).resolve().parents[3]), session.paths.common_dir
    done = subprocess.run(
        [sys.executable, "-I", "-c", _WIRE, site, str(common_dir), remote],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd=common_dir,
        env=reduced(os.environ, session.settings),
        check=False,
    )
    return done.returncode == 0


def _say_queued(session: PushSession, remote: str, queued: Sequence[ResolvedSpec]) -> None:
    mode = session.settings["uam.push.mode"]
    for one in queued:
        assert one.ticket is not None
        where = f"{redact(remote)}/{short_target(one.spec.dst)}"
        say(messages.queued(one.ticket.action, where, seconds_of(one.ticket.due) - time.time(), mode))
    ids = {one.ticket.action for one in queued if one.ticket is not None}
    how = f"`git uam wait {min(ids) if len(ids) == 1 else 'ID'}`"
    say(f'git now reports that the push failed, because a hook cannot say "accepted"; {how} says how it ends.')
    if mode != "manual":
        session.ensure_flusher(remote)


def _spec(line: list[str], git: Git, here: set[str]) -> Spec:
    """A line of pre-push's stdin as a refspec; a push that is not a fast-forward can only have been forced.

    `here` are the objects of the remote's refs that this repository has.
    """
    local_ref, local, remote_ref, remote = line
    there = remote.strip("0") and remote
    if not local.strip("0"):
        return Spec("", remote_ref, lease=there)
    forced = bool(there) and (
        not remote_ref.startswith(HEADS) or remote not in here or not is_ancestor(git, remote, local)
    )
    src = local_ref if local_ref.startswith(HEADS) or local_ref == "HEAD" else local
    return Spec(src, remote_ref, forced, there if forced else None)
