"""Remotes that are slow, silent or talk too much: they hold up what is for them, and nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.remotes import BlackHole, black_hole
from tests.support.scenes import Scene, finished, script, until
from tests.support.shapes import Seen
from uam_hooks.hot.core.errors import GitFailed
from uam_hooks.hot.core.talk import HEAD_BYTES, TAIL_BYTES, talk


@pytest.fixture
def hole(scene: Scene) -> Iterator[BlackHole]:
    """The remote `hole` of the scene, which never answers."""
    with black_hole() as found:
        scene.git("remote", "add", "hole", found.url)
        scene.git("uam", "install")
        yield found
        scene.close()  # whoever waits for the remote must not see it close


def stuck(scene: Scene, hole: BlackHole) -> None:
    """A push to the remote that never answers is under way."""
    scene.commit("for-the-hole")
    assert scene.run("-c", "uam.push.mode=queue", "push", "hole", "main").code == 0
    hole.called()


def test_b3_a_healthy_remote_lands_within_its_window_beside_one_that_is_silent(scene: Scene, hole: BlackHole) -> None:
    stuck(scene, hole)
    agent = scene.worktree("agent", "-b", "agent", scene.start_oid)
    agent.commit("a")
    done = agent.push("origin", "agent:main")
    assert (done.code, scene.landed()) == (0, ["Add a"]), done
    assert agent.clean() or agent.oid("HEAD") == scene.there()
    (still,) = scene.report()["running"]
    assert still["where"] == "hole/main", "a command took the batch from its owner"


def test_b3_two_healthy_remotes_and_work_without_one_go_on(scene: Scene, hole: BlackHole) -> None:
    scene.outside.git("clone", "-q", "--bare", str(scene.remote), "backup.git")
    scene.git("remote", "add", "backup", str(scene.root / "backup.git"))
    scene.git("uam", "install")
    stuck(scene, hole)
    assert scene.push("backup", "main").code == 0
    (scene.top / "by name").write_text("here\n")
    scene.git("uam", "queue", "--action-type", "commit", "--target", "main", "--message", "By name", "by name")
    scene.git("config", "uam.window.commit", "0")
    (scene.top / "other").write_text("here\n")
    scene.git("branch", "topic")
    scene.git("uam", "queue", "--action-type", "commit", "--target", "topic", "--message", "Other", "other")
    until(lambda: scene.subjects("-1", "topic") == ["Other"], "the commit by name")


def test_b3_a_flush_by_hand_executes_everything_else_and_says_what_is_still_going_on(
    scene: Scene, hole: BlackHole
) -> None:
    stuck(scene, hole)
    scene.git("config", "uam.window.push", "1h")
    agent = scene.worktree("agent", "-b", "agent", scene.start_oid)
    agent.commit("a")
    waiting = agent.start("push", "origin", "agent:main")
    until(lambda: scene.pushed()[-1:] == ["pending"], "the push in the queue")
    done = scene.run("uam", "flush", "--timeout", "100ms")
    assert done.code == 3, done
    assert done.ours == [
        "Another flush was still at work after 0.1 s: #2 push hole/main. Wait for it, or give a longer --timeout."
    ]
    assert "landed on origin/main" in done.out
    told = scene.run("uam", "flush", "--timeout", "100ms", "--json")
    Seen().check("an error", json.loads(told.out))  # one object, whatever was executed before it gave up
    assert told.code == json.loads(told.out)["error"]["exit_status"] == 3
    assert finished(waiting).code == 0
    assert scene.landed() == ["Add a"]


# -- silence -------------------------------------------------------------------------------------------------------


def test_b3_a_remote_that_is_silent_for_too_long_did_not_answer(scene: Scene, hole: BlackHole) -> None:
    scene.git("config", "uam.remote.timeout", "300ms")
    scene.commit("for-the-hole")
    done = scene.push("hole", "main")
    assert done.code == 128
    assert done.ours == ["hole did not answer: it was silent for 0.3 s (uam.remote.timeout)."]
    done = scene.run("push", "--force-with-lease", "hole", "main")
    assert done.code != 0
    assert "it was silent for 0.3 s (uam.remote.timeout)" in done.err
    assert hole.url not in [row["url"] for row in scene.rows("deploy_queue") if row["status"] == "executing"]


@pytest.mark.slow
def test_b3_a_remote_whose_hook_works_in_silence_is_not_silent(scene: Scene) -> None:
    """receive-pack sends a sign of life every so often; git prints nothing of it."""
    scene.git("config", "uam.remote.timeout", "2s")
    scene.bare.git("config", "receive.keepAlive", "1")
    script(scene.remote / "hooks" / "pre-receive", "sleep 5\n")
    scene.commit("a")
    assert scene.push().code == 0
    assert scene.landed() == ["Add a"]


# -- too many words ------------------------------------------------------------------------------------------------


def peak_memory(pid: int) -> int:
    """The most memory that a process has had, in kB."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


