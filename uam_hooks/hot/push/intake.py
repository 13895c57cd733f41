"""From what git asks to push to entries of the queue."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import NamedTuple

from uam_hooks.hot.core.paths import RepoPaths, head_of
from uam_hooks.hot.core.plumbing import Git, is_ancestor, look_up
from uam_hooks.hot.core.refs import HEADS, pin_ref, shadow_ref
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.queue import enqueue, windows
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import FAST_FORWARD, ActionType, NewSource


class Spec(NamedTuple):
    """One line of a push: `src` may be a ref, an object name or empty (delete); `lease` None means none was asked."""

    src: str
    dst: str
    force: bool = False
    lease: str | None = None


class Request(NamedTuple):
    """One `git push` as it reached a door. `-o urgent` is for us and goes no further."""

    remote: str
    specs: tuple[Spec, ...]
    atomic: bool = False
    dry_run: bool = False
    push_options: tuple[str, ...] = ()
    urgent: bool = False


class Asked(NamedTuple):
    """A spec with what the repository knows of it.

    `known` is what the remote had when it was last seen, "" when it has no such ref as far as we know;
    `new` tells whether the push brings anything that is not there, squashed or not.
    """

    spec: Spec
    source: NewSource
    known: str
    new: bool
    error: str = ""


def look_at(request: Request, there: Mapping[str, str], git: Git, paths: RepoPaths, settings: Settings) -> list[Asked]:
    """Resolve every spec; a source that git cannot resolve carries its error.

    `there` is what the remote had in its refs when it was last seen.
    """
    names = [spec.src for spec in request.specs if spec.src]
    for spec in request.specs:
        shadow = shadow_ref(request.remote, spec.dst)
        names += [name for name in (there.get(spec.dst, ""), shadow, f"{shadow}^1") if name]
    objects = dict(zip(names, look_up(git, names), strict=True))
    agent = settings.agent(os.environ.get("UAM_AGENT_ID", ""), paths.worktree.name)
    group = f"{os.getpid()}.{time.time_ns()}"
    found = []
    for spec in request.specs:
        tip, kind = objects.get(spec.src, ("", ""))
        error = ""
        if spec.src and not tip:
            error = f"{spec.src} is no object that this repository has"
        elif spec.dst.startswith(HEADS) and spec.src and kind != "commit":
            error = f"{spec.src} is a {kind}, and a branch can only be a commit"
        exact = not spec.dst.startswith(HEADS) or spec.force or spec.lease is not None or not spec.src
        source = NewSource(
            request.remote, spec.dst, agent, str(paths.git_dir), _branch_of(spec.src, paths), tip,
            exact, _expectation(spec) if exact else None, group, request.atomic, os.getpid(),
            request.push_options,
        )  # fmt: skip
        known = there.get(spec.dst, "")
        shadow = shadow_ref(request.remote, spec.dst)
        seen = _Seen(objects.get(known, ("", ""))[0], objects[shadow][0], objects[f"{shadow}^1"][0])
        new = bool(error) or exact or _brings_something(git, tip, seen)
        found.append(Asked(spec, source, known, new, error))
    return found


def _expectation(spec: Spec) -> str | None:
    """What git would ask of the ref on the remote: tags are never moved without force, other refs only forward."""
    if spec.lease is not None or spec.force or not spec.src:
        return spec.lease
    return "" if spec.dst.startswith("refs/tags/") else FAST_FORWARD


def _branch_of(src: str, paths: RepoPaths) -> str:
    if src == "HEAD":
        return head_of(paths.git_dir)[0]
    return src if src.startswith(HEADS) else ""


class _Seen(NamedTuple):
    """What a ref was last seen to have, of what is here: its commit, the shadow of it, and that shadow's landing."""

    known: str
    shadow: str
    landing: str


def _brings_something(git: Git, tip: str, seen: _Seen) -> bool:
    """Whether the tip has commits that are not on the remote, landed ones counted as there.

    What the shadow holds has landed, unless its landing (its first parent) is no longer on the remote. "Nothing" lets
    the branch be set to what the remote has, so it is only said where git has said it: GitFailed otherwise.
    """
    if not seen.known:
        return True
    fresh = ("rev-list", "--max-count=1", tip, f"^{seen.known}")
    if git.run(*fresh, *([f"^{seen.shadow}"] if seen.shadow else [])).lines:
        return True
    if not seen.shadow or is_ancestor(git, seen.landing, seen.known):
        return False
    return bool(git.run(*fresh).lines)


def enter(
    asked: list[Asked], git: Git, store: Store, settings: Settings, paths: RepoPaths, *, urgent: bool, waits: bool
) -> list[enqueue.Ticket]:
    """Pin the tips, then queue them: a row never names a commit that could be collected.

    A push that `waits` has no window when nobody else is at work: it would gain nothing from it.
    """
    window = windows.window(settings, store, ActionType.PUSH, urgent or windows.urgent_here())
    if waits and window and windows.who_else(settings, store, paths, asked[0].source.agent).alone:
        window = 0.0
    pins = sorted({a.source.tip for a in asked if a.source.tip})
    feed = "".join(f"update {pin_ref(tip)} {tip}\n" for tip in pins)
    if feed:
        git.run("update-ref", "--stdin", feed=feed.encode())
    sources = [a.source for a in asked]
    replaces = [[] if source.exact else _held(source, git, store) for source in sources]
    return enqueue.push(store, sources, window, time.time(), replaces)


def _held(source: NewSource, git: Git, store: Store) -> list[int]:
    """The older pushes whose work `source` holds, as it was or as an amend or a rebase made it anew.

    Anything else that was pushed from the same place is work of its own and lands for itself.
    """
    older = enqueue.older(store, source)
    names = [tip for _, tips in older for tip in tips]
    here = {oid for oid, _ in look_up(git, names)}  # what an amend made of a commit may be gone by now
    return [
        old for old, tips in older if any(tip in here and is_ancestor(git, tip, source.tip) for tip in reversed(tips))
    ]
