"""Ctrl-C at any moment, a process tree that is ended as a whole, and a git that is killed before the push has begun."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path

import pytest

import uam_hooks
from tests.flows.test_failed_questions import mortal
from tests.support.queueing import WINDOW, due_now
from tests.support.scenes import Scene, finished, until
from uam_hooks.hot.core.interrupts import interruptible


@pytest.mark.parametrize("question", ["for-each-ref", "config"])
def test_g7_a_push_whose_refs_could_not_be_listed_goes_straight(scene: Scene, question: str) -> None:
    env = mortal(scene)
    tip = scene.commit("a")
    done = scene.push("origin", "HEAD:main", **env, KILL=question if question == "for-each-ref" else "config -z")
    assert done.code == 0, done
    assert scene.there() == tip
    assert any("This push goes straight to the remote." in line for line in done.ours), done
    assert scene.pushed() == []


def test_g7_one_that_goes_straight_is_judged_by_what_the_remote_has(scene: Scene) -> None:
    env = mortal(scene)
    stranger = scene.stranger()
    stranger.commit("theirs")
    assert stranger.push("-q", "origin", "HEAD:main").code == 0
    scene.commit("a")
    done = scene.push("origin", "HEAD:main", **env, KILL="for-each-ref")
    assert done.code == 1, done
    assert " ! [rejected]        HEAD -> main (fetch first)\n" in done.err
    assert scene.there() == stranger.oid("HEAD")


def test_g7_a_remote_that_is_not_there_is_plain_gits_error(scene: Scene) -> None:
    env = mortal(scene)
    scene.commit("a")
    scene.remote.rename(scene.root / "away.git")
    done = scene.push("origin", "HEAD:main", **env, KILL="for-each-ref")
    assert done.code == 128, done
    assert "does not appear to be a git repository" in done.err


def interrupted_while_it_imports(scene: Scene) -> None:
    """Let the package be one that is interrupted as soon as Python begins to import it."""
    site = scene.root / "site"
    entry = site / "uam_hooks/hot/push/entry.py"
    entry.parent.mkdir(parents=True)
    entry.touch()
    (site / "uam_hooks/__init__.py").write_text("import os\nos.kill(os.getpid(), 2)\n")
    python = (scene.uam / "env").read_text().splitlines()[0]
    (scene.uam / "env").write_text(f"{python}\n{site}\n")


def test_g7_ctrl_c_while_python_starts_prints_no_traceback(scene: Scene) -> None:
    scene.commit("a")
    interrupted_while_it_imports(scene)
    done = scene.push("origin", "HEAD:main")
    assert done.code != 0
    assert "Traceback" not in done.err, done
    assert "KeyboardInterrupt" not in done.err
    assert done.ours == []
    assert scene.there() == scene.start_oid


def test_g7_ctrl_c_while_python_starts_a_command(scene: Scene) -> None:
    scene.with_interpreter(
        "start=$(printf %s \"$3\" | sed 's/from uam_hooks/import os; os.kill(os.getpid(), 2); from uam_hooks/')\n"
        'shift 3\nexec "$python" -I -c "$start" "$@"'
    )
    done = scene.run("uam", "status")
    assert (done.out, done.err) == ("", "")
    assert done.code in (130, -signal.SIGINT)


def test_g7_ctrl_c_while_the_hook_of_the_other_door_starts(unwired: Scene) -> None:
    unwired.commit("a")
    interrupted_while_it_imports(unwired)
    done = unwired.push("origin", "HEAD:main")
    assert done.code == 1
    assert "Traceback" not in done.err, done
    assert unwired.there() == unwired.start_oid


@pytest.mark.parametrize(("event", "function"), [("return", "serve"), ("call", "_flushed"), ("return", "_flushed")])
def test_g7_ctrl_c_when_the_answer_is_made_prints_no_traceback(scene: Scene, event: str, function: str) -> None:
    profile = scene.root / "profile.py"
    profile.write_text(
        "import os, sys\n"
        "def kill(frame, event, _):\n"
        f"    if (event, frame.f_code.co_name) == {(event, function)!r}:\n"
        "        os.kill(os.getpid(), 2)\n"
        "sys.setprofile(kill)\n"
    )
    scene.with_interpreter(
        f'begin=\'exec(open("{profile}").read()); \'\nstart=$4\nshift 4\nexec "$python" -I -S -c "$begin$start" "$@"'
    )
    tip = scene.commit("a")
    done = scene.push()
    assert "Traceback" not in done.err, done
    assert "KeyboardInterrupt" not in done.err
    scene.idle()
    assert scene.there() == tip


def test_g7_ctrl_c_that_is_ignored_stays_ignored() -> None:
    """As for what a shell without job control runs in the background."""

    def interrupted() -> int:
        signal.raise_signal(signal.SIGINT)
        return 7

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert interruptible(interrupted) == 7
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["push", "uam status"])
def test_g7_ctrl_c_within_a_tenth_of_a_second(scene: Scene, command: str) -> None:
    scene.git("config", "uam.window.push", WINDOW)
    scene.commit("a")
    for milliseconds in range(0, 120, 8):
        process = scene.start(*command.split())
        time.sleep(milliseconds / 1000)  # what is tried out is the moment
        os.killpg(process.pid, signal.SIGINT)
        done = finished(process)
        assert "Traceback" not in done.err, (milliseconds, done)
        assert "KeyboardInterrupt" not in done.err
    assert set(scene.pushed()) <= {"cancelled"}
    assert scene.there() == scene.start_oid


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def test_c4_a_push_that_is_killed_with_all_its_family_lands(scene: Scene) -> None:
    """Some shells end a command by its tree of processes, not by its group."""
    scene.git("config", "uam.window.push", WINDOW)
    tip = scene.commit("a")
    process = scene.start("push")
    until(lambda: scene.pushed() == ["pending"] and scene.flushers(), "a push that waits")
    for pid in family(process.pid):
        with suppress(ProcessLookupError):  # a git of the push that has just ended
            os.kill(pid, signal.SIGKILL)
    finished(process)
    assert scene.flushers()
    due_now(scene)
    scene.idle()
    assert scene.there() == tip


def test_g7_an_interrupt_in_a_callback_ends_the_process_without_a_word() -> None:
    """An import drops the lock of its module by one; Python prints what that raises, and goes on."""
    code = (
        "import signal, sys, weakref\n"
        "from uam_hooks.hot.core.interrupts import interruptible\n"
        "def run():\n"
        "    one = type('One', (), {})()\n"
        "    there = weakref.ref(one, lambda _: signal.raise_signal(signal.SIGINT))\n"
        "    del one\n"
        "    print('went on')\n"
        "    return 0\n"
        "sys.exit(interruptible(run))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_c4_a_signal_that_comes_in_a_destructor_is_not_lost(scene: Scene) -> None:
    """Python prints what a signal's handler raises there, and goes on as if nothing had happened."""
    scene.git("config", "uam.window.push", WINDOW)
    scene.commit("a")
    process = scene.start("push")
    until(lambda: scene.pushed() == ["pending"] and scene.flushers(), "a push that waits")
    script = textwrap.dedent("""
        import os, signal, sys, time
        from pathlib import Path
        sys.path.insert(0, sys.argv[1])
        from uam_hooks.hot.push import waiting
        from uam_hooks.hot.queue.connection import Store

        class Dying:
            def __del__(self):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.01)  # here Python runs the handler

        caught = []
        signal.signal(signal.SIGINT, lambda number, _: caught.append(number))
        def ensure(states, start):
            Dying()
            return False
        assert waiting.poll(Store(Path(sys.argv[2])), [1], 30.0, ensure, caught=caught) is None
        print("heard", caught[0] == signal.SIGINT)
    """)
    package = str(Path(uam_hooks.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, package, str(scene.paths.database)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "heard True\n", "")
    os.killpg(process.pid, signal.SIGINT)
    assert finished(process).code == -signal.SIGINT
