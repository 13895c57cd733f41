"""Random histories of several worktrees over several batches: what plain git would have merged is what lands.

Beside the remote stands a reference that never squashes: a checkout in which the same tips are merged with `git
merge`, one after the other in queue order. Where a source lands, that merge is clean and the trees are equal; where
one fails, that merge conflicts.

UAM_TEST_EXAMPLES=500 looks at so many histories of each kind, other ones in every run.
"""

from __future__ import annotations

import itertools
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.landscape import (
    at_remote,
    by_hand,
    enqueue,
    environment,
    inside,
    kept,
    settle_own,
    sound,
    truthful,
    write,
)
from tests.support.scenes import SHADOW, Scene, Worktree
from uam_hooks.flush.flush import flush
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import Refused
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.integrate.proof import Contribution, prove
from uam_hooks.report.sync import sync

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

EXAMPLES = os.environ.get("UAM_TEST_EXAMPLES", "")
HISTORIES = settings(
    max_examples=int(EXAMPLES or 7), derandomize=not EXAMPLES, deadline=None, database=None, print_blob=False,
    suppress_health_check=list(HealthCheck), phases=[Phase.generate],
)  # fmt: skip
MAIN = "refs/heads/main"

# -- what happens, as data -------------------------------------------------------------------------------------

EDITS = ("line", "line", "line", "more", "less", "add", "delete", "rename", "mode", "link", "binary", "log")
MOVES = ("amend", "merge", "merge", "sync", "peer", "pick", "empty", "restart")


class Step(NamedTuple):
    """One thing that an agent does; `x` and `y` choose the file, the line and the text."""

    agent: int
    kind: str
    x: int
    y: int


class Push(NamedTuple):
    """A push at the end of a batch."""

    agent: int
    topic: bool
    waits: bool


class Round(NamedTuple):
    """What happens up to one flush, and what outsiders push after it."""

    steps: list[Step]
    pushes: list[Push]
    outside: list[Step]
    syncs: list[int]


class History(NamedTuple):
    """A whole history. `detached` are the agents without a branch; `ready` squashes unpushed commits as well."""

    agents: int
    detached: frozenset[int]
    squash: bool
    ready: bool
    settle: str
    rounds: list[Round]


def _steps(kinds: tuple[str, ...], most: int) -> st.SearchStrategy[list[Step]]:
    number = st.integers(0, 23)
    return st.lists(st.builds(Step, st.integers(0, 5), st.sampled_from(kinds), number, number), max_size=most)


def histories(*, squash: st.SearchStrategy[bool], outside: int, topics: bool) -> st.SearchStrategy[History]:
    push = st.builds(Push, st.integers(0, 5), st.sampled_from((False, False, True)) if topics else st.just(False),
                     st.booleans())  # fmt: skip
    one = st.builds(
        Round,
        _steps(EDITS * 2 + MOVES, 12),
        st.lists(push, min_size=1, max_size=6, unique_by=lambda p: p.agent),
        _steps(EDITS, outside),
        st.lists(st.integers(0, 5), max_size=2),
    )
    return st.builds(
        History, st.integers(2, 6), st.frozensets(st.integers(0, 5), max_size=3), squash,
        st.sampled_from((False, False, True)), st.sampled_from(("keep", "off", "ref")),
        st.lists(one, min_size=2, max_size=4),
    )  # fmt: skip


# -- who does it ---------------------------------------------------------------------------------------------------


