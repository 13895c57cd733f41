"""The commands under their older name, and all that they refuse."""

from __future__ import annotations

import json
import os
import shlex

import pytest

from tests.support.commands import (
    UAM,
    asked,
    call,
    each,
    refused,
)
from tests.support.landscape import write
from tests.support.marks import bulk
from tests.support.queueing import due_now, statuses
from tests.support.scenes import Scene, finished, script

_COMMIT = ("--action-type", "commit", "--target", "main", "--message", "m", "--files", "a")
_PUSH = ("--action-type", "push", "--target", "main")
_FLOW = ("--action-type", "workflow", "--target", "test.yml")
_DEPLOY = ("--action-type", "deploy", "--target", "prod")
_MERGE = ("--action-type", "merge", "--target", "main", "--source", "topic")


# -- under the older name --------------------------------------------------------------------------------------------

# "CLI Integration" of the original's documentation, to the letter.
ORIGINAL = r"""
# Queue a commit
uam deploy queue --agent-id <id> --action-type commit --target main \
  --message "feat: new feature" --files "src/feature.ts"

# Queue a push
uam deploy queue --agent-id <id> --action-type push --target main

# Queue a workflow trigger
uam deploy queue --agent-id <id> --action-type workflow --target test.yml \
  --ref main --inputs '{"env":"staging"}'

# View status
uam deploy status

# Create batch manually
uam deploy batch

# Execute specific batch
uam deploy execute --batch-id <uuid>

# Session all pending
uam deploy flush
"""


@pytest.mark.slow
def test_the_commands_of_the_original(stocked: Scene) -> None:
    gh = script(stocked.root / "bin" / "gh", f'printf "%s\\n" "$*" >>"{stocked.root}/gh.log"\n')
    stocked.env["PATH"] = f"{gh.parent}{os.pathsep}{stocked.env['PATH']}"
    write(stocked, "src/feature.ts", "// feature\n")
    commands = [shlex.split(line) for line in ORIGINAL.replace("\\\n", "").splitlines() if line.startswith("uam ")]
    assert len(commands) == 7
    for command in commands:
        if command[2] == "batch":
            due_now(stocked)
        made = [found["id"] for found in stocked.rows("deploy_batches")]
        words = [{"<id>": "agent-1", "<uuid>": made[0] if made else ""}.get(word, word) for word in command]
        done = stocked.execute(*UAM, *words[1:])
        assert (done.code, done.err) == (0, ""), done
        assert stocked.flushers() == []
    assert statuses(stocked) == ["completed"] * 3
    assert {row["agent_id"] for row in stocked.rows("deploy_queue")} == {"agent-1"}
    assert stocked.landed() == ["feat: new feature"]
    assert len(stocked.pushes()) == 1
    assert (stocked.root / "gh.log").read_text().splitlines() == [
        "workflow run --ref main --raw-field env=staging --repo owner/shop -- test.yml"
    ]


