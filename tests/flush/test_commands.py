"""Commands of others: what runs beside what, what they are told, and how they are ended."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.support.deploys import Beside, command, deploy, ends, logging, meeting, ran
from tests.support.queueing import acting, row
from tests.support.scenes import PATIENCE, Scene, alive, script, until
from uam_hooks.command.process import LOG_BYTES

DONE = ("completed", "")


# -- what runs beside what ---------------------------------------------------------------------------------------


def test_what_is_free_of_each_other_runs_at_the_same_time(scene: Scene) -> None:
    with acting(scene, max_parallel_actions=4) as agents:
        for name in meeting(scene, 4):
            agents.queue("ada", "deploy", name)
        (result,) = agents.flush_all()
    assert (result.success, result.executed_actions) == (True, 4), result


ALONE = 'mkdir busy || echo "$UAM_ACTION overlaps" >>overlaps\necho "$UAM_ACTION" >>log\nrmdir busy'


@pytest.mark.parametrize("more", [{"max_parallel_actions": 1}, {"parallel_execution": False}])
def test_one_at_a_time(scene: Scene, more: dict[str, Any]) -> None:
    beside = Beside()
    with acting(scene, **more) as agents:
        ids = []
        for name in "abc":
            at = command(scene, name, ALONE)
            ids.append(agents.queue("ada", "deploy", name))
        assert agents.flush_all(tell=beside)[0].success
    assert beside.most == 1
    assert ran(at / "log") == ids
    assert not (at / "overlaps").exists()


def test_never_more_than_are_allowed(scene: Scene) -> None:
    text = "mkdir -p now seen; : >now/$UAM_ACTION; n=$(ls now | wc -l); : >seen/$n; rm now/$UAM_ACTION"
    beside = Beside()
    with acting(scene, max_parallel_actions=2) as agents:
        for name in "abcdef":
            at = command(scene, name, text)
            agents.queue("ada", "deploy", name)
        assert agents.flush_all(tell=beside)[0].executed_actions == 6
    assert beside.most == 2
    assert {p.name for p in (at / "seen").iterdir()} <= {"1", "2"}


def test_two_deploys_of_one_target_never_overlap(scene: Scene) -> None:
    at = command(scene, "prod", ALONE)
    beside = Beside()
    with acting(scene, max_parallel_actions=5) as agents:
        ids = [agents.queue("ada", "deploy", "prod", {"ref": f"b{n}"}, priority=n) for n in range(4)]
        assert agents.flush_all(tell=beside)[0].success
    assert beside.most == 1
    assert ran(at / "log") == ids
    assert not (at / "overlaps").exists()


def test_the_next_deploy_of_a_target_runs_although_the_one_before_failed(scene: Scene) -> None:
    at = command(scene, "prod", f"{ALONE}\n[ -e failed ] || {{ : >failed; exit 1; }}")
    with acting(scene) as agents:
        ids = [agents.queue("ada", "deploy", "prod") for _ in range(2)]
        (result,) = agents.flush_all()
    assert ran(at / "log") == ids
    assert (result.executed_actions, result.failed_actions) == (1, 1)


def test_a_push_lands_while_a_deploy_of_something_else_runs(scene: Scene) -> None:
    """The deploy ends only when the push has landed, and the push only when the deploy runs."""
    pipe = scene.root / "landed"
    os.mkfifo(pipe)
    script(scene.remote / "hooks" / "post-receive", f': >"{pipe}"\n')
    command(scene, "prod", f': <"{pipe}"; [ "$(git --git-dir="../origin.git" log -1 --format=%s main)" = "Add a" ]')
    scene.git("config", "uam.deploy.timeout", f"{PATIENCE:g}s")
    scene.commit("a")
    with acting(scene) as agents:
        agents.queue("ada", "deploy", "prod", {"ref": "x"}, priority=9)
        agents.queue("ada", "push", "main")
        (result,) = agents.flush_all()
    assert (result.success, result.executed_actions) == (True, 2), result


def test_many_are_executed_in_several_batches(scene: Scene) -> None:
    log = logging(scene, *"abcde")
    with acting(scene, max_batch_size=2, max_parallel_actions=1) as agents:
        ids = [agents.queue("ada", "deploy", name) for name in "abcde"]
        assert [r.executed_actions for r in agents.flush_all()] == [2, 2, 1]
    assert ran(log) == ids
    assert [b["status"] for b in scene.rows("deploy_batches")] == ["completed"] * 3


# -- commands of others ------------------------------------------------------------------------------------------


def test_the_command_knows_what_it_is_for(scene: Scene) -> None:
    at = command(scene, "prod", "env >env; cat >payload")
    payload = {"ref": "main", "note": "ä $HOME; `id`\n", "list": [1, None]}
    number, result = deploy(scene, payload)
    assert result.success
    found = dict(line.split("=", 1) for line in (at / "env").read_text().splitlines() if line.startswith("UAM_"))
    assert found == {
        "UAM_BATCH": scene.rows("deploy_batches")[0]["id"], "UAM_ACTION": str(number), "UAM_TARGET": "prod",
        "UAM_REF": "main", "UAM_SHA": scene.start_oid,
    }  # fmt: skip
    assert json.loads((at / "payload").read_text()) == payload


def test_a_branch_that_is_nowhere_has_no_commit(scene: Scene) -> None:
    at = command(scene, "prod", 'echo "($UAM_SHA)" >sha')
    assert deploy(scene, {"ref": "nowhere"})[1].success
    assert (at / "sha").read_text() == "()\n"


def test_no_shell_reads_the_arguments(scene: Scene) -> None:
    """What looks like shell arrives as it is; only quotes mean something."""
    at = scene.root / "deploys"
    show = script(
        scene.root / "show it",
        f"""mkdir -p '{at}'
