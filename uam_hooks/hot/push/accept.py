"""Acceptance: a push is merged, in memory, with all that waits before it, and a conflict is told now.

It is advice: the landing decides. So whatever cannot be found out with two processes of git is just queued, and no
push fails here for another reason than a conflict that its landing would have.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress

from uam_hooks.hot.core import loose
from uam_hooks.hot.core.errors import GitFailed
from uam_hooks.hot.core.merging import Conflict, merge_pairs
from uam_hooks.hot.core.object_format import format_of
from uam_hooks.hot.core.objects import Commit
from uam_hooks.hot.core.plumbing import is_ancestor
from uam_hooks.hot.core.quoting import pull_rebase, shown, word
from uam_hooks.hot.core.refs import short_target
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.push.resolve import ResolvedSpec
from uam_hooks.hot.push.session import PushSession
from uam_hooks.hot.queue import expected
from uam_hooks.hot.queue.expected import Ahead, Expected
from uam_hooks.hot.queue.outcome import Outcome, Rival, conflicting

# How often git is started for a push that does not conflict, however many refs it has.
PROCESSES = 2
_IDENT = b"uam <uam@localhost> %d +0000"
# Attributes by which a merge has another result. They count as the remote has them, and here none do.
_MATTER = (b"merge", b"binary", b"[attr]")


class Answer(NamedTuple):
    """What a source is expected to come to, None where that is not known; `refusal` is set where it conflicts."""

    expected: Expected | None = None
    refusal: Outcome | None = None


class _Trial(NamedTuple):
    """One ref that is tried.

    `ground` names what the remote has, with the memory of what has landed in it; `first` is that as a commit. `ahead`
    is what waits, `known` the commits that it comes to, as far as that is known: after each of its sources, in order,
    None where a row was thrown away. `todo` are the tips that are still to be merged into `state`, the push's the last.
    """

    one: ResolvedSpec
    ground: str
    first: str
    ahead: tuple[Ahead, ...]
    known: tuple[str | None, ...]
    state: str
    todo: tuple[str, ...]
    conflict: Conflict | None = None


def accepted(session: PushSession, specs: Sequence[ResolvedSpec], waits: bool) -> list[Answer]:
    """The answer for each of `specs`. A push that `waits` and is the first is landed at once, and so not tried.

    Writes objects, and nothing that names them. Raises StoreError where the queue cannot be read.
    """
    found = [Answer() for _ in specs]
    if not session.settings["uam.push.accept"]:
        return found
    with suppress(GitFailed, OSError):
        left = PROCESSES
        trials: dict[int, _Trial] = {}
        for number, one in enumerate(specs):
            begun, left = _begun(session, one, waits, left)
            if begun is not None:
                trials[number] = begun
        trials = {number: trial for number, trial in trials.items() if len(trial.todo) <= left}
        for _ in range(left):
            open_ = {number: trial for number, trial in trials.items() if trial.todo}
            if not open_:
                break
            pairs = [(trial.state, trial.todo[0]) for trial in open_.values()]
            merged = merge_pairs(session.git, pairs, session.paths.common_dir)
            for (number, trial), result in zip(open_.items(), merged, strict=True):
                trials[number] = _merged(session, trial, result)
        for number, trial in trials.items():
            if trial.conflict is None:
                before = tuple(each.source.id for each in trial.ahead)
                found[number] = Answer(Expected(trial.ground, before, trial.state))
        for number, trial in _not_by_attributes(session, trials):
            found[number] = Answer(refusal=_refusal(session, trial))
    return found


def _begun(session: PushSession, one: ResolvedSpec, waits: bool, left: int) -> tuple[_Trial | None, int]:
    """The trial of a spec, None where it cannot be tried, and how many processes are left."""
    seen, source = one.seen, one.source
    if source.verbatim or not one.new or not seen.known or not seen.tree:
        return None, left
    ahead = tuple(
        each for each in expected.ahead(session.store, source) if each.source.id not in source.replaces
    )  # fmt: skip
    if not all(each.plain for each in ahead) or (waits and not ahead):
        return None, left
    shadow = seen.shadow
    if shadow and seen.landing != seen.known:
        if seen.landing != expected.newest_landing(session.store, source.remote, source.ref) or not left:
            return None, left
        left -= 1
        if not is_ancestor(session.git, seen.landing, seen.known):
            shadow = ""
    ground = f"{seen.known} {shadow}".strip()
    ids = [each.source.id for each in ahead]
    known = tuple(
        each.expected.state
        if each.expected is not None and (each.expected.ground, list(each.expected.before)) == (ground, ids[:number])
        else None
        for number, each in enumerate(ahead)
    )
    done = max((number + 1 for number, state in enumerate(known) if state), default=0)
    todo = (*(each.source.tip for each in ahead[done:]), source.tip)
    first = _commit(session, seen.tree, (seen.known, shadow)) if shadow else seen.known
    state = known[done - 1] if done else first
    assert state is not None
    return _Trial(one, ground, first, ahead, known, state, todo), left


def _merged(session: PushSession, one: _Trial, result: str | Conflict) -> _Trial:
    """The trial with the first of its tips merged. What waits and conflicts by itself will be left out."""
    tip, todo = one.todo[0], one.todo[1:]
    if isinstance(result, str):
        state = _commit(session, result, (one.state, tip))
    elif todo:
        state = one.state
    else:
        return one._replace(todo=(), conflict=result)
    known = list(one.known)
    if todo:
        known[len(known) - len(todo)] = state
    return one._replace(state=state, todo=todo, known=tuple(known))


def _commit(session: PushSession, tree: str, parents: tuple[str, ...]) -> str:
    """A commit that no ref names: git may collect it in time, and then it is made again."""
    who = _IDENT % time.time()
    text = b"uam: what is expected to land\n\nMade by git uam to try what is pushed. It is on no branch.\n"
    raw = Commit("", tree, parents, who, who, text).raw()
    oid = format_of([tree]).object_name("commit", raw)  # its length tells: nobody is asked
    loose.store(session.paths.common_dir / "objects", oid, "commit", raw)
    return oid


def _not_by_attributes(session: PushSession, trials: dict[int, _Trial]) -> list[tuple[int, _Trial]]:
    """The trials that conflict, without those that may not where the attributes of the remote's branch count."""
    found = [(number, one) for number, one in trials.items() if one.conflict is not None]
    asked = {
        number: [f"{one.one.seen.known}:{name}" for name in _attributes_of(one.conflict.files)]
        for number, one in found
        if one.conflict is not None
    }
    if not found or any("\n" in name for names in asked.values() for name in names):
        return []
    doubtful = []
    for number, names in asked.items():
        feed = "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape")
        text = session.git.run("cat-file", "--batch", feed=feed).out
        if any(word in line for line in text.splitlines() if not line.endswith(b" missing") for word in _MATTER):
            doubtful.append(number)
    return [(number, one) for number, one in found if number not in doubtful]