# -- what is wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", bulk([("queue",), ("deploy", "queue")]))
def test_queue_refuses(stocked: Scene, command: tuple[str, ...]) -> None:
    write(stocked, ".git/info/exclude", "ignored\n")
    for name in ("a", "src/b", "ignored", "../outside"):
        write(stocked, name, "x\n")
    asked(stocked, "push", "topic")
    each(stocked, [((*command, *args), 2, words) for args, words in (
        ((), "Missing option '--action-type'"),
        (("--action-type", "push"), "Missing option '--target'"),
        (("--action-type", "dance", "--target", "main"), "'dance'"),
        (("--action-type", "push", "--target", ""), "The target is '', which is not a valid name."),
        (("--action-type", "push", "--target", ":victim"), "':victim' is not a valid branch name."),
        (("--action-type", "push", "--target", "--all"), "'--all' is not a valid branch name."),
        (("--action-type", "push", "--target", "nowhere"), "There is no branch nowhere here to push."),
        ((*_PUSH, "--agent-id", "a\nb"), "is not a valid agent name."),
        ((*_PUSH, "--remote", "nowhere"), "There is no remote 'nowhere' here."),
        ((*_PUSH, "--remote=--receive-pack=touch x"), "There is no remote '--receive-pack=touch x' here."),
        ((*_PUSH, "--message", "m"), "A push has no field 'message'."),
        ((*_PUSH, "--push"), "A push has no field 'push'."),
        ((*_PUSH, "a"), "A push has no field 'files'."),
        ((*_PUSH, "--payload", '{"force": "yes"}'), "force is 'yes', which is neither true nor false."),
        ((*_PUSH, "--payload", '{"remote": "ext::sh -c x"}'), "There is no remote 'ext::***' here."),
        ((*_PUSH, "--payload", "[]"), "--payload must be a JSON object."),
        ((*_PUSH, "--payload", "{"), "--payload is not valid JSON"),
        ((*_PUSH, "--payload", "[" * 100000), "--payload is not valid JSON"),
        ((*_PUSH, "--payload", ""), "--payload is not valid JSON"),
        ((*_PUSH, "--priority", "high"), "'high' is not a valid integer"),
        ((*_PUSH, "--priority", "99999999999999999999999"), "99999999999999999999999"),
        ((*_PUSH, "--priority", "-99999999999999999999999"), "99999999999999999999999"),
        ((*_PUSH, "--depends-on", "77"), "There is no action #77 to depend on."),
        ((*_PUSH, "--depends-on", "first"), "There is no action 'first' to depend on."),
        ((*_PUSH, "--depends-on", ""), "'' is not a valid dependency."),
        ((*_PUSH, "--depends-on", "99999999999999999999999"), "to depend on"),
        ((*_PUSH, "--execute-after", "tomorrow"), "'tomorrow' is not a valid time. Write it as 2026-05-06T07:08:09Z."),
        ((*_PUSH, "--execute-after", "1969-01-01"), "is not a valid time"),
        ((*_PUSH, "--execute-after", "99999-01-01"), "is not a valid time"),
        ((*_PUSH, "--urgently"), "No such option"),
        (("--action-type", "commit", "--target", "main", "--files", "a"), "A commit needs a message."),
        ((*_COMMIT, "--message", "  \n"), "A commit needs a message."),
        ((*_COMMIT, "--files", "gone"), "There is no file gone here or in main."),
        ((*_COMMIT, "--files=-A"), "There is no file -A here or in main."),
        ((*_COMMIT, "--", "-A"), "There is no file -A here or in main."),
        ((*_COMMIT, "--files", ""), "'' is not a valid file name"),
        ((*_COMMIT, "--files", "x" * 300), "x"),
        ((*_COMMIT, "--files", "../outside"), "../outside is not in this worktree."),
        ((*_COMMIT, "--files", ".git/config"), ".git/config cannot be committed."),
        ((*_COMMIT, "src"), "src is not a file."),
        ((*_COMMIT, "ignored"), "ignored is ignored by git."),
        ((*_COMMIT, "--ref", "main"), "A commit has no field 'ref'."),
        ((*_COMMIT[:-1], "README"), "Nothing to commit; unchanged from main: README."),
        ((*_MERGE, "--strategy", "octopus"), "There is no merge strategy 'octopus'."),
        ((*_MERGE, "--source", "nowhere"), "nowhere"),
        ((*_MERGE, "--source", "--exec=x"), "'--exec=x' cannot be merged."),
        (("--action-type", "merge", "--target", "main"), "The merge source is None, which is not a valid name."),
        ((*_MERGE, "--pr", "x"), "'x' is not a valid integer"),
        ((*_MERGE, "--pr", "0"), "0 is not a pull request number."),
        ((*_MERGE, "--pr", "-7"), "-7 is not a pull request number."),
        ((*_MERGE, "--pr", "7", "--method", "--admin"), "gh has no merge method '--admin'."),
        ((*_FLOW, "--inputs", "env=staging"), "--inputs is not valid JSON"),
        ((*_FLOW, "--inputs", '["a"]'), "--inputs must be a JSON object."),
        ((*_FLOW, "--inputs", '{"a b": "c"}'), "The inputs of a workflow must be names with values."),
        ((*_FLOW, "--ref", "--repo=evil/x"), "'--repo=evil/x' is not a valid branch name."),
        ((*_FLOW, "--target", "--repo=evil/x"), "'--repo=evil/x' is not a workflow."),
        ((*_DEPLOY, "--target", "nowhere"), "There is no deploy 'nowhere' here."),
        ((*_DEPLOY, "--target", "prod; x"), "'prod; x' is not a valid deploy name."),
    )])  # fmt: skip


def test_usage(stocked: Scene) -> None:
    asked(stocked, "push", "topic")
    each(stocked, [
        (args, 2, "")
        for args in (
            ("dance",), ("deploy", "dance"), ("deploy", "cancel", "1"), ("batch", "now"), ("batch", "--due"),
            ("execute",), ("execute", "1"), ("flush", "now"), ("flush", "--timeout", "soon"), ("flush", "--timeout"),
            ("flush", "--timeout", "-1"), ("status", "all"), ("log", "1", "2"), ("status", "--xml"),
            ("urgent", "--forever"),
        )
    ])  # fmt: skip


@pytest.mark.slow
def test_a_real_process_answers_the_same(stocked: Scene) -> None:
    # what `call` does in this process, for one of each: done, failed, usage, refused
    asked(stocked, "deploy", "bad")
    for args, code in (
        (("status", "--json"), 0), (("cancel", "77"), 2), (("retry", "1"), 4), (("flush",), 1), (("queue",), 2),
    ):  # fmt: skip
        done = stocked.run("uam", *args)
        assert done.code == code, done
        assert "Traceback" not in done.err
        if code in (2, 4):
            refused(done, code)
    assert stocked.execute(*UAM, "--version").out == stocked.run("uam", "--version").out


def test_a_broken_queue(stocked: Scene) -> None:
    stocked.paths.database.write_bytes(b"this is no database, whatever its name is\n" * 100)
    for args in (("status",), ("queue", *_PUSH), ("batch",), ("cancel", "1"), ("urgent", "on"), ("flush",)):
        refused(call(stocked, *args), 5, "The queue ", "cannot be used")


def test_nobody_reads_what_is_printed(stocked: Scene) -> None:
    asked(stocked, "deploy", "prod")
    process = stocked.start("uam", "status")
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    assert "Traceback" not in finished(process).err


def test_errors_are_data_for_who_asked_for_json(stocked: Scene) -> None:
    """The same words as on stderr, with what to do about it."""
    done = call(stocked, "cancel", "99", "--json")
    assert done.code in (2, 4), done
    found = json.loads(done.out)
    told, step = found["error"], found["next_action"]
    assert (told["exit_status"], set(told)) == (done.code, {"kind", "exit_status", "what"})
    assert done.err == f"uam: {told['what']} {step['words']}\n"
    assert step["command"] == ["git", "uam", "status"]
    wrong = call(stocked, "status", "--json", "--nonsense")
    assert (wrong.code, json.loads(wrong.out)["error"]["kind"]) == (2, "usage")
    assert "--nonsense" in json.loads(wrong.out)["error"]["what"]
    assert json.loads(wrong.out)["next_action"]["command"] == ["git", "uam", "help", "status"]
    assert call(stocked, "cancel", "99").out == ""
    assert call(stocked, "cancel", "--", "--json").out == ""
