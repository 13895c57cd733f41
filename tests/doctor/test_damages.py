"""`git uam doctor` finds each damage, and nothing else; --fix mends what it says it mends, and nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.doctor.damages import ALONE, FOR_PEOPLE, NOWHERE, OF_INSTALL, OF_QUEUE, Damage, overwritten, waiting
from tests.support.commands import UAM, call
from tests.support.landscape import flushed, reachable
from tests.support.queueing import change, due_now
from tests.support.scenes import SHADOW, Done, Kept, Scene, another_git, locked, unprivileged, until
from uam_hooks.doctor import database, places
from uam_hooks.doctor.finding import Code
from uam_hooks.hot.queue.schema import MIGRATIONS


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, templates: dict[str, Scene]) -> Kept:
    """A scene with what landed, what waits for longer than any test, and a worktree that has pushed nothing."""
    scene = Scene(tmp_path_factory.mktemp("doctor") / "scene", templates["wired"])
    scene.git("config", "uam.push.mode", "queue")
    scene.git("config", "uam.squash.branches", "main")
    one, two = scene.worktree("one"), scene.worktree("two")
    two.commit("b")
    one.commit("a-1")
    one.commit("a-2")
    one.git("-c", "uam.push.mode=wait", "push", "-q", "origin", "HEAD:main")
    scene.git("config", "uam.window.push", "1h")
    scene.commit("waits", message="Wait")
    scene.git("push", "-q", "origin", "main")
    scene.close()
    with scene.store() as store:  # who closes it last leaves no files of SQLite's
        assert store.version()
    return Kept(scene)


@pytest.fixture
def here(kept: Kept) -> Iterator[Scene]:
    with kept.again() as scene:
        yield scene


def everything(scene: Scene) -> dict[str, tuple[int, bytes | str]]:
    """All files of the git directory, with modes and contents."""
    found: dict[str, tuple[int, bytes | str]] = {}
    for top, folders, names in os.walk(scene.top / ".git"):
        for path in (Path(top, name) for name in (*folders, *names)):
            mode = path.lstat().st_mode
            regular = stat.S_ISREG(mode)
            found[str(path)] = mode, path.read_bytes() if regular else str(path.readlink()) if path.is_symlink() else ""
    return found


def looked(scene: Scene, *args: str) -> tuple[Done, dict[str, Any]]:
    done = call(scene, "doctor", "--json", *args)
    found = json.loads(done.out)
    assert set(found) == {"version", "sound", "findings", "next_action"}
    assert done.code == (0 if found["sound"] else 1)
    return done, found


def codes(found: dict[str, Any]) -> list[str]:
    return sorted(one["code"] for one in found["findings"])


def sound(scene: Scene) -> None:
    _, found = looked(scene)
    assert (found["sound"], found["findings"], found["next_action"]) == (True, [], None)


DAMAGES = {**OF_INSTALL, **OF_QUEUE, **ALONE, **FOR_PEOPLE}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_each_damage_is_found_and_looking_changes_nothing(here: Scene, damage: Damage) -> None:
    damage.make(here)
    before = everything(here)
    done, found = looked(here)
    assert everything(here) == before
    assert done.err == ""
    assert codes(found) == [damage.code.value]
    (one,) = found["findings"]
    assert one["about"].endswith(damage.about)
    assert (one["fixable"], one["fixed"]) == (damage.fix is not None, False)
    assert one["means"] and one["mend"]
    step = found["next_action"]
    assert step["command"] == ["git", "uam", "doctor", "--fix"] if damage.fix else step["words"] == one["mend"]
    assert here.flushers(starting=True) == []


def lands(scene: Scene, tip: str) -> None:
    """What waited lands, as itself and once."""
    due_now(scene)
    flushed(scene)
    assert "Wait" in scene.bare.git("log", "-1", "--format=%s", "main")
    assert tip in reachable(scene)
    assert scene.bare.git("log", "--format=%s", "main").splitlines().count("Wait") == 1


def mended(scene: Scene, *damages: Damage) -> list[str]:
    """All of these are found, --fix mends them, and a second look finds nothing; gives what was said of it."""
    for damage in damages:
        damage.make(scene)
    before = reachable(scene)
    done, found = looked(scene, "--fix")
    assert codes(found) == sorted(damage.code.value for damage in damages)
    assert [one for one in found["findings"] if not one["fixed"]] == []
    assert (done.code, found["sound"]) == (0, True)
    sound(scene)
    assert before <= reachable(scene)
    assert all(line.startswith("uam: ") for line in done.err.splitlines())
    return done.ours


@pytest.mark.slow
def test_what_an_install_can_mend_is_mended_all_at_once(here: Scene) -> None:
    tip = waiting(here)
    told = mended(here, *OF_INSTALL.values())
    assert any(line.startswith("will mend ") and "install again" in line for line in told)
    assert (here.top / ".git" / "hooks" / "pre-push.before-uam").exists()  # the hook of somebody else is kept
    lands(here, tip)


@pytest.mark.slow
def test_what_the_queue_and_our_refs_have_is_mended_all_at_once(here: Scene) -> None:
    tip = waiting(here)
    mended(here, *OF_QUEUE.values())
    assert here.run("rev-parse", "-q", "--verify", "refs/uam/landing/lost/99").code == 0
    lands(here, tip)
    sound(here)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["directory", "modes", "settle", "remote", "env", "record", "adrift", "page", "table"])
def test_what_goes_with_nothing_else_is_mended(here: Scene, name: str) -> None:
    tip = waiting(here)
    mended(here, DAMAGES[name])
    lands(here, tip)


@pytest.mark.slow
def test_what_is_overdue_lands(here: Scene) -> None:
    mended(here, ALONE["overdue"])
    until(lambda: here.pushed()[-1] == "completed", "the landing")
    here.idle()
    sound(here)


@pytest.mark.slow
def test_an_entry_that_cannot_be_read_ends_and_its_commit_is_kept(here: Scene) -> None:
    tip = waiting(here)
    mended(here, ALONE["unreadable"])
    assert here.pushed()[-1] == "failed"
    assert here.oid(f"refs/uam/pin/{tip}") == tip


@pytest.mark.slow
@pytest.mark.parametrize("name", ["no queue at all", "queue removed", "half a queue"])
def test_what_could_not_be_read_of_a_queue_is_said(here: Scene, name: str) -> None:
    """Where a pushed commit was to land, nothing but the queue knows: it is kept, and named, and not guessed."""
    tip, landed = waiting(here), here.there()
    ALONE[name].make(here)
    damaged = here.paths.database.read_bytes() if here.paths.database.exists() else None
    _, found = looked(here, "--fix")
    assert here.oid(f"refs/uam/pin/{tip}") == tip
    assert here.there() == landed
    again = [one for one in found["findings"] if not one["fixed"]]
    if again:
        assert [one["code"] for one in again] == [Code.PIN_STRAY.value]
        assert "Push main again" in again[0]["mend"] and '"Wait"' in again[0]["means"]
        here.git("push", "-q", "origin", "main")
    sound(here)
    asides = list(here.uam.glob("queue.db.damaged-*Z"))
    assert [path.read_bytes()[-100:] for path in asides] == ([damaged[-100:]] if damaged else [])
    # what had landed is remembered, from our refs alone
    assert [row["status"] for row in here.rows("landings")][:1] == ["landed"]
    assert here.rows("landings")[0]["keep"] == here.oid(SHADOW)
    here.close()
    lands(here, tip)


@pytest.mark.slow
@pytest.mark.parametrize(
    "lost",
    ["DELETE FROM queued_commits", "DELETE FROM sources",
     "UPDATE deploy_queue SET dependencies = '[4711]' WHERE status = 'pending' AND action_type = 'push'"],
)  # fmt: skip
def test_what_lacks_a_part_after_that_ends_and_holds_nothing_up(here: Scene, lost: str) -> None:
    """The commits of an entry, its sources, or what has to come before it could not be read."""
    tip = waiting(here)
    change(here, "UPDATE deploy_queue SET agent_id = '' WHERE action_type = 'commit'")
    change(here, lost)
    ALONE["page"].make(here)
    looked(here, "--fix")
    states = {row["action_type"]: row["status"] for row in here.rows("deploy_queue")}
    assert states["commit" if "commits" in lost else "push"] == "failed"
    for args in (("status",), ("log",), ("show", "1"), ("flush",)):
        done = call(here, *args)
        assert (done.code, "Traceback" in done.err) == (0, False), done
    assert tip in reachable(here)


@pytest.mark.slow
def test_a_queue_that_somebody_works_on_is_not_set_aside(here: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uam_hooks.store.rebuild.END_SECONDS", 0.0)
    ALONE["page"].make(here)
    damaged = here.paths.database.read_bytes()
    (lock,) = here.uam.glob("flusher-*.lock")
    with locked(lock):
        done, found = looked(here, "--fix")
    assert codes(found) == [Code.QUEUE_CORRUPT.value]
    assert here.paths.database.read_bytes() == damaged
    assert f"not mended: A process is still at work: it holds {lock.name}. Wait for it, or end it." in done.ours


@pytest.mark.slow
def test_a_set_aside_that_died_half_way_is_brought_to_its_end(here: Scene) -> None:
    tip = waiting(here)
    ALONE["page"].make(here)
    os.link(here.paths.database, here.uam / "queue.db.damaged-2024-05-06T07-08-09Z")
    (here.uam / "queue.db.fresh").write_bytes(b"half of it")
    looked(here, "--fix")
    sound(here)
    assert [path.name for path in here.uam.glob("queue.db.*")] == ["queue.db.damaged-2024-05-06T07-08-09Z"]
    lands(here, tip)


def test_a_process_that_should_flush_and_does_nothing_is_found(here: Scene) -> None:
    change(here, "UPDATE deploy_queue SET execute_after = '2024-05-06T07:08:09.000Z' WHERE status = 'pending'")
    (lock,) = here.uam.glob("flusher-*.lock")
    with locked(lock):
        _, found = looked(here)
    assert codes(found) == [Code.FLUSHER_STUCK.value]


def test_what_may_wait_for_a_flush_by_hand_is_a_warning(here: Scene) -> None:
    change(here, "UPDATE deploy_queue SET asked = 1 WHERE status = 'pending' AND action_type = 'push'")
    ALONE["overdue"].make(here)
    _, found = looked(here)
    assert [(one["code"], one["severity"]) for one in found["findings"]] == [(Code.ENTRY_OVERDUE.value, "warning")]


def test_a_queue_of_an_earlier_version_is_brought_to_this_one(scene: Scene) -> None:
    with closing(sqlite3.connect(scene.paths.database)) as db:
        for _, text in MIGRATIONS[:-1]:
            db.executescript(text)
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) - 1}")
    _, found = looked(scene, "--fix")
    assert [(one["code"], one["fixed"]) for one in found["findings"]] == [(Code.QUEUE_OLDER.value, True)]
    sound(scene)


def test_a_disk_that_is_nearly_full_is_found(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    room = os.statvfs(scene.uam)
    free = room.f_bavail * room.f_frsize
    monkeypatch.setattr(places, "LOW_ROOM_BYTES", free * 2)
    _, found = looked(scene)
    assert [(one["code"], one["severity"]) for one in found["findings"]] == [(Code.DISK_LOW.value, "warning")]
    monkeypatch.setattr(places, "NO_ROOM_BYTES", free * 2)
    _, found = looked(scene)
    assert [(one["code"], one["severity"]) for one in found["findings"]] == [(Code.DISK_LOW.value, "error")]


def test_a_large_queue_is_found(here: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LARGE_BYTES", 1000)
    _, found = looked(here)
    assert codes(found) == [Code.QUEUE_LARGE.value]


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() == 0 and not unprivileged(), reason="root may write anywhere, and setpriv is not here")
def test_what_one_may_not_write_to_is_found_and_nothing_is_tried(here: Scene) -> None:
    here.uam.chmod(0o500)
    before = everything(here)
    done = here.execute(*unprivileged(), *UAM, "doctor", "--fix", "--json")
    assert everything(here) == before
    assert codes(json.loads(done.out)) == [Code.NOT_WRITABLE.value]
    here.uam.chmod(0o700)


def test_a_ref_whose_object_is_gone_is_found(scene: Scene) -> None:
    (scene.top / ".git" / "refs" / "uam" / "shadow" / "origin").mkdir(parents=True)
    (scene.top / ".git" / SHADOW).write_text(f"{NOWHERE}\n")
    _, found = looked(scene)
    assert codes(found) == [Code.REF_BROKEN.value]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('[ "$1" != version ] || { echo git version 2.30.1; exit; }\nexec "$REAL_GIT" "$@"\n', Code.GIT_OLD),
        ("echo 'fatal: no' >&2; exit 128\n", Code.GIT_FAILS),
        ('[ "$1" != config ] || exit 3\nexec "$REAL_GIT" "$@"\n', Code.GIT_FAILS),
    ],
)
def test_a_git_that_is_old_or_odd_is_found(scene: Scene, text: str, code: Code) -> None:
    odd = another_git(scene, text)
    scene.env = {**scene.env, **odd, "PATH": f"{odd['GIT_EXEC_PATH']}:{scene.env['PATH']}"}
    _, found = looked(scene)
    assert codes(found) == [code.value]


def test_no_git_at_all_is_found(scene: Scene) -> None:
    scene.env = {**scene.env, "PATH": str(scene.root)}
    _, found = looked(scene)
    assert codes(found) == [Code.GIT_MISSING.value]


def test_a_database_of_garbage_is_told_to_people_in_lines(here: Scene) -> None:
    overwritten(here, 0.0)
    done = call(here, "doctor")
    lines = done.out.splitlines()
    assert (done.code, done.err) == (1, "")
    assert lines[0] == f"error queue-corrupt: {here.paths.database}"
    assert lines[-1] == "1 error; `git uam doctor --fix` mends 1 of 1"


def test_many_of_a_kind_are_counted(here: Scene) -> None:
    for number in range(8):
        here.git("update-ref", f"refs/uam/landing/lost/{number + 80}", here.oid("two"))
    done = call(here, "doctor")
    assert done.out.count("warning landing-stray: ") == 5
    assert done.out.splitlines()[-2:] == ["3 more of landing-stray; --json lists all of them", "8 warnings"]


@pytest.mark.slow
def test_a_directory_that_was_deleted_is_made_anew_around_what_git_has(here: Scene) -> None:
    """All of .git/uam is gone, and config and hooks still name it."""
    tip = waiting(here)
    shutil.rmtree(here.uam)
    _, found = looked(here, "--fix")
    assert [(one["code"], one["fixed"]) for one in found["findings"]] == [
        (Code.HALF_INSTALLED.value, True), (Code.PIN_STRAY.value, False),
    ]  # fmt: skip
    here.git("push", "-q", "origin", "main")
    here.close()
    lands(here, tip)


def test_an_install_without_doors_or_hooks_is_sound(unwired: Scene) -> None:
    sound(unwired)
    (unwired.top / ".git" / "hooks" / "pre-push").unlink()
    _, found = looked(unwired, "--fix")
    assert codes(found) == [Code.HOOK_DISPLACED.value] and found["sound"]
    assert unwired.run("config", "alias.remote-uam").code == 1  # it is still one without wired remotes
