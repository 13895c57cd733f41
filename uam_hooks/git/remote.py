"""Talking to the remote: what it has, and the one push of a batch."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from uam_hooks.git import lfs
from uam_hooks.git.arguments import that_fit
from uam_hooks.git.memory import Memory
from uam_hooks.git.repo import Repository
from uam_hooks.git.said import RemoteWords, bounded
from uam_hooks.git.scratch import SCRATCH, lay_out, spent
from uam_hooks.git.verdict import Pushed, RefOutcome, outcome_of, porcelain, renamed, status_is_transient
from uam_hooks.hot.core import urls
from uam_hooks.hot.core.errors import Advice, Failure, GitFailed, GitNotStarted, Refused, UamError, reason
from uam_hooks.hot.core.gate import fit
from uam_hooks.hot.core.plumbing import ZERO, Answer, listed_refs
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.core.sideband import Speaking
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.core.words import redact

_HAS_PLACE = re.compile(r"[/:]")


class RefUpdate(NamedTuple):
    """One ref of a push: `new` over `old`, which is the lease; ZERO for absent.

    A `hidden` one is listed by the remote, and not shown to those who push: to them it is absent.
    """

    ref: str
    old: str
    new: str
    hidden: bool = False


class Unreachable(UamError):
    """The remote could not be asked."""

    @property
    def failure(self) -> Failure:
        """The error as a fact that can be stored."""
        return super().failure._replace(unreachable=True)


class Remote:
    """One remote of a repository, by its real URLs."""

    def __init__(self, repo: Repository, settings: Settings, name: str) -> None:
        self.repo, self.settings, self.name = repo, settings, name
        self.urls = urls.push_urls(settings, name)
        self.memory = Memory(repo, settings, name)
        lost = name not in settings.remotes() and not _HAS_PLACE.search(name)  # it may have been one, and is no path
        for url in self.urls:
            if lost or urls.has_helper(url) or url.startswith("-") or not url:
                raise Unreachable(
                    f"{redact(url)} is not a URL that uam pushes to.", Advice.of("See {}.", "git", "remote", "-v")
                )
        try:
            self._there = {url: urls.at(settings, name, url) for url in self.urls}
        except Refused as error:
            raise Unreachable(error.what, error.do) from None

    def _run(self, *args: str, url: str = "", hear: Callable[[bytes], None] = lambda _said: None) -> Answer:
        """Run `git args` about the remote `urls.NAME`, which is at `url`, by default the first one."""
        return self.repo.talk(
            *self._there[url or self.urls[0]], *args, silence=self.settings["uam.remote.timeout"], ok=None, hear=hear
        )

    def refs(self, *patterns: str) -> dict[str, str]:
        """The refs that the remote has now; Unreachable when it does not answer."""
        asked = ("HEAD", *patterns) if patterns and fit(patterns) else ()  # those that do not: ask for all
        answer = self._run("ls-remote", "--symref", "--", urls.NAME, *asked)
        if answer.code:
            raise self._unreachable("did not answer", answer, "The push stays as it was.")
        self.repo.heads[self.name] = next(filter(None, map(_head_in, answer.lines)), "")
        return listed_refs(answer)

    def observe(self, refs: Sequence[str], besides: Sequence[str] = ()) -> dict[str, str]:
        """What the remote has in `refs` now, with the objects brought here; ZERO for a ref that it has not.

        What is seen here is nothing that a person has seen: remote-tracking refs, by which `--force-with-lease` judges,
        stay where they are. Patterns of ls-remote match at the end of names, so what was not asked for is dropped.
        Of the refs `besides` those are left out that cannot be brought here.
        """
        refs = (*refs, *besides)
        there = self.refs(*refs)
        found = {ref: there.get(ref, ZERO) for ref in refs}
        own, tracking = self.memory.refs_of(refs)
        now = self.memory.at((*own.values(), *tracking.values()))
        held = {ref: {now.get(own[ref]), now.get(tracking[ref] or ""), ZERO} for ref in refs}
        missing = [ref for ref, oid in found.items() if oid not in held[ref] and not self._is_whole(oid)]
        for some in that_fit([ref for ref in missing if ref not in besides], lambda ref: ref):
            found.update(self._fetch(some))
        for ref in (ref for ref in missing if ref in besides):
            try:
                found |= self._fetch([ref])
            except (Unreachable, GitFailed):
                del found[ref]
        moves = [(own[ref], oid, now.get(own[ref], ZERO)) for ref, oid in found.items()
                 if oid not in held[ref] or now.get(own[ref], oid) != oid]  # fmt: skip
        with suppress(GitFailed):  # another flush has seen something newer
            self.repo.move_refs(moves, "uam: what the remote has")
        return found

    def _is_whole(self, oid: str) -> bool:
        """Whether a ref of this repository holds the object, and with it all that it stands on.

        That it is there says less: a fetch that was killed, or found the disk full, leaves commits without their files.
        """
        return bool(self.repo.kind(oid) and self.repo.run("for-each-ref", "--count=1", f"--points-at={oid}").text)

    def fetch(self, known: Mapping[str, str]) -> dict[str, str]:
        """What the remote has now in each ref of `known`, in one connection, given what it had a moment ago.

        Unreachable when it does not answer, or has one of them no more.
        """
        own = self._bring(list(known), [f"--negotiation-tip={oid}" for oid in known.values()])
        return {ref: self.repo.name_of(name)[0] for ref, name in own.items()}

    def bring(self, refs: list[str]) -> dict[str, str]:
        """What the remote has in these refs, with the objects brought here; nothing is remembered of it.

        Unreachable when it does not answer, or has not one of them.
        """
        return self._fetch(refs)

    def _fetch(self, refs: list[str]) -> dict[str, str]:
        """Bring refs here; one may have moved since it was listed, so they are read again."""
        own = self._bring(refs)
        names = self.repo.refs(SCRATCH)
        with suppress(GitFailed):  # somebody else was quicker
            self.repo.move_refs([(name, ZERO, names[name]) for name in spent(names)], "uam: the process has ended")
        return {ref: names[name] for ref, name in own.items()}

    def _bring(self, refs: list[str], options: Sequence[str] = ()) -> dict[str, str]:
        """Fetch each of `refs` into a ref of this process's own, below SCRATCH; gives their names."""
        own = {ref: f"{SCRATCH}{os.getpid()}.{n}" for n, ref in enumerate(refs)}
        specs = [f"+{ref}:{name}" for ref, name in own.items()]
        answer = self._run(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-gc", "--no-recurse-submodules",
            *options, "--", urls.NAME, *specs,
        )  # fmt: skip
        if answer.code:
            raise self._unreachable("could not be fetched", answer, "The push stays.")
        return own

    def _unreachable(self, what: str, answer: Answer, do: str) -> Unreachable:
        """A remote that could not be asked may answer the next time, unless a server has refused us by a status."""
        why = reason(answer.err)
        return Unreachable(f"{self.name} {what}: {why}.", do, transient=status_is_transient(why) is not False)

    def push(
        self, updates: Sequence[RefUpdate], options: Sequence[str], atomic: bool, speaking: Speaking,
        along: Sequence[RefUpdate] = (),
    ) -> dict[str, RefOutcome]:  # fmt: skip
        """One `git push` of all updates, each with its lease, to the first URL; then the same to the others.

        What the remote says of them meanwhile is passed on to `speaking`. Updates that do not fit into one command are
        several, unless they are to be atomic. What goes `along` is for the first URL alone, which takes all or nothing
        then. The hooks here have seen these pushes when the agents made them, so they
        do not run again.
        """
        outcomes: dict[str, RefOutcome] = {}
        whole = atomic or bool(along)
        for some in [[*updates, *along]] if whole else that_fit(updates, lambda update: update.ref):
            outcomes |= self._push_to(self.urls[0], some, options, whole, speaking, lease=True)
        landed = [u for u in updates if outcomes[u.ref].pushed == Pushed.LANDED]
        for url in self.urls[1:]:
            more: dict[str, RefOutcome] = {}
            for some in that_fit(landed, lambda update: update.ref):
                more |= self._push_to(url, some, options, atomic, speaking, lease=False)
            for ref, outcome in more.items():
                before, words = outcomes[ref], ""
                if outcome.pushed != Pushed.LANDED:
                    words = f"landed on {redact(self.urls[0])}, but {redact(url)} said: {outcome.words}"
                outcomes[ref] = before._replace(words=words or before.words, said=bounded(before.said + outcome.said))
        return outcomes

    def _upload(self, url: str, updates: Sequence[RefUpdate]) -> str:
        tips = (update.new for update in updates)
        return redact(lfs.upload(self.repo, self.name, url, tips, self.settings["uam.remote.timeout"]))

    def _push_to(
        self, url: str, updates: Sequence[RefUpdate], options: Sequence[str], atomic: bool, speaking: Speaking,
        lease: bool,
    ) -> dict[str, RefOutcome]:  # fmt: skip
        # git has told us what push.pushOption says, and would add it once more
        args = ["-c", "push.pushOption=", "push", "--porcelain", "--no-verify", "--no-follow-tags"]
        args += ["--recurse-submodules=no", "--progress"]  # some of those who wait want to see it
        args += ["--no-thin"] * (self.settings.all(urls.THIN)[-1:] == ["false"])
        args += ["--atomic"] * atomic + [f"--push-option={option}" for option in options]
        if lease:
            args += [f"--force-with-lease={u.ref}:{'' if u.old == ZERO or u.hidden else u.old}" for u in updates]
        if lfs.is_used(self.repo) and (why := self._upload(url, updates)):
            return {update.ref: RefOutcome(Pushed.REJECTED, why, transient=True) for update in updates}
        speaking.about(update.ref for update in updates)
        words = RemoteWords(speaking.say, speaking.show)
        try:
            prefix = lay_out(self.repo, {u.ref: u.new for u in updates if u.new != ZERO})
            sources = {u.ref: _source(u, prefix) for u in updates}
            specs = [f"{source}:{ref}" for ref, source in sources.items() if not (source and prefix)]
            specs += [f"{prefix}*:refs/*"] if prefix else []
            answer = self._run(*args, "--", urls.NAME, *specs, url=url, hear=words.hear)
        except GitNotStarted as error:  # nothing was sent, so this is no open question
            return {update.ref: RefOutcome(Pushed.REJECTED, error.what, error.transient) for update in updates}
        said = porcelain(answer.out.decode("utf-8", "surrogateescape"))
        lines = words.end()
        found = {}
        refs = {update.ref for update in updates}
        for update in updates:
            if update.ref in said:
                found[update.ref] = outcome_of(said[update.ref].flag, said[update.ref].why, lines)
            else:
                other = renamed(said, sources[update.ref], refs, lines)
                found[update.ref] = other or outcome_of("", reason(answer.err), lines)
        return found


def _source(update: RefUpdate, prefix: str) -> str:
    """What git calls the source of an update: the ref below `prefix`, without one its object; "" for a deletion."""
    if update.new == ZERO:
        return ""
    return prefix + update.ref.removeprefix("refs/") if prefix else update.new


def _head_in(line: str) -> str:
    """The default branch of a remote, in a line of `git ls-remote --symref`; "" where it says something else."""
    what, _, name = line.partition("\t")
    return what.removeprefix("ref: ") if name == "HEAD" and what.startswith("ref: ") else ""