class Hand:
    """Somebody who works in a worktree: an agent, or an outsider."""

    def __init__(self, place: Worktree, counter: Iterator[int]) -> None:
        self.place, self.counter = place, counter
        self.name = place.top.name

    def does(self, kind: str, x: int, y: int) -> None:
        """Change files and commit what changed."""
        getattr(self, f"_{kind}")(x, y)
        self.place.git("add", "-A")
        if self.place.run("diff", "--cached", "--quiet").code:
            self.place.git("commit", "-q", "-m", f"{kind} {next(self.counter)} by {self.name}")

    def _files(self, kind: str = "text") -> list[str]:
        found = self.place.git("ls-files", "-s").splitlines()
        kinds: dict[str, list[str]] = {"text": [], "link": [], "binary": []}
        for mode, name in ((line[:6], line.partition("\t")[2]) for line in found):
            if name != ".gitattributes":
                kinds["link" if mode == "120000" else "binary" if name.endswith(".bin") else "text"].append(name)
        return kinds[kind] if kind in kinds else sorted(itertools.chain(*kinds.values()))

    def _pick(self, kind: str, x: int) -> Path | None:
        names = self._files(kind)
        return self.place.top / names[x % len(names)] if names else None

    def _text(self, y: int) -> str:
        """A line of its own, now and then one that others write as well."""
        return f"same {y % 3}\n" if y % 5 == 0 else f"{self.name} {next(self.counter)}\n"

    def _line(self, x: int, y: int) -> None:
        self._splice(x, y, 1, [self._text(y)])

    def _more(self, x: int, y: int) -> None:
        self._splice(x, y, 0, [self._text(y), self._text(y + 1)])

    def _less(self, x: int, y: int) -> None:
        self._splice(x, y, 2, [])

    def _splice(self, x: int, y: int, drop: int, lines: list[str]) -> None:
        path = self._pick("text", x)
        if path is not None:
            text = path.read_text().splitlines(keepends=True)
            at = y % (len(text) + 1)
            text[at : at + drop] = lines
            path.write_text("".join(text))

    def _log(self, _x: int, y: int) -> None:
        with (self.place.top / "log").open("a") as file:
            file.write(self._text(y))

    def _add(self, x: int, y: int) -> None:
        name = f"new/{y % 4}" if x % 6 == 0 else f"{('src', 'lib', 'src/deep')[x % 3]}/{self.name}-{y}"
        write(self.place, name, "".join(self._text(n) for n in range(1, 2 + x % 9)))

    def _delete(self, x: int, _y: int) -> None:
        path = self._pick("any", x)
        if path is not None and len(self._files("any")) > 4:
            path.unlink()

    def _rename(self, x: int, y: int) -> None:
        path = self._pick("any", x)
        if path is not None:
            to = path.parent if y % 2 else self.place.top / ("src", "lib", "moved")[y % 3]
            to.mkdir(exist_ok=True)
            if not (new := to / f"{self.name}-{y}{path.suffix}").exists():
                path.rename(new)

    def _mode(self, x: int, _y: int) -> None:
        path = self._pick("text", x)
        if path is not None:
            path.chmod(path.stat().st_mode ^ 0o111)

    def _link(self, x: int, y: int) -> None:
        path = self._pick("link", x) if y % 2 else None
        path = path or self.place.top / f"link-{self.name}-{x}"
        path.unlink(missing_ok=True)
        path.symlink_to(f"to/{self.name}/{y}")

    def _binary(self, x: int, y: int) -> None:
        path = self._pick("binary", x) if y % 3 else None
        path = path or self.place.top / f"{self.name}-{x}.bin"
        path.write_bytes(bytes([0, 255, x, y, next(self.counter) % 256]) * 99)


