"""What cannot be stored, sent or started is refused with a sentence before anything is queued; the rest goes on."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path

import pytest

from tests.support import trees
from tests.support.commands import call, refused, unchanged
from tests.support.landscape import by_hand, environment, flushed, inside, queue, states
from tests.support.queueing import acting, change, last_push, row
from tests.support.scenes import Scene
from uam_hooks.git.remote import RefUpdate, Remote
from uam_hooks.git.verdict import Pushed
from uam_hooks.hot.core.errors import GitFailed, GitNotStarted, UsageError
from uam_hooks.hot.core.plumbing import HotGit
from uam_hooks.hot.core.sideband import Speaking
from uam_hooks.store.returns import MOST_RELEASES

LONG = "x" * 131_060


def unheard(scene: Scene) -> Speaking:
    """For a push that no remote says anything of."""
    return Speaking(scene.root / "said", defaultdict(int), lambda: None)


@pytest.mark.parametrize("options", [["-o", LONG], [f"-o{'y' * 16_000}{n}" for n in range(17)]], ids=["one", "all"])
def test_b2_push_options_that_no_process_can_take_are_refused(scene: Scene, options: list[str]) -> None:
    scene.bare.git("config", "receive.advertisePushOptions", "true")
    scene.commit("a")
    done = scene.push(*options, "origin", "main")
    assert done.code == 1
    assert "bytes; at most" in done.err, done.err[-400:]
    assert scene.rows("sources") == []
    assert scene.there() == scene.start_oid
    assert scene.push("-o", "z" * 16_000, "origin", "main").code == 0
    assert scene.there() == scene.oid("HEAD")


def test_b2_a_git_that_cannot_be_started_is_a_failure(scene: Scene) -> None:
    with inside(scene) as session:
        for run in (session.repo.run, HotGit(scene.paths.git_dir, scene.top).run):
            for wrong in (LONG * 2, "a\0b", "a\ud800"):
                with pytest.raises(GitNotStarted) as found:
                    run("rev-parse", wrong, ok=None)
                assert not found.value.transient
                assert len(found.value.what) < 300
            with pytest.raises(GitFailed):
                run("rev-parse", "HEAD", at=scene.root / "nowhere")
        remote = Remote(session.repo, session.settings, "origin")
        tip = scene.commit("a")
        (outcome,) = remote.push(
            [RefUpdate("refs/heads/main", scene.start_oid, tip)], [LONG], False, unheard(scene)
        ).values()
        assert (outcome.pushed, outcome.transient) == (Pushed.REJECTED, False)


def test_b2_more_refs_than_fit_into_one_command_are_several(scene: Scene) -> None:
    tip = scene.commit("a")
    names = [f"refs/heads/{'d' * 200}/{'e' * 200}/{n}" for n in range(2300)]
    with inside(scene) as session:
        remote = Remote(session.repo, session.settings, "origin")
        there = remote.observe(names)
        found = remote.push([RefUpdate(name, there[name], tip) for name in names], [], False, unheard(scene))
    assert {outcome.pushed for outcome in found.values()} == {Pushed.LANDED}
    assert len(scene.bare.git("for-each-ref", "refs/heads/ddd*", "refs/heads/" + "d" * 200).splitlines()) == 2300


def test_b2_what_is_given_back_after_crashes_ends(scene: Scene) -> None:
    """Its flush dies each time; at last it fails, and says so."""
    by_hand(scene)
    scene.commit("a")
    queue(scene)
    change(scene, "UPDATE deploy_queue SET released = ? WHERE action_type = 'push'", MOST_RELEASES - 1)
    for _ in range(2):
        assert scene.run("uam", "flush", UAM_DIE_AT="pinned").code != 0
    assert scene.run("uam", "status").code == 0
    found = row(scene, last_push(scene))
    assert (found["status"], states(scene)) == ("failed", ["failed"])
    assert "its flush ended before it was done" in found["error"]
    assert scene.run("uam", "retry", str(found["id"])).code == 0
    flushed(scene)
    assert scene.there() == scene.oid("HEAD")


def test_b4_a_payload_that_cannot_be_stored_is_refused(stocked: Scene) -> None:
    deep: object = 1
    for _ in range(984):
        deep = {"a": deep}
    payloads: list[dict[str, object]] = [
        {"ref": "main", "inputs": {"a": "\ud800"}},
        {"ref": "main", "inputs": {"a": "b\0c"}},
        {"ref": "main", "inputs": {"a": "x" * 70_000}},
        {"ref": "main", "inputs": {f"a{n}": "x" * 60_000 for n in range(3)}},
        {"ref": "main", "inputs": {"a": deep}},
        {"ref": "main", "inputs": {"a": float("nan")}},
    ]
    with unchanged(stocked), acting(stocked) as queued:
        for payload in payloads:
            with pytest.raises(UsageError):
                queued.queue("ada", "workflow", "test.yml", payload)
        for more in ({"a": deep}, {"a": "x" * 1_100_000}, {"a": "\udc00\ud800"}, {"a\0": 1}):
            with pytest.raises(UsageError):
                queued.queue("ada", "deploy", "prod", {"ref": "main", **more})
        for agent in ("a\ud800", "a" * 2000, "a\nb"):
            with pytest.raises(UsageError):
                queued.queue(agent, "deploy", "prod", {"ref": "main"})
    with unchanged(stocked):
        text = '{"a": ' * 984 + "1" + "}" * 984
        refused(call(stocked, "queue", "--action-type", "deploy", "--target", "prod", "--payload", text), 2)
        for number in ("9" * 30, "-1"):
            assert call(stocked, "cancel", number).code in (2, 4)


def test_b4_an_input_that_no_process_takes_ends_no_other_command(stocked: Scene) -> None:
    """An older version let it in: another agent's deploy goes on beside it."""
    with acting(stocked) as queued:
        queued.queue("ada", "workflow", "test.yml", {"ref": "main", "inputs": {"a": "b"}})
        queued.queue("bob", "deploy", "prod", {"ref": "main"})
    change(stocked, "UPDATE deploy_queue SET payload = ? WHERE action_type = 'workflow'",
           json.dumps({"ref": "main", "inputs": {"a": "\ud800"}}))  # fmt: skip
    assert "Traceback" not in stocked.run("uam", "flush").err
    assert [r["status"] for r in stocked.rows("deploy_queue") if r["asked"]] == ["failed", "completed"]


