"""The hook door: a push to a remote that is not wired is queued by pre-push, which can only say no."""

from __future__ import annotations

import pytest

from tests.support.scenes import TRACKING, Scene, script

REFUSED = "error: failed to push some refs to '{}'\n"


def queued(url: str, where: str, action: int = 2) -> str:
    return (
        f"uam: queued as #{action} for {where}; it lands within 0 s (git uam status)\n"
        'uam: git now reports that the push failed, because a hook cannot say "accepted"; '
        f"`git uam wait {action}` says how it ends.\n" + REFUSED.format(url)
    )


def test_a_push_is_queued_refused_and_lands(unwired: Scene) -> None:
    unwired.commit("a")
    tip = unwired.commit("b")
    assert unwired.push() == (1, "", queued(str(unwired.remote), "origin/main"))
    unwired.idle()
    assert unwired.landed() == ["Squashed 2 commits:"]
    assert unwired.oid(TRACKING) == unwired.there() == unwired.oid("main")
    assert unwired.oid(f"refs/uam/pin/{tip}") in (tip, "")
    assert unwired.clean()
    assert unwired.push() == (0, "", "Everything up-to-date\n")
    assert len(unwired.pushes()) == 1


@pytest.mark.parametrize("form", ["path", "file"])
def test_a_url_on_the_command_line(unwired: Scene, form: str) -> None:
    url = str(unwired.remote) if form == "path" else f"file://{unwired.remote}"
    tip = unwired.commit("a")
    done = unwired.push(url, "main")
    assert (done.code, done.out) == (1, "")
    assert done.ours[0].startswith(f"queued as #2 for {url}/main; it lands within ")
    assert done.err.endswith(REFUSED.format(url))
    unwired.idle()
    assert unwired.there() == tip


def test_a_pushinsteadof_of_the_users_own_leads_a_url_past_the_wired_door(scene: Scene) -> None:
    scene.git("config", f"url.{scene.root}/.pushInsteadOf", "work:")
    tip = scene.commit("a")
    done = scene.push("work:origin.git", "main")
    assert (done.code, done.ours[0].partition(";")[0]) == (1, "queued as #2 for work:origin.git/main"), done
    scene.idle()
    assert scene.there() == tip


def test_history_from_before_us_is_not_flattened(scene: Scene) -> None:
    scene.outside.git("init", "-q", "--bare", "later.git")
    scene.git("remote", "add", "later", str(scene.root / "later.git"))
    scene.commit("a")
    scene.commit("b")
    assert scene.push("later", "main").code == 0
    there = scene.outside.git("--git-dir", "later.git", "log", "--format=%s", "main")
    assert there.splitlines() == ["Add b", "Add a", "Begin"]
    assert scene.oid("refs/remotes/later/main") == scene.outside.git("--git-dir", "later.git", "rev-parse", "main")


def test_dry_run_leaves_the_queue_alone(unwired: Scene) -> None:
    tip = unwired.commit("a")
    unwired.report()
    before = unwired.queue()
    done = unwired.push("--dry-run")
    assert done == (0, "", f"To {unwired.remote}\n   {unwired.start_oid[:7]}..{tip[:7]}  main -> main\n")
    assert unwired.push("-n").code == 0
    assert unwired.queue() == before
    assert unwired.flushers() == []
    assert unwired.there() == unwired.start_oid


def test_no_verify_and_uam_off_go_past_it(unwired: Scene) -> None:
    first = unwired.commit("a")
    assert unwired.push("--no-verify").code == 0
    assert unwired.there() == first
    second = unwired.commit("b")
    assert unwired.push(UAM="off") == (
        0, "", f"To {unwired.remote}\n   {first[:7]}..{second[:7]}  main -> main\n",
    )  # fmt: skip
    third = unwired.commit("c")
    assert unwired.run("-c", "uam.enabled=false", "push").code == 0
    assert unwired.there() == third
    assert unwired.pushed() == []


