"""Workflows and merges of pull requests: what the real gh is made to ask of GitHub, once, and in which order."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.support.deploys import told
from tests.support.forge import REPO, Forge, needs_gh
from tests.support.landscape import inside
from tests.support.queueing import ask, batcher, flow, flush_all, row
from tests.support.scenes import Scene, finished, script
from uam_hooks.command import github
from uam_hooks.flush import gh
from uam_hooks.hot.core.errors import UsageError
from uam_hooks.hot.core.settings import Settings

# -- which repository ------------------------------------------------------------------------------------


def test_the_repository_is_told_by_the_url_of_the_remote(scene: Scene) -> None:
    expected = {
        "https://github.com/o/r.git": "github.com/o/r",
        "https://github.com/o/r": "github.com/o/r",
        "https://github.com/o/r/": "github.com/o/r",
        "https://github.com/o/r.js.git": "github.com/o/r.js",
        "https://github.com/o/.github": "github.com/o/.github",
        "https://user:secret@github.com/o/r.git": "github.com/o/r",
        "https://token@ghe.example.com/o/r": "ghe.example.com/o/r",
        "ssh://git@github.com/o/r.git": "github.com/o/r",
        "ssh://git@github.com:22/o/r": "github.com/o/r",
        "git@github.com:o/r.git": "github.com/o/r",
        "git@github.com:o/r": "github.com/o/r",
        "ghe.example.com:o/r.git": "ghe.example.com/o/r",
        "git://github.com/o/r.git": "github.com/o/r",
        # GitHub's other door for ssh, where port 22 is closed: the repository is still one of github.com
        "ssh://git@ssh.github.com:443/o/r.git": "github.com/o/r",
        # what is no repository of a forge
        str(scene.remote): "",
        "../r.git": "",
        "/srv/o/r.git": "",
        "file:///srv/o/r.git": "",
        "git@host:/srv/git/r.git": "",
        "git@host:~/r.git": "",
        "https://example.com/group/sub/r.git": "",
        "https://github.com/o": "",
    }
    found = {}
    with inside(scene) as session:
        for url in expected:
            try:
                found[url] = github.repository(
                    session._replace(settings=Settings({"remote.origin.url": [url]})), "origin"
                )
            except UsageError as refused:
                assert "uam.gh.repo" in f"{refused.what} {refused.do}"
                found[url] = ""
    assert found == expected


def test_where_pushes_go_decides_and_the_setting_goes_before_it(scene: Scene) -> None:
    values = {"remote.origin.url": ["https://github.com/upstream/r.git"]}
    with inside(scene) as session:
        for more, expected in (
            ({}, "github.com/upstream/r"),
            ({"remote.origin.pushurl": ["uam::origin"]}, "github.com/upstream/r"),
            ({"remote.origin.pushurl": ["uam::origin"], "remote.origin.uam-pushurl": ["git@github.com:me/r.git"]},
             "github.com/me/r"),
            ({"uam.gh.repo": ["ghe.example.com/a/b"]}, "ghe.example.com/a/b"),
            ({"uam.gh.repo": ["a/b"]}, "a/b"),
        ):  # fmt: skip
            assert github.repository(session._replace(settings=Settings({**values, **more})), "origin") == expected


def test_an_url_that_git_rewrites_counts_as_what_it_becomes(scene: Scene) -> None:
    """`gh:o/r` is how many people write it; gh knows no host of that name."""
    scene.git("config", "remote.origin.url", "gh:o/r")
    scene.git("config", "url.git@github.com:.insteadOf", "gh:")
    with inside(scene) as session:
        assert github.repository(session, "origin") == "github.com/o/r"


def test_a_setting_that_names_no_repository_is_refused_at_once(scene: Scene) -> None:
    for named in ("r", "https://ada:hunter2@github.com/o/r", "a/b/c/d", "-R/x y", "o/r\x01"):
        scene.git("config", "uam.gh.repo", named)
        with pytest.raises(UsageError, match=r"uam\.gh\.repo") as refused:
            flow(scene)
        assert "hunter2" not in refused.value.what + refused.value.do
        with pytest.raises(UsageError, match=r"uam\.gh\.repo"):
            ask(scene, "merge", "main", pr=12)
    assert scene.rows("deploy_queue") == []


@needs_gh
def test_a_password_in_the_url_reaches_neither_gh_nor_an_error(
    hub: Scene, forge: Forge, capfd: pytest.CaptureFixture[str]
) -> None:
    hub.git("config", "--unset", "uam.gh.repo")
    forge.unknown.add("gone.yml")
    errors: list[str] = []
    for path in ("o/r.git", "group/sub/r.git"):
        hub.git("config", "remote.origin.url", f"https://ada:hunter2@github.localhost/{path}")
        try:
            flow(hub)
            flow(hub, "gone.yml")
        except UsageError as refused:
            errors += [refused.what, refused.do]
        errors += [error for result in flush_all(hub) for error in result.errors]
    assert [found.workflow for found in forge.dispatches][:1] == ["test.yml"]
    assert all(path.startswith("/repos/o/r/") for _, path in forge.requests)
    assert any("404" in error for error in errors)
    said = capfd.readouterr()
    told = [said.out, said.err, *errors, json.dumps(hub.rows("deploy_queue")), json.dumps(hub.rows("sources"))]
    told += [path.read_text() for path in (hub.uam / "log").iterdir()]
    assert not [text for text in told if "hunter2" in text]


@needs_gh
def test_another_remote_is_another_repository(hub: Scene, forge: Forge) -> None:
    hub.git("config", "--unset", "uam.gh.repo")
    hub.git("remote", "set-url", "origin", "https://github.localhost/o/r.git")
    hub.git("remote", "add", "fork", "git@github.localhost:me/mine.git")
    flow(hub)
    flow(hub, remote="fork")
    assert [result.success for result in flush_all(hub)] == [True]
    posts = sorted(path for method, path in forge.requests if method == "POST")
    assert posts == ["/repos/me/mine/actions/workflows/1/dispatches", "/repos/o/r/actions/workflows/1/dispatches"]


@needs_gh
def test_a_remote_that_is_on_no_forge_is_not_taken_for_another_one(hub: Scene, forge: Forge) -> None:
    """Left to itself gh would look through all remotes and take the one that it knows."""
    hub.git("config", "--unset", "uam.gh.repo")
    hub.git("remote", "add", "backup", str(hub.root / "backup.git"))
    hub.git("remote", "set-url", "origin", "https://github.localhost/o/r.git")
    for kind, target, payload in (("workflow", "test.yml", {"ref": "main"}), ("merge", "main", {"pr": 12})):
        # at the latest when it is its turn
        try:
            number = ask(hub, kind, target, remote="backup", **payload)
            flush_all(hub)
            why = row(hub, number)["error"]
        except UsageError as refused:
            why = f"{refused.what} {refused.do}"
        assert "uam.gh.repo" in why
    # one that was queued while the URL told, too
    number = flow(hub)
    hub.git("remote", "set-url", "origin", str(hub.root / "backup.git"))
    hub.git("remote", "set-url", "backup", "https://github.localhost/o/r.git")
    assert not flush_all(hub)[0].success
    assert (row(hub, number)["status"], row(hub, number)["attempts"]) == ("failed", 0)
    assert (forge.dispatches, forge.requests) == ([], [])


# -- gh itself -------------------------------------------------------------------------------------------


def without_gh(scene: Scene) -> None:
    """A PATH on which there is everything but gh."""
    tools = scene.root / "tools"
    tools.mkdir()
    for place in reversed(scene.env["PATH"].split(":")):
        for tool in Path(place).glob("*"):
            if tool.name != "gh":
                (tools / tool.name).unlink(missing_ok=True)
                (tools / tool.name).symlink_to(tool)
    scene.env["PATH"] = str(tools)


@pytest.mark.parametrize("reason", ["missing", pytest.param("logged-out", marks=needs_gh)])
def test_without_gh_or_a_login_what_needs_it_fails_and_the_rest_goes_on(hub: Scene, forge: Forge, reason: str) -> None:
    if reason == "missing":
        without_gh(hub)
        why = "gh is not installed: install it, or take the action out of the queue"
    else:
        for name in ("GH_TOKEN", "GH_HOST"):
            del hub.env[name]
        why = "gh is not logged in: run `gh auth login`, or set GH_TOKEN"
    note, tip = told(hub), hub.commit("a")
    needs = [flow(hub), ask(hub, "merge", "release", pr=12)]
    ask(hub, "push", "main")
    ask(hub, "deploy", "prod", ref="main")
    (result,) = flush_all(hub)
    assert (result.executed_actions, result.failed_actions, result.deferred_actions) == (2, 2, 0)
    assert result.errors == (why,)
    assert [(row(hub, n)["status"], row(hub, n)["error"], row(hub, n)["attempts"]) for n in needs] == [
        ("failed", why, 0)
    ] * 2
    assert hub.there() == tip
    assert note.read_text().split() == [tip, tip]
    assert forge.requests == []


@needs_gh
def test_a_login_that_github_does_not_take_fails_at_once(hub: Scene, forge: Forge) -> None:
    hub.env["GH_TOKEN"] = "old"  # noqa: S105
    number = flow(hub)
    (result,) = flush_all(hub)
    assert "HTTP 401: Bad credentials" in result.errors[0]
    assert (row(hub, number)["status"], row(hub, number)["attempts"]) == ("failed", 0)
    # gh 2.23 keeps such an answer for a day, and would give it to whoever asks next
    hub.env["GH_TOKEN"] = "x"  # noqa: S105
    flow(hub)
    assert flush_all(hub)[0].success
    assert len(forge.dispatches) == 1


def pretended(scene: Scene, text: str) -> None:
    """Let a script be gh."""
    scene.git("config", "uam.gh.repo", "github.localhost/o/r")
    scene.git("config", "uam.gh.repo", REPO)
    script(scene.root / "bin" / "gh", text)
    scene.env["PATH"] = f"{scene.root / 'bin'}:{scene.env['PATH']}"


def test_gh_gets_no_terminal_and_asks_nothing(scene: Scene) -> None:
    """Also where the flush has one: gh would ask a question there, and wait for ever."""
    note = scene.root / "note"
    pretended(scene, (
        f'exec 3>"{note}"\n'
        'for fd in 0 1 2; do [ -t $fd ] && echo "fd $fd is a terminal" >&3; done\n'
        '(: </dev/tty) 2>/dev/null && echo "there is a terminal" >&3\n'
        'read -r line && echo "something can be read" >&3\n'
        'echo "prompts disabled: $GH_PROMPT_DISABLED" >&3\n'
        'echo "$@" >&3\n'
    ))  # fmt: skip
    flow(scene)
    terminal = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"
    done = scene.execute(sys.executable, "-I", "-c", terminal, "sh", "-c", "[ -t 0 ] && : </dev/tty && git uam flush")
    assert done.code == 0, done
    words = f"workflow run --ref main --repo {REPO} -- test.yml"
    assert note.read_text().splitlines() == ["prompts disabled: 1", words]


@pytest.mark.parametrize("way", ["exec sleep 600", "trap 'exit 1' TERM\nsleep 600 &\nwait"], ids=["killed", "ends"])
def test_a_gh_that_takes_too_long_is_ended_and_the_error_says_so(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Whether it dies of that or ends by itself when it is told to."""
    monkeypatch.setattr(gh, "TIMEOUT_SECONDS", 0.3)
    pretended(scene, f'echo "Looking at it"\n{way}\n')
    flow(scene)
    (result,) = flush_all(scene)
    assert not result.success
    assert "was ended after 0.3 s" in result.errors[0]


