"""A newer install.sh over the version before the package had folders: queue, hooks and neighbours go on working."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.scenes import SHADOW, TRACKING, Scene, Worktree, finished, until
from uam_hooks import hot
from uam_hooks.hot.push import entry
from uam_hooks.install.wiring import COMMAND_ALIAS, HELPER_ALIAS

NEW = Path(__file__).resolve().parents[2]
BEFORE = "a0577a7cd55368aa2f0e69cdd4711ab3aac99bbc"
WAIT = ("-c", "uam.push.mode=wait")
HOOKS = ("pre-commit", "post-commit", "post-rewrite", "pre-push")
SHIMS = ("git-remote-uam", "git-uam")


@pytest.fixture(scope="session")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of the version before."""
    where = tmp_path_factory.mktemp("before")
    archive = subprocess.run(["git", "-C", NEW, "archive", BEFORE], capture_output=True, check=False)
    if archive.returncode:
        pytest.skip(f"there is no commit {BEFORE[:7]} here, the version before; a whole clone has it")
    subprocess.run(["tar", "-x", "-C", where], input=archive.stdout, check=True)
    return where


@pytest.fixture
def pair(tmp_path: Path, templates: dict[str, Scene]) -> Iterator[tuple[Scene, Scene]]:
    """Two repositories of one user who has not heard of us yet."""
    found = [Scene(tmp_path / name, templates["plain"]) for name in ("a", "b")]
    for scene in found:
        scene.env["HOME"] = str(tmp_path / "home")
        scene.git("config", "uam.window.push", "50ms")
        scene.git("config", "uam.window.company", "off")
    yield found[0], found[1]
    for scene in found:
        scene.close()