def test_b2_a_command_that_cannot_be_started_ends_no_other(stocked: Scene) -> None:
    config = stocked.top / ".git" / "config"
    config.write_text(f'{config.read_text()}[uam "deploy.bad"]\n\tcommand = printf {"x" * 140_000}\n')
    with acting(stocked) as queued:
        queued.queue("ada", "deploy", "bad", {"ref": "main"})
        queued.queue("bob", "deploy", "prod", {"ref": "main"})
    assert stocked.run("uam", "flush").code == 1
    assert [r["status"] for r in stocked.rows("deploy_queue") if r["asked"]] == ["failed", "completed"]


def test_an_agent_whose_name_is_endless_is_refused(scene: Scene) -> None:
    scene.commit("a")
    done = scene.push(UAM_AGENT_ID="a" * 5000)
    assert done.code == 1
    assert "agent's name" in done.err
    assert scene.rows("sources") == []


# -- a remote's refs that are at no commit ---------------------------------------------------------------------


def spoiled(scene: Scene, ref: str, oid: str) -> None:
    """Let the remote have `ref` at any object: update-ref would refuse a branch that is no commit."""
    path = scene.remote / ref
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{oid}\n")


@pytest.mark.parametrize("kind", ["blob", "tree"])
def test_c6_a_branch_that_is_no_commit_is_not_tracked(scene: Scene, kind: str) -> None:
    oid = trees.blob(scene.bare, b"text\n").oid if kind == "blob" else scene.bare.oid("main^{tree}")
    spoiled(scene, "refs/heads/bad", oid)
    scene.commit("a")
    done = scene.push("origin", "HEAD:bad")
    assert done.code == 1
    assert "(needs force)" in done.err, done
    assert scene.oid("refs/remotes/origin/bad") == ""
    scene.git("checkout", "-q", "-b", "new")
    scene.commit("b")
    done = scene.push("origin", "HEAD:new")
    assert (done.code, scene.there("refs/heads/new")) == (0, scene.oid("HEAD")), done
    assert scene.push("origin", "+HEAD:bad").code == 0
    assert scene.oid("refs/remotes/origin/bad") == scene.there("refs/heads/bad") == scene.oid("HEAD")


