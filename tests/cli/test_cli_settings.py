"""The commands about settings, urgency and the state of the queue."""

from __future__ import annotations

import re
import time

from tests.support.commands import (
    ME,
    asked,
    call,
    each,
    facts,
    refused,
    said,
    told,
    unchanged,
)
from tests.support.landscape import write
from tests.support.queueing import batcher, change, due_now
from tests.support.scenes import Scene
from tests.support.traces import traced
from uam_hooks.hot.queue.model import iso, seconds_of

# -- urgent ----------------------------------------------------------------------------------------------------------


def test_urgent(stocked: Scene) -> None:
    for kind in ("push", "deploy"):
        stocked.git("config", f"uam.window.{kind}", "20s")
    usual = {"commit": 30000, "push": 20000, "merge": 10000, "workflow": 5000, "deploy": 20000}
    short = {"commit": 2000, "push": 1000, "merge": 2000, "workflow": 1000, "deploy": 5000}
    assert facts(stocked, "urgent") == {"urgent": False, "until": None, "windows_ms": usual}
    assert facts(stocked, "urgent", "on") == {"urgent": True, "until": None, "windows_ms": short}
    assert said(stocked, "urgent").startswith("urgent mode is on; windows: commit 2 s, push 1 s, ")
    found = facts(stocked, "urgent", "on", "--for", "90s")
    assert 0 < seconds_of(found["until"]) - time.time() <= 90
    assert said(stocked, "urgent").startswith(f"urgent mode is on until {found['until']}; ")
    change(stocked, f"UPDATE urgent SET until = '{iso(time.time() - 1)}'")  # noqa: S608
    assert facts(stocked, "urgent")["urgent"] is False
    said(stocked, "urgent", "on")
    assert facts(stocked, "urgent", "off") == {"urgent": False, "until": None, "windows_ms": usual}


def test_urgent_of_nothing(stocked: Scene) -> None:
    each(stocked, [
        (("urgent", *args), 2, "")
        for args in (
            ("maybe",), ("off", "--for", "5m"), ("--for", "5m"), ("on", "--for", "0"), ("on", "--for", "-5"),
            ("on", "--for", "x"), ("on", "--for", "NaN"), ("on", "--for", "99999999999999d"), ("on", "off"),
            ("on", "--for"),
        )
    ])  # fmt: skip


# -- config ----------------------------------------------------------------------------------------------------------


def test_config(stocked: Scene) -> None:
    lines = said(stocked, "config").splitlines()
    own = stocked.top / ".git" / "config"
    assert f"uam.window.push = 50ms  # how long a push waits for company (set in {own}; default 5s)" in lines
    assert "uam.agent = (none)  # who acts here; `UAM_AGENT_ID` takes precedence" in lines
    found = facts(stocked, "config")["settings"]
    assert (found["uam.window.push"], found["uam.window.commit"], found["uam.agent"]) == ("50ms", "30s", "")
    assert said(stocked, "config", "uam.window.push", "7s") == "7s"
    assert stocked.git("config", "--local", "--get-all", "uam.window.push") == "7s"
    assert said(stocked, "config", "UAM.Window.Push") == "7s"
    assert facts(stocked, "config", "uam.window.push") == {"settings": {"uam.window.push": "7s"}}
    # in every worktree, for every program
    linked = stocked.worktree("linked")
    assert said(linked, "config", "uam.window.push") == "7s"
    with batcher(linked) as here:
        assert here.get_batch_window("push") == 7000
    # several values are one afterwards
    stocked.git("config", "--add", "uam.window.push", "8s")
    said(stocked, "config", "uam.window.push", "9s")
    assert stocked.git("config", "--local", "--get-all", "uam.window.push") == "9s"
    assert said(stocked, "config", "uam.window.push", "--unset") == "5s"
    assert said(stocked, "config", "--unset", "uam.window.push") == "5s"
    assert stocked.run("config", "uam.window.push").code == 1
    assert said(stocked, "config", "uam.window.push", "0") == "0"


def test_config_asks_git_where_settings_are_set_only_where_it_says_so(stocked: Scene) -> None:
    with traced(stocked) as trace:
        for args in (("uam.window.push",), ("--json",), ()):
            assert call(stocked, "config", *args).code == 0
    assert len([line for line in trace.here if "--show-origin --name-only" in line]) == 1


