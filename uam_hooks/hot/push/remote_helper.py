"""The wired door: the conversation of gitremote-helpers(7), with git on the other side.

git asks for the refs of the remote first. Branches are listed as "?", which leaves the judgement to us: a push from a
branch that is behind arrives here and is integrated instead of being rejected. Real values are listed where git has to
judge by them; `meaning` says where that is.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from uam_hooks.hot.core.errors import GitFailed, UamError
from uam_hooks.hot.core.refs import HEADS, OURS
from uam_hooks.hot.core.typed import BinaryIO
from uam_hooks.hot.core.words import say
from uam_hooks.hot.push import arguments, meaning
from uam_hooks.hot.push.answers import Answers
from uam_hooks.hot.push.meaning import Listing
from uam_hooks.hot.push.news import News
from uam_hooks.hot.push.protocol import GitDied, listed, passed_over, read_request, refused
from uam_hooks.hot.push.request import Request, Spec
from uam_hooks.hot.push.session import PushSession
from uam_hooks.hot.push.straight import DIED, list_straight, push_straight
from uam_hooks.hot.push.wired_push import GoStraight, land


class RemoteHelper:
    """One conversation with git about one remote. `shim` is the script that pushes without us."""

    def __init__(self, session: PushSession, remote: str, shim: str) -> None:
        self.session, self.remote, self.shim = session, remote, shim
        self.answers = Answers(session, remote)
        self.options: list[str] = []
        self.known: dict[str, str] = {}
        self.goes_straight = self.asked = self.pushed = self.died = False
        self.out: BinaryIO = sys.stdout.buffer

    def serve(self, lines: BinaryIO) -> int:
        """Answer until git has no more requests; returns the exit status."""
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
                self.pushed = True
                answers = self.push(pushes)
                self.answer(*answers, *([] if self.died else [""]))
                self.answers.told()
                if self.died:
                    return DIED
                pushes = []
            elif not line:
                break
            else:
                say(f"git sent '{line}', which this helper does not support.")
                return 128
        # git has said that there are "no refs in common", and ends as it would where its own connection broke off then
        return DIED if self.asked and not self.known and not self.pushed else 0

    def answer(self, *lines: str) -> None:
        self.out.write("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))
        self.out.flush()

    def option(self, option: str) -> str:
        """Keep an option for the push; unknown ones are declined, and git decides what that means."""
        name = option.partition(" ")[0]
        if name in ("verbosity", "progress"):
            if option in ("verbosity 0", "progress true"):  # anything else is how a git without a terminal pushes
                self.options.append(option)
            return "ok"
        if name == "pushcert":
            self.goes_straight = True  # only who pushes can sign what is pushed, and nobody what we would make of it
        if name in ("dry-run", "atomic", "cas", "push-option", "force-if-includes", "pushcert"):
            if not option.endswith(" false"):
                self.options.append(option)
            return "ok"
        return "unsupported"

    def list_refs(self) -> list[str]:
        """The refs of the remote, in the form in which git is to judge them.

        Where a fault here keeps them from being found out, the push goes straight, and git judges by what the remote
        has.
        """
        try:
            return self.found_refs()
        except (GitFailed, OSError) as error:
            if isinstance(error, GitFailed) and "ls-remote" in error.command and error.returncode > 0:
                raise  # the remote has said no, and would say it again
            say(f"{error.what if isinstance(error, UamError) else error} This push goes straight to the remote.")
        self.goes_straight = True
        self.known, self.asked = list_straight(self.shim, self.remote), True
        return listed(self.known)

    def found_refs(self) -> list[str]:
        """The refs of the remote: as they are, or the branches as they were last seen, where that is enough."""
        how, names = meaning.listing(arguments.found_arguments(), self.session.settings, self.remote)
        tracking = f"refs/remotes/{self.remote}/"
        patterns = [tracking, *(f"{kind}{name}" for name in names for kind in (HEADS, "refs/tags/"))]
        here: dict[str, str] = {}
        if self.remote not in self.session.settings.remotes():
            how = Listing.GUESSED if how == Listing.TRACKED else how  # an URL: nothing here remembers what it has
        elif how in (Listing.TRACKED, Listing.GUESSED):
            found = self.session.git.run("for-each-ref", "--format=%(refname) %(objectname)", *patterns)
            here = dict(line.rpartition(" ")[::2] for line in found.lines)
        if how != Listing.TRACKED or not meaning.are_branches(names, here):
            try:
                self.known, self.asked = self.session.ask_remote(self.remote), True
            except GitFailed:
                if how in (Listing.NAMED, Listing.REAL) or self.session.settings["uam.push.mode"] == "wait":
                    raise
        if self.asked:
            judged = self.known if how == Listing.REAL else meaning.judged_by_git(self.known)
            return listed({ref: oid if ref in judged else "?" for ref, oid in self.known.items()})
        for name in [name for name in here if name.startswith(tracking)]:
            ref = self.session.settings.remote_ref(self.remote, name)
            if ref and ref.startswith("refs/") and not ref.endswith("/HEAD"):
                self.known[ref] = here[name]
        return listed(dict.fromkeys(self.known, "?"))

    def push(self, lines: list[str]) -> list[str]:
        """Push what the `push` lines name, and answer for each ref when its work has landed."""
        request = read_request(self.remote, self.options, lines, self.known if self.asked else {})
        stays = [_never_pushed(spec, request.specs) for spec in request.specs]
        refused = [_refused(spec.dst) for spec, here in zip(request.specs, stays, strict=True) if here]
        lines = [line for line, here in zip(lines, stays, strict=True) if not here]
        request = request._replace(specs=tuple(s for s, here in zip(request.specs, stays, strict=True) if not here))
        if not request.specs:
            return refused
        if request.dry_run or self.goes_straight:
            return refused + self.landed(request, lines)
        self.answers.hush(request.quiet)
        news = News(self.session, request.quiet)
        news.tell()
        answers = self.landed(request, lines)
        news.settle(self.answers.branches)
        news.done()
        return refused + answers

    def landed(self, request: Request, lines: list[str]) -> list[str]:
        """The answers for a push, when its work has landed; without us where the queue cannot take it to an end."""
        try:
            ours, straight = meaning.parted(request, lines, self.known if self.asked else None)
            if self.goes_straight:
                ours, straight = request._replace(specs=()), lines
            answers = self.pushed_straight(straight)
            try:
                return answers + (land(self.session, ours, self.known, self.answers) if ours.specs else [])
            except GoStraight as why:
                say(str(why))
            return answers + self.pushed_straight([line for line in lines if line not in straight])
        except GitDied as died:
            self.died = True
            return [died.what]

    def pushed_straight(self, lines: list[str]) -> list[str]:
        return push_straight(self.shim, self.remote, self.options, lines, self.known) if lines else []


def _never_pushed(spec: Spec, others: Sequence[Spec]) -> bool:
    """Whether this is about a ref of uam's own, and no deletion by name: those of this repository stay here, and what
    the remote has of them is nothing that a mirror may delete.
    """
    if not spec.dst.startswith(OURS):
        return False
    return bool(spec.src) or not _are_named() or any(one.src and one.dst.startswith(OURS) for one in others)


def _are_named() -> bool:
    return any(OURS in argument for argument in arguments.push_arguments())


def _refused(dst: str) -> str:
    """The answer for a ref of uam's own: a mirror or a pattern passes over it, a push that names it is told why."""
    if _are_named():
        return refused(dst, f"{OURS} belongs to this repository and is never pushed")
    return passed_over(dst)
