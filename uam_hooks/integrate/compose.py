"""The commits of a landing: what stands for each source, or for several that become one, on top of what came before.

Each group of sources is composed by the same rules, over the commit that the group before it became: nothing, the
pushed tip itself, a moved commit, kept commits, or a squash. So each can be reverted, and is proved, alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from uam_hooks.git.attributes import Attributes
from uam_hooks.hot.core.objects import Commit
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.core.values import Squash
from uam_hooks.hot.queue.model import Source
from uam_hooks.hot.queue.outcome import How
from uam_hooks.integrate import squash
from uam_hooks.integrate.context import Context
from uam_hooks.integrate.graph import heads, reachable
from uam_hooks.integrate.merge import Merged, Step
from uam_hooks.integrate.replay import own_work, replay
from uam_hooks.integrate.survey import News

# what a landing is, as a whole, when its parts differ: the first of these that any of them is
_RANK = (How.SQUASHED, How.KEPT, How.MOVED, How.AS_IS)


class Group(NamedTuple):
    """Sources that are composed together: one, or several that become one commit."""

    form: Squash
    steps: tuple[Step, ...]

    @property
    def last(self) -> Step:
        return self.steps[-1]

    @property
    def inside(self) -> frozenset[str]:
        return frozenset().union(*(step.inside for step in self.steps))


class Part(NamedTuple):
    """What a group became: its commit (the last of them), over `before`."""

    group: Group
    how: How
    before: str
    commit: str


class Composed(NamedTuple):
    """The landing: its last commit, what it is as a whole, and what each group became."""

    commit: str
    how: How
    parts: tuple[Part, ...]

    def part_of(self, source: Source) -> Part | None:
        """The part that has the tip of a source; None where that brought nothing."""
        return next((part for part in self.parts if source.tip in part.group.inside), None)


def compose(context: Context, news: News, merged: Merged, base: str, there: str) -> Composed:
    """Write the commits of the landing of what was merged into `base`, for a ref that the remote has at `there`."""
    if not merged.inside:
        tip = there if there != ZERO or not merged.landed else merged.landed[0].tip
        return Composed(tip, How.NOTHING_NEW if tip == there else How.AS_IS, ())
    at, line = base, base
    parts = []
    for group in _groups(context, merged.steps):
        how, new = _Composing(context, news, group, at, at == line, there == ZERO and at == base).result()
        parts.append(Part(group, how, at, new))
        # what stands on the pushed tips goes on as it is only on top of one that did
        at, line = new, group.last.line or ""
    hows = {part.how for part in parts}
    how = next((one for one in _RANK if one in hows), How.NOTHING_NEW)
    return Composed(at, how, tuple(parts))


def _groups(context: Context, steps: Sequence[Step]) -> list[Group]:
    """The sources, those together that follow each other and are to be one commit."""
    found: list[Group] = []
    for step in steps:
        form = context.squash(step.sources[-1])
        if form == Squash.BATCH and found and found[-1].form == form:
            found[-1] = Group(form, (*found[-1].steps, step))
        else:
            found.append(Group(form, (step,)))
    return found


def shares(news: News, merged: Merged) -> Mapping[int, int]:
    """How many new commits each landed source brought that none before it did; without those that stay parents."""
    counts = dict.fromkeys((source.id for source in merged.landed), 0)
    for step in merged.steps:
        taken: set[str] = set()
        for source in step.sources:
            mine = (reachable(news.graph, source.tip) & step.inside & news.flat) - taken
            counts[source.id] = len(mine)
            taken |= mine
    return counts


class _Composing(NamedTuple):
    """One group on its way onto `at`. `on_line` if the pushed commits before it are what `at` is; `begins` if the ref
    has to come into being with it.
    """

    context: Context
    news: News
    group: Group
    at: str
    on_line: bool
    begins: bool

    def result(self) -> tuple[How, str]:
        """What the group is, and the last of its commits: `at` where it changes nothing."""
        context, news, at = self.context, self.news, self.at
        flat = self.new_of(news.flat)
        kept = heads(news.graph, [oid for oid in self.new_of(news.new) if oid not in news.flat])
        commits = [context.repo.commit(oid) for oid in flat]
        straight = self.on_line and self.group.last.line is not None
        unchanged = at != ZERO and self.tree == context.repo.commit(at).tree
        if unchanged and not kept and not self.begins and not self._on_purpose(commits, straight):
            return How.NOTHING_NEW, at
        # a merge of originals that have landed squashed would bring them to the remote a second time
        again = any(oid not in news.new for oid in self.group.inside)
        squashing = self.group.form != Squash.NEVER and not self._names_any(flat)
        if straight and not (again and squashing) and (len(flat) <= 1 or not squashing or self._predates_us(flat)):
            return How.AS_IS, self.group.last.tip
        parents = tuple([at] * (at != ZERO) + kept)
        if not commits:  # all that is new here is on other branches of the remote: it stays what it is
            return How.KEPT, context.repo.store_commit(self._merge_commit()._replace(parents=parents))
        if not squashing:
            return self._kept(commits, parents)
        return self._squashed(commits, parents, straight)

    @property
    def tree(self) -> str:
        return self.group.last.tree

    def new_of(self, which: frozenset[str]) -> list[str]:
        """The commits of `which` that the group brings: source by source, parents first."""
        return [oid for step in self.group.steps for oid in self.news.graph if oid in step.inside and oid in which]

    def _on_purpose(self, commits: Sequence[Commit], straight: bool) -> bool:
        """Whether a push without a change is one: an empty commit, or a change and its revert; a merge of what is there
        is not.
        """
        repo = self.context.repo
        if all(len(c.parents) > 1 for c in commits):
            return False
        return straight or any(len(c.parents) == 1 and c.tree == repo.commit(c.parents[0]).tree for c in commits)

    def _names_any(self, flat: Sequence[str]) -> bool:
        return bool(self.context.tagged & set(flat))

    def _predates_us(self, flat: Sequence[str]) -> bool:
        """Whether a first push brings history that no hook of ours has seen: nobody wants that flattened."""
        return self.at == ZERO and not self.context.noted(flat)

    def _kept(self, commits: list[Commit], parents: tuple[str, ...]) -> tuple[How, str]:
        """The commits one by one; where that cannot be, or tags name them, a merge keeps them as they are."""
        repo = self.context.repo
        tip = None
        if len(parents) == 1 and not self._names_any([commit.oid for commit in commits]):
            with Attributes(repo, self.at) as attributes:
                own = own_work(commits, attributes)
                tip = replay(repo, self.at, own, attributes, repo.store_commit)
        if tip is not None and repo.commit(tip).tree == self.tree:
            return How.MOVED if len(own) == 1 else How.KEPT, tip
        return How.KEPT, repo.store_commit(self._merge_commit())

    def _squashed(self, commits: list[Commit], parents: tuple[str, ...], straight: bool) -> tuple[How, str]:
        """The one commit that stands for several, or for one that had to move."""
        repo = self.context.repo
        members = [commit for commit in commits if len(commit.parents) < 2] or commits
        if len(members) == 1:
            how = How.SQUASHED if straight else How.MOVED
            return how, repo.store_commit(members[0]._replace(tree=self.tree, parents=parents))
        text = squash.message(members, self.context.batch_id, self._style())
        whole = Commit("", self.tree, parents, squash.author(members), self._committer(), text)
        return How.SQUASHED, repo.store_commit(whole)

    def _style(self) -> str:
        """How the message of a squash begins: what is one push has words of its own."""
        style: str = self.context.settings["uam.squash.subject"]
        return style if self.group.form == Squash.PUSH else squash.by_name(style)

    def _merge_commit(self) -> Commit:
        """Where commits are to be kept and cannot be replayed, a merge keeps them all as they are."""
        tips = tuple(dict.fromkeys(source.tip for step in self.group.steps for source in step.sources))
        many = "a pushed line" if len(tips) == 1 else f"{len(tips)} pushed lines"
        text = f"Merge {many} of work\n\nUam-Batch: {self.context.batch_id}\n".encode()
        committer = self._committer()
        parents = (self.at, *tips) if self.at != ZERO else tips
        return Commit("", self.tree, parents, committer, committer, text)

    def _committer(self) -> bytes:
        """Who makes the landing: the first of those who pushed it."""
        sources = (source for step in self.group.steps for source in step.sources)
        who = next((source.committer for source in sources if source.committer), "")
        idents = self.context.around.committers
        if who not in idents:
            idents[who] = self.context.repo.committer(who)
        return idents[who]
