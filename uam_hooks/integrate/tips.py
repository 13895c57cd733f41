"""Where refs are, as planning sees it: as they are, or as plans that nobody has executed would leave them.

A flush plans on the refs themselves: its tips foresee nothing. A dry run adds every plan that it has made, so that the
next one of the same batch is made on top of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import shadow_ref
from uam_hooks.hot.core.typed import NamedTuple

_HERE = ""


class Tips(NamedTuple):
    """The refs of a repository and its remotes. Immutable: `moved` and `landed` return new tips.

    `foreseen` has the object that a plan would leave in a ref, by remote ("" for this repository) and full name; ZERO
    where the ref would be gone. `remembered` has the landings that plans would make, newest first, each with what keeps
    its originals. `made` are commits that would be noted like those that the commit hooks see.
    """

    repo: Repository
    foreseen: Mapping[tuple[str, str], str] = MappingProxyType({})
    remembered: tuple[tuple[tuple[str, str], tuple[str, str]], ...] = ()
    made: frozenset[str] = frozenset()

    def at(self, ref: str) -> str:
        """What a ref of this repository names; ZERO where there is no such ref."""
        known = self.foreseen.get((_HERE, ref))
        return self.repo.refs(ref).get(ref, ZERO) if known is None else known

    def name_of(self, ref: str) -> tuple[str, str]:
        """As `Repository.name_of`: object and type, both empty where there is none."""
        known = self.foreseen.get((_HERE, ref))
        if known is None:
            return self.repo.name_of(ref)
        return ("", "") if known == ZERO else (known, self.repo.kind(known))

    def under(self, *prefixes: str) -> dict[str, str]:
        """All refs of this repository below the prefixes, which end in a slash."""
        found = self.repo.refs(*prefixes)
        for (remote, ref), oid in self.foreseen.items():
            if remote == _HERE and ref.startswith(prefixes):
                found[ref] = oid
        return {ref: oid for ref, oid in found.items() if oid != ZERO}

    def commit(self, name: str) -> str:
        """The commit that a revision names, as `git rev-parse` finds it; empty where there is none."""
        if self.foreseen:
            full = self.repo.run("rev-parse", "--symbolic-full-name", "--verify", "--quiet", "--end-of-options", name,
                                 ok=(0, 1, 128)).text  # fmt: skip
            if (_HERE, full) in self.foreseen:
                return self.name_of(full)[0]
        asked = ("rev-parse", "--quiet", "--verify", "--end-of-options", f"{name}^{{commit}}")
        return self.repo.run(*asked, ok=(0, 1)).text

    def there(self, remote: str, ref: str, listed: str) -> str:
        """What a remote has in a ref, where it was listed as `listed`."""
        return self.foreseen.get((remote, ref), listed)

    def seen(self, remote: str, there: Mapping[str, str]) -> Tips:
        """These tips with what a remote was seen to have in more refs than the branches that are asked about."""
        return self._replace(foreseen={**self.foreseen, **{(remote, ref): oid for ref, oid in there.items()}})

    def memories(self, remote: str, ref: str) -> list[tuple[str, str]]:
        """What would have landed on a ref, newest first, as `plan.living_shadow` takes it."""
        return [memory for place, memory in self.remembered if place == (remote, ref)]

    def moved(self, ref: str, oid: str) -> Tips:
        """These tips with a ref of this repository somewhere else."""
        return self._replace(foreseen={**self.foreseen, (_HERE, ref): oid})

    def landed(self, remote: str, ref: str, new: str, keep: str) -> Tips:
        """These tips after a landing: on a remote, or on a branch of this repository ("")."""
        foreseen = {**self.foreseen, (remote, ref): new}
        if remote != _HERE and keep not in (new, ZERO):
            foreseen[_HERE, shadow_ref(remote, ref)] = keep
        made = self.made if remote != _HERE else self.made | {new}
        return self._replace(foreseen=foreseen, made=made,
                             remembered=(((remote, ref), (new, keep)), *self.remembered))  # fmt: skip
