"""What plans are made with, the same for all targets of a batch: values and questions that are handed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.core.values import Squash
from uam_hooks.hot.queue.model import Action, Source
from uam_hooks.integrate.differences import Differences
from uam_hooks.integrate.survey import Ground
from uam_hooks.integrate.tips import Tips


class Context(NamedTuple):
    """What a plan is made with, the same for all targets of a batch.

    `tips` are the refs as planning sees them, `noted` tells whether our hooks saw all these commits,
    `shadow` returns the shadow that counts of a ref of a remote which is at some commit (see `living_shadow`), `around`
    is what was asked about the remote. `tagged` are commits that pushed tags or a superproject name: they keep their
    identity. `squash` says what becomes of the commits of a source.
    """

    repo: Repository
    tips: Tips
    settings: Settings
    batch_id: str
    noted: Callable[[Sequence[str]], bool]
    shadow: Callable[[str, str, str], str | None]
    around: Around
    tagged: frozenset[str]
    squash: Callable[[Source], Squash]


class Around(NamedTuple):
    """What was asked about the targets of a landing, for all of them at once.

    `branches` are the branches of the remote, by the refs that say where they were seen. `grounds` has by the number of
    an action what its plan stands on, where that was found out together with others. `committers` is filled as needed:
    what is made together is made at one time.
    """

    branches: Mapping[str, str]
    differences: Differences
    grounds: Mapping[int, Ground]
    committers: dict[str, bytes]

    def ground(self, action: Action, tips: tuple[str, ...]) -> Ground | None:
        """What a plan of these tips stands on; None where that has to be asked for it alone."""
        found = self.grounds.get(action.id)
        return found if found is not None and found.tips == tips else None

    def others(self, own: str | None) -> list[str]:
        """Where the branches of the remote were seen, without the one whose ref is `own`."""
        return sorted({oid for name, oid in self.branches.items() if name != own})
