"""Other queues: whether they take what is pushed here, and what becomes of what they have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from uam_hooks.doctor.finding import Code, Finding, error, warning
from uam_hooks.doctor.seen import Seen
from uam_hooks.fleet.neighbour import Unfit, check, home_of, shown
from uam_hooks.hot.core.errors import Advice, StoreError
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.store import entrusted
from uam_hooks.store.looked import Health, Looked, State

_HOME = ("git", "uam", "install", "--no-queue")


def check_queue(seen: Seen) -> Iterator[Finding]:
    """The clone that uam.queue names is there, and its queue is of this version; so is that of what was handed over."""
    named = seen.settings.text("uam.queue")
    handed = [] if seen.store is None else [w for w in entrusted.places(seen.store) if entrusted.is_directory(w)]
    places = dict.fromkeys(handed)
    if named:
        try:
            places = {str(home_of(Path(named))): None, **places}
        except Unfit as why:
            if not handed:
                yield _unfit(named, why, False)
    for place in places:
        try:
            check(RepoPaths.of(Path(place)))
            yield from _of_version(Path(place))
        except Unfit as why:
            yield _unfit(shown(Path(place)), why, place in handed)


def _unfit(where: str, why: Unfit, has_some: bool) -> Finding:
    if has_some:
        return error(
            Code.QUEUE_ELSEWHERE, where, f"{why.what} Pushes from here are in its queue, and wait for it to come back.",
            why.do or Advice.of("Put it back. If it was moved, give {}; if it is gone for good, `git uam install"
                                " --no-queue`: then they land from here.", "git", "uam", "install", "--queue", "PATH"),
        )  # fmt: skip
    return warning(
        Code.QUEUE_ELSEWHERE, where, f"{why.what} Pushes land from here until its queue takes them.",
        why.do or Advice.of("Put it back, or run {}.", *_HOME),
    )  # fmt: skip


def _of_version(common_dir: Path) -> Iterator[Finding]:
    database = RepoPaths.of(common_dir).database
    try:
        with closing(Looked(database, beside=True)) as there:
            found = there.health()
    except FileNotFoundError:  # nobody has pushed there yet
        return
    except StoreError as wrong:
        found = Health(State.UNUSABLE, wrong.what)
    if found.state not in (State.USABLE, State.EMPTY):
        yield error(
            Code.QUEUE_ELSEWHERE, shown(common_dir), f"Its queue is {found.state.value} ({found.why}), so nothing is"
            " handed over to it.", "Run install.sh of one version in both, and `git uam doctor` there.",
        )  # fmt: skip