def _attributes_of(files: Iterable[str]) -> list[str]:
    """The names that the .gitattributes for these files would have."""
    found = {".gitattributes": None}
    for file in files:
        parts = file.split("/")[:-1]
        found |= dict.fromkeys(f"{'/'.join(parts[: n + 1])}/.gitattributes" for n in range(len(parts)))
    return list(found)


def _refusal(session: PushSession, one: _Trial) -> Outcome:
    """Name the files, and whose work it is that they conflict with: of the first after which they do."""
    assert one.conflict is not None
    source = one.one.source
    steps = [(0, one.first), *((n + 1, state) for n, state in enumerate(one.known) if state is not None)]
    results = merge_pairs(session.git, [(state, source.tip) for _, state in steps], session.paths.common_dir)
    there = short_target(source.ref)
    where = f"{source.remote}/{there}"
    hit = next((n for n, result in enumerate(results) if isinstance(result, Conflict)), len(steps) - 1)
    if not hit:
        rival = Rival("", None, one.one.seen.known, f"what {where} has ({one.one.seen.known[:7]})")
        ways = [f"{shown(pull_rebase(source.remote, there))}, resolve, and push again"]
        return conflicting(source.tip, where, one.conflict.files, rival, "queued for", ways)
    rivals = [each.source for each in one.ahead[steps[hit - 1][0] : steps[hit][0]]]
    words = " or ".join(
        f"{'your own work' if each.agent == source.agent else f'the work of {each.agent}'},"
        f" queued as #{each.action_id} ({each.tip[:7]})"
        for each in rivals
    )
    rival = Rival(", ".join(sorted({each.agent for each in rivals})), None, rivals[-1].tip, words)
    ways = [f"`git uam sync --queued {word(where)}`, resolve, and push again: it goes in behind that"]
    return conflicting(source.tip, where, one.conflict.files, rival, "queued for", ways)
