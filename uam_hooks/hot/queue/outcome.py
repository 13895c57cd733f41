"""What became of a source, as one value: built where it is decided, stored beside the source, read back only here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType

from uam_hooks.hot.core.errors import Failure
from uam_hooks.hot.core.typed import Any, NamedTuple

# Earlier versions wrote the status of a source beside its outcome; they may still read what is written here.
_LANDED, _FAILED = "landed", "failed"


class How(StrEnum):
    """What a landing is to one of its sources, or which command did the work of an action. The values are stored."""

    AS_IS = "as-is"  # the pushed commits themselves
    EXACT = "exact"  # a tag, a deletion, a forced update: nothing was integrated
    MOVED = "moved"  # one commit, on top of others' work
    KEPT = "kept"  # commits one by one, or as parents of a merge
    SQUASHED = "squashed"
    NOTHING_NEW = "nothing-new"
    NO_FF = "no-ff"
    SQUASH = "squash"
    FF_ONLY = "ff-only"
    WORKFLOW = "workflow"
    MERGE = "merge"
    DEPLOY = "deploy"


class Rival(NamedTuple):
    """Whose work a source conflicts with. `batch` is None and `agent` an author where it is nobody's of this queue."""

    agent: str
    batch: int | None
    commit: str
    words: str


class Outcome(NamedTuple):
    """What became of a source: it landed, or `failure` says why not.

    `ref` is the full name of the ref that it landed on and "" where there is none, `old` and `new` are what the ref was
    and is ("" for absent), `keep` is the commit that holds the originals. `commits` counts what the source brought,
    `company` names the agents that landed with it, `own` is the commit that stands for its work where theirs has others
    ("" where that is `new`), `note` is something they should hear. `files` are those that conflict, with the work of
    `rival`. `advice` are the lines that its agent reads, `said` those of the remote's hooks about the push that it was
    part of. `pushes` counts those that landed on the ref in the same push of ours, `held` those of them that had waited
    for CI.
    """

    batch: int | None = None
    how: How | None = None
    ref: str = ""
    old: str = ""
    new: str = ""
    keep: str = ""
    commits: int = 0
    company: tuple[str, ...] = ()
    note: str = ""
    exit_code: int | None = None
    failure: Failure | None = None
    files: tuple[str, ...] = ()
    rival: Rival | None = None
    advice: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    own: str = ""
    pushes: int = 1
    held: int = 0

    @property
    def landed_as(self) -> str:
        """The commit that stands for what the source brought; "" for a ref that is gone."""
        return self.own or self.new

    @property
    def error(self) -> str:
        """Why it failed, in a sentence; empty where it did not."""
        return "" if self.failure is None else self.failure.what

    def facts(self) -> dict[str, Any]:
        """The outcome as the queue stores it and `--json` prints it."""
        if self.failure is not None:
            rival = None if self.rival is None else self.rival._asdict()
            found: dict[str, Any] = {"error": self.error, "explain": list(self.advice)}
            found |= {"files": list(self.files)} if self.files else {}
            found |= {"conflict_with": rival} if self.files or rival else {}
            found |= {"transient": True} if self.failure.transient else {}
            found |= {"unreachable": True} if self.failure.unreachable else {}
        elif self.ref:
            found = {
                "ref": self.ref,
                "old": self.old,
                "new": self.new,
                "keep": self.keep,
                "commits": self.commits,
                "with": list(self.company),
            }
            found |= {"own": self.own} if self.own else {}
            found |= {"pushes": self.pushes} if self.pushes > 1 else {}
            found |= {"held": self.held} if self.held else {}
        else:
            found = {"new": self.new} if self.new else {}
        plain = {"batch": self.batch, "how": self.how, "exit_code": self.exit_code, "note": self.note or None,
                 "remote_said": list(self.said) or None}  # fmt: skip
        return found | {name: value for name, value in plain.items() if value is not None}

    def text(self) -> str:
        """The outcome as the queue stores it."""
        return json.dumps(self.facts())

    @classmethod
    def parse(cls, text: str) -> Outcome:
        """The outcome that `text` or an earlier version stored."""
        return cls.of(json.loads(text))

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Outcome:
        """The outcome with these `facts`."""
        rival, how = facts.get("conflict_with"), facts.get("how")
        return cls(
            batch=facts.get("batch"),
            how=None if how is None else How(how),
            ref=facts.get("ref", ""),
            old=facts.get("old", ""),
            new=facts.get("new", ""),
            keep=facts.get("keep", ""),
            commits=facts.get("commits", 0),
            company=tuple(facts.get("with", ())),
            note=facts.get("note", ""),
            exit_code=facts.get("exit_code"),
            failure=_failure(facts),
            files=tuple(facts.get("files", ())),
            rival=None if rival is None else Rival(**rival),
            advice=tuple(facts.get("explain", ())),
            said=tuple(facts.get("remote_said", ())),
            own=facts.get("own", ""),
            pushes=facts.get("pushes", 1),
            held=facts.get("held", 0),
        )


