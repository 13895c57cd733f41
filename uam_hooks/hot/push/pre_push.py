"""The hook door: pre-push for a remote that is not wired.

A pre-push hook cannot say "accepted": exit 0 really pushes. So a push that was queued here ends with exit 1 and
with words that say it is no failure.
"""

from __future__ import annotations

import time
from pathlib import Path

from uam_hooks.hot.core.errors import has_secret, redact, say
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.plumbing import Git, is_ancestor, look_up
from uam_hooks.hot.core.refs import HEADS, OURS, short_target
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.push import arguments, messages
from uam_hooks.hot.push.intake import Request, Spec, enter, look_at
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.leader import ensure_flusher
from uam_hooks.hot.queue.model import seconds_of
from uam_hooks.hot.queue.windows import URGENT_OPTION


def push_lines(stdin: bytes) -> list[list[str]]:
    """githooks(5): local ref, local object, remote ref and remote object of everything that is to be pushed."""
    lines = [line.split(" ") for line in stdin.decode("utf-8", "surrogateescape").splitlines()]
    return [line for line in lines if len(line) == 4]


def names_ours(lines: list[list[str]]) -> bool:
    """Whether the push would carry what git uam keeps here; says so. A hook can only refuse it as a whole."""
    if not any(line[2].startswith(OURS) for line in lines):
        return False
    say("refs/uam/ is this repository's own and goes to no remote; push branches and tags by name.")
    return True


def hook_door(
    name: str, url: str, lines: list[list[str]], paths: RepoPaths, git: Git, settings: Settings, store: Store
) -> bool:
    """Queue what pre-push was told of; False lets git push it itself."""
    if arguments.is_dry_run(arguments.push_arguments()):
        return False
    remote = name if name in settings.remotes() else _absolute(url)
    if remote not in settings.remotes() and has_secret(url):
        say(f"{redact(url)} holds a password, which the queue would have to store; this push goes straight.")
        return False
    there = {line[2]: line[3] for line in lines if line[3].strip("0")}
    here = {oid for oid, _ in look_up(git, list(there.values()))}
    specs = tuple(_spec(line, git, here) for line in lines)
    if not specs:
        return False
    asked = look_at(Request(remote, specs), there, git, paths, settings)
    if any(one.error for one in asked):
        return False
    mode = settings["uam.push.mode"]
    urgent = arguments.has_push_option(arguments.push_arguments(), URGENT_OPTION)
    tickets = enter(asked, git, store, settings, paths, urgent=urgent, waits=False)
    for one, ticket in zip(asked, tickets, strict=True):
        where = f"{redact(remote)}/{short_target(one.spec.dst)}"
        say(messages.queued(ticket.action, where, seconds_of(ticket.due) - time.time(), mode))
    say('git now says that the push failed, because a hook cannot say "accepted"; nothing needs to be done.')
    if mode != "manual":
        ensure_flusher(paths)
    return True


def _absolute(url: str) -> str:
    """A path on this machine made absolute: the flush runs elsewhere. Anything else as it is."""
    if "://" in url or (":" in url.partition("/")[0]):
        return url
    return str(Path(url).absolute())


def _spec(line: list[str], git: Git, here: set[str]) -> Spec:
    """A line of pre-push's stdin; a push that is no fast-forward can only have been forced. `here` are the objects of
    the remote's refs that this repository has.
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
