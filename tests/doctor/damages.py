"""Damages that a repository can come to: each makes one, and nothing else."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from tests.support.queueing import change
from tests.support.scenes import SHADOW, TRACKING, Scene, script
from uam_hooks.doctor.finding import Code, Fix
from uam_hooks.doctor.places import LONG_SECONDS
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.queue.model import iso
from uam_hooks.hot.worktree import journal
from uam_hooks.install.hookfile import checksum

GONE = 2**22 - 7  # no process has this number for long
NOWHERE = "ab" * 20


class Damage(NamedTuple):
    """What `make` does to a scene is found as `code`, about something whose name ends in `about`."""

    make: Callable[[Scene], object]
    code: Code
    about: str
    fix: Fix | None = None


def waiting(scene: Scene) -> str:
    """The tip of the push that waits in the scene."""
    (found,) = [str(row["tip"]) for row in scene.rows("sources") if row["status"] == "pending"]
    return found


def _env(scene: Scene, line: int, text: str) -> None:
    lines = (scene.uam / "env").read_text().splitlines()
    lines[line] = text
    (scene.uam / "env").write_text("\n".join(lines) + "\n")


def _hook(scene: Scene, name: str) -> Path:
    return scene.top / ".git" / "hooks" / name


def _untold(scene: Scene) -> None:
    scene.git("config", "uam.notify.command", "true")
    failed = scene.uam / "log" / "notify.failed"
    failed.write_text("bell ended with exit code 4: no bell\n")
    failed.chmod(0o600)


def _other_version(scene: Scene) -> None:
    site = scene.root / "site" / "uam_hooks"
    (site / "hot" / "push").mkdir(parents=True, exist_ok=True)
    (site / "hot" / "push" / "entry.py").touch()
    (site / "__init__.py").write_text('__version__ = "0.0.1"\n')
    _env(scene, 1, str(site.parent))


def _earlier_hook(scene: Scene) -> None:
    hook, record = _hook(scene, "post-rewrite"), scene.uam / "install.json"
    hook.write_bytes(hook.read_bytes() + b"# of before\n")
    found = json.loads(record.read_text())
    found["sums"]["post-rewrite"] = checksum(hook.read_bytes())
    record.write_text(json.dumps(found))


def _old(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


def _mark(scene: Scene, name: str, text: str, age: float = 0.0) -> None:
    (scene.uam / name).write_text(text)
    _old(scene.uam / name, age)


def _linked(path: Path) -> None:
    if path.is_dir():
        path.rename(path.parent / "elsewhere")
    else:
        (path.parent / "elsewhere").mkdir()
    path.symlink_to("elsewhere")


def _settle(scene: Scene) -> None:
    paths = RepoPaths.of(scene.top / ".git")
    journal.write(paths, journal.Move(str(paths.git_dir), "refs/heads/main", scene.oid("HEAD^"), scene.oid("HEAD")))


def _executing(scene: Scene, batch: str, status: str) -> None:
    """What waits is in a batch, as after a kill right after it was claimed."""
    change(
        scene,
        "INSERT INTO deploy_batches (id, number, created_at, status) VALUES (?, 90, '2024-05-06T07:08:09.000Z', ?)",
        batch,
        status,
    )
    change(scene, "UPDATE deploy_queue SET status = 'batched', batch_id = ? WHERE status = 'pending' AND"
           " action_type = 'push'", batch)  # fmt: skip


def _due(scene: Scene, seconds: float) -> None:
    change(scene, "UPDATE deploy_queue SET execute_after = ? WHERE status = 'pending'", iso(time.time() - seconds))


def _locked(scene: Scene, name: str) -> None:
    lock = scene.top / ".git" / name
    lock.touch()
    _old(lock, 3600)


def _config(*args: str) -> Callable[[Scene], object]:
    return lambda scene: scene.git("config", *args)


def overwritten(scene: Scene, share: float) -> None:
    """The database from this share of it on is something else."""
    path = scene.paths.database
    data = path.read_bytes()
    at = int(len(data) * share)
    path.write_bytes(data[:at] + b"\xa5" * (len(data) - at))


def _one_page(scene: Scene) -> None:
    """The pages of the index of what waits are something else: the first that a push would read."""
    with closing(sqlite3.connect(scene.paths.database)) as db:
        ((page,),) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'queue_by_status'").fetchall()
        ((size,),) = db.execute("PRAGMA page_size").fetchall()
    data = bytearray(scene.paths.database.read_bytes())
    data[(page - 1) * size : page * size] = b"\xa5" * size
    scene.paths.database.write_bytes(data)


def _no_answer(scene: Scene) -> None:
    change(scene, "INSERT INTO ci_states VALUES ('origin', 'refs/heads/main', 'unknown', 'gh',"
                  " '2024-05-06T07:08:09.000Z', '', '', 'HTTP 500')")  # fmt: skip


def _elsewhere(scene: Scene) -> None:
    scene.paths.database.rename(scene.uam / "there")
    scene.paths.database.symlink_to("there")


def _without_commit(scene: Scene) -> None:
    scene.git("update-ref", "-d", f"refs/uam/pin/{waiting(scene)}")
    change(scene, "UPDATE sources SET tip = ? WHERE status = 'pending'", NOWHERE)


def _of_somebody_else(scene: Scene) -> None:
    _due(scene, 120)
    change(scene, "UPDATE deploy_queue SET identity = 'else' WHERE status = 'pending'")


# What --fix mends, and all of it at once.
OF_INSTALL = {
    "python": Damage(lambda s: _env(s, 0, "/nowhere/python"), Code.PYTHON_GONE, "/nowhere/python", Fix.INSTALL),
    "program": Damage(lambda s: _env(s, 1, "/nowhere"), Code.PROGRAM_GONE, "/nowhere", Fix.INSTALL),
    "shim": Damage(lambda s: (s.uam / "bin/git-remote-uam").unlink(), Code.SHIM_CHANGED, "git-remote-uam", Fix.INSTALL),
    "hook put over": Damage(lambda s: script(_hook(s, "pre-push"), "exit 0\n"), Code.HOOK_DISPLACED, "pre-push",
                            Fix.INSTALL),
    "hook removed": Damage(lambda s: _hook(s, "post-commit").unlink(), Code.HOOK_DISPLACED, "post-commit", Fix.INSTALL),
    "hook without x": Damage(lambda s: _hook(s, "pre-commit").chmod(0o644), Code.HOOK_IGNORED, "pre-commit",
                             Fix.INSTALL),
    "hook of before": Damage(_earlier_hook, Code.HOOK_CHANGED, "post-rewrite", Fix.INSTALL),
    "alias of the door": Damage(_config("--unset-all", "alias.remote-uam"), Code.ALIAS_CHANGED, "alias.remote-uam",
                                Fix.INSTALL),
    "catch-all": Damage(_config("--unset-all", "url.uam::.pushInsteadOf"), Code.CATCH_ALL_MISSING, "pushInsteadOf",
                        Fix.INSTALL),
    "directory": Damage(lambda s: (s.uam / "spool").rmdir(), Code.DIRECTORY_MISSING, "spool", Fix.FURNISH),
    "modes": Damage(lambda s: s.uam.chmod(0o755), Code.OPEN_TO_OTHERS, "uam", Fix.SECURE),
}  # fmt: skip
OF_QUEUE = {
    "entry without a pin": Damage(lambda s: s.git("update-ref", "-d", f"refs/uam/pin/{waiting(s)}"),
                                  Code.ENTRY_UNPINNED, "", Fix.PIN),
    "pin of what landed": Damage(lambda s: s.git("update-ref", f"refs/uam/pin/{s.start_oid}", s.start_oid),
                                 Code.PIN_STRAY, "", Fix.UNPIN),
    "landing without a journal": Damage(lambda s: s.git("update-ref", "refs/uam/landing/lost/99", s.oid(SHADOW)),
                                        Code.LANDING_STRAY, "lost/99", Fix.REMEMBER),
    "landing as it was pushed": Damage(lambda s: s.git("update-ref", "refs/uam/landing/lost/97", TRACKING),
                                       Code.LANDING_STRAY, "lost/97", Fix.REMEMBER),
    "settle": Damage(_settle, Code.SETTLE_UNFINISHED, "work", Fix.REPAIR),
    "mark of a settle": Damage(lambda s: _mark(s, f"settling/{GONE}", "ref: refs/heads/x\n1\n"), Code.MARK_LEFT,
                               str(GONE), Fix.SWEEP),
    "mark of a commit": Damage(lambda s: _mark(s, f"inflight/{GONE}", "ref: refs/heads/x\n\n1\n", 2 * LONG_SECONDS),
                               Code.MARK_LEFT, f"inflight/{GONE}", Fix.SWEEP),
    "remote": Damage(lambda s: s.git("remote", "add", "more", str(s.root / "more.git")), Code.REMOTE_NOT_WIRED, "more",
                     Fix.WIRE),
    "batch": Damage(lambda s: _executing(s, "left", "executing"), Code.BATCH_ABANDONED, "batch 90", Fix.RECOVER),
}  # fmt: skip
# What --fix mends, and what does not go together with the others.
ALONE = {
    "env": Damage(lambda s: (s.uam / "env").unlink(), Code.HALF_INSTALLED, "env", Fix.INSTALL),
    "record": Damage(lambda s: (s.uam / "install.json").unlink(), Code.HALF_INSTALLED, "install.json", Fix.INSTALL),
    "overdue": Damage(lambda s: _due(s, 120), Code.ENTRY_OVERDUE, "pushes to origin", Fix.START),
    "adrift": Damage(lambda s: _executing(s, "ended", "completed"), Code.ENTRY_ADRIFT, "push origin/main", Fix.REOPEN),
    "page": Damage(_one_page, Code.QUEUE_CORRUPT, "queue.db", Fix.REBUILD),
    "half a queue": Damage(lambda s: overwritten(s, 0.5), Code.QUEUE_CORRUPT, "queue.db", Fix.REBUILD),
    "no queue at all": Damage(lambda s: overwritten(s, 0.0), Code.QUEUE_CORRUPT, "queue.db", Fix.REBUILD),
    "table": Damage(lambda s: change(s, "DROP TABLE ci_states"), Code.QUEUE_CORRUPT, "queue.db", Fix.REBUILD),
    "queue removed": Damage(lambda s: s.paths.database.unlink(), Code.QUEUE_MISSING, "queue.db", Fix.REBUILD),
    "unreadable": Damage(lambda s: change(s, "UPDATE deploy_queue SET payload = '[]' WHERE status = 'pending'"
                                          " AND action_type = 'push'"), Code.ENTRY_UNREADABLE, "", Fix.END),
}  # fmt: skip
# What people have to decide.
FOR_PEOPLE = {
    "version": Damage(_other_version, Code.PROGRAM_OTHER, "site"),
    "alias of others": Damage(_config("alias.uam", "log"), Code.ALIAS_CHANGED, "alias.uam"),
    "setting": Damage(_config("uam.window.push", "soon"), Code.SETTING_WRONG, "uam.window.push"),
    "no such setting": Damage(_config("uam.windw", "1s"), Code.SETTING_WRONG, "uam.windw"),
    "gate": Damage(_config("uam.gate.fast.command", "/nowhere/gate"), Code.COMMAND_MISSING, "uam.gate.fast.command"),
    "gates": Damage(_config("uam.gate.setup.command", "true"), Code.GATES_WRONG, "uam.gate"),
    "deploy": Damage(_config("uam.deploy.prod.command", "nowhere-to-be-found"), Code.COMMAND_MISSING,
                     "uam.deploy.prod.command"),
    "CI": Damage(_config("uam.ci", "command"), Code.CI_TOOL_MISSING, "uam.ci.command"),
    "no answer of CI": Damage(_no_answer, Code.CI_UNKNOWN, "origin/main"),
    "command that is told": Damage(_config("uam.notify.command", "/nowhere/bell"), Code.COMMAND_MISSING,
                                   "uam.notify.command"),
    "command that failed": Damage(_untold, Code.NOTIFY_FAILED, "uam.notify.command"),
    "slot": Damage(lambda s: _linked(s.uam / "gate"), Code.SLOT_ODD, "gate"),
    "link": Damage(lambda s: _linked(s.uam / "log"), Code.DIRECTORY_ODD, "log"),
    "key": Damage(lambda s: (s.uam / "identity.key").write_bytes(b"short"), Code.KEY_DAMAGED, "identity.key"),
    "queue elsewhere": Damage(_elsewhere, Code.QUEUE_UNUSABLE, "queue.db"),
    "newer": Damage(lambda s: change(s, "PRAGMA user_version = 9999"), Code.QUEUE_NEWER, "queue.db"),
    "commit gone": Damage(_without_commit, Code.COMMIT_GONE, NOWHERE[:12]),
    "apart": Damage(_of_somebody_else, Code.ENTRY_APART, "pushes to origin"),
    "pin": Damage(lambda s: s.git("update-ref", f"refs/uam/pin/{s.oid('two')}", s.oid("two")), Code.PIN_STRAY, ""),
    "landing": Damage(lambda s: s.git("update-ref", "refs/uam/landing/lost/98", s.oid("two")), Code.LANDING_STRAY,
                      "lost/98"),
    "commit that is open": Damage(lambda s: _mark(s, f"inflight/{os.getpid()}", "ref: refs/heads/x\n\n\n",
                                                  2 * LONG_SECONDS), Code.COMMIT_OPEN, str(os.getpid())),
    "lock of the index": Damage(lambda s: _locked(s, "index.lock"), Code.LOCK_LEFT, "index.lock"),
    "lock of a ref": Damage(lambda s: _locked(s, "refs/heads/main.lock"), Code.LOCK_LEFT, "main.lock"),
}  # fmt: skip