def _failure(facts: Mapping[str, Any]) -> Failure | None:
    error = facts.get("error")
    return None if error is None else Failure(error, bool(facts.get("transient")), bool(facts.get("unreachable")))


def conflicting(tip: str, where: str, files: Sequence[str], rival: Rival, done: str, ways: Sequence[str]) -> Outcome:
    """A source that conflicts with the work of `rival` on the branch `where`; `done` is what it was not."""
    names = ", ".join(files[:5]) + (" ..." if len(files) > 5 else "")
    return Outcome(
        failure=Failure(f"conflict in {names} with {rival.words}"),
        files=tuple(files),
        rival=rival,
        advice=(
            f"{tip[:7]} was not {done} {where}: {names} conflicts with {rival.words}; your commits are untouched",
            *ways,
        ),
    )


# What became of each source, by its id.
Outcomes = Mapping[int, Outcome]


def failed(
    ids: Iterable[int], failure: Failure, *, batch: int | None = None, exit_code: int | None = None,
    said: tuple[str, ...] = (),
) -> Outcomes:  # fmt: skip
    """Every one of these sources failed for the same reason."""
    return dict.fromkeys(ids, Outcome(batch=batch, failure=failure, exit_code=exit_code, said=said))


class Proof(NamedTuple):
    """What was checked before a push: how many paths changed, how many the sources touched, and how many of those that
    one source alone touched have its content.
    """

    changed: int
    touched: int
    same_content: int

    def facts(self) -> dict[str, Any]:
        """The proof as it is stored and printed."""
        return {"changed": self.changed, "touched": self.touched, "sameContent": self.same_content, "ok": True}


class Detail(NamedTuple):
    """What the journal knows of a landing besides its refs: all that is needed to finish it after a crash.

    `outcomes` hold once it has landed, `commits` are all that land with it, `worktree` is the git directory that a
    landing on a local branch comes from.
    """

    how: How | None = None
    outcomes: Outcomes = MappingProxyType({})
    commits: tuple[str, ...] = ()
    proof: Proof | None = None
    worktree: str = ""

    def text(self) -> str:
        """The detail as the journal stores it."""
        outcomes = {
            source: [_LANDED if o.failure is None else _FAILED, o.facts()] for source, o in self.outcomes.items()
        }
        proof = {} if self.proof is None else self.proof.facts()
        facts = {
            "how": self.how,
            "outcomes": outcomes,
            "commits": self.commits,
            "proof": proof,
            "worktree": self.worktree,
        }
        return json.dumps(facts)

    @classmethod
    def parse(cls, text: str) -> Detail:
        """The detail that `text` or an earlier version stored."""
        facts: dict[str, Any] = json.loads(text)
        how, proof = facts.get("how"), facts.get("proof")
        return cls(
            None if how is None else How(how),
            {int(source): Outcome.of(found) for source, (_, found) in facts.get("outcomes", {}).items()},
            tuple(facts.get("commits", ())),
            Proof(proof["changed"], proof["touched"], proof["sameContent"]) if proof else None,
            facts.get("worktree", ""),
        )