class Agent(Hand):
    """Somebody whose commits and pushes are queued."""

    def __init__(self, scene: Scene, place: Worktree, counter: Iterator[int]) -> None:
        super().__init__(place, counter)
        self.scene = scene

    def amend(self, x: int, y: int) -> None:
        self._splice(x, y, 1, [self._text(y)])
        self.place.git("add", "-A")
        self.place.git("commit", "-q", "--amend", "--no-edit", "--allow-empty", "-m", f"amended {next(self.counter)}")

    def merge(self, *_: int) -> None:
        self.place.git("fetch", "-q", "origin")
        self._try("merge", "-q", "--no-edit", "origin/main")

    def peer(self, x: int, _y: int) -> None:
        """Merge what another agent has, whether it has landed or not."""
        self._try("merge", "-q", "--no-edit", self._other(x))

    def pick(self, x: int, _y: int) -> None:
        """Take the last commit of another agent over, as a commit of its own."""
        other = self._other(x)
        if len(self.place.git("rev-list", "--parents", "-1", other).split()) == 2:
            self._try("cherry-pick", other)

    def _other(self, x: int) -> str:
        heads = self.place.git("worktree", "list", "--porcelain").splitlines()
        oids = [line.removeprefix("HEAD ") for line in heads if line.startswith("HEAD ")]
        return oids[x % len(oids)]

    def _try(self, *args: str) -> None:
        if self.place.run(*args).code:
            self.place.run(args[0], "--abort")

    def empty(self, *_: int) -> None:
        self.place.git("commit", "-q", "--allow-empty", "-m", f"empty {next(self.counter)}")

    def restart(self, *_: int) -> None:
        """Give everything up that has not landed, as an agent does that was told of a conflict."""
        self.place.git("fetch", "-q", "origin")
        self.place.git("reset", "-q", "--hard", "origin/main")

    def sync(self, *_: int) -> bool:
        """`git uam sync`; gives whether it went through."""
        try:
            with inside(self.place) as session:
                sync(session, self.place.git_dir, "origin/main")
        except Refused:
            return False
        return True


class Reference:
    """A checkout that merges what lands on a branch, with plain git, and squashes nothing.

    A branch that is new begins as the first tip that lands on it.
    """

    def __init__(self, scene: Scene, name: str) -> None:
        scene.outside.git("clone", "-q", "--shared", "--no-checkout", str(scene.top / ".git"), name)
        self.place = Worktree(scene.root / name, scene.env)
        with (self.place.top / ".git" / "objects" / "info" / "alternates").open("a") as file:
            file.write(f"{scene.remote}/objects\n")
        self.begun = False

    def merge(self, commit: str, *options: str) -> bool:
        """Merge a commit; gives whether that went without a conflict."""
        if not self.begun:
            self.begun = True
            self.place.git("checkout", "-q", "-B", "reference", commit)
        done = self.place.run("merge", "-q", "--no-edit", *options, commit)
        if done.code:
            assert "CONFLICT" in done.out, done
            self.place.git("reset", "-q", "--hard")
        return done.code == 0

    @property
    def tree(self) -> str:
        return self.place.oid("HEAD^{tree}")


# -- what must hold ------------------------------------------------------------------------------------------------