def test_c6_a_tracking_ref_that_is_no_commit_stops_nothing(scene: Scene) -> None:
    """An earlier version wrote it, or a fetch."""
    blob = trees.blob(scene, b"text\n").oid
    scene.git("update-ref", "refs/remotes/origin/bad", blob)
    scene.git("checkout", "-q", "-b", "new")
    scene.commit("b")
    done = scene.push("origin", "HEAD:new")
    assert (done.code, scene.there("refs/heads/new")) == (0, scene.oid("HEAD")), done
    assert scene.push("origin", "HEAD:bad").code == 0
    assert scene.there("refs/heads/bad") == scene.oid("HEAD")


@pytest.mark.parametrize("revision", ["blob", "HEAD^{tree}", "root"])
def test_c6_a_shadow_that_is_none_of_ours_stops_nothing(scene: Scene, revision: str) -> None:
    oids = {"blob": trees.blob(scene, b"text\n").oid, "root": scene.start_oid}
    scene.git("update-ref", "refs/uam/shadow/origin/main", oids.get(revision) or scene.oid(revision))
    scene.commit("a")
    scene.commit("b")
    done = scene.push()
    assert done.code == 0, done
    assert scene.landed() == ["Squashed 2 commits:"]
    assert scene.run("uam", "prune").code == 0


# -- the spool -------------------------------------------------------------------------------------------------


def test_b7_a_pipe_in_the_spool_holds_up_nobody(scene: Scene) -> None:
    os.mkfifo(scene.uam / "spool" / "pipe")
    scene.commit("a")
    assert scene.run("uam", "status").code == 0
    assert scene.push().code == 0
    assert (scene.uam / "spool" / "pipe").exists()


def test_b7_a_link_in_place_of_the_spool_reads_and_deletes_nothing(scene: Scene) -> None:
    elsewhere = scene.root / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "letter").write_text("rewrite\nDear Ada,\nend\n")
    (elsewhere / "other").write_text("a line\n")
    (scene.uam / "spool").rename(scene.root / "spool")
    (scene.uam / "spool").symlink_to(elsewhere)
    scene.commit("a")
    kept = {path.name for path in elsewhere.iterdir()}
    done = scene.run("uam", "status")
    assert done.code == 0
    assert "is no directory of ours" in done.err
    assert scene.push().code == 0
    assert {path.name for path in elsewhere.iterdir()} == kept
    assert scene.there() == scene.oid("HEAD")


def test_b7_a_link_in_the_spool_is_not_followed(scene: Scene, tmp_path: Path) -> None:
    letter = tmp_path / "letter"
    letter.write_text(f"commit\t{scene.start_oid}\trefs/heads/main\teve\t{scene.top}/.git\n")
    (scene.uam / "spool" / "link").symlink_to(letter)
    assert scene.run("uam", "status").code == 0
    assert scene.rows("queued_commits") == []
    assert letter.exists()


def test_b7_a_note_that_names_no_branch_is_taken_without_it(scene: Scene) -> None:
    oid = scene.start_oid
    note = f"commit\t{oid}\trefs/heads/../../x\t{'a' * 2000}\t{scene.top}/.git\n"
    (scene.uam / "spool" / f"{oid}.1").write_text(note)
    with environment(scene.env):
        assert scene.run("uam", "status").code == 0
    (found,) = scene.rows("queued_commits")
    assert (found["branch"], len(found["agent_id"]) < 100) == ("", True)