def test_config_explains(stocked: Scene) -> None:
    """Each setting says what it may be, and where it is set: the file that counts, of several."""
    found = facts(stocked, "config", "--explain")["settings"]
    assert set(found) == set(facts(stocked, "config")["settings"])
    assert all(one["allowed"] and one["meaning"] for one in found.values())
    own, persons = stocked.top / ".git" / "config", stocked.home / "gitconfig"
    assert found["uam.window.push"] == {
        "value": "50ms", "origin": str(own), "default": "5s", "meaning": "how long a push waits for company",
        "allowed": "a duration such as 500ms, 5s, 10m, 2h or 30d",
    }  # fmt: skip
    assert (found["uam.originals"]["origin"], found["uam.originals"]["allowed"]) == ("", "off, push")
    said(stocked, "config", "--global", "uam.originals", "push")
    said(stocked, "config", "uam.gate.tests.command", "true")
    one = facts(stocked, "config", "uam.originals", "--explain")["settings"]["uam.originals"]
    assert one["origin"] == str(persons)
    assert said(stocked, "config", "--explain", "uam.gate.Tests.command").splitlines()[3] == (
        "    set in   (nowhere: the default)"
    )
    assert said(stocked, "config", "uam.GATE.tests.Command", "--explain").splitlines() == [
        "uam.GATE.tests.Command",
        "    meaning  the command of the gate tests: an argument list, no shell",
        "    value    true",
        f"    set in   {own}",
        "    default  (none)",
        "    allowed  a command as an argument list, quoted as for a shell that is never started",
    ]
    said(stocked, "config", "--global", "--unset", "uam.originals")
    said(stocked, "config", "--unset", "uam.gate.tests.command")


def test_config_for_all_repositories(stocked: Scene) -> None:
    assert said(stocked, "config", "--global", "uam.window.deploy", "3m") == "3m"
    assert stocked.git("config", "--file", str(stocked.home / "gitconfig"), "uam.window.deploy") == "3m"
    assert stocked.run("config", "--local", "uam.window.deploy").code == 1
    assert said(stocked, "config", "--global", "--unset", "uam.window.deploy") == "60s"
    assert stocked.run("config", "uam.window.deploy").code == 1


def test_config_refuses(stocked: Scene) -> None:
    each(stocked, [(("config", *args), 2, words) for args, words in (
        (("uam.window.push", "-5"), "'-5' is not a duration"),
        (("uam.window.push", "--", "-5s"), "'-5s' is not a duration"),
        (("uam.window.push", "NaN"), "'NaN' is not a duration"),
        (("uam.window.push", "soon"), "'soon' is not a duration"),
        (("uam.window.push", ""), "'' is not a duration"),
        (("uam.window.push", "99999999999d"), "99999999999d"),
        (("uam.window.company", "never"), "'never' is not a duration"),
        (("uam.batch.size", "0"), "'0' is not a whole number from 1 up"),
        (("uam.batch.size", "-1"), "'-1' is not a whole number from 1 up"),
        (("uam.batch.size", "1.5"), "'1.5' is not a whole number"),
        (("uam.batch.parallel", "NaN"), "'NaN' is not a whole number"),
        (("uam.retry.count", "-1"), "'-1' is not a whole number from 0 up"),
        (("uam.push.mode", "later"), "'later' is not one of wait, queue, manual"),
        (("uam.squash", "perhaps"), "'perhaps' is not one of push, batch, never"),
        (("uam.agent", "a\nb"), "contains control characters"),
        (("uam.nonsense", "1"), "There is no setting 'uam.nonsense'. `git uam config` lists them."),
        (("user.name", "Eve"), "There is no setting 'user.name'."),
        (("alias.x", "!true"), "There is no setting 'alias.x'."),
        (("uam.nonsense",), "There is no setting 'uam.nonsense'."),
        (("--unset", "uam.nonsense"), "There is no setting 'uam.nonsense'."),
        (("--unset", "uam.window.push", "5s"), "--unset takes no value."),
        (("--unset",), "Which setting?"),
        (("--global",), "Which setting?"),
        (("uam.window.push", "5s", "6s"), "unexpected extra argument"),
    )])  # fmt: skip


def test_config_names_a_value_that_somebody_else_wrote(stocked: Scene) -> None:
    stocked.git("config", "uam.window.push", "soon")
    refused(call(stocked, "config"), 2, "The setting uam.window.push is 'soon'")
    refused(call(stocked, "config", "uam.window.push"), 2, "The setting uam.window.push is 'soon'")
    with unchanged(stocked):
        args = ("--action-type", "push", "--target", "main")
        refused(call(stocked, "queue", *args), 2, "The setting uam.window.push is 'soon'")
    assert said(stocked, "config", "uam.window.push", "5s") == "5s"
    assert call(stocked, "config").code == 0


