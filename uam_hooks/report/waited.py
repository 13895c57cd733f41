"""`git uam wait`: what a push that is not landed yet would have heard, had it waited on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from uam_hooks.hot.core.colours import Colours
from uam_hooks.hot.core.errors import Advice, Refused, UamError
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.typed import Protocol
from uam_hooks.hot.core.words import say
from uam_hooks.hot.push import messages
from uam_hooks.hot.push.listening import Listener
from uam_hooks.hot.push.news import News, say_ended, settle_ended
from uam_hooks.hot.push.own_branch import OwnBranches
from uam_hooks.hot.push.session import PushSession
from uam_hooks.hot.push.waiting import Stuck, poll
from uam_hooks.hot.queue import again, enqueue
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.lane import due_at, unsettled
from uam_hooks.hot.queue.model import ActionType, Source, SourceStatus, Status, where
from uam_hooks.session import Session, agent_here
from uam_hooks.store import history, views


class Speaks(Protocol):
    """Who says what is waited for, see Voice."""

    @property
    def step(self) -> float: ...
    def speak(self, passed: float) -> None: ...
    def clear(self) -> None: ...


def wait_for(
    session: Session, ids: Sequence[int], timeout: float | None, voice_of: Callable[[Store, Sequence[int]], Speaks]
) -> bool:
    """Wait until the actions `ids` have ended, and say what became of them; returns whether all was done.

    `timeout` is in seconds, None for uam.push.waitTimeout. Of an action that several agents share, what the agent of
    this worktree has in it counts, and its branch is settled; the whole where it has nothing in it. Raises UsageError
    for an unknown action, Refused for one that no wait ends.
    """
    push = as_push_session(session)
    sources = [source for number in ids for source in _sources(session, push, number)]
    timeout = session.settings["uam.push.waitTimeout"] if timeout is None else timeout
    by_hand = session.settings["uam.push.mode"] == "manual"
    if not by_hand:
        enqueue.attend(session.store, {source.action_id for source in sources})

    own = [source.id for source in sources if _is_mine(push, source) and source.status == SourceStatus.PENDING]
    if own:  # it is told here: nobody else need say it, nor uam.notify.command be told
        again.listen(session.store, own)

    def ensure(states: Sequence[Source], start: bool) -> bool:
        return not by_hand and _ensure_flushers(session, push, states, start)

    listener = Listener(session.store, push.paths, Colours(push.git, push.settings))

    voice = voice_of(session.store, ids)

    def show(passed: float, states: Sequence[Source]) -> None:
        listener.listen([state for state in states if _is_mine(push, state)], voice.clear)
        voice.speak(passed)

    try:
        states = poll(session.store, [source.id for source in sources], timeout, ensure, show, step=voice.step)
    except Stuck:
        raise UamError(
            f"No flusher could run, see {push.paths.log}.",
            Advice.of("It stays queued; {} lands it.", "git", "uam", "flush"),
        ) from None
    finally:
        voice.clear()
    assert states is not None
    if any(state.status == SourceStatus.PENDING for state in states):
        again.leave(session.store, own)
        states = enqueue.state(session.store, [source.id for source in sources])  # what has failed meanwhile is ours
    listener.rest([state for state in states if _is_mine(push, state)])
    branches = OwnBranches(push, "")
    done = [_report(session, push, state, branches, by_hand) for state in _once(states)]
    again.told(session.store, [s.id for s in states if s.status != SourceStatus.PENDING and _is_mine(push, s)])
    return all(done)


def as_push_session(session: Session) -> PushSession:
    """What the hot path works with, for the worktree of this command."""
    return PushSession(
        RepoPaths.of(session.repo.git_dir), session.repo, session.settings, session.store, session.identity
    )


def hear_news(session: Session, reported: Collection[str] = ()) -> None:
    """Say what became of pushes of this agent that did not stay to hear it, and settle their branches.

    What failed in the batches `reported` was told by who executed them.
    """
    push = as_push_session(session)
    news = News(push)
    news.tell(reported)
    news.settle(OwnBranches(push, ""))
    news.done()


def _ensure_flushers(session: Session, push: PushSession, states: Sequence[Source], start: bool) -> bool:
    """Whether a lane in which one of these sources could go on has no flusher; with `start`, start it."""
    waiting = {source.action_id for source in states if source.status == SourceStatus.PENDING}
    actions = [action for number in waiting if (action := views.action(session.store, number)) is not None]
    lanes = {action.remote: push.lane(action.remote) for action in actions}
    able = [r for r, lane in lanes.items() if due_at(session.store, lane) or unsettled(session.store, lane)]
    missing = [remote for remote in able if push.ensure_flusher(remote, start)]
    return bool(missing)


def _sources(session: Session, push: PushSession, number: int) -> list[Source]:
    """The sources to wait for: those of this agent here, or all where there are none.

    What another action has taken over is waited for there.
    """
    action = views.current(session.store, number)
    if action is None:
        with session.store.reading() as db:
            raise history.missing_action(db, number)
    sources = [s for s in views.sources(session.store, action.id) if s.status != SourceStatus.REPLACED]
    if not sources:
        raise Refused(f"#{number} are commits that wait for a push.", Advice.of("{} lands them.", "git", "push"))
    agent = agent_here(session)
    return [s for s in sources if _is_mine(push, s) and s.agent == agent] or sources


def _is_mine(push: PushSession, source: Source) -> bool:
    return source.worktree == str(push.paths.git_dir)


def _once(states: Sequence[Source]) -> list[Source]:
    return list({state.id: state for state in states}.values())


def _report(session: Session, push: PushSession, source: Source, branches: OwnBranches, by_hand: bool) -> bool:
    """Say what became of a source, settle its branch if it is one of this worktree; returns whether it is done."""
    action = views.action(session.store, source.action_id)
    assert action is not None
    if source.status == SourceStatus.PENDING:
        how = "`git uam flush` lands it" if by_hand and not action.entrusted else ""
        say(messages.not_landed_yet(action.id, how, action.entrusted))
        return False
    if action.action_type != ActionType.PUSH:
        why = f": {action.error}" if action.error else ""
        say(f"#{action.id} {action.action_type.value} {where(action)} is {action.status.value}{why}")
        return action.status == Status.COMPLETED
    mine = _is_mine(push, source)
    say_ended(action.remote, source, earlier=False, mine=mine)
    if mine:
        settle_ended(push, action.remote, source, branches)
    return source.status == SourceStatus.LANDED
