"""`git uam fleet`: what a person does and reads, and what is left in the clone, on the remote and in the database."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tests.fleet.conftest import machine
from tests.support.commands import call, refused, said, told
from tests.support.queueing import change
from tests.support.scenes import Done, Scene, Worktree, until
from tests.support.shapes import Seen
from uam_hooks.fleet import address, database
from uam_hooks.fleet.database import Fleet
from uam_hooks.fleet.values import Branch, FleetRefused
from uam_hooks.hot.queue.reasons import in_words, reason

AWAY = "postgresql://uam@/fleet?host=/nowhere"
MAIN = Branch("origin", "refs/heads/main")
PASSWORD = "hunter2"  # noqa: S105 - it is to be seen nowhere


def config(scene: Worktree) -> str:
    return (scene.top / ".git" / "config").read_text()


def joined(scene: Worktree, url: str, *more: str) -> Done:
    done = call(scene, "fleet", "join", url, *more)
    assert done.code == 0, done
    return done


def hidden(scene: Scene) -> list[str]:
    return [ref for ref in scene.bare.git("for-each-ref", "--format=%(refname)").splitlines() if "/uam/" in ref]


@contextmanager
def another(url: str, name: str = "origin") -> Iterator[Fleet]:
    """Another machine of the fleet, which lands main and does not get to it."""
    database.join(url, name, machine(1))
    with closing(Fleet(url, name, machine(1))) as fleet:
        assert fleet.hold(MAIN)
        yield fleet


def handed_over(scene: Scene, name: str = "b") -> int:
    """Push something that another machine is to land; gives its number."""
    scene.git("config", "uam.push.mode", "queue")
    scene.commit(name, message=f"Add {name}")
    scene.git("push", "-q", "origin", "main")
    until(lambda: any(row["entrusted"] for row in scene.rows("deploy_queue")), "the push in other hands")
    return int(next(row["id"] for row in scene.rows("deploy_queue") if row["entrusted"]))


# -- joining -------------------------------------------------------------------------------------------------


def test_a_clone_joins_looks_and_leaves(scene: Scene, url: str) -> None:
    before = config(scene)
    assert said(scene, "fleet", "status").startswith("this clone is in no fleet; ")
    Seen().check("fleet status", told(scene, "fleet", "status"))
    assert joined(scene, url).out.splitlines() == [
        "origin takes hidden refs and atomic pushes",
        f"this clone is in the fleet origin now, as {name_of(scene)}",
        "Commit and push as always; git uam fleet status shows who lands what.",
    ]
    after = config(scene)
    assert (scene.git("config", "uam.fleet"), scene.git("config", "uam.fleet.url")) == ("origin", url)
    assert (hidden(scene), len(scene.pushes())) == ([], 2)  # the probe came and went
    assert joined(scene, url).out == f"this clone is in the fleet origin already, as {name_of(scene)}\n"
    assert (config(scene), len(scene.pushes())) == (after, 2)
    refused(call(scene, "fleet", "join", url, "--name", "other"), 4, "is in the fleet origin already", "fleet leave")
    refused(call(scene, "fleet", "join", AWAY), 4, "is in a fleet in another database already", "fleet leave")
    with another(url):
        assert said(scene, "fleet", "status").splitlines()[:2] == [
            "fleet:   origin, 2 machines",
            "machine" + " " * (len(f"{name_of(scene)} (this clone)") - 5) + "seen     gates and squashes",
        ]
        found = told(scene, "fleet", "status")
        assert [(one["name"], one["here"]) for one in found["machines"]] == [(name_of(scene), True), ("clone-1", False)]
        assert [(one["where"], one["holder"]) for one in found["branches"]] == [("origin/main", "clone-1")]
        assert (found["agrees"], found["requires"]) == (False, False)  # that machine has said nothing of its gates
    assert said(scene, "fleet", "leave") == "this clone has left the fleet origin; its pushes land from here"
    assert config(scene) == before
    refused(call(scene, "fleet", "leave"), 4, "This clone is in no fleet.")
    with another(url) as fleet:
        assert [one.machine.name for one in fleet.status().machines] == ["clone-1"]


def name_of(scene: Scene) -> str:
    return f"{socket.gethostname()}:{scene.top.name}"


def test_what_cannot_be_a_fleet_is_refused_and_no_password_is_shown(scene: Scene, url: str) -> None:
    before = config(scene)
    for wrong, code, words in (
        (f"postgresql://ada:{PASSWORD}@db/shop", 2, "holds a password"),
        (f"postgresql://db/shop?password={PASSWORD}", 2, "holds a password"),
        (f"postgresql://db/shop?sslpassword={PASSWORD}", 2, "holds a password"),
        (f"postgresql://db/shop?pass%77ord={PASSWORD}", 2, "holds a password"),
        (f"mysql://ada:{PASSWORD}@db/shop", 2, "holds a password"),
        ("mysql://db/shop", 2, "is not the URL of a PostgreSQL database"),
        ("service=a b", 2, "is not the URL of a PostgreSQL database"),
        (AWAY, 1, "The fleet's database does not answer"),
        (url.replace("/fleet", "/nothing"), 4, "is not there"),
    ):
        done = call(scene, "fleet", "join", wrong)
        refused(done, code, words)
        assert PASSWORD not in done.err + done.out
    refused(call(scene, "fleet", "join", url, "--name", "a/b"), 2, "A fleet cannot be called 'a/b'")
    refused(call(scene, "fleet", "join", url, "--remote", "upstream"), 2, "There is no remote 'upstream' here.")
    assert (config(scene), hidden(scene)) == (before, [])


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("receive.advertiseAtomic", "false", "does not take hidden refs"),
        ("transfer.hideRefs", "refs/uam", "does not take hidden refs"),
        ("uploadpack.hideRefs", "refs/uam", "shows them to nobody"),
    ],
)
def test_a_remote_that_a_fleet_cannot_use_is_refused_before_anything_is_written(
    scene: Scene, url: str, setting: str, value: str, words: str
) -> None:
    before = config(scene)
    scene.bare.git("config", setting, value)
    refused(call(scene, "fleet", "join", url), 4, "origin", words, "A fleet needs them.")
    scene.bare.git("config", "--unset", setting)
    assert (config(scene), hidden(scene)) == (before, [])
    with pytest.raises(FleetRefused, match="no fleet"):
        Fleet(url, "origin", machine(1))


def test_machines_that_have_to_agree_are_refused_where_they_do_not(scene: Scene, url: str) -> None:
    joined(scene, url, "--name", "shop", "--require-agreement", "--on-loss", "local")
    assert scene.git("config", "uam.fleet.onLoss") == "local"
    scene.outside.git("clone", "-q", str(scene.remote), "other")
    other = Worktree(scene.root / "other", scene.env)
    assert call(other, "install").code == 0
    other.git("config", "uam.gate.tests.command", "true")
    refused(call(other, "fleet", "join", url, "--name", "shop"), 4, "are not those of the other machines", "a digest")
    other.git("config", "--unset", "uam.gate.tests.command")
    joined(other, url, "--name", "shop")
    found = told(scene, "fleet", "status")
    Seen().check("fleet status", found)
    assert (found["requires"], found["agrees"], len(found["machines"])) == (True, True, 2)
    assert call(other, "uninstall").out.splitlines()[0] == "this clone has left the fleet shop"
    assert len(told(scene, "fleet", "status")["machines"]) == 1
    assert "[uam" not in config(other)


def test_without_psycopg_a_fleet_says_how_to_get_it(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "find_spec", lambda _name: None)
    refused(call(scene, "fleet", "join", AWAY), 5, "psycopg", "install 'uam-hooks[fleet]'", "install.sh --fleet URL")


# -- in other hands ------------------------------------------------------------------------------------------


def test_a_push_that_another_machine_is_to_land_says_so_and_is_cancelled(scene: Scene, url: str) -> None:
    joined(scene, url)
    with another(url) as fleet:
        assert handed_over(scene) == 2
        done = scene.run("-c", "uam.push.mode=wait", "-c", "uam.push.waitTimeout=100ms", "push", "origin", "main")
        assert done.code == 1
        assert done.ours == [
            "#2 for origin/main is handed over to the fleet origin; another machine lands it. Pushing again waits on.",
        ]
        assert "(not landed yet, nothing is wrong: #2 is in the hands of the fleet origin; git uam wait 2)" in done.err
        with scene.store() as store:
            why = reason(store, [2], time.time())
        assert why is not None and in_words(why, time.time()) == (
            "handed over to the fleet origin; another machine lands it"
        )
        lines = said(scene, "status").splitlines()
        assert "fleet:   #2 is in the hands of the fleet origin" in lines
        assert "next:    nothing: what waits was handed over, and is landed elsewhere" in lines
        state = told(scene, "status")
        Seen().check("status", state)
        assert [state["fleet"], *(row["handed_to"] for row in state["waiting"])] == ["origin", None, "origin"]
        found = told(scene, "fleet", "status")
        Seen().check("fleet status", found)
        assert found["handed_over"] == [2]
        assert [one["waiting"][0]["machine"] for one in found["branches"]] == [name_of(scene)]
        refused(call(scene, "fleet", "leave"), 4, "1 push is in the hands of the fleet: #2 for origin/main", "--force")
        (ref,) = hidden(scene)
        done = call(scene, "cancel", "2")
        assert (done.code, done.out) == (0, "#2 is cancelled; commits in it stay in refs/uam/pin/\n")
        assert done.ours == [
            "#2 was taken home from the fleet origin; what that one has begun to land before lands all the same"
        ]
        assert fleet.waiting(MAIN, "") == []
        # what it was called there has ended: once more it has another name
        call(scene, "retry", "2")
        until(lambda: any(row["entrusted"] for row in scene.rows("deploy_queue") if row["id"] > 2), "it in their hands")
        assert len(hidden(scene)) == 1 and ref not in hidden(scene)
        scene.close()


def test_who_leaves_by_force_takes_home_what_nobody_has_landed(scene: Scene, url: str) -> None:
    joined(scene, url)
    with another(url) as fleet:
        number = handed_over(scene)
        done = call(scene, "fleet", "leave", "--force")
        assert done.code == 0
        assert f"taken home, and landed from here: #{number}" in done.out.splitlines()
        assert fleet.status().waiting == ()
        assert len(fleet.status().machines) == 1
    scene.idle()
    assert (scene.landed(), hidden(scene)) == (["Add b"], [])


def test_without_its_database_a_clone_leaves_by_force_alone(scene: Scene, url: str) -> None:
    joined(scene, url)
    with another(url):
        number = handed_over(scene)
        scene.close()
    scene.git("config", "uam.fleet.url", AWAY)
    refused(call(scene, "fleet", "status"), 1, "The fleet's database does not answer")
    refused(call(scene, "cancel", str(number)), 1, "The fleet's database does not answer")
    # nobody can be asked who lands it: neither the database, nor the remote that has its hidden ref
    away = scene.remote.rename(scene.root / "away")
    before = sorted(scene.git("config", "-l", "--local").splitlines())
    refused(call(scene, "fleet", "leave", "--force"), 4, "Neither the fleet's database nor origin can be asked")
    assert sorted(scene.git("config", "-l", "--local").splitlines()) == before
    away.rename(scene.remote)
    done = call(scene, "fleet", "leave", "--force")
    assert done.code == 0, done
    assert [line.partition(" (")[0] for line in done.ours] == [
        "the fleet's database was not asked: The fleet's database does not answer"
    ]
    scene.idle()
    assert (scene.landed(), hidden(scene)) == (["Add b"], [])


def test_what_waited_for_the_database_is_not_said_to_wait_for_it_when_it_is_back(scene: Scene, url: str) -> None:
    joined(scene, url)
    scene.git("config", "uam.fleet.url", AWAY)
    scene.git("config", "uam.push.mode", "queue")
    scene.commit("a", message="Add a")
    scene.git("push", "-q", "origin", "main")
    until(lambda: any(row["error"] for row in scene.rows("deploy_queue")), "a database that does not answer")
    assert any(line.startswith("waits:   The fleet's database does not answer") for line in status(scene))
    with another(url):
        scene.git("config", "uam.fleet.url", url)
        until(lambda: any(row["entrusted"] for row in scene.rows("deploy_queue")), "the push in other hands")
        assert not any(line.startswith("waits:") for line in status(scene))
        scene.close()


def status(scene: Scene) -> list[str]:
    return said(scene, "status").splitlines()


def test_a_clone_that_waits_for_nothing_does_not_leave_a_database_that_is_away_unasked(scene: Scene) -> None:
    scene.git("config", "uam.fleet", "shop")
    scene.git("config", "uam.fleet.url", AWAY)
    refused(call(scene, "fleet", "leave"), 4, "The fleet's database does not answer", "git uam fleet leave --force")
    refused(call(scene, "uninstall"), 4, "The fleet's database does not answer")
    assert call(scene, "uninstall", "--force").code == 0
    assert "fleet" not in config(scene)


# -- the doctor ----------------------------------------------------------------------------------------------


def findings(scene: Scene) -> dict[str, str]:
    done = call(scene, "doctor", "--json")
    assert PASSWORD not in done.out + done.err
    return {one["code"]: one["means"] for one in json.loads(done.out)["findings"]}


def test_the_doctor_sees_what_is_wrong_with_a_fleet(scene: Scene, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    joined(scene, url)
    assert findings(scene) == {}
    scene.git("config", "uam.fleet.url", url.replace("/fleet", "/nothing"))
    assert [*findings(scene)] == ["fleet-refused"]
    scene.git("config", "uam.fleet.url", AWAY)
    assert [*findings(scene)] == ["fleet-away"]
    scene.git("config", "uam.fleet.url", f"postgresql://ada:{PASSWORD}@db/shop")
    assert [*findings(scene)] == ["fleet-secret"]
    scene.git("config", "--unset", "uam.fleet.url")
    assert [*findings(scene)] == ["fleet-half"]
    scene.git("config", "uam.fleet.url", AWAY)
    monkeypatch.setattr("uam_hooks.doctor.fleet.find_spec", lambda _name: None)
    assert [*findings(scene)] == ["fleet-extra-missing"]


def test_the_doctor_sees_what_a_fleet_has_left_behind(scene: Scene) -> None:
    scene.git("config", "uam.push.mode", "manual")
    scene.commit("a", message="Add a")
    scene.git("push", "-q", "origin", "main")
    name = "00000000-0000-4000-8000-00000000000a"
    scene.git("update-ref", f"refs/uam/pin/{scene.oid('HEAD')}", "HEAD")
    scene.bare.git("fetch", "-q", str(scene.top), f"main:refs/uam/fleet/{name}")
    change(scene, "UPDATE sources SET entry = ?, owed = 1 WHERE status = 'pending'", name)
    assert [*findings(scene)] == ["fleet-refs-left"]
    change(scene, "UPDATE deploy_queue SET entrusted = 'gone' WHERE action_type = 'push'")
    assert sorted(findings(scene)) == ["fleet-lost", "fleet-refs-left"]
    assert call(scene, "fleet", "leave", "--force").code == 0
    assert (findings(scene), hidden(scene)) == ({}, [])
    call(scene, "flush")
    assert scene.landed() == ["Add a"]
