"""What landed: showing a batch, and restoring original commits."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import Advice, Refused, UsageError
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import HEADS, short_target
from uam_hooks.hot.core.typed import Any, NamedTuple
from uam_hooks.hot.queue.model import Batch, Landing, Source, SourceStatus, where
from uam_hooks.hot.queue.outcome import How, Outcome
from uam_hooks.session import Session
from uam_hooks.store import history, journal, views


def find_batch(session: Session, name: str) -> Batch:
    """The batch with this number or id, or the one that landed the commit of this name."""
    found = views.batch(session.store, name) if name else None
    # a commit's abbreviation may consist of digits; a number as short as those of batches is not one
    if found is None and name and not (name.isdigit() and len(name) < 7):
        answer = session.repo.run(
            "rev-parse", "--quiet", "--verify", "--end-of-options", f"{name}^{{commit}}", ok=(0, 1)
        )
        number = views.batch_of_commit(session.store, answer.text) if answer.code == 0 else None
        found = views.batch(session.store, str(number)) if number is not None else None
    if found is None:
        raise history.missing_batch(session.store, name, "{} shows the Uam-Batch of a landing.", "git", "log")
    return found


def describe(session: Session, batch: Batch) -> dict[str, Any]:
    """A batch as data: its landings with their sources, commits and proof, and what failed."""
    shown = []
    landings = views.landings(session.store, batch.id)
    done = {landing.action_id for landing in landings if landing.status == "landed"}
    for landing in landings:
        if landing.status != "landed" and landing.action_id in done:
            continue
        sources = journal.sources(session.store, landing.sources)
        shown.append(
            {
                "where": "/".join(part for part in (landing.remote, short_target(landing.ref)) if part),
                "status": landing.status,
                "how": landing.detail.how,
                "old": landing.old,
                "new": landing.new,
                "sources": [_source(session.repo, landing, source) for source in sources],
                "commits": [] if sources else _commits(session.repo, landing.detail.commits),
                "pushes": len([s for s in sources if not s.base]),
                "held": sum(s.held for s in sources),
                "proof": landing.detail.proof.facts() if landing.detail.proof else {},
                "remote_said": next((list(s.outcome.said) for s in sources if s.outcome.said), []),
            }
        )
    failed = [
        {"action": a.id, "agent": s.agent, "tip": s.tip, "where": f"{a.remote}/{short_target(a.ref)}",
         "error": s.outcome.error, "remote_said": list(s.outcome.said)}
        for a in batch.actions
        for s in (views.sources(session.store, a.id) if a.action_type == "push" else [])
        if s.status == SourceStatus.FAILED
    ]  # fmt: skip
    others = [
        {"action": a.id, "type": a.action_type.value, "where": where(a), "status": a.status.value, "error": a.error,
         "agents": list(dict.fromkeys(s.agent for s in views.sources(session.store, a.id)))}
        for a in batch.actions
        if a.explicit and a.action_type != "push"
    ]  # fmt: skip
    return {
        "batch": batch.number, "id": batch.id, "status": batch.status.value, "created_at": batch.created_at,
        "landings": shown, "failed": failed, "actions": others,
    }  # fmt: skip


def _source(repo: Repository, landing: Landing, source: Source) -> dict[str, Any]:
    wanted = set(landing.detail.commits)
    commits: list[dict[str, str]] = []
    if source.tip and repo.kind(source.tip) == "commit":
        old = [f"^{landing.old}"] if landing.old != ZERO else []
        for oid in reversed(repo.rev_list("--topo-order", source.tip, *old)):
            if oid in wanted or landing.detail.how == How.AS_IS:
                commits += _commits(repo, [oid])
    outcome = landing.detail.outcomes.get(source.id, Outcome())
    return {
        "agent": source.agent, "branch": short_target(source.branch) or "(detached)", "tip": source.tip,
        "asked": source.by_name, "how": outcome.how, "commits": commits,
        "became": _commits(repo, _became(repo, landing, outcome, {commit["commit"] for commit in commits})),
    }  # fmt: skip


def _became(repo: Repository, landing: Landing, outcome: Outcome, pushed: Collection[str]) -> list[str]:
    """The commits on the ref that stand for a source where they are others than those `pushed`, oldest first."""
    own = outcome.landed_as
    if outcome.how in (None, How.AS_IS, How.EXACT, How.NOTHING_NEW) or not own or not repo.kind(own):
        return []
    if outcome.how != How.KEPT or landing.old == ZERO:
        return [own]
    others = {one.landed_as for one in landing.detail.outcomes.values()} - {own, ""}
    before = [f"^{oid}" for oid in (landing.old, *others) if repo.is_ancestor(oid, own)]
    return [oid for oid in repo.rev_list("--topo-order", "--reverse", own, *before) if oid not in pushed]


def _commits(repo: Repository, oids: Iterable[str]) -> list[dict[str, str]]:
    known = [repo.commit(oid) for oid in oids if repo.kind(oid)]
    return [{"commit": c.oid, "subject": c.subject, "author": c.author_name} for c in known]


class Restored(NamedTuple):
    """A branch that was created at original commits."""

    branch: str
    tip: str
    agent: str


def restore(session: Session, name: str, branch: str | None) -> list[Restored]:
    """Create a branch at the tip of every source of a batch, or at one original commit.

    Raises UsageError for an invalid branch name, Refused where the branch already exists or the commits have expired.
    """
    tips = _original(session, name)
    if tips is None:
        batch = find_batch(session, name)
        landed = [s for entry in views.landings(session.store, batch.id) for s in entry.sources]
        sources = [s for s in journal.sources(session.store, tuple(dict.fromkeys(landed))) if s.tip]
        local = [e.old for e in views.landings(session.store, batch.id) if not e.remote and e.status == "landed"]
        tips = list(dict.fromkeys([*((s.tip, s.agent) for s in sources), *((oid, "local") for oid in local)]))
        name = str(batch.number)
    if not tips:
        raise Refused(
            f"Batch {name} has nothing to restore.", Advice.of("{} shows what it did.", "git", "uam", "show", name)
        )
    base = branch or f"restored-{name}"
    names = [base] if len(tips) == 1 else [f"{base}-{n}" for n in range(1, len(tips) + 1)]
    for one in names:
        if session.repo.run("check-ref-format", "--branch", one, ok=(0, 128)).code or one.startswith("-"):
            raise UsageError(f"'{one}' is not a valid branch name.", "Choose another one with --branch.")
    taken = session.repo.refs(*(HEADS + one for one in names))
    for one in names:
        if HEADS + one in taken:
            raise Refused(f"The branch {one} already exists.", "Choose another name with --branch.")
    gone = [tip for tip, _ in tips if not session.repo.kind(tip)]
    if gone:
        raise Refused(f"{gone[0][:7]} is no longer available: its retention has ended.", "See uam.retention.")
    moves = [(HEADS + one, tip, ZERO) for one, (tip, _) in zip(names, tips, strict=True)]
    session.repo.move_refs(moves, f"uam: restored from {name}")
    return [Restored(one, tip, agent) for one, (tip, agent) in zip(names, tips, strict=True)]


def _original(session: Session, name: str) -> list[tuple[str, str]] | None:
    """The commit `name` and its author, unless it names a batch or a landing."""
    if name.isdigit() and views.batch(session.store, name) is not None:
        return None
    answer = session.repo.run("rev-parse", "--quiet", "--verify", "--end-of-options", f"{name}^{{commit}}", ok=(0, 1))
    if answer.code or views.batch_of_commit(session.store, answer.text) is not None:
        return None
    return [(answer.text, session.repo.commit(answer.text).author_name)]