def test_what_gh_said_is_kept_in_its_log(scene: Scene) -> None:
    pretended(scene, 'echo "all is well"\necho "and more" >&2\n')
    number = flow(scene)
    flush_all(scene)
    assert scene.paths.log_of(number).read_text() == "all is well\nand more\n"


# -- once ------------------------------------------------------------------------------------------------


@needs_gh
def test_flushes_at_the_same_time_dispatch_once(hub: Scene, forge: Forge) -> None:
    for number in range(4):
        flow(hub, inputs={"n": number})
    ask(hub, "merge", "main", pr=12)
    running = [hub.start("uam", "flush") for _ in range(3)]
    done = [finished(process) for process in running]
    assert [one.code for one in done] == [0, 0, 0], done
    assert sorted(found.inputs["n"] for found in forge.dispatches) == ["0", "1", "2", "3"]
    assert len(forge.merges) == 1
    assert hub.flushers() == []


@needs_gh
def test_a_dry_run_asks_github_nothing(hub: Scene, forge: Forge, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = [flow(hub, inputs={"env": "staging"}), ask(hub, "merge", "main", pr=12, method="squash")]
    with batcher(hub, dry_run=True) as queue:
        assert queue.flush_all() == []
        batch = queue.create_batch()
        assert batch is None or queue.execute_batch(batch.id).executed_actions == 0
    said = capsys.readouterr().out
    assert "staging" in said
    assert "pr merge 12" in said
    done = hub.run("uam", "flush", "--dry-run")
    assert done.code == 0
    assert "test.yml" in done.out
    assert forge.requests == []
    assert [row(hub, number)["status"] for number in numbers] == ["pending", "pending"]
    flush_all(hub)
    assert (len(forge.dispatches), len(forge.merges)) == (1, 1)