for one; do echo "<$one>"; done >'{at}/args'
pwd >'{at}/pwd'
""",
    )
    scene.git("config", "uam.deploy.prod.command", f"'{show}' ; '$HOME' $(id) 'a  b' * `id` --x=\\; '' >out")
    assert deploy(scene)[1].success
    assert (at / "args").read_text().splitlines() == [
        f"<{a}>" for a in (";", "$HOME", "$(id)", "a  b", "*", "`id`", "--x=;", "", ">out")
    ]
    assert (at / "pwd").read_text().strip() == str(scene.top)
    assert scene.clean()


def test_a_command_that_reads_nothing_of_a_long_payload(scene: Scene) -> None:
    command(scene, "prod", "exec <&-; exit 0")
    assert deploy(scene, {"long": "x" * 300_000})[1].success


def test_a_command_that_is_not_there(scene: Scene) -> None:
    scene.git("config", "uam.deploy.prod.command", str(scene.root / "missing"))
    number, result = deploy(scene)
    assert ends(scene, number) == [
        ("failed", f"{scene.root / 'missing'} cannot be started: No such file or directory")
    ]  # fmt: skip
    assert not result.success


def test_a_command_that_is_not_executable(scene: Scene) -> None:
    (scene.root / "plain").write_text("#!/bin/sh\n")
    scene.git("config", "uam.deploy.prod.command", str(scene.root / "plain"))
    number, _ = deploy(scene)
    assert ends(scene, number) == [("failed", f"{scene.root / 'plain'} cannot be started: Permission denied")]


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("exit 3", 3, "prod ended with exit code 3"),
        ("echo one; echo >&2 'two is wrong'; exit 1", 1, "prod ended with exit code 1: two is wrong"),
        ("kill -9 $$", -9, "prod was ended by signal 9"),
    ],
)  # fmt: skip
def test_a_command_that_fails(scene: Scene, text: str, code: int, words: str) -> None:
    command(scene, "prod", text)
    number, result = deploy(scene)
    assert ends(scene, number) == [("failed", words)]
    assert (result.success, result.failed_actions, result.errors) == (False, 1, (words,))
    assert json.loads(scene.rows("sources")[0]["outcome"])["exit_code"] == code
    assert row(scene, number)["attempts"] == 0, "a deploy is not run again by itself"


def test_the_output_is_kept(scene: Scene) -> None:
    command(scene, "prod", "echo out; echo err >&2; printf '\\377'")
    number, _ = deploy(scene)
    assert (scene.uam / "log" / f"{number}.log").read_bytes() == b"out\nerr\n\xff"


def test_no_secret_gets_into_words(scene: Scene) -> None:
    command(scene, "prod", "echo 'cannot push to https://bob:geheim@example.invalid/x'; exit 1")
    number, result = deploy(scene)
    assert row(scene, number)["error"].endswith("https://***@example.invalid/x")
    kept_words = json.dumps([scene.queue(), result.errors])
    assert "geheim" not in kept_words


def test_a_log_that_cannot_be_written_fails_the_deploy_alone(scene: Scene) -> None:
    command(scene, "prod")
    (scene.uam / "log").rmdir()
    (scene.uam / "log").write_text("in the way")
    scene.commit("a")
    with acting(scene) as agents:
        number = agents.queue("ada", "deploy", "prod", {"ref": "x"}, priority=9)
        push = agents.queue("ada", "push", "main")
        agents.flush_all()
    assert row(scene, number)["status"] == "failed"
    assert row(scene, number)["error"]
    assert ends(scene, push) == [DONE]


def test_a_log_that_was_replaced_by_a_link_is_cut_nowhere(scene: Scene) -> None:
    """The command itself, or whoever may write there, has put something else in its place."""
    other = scene.root / "other"
    other.write_bytes(b"x" * (LOG_BYTES + 1))
    command(scene, "prod", f'log={scene.paths.uam}/log/$UAM_ACTION.log; rm "$log"; ln -s "{other}" "$log"')
    with acting(scene) as agents:
        agents.queue("ada", "deploy", "prod")
        agents.flush_all()
    assert other.stat().st_size == LOG_BYTES + 1


@pytest.mark.slow
def test_a_command_that_takes_too_long_ends_with_all_that_it_started(scene: Scene) -> None:
    """... also what does not listen when it is asked to end."""
    at = command(scene, "prod", "sh -c 'trap \"\" TERM; echo $$ >child; exec sleep 300' &\necho $$ >parent\nwait")
    scene.git("config", "uam.deploy.prod.timeout", "1500ms")
    number, result = deploy(scene)
    assert ends(scene, number) == [("failed", "prod was ended after 1.5 s, with all that it started")]
    assert not result.success
    for name in ("parent", "child"):
        pid = int((at / name).read_text())
        until(lambda pid=pid: not alive(pid), f"the end of the {name}")  # type: ignore[misc]


def test_the_time_limit_of_all_deploys(scene: Scene) -> None:
    command(scene, "prod", "exec sleep 300")
    scene.git("config", "uam.deploy.timeout", "100ms")
    number, _ = deploy(scene)
    assert row(scene, number)["error"].startswith("prod was ended after 0.1 s")
