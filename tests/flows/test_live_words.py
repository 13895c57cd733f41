"""What a remote says is read while it speaks, once, by everybody whose work is in that landing."""

from __future__ import annotations

import json
import os
import select
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.queueing import WINDOW, due_now
from tests.support.scenes import PATIENCE, Done, Scene, finished, script, until
from tests.support.twin import Twin
from uam_hooks.hot.core.colours import Colours
from uam_hooks.hot.core.plumbing import HotGit
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.core.sideband import LEFT_OUT, Speaking
from uam_hooks.hot.push.listening import Listener
from uam_hooks.hot.queue import enqueue


class Reader:
    """A push whose stderr is read as it comes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process, self._read = process, b""
        assert process.stderr is not None
        self._fd = process.stderr.fileno()

    def sees(self, line: str) -> None:
        """Wait until this line is there."""
        deadline = time.monotonic() + PATIENCE
        while f"{line}\n".encode() not in self._read:
            assert select.select([self._fd], [], [], max(0, deadline - time.monotonic()))[0], (line, self._read)
            data = os.read(self._fd, 65536)
            assert data, (line, self._read)
            self._read += data

    def end(self) -> Done:
        done = finished(self.process)
        return done._replace(err=self._read.decode() + done.err)


def remote_lines(done: Done) -> list[str]:
    return [line for line in done.err.splitlines() if line.startswith("remote: ")]


def as_git(*lines: str) -> list[str]:
    """Lines of a hook as git prints them where no terminal is."""
    return [f"remote: {line}        " for line in lines]


@pytest.fixture
def go_on(scene: Scene) -> Path:
    """A pipe, from which a hook reads before it goes on."""
    path = scene.root / "go-on"
    os.mkfifo(path)
    return path


def test_h9_what_a_hook_says_is_printed_as_plain_git_prints_it(scene: Scene) -> None:
    twin = Twin(scene)
    for bare in (scene.bare, twin.bare):
        script(
            bare.top / "hooks" / "post-receive",
            "echo one; echo; printf 'a\\tb  \\n'; printf '   \\n'; echo 'warning: two' >&2; echo '  three'\n",
        )
    for options in (["-q"], []):
        for place in twin.both:
            place.commit(f"a{len(options)}")
        twin.same(*options, "origin", "main")


def test_h9_lines_are_read_by_everybody_in_the_landing_while_the_remote_goes_on(scene: Scene, go_on: Path) -> None:
    script(scene.remote / "hooks" / "post-receive", f'echo deploying\nread -r line <"{go_on}"\necho "$line"\n')
    scene.git("config", "uam.window.push", WINDOW)
    agents = [scene.worktree("one"), scene.worktree("two")]
    pushes: list[Reader] = []
    for agent in agents:
        agent.commit(agent.top.name)
        pushes.append(Reader(agent.start("push", *["-q"] * len(pushes), "origin", "HEAD:main")))
    until(lambda: len(scene.rows("sources")) == 2, "both pushes in the queue")
    due_now(scene)
    for push in pushes:
        push.sees(*as_git("deploying"))
        assert push.process.poll() is None
    (file,) = scene.paths.batches.glob("*.said")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    go_on.write_text("deployed\n")
    for push in pushes:
        done = push.end()
        assert (done.code, remote_lines(done)) == (0, as_git("deploying", "deployed"))


def test_h9_what_was_heard_of_a_flusher_that_is_killed_after_it_landed_is_kept(scene: Scene, go_on: Path) -> None:
    script(scene.remote / "hooks" / "post-receive", f'echo deploying\nread -r line <"{go_on}"\n')
    scene.commit("a")
    push = Reader(scene.start("push"))
    push.sees(*as_git("deploying"))
    os.kill(scene.flusher(), signal.SIGKILL)
    done = push.end()
    go_on.write_text("go on\n")
    assert (done.code, remote_lines(done)) == (0, as_git("deploying"))
    assert "  remote: deploying" in scene.git("uam", "show", "1").splitlines()


def test_h9_a_flusher_that_is_killed_before_it_landed_has_nothing_said_twice(scene: Scene, go_on: Path) -> None:
    mark = scene.root / "mark"
    script(
        scene.remote / "hooks" / "pre-receive",
        f'echo checking; echo\n[ -e "{mark}" ] && {{ echo; echo "all is well"; exit; }}\n'
        f': >"{mark}"\necho once\nread -r line <"{go_on}"\nexit 1\n',
    )
    tip = scene.commit("a")
    push = Reader(scene.start("push"))
    push.sees(*as_git("once"))
    os.kill(scene.flusher(), signal.SIGKILL)
    done = push.end()
    go_on.write_text("go on\n")
    assert (done.code, scene.there()) == (0, tip)
    assert remote_lines(done) == [*as_git("checking"), "remote: ", *as_git("once"), "remote: ", *as_git("all is well")]


def test_h9_a_landing_that_takes_several_pushes_says_each_line_once(scene: Scene) -> None:
    """Somebody else is quicker, once, which the remote says as well."""
    theirs = scene.stranger().commit("theirs")
    scene.bare.git("fetch", "-q", str(scene.stranger().top), "main:refs/hidden/theirs")
    mark = scene.root / "mark"
    script(
        scene.remote / "hooks" / "pre-receive",
        f'echo checking >&2\n[ -e "{mark}" ] && {{ echo "all is well"; exit; }}\n: >"{mark}"\n'
        f"unset GIT_QUARANTINE_PATH\nexec git update-ref refs/heads/main {theirs}\n",
    )
    scene.commit("mine")
    done = scene.push()
    lines = [line.removeprefix("remote: ").rstrip() for line in remote_lines(done)]
    assert (done.code, scene.landed()) == (0, ["Add theirs", "Add mine"])
    assert (lines[0], lines[-1]) == ("checking", "all is well")
    assert any("cannot lock ref 'refs/heads/main'" in line for line in lines)
    assert len(set(lines)) == len(lines)
    shown = scene.git("uam", "show", "1").splitlines()
    assert [line.removeprefix("  remote: ") for line in shown if line.startswith("  remote: ")] == lines


def test_h9_why_the_remote_refused_every_try_is_said(scene: Scene) -> None:
    scene.git("config", "uam.flush.retries", "1")
    script(
        scene.remote / "hooks" / "pre-receive",
        'echo checking\nunset GIT_QUARANTINE_PATH\nnew=$(git commit-tree -p main -m "$$" "main^{tree}")\n'
        "exec git update-ref refs/heads/main $new\n",
    )
    scene.commit("mine")
    done = scene.push()
    lines = [line.removeprefix("remote: ").rstrip() for line in remote_lines(done)]
    assert (done.code, lines[0], len(set(lines))) == (1, "checking", len(lines))
    assert sum("cannot lock ref" in line for line in lines) == 2
    (row,) = scene.rows("sources")
    assert json.loads(row["outcome"])["remote_said"] == lines


def test_h9_what_could_not_be_written_while_it_was_said_comes_with_the_outcome(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    script(scene.remote / "hooks" / "post-receive", "seq 100\n")
    scene.commit("a")
    assert remote_lines(scene.push()) == as_git(*map(str, range(1, 101)))
    (file,) = scene.paths.batches.glob("*.said")
    file.write_text(file.read_text().partition("\n 11\n")[0] + "\n 1")  # there was no room for more
    git = HotGit(scene.paths.git_dir, scene.top)
    with scene.store() as store:
        Listener(store, scene.paths, Colours(git, Settings.read(git))).rest(enqueue.state(store, [1]))
    printed = capsys.readouterr().err.splitlines()
    assert printed == as_git(*map(str, range(1, 33)), LEFT_OUT, *map(str, range(69, 101)))
    with Speaking(scene.root / "nowhere" / "a.1.said", {"refs/heads/main": 1}, lambda: None) as nowhere:
        nowhere.about(["refs/heads/main"])
        nowhere.say("no fault of the push")


def test_h9_what_was_said_goes_a_while_after_its_batch(scene: Scene) -> None:
    script(scene.remote / "hooks" / "post-receive", "echo deployed\n")
    scene.commit("a")
    scene.push()
    scene.idle()
    (old,) = scene.paths.batches.iterdir()
    os.utime(old, (0, 0))
    scene.commit("b")
    scene.push()
    scene.idle()
    (young,) = scene.paths.batches.iterdir()
    assert young != old


def test_h9_nobody_hears_what_is_said_of_others(scene: Scene) -> None:
    """A file of another batch lies beside, and it names the same action."""
    strange = scene.paths.batches
    strange.mkdir(exist_ok=True)
    (strange / "another.1.said").write_text(">1 2 3\n for somebody else\n")
    scene.commit("a")
    assert remote_lines(scene.push()) == []


@pytest.mark.parametrize(
    "how",
    [
        (),
        ("color.ui=always",),
        ("color.remote=always", "color.remote.error=blue"),
        ("color.remote=always", "color.remote.hint=x"),
    ],
)
def test_h9_words_at_the_beginning_have_the_colours_of_git(scene: Scene, how: tuple[str, ...]) -> None:
    """git's own t5409."""
    twin = Twin(scene)
    for place, bare in ((scene, scene.bare), (twin, twin.bare)):
        said = "error: one\nERROR two\nhint: three\nhinting\n  warning: four\nSuccess\nsuccessful\n"
        script(bare.top / "hooks" / "post-receive", f"printf '%s' '{said}'\n")
        place.commit("a")
        for setting in how:
            place.git("config", *setting.split("="))
    done = [[line for line in place.push().err.splitlines() if line.startswith("remote: ")] for place in (scene, twin)]
    assert done[0] == done[1]
    assert len(done[0]) == 7
