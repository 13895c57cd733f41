"""From the refspecs of a push to objects, and whether they bring anything that the remote lacks."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence

from uam_hooks.hot.core.head import head_of
from uam_hooks.hot.core.identity import agent_name, asker
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.plumbing import Git, is_ancestor, resolve_names
from uam_hooks.hot.core.refs import HEADS, shadow_ref
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.push.request import Request, Spec
from uam_hooks.hot.push.rewritten import Dropped, dropped
from uam_hooks.hot.push.session import PushSession
from uam_hooks.hot.push.submodules import lost_submodule
from uam_hooks.hot.queue.enqueue import Ticket
from uam_hooks.hot.queue.model import FAST_FORWARD, NewSource, Source, Wish


class Seen(NamedTuple):
    """What a ref of the remote named when it was last seen, its shadow, the landing that the shadow belongs to, and the
    tree of what it named.

    Empty where there is none, or where this repository lacks the object.
    """

    known: str = ""
    shadow: str = ""
    landing: str = ""
    tree: str = ""


class ResolvedSpec(NamedTuple):
    """One ref of a push. It is filled in on its way: resolved, then queued, then ended.

    `known` is the object that the remote's ref named when it was last seen, "" when no such ref is known. `new` tells
    whether the push brings anything that the remote lacks; commits that landed inside a squash count as present.
    `error` is why the spec cannot be pushed at all, `dropped` what of the remote's the branch has given up, which git
    rejects. `seen` is what acceptance stands on. `ticket` is set by `enter`, `state` by `wait`.
    """

    spec: Spec
    source: NewSource
    known: str
    new: bool
    error: str = ""
    dropped: Dropped | None = None
    seen: Seen = Seen()
    ticket: Ticket | None = None
    state: Source | None = None


class _Beyond(NamedTuple):
    """The commits, with their parents, that several tips bring beyond all that the remote was seen to have."""

    graph: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, git: Git, tips: Sequence[tuple[str, Seen]]) -> _Beyond:
        """Ask for all tips in one process; for a single one its own questions cost no more."""
        asked = [(tip, seen) for tip, seen in tips if tip != seen.known]
        if len(asked) < 2:
            return cls({})
        known = {oid for _, seen in asked for oid in (seen.known, seen.shadow) if oid}
        feed = "".join(f"{oid}\n" for oid in [*(tip for tip, _ in asked), *(f"^{oid}" for oid in known)]).encode()
        lines = git.run("rev-list", "--parents", "--stdin", feed=feed).lines
        return cls({words[0]: words[1:] for words in (line.split(" ") for line in lines)})

    def has(self, tip: str) -> bool:
        """Whether the tip is one of them; where it is not, what its ref brings is still open."""
        return tip in self.graph

    def contains(self, tip: str, old: str) -> bool:
        """Whether the tip contains `old`, which is none of them; False also where that cannot be seen from them."""
        todo, done = [tip], {tip}
        while todo:
            oid = todo.pop()
            if oid == old:
                return True
            following = [parent for parent in self.graph.get(oid, ()) if parent not in done]
            todo += following
            done.update(following)
        return False


def resolve(session: PushSession, request: Request, known: Mapping[str, str]) -> list[ResolvedSpec]:
    """Resolve every spec of `request`; one that cannot be resolved carries its error.

    `known` maps refs of the remote to the objects they named when they were last seen. GitFailed when git fails.
    """
    objects = _objects(session.git, request, known)
    paths = session.paths
    agent = agent_name(session.settings, os.environ, paths.worktree.name)
    by = asker(session.identity, session.settings, os.environ, request.remote)
    group = f"{os.getpid()}.{time.time_ns()}"
    begun = []
    for spec in request.specs:
        tip, kind = objects.get(spec.src, ("", ""))
        verbatim = not spec.dst.startswith(HEADS) or spec.force or spec.lease is not None or not spec.src
        source = NewSource(
            request.remote, spec.dst, agent, str(paths.git_dir), _branch_of(session.git, spec.src, paths), tip,
            verbatim, _expectation(spec) if verbatim else None, group, request.atomic, os.getpid(),
            request.push_options, asker=by, wish=Wish.NONE if verbatim else request.wish,
        )  # fmt: skip
        there = known.get(spec.dst, "")
        shadow = shadow_ref(request.remote, spec.dst)
        here = [_commit(objects.get(name)) for name in (there, shadow, f"{shadow}^1")]
        seen = Seen(here[0], here[1], here[2], objects.get(f"{there}^{{tree}}", ("", ""))[0])
        error = _fault(spec, kind) or (lost_submodule(session.git, paths, tip) if kind == "commit" else "")
        begun.append((ResolvedSpec(spec, source, there, True, error, seen=seen), seen))
    beyond = _Beyond.of(session.git, [(one.source.tip, seen) for one, seen in begun if _is_open(one, seen)])
    parents = {spec.src: objects.get(f"{spec.src}^1", ("", ""))[0] for spec in request.specs}
    return [
        _judged(session, one, seen, beyond, parents[one.spec.src]) if _is_open(one, seen) else one
        for one, seen in begun
    ]


def _is_open(one: ResolvedSpec, seen: Seen) -> bool:
    """Whether it has to be found out what a spec brings, and what it has given up."""
    return bool(seen.known) and not (one.error or one.source.verbatim)


def _judged(session: PushSession, one: ResolvedSpec, seen: Seen, beyond: _Beyond, parent: str) -> ResolvedSpec:
    """`one`, of which it has been found out; `parent` is the first one of its tip."""
    tip = one.source.tip
    new = beyond.has(tip) or _is_next(parent, seen) or _brings_something(session.git, tip, seen)
    given_up = None if beyond.contains(tip, seen.known) else _dropped(session, one.spec, one.source, seen.known)
    return one._replace(new=new, dropped=given_up)


def _dropped(session: PushSession, spec: Spec, source: NewSource, there: str) -> Dropped | None:
    """`dropped` for a push of a branch or of HEAD; any other commit has been nowhere."""
    if not source.branch and spec.src != "HEAD":
        return None
    return dropped(session.git, session.store, session.paths, source, there)


def judged_by(session: PushSession, one: ResolvedSpec, there: str) -> ResolvedSpec:
    """`one`, that was found to have given something up, now that the remote's ref is known to be at `there` ("": gone).

    Where this repository lacks that commit, what was found stands: git would reject the push, too.
    """
    if not there:
        return one._replace(dropped=None, new=True)
    if there == one.known or not resolve_names(session.git, [there])[0][0]:
        return one
    given_up = _dropped(session, one.spec, one.source, there)
    return one._replace(dropped=given_up, new=True)


def _commit(found: tuple[str, str] | None) -> str:
    """The object that was found, if it is a commit: a ref of a remote may be at anything."""
    return found[0] if found is not None and found[1] == "commit" else ""


def _objects(git: Git, request: Request, known: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Object and type of every name that resolving needs, in one call of git."""
    names = [spec.src for spec in request.specs if spec.src]
    names += [f"{spec.src}^1" for spec in request.specs if spec.src and spec.dst.startswith(HEADS)]
    for spec in request.specs:
        shadow = shadow_ref(request.remote, spec.dst)
        names += [shadow, f"{shadow}^1"]
        if there := known.get(spec.dst, ""):
            names += [there, f"{there}^{{tree}}"]
    return dict(zip(names, resolve_names(git, names), strict=True))


