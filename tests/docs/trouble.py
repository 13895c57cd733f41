"""The ways in which things go wrong, as the pages in docs/trouble show them: each scene does what its page shows."""

from __future__ import annotations

import os
import re
import shlex
import signal
from collections.abc import Callable

from tests.doctor.damages import overwritten
from tests.support.commands import call
from tests.support.queueing import change
from tests.support.scenes import Done, Scene, Worktree, finished, gate, locked, script, until

_DAY = r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
# What differs from one time to the other: ids of batches, object names, days, figures, and the room that these take.
_DIFFERS = {
    re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"): "ID",
    re.compile(r"\b[0-9a-f]{7,64}\b"): "0000000",
    re.compile(_DAY): "DAY",
    re.compile(r"\d+(\.\d+)?"): "0",
    re.compile(r"(?<=\S) {2,}|\t"): "  ",
}


class Screen:
    """What was typed and what was printed, as a page shows it."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.lines: list[str] = []

    def type(self, line: str, place: Worktree | None = None, code: int = 0) -> None:
        """Run a line as the shell of `place` does; `git uam` in this process."""
        self.shows(line, self._done(line, place or self.scene), code)

    def _done(self, line: str, place: Worktree) -> Done:
        words = shlex.split(line)
        if words[:2] == ["git", "uam"]:
            return call(place, *words[2:])
        return place.execute("sh", "-c", line)

    def really(self, line: str, code: int, place: Worktree | None = None) -> None:
        """Run a line in a shell, also `git uam`."""
        self.shows(line, (place or self.scene).execute("sh", "-c", line), code)

    def shows(self, line: str, done: Done, code: int = 0) -> None:
        """What this line printed; its exit status is `code`."""
        assert done.code == code, done
        self.lines += [f"$ {line}", *(done.err + done.out).splitlines()]

    def plain(self) -> list[str]:
        """The lines, with names of the page in place of those of the scene."""
        places = {str(self.scene.top): "/home/ada/shop", str(self.scene.remote): "/srv/shop.git",
                  str(self.scene.root): "/home/ada"}  # fmt: skip
        text = "\n".join(self.lines)
        for where, name in places.items():
            text = text.replace(where, name)
        return [plain(line) for line in text.splitlines()]


def plain(line: str) -> str:
    """A line without what differs from one time to the other."""
    for pattern, word in _DIFFERS.items():
        line = pattern.sub(word, line)
    return line.rstrip()


def _two(scene: Scene) -> tuple[Worktree, Worktree]:
    """Two agents that have changed the same file."""
    ann, bob = scene.worktree("ann"), scene.worktree("bob")
    ann.commit("price.txt", "5\n", message="Set the price")
    bob.commit("price.txt", "7\n", message="Raise the price")
    return ann, bob


def conflict_queued(scene: Scene, on: Screen) -> None:
    ann, bob = _two(scene)
    scene.git("config", "uam.push.mode", "manual")
    on.type("git push origin HEAD:main", ann)
    on.type("git push origin HEAD:main", bob, 1)
    on.type("git uam sync --queued origin/main", bob, 1)


def conflict_landed(scene: Scene, on: Screen) -> None:
    ann, bob = _two(scene)
    ann.git("push", "-q", "origin", "HEAD:main")
    on.type("git push origin HEAD:main", bob, 1)


def rewritten(scene: Scene, on: Screen) -> None:
    scene.commit("a", message="Add a")
    scene.git("push", "-q", "origin", "main")
    (scene.top / "a").write_text("other\n")
    scene.git("commit", "-q", "-a", "--amend", "--no-edit")
    on.type("git push", None, 1)


def gate_red(scene: Scene, on: Screen) -> None:
    scene.git("config", "uam.gate.tests.command", "test ! -e broken")
    scene.git("config", "uam.gate.tests.retries", "0")
    scene.commit("broken", message="Break it")
    on.type("git push origin HEAD:main", None, 1)
    on.type("git uam log 2")


def gate_flaky(scene: Scene, on: Screen) -> None:
    mark = scene.root / "once"
    scene.git("config", "uam.gate.tests.command",
              str(script(scene.root / "flaky", f'[ -e "{mark}" ] || {{ : >"{mark}"; exit 1; }}\n')))  # fmt: skip
    scene.commit("a")
    on.type("git push origin HEAD:main")
    on.type("git uam gate list")
    on.type("git uam gate forget tests")


def remote_refuses(scene: Scene, on: Screen) -> None:
    script(scene.remote / "hooks" / "update", 'echo "main is protected: open a pull request" >&2\nexit 1\n')
    scene.commit("a")
    on.type("git push origin HEAD:main", None, 1)
    on.type("git uam status")


def remote_unreachable(scene: Scene, on: Screen) -> None:
    scene.commit("a")
    away = scene.remote.rename(scene.root / "away")
    on.type("git push origin HEAD:main", None, 128)
    away.rename(scene.remote)
    script(scene.remote / "hooks" / "pre-receive", "exec sleep 60\n")
    scene.git("config", "uam.remote.timeout", "100ms")
    on.type("git push origin HEAD:main", None, 1)


def not_landed_yet(scene: Scene, on: Screen) -> None:
    scene.git("config", "uam.push.waitTimeout", "100ms")
    scene.git("config", "uam.window.push", "1h")
    scene.commit("a")
    on.type("git push origin HEAD:main", None, 1)
    on.type("git uam status")
    call(scene, "flush")
    on.type("git uam wait 2")


def ci_busy(scene: Scene, on: Screen) -> None:
    scene.git("config", "uam.ci", "command")
    scene.git("config", "uam.ci.command", str(script(scene.root / "ci", "exit 1\n")))
    scene.git("config", "uam.ci.hold", "1h")
    scene.git("config", "uam.push.waitTimeout", "100ms")
    scene.commit("a")
    on.type("git push origin HEAD:main", None, 1)
    until(lambda: any(row["held"] for row in scene.rows("deploy_queue")), "what CI says")
    on.type("git uam status")


def interrupted(scene: Scene, on: Screen) -> None:
    scene.git("config", "uam.window.push", "1h")
    scene.commit("a")
    for number in (signal.SIGINT, signal.SIGTERM):
        process = scene.start("push", "origin", "HEAD:main")
        until(lambda: "pending" in scene.pushed(), "the push in the queue")
        os.killpg(process.pid, number)
        done = finished(process)
        on.shows("git push origin HEAD:main", done, done.code)
    on.type("git uam status")


def flusher_killed(scene: Scene, on: Screen) -> None:
    scene.git("config", "uam.push.mode", "queue")
    scene.commit("a")
    with gate(scene, scene.remote / "hooks" / "pre-receive") as opened:
        on.type("git push origin HEAD:main")
        until(opened.reached, "the push")
        os.kill(scene.flusher(), signal.SIGKILL)
        on.type("git uam doctor", None, 1)


def branch_stays(scene: Scene, on: Screen) -> None:
    ann = scene.worktree("ann")
    ann.commit("price.txt", "5\n")
    bob = scene.worktree("bob")
    bob.commit("a")
    bob.commit("b")
    (bob.top / "price.txt").write_text("mine\n")
    ann.git("push", "-q", "origin", "HEAD:main")
    on.type("git push origin HEAD:main", bob)
    on.type("git uam sync origin/main", bob, 4)


def queue_damaged(scene: Scene, on: Screen) -> None:
    scene.commit("a")
    scene.git("push", "-q", "origin", "main")
    scene.close()
    with scene.store() as store:  # who closes it last leaves no files of SQLite's, from which it would be whole again
        assert store.version()
    scene.commit("b")
    overwritten(scene, 0.0)
    on.type("git push")
    on.type("git uam doctor --fix")


def hooks_displaced(scene: Scene, on: Screen) -> None:
    script(scene.top / ".git" / "hooks" / "pre-push", "exit 0\n")
    on.type("git uam status")
    on.type("git uam install")


def program_gone(scene: Scene, on: Screen) -> None:
    _, site = (scene.uam / "env").read_text().splitlines()
    (scene.uam / "env").write_text(f"/home/ada/gone/bin/python\n{site}\n")
    scene.commit("a")
    on.type("git push")
    on.really("git uam status", 5)


def not_enabled(scene: Scene, on: Screen) -> None:
    scene.git("config", "--unset", "alias.uam")
    scene.git("clone", "-q", str(scene.remote), str(scene.root / "plain"))
    other = Worktree(scene.root / "plain", scene.env)
    on.really("git uam status", 1, other)
    on.type("git uam status", other, 4)


def queue_newer(scene: Scene, on: Screen) -> None:
    call(scene, "status")
    change(scene, "PRAGMA user_version = 9999")
    scene.commit("a")
    on.type("git push")
    on.type("git uam status", None, 5)


def moved(scene: Scene, on: Screen) -> None:
    ann = scene.worktree("ann")
    scene.git("config", "uam.push.mode", "manual")
    ann.commit("a")
    ann.git("push", "-q", "origin", "HEAD:main")
    scene.top.rename(scene.root / "shop-2")
    here = Worktree(scene.root / "shop-2", scene.env)
    on.type("cp -R ../shop-2 ../copy", here)
    on.type("git uam doctor", here)
    on.type("git uam flush", here)
    on.type("git uam flush", Worktree(scene.root / "copy", scene.env))


def worktree_removed(scene: Scene, on: Screen) -> None:
    scene.git("config", "uam.window.push", "1h")  # what is due says so
    ann = scene.worktree("ann")
    scene.git("config", "uam.push.mode", "manual")
    ann.commit("a")
    ann.git("push", "-q", "origin", "HEAD:main")
    on.type("git worktree remove --force ../ann")
    on.type("git branch -D ann")
    on.type("git uam status")
    on.type("git uam flush")


def flush_locked(scene: Scene, on: Screen) -> None:
    scene.git("config", "uam.push.mode", "manual")
    scene.commit("a")
    scene.git("push", "-q", "origin", "main")
    with locked(scene.uam / "flush.lock"):
        on.type("git uam flush --timeout 100ms", None, 3)


def undo(scene: Scene, on: Screen) -> None:
    scene.commit("a")
    scene.commit("b")
    scene.git("push", "-q", "origin", "main")
    on.type("git uam show 1")
    on.type("git uam restore 1")
    on.type("git revert --no-edit HEAD")


def uninstall(scene: Scene, on: Screen) -> None:
    scene.git("config", "uam.push.mode", "manual")
    scene.commit("a")
    scene.git("push", "-q", "origin", "main")
    on.type("git uam uninstall", None, 4)
    on.type("git uam uninstall --force")


def other_settings(scene: Scene, on: Screen) -> None:
    scene.git("config", "uam.window.push", "1h")  # what is due says so
    scene.git("config", "uam.push.mode", "manual")
    scene.commit("a")
    scene.git("push", "-q", "origin", "main", HTTPS_PROXY="http://proxy.example.invalid")
    on.type("git uam status")
    on.type("git uam flush")


def fleet_away(scene: Scene, on: Screen) -> None:
    scene.git("config", "uam.fleet", "shop")
    scene.git("config", "uam.fleet.url", "postgresql://uam@/shop?host=/nowhere")
    scene.git("config", "uam.push.waitTimeout", "1s")
    scene.commit("a")
    on.type("git push origin HEAD:main", None, 1)
    on.type("git uam status")
    on.type("git uam fleet status", None, 1)
    scene.git("config", "--unset", "uam.push.waitTimeout")
    on.type("git config uam.fleet.onLoss local")
    on.type("git uam wait 2")


def setting_wrong(scene: Scene, on: Screen) -> None:
    on.type("git uam config uam.window.push soon", None, 2)
    scene.git("config", "uam.window.push", "soon")
    scene.commit("a")
    on.type("git push", None, 1)
    on.type("git uam doctor", None, 1)


def gate_missing(scene: Scene, on: Screen) -> None:
    scene.git("config", "uam.gate.tests.command", "run-the-tests")
    scene.commit("a")
    on.type("git push", None, 1)
    on.type("git uam doctor", None, 1)


def install_refused(scene: Scene, on: Screen) -> None:
    other = Worktree(scene.root / "other", scene.env)
    scene.outside.git("clone", "-q", str(scene.remote), "other")
    other.git("config", "alias.uam", "log")
    on.type("git uam install", other, 4)
    on.type("git uam install", scene.bare, 4)


def secret_url(scene: Scene, on: Screen) -> None:
    # stands for ssh: runs what the other side would run
    ssh = script(scene.root / "ssh", 'for last; do :; done\nexec sh -c "$last"\n')
    scene.env |= {"GIT_SSH": str(ssh), "GIT_SSH_VARIANT": "simple"}
    scene.commit("a")
    on.type(f"git push ssh://me:hunter2@git.example.invalid{scene.remote} main")


PAGES: dict[str, Callable[[Scene, Screen], None]] = {
    name.replace("_", "-"): one
    for name, one in list(globals().items())
    if callable(one) and getattr(one, "__module__", "") == __name__ and "on" in getattr(one, "__annotations__", {})
}
