"""Several clones on one machine whose pushes land from the queue of one of them (`git uam install --queue`)."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator, Sequence

import pytest

from tests.support.commands import call, said
from tests.support.queueing import WINDOW, due_now
from tests.support.scenes import TRACKING, Scene, Worktree, finished, gate, script, until

pytestmark = pytest.mark.slow


class Clone(Scene):
    """A clone of the scene's remote, enabled, whose pushes are to land from the queue of the scene's repository."""

    def __init__(self, scene: Scene, name: str, window: str = WINDOW) -> None:
        Worktree.__init__(self, scene.root / name, {**scene.env, "UAM_AGENT_ID": name})
        self.root, self.home, self.remote = scene.root, scene.home, scene.remote
        self.outside, self.start_oid = scene.outside, scene.start_oid
        self.outside.git("clone", "-q", str(scene.remote), name)
        self.install(window=window)

    def joined(self, hub: Scene) -> Clone:
        said(self, "install", "--queue", str(hub.top))
        return self

    def handed(self) -> list[str]:
        """What waits in the hands of another queue: where."""
        return [
            row["entrusted"] for row in self.rows("deploy_queue") if row["entrusted"] and row["status"] == "pending"
        ]

    @property
    def log(self) -> str:
        return self.paths.log.read_text() if self.paths.log.exists() else ""


@pytest.fixture
def two(scene: Scene) -> Iterator[tuple[Clone, Clone]]:
    clones = Clone(scene, "c1").joined(scene), Clone(scene, "c2").joined(scene)
    yield clones
    for one in clones:
        one.close()


@pytest.fixture
def one(scene: Scene) -> Iterator[Clone]:
    found = Clone(scene, "c1").joined(scene)
    yield found
    found.close()


def guests(hub: Scene) -> list[str]:
    """The states of what other clones have brought."""
    return [row["status"] for row in hub.rows("sources") if row["origin"]]


def came(hub: Scene, clones: Sequence[Clone]) -> None:
    """Wait until a push of each clone waits in the hub, and in no other queue."""
    until(lambda: guests(hub).count("pending") == len(clones), "the handing over")
    for clone in clones:
        assert clone.handed() == [str(hub.top / ".git")]


# -- two clones ------------------------------------------------------------------------------------------


def test_pushes_of_two_clones_are_one_landing(scene: Scene, two: tuple[Clone, Clone]) -> None:
    """One push to the remote, whose words both hear; each clone settles its own branch and tracking ref."""
    script(scene.remote / "hooks" / "update", 'echo "welcome to $1"\n')
    for clone in two:
        clone.commit(f"{clone.top.name}.txt", message="One")
        clone.commit(f"{clone.top.name}-2.txt", message="Two")
    started = [clone.start("push") for clone in two]
    came(scene, two)
    due_now(scene)
    ended = [finished(process) for process in started]
    assert [done.code for done in ended] == [0, 0], ended
    assert len(scene.pushes()) == 1
    assert sorted(scene.files()) == ["README", "c1-2.txt", "c1.txt", "c2-2.txt", "c2.txt"]
    for clone, done in zip(two, ended, strict=True):
        assert "remote: welcome to refs/heads/main" in done.err
        assert any(line.startswith("landed on origin/main") for line in done.ours), done
        assert clone.oid("main") == clone.oid(TRACKING) == scene.there()
        assert clone.clean() and sorted(path.name for path in clone.top.iterdir())[1:] == sorted(scene.files())
        assert clone.pushed() == ["completed"]
    assert {row["status"] for row in scene.rows("sources")} == {"landed"}
    assert [row["owed"] for row in scene.rows("sources")] == [0, 0]
    # what they were before is kept in both clones, too
    assert two[0].git("uam", "show", "1").count("One") >= 1


def test_a_conflict_is_told_to_the_clone_that_pushed_it(scene: Scene, two: tuple[Clone, Clone]) -> None:
    first, second = two
    first.commit("README", "mine\n")
    tip = second.commit("README", "yours\n")
    started = [first.start("push")]
    came(scene, [first])
    started.append(second.start("push"))
    came(scene, two)
    due_now(scene)
    good, bad = map(finished, started)
    assert (good.code, bad.code) == (0, 1), (good, bad)
    assert "conflict in README with the work of c1" in bad.err
    assert any("git pull --rebase origin main" in line for line in bad.ours), bad
    assert second.oid("main") == tip and second.pushed() == ["failed"]
    second.git("pull", "-q", "--rebase", "-Xtheirs", "origin", "main")
    again = second.start("push")
    came(scene, [second])
    due_now(scene)
    assert finished(again).code == 0
    assert scene.bare.git("show", "main:README") == "yours"


def test_a_push_goes_along_with_one_from_a_worktree_of_the_hub(scene: Scene, one: Clone) -> None:
    """Identity, window and batch are those of the hub: a push from a worktree of it lands in the same push."""
    scene.git("config", "uam.window.push", WINDOW)
    worktree = scene.worktree("ada")
    one.commit("c1.txt")
    worktree.commit("ada.txt")
    started = [one.start("push"), worktree.start("push", "origin", "HEAD:main")]
    until(lambda: len(scene.rows("sources")) == 2, "both pushes")
    due_now(scene)
    assert [finished(process).code for process in started] == [0, 0]
    assert len(scene.pushes()) == 1
    assert len({row["identity"] for row in scene.rows("deploy_queue") if row["action_type"] == "push"}) == 1


# -- who dies, goes away, and comes back -----------------------------------------------------------------


@pytest.mark.parametrize("step", ["planned", "pushed", "finished"])
def test_whoever_dies_the_push_lands_once(scene: Scene, one: Clone, step: str) -> None:
    """The flushers of both clones have the step in their environment; the next ones do not, and go on from there."""
    tip = one.commit("c1.txt")
    one.git("config", "uam.window.push", "0")
    one.run("-c", "uam.push.mode=queue", "push", UAM_DIE_AT=step)
    one.idle()
    scene.idle()
    assert one.run("-c", "uam.push.mode=wait", "push").code == 0
    until(lambda: one.pushed()[0] == "completed", "the end of the first push")
    assert scene.there() == tip == one.oid(TRACKING)
    assert len(scene.pushes()) == 1


def test_a_flusher_that_is_killed_while_a_push_is_handed_over(scene: Scene, one: Clone) -> None:
    one.commit("c1.txt")
    push = one.start("push")
    came(scene, [one])
    os.kill(one.flusher(), signal.SIGKILL)
    os.kill(scene.flusher(), signal.SIGKILL)
    due_now(scene)
    assert finished(push).code == 0
    assert len(scene.pushes()) == 1 and one.clean()


def test_a_clone_that_is_deleted_has_landed_all_the_same(scene: Scene, one: Clone) -> None:
    tip = one.commit("c1.txt")
    one.git("config", "uam.push.mode", "queue")
    assert one.push().code == 0
    came(scene, [one])
    shutil.rmtree(one.top)
    due_now(scene)
    until(lambda: scene.there() == tip, "the landing")


def test_a_hub_that_is_away_has_what_was_handed_over_when_it_is_back(scene: Scene, one: Clone) -> None:
    """What it has stays its own, and nothing overtakes that; it lands once, when the hub is back where it was."""
    one.git("config", "uam.push.mode", "queue")
    tip = one.commit("c1.txt")
    assert one.push().code == 0
    came(scene, [one])
    away = scene.root / "away"
    os.kill(scene.flusher(), signal.SIGKILL)
    until(scene.unattended, "the end of the hub's flusher")
    scene.top.rename(away)
    (finding,) = [line for line in call(one, "doctor").out.splitlines() if "queue-elsewhere" in line]
    assert str(scene.top) in finding
    assert call(one, "cancel", "2").code == 4
    assert one.run("uam", "uninstall").code == 4
    assert scene.there() == scene.start_oid
    away.rename(scene.top)
    due_now(scene)
    assert call(one, "flush").code == 0
    assert scene.there() == tip == one.oid(TRACKING)
    assert one.pushed() == ["completed"] and len(scene.pushes()) == 1


def test_what_a_hub_had_that_is_gone_for_good_lands_from_here(scene: Scene, one: Clone) -> None:
    one.git("config", "uam.push.mode", "queue")
    tip = one.commit("c1.txt")
    assert one.push().code == 0
    came(scene, [one])
    scene.close()
    shutil.rmtree(scene.top)
    assert call(one, "flush", "--timeout", "0").code == 0
    assert one.pushed() == ["pending"] and scene.there() == scene.start_oid
    said(one, "install", "--no-queue")
    assert call(one, "flush").code == 0
    assert scene.there() == tip and one.pushed() == ["completed"]


def test_without_a_hub_pushes_land_from_here(scene: Scene, one: Clone) -> None:
    """Nothing was handed over yet: a hub that is not there keeps nobody waiting."""
    scene.close()
    scene.top.rename(scene.root / "away")
    one.git("config", "uam.window.push", "0")
    tip = one.commit("c1.txt")
    assert one.push().code == 0
    assert scene.there() == tip
    assert "There is no repository at" in one.log and one.handed() == []


# -- who acts --------------------------------------------------------------------------------------------


def test_nobody_acts_as_somebody_else(scene: Scene, one: Clone) -> None:
    """A clone with an ssh command of its own pushes with that: it lands from there, and the log says why."""
    one.git("config", "core.sshCommand", "ssh -i other")
    one.git("config", "uam.window.push", "0")
    tip = one.commit("c1.txt")
    assert one.push().code == 0
    assert scene.there() == tip and guests(scene) == []
    assert "act as somebody else (core.sshcommand differ)" in one.log


def test_what_cannot_be_a_hub_is_refused(scene: Scene, one: Clone) -> None:
    """Itself, its own worktree, a stranger, a hub of a hub, another remote: words, exit 4, and nothing is changed."""
    linked = one.worktree("linked")
    bare = scene.root / "other.git"
    one.outside.git("init", "-q", "--bare", str(bare))
    before = (one.top / ".git" / "config").read_bytes()
    for place, words in [
        (one.top, "is this repository itself"), (linked.top, "is this repository itself"),
        (scene.stranger().top, "git uam is not enabled in"), (scene.home, "There is no repository at"),
    ]:  # fmt: skip
        done = call(one, "install", "--queue", str(place))
        assert done.code == 4 and words in done.err, done
    assert (one.top / ".git" / "config").read_bytes() == before
    done = call(scene, "install", "--queue", str(one.top))
    assert done.code == 4 and "hands its own pushes over" in done.err
    said(one, "install", "--no-queue")
    one.git("remote", "set-url", "origin", str(bare))
    one.git("config", "remote.origin.uam-pushurl", str(bare))
    done = call(one, "install", "--queue", str(scene.top))
    assert done.code == 4 and "has no remote that leads where origin leads" in done.err


# -- what people do --------------------------------------------------------------------------------------


def test_an_interrupted_push_may_land_and_is_cancelled_by_hand(scene: Scene, one: Clone) -> None:
    one.commit("c1.txt")
    push = one.start("push")
    came(scene, [one])
    os.killpg(push.pid, signal.SIGINT)
    done = finished(push)
    assert done.code == -signal.SIGINT and "it lands there, unless `git uam cancel 2`" in done.err
    assert f"waiting for its landing in the queue of {scene.top}" in said(one, "status")
    said(one, "cancel", "2")
    assert one.pushed() == ["cancelled"] and guests(scene) == ["withdrawn"]
    due_now(scene)
    assert call(one, "flush").code == 0
    assert scene.there() == scene.start_oid
    said(one, "retry", "2")
    assert call(one, "flush").code == 0
    assert scene.landed() == ["Add c1.txt"]


def test_too_late_to_cancel(scene: Scene, one: Clone) -> None:
    one.git("config", "uam.window.push", "0")
    one.commit("c1.txt")
    with gate(scene, scene.remote / "hooks" / "pre-receive") as hook:
        push = one.start("push")
        until(hook.reached, "the landing")
        done = call(one, "cancel", "2")
        assert done.code == 4 and "is landing in the queue of" in done.err
        hook()
        assert finished(push).code == 0


def test_a_newer_push_takes_the_place_of_an_older_one(scene: Scene, one: Clone) -> None:
    one.git("config", "uam.push.mode", "queue")
    one.commit("a.txt")
    assert one.push().code == 0
    came(scene, [one])
    one.commit("b.txt")
    assert one.push().code == 0
    until(lambda: sorted(guests(scene)) == ["pending", "withdrawn"], "the newer one in the hub")
    assert call(one, "flush").code == 0
    assert one.pushed() == ["cancelled", "completed"]
    assert len(scene.pushes()) == 1 and one.oid(TRACKING) == scene.there()
    assert scene.files() == ["README", "a.txt", "b.txt"]


def test_a_forced_push_does_not_overtake_what_was_handed_over(scene: Scene, one: Clone) -> None:
    one.git("config", "uam.push.mode", "queue")
    one.commit("a.txt")
    assert one.push().code == 0
    came(scene, [one])
    one.git("reset", "-q", "--hard", scene.start_oid)
    tip = one.commit("b.txt")
    assert one.push("--force").code == 0
    due_now(one)
    assert scene.there() == scene.start_oid
    assert call(one, "flush").code == 0
    until(lambda: scene.there() == tip, "the forced push")
    until(lambda: len(scene.pushes()) == 2, "what the remote notes of it, after its ref has moved")


def test_an_uninstall_leaves_the_config_as_it_was(scene: Scene) -> None:
    clone = Clone(scene, "c1")
    said(clone, "uninstall")
    before = (clone.top / ".git" / "config").read_bytes()
    said(clone, "install", "--queue", str(scene.top))
    assert clone.git("config", "uam.queue") == str(scene.top)
    said(clone, "install")
    assert clone.git("config", "uam.queue") == str(scene.top)
    said(clone, "uninstall")
    assert (clone.top / ".git" / "config").read_bytes() == before


def test_nothing_of_it_is_there_where_nobody_asks_for_it(scene: Scene) -> None:
    scene.commit("a.txt")
    assert scene.push().code == 0
    assert not (scene.uam / "exchange.lock").exists() and not (scene.uam / "clone").exists()
