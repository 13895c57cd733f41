"""The commit hooks: sh alone, never in the way of a commit, and what they leave is taken in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.marks import bulk
from tests.support.scenes import Scene, script, unprivileged, until
from uam_hooks.hot.core.processes import alive, started
from uam_hooks.hot.core.urls import SCHEMES

# what POSIX counts as utilities and these hooks may start; anything else is a surprise
TOOLS = ("git", "python", "python3", "sh", "env", "rm", "cat", "sleep", "date", "mv", "mkdir", "sed", "grep", "tr")


def run_hook(scene: Scene, name: str, feed: str = "") -> tuple[str, list[str]]:
    """Run a hook as git does, with a PATH on which everything is a stub; gives its stderr and what it started."""
    stubs, log = scene.root / "stubs", scene.root / "started"
    log.write_text("")
    shell = shutil.which("sh")
    for tool in TOOLS:
        real = shutil.which(tool)
        script(stubs / tool, f'echo "{tool}" >>"{log}"\nexec "{real or "false"}" "$@"\n')
    done = subprocess.run(
        [shell or "sh", str(scene.top / ".git" / "hooks" / name)], cwd=scene.top, input=feed, text=True,
        env={"PATH": str(stubs), "HOME": str(scene.home), "GIT_INDEX_FILE": ".git/index"}, capture_output=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")
    return done.stderr, log.read_text().splitlines()


@pytest.mark.parametrize(("name", "places"), [("git-remote-uam", 2), ("pre-push", 1)])
def test_hooks_know_the_schemes_that_are_wired(name: str, places: int) -> None:
    lines = (Path(__file__).parents[2] / "hooks" / name).read_text().splitlines()
    named = [set(re.findall(r"\buam-([a-z]+://)\*", line)) for line in lines if "uam-" in line and "://*" in line]
    assert named == [set(SCHEMES)] * places


# -- what they start ---------------------------------------------------------------------------------------


def test_pre_commit_starts_no_process_at_all(scene: Scene) -> None:
    assert run_hook(scene, "pre-commit") == ("", [])
    assert [path.name for path in (scene.uam / "inflight").iterdir()] == [str(os.getpid())]


def test_post_commit_starts_neither_git_nor_an_interpreter(scene: Scene) -> None:
    (scene.uam / "inflight" / str(os.getpid())).write_text("ref: refs/heads/main\n")
    assert run_hook(scene, "post-commit") == ("", ["rm"])
    assert list((scene.uam / "inflight").iterdir()) == []
    assert len(list((scene.uam / "spool").iterdir())) == 1


def test_post_rewrite_starts_neither_git_nor_an_interpreter(scene: Scene) -> None:
    pair = f"{scene.start_oid} {'1' * 40}\n"
    assert run_hook(scene, "post-rewrite", pair) == ("", ["cat"])
    assert [path.read_text() for path in (scene.uam / "spool").iterdir()] == [f"rewrite\n{pair}end\n"]


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_a_commit_executes_git_and_the_hooks_and_nothing_else(scene: Scene) -> None:
    (scene.top / "a").write_text("a\n")
    scene.git("add", "a")
    log = scene.root / "trace"
    done = scene.execute("strace", "-f", "-qq", "-e", "trace=execve", "-o", str(log), "git", "commit", "-q", "-m", "x")
    if "Operation not permitted" in done.err:
        pytest.skip("strace may not trace here")
    assert done.code == 0, done
    started = [line.split('"')[1] for line in log.read_text().splitlines() if line.endswith("= 0")]
    names = sorted(Path(name).name for name in started)
    assert [name for name in names if name != "sh"] == ["git", "post-commit", "pre-commit", "rm"]  # git, once


# -- what they leave ---------------------------------------------------------------------------------------


def test_a_commit_leaves_one_line_and_no_mark(scene: Scene) -> None:
    tip = scene.commit("a", UAM_AGENT_ID="agent-7")
    files = list((scene.uam / "spool").iterdir())
    assert [path.read_text() for path in files] == [f"commit\t{tip}\trefs/heads/main\tagent-7\t{scene.top / '.git'}\n"]
    assert list((scene.uam / "inflight").iterdir()) == []
    scene.report()
    assert list((scene.uam / "spool").iterdir()) == []
    assert [(row["oid"], row["agent_id"], row["branch"]) for row in scene.rows("queued_commits")] == [
        (tip, "agent-7", "refs/heads/main")
    ]


def test_a_detached_head_and_a_linked_worktree(scene: Scene) -> None:
    agent = scene.worktree("agent")
    first = agent.commit("a")
    agent.git("switch", "-q", "--detach")
    second = agent.commit("sub/b")
    scene.report()
    where = str(scene.top / ".git" / "worktrees" / "agent")
    found = [(row["oid"], row["branch"], row["worktree"], row["agent_id"]) for row in scene.rows("queued_commits")]
    assert found == [(first, "refs/heads/agent", where, "agent"), (second, "", where, "agent")]
    assert [row["target"] for row in scene.rows("deploy_queue")] == ["agent", "HEAD"]


def test_a_branch_with_slashes_and_packed_refs(scene: Scene) -> None:
    scene.git("switch", "-q", "-c", "feature/deep/ünï")
    scene.git("pack-refs", "--all")
    tip = scene.commit("a")
    scene.report()
    assert [(row["oid"], row["branch"]) for row in scene.rows("queued_commits")] == [
        (tip, "refs/heads/feature/deep/ünï")
    ]


def test_an_amend_carries_the_entry_over(scene: Scene) -> None:
    old = scene.commit("a", UAM_AGENT_ID="agent-7")
    scene.report()
    scene.git("commit", "-q", "--amend", "-m", "Add a, better")
    new = scene.oid("HEAD")
    waiting = scene.report()["waiting"]
    assert [member["commit"] for row in waiting for member in row["members"]] == [new]
    states = {row["oid"]: (row["status"], row["agent_id"]) for row in scene.rows("queued_commits")}
    assert states[old][0] == "replaced"
    assert states[new][0] == "pending"


def test_a_rebase_carries_all_entries_over(scene: Scene) -> None:
    scene.git("switch", "-q", "-c", "topic")
    old = [scene.commit(name, UAM_AGENT_ID="agent-7") for name in ("a", "b")]
    scene.git("switch", "-q", "main")
    base = scene.commit("c")
    scene.git("switch", "-q", "topic")
    scene.git("rebase", "-q", "main")
    new = scene.git("rev-list", "--reverse", "main..topic").split()
    waiting = scene.report()["waiting"]
    assert {row["where"]: [m["commit"] for m in row["members"]] for row in waiting} == {"topic": new, "main": [base]}
    states = {row["oid"]: row["status"] for row in scene.rows("queued_commits")}
    assert [states[oid] for oid in old] == ["replaced", "replaced"]
    assert {m["agent"] for row in waiting for m in row["members"] if row["where"] == "topic"} == {"agent-7"}


def test_a_commit_that_fails_leaves_nothing(scene: Scene) -> None:
    script(scene.top / ".git" / "hooks" / "commit-msg", "exit 1\n")
    (scene.top / "a").write_text("a\n")
    scene.git("add", "a")
    assert scene.run("commit", "-q", "-m", "Add a").code == 1
    assert list((scene.uam / "spool").iterdir()) == []
    assert scene.report()["waiting"] == []
    # the mark names a process that is gone, and is in nobody's way
    (scene.top / ".git" / "hooks" / "commit-msg").unlink()
    scene.commit("b")
    assert scene.push().code == 0
    assert scene.clean()


def test_commits_that_somebody_pushed_past_us_are_done(scene: Scene) -> None:
    scene.commit("a")
    assert scene.push(UAM="off").code == 0
    assert scene.report()["waiting"] == []
    scene.commit("b")
    scene.git("reset", "-q", "--hard", "HEAD~1")
    scene.git("reflog", "expire", "--expire=now", "--all")
    scene.git("gc", "-q", "--prune=now")
    assert scene.report()["waiting"] == []


# -- when things are broken ----------------------------------------------------------------------------------


def test_a_commit_with_a_corrupt_queue(scene: Scene) -> None:
    scene.paths.database.write_bytes(b"no database" * 1000)
    (scene.top / "a").write_text("a\n")
    scene.git("add", "a")
    assert scene.run("commit", "-q", "-m", "Add a") == (0, "", "")


@pytest.mark.parametrize("missing", bulk(["spool", "inflight", "settling"]))
def test_a_commit_without_our_directories(scene: Scene, missing: str) -> None:
    shutil.rmtree(scene.uam / missing)
    (scene.top / "a").write_text("a\n")
    scene.git("add", "a")
    done = scene.run("commit", "-q", "-m", "Add a")
    tip = scene.oid("HEAD")
    assert done.code == 0
    assert done.err in (
        "",
        f"uam: could not note commit {tip} in .git/uam/spool; the commit itself is safe, and pushing it works.\n",
    )
    assert (done.err != "") is (missing == "spool")
    assert scene.push() == (0, "", f"To uam::origin\n   {scene.start_oid[:7]}..{tip[:7]}  main -> main\n")


def test_a_commit_where_nothing_can_be_written(scene: Scene) -> None:
    in_front = unprivileged()
    if not in_front and os.getuid() == 0:
        pytest.skip("file modes do not hold for root, and setpriv is not there")
    (scene.top / "a").write_text("a\n")
    scene.git("add", "a")
    closed = [scene.uam, *(path for path in scene.uam.iterdir() if path.is_dir())]
    for path in closed:
        path.chmod(0o555)
    done = scene.execute(*in_front, "git", "commit", "-q", "-m", "Add a")
    for path in closed:
        path.chmod(0o755)
    assert done == (
        0, "",
        f"uam: could not note commit {scene.oid('HEAD')} in .git/uam/spool;"
        " the commit itself is safe, and pushing it works.\n",
    )  # fmt: skip


def test_a_full_disk_under_the_spool(scene: Scene) -> None:
    """Writing fails although the file could be made: /dev/full stands for a full disk."""
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    shutil.rmtree(scene.uam / "spool")
    # every file that a hook makes below this path is /dev/full: a directory of links, one for each name it may use
    hook = scene.top / ".git" / "hooks" / "post-commit"
    text = hook.read_text()
    assert '>"$uam/spool/$oid.$PPID"' in text
    hook.write_text(text.replace('>"$uam/spool/$oid.$PPID"', '>"/dev/full"'))
    (scene.top / "a").write_text("a\n")
    scene.git("add", "a")
    done = scene.run("commit", "-q", "-m", "Add a")
    assert done.code == 0
    assert done.ours[0].startswith(f"could not note commit {scene.oid('HEAD')} in ")
    assert scene.push().code == 0


def test_a_settle_that_died_holds_no_commit_up(scene: Scene) -> None:
    process = scene.start("--version")
    process.communicate()
    (scene.uam / "settling" / str(process.pid)).write_text("ref: refs/heads/main\n")
    scene.commit("a")  # would wait for 10 s otherwise, and for a settle that is alive
    assert scene.push().code == 0


def test_a_commit_waits_for_a_settle_of_its_branch(scene: Scene) -> None:
    mark = scene.uam / "settling" / str(os.getpid())
    mark.write_text(f"ref: refs/heads/main\n{started(os.getpid())}\n")
    (scene.top / "a").write_text("a\n")
    scene.git("add", "a")
    process = scene.start("commit", "-q", "-m", "Add a")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)
    mark.unlink()
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "", "")


def test_g5_a_settle_whose_number_another_process_has_by_now_holds_nothing_up(scene: Scene) -> None:
    """The mark names this very process, which lives, and says that it started at another moment."""
    (scene.uam / "settling" / str(os.getpid())).write_text("ref: refs/heads/main\n1\n")
    assert run_hook(scene, "pre-commit") == ("", [])  # it would sleep


def test_g5_both_sides_read_the_start_of_a_process_alike(scene: Scene) -> None:
    run_hook(scene, "pre-commit")
    mark = (scene.uam / "inflight" / str(os.getpid())).read_text()
    assert mark == f"ref: refs/heads/main\n{scene.top / '.git'}\n{started(os.getpid())}\n"
    assert alive(os.getpid(), started(os.getpid()))
    assert not alive(os.getpid(), "1")
    assert alive(os.getpid())


def test_g2_a_commit_of_everything_that_met_a_settle_is_to_be_made_again(scene: Scene) -> None:
    """It has read the files while they were being moved."""
    mark = scene.uam / "settling" / str(os.getpid())
    mark.write_text(f"ref: refs/heads/main\n{started(os.getpid())}\n")
    (scene.top / "README").write_text("mine\n")
    process = scene.start("commit", "-q", "-a", "-m", "Say mine")
    until(lambda: list((scene.uam / "inflight").iterdir()), "the hook")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)
    mark.unlink()
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (1, "")
    assert err == "uam: a landing was being brought over here at the same moment: commit again.\n"
    scene.git("commit", "-q", "-a", "-m", "Say mine")


def test_a_settle_of_another_branch_holds_nothing_up(scene: Scene) -> None:
    (scene.uam / "settling" / str(os.getpid())).write_text("ref: refs/heads/other\n")
    assert run_hook(scene, "pre-commit") == ("", [])


def test_h10_a_hook_that_is_not_executable_is_named_as_by_git(plain: Scene) -> None:
    """git's own t7520: ours stand where git would have looked."""
    hooks = [plain.top / ".git" / "hooks" / name for name in ("pre-commit", "pre-push")]
    for hook in hooks:
        script(hook, "exit 1\n").chmod(0o644)
    said = "hint: The '{}' hook was ignored because it's not set as executable.\n"
    (plain.top / "a").write_text("a\n")
    plain.git("add", "a")
    alone = plain.run("commit", "-q", "-m", "Add a").err
    assert said.format(".git/hooks/pre-commit") in alone
    plain.install()
    assert plain.run("commit", "-q", "--allow-empty", "-m", "More").err == alone
    assert said.format(".git/hooks/pre-push") in plain.push().err
    plain.git("config", "advice.ignoredHook", "false")
    assert "hint" not in plain.run("commit", "-q", "--allow-empty", "-m", "More").err
