"""A fleet as one of its machines has it: who lands a branch, what is handed over, and what became of it.

Every method is one statement on one connection, or says why not, so that there is nothing to undo for a machine that
dies. Order and locks are all that the database is needed for: the remote says what has landed, and what was handed over
stays in the queue of its machine until it has.

**Who lands a branch** has an advisory lock of its session, and a row that says who it is; see `holding`. Its beat is a
statement every two seconds. Whoever wants the branch, and finds that nothing was heard of its holder for six, has the
server end that session; the lock of a machine that died is free at once.

**Rights.** All machines of a fleet connect as one role, which owns the schema `uam` and needs nothing else; it may end
and look at its own sessions without more. `CREATE ROLE uam LOGIN; CREATE SCHEMA uam AUTHORIZATION uam;` in a database
that it may connect to (`GRANT CONNECT`), or `CREATE DATABASE uam OWNER uam`. A pooler has to keep a session to itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from math import inf

from uam_hooks.fleet import standing, statements, values
from uam_hooks.fleet.fleet_schema import opened
from uam_hooks.fleet.holding import Holding
from uam_hooks.fleet.link import Link
from uam_hooks.fleet.values import Branch, Ended, Entry, FleetAway, FleetRefused, Machine, Verdict
from uam_hooks.hot.core import gate
from uam_hooks.hot.core.errors import Advice
from uam_hooks.hot.core.typed import Any


class Fleet:
    """One connection to the database of a fleet, for one flusher of `machine`; another thread of its own keeps it.

    What has ended before it was there is not told: look with `ended`. A lost connection is not made again: every method
    raises FleetAway from then on. Errors of all of them: FleetAway, FleetRefused, and UsageError for what cannot be
    stored.
    """

    def __init__(self, url: str, name: str, machine: Machine) -> None:
        self.name = gate.name(name, "name of the fleet")
        self.machine = values.checked_machine(machine)
        self.link = Link(url)
        try:
            opened(self.link, make=False)
            rows = self.link.ask(
                statements.SEEN, fleet=values.packed(name), machine=machine.id, name=values.packed(machine.name)
            )
            if not rows:
                raise _no_member(name)
            self.id = int(rows[0][0])
            self._holding = Holding(self.link, self.id, self._ask)
            self.link.ask(f'LISTEN "{values.channel(self.id, "m", machine.id)}"')
        except BaseException:
            self.link.close()
            raise

    def close(self) -> None:
        """Let go of everything, and wake who waits for it."""
        self._holding.end_beats()
        try:
            for branch in self.held:
                self.release(branch)
        except (FleetAway, FleetRefused):  # what is lost is free
            pass
        finally:
            self.link.close()

    # -- who lands a branch ----------------------------------------------------------------------------------

    @property
    def held(self) -> frozenset[Branch]:
        """The branches that are this connection's to land, as far as what has arrived over it says."""
        return self._holding.now

    def hold(self, branch: Branch) -> bool:
        """Become who lands this branch, or stay it; False where another one is.

        Who was refused is woken by `wait` when that one lets go, or may have died.
        """
        return self._holding.take(values.checked_branch(branch), self.machine)

    def release(self, branch: Branch) -> None:
        """Let go of a branch, and wake who waits for it; nothing where it is not held."""
        self._holding.release(branch)

    # -- what is handed over ---------------------------------------------------------------------------------

    def enter(self, entries: Sequence[Entry]) -> None:
        """Hand over sources, all of them or none, and wake who lands their branches.

        Those that are there stay, but are due now where they have no window any more.
        """
        rows = [(values.checked(entry), self._key(entry.branch)) for entry in entries]
        if not rows:
            return
        pack = values.packed
        [(member, _)] = self._ask(
            statements.ENTER,
            machine=self.machine.id,
            ids=[entry.id for entry, _ in rows],
            keys=[key for _, key in rows],
            remotes=[pack(entry.branch.remote) for entry, _ in rows],
            refs=[pack(entry.branch.ref) for entry, _ in rows],
            tips=[entry.tip for entry, _ in rows],
            hidden=[pack(entry.hidden) for entry, _ in rows],
            agents=[pack(entry.agent) for entry, _ in rows],
            terms=[pack(entry.terms) for entry, _ in rows],
            urgent=[entry.urgent for entry, _ in rows],
            seconds=[float(entry.window) for entry, _ in rows],
            facts=[values.json_of(entry.facts) for entry, _ in rows],
            channels=[values.channel(self.id, "e", key) for _, key in rows],
        )
        if not member:
            raise _no_member(self.name)

    def waiting(self, branch: Branch, terms: str, most: int = 1000) -> list[Entry]:
        """What was handed over for a branch that is held here, in order, and asks for nothing else than `terms`.

        What cannot be read is left alone.
        """
        found: list[Entry] = []
        after = 0
        held = branch in self.held
        self.link.check()
        while held and len(found) < most:
            rows = self._ask(
                statements.WAITING, branch, key=self._key(branch), started=self.link.started,
                terms=values.packed(terms), after=after, most=min(most, statements.AT_ONCE),
            )  # fmt: skip
            found += [entry for *row, _ in rows if (entry := values.entry_of(branch, row)) is not None]
            if len(rows) < min(most, statements.AT_ONCE):
                break
            after = int(rows[-1][-1])
        return found[:most]

    def due_in(self, branch: Branch, terms: str) -> float:
        """In how many seconds the first of what other machines have handed over for a branch is due, of what asks for
        nothing else than `terms`; infinite where there is nothing.
        """
        [(seconds,)] = self._ask(
            statements.DUE, branch, key=self._key(branch), terms=values.packed(terms), machine=self.machine.id
        )
        return inf if seconds is None else float(seconds)

    def take_home(self, ids: Sequence[str]) -> set[str]:
        """Take entries of this machine back: those of `ids` that still waited."""
        rows = self._ask(statements.TAKE_HOME, machine=self.machine.id, ids=values.checked_ids(ids)) if ids else []
        return {str(id) for (id,) in rows}

    def report(self, branch: Branch, outcomes: Mapping[str, tuple[bool, str]]) -> set[str]:
        """Say what became of entries: whether each has landed, and the text of its Outcome. Wakes their machines.

        Returns those for which it was written: they still waited, and have landed, or the branch is held here.
        """
        if not outcomes:
            return set()
        key = self._key(branch)
        rows = self._ask(
            statements.REPORT, branch, key=key, started=self.link.started, held=branch in self.held,
            prefix=values.channel(self.id, "m", ""), ids=values.checked_ids([*outcomes]),
            landed=[bool(landed) for landed, _ in outcomes.values()],
            outcomes=[values.checked_outcome(text) for _, text in outcomes.values()],
        )  # fmt: skip
        return {str(id) for id, _ in rows}

    def ended(self, ids: Sequence[str]) -> list[Ended]:
        """What became of entries: of those of `ids` that wait no more, and are not folded."""
        rows = self._ask(statements.ENDED, ids=values.checked_ids(ids)) if ids else []
        return [ended for row in rows if (ended := values.ended_of(row)) is not None]

    def wait(self, seconds: float, *fds: int) -> bool:
        """Until there may be something to do: something was entered or has ended, a branch may be free, or one of `fds`
        can be read. False when the time is over.
        """
        return self.link.wait(min(seconds, self._holding.patience()), *fds) or self._holding.is_due()

    # -- gates -----------------------------------------------------------------------------------------------

    def verdicts(self, since: int = 0) -> list[Verdict]:
        """What gates have said anywhere in the fleet after the verdict with that number, in order, not all at once."""
        found: list[Verdict] = []
        while not found:
            rows = self._ask(statements.VERDICTS, since=since, most=statements.AT_ONCE)
            found = [verdict for row in rows if (verdict := values.verdict_of(row)) is not None]
            if len(rows) < statements.AT_ONCE:
                break
            since = int(rows[-1][-1])
        return found

    def share_verdicts(self, verdicts: Sequence[Verdict]) -> None:
        """Tell the fleet what gates have said here. A verdict that is sure stays until another one is."""
        latest = {values.digest_of(verdict): values.checked_verdict(verdict) for verdict in verdicts}
        if latest:
            told, pack = latest.values(), values.packed
            self._ask(
                statements.SHARE, many=len(latest), digests=[*latest],
                gates=[pack(one.gate) for one in told], fingerprints=[pack(one.fingerprint) for one in told],
                trees=[one.tree for one in told], green=[one.green for one in told], sure=[one.sure for one in told],
                said=[pack(one.said) for one in told],
            )  # fmt: skip

    # -- what there is ---------------------------------------------------------------------------------------

    def status(self) -> standing.Status:
        """The fleet as it is now."""
        return standing.of(self._ask, self.name)

    def fold(self, retention: float) -> int:
        """Remove what ended more than `retention` seconds ago, after adding it to its day; how many that were."""
        total = 0
        while True:
            [(gone,)] = self._ask(statements.FOLD, retention=float(retention), most=statements.AT_ONCE)
            total += int(gone)
            if gone < statements.AT_ONCE:
                self._ask(statements.FORGET_VERDICTS, retention=float(retention))
                return total

    # -- asking ----------------------------------------------------------------------------------------------

    def _key(self, branch: Branch) -> int:
        return values.key_of(self.id, branch)

    def _ask(self, sql: str, branch: Branch | None = None, **given: Any) -> list[tuple[Any, ...]]:
        named = {} if branch is None else {"remote": values.packed(branch.remote), "ref": values.packed(branch.ref)}
        return self.link.ask(sql, fleet=self.id, **named, **given)