def install(scene: Scene, checkout: Path) -> None:
    """Run the install.sh of this checkout as a fresh login would."""
    done = subprocess.run(
        ["/bin/sh", checkout / "install.sh"], cwd=scene.top, env={**scene.env, "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done


def put(scene: Scene) -> dict[str, bytes]:
    """The hooks and shims that are installed, by name."""
    hooks, shims = scene.top / ".git/hooks", scene.uam / "bin"
    return {name: (at / name).read_bytes() for at, names in ((hooks, HOOKS), (shims, SHIMS)) for name in names}


def of(checkout: Path) -> dict[str, bytes]:
    """The hooks and shims of a checkout, by name."""
    return {name: (checkout / "hooks" / name).read_bytes() for name in HOOKS + SHIMS}


def land(scene: Scene, place: Worktree, *args: str) -> None:
    """Run git for a push of HEAD: its work is on the remote then, and has come there through the queue."""
    tip = place.oid("HEAD")
    done = place.run(*args)
    assert (done.code, "straight" in done.err) == (0, False), done
    assert [row["status"] for row in scene.rows("sources") if row["tip"] == tip] == ["landed"], done


def waiting(scene: Scene) -> set[tuple[str, str]]:
    """Kind and place of what `git uam status` says waits."""
    return {(row["type"], row["where"]) for row in scene.report()["waiting"]}


# -- the names of before ---------------------------------------------------------------------------------------


def test_the_entries_have_their_earlier_names_and_nothing_else_has() -> None:
    assert hot.remote_helper is entry.remote_helper
    assert hot.pre_push is entry.pre_push
    with pytest.raises(AttributeError, match="no attribute 'anything'"):
        _ = hot.anything


# -- what the version before leaves ------------------------------------------------------------------------------


class Filled:
    """A repository with some of everything that can be in a queue. Pushes go out only by hand (manual)."""

    def __init__(self, scene: Scene) -> None:
        self.scene, scene.env["UAM_AGENT_ID"] = scene, "a"
        first = scene.commit("first", "ours\n")
        land(scene, scene, *WAIT, "push")

        self.other = scene.worktree("other", "-b", "other", scene.start_oid)
        self.other.commit("first", "theirs\n")
        assert self.other.run(*WAIT, "push", "origin", "other:main").code == 1

        self.named = scene.worktree("named")
        (self.named.top / "by name").write_text("as it was asked for\n")
        asked = ("uam", "deploy", "queue", "--action-type")
        self.named.git(*asked, "commit", "--target", "named", "--message", "By name", "--files", "by name")
        (self.named.top / "by name").write_text("edited since\n")
        scene.git(*asked, "deploy", "--target", "prod")

        self.noted = scene.worktree("noted")
        self.commits = [self.noted.commit("d")]

        scene.commit("a")
        scene.commit("b")
        assert scene.run("-c", "uam.push.mode=queue", "push", UAM_DIE_AT="pushed").code == 0
        until(lambda: not scene.flushers() and scene.unattended(), "the crash")
        scene.commit("c")  # on top of what has landed, if somebody only asked the remote
        assert "queued as #" in scene.push().err
        self.commits.append(self.noted.commit("e"))  # nobody has taken it out of the spool yet

        self.first, self.landing = first, scene.there()
        assert [row["status"] for row in scene.rows("landings")] == ["landed", "planned"]
        assert [row["status"] for row in scene.rows("deploy_batches")] == ["completed", "failed", "executing"]
        assert len(list((scene.uam / "spool").iterdir())) == 1
        assert len(scene.pushes()) == 2

    def recovered(self) -> None:
        """Everything that waited still waits, what failed has failed, and the landing was found: once."""
        scene = self.scene
        assert waiting(scene) == {
            ("commit", "main"), ("commit", "other"), ("commit", "noted"), ("commit", "named"),
            ("deploy", "prod"), ("push", "origin/main"),
        }  # fmt: skip
        report = scene.report()
        assert report["running"] == []
        noted = next(row for row in report["waiting"] if row["where"] == "noted")
        assert [member["commit"] for member in noted["members"]] == self.commits
        assert [(row["agent"], row["tip"]) for row in report["failed"]] == [("other", self.other.oid("other"))]
        assert report["failed"][0]["error"].startswith("conflict in first with the work of a in batch 1")
        assert [row["status"] for row in scene.rows("landings")] == ["landed", "landed"]
        assert [row["status"] for row in scene.rows("deploy_batches")] == ["completed", "failed", "completed"]
        assert (scene.there(), scene.oid(TRACKING), scene.oid(f"{SHADOW}^1")) == (self.landing,) * 3
        assert len(scene.pushes()) == 2

    def landed(self) -> None:
        """The rest went where it belongs, once."""
        scene = self.scene
        assert scene.landed() == ["Add first", "Squashed 2 commits:", "Add c"]
        assert scene.files() == ["README", "a", "b", "c", "first"]
        assert len(scene.pushes()) == 3
        assert (scene.root / "ran").read_text() == "ran\n"
        assert scene.subjects("main..named") == ["By name"]
        assert scene.git("show", "named:by name") == "as it was asked for"
        assert scene.subjects(f"{self.first}..noted") == ["Squashed 2 commits:"]
        assert {kind for kind, _ in waiting(scene)} == {"commit"}


def patient(scene: Scene) -> subprocess.Popen[str]:
    """A push that waits for an hour's window to end, and its flusher."""
    scene.commit("patient")
    process = scene.start("-c", "uam.window.push=1h", "push")
    until(lambda: scene.pushed() == ["pending"] and scene.flushers(), "a push that waits")
    return process


# -- the whole way, once -----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_from_the_version_before(pair: tuple[Scene, Scene], old: Path) -> None:
    """One test, since nothing here takes as long as making the environment. Only `a` is installed again at first."""
    a, b = pair
    a.git("config", "uam.push.mode", "manual")
    a.git("config", "uam.deploy.prod.command", f"sh -c 'echo ran >>{a.root}/ran'")
    plain = [(scene.top / ".git/config").read_bytes() for scene in pair]
    for scene in pair:
        install(scene, old)
        assert put(scene) == of(old)
    filled, process = Filled(a), patient(b)

    install(a, NEW)
    its_queue_goes_on(filled)
    its_pushes_land_as_ever(filled)
    assert put(b) == of(old)
    what_waited_meanwhile_lands(b, process)
    a_neighbour_goes_on(b)
    install(b, NEW)
    assert put(b) == of(NEW)
    b.commit("newer")
    land(b, b, "push")

    for scene, config in zip(pair, plain, strict=True):
        scene.git("uam", "uninstall")
        assert (scene.top / ".git/config").read_bytes() == config
        assert list((scene.top / ".git/hooks").iterdir()) == []


def its_queue_goes_on(filled: Filled) -> None:
    scene = filled.scene
    filled.recovered()
    scene.git("uam", "flush")
    filled.landed()
    assert scene.run("uam", "flush") == (0, "nothing to land\n", "")
    filled.landed()


def its_pushes_land_as_ever(filled: Filled) -> None:
    scene = filled.scene
    assert put(scene) == of(NEW)
    for alias in (COMMAND_ALIAS, HELPER_ALIAS):
        assert scene.git("config", "--get-all", alias[0]) == alias[1]
    scene.commit("newer")
    land(scene, scene, *WAIT, "push")
    assert scene.landed()[-1] == "Add newer"
    assert scene.clean()
    batches = [json.loads(filled.noted.git("uam", "show", name, "--json")) for name in ("1", "3")]
    subjects = [[commit["subject"] for commit in batch["landings"][0]["sources"][0]["commits"]] for batch in batches]
    assert subjects == [["Add first"], ["Add a", "Add b"]]


def what_waited_meanwhile_lands(scene: Scene, process: subprocess.Popen[str]) -> None:
    """A push that was started before the upgrade replaces its flusher, and lands beside one that came after it: who
    the earlier one acts as was not recorded, so the two share no landing.
    """
    assert process.poll() is None
    (before,) = scene.flushers()
    os.kill(before, signal.SIGKILL)
    until(lambda: scene.flushers() not in ([], [before]), "another flusher")
    two = scene.worktree("two", "-b", "two", scene.start_oid)
    two.commit("later")
    land(scene, two, "push", "-o", "urgent", "origin", "two:main")
    done = finished(process)
    assert (done.code, "straight" in done.err) == (0, False), done
    assert scene.paths.log.read_text() == ""
    assert [row["status"] for row in scene.rows("sources")] == ["landed", "landed"]
    assert scene.files() == ["README", "later", "patient"]
    assert len(scene.pushes()) == 2


def a_neighbour_goes_on(scene: Scene) -> None:
    """Both doors lead into the queue with the shims and hooks of before."""
    linked = Worktree(scene.root / "two", scene.env)
    linked.commit("wired")
    land(scene, linked, "push", "origin", "two:main")
    assert scene.pushed() == ["completed"] * 3
    assert waiting(scene) == set()

    scene.outside.git("init", "-q", "--bare", "unwired.git")
    scene.git("remote", "add", "unwired", "../unwired.git")
    done = scene.push("unwired", "two")
    assert (done.code, done.ours, len(scene.pushed())) == (0, [], 3), done  # the first one goes straight
    assert Worktree(scene.root / "unwired.git", scene.env).oid("two") == scene.oid("two")
    scene.git("remote", "remove", "unwired")