class Play:
    """A history that is being played, and what is known of it so far."""

    def __init__(self, scene: Scene, history: History) -> None:
        self.scene, self.history = by_hand(scene, settle=history.settle), history
        scene.git("config", "uam.window.push", "0s")
        scene.git("config", "uam.squash", str(history.squash).lower())
        scene.start_oid = scene.there()
        counter = itertools.count(1)
        self.agents = []
        for n in range(history.agents):
            name = f"agent-{n}"
            start = ("--detach", MAIN) if n in history.detached else ("-b", name, MAIN)
            self.agents.append(Agent(scene, scene.worktree(name, *start), counter))
        self.outsider = Hand(scene.stranger(), counter)
        self.references: dict[str, Reference] = {}
        self.reference(MAIN).merge(scene.there())
        self.queued: list[str] = []

    def agent(self, number: int) -> Agent:
        return self.agents[number % len(self.agents)]

    def reference(self, ref: str) -> Reference:
        """The reference for a branch of the remote."""
        if ref not in self.references:
            self.references[ref] = Reference(self.scene, f"reference-{len(self.references)}")
        return self.references[ref]

    def run(self) -> None:
        for number, one in enumerate(self.history.rounds):
            for step in one.steps:
                agent = self.agent(step.agent)
                if step.kind in MOVES:
                    getattr(agent, step.kind)(step.x, step.y)
                else:
                    agent.does(step.kind, step.x, step.y)
            waiting = {a.place.top.name: a for a in self.push(one.pushes)}
            self.flush(waiting)
            for index in one.syncs:
                self.synced(self.agent(index))
            if number + 1 < len(self.history.rounds):
                self.others_push(one.outside)
        sound(self.scene)
        sound(self.scene.bare)

    def push(self, pushes: list[Push]) -> list[Agent]:
        """Queue the pushes; gives the agents that wait for theirs."""
        waiting = []
        for push in pushes:
            agent = self.agent(push.agent)
            tip = agent.place.oid("HEAD")
            ref = f"refs/heads/topic-{agent.name}" if push.topic else MAIN
            if enqueue(agent.place, "HEAD", ref, waits=push.waits):
                self.queued.append(tip)
                waiting += [agent] * push.waits
            else:
                assert self.has_landed(tip, ref), f"{tip} is said to be on the remote"
        return waiting

    def flush(self, waiting: dict[str, Agent]) -> None:
        """Land everything, and look at every source and every landing."""
        scene = self.scene
        before, shadow, had = scene.there(), scene.oid(SHADOW), len(scene.rows("landings"))
        turn = [row for row in scene.rows("sources") if row["status"] == "pending"]
        with inside(scene) as session:
            flush(session, not self.history.ready, 30.0)
        rows = {row["id"]: row for row in scene.rows("sources")}
        refs = {row["id"]: f"refs/heads/{row['target']}" for row in scene.rows("deploy_queue")}
        ended = [rows[row["id"]] for row in turn]
        for ref in dict.fromkeys(refs[row["action_id"]] for row in ended):
            self.sources_ended(ref, [row for row in ended if refs[row["action_id"]] == ref])
        landings = [row for row in scene.rows("landings")[had:] if row["remote"]]
        for landing in landings:
            if landing["status"] == "abandoned":  # planned on what the remote was last known to have
                assert any(row["action_id"] == landing["action_id"] and row["id"] > landing["id"] for row in landings)
            else:
                self.proven(landing, rows, shadow if landing["ref"] == MAIN else "")
        assert scene.bare.run("merge-base", "--is-ancestor", before, MAIN).code == 0
        kept(scene, self.queued)
        truthful(scene)
        # one branch cannot be at two landings: who pushed to two refs at once is at either of them
        both = {r["agent_id"] for r in ended for o in ended
                if r["agent_id"] == o["agent_id"] and refs[r["action_id"]] != refs[o["action_id"]]}  # fmt: skip
        for row in ended:
            agent = None if row["agent_id"] in both else waiting.get(row["agent_id"])
            if agent and row["status"] == "landed" and refs[row["action_id"]] == MAIN and self.history.settle == "keep":
                settled = settle_own(agent.place, row)
                assert not settled.why, settled
                at_remote(agent.place, scene)

    def sources_ended(self, ref: str, rows: list[dict[str, Any]]) -> None:
        """The reference merges what landed, and has the tree that the remote has; what failed it cannot merge."""
        reference, there = self.reference(ref), self.scene.there(ref)
        for row in rows:
            assert row["status"] in ("landed", "failed"), row
            merged = reference.merge(row["tip"])
            assert merged == (row["status"] == "landed"), (row["status"], row["outcome"])
            if merged:
                assert self.has_landed(row["tip"], ref)
            else:
                assert json.loads(row["outcome"])["error"].startswith("conflict in ")
        assert reference.tree == self.scene.bare.oid(f"{there}^{{tree}}")
        assert reference.merge(there, "--strategy=ours")  # from here on this commit stands for them

    def has_landed(self, tip: str, ref: str = MAIN) -> bool:
        """Whether a branch of the remote has the tip, or the memory of what has landed there."""
        name = ref.removeprefix("refs/heads/")
        names = [n for n in (f"refs/uam/shadow/origin/{name}", f"refs/remotes/origin/{name}") if self.scene.oid(n)]
        return any(self.scene.run("merge-base", "--is-ancestor", tip, name).code == 0 for name in names)

    def proven(self, landing: dict[str, Any], rows: dict[int, dict[str, Any]], shadow: str) -> None:
        """The proof of a landing is on record, and holds when it is made again from what the history says."""
        assert landing["status"] == "landed"
        assert json.loads(landing["detail"])["proof"]["ok"] is True
        if landing["ref"] != MAIN:
            return
        known = [oid for oid in (landing["old"], shadow) if oid not in ("", ZERO)]
        claims, seen = [], list(known)
        for number in json.loads(landing["sources"]):
            tip = rows[number]["tip"]
            own = self.scene.git("rev-list", "--reverse", tip, *(f"^{oid}" for oid in seen)).split()
            bases = self.scene.git("merge-base", "--all", tip, *known).split()
            seen.append(tip)
            if own:
                claims.append(Contribution(number, tip, tuple(bases), tuple(own)))
        with environment(self.scene.env), Repository.at(self.scene.top) as repo:
            prove(repo, landing["old"], landing["new"], claims)

    def synced(self, agent: Agent) -> None:
        """After `git uam sync`, what has landed is what the remote has, and nothing of it is on top once more."""
        tip = agent.place.oid("HEAD")
        landed = self.has_landed(tip)
        went = agent.sync()
        assert went or not landed
        if landed:
            at_remote(agent.place, self.scene)
        assert agent.place.git("status", "--porcelain") == ""
        truthful(self.scene)

    def others_push(self, steps: list[Step]) -> None:
        """Outsiders bring main on, and the reference follows."""
        if not steps:
            return
        self.outsider.place.git("pull", "-q", "--ff-only")
        for step in steps:
            self.outsider.does(step.kind, step.x, step.y)
        if self.outsider.place.oid("HEAD") != self.scene.there():
            self.outsider.place.git("push", "-q")
            assert self.reference(MAIN).merge(self.scene.there())
            assert self.reference(MAIN).tree == self.scene.bare.oid("main^{tree}")


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory, templates: dict[str, Scene]) -> Scene:
    """A scene whose remote has some files to work on."""
    scene = Scene(tmp_path_factory.mktemp("field"), templates["wired"])
    with (scene.home / "gitconfig").open("a") as file:
        file.write("[core]\n\tfsync = none\n[merge]\n\tstat = false\n[advice]\n\tdetachedHead = false\n")
    for name in ("shared", "src/a", "src/b", "lib/c"):
        write(scene, name, "".join(f"{name} {n}\n" for n in range(16)))
    write(scene, "tool", "#!/bin/sh\n" * 6, 0o755)
    write(scene, "start.bin", bytes(range(256)))
    write(scene, "log", "begin\n")
    write(scene, ".gitattributes", "log merge=union\n")
    (scene.top / "link-start").symlink_to("shared")
    scene.git("add", "-A")
    scene.git("commit", "-q", "-m", "Begin a field")
    scene.git("push", "-q", "origin", "main", UAM="off")
    return scene


def play(field: Scene, history: History) -> None:
    with tempfile.TemporaryDirectory(dir=field.root.parent) as root:
        scene = Scene(Path(root), field)
        try:
            Play(scene, history).run()
        finally:
            scene.close()


@given(histories(squash=st.just(True), outside=0, topics=False))
@HISTORIES
def test_several_worktrees_and_nobody_else(field: Scene, history: History) -> None:
    play(field, history)


@given(histories(squash=st.just(True), outside=3, topics=False))
@HISTORIES
def test_outsiders_push_as_well(field: Scene, history: History) -> None:
    play(field, history)


@given(histories(squash=st.booleans(), outside=2, topics=True))
@HISTORIES
def test_topic_branches_and_unsquashed_landings(field: Scene, history: History) -> None:
    play(field, history)