def test_a_url_with_a_password_goes_straight_and_is_written_nowhere(scene: Scene) -> None:
    secret = "hunter2-s3cret"  # noqa: S105 - it must not be found again
    # stands for ssh: runs what the other side would run
    ssh = script(scene.root / "ssh", 'for last; do :; done\nexec sh -c "$last"\n')
    scene.commit("a")
    scene.commit("b")
    url = f"ssh://me:{secret}@host.invalid{scene.remote}"
    done = scene.push(url, "main", GIT_SSH=str(ssh), GIT_SSH_VARIANT="simple")
    assert done.code == 0, done
    assert scene.landed() == ["Add a", "Add b"]
    assert done.ours == [
        f"ssh://***@host.invalid{scene.remote} contains a password, which the queue would have to store;"
        " this push goes straight."
    ]
    assert secret not in done.err + done.out
    off = scene.push(url, "HEAD:other", GIT_SSH=str(ssh), GIT_SSH_VARIANT="simple", UAM="off")
    assert off.code == 0
    assert secret not in off.err + off.out
    scene.idle()
    assert scene.pushed() == []
    found = [path for path in scene.uam.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert found == []


def test_a_password_that_git_sees_is_written_nowhere(scene: Scene) -> None:
    """Nothing rewrites the URL: the push cannot work, and its words must not repeat the password."""
    secret = "hunter2-s3cret"  # noqa: S105 - it must not be found again
    scene.commit("a")
    proxy = {"https_proxy": "http://127.0.0.1:9", "GIT_TERMINAL_PROMPT": "0"}
    done = scene.push(f"https://me:{secret}@host.invalid/a.git", "main", **proxy)
    assert done.code != 0
    assert secret not in done.err + done.out
    found = [path for path in scene.uam.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert found == []


def test_a_push_that_no_fast_forward_could_be_was_forced(unwired: Scene) -> None:
    unwired.commit("a")
    unwired.push(UAM="off")
    unwired.git("commit", "-q", "--amend", "-m", "Add a again")
    assert unwired.push().code == 1  # git itself: behind
    assert unwired.pushed() == []
    assert unwired.push("--force").code == 1
    unwired.idle()
    assert unwired.landed() == ["Add a again"]
    assert unwired.there() == unwired.oid("main")


def test_a_deletion_and_a_tag(unwired: Scene) -> None:
    unwired.git("tag", "v1")
    unwired.push("origin", "main:topic", UAM="off")
    assert unwired.push("origin", "v1", ":topic").code == 1
    unwired.idle()
    assert unwired.there("refs/tags/v1") == unwired.start_oid
    assert unwired.there("refs/heads/topic") == ""


def test_manual_mode(unwired: Scene) -> None:
    unwired.git("config", "uam.push.mode", "manual")
    unwired.commit("a")
    done = unwired.push()
    assert done.code == 1
    assert done.ours[0] == "queued as #2 for origin/main; `git uam flush` lands it (git uam status)"
    assert unwired.flushers() == []
    assert unwired.run("uam", "flush").code == 0
    assert unwired.landed() == ["Add a"]


def test_a_kept_pre_push_hook_is_asked_first(plain: Scene) -> None:
    asked = plain.root / "asked"
    script(plain.top / ".git" / "hooks" / "pre-push", f'echo "$@" >>"{asked}"\ncat >>"{asked}"\nexit 1\n')
    plain.install(hooks_only=True)
    tip = plain.commit("a")
    assert plain.push().code == 1
    assert plain.pushed() == []
    assert asked.read_text().splitlines() == [
        f"origin {plain.remote}",
        f"refs/heads/main {tip} refs/heads/main {plain.start_oid}",
    ]


@pytest.mark.parametrize("way", ["UAM=off", "uam.enabled=false"])
def test_a_mirror_that_goes_past_us_leaves_our_refs_here(unwired: Scene, way: str) -> None:
    unwired.commit("a")
    unwired.commit("b")
    unwired.push()
    unwired.idle()
    off = way == "UAM=off"
    done = unwired.push("--mirror", UAM="off") if off else unwired.run("-c", way, "push", "--mirror")
    assert done.code == 1
    assert "uam: refs/uam/ belongs to this repository and is never pushed;" in done.err
    assert unwired.bare.git("for-each-ref", "refs/uam") == ""
    assert unwired.push("origin", "main", UAM="off").code == 0