def _no_member(name: str) -> FleetRefused:
    return FleetRefused(
        f"This clone is not in the fleet {gate.shown(name)}.", Advice.of("Run {}.", "git", "uam", "fleet", "join")
    )


def join(url: str, name: str, machine: Machine, terms: str = "", require: bool = False) -> None:
    """Make this clone a machine of the fleet, and the fleet and its schema where they are missing.

    With `require` all its machines have to have these `terms`; FleetRefused where this one or others have not.
    """
    gate.name(name, "name of the fleet", gate.NAME_BYTES // 6)
    values.checked_machine(machine)
    gate.text(terms, "terms of this clone", gate.NAME_BYTES)
    with closing(Link(url)) as link:
        opened(link, make=True)
        with link.transaction():
            packed = values.packed(terms)
            [(fleet, asked, others, differing)] = link.ask(
                statements.FLEET, name=values.packed(name), machine=machine.id, terms=packed
            )
            if (asked and asked != packed and others) or (require and differing):
                raise FleetRefused(
                    f"The settings of this clone are not those of the other machines of the fleet {gate.shown(name)}.",
                    "The fleet knows only a digest of them: compare gates (command, paths, branches, needs), uam.squash"
                    " and what is below it, uam.originals, and what signs commits; or join another fleet.",
                )
            if require or asked:
                link.ask(statements.REQUIRE, fleet=fleet, terms=packed)
            link.ask(statements.JOIN, fleet=fleet, machine=machine.id, name=values.packed(machine.name), terms=packed)


def leave(url: str, name: str, machine_id: str) -> None:
    """Take this clone out of the fleet; what it has handed over and still waits is its own again."""
    values.checked_machine(Machine(machine_id, "it"))
    with closing(Link(url)) as link:
        opened(link, make=False)
        link.ask(statements.LEAVE, name=values.packed(name), machine=machine_id)
