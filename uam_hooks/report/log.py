"""The log: what each batch was of, how that went and how long it took, as data; and all that is known of one action."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core import files
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import short_target
from uam_hooks.hot.core.typed import Any
from uam_hooks.hot.queue.model import Action, ActionType, Landing, Source, SourceStatus, Status, iso, seconds_of, where
from uam_hooks.hot.queue.rows import is_moment
from uam_hooks.session import Session
from uam_hooks.store import batches, views
from uam_hooks.store.batches import Past


def entries(session: Session, since: float = 0.0, agent: str = "", most: int | None = None) -> Iterator[dict[str, Any]]:
    """The batches made since that moment (seconds since 1970), newest first, at most so many; of an `agent` those that
    it has something in.
    """
    page = batches.PAGE if most is None else max(1, min(most, batches.PAGE))
    found = batches.newest(session.store, iso(since), agent, page)
    return (_batch(session.repo, past) for past in islice(found, most))


def _batch(repo: Repository, past: Past) -> dict[str, Any]:
    batch = past.batch
    kinds = repo.kinds(source.tip for some in past.sources.values() for source in some)
    repo.read_ahead(tip for tip, kind in kinds.items() if kind == "commit")
    members = [entry for action in batch.actions if _is_shown(action)
               for entry in of_action(repo, action, past.sources[action.id])]  # fmt: skip
    return {
        "batch": batch.number,
        "id": batch.id,
        "status": batch.status.value,
        "created_at": batch.created_at,
        "executed_at": batch.executed_at,
        "agents": list(dict.fromkeys(entry["agent"] for entry in members)),
        "landings": [_landing(one) for one in past.landings if one.status == "landed"],
        "entries": members,
    }


def _is_shown(action: Action) -> bool:
    """Whether it is more than commits that the hooks noted: those land with their push."""
    return action.explicit or action.action_type != ActionType.COMMIT


def _landing(one: Landing) -> dict[str, Any]:
    """What a ref was and is; "" for absent, and for a remote that is this repository."""
    return {
        "where": "/".join(part for part in (one.remote, short_target(one.ref)) if part),
        "old": "" if one.old == ZERO else one.old,
        "new": "" if one.new == ZERO else one.new,
        "status": one.status,
        "commits": len(one.detail.commits),
    }


def of_action(repo: Repository, action: Action, sources: Iterable[Source]) -> list[dict[str, Any]]:
    """An entry for each line of work in an action, without those that a newer one took the place of; one for the
    action itself where it has none any more.
    """
    shown = [source for source in sources if source.status != SourceStatus.REPLACED]
    return [_entry(repo, action, source) for source in shown] or [_entry(repo, action, None)]


def _entry(repo: Repository, action: Action, source: Source | None) -> dict[str, Any]:
    status = action.status.value if source is None else _status(action, source)
    ended, queued = action.finished_at, action.queued_at if source is None else source.queued_at
    waited = None
    if ended and is_moment(ended) and is_moment(queued):
        waited = round(max(seconds_of(ended) - seconds_of(queued), 0.0), 3)
    tip = "" if source is None else source.tip
    error = action.error if source is None else source.outcome.error
    return {
        "action": action.id,
        "type": action.action_type.value,
        "where": where(action),
        "agent": action.agent_id if source is None else source.agent,
        "branch": "" if source is None else short_target(source.branch),
        "tip": tip,
        "subject": _subject(repo, action, source),
        "commits": 0 if source is None else source.outcome.commits,
        "status": status,
        "how": None if source is None else source.outcome.how,
        "landed_as": "" if source is None or status != SourceStatus.LANDED else source.outcome.landed_as,
        "error": error or (action.error if status in (Status.FAILED, Status.CANCELLED) else ""),
        "queued_at": queued,
        "ended_at": ended,
        "waited": waited,
        # what `git uam retry` wants, where it would take it
        "retry": action.id if _can_be_tried_again(action, source) else None,
    }


def _status(action: Action, source: Source) -> str:
    """How it went: landed, failed, withdrawn, or where its action stands."""
    return action.status.value if source.status == SourceStatus.PENDING else source.status.value


def _can_be_tried_again(action: Action, source: Source | None) -> bool:
    ended = action.status in (Status.FAILED, Status.CANCELLED, Status.COMPLETED)
    return ended and source is not None and source.status in (SourceStatus.FAILED, SourceStatus.WITHDRAWN)


def _subject(repo: Repository, action: Action, source: Source | None) -> str:
    """What it is about: of commits the subject of the newest, as long as that is here."""
    if source is not None and source.message:
        return source.message.strip().partition("\n")[0]
    if source is not None and source.tip and repo.is_commit(source.tip):
        return repo.commit(source.tip).subject
    if action.action_type == ActionType.MERGE:
        return str(action.payload.get("source") or f"pull request {action.payload.get('pr')}")
    ref = action.payload.get("ref")
    return f"on {ref}" if ref and action.action_type != ActionType.PUSH else ""


def of_id(session: Session, action: Action) -> dict[str, Any]:
    """All that is known of one action."""
    repo, store = session.repo, session.store
    sources = views.sources(store, action.id)
    landings = batches.landings_of(store, action.id)
    batch = None if action.batch_id is None else views.batch(store, action.batch_id)
    outcomes = [source.outcome for source in sources]
    return {
        "id": action.id,
        "type": action.action_type.value,
        "target": action.target,
        "where": where(action),
        "status": action.status.value,
        "error": action.error,
        "attempts": action.attempts,
        "agents": list(dict.fromkeys(source.agent for source in sources)) or [action.agent_id],
        "queued_at": action.queued_at,
        "due_at": max(action.execute_after, action.not_before),
        "executed_at": None if batch is None else batch.executed_at,
        "finished_at": action.finished_at,
        "depends_on": list(action.dependencies),
        "batch": None if batch is None else batch.number,
        "batch_id": None if batch is None else batch.id,
        "entries": of_action(repo, action, sources),
        "commits": [one._asdict() for one in batches.noted(store, action.id)],
        "landings": [_landing(one) for one in landings],
        "gates": _gates(session, landings, sources),
        "exit_code": next((o.exit_code for o in outcomes if o.exit_code is not None), None),
        "output": files.text_of(repo.paths.log_of(action.id)),
    }


def _gates(session: Session, landings: Iterable[Landing], sources: Iterable[Source]) -> list[dict[str, Any]]:
    """The runs of gates on what landed, on what was to land, and on what was pushed."""
    commits = [oid for oid in (*(one.new for one in landings), *(s.tip for s in sources)) if oid and oid != ZERO]
    trees = [session.repo.commit(oid).tree for oid in commits if session.repo.is_commit(oid)]
    return [
        {"gate": run.gate, "tree": run.tree, "green": run.green, "seconds": round(run.seconds, 3),
         "ended_at": iso(run.ended)}
        for run in batches.gate_runs(session.store, list(dict.fromkeys(trees)))
    ]  # fmt: skip