# -- status ----------------------------------------------------------------------------------------------------------


def test_status_of_everything(stocked: Scene) -> None:
    stocked.git("config", "uam.window.push", "1h")
    tip = stocked.commit("seen")
    write(stocked, "a", "a\n")
    asked(stocked, "commit", "topic", "--message", "feat: a\n\nbody", "--files", "a", "--agent-id", "agent-1")
    asked(stocked, "push", "main", "--agent-id", "agent-2")
    asked(stocked, "merge", "main", "--source", "topic", "--push")
    asked(stocked, "merge", "main", "--pr", "7")
    asked(stocked, "workflow", "test.yml", "--ref", "main", "--inputs", '{"env": "prod"}')
    asked(stocked, "deploy", "prod", "--ref", "topic", "--depends-on", "6")
    lines = [" ".join(line.split()) for line in said(stocked, "status").splitlines()]
    lines = [re.sub(r"in \d+ s", "in N s", line) for line in lines]
    work = stocked.rows("sources")[0]["tip"][:7]
    assert lines == [
        "id type where agents what when",
        f"#1 commit main {ME} {tip[:7]} Add seen in N s",
        f"#2 commit topic agent-1 {work} feat: a in N s",
        f"#3 push origin/main agent-2 {tip[:7]} main in N s",
        f"#4 merge origin/main {ME} topic (no-ff) in N s",
        f"#5 merge origin/main {ME} pull request 7 in N s",
        f"#6 workflow test.yml {ME} on main env=prod in N s",
        f"#7 deploy prod {ME} on topic in N s, after #6",
        "waiting: 1 push in 1 action, 1 commit by name, 2 merges, 1 workflow, 1 deploy, 1 commit",
        "running: 0 actions",
        "failed: 0",
        "window: a push waits 3600 s",
        "next: `git uam flush` executes what waits",
    ]  # fmt: skip
    found = facts(stocked, "status")
    assert sorted(found) == [
        "ci", "enabled", "failed", "fleet", "hooks", "mode", "repository", "running", "straight", "waiting", "window",
    ]  # fmt: skip
    assert all(sorted(one) == [
        "action", "agents", "apart", "asked", "attempts", "depends_on", "error", "handed_to", "held", "members",
        "seconds_left", "state", "status", "type", "where",
    ] for one in found["waiting"])  # fmt: skip
    assert [one["type"] for one in found["waiting"]] == [
        "commit", "commit", "push", "merge", "merge", "workflow", "deploy",
    ]  # fmt: skip
    assert found["waiting"][1]["members"] == [
        {"agent": "agent-1", "commit": stocked.rows("sources")[0]["tip"], "subject": "feat: a", "files": 1}
    ]
    assert found["waiting"][6]["depends_on"] == [6]
    assert found == {**facts(stocked, "deploy", "status"), "waiting": found["waiting"]}


def test_status_of_a_batch_that_was_made(stocked: Scene) -> None:
    asked(stocked, "deploy", "prod")
    due_now(stocked)
    said(stocked, "batch")
    found = facts(stocked, "status")
    assert (found["waiting"], [one["status"] for one in found["running"]]) == ([], ["batched"])
    assert told(stocked, "status")["next_action"] == {
        "words": "`git uam execute --batch-id 1` executes the batch that was made, and so does any flush",
        "command": ["git", "uam", "execute", "--batch-id", "1"],
    }
    assert "running: 1 action" in said(stocked, "status").splitlines()


def test_status_of_what_failed(stocked: Scene) -> None:
    number = asked(stocked, "deploy", "bad", "--agent-id", "agent-1")
    assert call(stocked, "flush").code == 1
    (failed,) = facts(stocked, "status")["failed"]
    assert (failed["action"], failed["type"], failed["agent"], failed["where"]) == (number, "deploy", "agent-1", "bad")
    lines = said(stocked, "status").splitlines()
    assert "failed:  1" in lines
    assert f"  agent-1 deploy #{number} bad: {failed['error']}" in lines
    assert (
        lines[-1]
        == f"next:    `git uam log {number}` shows what failed; mend it and push again, or `git uam retry {number}`"
    )
