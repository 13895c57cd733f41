"""The wired door: gitremote-helpers(7) with git on one side and the queue on the other.

git asks for the refs of the remote first. They are listed as "?", which leaves the judgement to us: a push from a
branch that is behind arrives here and is integrated instead of being rejected. Real values are listed where git
has to judge by them: for a lease, and for pushes of tags, deletions and mirrors.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import BinaryIO

from uam_hooks.hot.core.errors import GitFailed, StoreError, UamError, last_line, redact, say
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.plumbing import ZERO, HotGit, is_ancestor, listed_refs
from uam_hooks.hot.core.refs import HEADS, OURS, shadow_ref, short_target
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.push import arguments, messages, waiting
from uam_hooks.hot.push.intake import Asked, Request, Spec, enter, look_at
from uam_hooks.hot.push.protocol import ok, there_already, unquoted
from uam_hooks.hot.queue import enqueue
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.enqueue import Ticket
from uam_hooks.hot.queue.leader import ensure_flusher
from uam_hooks.hot.queue.model import Source, SourceStatus, seconds_of
from uam_hooks.hot.queue.windows import URGENT_OPTION
from uam_hooks.hot.worktree.settle import Landed, settle


class RemoteHelper:
    """One conversation with git about one remote."""

    def __init__(self, remote: str, shim: str, paths: RepoPaths, git: HotGit, settings: Settings, store: Store):
        self.remote, self.shim = remote, shim
        self.paths, self.git, self.settings, self.store = paths, git, settings, store
        self.options: list[str] = []
        self.known: dict[str, str] = {}
        self.settled: set[str] = set()
        self.out: BinaryIO = sys.stdout.buffer

    def serve(self, lines: BinaryIO) -> int:
        """Answer until git has no more to ask; gives the exit status."""
        pushes: list[str] = []
        for raw in lines:
            line = raw.decode("utf-8", "surrogateescape").rstrip("\n")
            if line == "capabilities":
                self.answer("option", "push", "")
            elif line.startswith("option "):
                self.answer(self.option(line[len("option ") :]))
            elif line.startswith("list"):
                self.answer(*self.list_refs(), "")
            elif line.startswith("push "):
                pushes.append(line)
            elif not line and pushes:
                self.answer(*self.push(pushes), "")
                pushes = []
            elif not line:
                break
            else:
                say(f"git asked for '{line}', which this helper does not know.")
                return 128
        return 0

    def answer(self, *lines: str) -> None:
        self.out.write("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))
        self.out.flush()

    def option(self, option: str) -> str:
        """Keep an option for the push; unknown ones are declined, and git then decides what that means."""
        name = option.partition(" ")[0]
        if name in ("verbosity", "progress"):
            return "ok"
        if name in ("dry-run", "atomic", "cas", "push-option", "force-if-includes"):
            if not option.endswith(" false"):
                self.options.append(option)
            return "ok"
        return "unsupported"

    def list_refs(self) -> list[str]:
        """What git shall take for the refs of the remote."""
        given = arguments.push_arguments()
        lease, mirror = arguments.wants_lease(given), arguments.is_mirror(given)
        follow = self.settings.all("push.followtags")[-1:] not in ([], ["false"])
        if lease or follow or arguments.wants_everything(given):
            self.known = self.ask_remote()
            real = lease or mirror
            return [f"{o if real or not ref.startswith(HEADS) else '?'} {ref}" for ref, o in self.known.items()]
        tracked = self.git.run("for-each-ref", "--format=%(objectname) %(refname)", f"refs/remotes/{self.remote}/")
        for oid, _, name in (line.partition(" ") for line in tracked.lines):
            ref = self.settings.remote_ref(self.remote, name)
            if ref and ref.startswith("refs/") and not ref.endswith("/HEAD"):
                self.known[ref] = oid
        return [f"? {ref}" for ref in self.known]

    def ask_remote(self, *patterns: str) -> dict[str, str]:
        """The refs that the real remote has now."""
        url = self.settings.push_urls(self.remote)[0]
        return listed_refs(self.git.run("ls-remote", "--", url, *patterns))

    def push(self, lines: list[str]) -> list[str]:
        """Queue a batch of push lines and answer for each ref when its work has landed."""
        request = self.request(lines)
        ours = [self.not_ours_to_give(s.dst) for s in request.specs if s.dst.startswith(OURS)]
        request = request._replace(specs=tuple(s for s in request.specs if not s.dst.startswith(OURS)))
        if not request.specs:
            return ours
        return ours + self.land(request, lines)

    def land(self, request: Request, lines: list[str]) -> list[str]:
        """Queue, wait, answer. A fault of ours before anything is queued leaves the push to git's own way."""
        try:
            asked = look_at(request, self.known, self.git, self.paths, self.settings)
            answers, fresh = self.decide(request, asked)
            mode = self.settings["uam.push.mode"]
            timeout = self.settings["uam.push.waitTimeout"]
            if not fresh:
                self.finish_what_was_begun()
                return answers
            # a signal that comes while the push is queued waits until it is known what to take back
            with waiting.holding_signals():
                tickets = enter(fresh, self.git, self.store, self.settings, self.paths,
                                urgent=request.urgent, waits=mode == "wait")  # fmt: skip
                states = self.wait(tickets, timeout) if mode == "wait" else []
        except (GitFailed, StoreError, OSError) as error:
            say(f"{error.what if isinstance(error, UamError) else error} This push goes straight to the remote.")
            return self.straight(lines)
        except UamError as error:
            why = " ".join(part for part in (error.what, error.do) if part)
            return [f"error {spec.dst} {why}" for spec in request.specs]
        if mode != "wait":
            return answers + self.queued(fresh, tickets, mode)
        if states is None:
            say(f"no flusher could run, see {self.paths.log}; this push goes straight to the remote.")
            return self.straight(lines)
        with waiting.holding_signals():  # a branch is not left half way
            return answers + self.outcomes(fresh, tickets, states)

    def finish_what_was_begun(self) -> None:
        """After a crash the next command finds out what happened, also one that has nothing to push."""
        if enqueue.unsettled(self.store):
            waiting.until_settled(self.store, self.paths)

    def not_ours_to_give(self, dst: str) -> str:
        """A mirror or a pattern passes over what git uam keeps here; who names it is told."""
        if any(OURS in argument for argument in arguments.push_arguments()):
            return f"error {dst} {OURS} is this repository's own and goes to no remote"
        return f"error {dst} no match"

    def request(self, lines: list[str]) -> Request:
        leases = dict(o[len("cas ") :].rpartition(":")[::2] for o in self.options if o.startswith("cas "))
        specs = []
        for line in lines:
            text = line[len("push ") :]
            src, _, dst = text.removeprefix("+").partition(":")
            lease = leases.get(dst)
            specs.append(Spec(src, dst, text.startswith("+"), "" if lease == ZERO else lease))
        said = [unquoted(o[len("push-option ") :]) for o in self.options if o.startswith("push-option ")]
        return Request(
            self.remote, tuple(specs), "atomic true" in self.options, "dry-run true" in self.options,
            tuple(option for option in said if option != URGENT_OPTION), URGENT_OPTION in said,
        )  # fmt: skip

    def decide(self, request: Request, asked: list[Asked]) -> tuple[list[str], list[Asked]]:
        """The answers that need no landing, and what is left to queue."""
        wrong = [f"error {a.spec.dst} {a.error}" for a in asked if a.error]
        if wrong:
            rest = [a for a in asked if not a.error]
            return wrong + [f"error {a.spec.dst} not pushed, see the other refs" for a in rest], []
        old = [a for a in asked if not a.new]
        there = self.ask_remote(*(a.spec.dst for a in old)) if old else {}
        stale = [a for a in old if there.get(a.spec.dst) != a.known]
        answers = [self.up_to_date(a) for a in old if a not in stale]
        fresh = [a for a in asked if a.new or a in stale]
        if request.dry_run:
            return answers + [line for a in fresh for line in ok(a.spec.dst, a.known, a.source.tip)], []
        return answers, fresh

    def wait(self, tickets: list[Ticket], timeout: float) -> list[Source] | None:
        """The outcomes; None when the push was taken back to go straight."""
        try:
            return waiting.wait(self.store, self.paths, tickets, timeout)
        except waiting.Stuck:
            raise UamError(
                f"no flusher could bring this push to an end, see {self.paths.log};",
                "it stays in the queue, and git uam status tells what becomes of it",
            ) from None
        except waiting.Interrupted as stopped:
            if stopped.taken_back:
                say("interrupted: this push is taken back, nothing of it will land.")
            elif stopped.replaced:
                say("interrupted, but a newer push of this branch holds this work and goes on.")
            else:
                say("interrupted, but this push is landing already; git uam status tells how it ends.")
            sys.stderr.flush()
            os._exit(128 + stopped.signal)

    def queued(self, fresh: list[Asked], tickets: list[Ticket], mode: str) -> list[str]:
        """Answer "accepted, not landed": exit 0, and the tracking ref stays where it is."""
        if mode == "queue":
            ensure_flusher(self.paths)
        answers = []
        for one, ticket in zip(fresh, tickets, strict=True):
            where = f"{self.remote}/{short_target(one.spec.dst)}"
            say(messages.queued(ticket.action, where, seconds_of(ticket.due) - time.time(), mode))
            answers += ok(one.spec.dst, one.known, one.known)
        return answers

    def outcomes(self, fresh: list[Asked], tickets: list[Ticket], states: list[Source]) -> list[str]:
        """Say what became of each source, settle its branch, and answer git."""
        answers = []
        for one, ticket, state in zip(fresh, tickets, states, strict=True):
            if state.status == SourceStatus.LANDED:
                answers += self.landed(one, state)
            elif state.status == SourceStatus.PENDING:
                answers += self.queued([one], [ticket], "queue")
            else:
                for line in state.outcome.advice:
                    say(line)
                why = redact(state.outcome.error or "it was withdrawn")
                answers.append(f"error {one.spec.dst} {' '.join(why.split())}")
        return answers

    def landed(self, one: Asked, state: Source) -> list[str]:
        outcome = state.outcome
        for said in (messages.landed(state, self.remote), outcome.note):
            if said:
                say(said)
        if not state.exact:
            self.settle(one, Landed(one.source.branch, one.source.tip, outcome.new, outcome.keep))
        if outcome.new == outcome.old:
            return [there_already(one.spec.dst, one.source.tip, outcome.new)]
        return ok(one.spec.dst, outcome.old, outcome.new) + self.forced(one, outcome.old, outcome.new)

    def forced(self, one: Asked, old: str, new: str) -> list[str]:
        """What makes git print `+ old...new (forced update)` where the push was one."""
        if not (one.spec.force and old and new):
            return []
        try:
            return [] if is_ancestor(self.git, old, new) else ["option forced-update"]
        except GitFailed:  # it has landed; what is missing is a word in git's own line
            return []

    def up_to_date(self, one: Asked) -> str:
        """The remote has it; if it has it in a landing, the branch is brought over now."""
        if not one.source.exact:
            known = Landed(one.source.branch, one.source.tip, one.known, one.known)
            if not is_ancestor(self.git, one.source.tip, one.known):
                self.settle(one, known)
        return there_already(one.spec.dst, one.source.tip, one.known)

    def settle(self, one: Asked, landed: Landed) -> None:
        """Bring the pushed branch over, unless the push named no branch."""
        mode = self.settings["uam.settle"]
        if mode == "off" or (not landed.branch and one.spec.src != "HEAD") or landed.branch in self.settled:
            return
        self.settled.add(landed.branch)
        landed = landed._replace(shadow=shadow_ref(self.remote, one.spec.dst))
        try:
            result = settle(self.git, self.paths, landed, files=mode == "keep")
        except (GitFailed, OSError) as error:
            say(f"the branch could not be brought over ({last_line(str(error))}); git uam sync does it.")
            return
        said = messages.settled(result, landed.branch, f"{self.remote}/{short_target(one.spec.dst)}")
        if said and landed.tip != landed.landing:
            say(said)

    def straight(self, lines: list[str]) -> list[str]:
        """What git would have done without us: the shim's own way to the real remote, for these very lines."""
        urgent = f"push-option {URGENT_OPTION}"  # the remote might refuse it: it is for us
        options = [f"option {option}" for option in self.options if option != urgent]
        feed = "\n".join([*options, *lines, "", ""]).encode("utf-8", "surrogateescape")
        done = subprocess.run(
            ["sh", self.shim, self.remote, self.remote],
            input=feed,
            stdout=subprocess.PIPE,
            env={**os.environ, "UAM": "off"},
            check=False,
        )
        answers = done.stdout.decode("utf-8", "surrogateescape").split("\n")[len(options) :]
        told: list[str] = []
        for answer in filter(None, answers):
            dst = answer.removeprefix("ok ")
            told += [answer, f"option old-oid {self.known[dst]}"] if answer != dst and dst in self.known else [answer]
        return told
