"""What is kept of landed work: looking at it, bringing it back, and letting go of it after its retention."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import Refused, UsageError
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.push.intake import pin_ref, shadow_ref
from uam_hooks.hot.queue.model import HEADS, Batch, Landing, Source, SourceStatus, iso, short_target, where
from uam_hooks.integrate.graph import heads, parse
from uam_hooks.integrate.merge import shadow_of
from uam_hooks.land.finish import landing_ref
from uam_hooks.session import Flush
from uam_hooks.store import journal, views

PINS = "refs/uam/pin/"
SCRATCH = "refs/uam/tip/"
# more names than this are not asked for one by one: an argument list has an end
MANY = 500


def find_batch(flush: Flush, name: str) -> Batch:
    """The batch with this number or id, or the one that landed the commit of this name."""
    found = views.batch(flush.store, name) if name else None
    if found is None and name and not name.isdigit():
        answer = flush.repo.run("rev-parse", "--quiet", "--verify", "--end-of-options", f"{name}^{{commit}}", ok=(0, 1))
        number = views.batch_of_commit(flush.store, answer.text) if answer.code == 0 else None
        found = views.batch(flush.store, str(number)) if number is not None else None
    if found is None:
        raise UsageError(f"There is no batch '{name}' here.", "`git log` shows the Uam-Batch of a landing.")
    return found


def describe(flush: Flush, batch: Batch) -> dict[str, Any]:
    """A batch as data: what it landed where, from which sources and commits, and the proof."""
    shown = []
    landings = views.landings(flush.store, batch.id)
    done = {landing.action_id for landing in landings if landing.status == "landed"}
    for landing in landings:
        if landing.status != "landed" and landing.action_id in done:
            continue
        sources = journal.sources(flush.store, landing.sources)
        shown.append(
            {
                "where": "/".join(part for part in (landing.remote, short_target(landing.ref)) if part),
                "status": landing.status,
                "how": landing.detail.get("how"),
                "old": landing.old,
                "new": landing.new,
                "sources": [_source(flush.repo, landing, source) for source in sources],
                "commits": [] if sources else _commits(flush.repo, landing.detail.get("commits", ())),
                "proof": landing.detail.get("proof", {}),
            }
        )
    failed = [
        {"agent": s.agent, "tip": s.tip, "where": f"{a.remote}/{short_target(a.ref)}", "error": s.outcome.get("error")}
        for a in batch.actions
        for s in (views.sources(flush.store, a.id) if a.action_type == "push" else [])
        if s.status == SourceStatus.FAILED
    ]
    others = [
        {"action": a.id, "type": a.action_type.value, "where": where(a), "status": a.status.value, "error": a.error,
         "agents": list(dict.fromkeys(s.agent for s in views.sources(flush.store, a.id)))}
        for a in batch.actions
        if a.asked and a.action_type != "push"
    ]  # fmt: skip
    return {
        "batch": batch.number, "id": batch.id, "status": batch.status.value, "created_at": batch.created_at,
        "landings": shown, "failed": failed, "actions": others,
    }  # fmt: skip


def _source(repo: Repository, landing: Landing, source: Source) -> dict[str, Any]:
    wanted = set(landing.detail.get("commits", ()))
    commits: list[dict[str, str]] = []
    if source.tip and repo.kind(source.tip) == "commit":
        old = [f"^{landing.old}"] if landing.old != ZERO else []
        for oid in reversed(repo.rev_list("--topo-order", source.tip, *old)):
            if oid in wanted or landing.detail.get("how") == "as-is":
                commits += _commits(repo, [oid])
    return {
        "agent": source.agent, "branch": short_target(source.branch) or "(detached)", "tip": source.tip,
        "commits": commits,
    }  # fmt: skip


def _commits(repo: Repository, oids: Iterable[str]) -> list[dict[str, str]]:
    known = [repo.commit(oid) for oid in oids if repo.kind(oid)]
    return [{"commit": c.oid, "subject": c.subject, "author": c.author_name} for c in known]


class Restored(NamedTuple):
    """A branch that holds unsquashed commits again."""

    branch: str
    tip: str
    agent: str


def restore(flush: Flush, name: str, branch: str | None) -> list[Restored]:
    """Make a branch at the tip of every source of a batch, or at one original commit.

    Raises UsageError for a branch name that git does not take, Refused where the branch exists already.
    """
    tips = _original(flush, name)
    if tips is None:
        batch = find_batch(flush, name)
        landed = [s for entry in views.landings(flush.store, batch.id) for s in entry.sources]
        sources = [s for s in journal.sources(flush.store, tuple(dict.fromkeys(landed))) if s.tip]
        local = [e.old for e in views.landings(flush.store, batch.id) if not e.remote and e.status == "landed"]
        tips = list(dict.fromkeys([*((s.tip, s.agent) for s in sources), *((oid, "local") for oid in local)]))
        name = str(batch.number)
    if not tips:
        raise Refused(f"Batch {name} has nothing to restore.", "`git uam show` tells what it did.")
    base = branch or f"restored-{name}"
    names = [base] if len(tips) == 1 else [f"{base}-{n}" for n in range(1, len(tips) + 1)]
    for one in names:
        if flush.repo.run("check-ref-format", "--branch", one, ok=(0, 128)).code or one.startswith("-"):
            raise UsageError(f"'{one}' is no name for a branch.", "Give another one with --branch.")
    taken = flush.repo.refs(*(HEADS + one for one in names))
    for one in names:
        if HEADS + one in taken:
            raise Refused(f"The branch {one} exists already.", "Give another name with --branch.")
    gone = [tip for tip, _ in tips if not flush.repo.kind(tip)]
    if gone:
        raise Refused(f"{gone[0][:7]} is no longer kept: its retention has ended.", "See uam.retention.")
    moves = [(HEADS + one, tip, ZERO) for one, (tip, _) in zip(names, tips, strict=True)]
    flush.repo.move_refs(moves, f"uam: restored from {name}")
    return [Restored(one, tip, agent) for one, (tip, agent) in zip(names, tips, strict=True)]


def _original(flush: Flush, name: str) -> list[tuple[str, str]] | None:
    """`name` as an original commit that is no landing of ours itself."""
    if name.isdigit() and views.batch(flush.store, name) is not None:
        return None
    answer = flush.repo.run("rev-parse", "--quiet", "--verify", "--end-of-options", f"{name}^{{commit}}", ok=(0, 1))
    if answer.code or views.batch_of_commit(flush.store, answer.text) is not None:
        return None
    return [(answer.text, flush.repo.commit(answer.text).author_name)]


class Pruned(NamedTuple):
    """How much was let go of."""

    pins: int
    landings: int
    shadows: int


def prune(flush: Flush, retention: float) -> Pruned:
    """Let go of what landed more than `retention` seconds ago; call it under the flush lock.

    Nothing that has not landed is let go of, and a shadow keeps every original that a living branch or worktree
    still builds on: without it, the same edits would conflict with their own squash.
    """
    before = iso(time.time() - retention)
    refs = flush.repo.refs("refs/uam/")
    pins = [PINS + tip for tip in views.landed_tips(flush.store, before) if PINS + tip in refs]
    old = [landing_ref(entry) for entry in views.landings_before(flush.store, before)]
    landings = [ref for ref in old if ref in refs]
    scratch = [ref for ref in refs if ref.startswith(SCRATCH)]
    drop = [(ref, ZERO, refs[ref]) for ref in (*pins, *landings, *scratch)]
    flush.repo.move_refs(drop, "uam: retention ended")
    shadows = 0
    for remote, ref in views.landed_refs(flush.store):
        name = shadow_ref(remote, ref)
        aged = any((entry.remote, entry.ref) == (remote, ref) for entry in views.landings_before(flush.store, before))
        if aged and name in refs:
            shadows += _cut(flush, name, refs[name], views.young_tips(flush.store, remote, ref, before))
    return Pruned(len(pins), len(landings), shadows)


def _cut(flush: Flush, name: str, shadow: str, young: Iterable[str]) -> bool:
    """Rebuild a shadow from its landing, the originals within retention, and what is still built on."""
    repo = flush.repo
    landing = repo.commit(shadow).parents[0]
    living = {*repo.refs(HEADS, PINS).values(), *_worktree_heads(repo)}
    wanted = {tip for tip in young if repo.kind(tip) == "commit"}
    for head in living:
        if repo.kind(head) == "commit":
            wanted.update(repo.run("merge-base", "--all", head, shadow, ok=(0, 1)).lines)
    feed = "".join(f"{oid}\n" for oid in (*wanted, f"^{landing}")).encode()
    graph = parse(repo.rev_list("--parents", "--topo-order", "--reverse", "--stdin", feed=feed))
    parents = heads(graph, [oid for oid in wanted if oid in graph])
    new = shadow_of(repo, landing, *parents)
    if new == shadow or set(repo.commit(shadow).parents[1:]) == set(parents):
        return False
    repo.move_refs([(name, new, shadow)], "uam: retention ended")
    return True


def _worktree_heads(repo: Repository) -> list[str]:
    lines = repo.run("worktree", "list", "--porcelain").lines
    return [line[len("HEAD ") :] for line in lines if line.startswith("HEAD ") and line.strip("HEAD 0")]


def unpin(flush: Flush, sources: Iterable[Source]) -> None:
    """The pins of landed sources are no longer needed: their landing holds on to them."""
    drop_pins(flush, {s.tip for s in sources if s.status == SourceStatus.LANDED})


def drop_pins(flush: Flush, tips: Iterable[str]) -> None:
    """Let go of the pins of these tips, unless something that waits has the same tip."""
    wanted = set(tips) - {""} - set(views.pending_tips(flush.store))
    names = [pin_ref(tip) for tip in wanted] if len(wanted) < MANY else [PINS]
    refs = flush.repo.refs(*names) if wanted else {}
    drop = [(pin_ref(tip), ZERO, refs[pin_ref(tip)]) for tip in wanted if pin_ref(tip) in refs]
    flush.repo.move_refs(drop, "uam: landed")
