"""Bytes that are no UTF-8, and charsets that are none: in names of branches and files, and in messages."""

from __future__ import annotations

import json
import os

import pytest

from tests.support.landscape import by_hand, flushed, queue, states
from tests.support.scenes import Scene
from uam_hooks.hot.core.objects import Commit

BRANCH = os.fsdecode(b"br\xff\xc3anch")
FILE = os.fsdecode(b"d/f\xffile")


@pytest.mark.parametrize("charset", ["idna", "punycode", "rot13", "unicode_escape", "undefined", "no such thing"])
def test_b4_a_charset_that_is_none_stops_nothing(scene: Scene, charset: str) -> None:
    scene.git("config", "i18n.commitEncoding", charset)
    scene.commit("a", message="Add a..b\u00e9 " + "x" * 70)
    scene.commit("b")
    assert scene.git("uam", "status")
    assert scene.push().code == 0
    assert scene.landed() == ["Squashed 2 commits:"]
    assert "Add a..b\u00e9 xxx" in scene.bare.git("show", "-s", "--format=%B", "main")


@pytest.mark.parametrize("charset", [b"a\0b", b"\xff", b"aliases", b"utf_7", b"unicode_escape", b"hex", b"." * 5000])
def test_b4_a_charset_that_git_would_not_write(charset: bytes) -> None:
    commit = Commit("", "", (), b"", b"", b"one\\x41 two\n", charset)
    assert commit.subject == "one\\x41 two"


@pytest.mark.parametrize(("charset", "raw"), [(b"ISO-8859-1", b"\xe9"), (b"cp1252", b"\xe9"), (b"UTF-8", b"\xc3\xa9")])
def test_a_charset_is_what_a_message_is_read_in(charset: bytes, raw: bytes) -> None:
    assert Commit("", "", (), b"", b"", raw, charset).subject == "\u00e9"


def test_b5_a_branch_whose_name_is_no_utf8_lands(scene: Scene) -> None:
    scene.git("config", "uam.squash.branches", "*")
    scene.git("checkout", "-q", "-b", BRANCH)
    scene.commit("a")
    scene.commit("b")
    done = scene.push("origin", BRANCH)
    assert done.code == 0, done
    assert scene.bare.subjects("-1", BRANCH) == ["Squashed 2 commits:"]
    assert scene.oid(f"refs/remotes/origin/{BRANCH}") == scene.there(f"refs/heads/{BRANCH}") == scene.oid("HEAD")
    assert scene.clean()
    tip = scene.commit("c")
    assert scene.push("origin", f"HEAD:refs/heads/{BRANCH}").code == 0
    assert scene.there(f"refs/heads/{BRANCH}") == tip
    shown = json.loads(scene.git("uam", "show", "--json", "1"))
    assert shown["landings"][0]["status"] == "landed"
    for command in (["show", "1"], ["status"], ["status", "--json"], ["sync"]):
        assert scene.run("uam", *command).code == 0, command
    assert scene.push("origin", f":refs/heads/{BRANCH}").code == 0
    assert scene.there(f"refs/heads/{BRANCH}") == ""


def test_b5_a_branch_whose_name_is_no_utf8_at_the_hook_door(unwired: Scene) -> None:
    unwired.git("checkout", "-q", "-b", BRANCH)
    tip = unwired.commit("a")
    done = unwired.push("origin", BRANCH)
    assert done.code == 1
    assert any(line.startswith("queued as #") for line in done.ours), done
    unwired.idle()
    assert unwired.there(f"refs/heads/{BRANCH}") == tip


def test_b5_commits_on_such_a_branch_wait_under_its_name(quiet: Scene) -> None:
    quiet.git("checkout", "-q", "-b", BRANCH)
    quiet.commit("a")
    quiet.commit("b")
    (waiting,) = quiet.report()["waiting"]
    assert len(waiting["members"]) == 2
    assert quiet.run("uam", "status").code == 0
    assert quiet.run("uam", "flush").code == 0
    assert quiet.subjects("-1", BRANCH) == ["Squashed 2 commits:"]


def test_b5_a_conflict_in_a_file_whose_name_is_no_utf8_is_told(scene: Scene) -> None:
    by_hand(scene)
    agent = scene.worktree("agent")
    scene.commit(FILE, "mine\n")
    queue(scene)
    agent.commit(FILE, "theirs\n")
    queue(agent)
    flushed(scene)
    assert states(scene) == ["landed", "failed"]
    outcome = json.loads(scene.rows("sources")[1]["outcome"])
    assert outcome["files"] == [FILE]
    assert outcome["error"].startswith(f"conflict in {FILE} with the work of")
    for command in (["status"], ["status", "--json"], ["show", "1"], ["show", "--json", "1"]):
        done = scene.run("uam", *command)
        assert done.code == 0
        assert "conflict in d/f" in done.out, done


def test_b5_the_waiting_push_says_where_it_conflicts(scene: Scene) -> None:
    agent = scene.worktree("agent")
    agent.commit(FILE, "theirs\n")
    assert agent.push("origin", "HEAD:main").code == 0
    scene.commit(FILE, "mine\n")
    done = scene.push()
    assert done.code == 1
    assert "(conflict in d/f" in done.err, done
    assert len([line for line in done.ours if "your commits are untouched" in line]) == 1


def test_b5_a_worktree_whose_path_is_no_utf8(scene: Scene) -> None:
    agent = scene.worktree(os.fsdecode(b"tr\xffee"), "-b", "agent")
    agent.commit("a")
    agent.commit("b")
    done = agent.push("origin", "HEAD:main", UAM_AGENT_ID="")
    assert done.code == 0, done
    assert scene.landed() == ["Squashed 2 commits:"]
    assert agent.oid("HEAD") == scene.there()
    assert scene.run("uam", "status").code == 0