_TALKS = "yes 'a line of the hook that says nothing new, and says it again and again' | head -c 100000000 >&2\n"


@pytest.mark.slow
def test_b6_a_remote_that_says_100_mb_does_not_fill_memory(scene: Scene) -> None:
    script(scene.remote / "hooks" / "pre-receive", _TALKS + f': >"{scene.root}/said"\n')
    scene.commit("a")
    process = scene.start("push")
    pid = scene.flusher()
    most = 0
    while process.poll() is None:
        most = max(most, peak_memory(pid))
    assert finished(process).code == 0
    assert (scene.root / "said").exists()
    assert 0 < most < 200_000
    assert scene.landed() == ["Add a"]


@pytest.mark.slow
def test_b6_a_healthy_remote_lands_beside_one_that_says_100_mb(scene: Scene) -> None:
    scene.outside.git("clone", "-q", "--bare", str(scene.remote), "talker.git")
    talker, go_on = scene.root / "talker.git", scene.root / "go-on"
    os.mkfifo(go_on)
    script(talker / "hooks" / "pre-receive", f': >"{scene.root}/reached"\n{_TALKS}read -r line <"{go_on}"\n')
    scene.git("remote", "add", "talker", str(talker))
    scene.git("uam", "install")
    scene.commit("talked-about")
    talking = scene.start("push", "talker", "main")
    until((scene.root / "reached").exists, "the hook")
    agent = scene.worktree("agent", "-b", "agent", scene.start_oid)
    agent.commit("a")
    assert agent.push("origin", "agent:main").code == 0
    assert scene.landed() == ["Add a"]
    assert talking.poll() is None
    go_on.write_text("go on\n")
    assert finished(talking).code == 0


def test_b6_what_a_git_prints_is_kept_from_both_ends(scene: Scene) -> None:
    noisy = script(scene.root / "noisy", "echo first >&2; head -c 1000000 /dev/zero >&2; echo last >&2; exit 3\n")
    with pytest.raises(GitFailed) as caught:
        talk(["-c", f"alias.noisy=!{noisy}", "noisy"], scene.env, scene.top, 60.0)
    kept = caught.value.stderr
    assert kept.startswith("first\n")
    assert kept.endswith("last\n")
    assert len(kept) < HEAD_BYTES + TAIL_BYTES + 100


def test_b6_a_log_that_grows_too_long_keeps_its_end(scene: Scene) -> None:
    command = script(scene.root / "deploy", "yes 'once more' | head -c 30000000; echo the end\n")
    scene.git("config", "uam.deploy.prod.command", str(command))
    scene.git("uam", "queue", "--action-type", "deploy", "--target", "prod")
    assert scene.run("uam", "flush").code == 0
    log = scene.paths.log_of(1).read_text()
    assert log.endswith("once more\nthe end\n") or log.endswith("the end\n")
    assert len(log) < 11_000_000
    assert "bytes left out]" in log[:60]


# -- our own push ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_c5_a_remote_that_is_renamed_while_its_push_waits(scene: Scene) -> None:
    scene.outside.git("clone", "-q", "--bare", str(scene.remote), "upstream.git")
    scene.git("remote", "add", "upstream", str(scene.root / "upstream.git"))
    scene.git("uam", "install")
    scene.git("config", "uam.window.push", "1h")
    scene.commit("a")
    waiting = scene.start("push", "origin", "main")
    until(scene.flushers, "a flusher")
    scene.git("remote", "add", "third", str(scene.root / "upstream.git"))
    scene.git("uam", "install")
    scene.git("remote", "rename", "upstream", "ups")
    scene.git("config", "uam.window.push", "50ms")
    done = scene.push("ups", "main")
    assert done.code == 0, done
    assert scene.bare.run("--git-dir", str(scene.root / "upstream.git"), "rev-parse", "main").out.strip() == scene.oid(
        "HEAD"
    )
    scene.git("uam", "flush")
    assert finished(waiting).code == 0


def test_c5_a_landing_whose_url_leads_back_to_us_is_refused(scene: Scene) -> None:
    """Whatever the config says by then, it does not enter the queue once more."""
    scene.git("config", "url.uam::origin.pushInsteadOf", "elsewhere:")
    scene.commit("a")
    with pytest.raises(GitFailed, match="its URL leads back to uam"):
        talk(["push", "elsewhere:", "HEAD:main"], {**scene.env, "UAM_INSIDE": str(scene.uam)}, scene.top, 60.0)
    assert scene.pushed() == []
