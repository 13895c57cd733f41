"""The plan of a push: its sources, checked and integrated over what the remote has. Moves nothing; see pushes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from uam_hooks.git.repo import Repository
from uam_hooks.git.superproject import named_by_superproject
from uam_hooks.hot.core.errors import Failure, UamError
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.quoting import pull_rebase, shown
from uam_hooks.hot.core.refs import shadow_ref, short_target
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue.model import FAST_FORWARD, Action, ActionType, Batch, Source
from uam_hooks.hot.queue.outcome import How
from uam_hooks.integrate.context import Around, Context
from uam_hooks.integrate.differences import Differences
from uam_hooks.integrate.merge import shadow_of
from uam_hooks.integrate.plan import Plan, make_plan, verbatim_plan
from uam_hooks.integrate.survey import Asked, Ground, survey_all
from uam_hooks.integrate.tips import Tips
from uam_hooks.land.forms import default_branch, form_of
from uam_hooks.land.retry import failure_of, persistently
from uam_hooks.land.shared_shadow import are_shared, living
from uam_hooks.session import Session
from uam_hooks.store import remains, views

# git's words where the remote's ref is, or would be, at something else than a commit
NEEDS_FORCE = "needs force"


class Prepared(NamedTuple):
    """What was asked for all pushes of a landing to one remote at once.

    `shadows` are those of the remote, by name, `kept` the commits that keep their identity, `head` is its default
    branch, as far as that is known.
    """

    around: Around
    shadows: Mapping[str, str]
    kept: frozenset[str]
    head: str


def prepare(
    session: Session, remote: str, pushes: Sequence[tuple[Action, Sequence[Source]]], there: Mapping[str, str],
    tips: Tips, refs: Mapping[str, str] | None = None,
) -> Prepared:  # fmt: skip
    """Ask at once what the plans of these pushes to `remote` need: a handful of processes, however many refs there are.

    `there` has what the remote has in each ref, `refs` all refs here of the remote and its shadows, where those were
    read. GitFailed where git fails; then each push is prepared by itself.
    """
    repo, settings = session.repo, session.settings
    prefix, memory = f"refs/remotes/{remote}/", shadow_ref(remote, "")
    tracked = tips.under(prefix) if refs is None else {ref: oid for ref, oid in refs.items() if ref.startswith(prefix)}
    brought = [*there.values(), *(source.tip for _, sources in pushes for source in sources)]
    kinds = repo.kinds([*tracked.values(), *brought])
    repo.read_ahead(oid for oid in brought if kinds.get(oid) == "commit")
    branches = {name: oid for name, oid in tracked.items() if kinds[oid] == "commit"}
    shadows = repo.refs(memory) if refs is None else {ref: oid for ref, oid in refs.items() if ref.startswith(memory)}
    kept = _kept(session, remote, [source for _, sources in pushes for source in sources])
    asked = {}
    for action, sources in pushes:
        own, at = settings.tracking_ref(remote, action.ref), there[action.ref]
        if (at == ZERO or kinds.get(at) == "commit") and all(
            not source.verbatim and kinds.get(source.tip) == "commit" for source in sources
        ):
            shadow = living(session, remote, action.ref, at, tips, shadows)
            asked[action.id] = Asked(tuple(s.tip for s in sources), at, shadow, own in branches)
    found = survey_all(repo, list(asked.values()), branches.values())
    grounds = {number: ground for number, ground in zip(asked, found, strict=True) if ground is not None}
    differences = Differences(repo)
    differences.prepare(*_compared(repo, grounds.values()))
    return Prepared(Around(branches, differences, grounds, {}), shadows, kept, default_branch(repo, remote, tracked))


def _compared(repo: Repository, grounds: Iterable[Ground]) -> tuple[list[tuple[str, str]], list[str]]:
    """What the proofs of such plans compare, where nothing has to be merged: the pairs of trees, and the commits."""
    pairs = [(repo.empty_tree if one.base == ZERO else one.base, one.tips[-1]) for one in grounds]
    return pairs, [oid for one in grounds for oid in one.news.graph]


def plan_push(
    session: Session, batch: Batch, action: Action, sources: Sequence[Source], there: str, tips: Tips,
    *, thorough: bool = False, prepared: Prepared | None = None,
) -> Plan:  # fmt: skip
    """Plan the landing of `sources` on the ref of `action`, which the remote has at `there` (ZERO: not at all).

    A source that cannot be planned even alone is refused, and the plan is that of the others. Where git fails, the plan
    is made again first (see retry.persistently), without what was `prepared` for it. A `thorough` one looks for every
    object that is to be sent. Writes objects and nothing else. Raises UamError, or what went wrong inside, where that
    is the case for all of them.
    """
    first = [prepared]
    try:
        return persistently(
            session,
            lambda: _plan(session, batch, action, sources, there, tips, thorough, first.pop() if first else None),
        )
    except Exception:
        if len(sources) == 1:
            raise
        bad = {s.id: why for s in sources if (why := _why_not(session, batch, action, s, there, tips, thorough))}
        if not bad or len(bad) == len(sources):
            raise
    rest = [source for source in sources if source.id not in bad]
    try:
        plan = plan_push(session, batch, action, rest, there, tips, thorough=thorough)
    except Exception as error:
        nothing = dict.fromkeys((source.id for source in rest), failure_of(error))
        how = How.NOTHING_NEW
        return Plan(action, there, there, there, how, (), {}, {}, (), None, refused={**bad, **nothing})
    return plan._replace(refused={**bad, **plan.refused})


def _why_not(
    session: Session, batch: Batch, action: Action, source: Source, there: str, tips: Tips, thorough: bool
) -> Failure | None:
    """Why this source could not even land alone; None when it could."""
    try:
        persistently(session, lambda: _plan(session, batch, action, [source], there, tips, thorough))
    except Exception as error:
        return failure_of(error)
    return None


def _plan(
    session: Session, batch: Batch, action: Action, sources: Sequence[Source], there: str, tips: Tips, thorough: bool,
    prepared: Prepared | None = None,
) -> Plan:  # fmt: skip
    if thorough:
        _check_objects(session.repo, sources, there)
    if sources[0].verbatim:
        _check_expectation(session.repo, sources[0], there)
        return verbatim_plan(action, sources[0], there)
    if there != ZERO and not session.repo.is_commit(there):
        raise UamError(NEEDS_FORCE)
    for source in sources:
        if source.branch and source.tip and action.action_type == ActionType.PUSH:
            _check_rewrites(session, action, source)
    ready = prepared or prepare(session, action.remote, [(action, sources)], {action.ref: there}, tips)
    context = Context(
        session.repo, tips, session.settings, batch.id,
        lambda oids: views.noted(session.store, [oid for oid in oids if oid not in tips.made]),
        lambda remote, ref, at: living(session, remote, ref, at, tips, ready.shadows),
        ready.around,
        ready.kept,
        lambda source: form_of(session.settings, action, source, ready.head),
    )  # fmt: skip
    plan = make_plan(context, action, sources, there)
    if action.action_type == ActionType.MERGE and action.payload.get("strategy") == "squash" and plan.new != plan.old:
        # what was squashed here has landed, as far as later pushes of it are concerned
        shadow = context.shadow(action.remote, action.ref, there)
        held = [oid for oid in (plan.keep, shadow, sources[0].base) if oid and oid != plan.new]
        plan = plan._replace(keep=shadow_of(session.repo, plan.new, *dict.fromkeys(held)))
    if plan.landed and plan.keep == plan.new == there != ZERO and are_shared(session):
        # another machine may have landed it: its branch here follows, because the shadow has its commits
        plan = plan._replace(keep=context.shadow(action.remote, action.ref, there) or there)
    return plan


def _check_rewrites(session: Session, action: Action, source: Source) -> None:
    """Raise UamError for a push whose agent has rewritten a commit while that was landing: git would reject it.

    What had landed before it was queued is found at the door (hot/push/rewritten.py). One that is based on what it
    landed as has been put right.
    """
    repo = session.repo
    for tip, landing, now in remains.rewritten(session.store, source, action.remote, action.target):
        if not repo.is_ancestor(now, source.tip) or repo.is_ancestor(tip, source.tip):
            continue
        if landing and not repo.is_ancestor(landing, source.tip):
            name, where = short_target(source.branch), f"{action.remote}/{action.target}"
            raise UamError(
                f"{name} was at {tip[:7]}, which has landed on {where} meanwhile, and has been rewritten;"
                f" {shown(pull_rebase(action.remote, action.ref))} puts your commits on top of what landed"
            )


def _kept(session: Session, remote: str, sources: Sequence[Source]) -> frozenset[str]:
    """The commits that must keep their identity.

    Pushed tags of this remote name them, those that are about to be pushed too, or the superproject does whose
    submodule this is: who clones that asks the remote for the very commit.
    """
    named: set[str] = set()
    for worktree in {source.worktree for source in sources}:
        named |= named_by_superproject(session.repo, worktree)
    names = [tip for tip in (*remains.tag_tips(session.store, remote), *named) if session.repo.kind(tip)]
    if not names:
        return frozenset()
    return frozenset(session.repo.run("rev-parse", *(f"{name}^{{}}" for name in names)).lines)


def _check_objects(repo: Repository, sources: Sequence[Source], there: str) -> None:
    """Raise GitFailed where an object that these sources would bring is not here."""
    tips = [source.tip for source in sources if source.tip]
    feed = "".join(f"{line}\n" for line in (*tips, *([] if there == ZERO else [f"^{there}"])))
    repo.run("rev-list", "--objects", "--quiet", "--stdin", feed=feed.encode())


def _check_expectation(repo: Repository, source: Source, there: str) -> None:
    """What git itself would have checked before a push that is not integrated."""
    if not source.tip and there == ZERO:
        raise UamError("remote ref does not exist")
    if source.expect is None or there == (source.tip or ZERO):
        return
    if source.expect == FAST_FORWARD:
        if there != ZERO and not {repo.kind(there), repo.kind(source.tip)} <= {"commit", "tag"}:
            raise UamError(NEEDS_FORCE)
        if there != ZERO and not repo.is_ancestor(there, source.tip):
            raise UamError("non-fast-forward")
    elif source.expect == "" and there != ZERO:
        raise UamError("already exists")
    elif source.expect not in ("", there):
        raise UamError("stale info")
