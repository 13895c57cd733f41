"""What git is told of each ref of a push, and what the person or agent behind it reads."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from uam_hooks.hot.core.errors import GitFailed, StoreError
from uam_hooks.hot.core.plumbing import is_ancestor
from uam_hooks.hot.core.refs import HEADS, short_target
from uam_hooks.hot.core.words import say
from uam_hooks.hot.push import messages
from uam_hooks.hot.push.own_branch import OwnBranches
from uam_hooks.hot.push.protocol import NON_FAST_FORWARD, GitDied, ok, passed_over, refused, there_already
from uam_hooks.hot.push.resolve import ResolvedSpec
from uam_hooks.hot.push.rewritten import Dropped, change
from uam_hooks.hot.push.session import PushSession
from uam_hooks.hot.queue import again
from uam_hooks.hot.queue.ci import CiState, hold_until, last_seen
from uam_hooks.hot.queue.model import Source, SourceStatus, seconds_of
from uam_hooks.hot.queue.outcome import Outcome
from uam_hooks.hot.queue.reasons import Reason, reason
from uam_hooks.hot.worktree.landed import Landed


class Answers:
    """The answers of one conversation. A branch whose work has landed is settled before git hears of it."""

    def __init__(self, session: PushSession, remote: str) -> None:
        self.session, self.remote = session, remote
        self.branches = OwnBranches(session, remote)
        self.quiet = False
        self.heard: list[int] = []  # sources whose outcome is among the answers

    def hush(self, quiet: bool) -> None:
        """Say nothing of what went well, if `quiet`."""
        self.quiet = self.branches.quiet = quiet

    def queued(self, specs: Sequence[ResolvedSpec], mode: str) -> list[str]:
        """Answer "accepted, not landed": exit 0, and the tracking ref stays where it is."""
        if mode == "queue":
            self.session.ensure_flusher(self.remote)
        answers = []
        for one in specs:
            assert one.ticket is not None
            where = f"{self.remote}/{short_target(one.spec.dst)}"
            if not self.quiet:
                due = max(one.ticket.due, self._held(one) or "")
                say(messages.queued(one.ticket.action, where, seconds_of(due) - time.time(), mode))
            answers += ok(self.session.git, one.spec.dst, one.known, one.known)
        return answers

    def _held(self, one: ResolvedSpec) -> str | None:
        """Until when CI may hold a push that was queued; None where nobody watches CI."""
        assert one.ticket is not None
        store, how = self.session.store, self.session.settings["uam.ci"]
        sight = last_seen(store, self.remote, one.spec.dst) if how == "auto" else None
        if how == "off" or (how == "auto" and (sight is None or sight.state is CiState.OFF)):
            return None
        return hold_until(store, one.ticket.action)

    def refused(self, specs: Sequence[tuple[ResolvedSpec, Outcome]]) -> list[str]:
        """Answer for what conflicts with what waits before it, and was not queued."""
        for _, why in specs:
            for line in why.advice:
                say(line)
        return [refused(one.spec.dst, why.error) for one, why in specs]

    def outcomes(self, specs: Sequence[ResolvedSpec]) -> list[str]:
        """Say what became of each source, settle its branch, and answer git."""
        answers = []
        self.reached(specs)
        for one in specs:
            state = one.state
            assert state is not None
            if state.status != SourceStatus.PENDING:
                self.heard.append(state.id)
            if state.status == SourceStatus.LANDED:
                answers += self.landed(one, state)
            elif state.status == SourceStatus.PENDING:
                where = f"{self.remote}/{short_target(one.spec.dst)}"
                why = self._why(state.action_id)
                say(messages.lands_by_itself(state.action_id, where, why))
                hands = "" if why is None else why.entrusted
                answers.append(refused(one.spec.dst, messages.not_landed_yet(state.action_id, entrusted=hands)))
            else:
                for line in state.outcome.advice:
                    say(line)
                answers.append(refused(one.spec.dst, state.outcome.error or "it was withdrawn"))
        return answers

    def _why(self, action: int) -> Reason | None:
        """Why a push waits; None where that cannot be told now."""
        with suppress(StoreError):
            return reason(self.session.store, [action], time.time())
        return None

    def reached(self, specs: Sequence[ResolvedSpec]) -> None:
        """Raise GitDied where nothing was sent of a whole push, because the remote could not be asked."""
        failures = [one.state.outcome.failure for one in specs if one.state is not None]
        if not all(failure is not None and failure.unreachable for failure in failures):
            return
        self.heard += [one.state.id for one in specs if one.state is not None]
        for why in dict.fromkeys(failure.what for failure in failures if failure is not None):
            say(why)
        raise GitDied(f"nothing was pushed to {self.remote}, see above")

    def told(self) -> None:
        """Remember that git, and the agent behind it, has the answers."""
        with suppress(StoreError):  # then the next push says it once more
            again.told(self.session.store, self.heard)
        self.heard = []

    def landed(self, one: ResolvedSpec, state: Source) -> list[str]:
        outcome = state.outcome
        own = () if self.quiet else (messages.landed(state, self.remote), messages.gathered(state, self.remote))
        for said in (*own, outcome.note):
            if said:
                say(said)
        if outcome.ref != one.spec.dst:  # the remote has a name of its own for it
            return ok(self.session.git, one.spec.dst, outcome.old, outcome.new, outcome.ref)
        if not state.verbatim:
            what = Landed(one.source.branch, one.source.tip, outcome.new, outcome.keep)
            self.branches.settle(what, one.spec.dst, one.spec.src == "HEAD")
        if outcome.new == outcome.old:
            return (
                there_already(self.session.git, one.spec.dst, outcome.new)
                if outcome.new
                else [passed_over(one.spec.dst)]
            )
        return ok(self.session.git, one.spec.dst, outcome.old, outcome.new) + self.forced(one, outcome.old, outcome.new)

    def rejected(self, one: ResolvedSpec, what: Dropped) -> str:
        """Reject a branch that has given up what landed of it, as plain git does, and say how to go on."""
        way = change(self.session.git, one.source.tip, what)
        for line in messages.dropped(one.source.branch, self.remote, one.spec.dst, what, way):
            say(line)
        return f"error {one.spec.dst} {NON_FAST_FORWARD}"

    def forced(self, one: ResolvedSpec, old: str, new: str) -> list[str]:
        """The option that makes git print `+ old...new (forced update)`, where git would have rejected it otherwise."""
        spec = one.spec
        if not ((spec.force or spec.lease is not None) and old and new):
            return []
        stale = spec.overruled is not None and spec.overruled != old
        try:
            plain = not stale and spec.dst.startswith(HEADS) and is_ancestor(self.session.git, old, new)
        except GitFailed:  # the old one is not here: git would have wanted a fetch first
            plain = False
        return [] if plain else ["option forced-update"]

    def up_to_date(self, one: ResolvedSpec) -> list[str]:
        """The answer for a ref that brings nothing new; its branch is settled now if the work landed in a squash.

        A branch that is behind has nothing to push. A commit that was named, and is older than what the remote has, is
        what the remote's branch was meant to become: that git rejects.
        """
        source, spec = one.source, one.spec
        if not source.verbatim and source.tip != one.known:
            if not is_ancestor(self.session.git, source.tip, one.known):
                known = Landed(source.branch, source.tip, one.known, one.known)
                self.branches.settle(known, spec.dst, spec.src == "HEAD")
            elif not source.branch and spec.src != "HEAD":
                return [f"error {spec.dst} {NON_FAST_FORWARD}"]
            else:
                return [passed_over(spec.dst)]
        return there_already(self.session.git, spec.dst, one.known)