def _fault(spec: Spec, kind: str) -> str:
    """Why a spec whose source has the type `kind` ("" for none) cannot be pushed; "" when it can."""
    if spec.src and not kind:
        return f"{spec.src} does not name an object in this repository"
    if spec.dst.startswith(HEADS) and spec.src and kind != "commit":
        return f"{spec.src} is a {kind}, and a branch can only point to a commit"
    return ""


def _expectation(spec: Spec) -> str | None:
    """What plain git would require of the remote's ref: a tag never moves without force, other refs only forward."""
    if spec.lease is not None or spec.force or not spec.src:
        return spec.lease
    return "" if spec.dst.startswith("refs/tags/") else FAST_FORWARD


def _branch_of(git: Git, src: str, paths: RepoPaths) -> str:
    if src == "HEAD":
        return head_of(git, paths.git_dir)[0]
    named = src.startswith(HEADS) and not any(mark in src for mark in ("^", "~", "@{"))  # else a commit beside it
    return src if named else ""


def _is_next(parent: str, seen: Seen) -> bool:
    """Whether a commit with this parent is made on what the remote was seen at, so that it has not landed there.

    Nor does a shadow hold it whose landing that is: what is in there was made before its landing was.
    """
    return parent == seen.known and (not seen.shadow or seen.landing == seen.known)


def _brings_something(git: Git, tip: str, seen: Seen) -> bool:
    """Whether the tip has commits that have not landed.

    What the shadow contains has landed, unless its landing (its first parent) is no longer on the remote. "Nothing"
    allows the branch to be set to what the remote has, so only an answer of git counts: GitFailed otherwise. A tip that
    the remote was seen at needs no answer: most of the refs of `git push --all` are such.
    """
    if tip == seen.known:
        return False
    fresh = ("rev-list", "--max-count=1", tip, f"^{seen.known}")
    if git.run(*fresh, *([f"^{seen.shadow}"] if seen.shadow else [])).lines:
        return True
    if not seen.shadow or is_ancestor(git, seen.landing, seen.known):
        return False
    return bool(git.run(*fresh).lines)
