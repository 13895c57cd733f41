"""Nobody acts as somebody else: each agent's work goes where it would have sent it, as whom, and signed as it signs."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.support.homes import instead_of, mirror, on_path, settled_in, signer, signing_key, signs_with
from tests.support.queueing import WINDOW, due_now, in_one_window
from tests.support.scenes import Scene, Worktree, finished, script, until
from uam_hooks.store.views import facts

pytestmark = pytest.mark.staying

ADAS = "token-of-ada-4711"
NAMESPACED = "refs/namespaces/foo/refs/heads/main"


def one_after_the_other(scene: Scene, *agents: Worktree) -> list[tuple[int, str]]:
    """Let each of them push to main within one window, in this order; gives exit code and stderr of each."""
    scene.git("config", "uam.window.push", WINDOW)
    running = []
    for number, agent in enumerate(agents, 1):
        running.append(agent.start("push", "origin", "HEAD:main"))
        until(lambda number=number: len(scene.rows("sources")) == number, "the push in the queue")  # type: ignore[misc]
        until(scene.flushers, "a flusher")
    due_now(scene)
    return [(done.code, done.err) for done in map(finished, running)]


def elsewhere(scene: Scene) -> tuple[Worktree, Callable[[], list[str]]]:
    """Bea, for whom the remote is a mirror; and what that has."""
    other = mirror(scene, "mirror")
    bea = settled_in(scene, "bea", instead_of(scene, other))
    return bea, lambda: other.git("ls-tree", "--name-only", "main").splitlines()


def with_another_config(scene: Scene) -> tuple[Worktree, Callable[[], list[str]]]:
    """The same by GIT_CONFIG_GLOBAL alone."""
    other = mirror(scene, "mirror")
    (scene.root / "elsewhere").write_text((scene.home / "gitconfig").read_text() + instead_of(scene, other))
    bea = scene.worktree("bea")
    bea.env["GIT_CONFIG_GLOBAL"] = str(scene.root / "elsewhere")
    return bea, lambda: other.git("ls-tree", "--name-only", "main").splitlines()


def in_a_namespace(scene: Scene) -> tuple[Worktree, Callable[[], list[str]]]:
    """The same remote, in another namespace."""
    bea = scene.worktree("bea")
    bea.env["GIT_NAMESPACE"] = "foo"
    scene.bare.git("update-ref", NAMESPACED, scene.start_oid)
    return bea, lambda: scene.files(NAMESPACED)


@pytest.mark.parametrize("set_apart", [elsewhere, with_another_config, in_a_namespace])
def test_a1_a_push_goes_where_its_own_settings_lead(
    scene: Scene, set_apart: Callable[[Scene], tuple[Worktree, Callable[[], list[str]]]]
) -> None:
    ada = scene.worktree("ada")
    bea, there = set_apart(scene)
    ada.commit("a")
    bea.commit("b")
    assert [code for code, _ in one_after_the_other(scene, bea, ada)] == [0, 0]
    assert scene.files() == ["README", "a"]
    assert there() == ["README", "b"]


def test_a2_nobody_lands_with_the_token_of_somebody_else(scene: Scene) -> None:
    script(scene.remote / "hooks" / "pre-receive", f'test "$GH_TOKEN" = {ADAS} || {{ echo "no token"; exit 1; }}\n')
    ada, bea = scene.worktree("ada"), scene.worktree("bea")
    ada.env["GH_TOKEN"] = ADAS
    ada.commit("a")
    bea.commit("b")
    (ada_code, _), (bea_code, bea_err) = one_after_the_other(scene, ada, bea)
    assert (ada_code, bea_code) == (0, 1)
    assert "no token" in bea_err
    assert scene.files() == ["README", "a"]


def test_a2_gh_runs_with_the_token_of_who_asked(scene: Scene) -> None:
    log = scene.root / "tokens"
    path = on_path(scene, "gh", f'echo "$GH_TOKEN" >>"{log}"\n')
    scene.git("config", "uam.gh.repo", "owner/shop")
    ada, bea = scene.worktree("ada"), scene.worktree("bea")
    ada.env |= {"GH_TOKEN": ADAS, "PATH": path}
    bea.env |= {"GH_TOKEN": "token-of-bea", "PATH": path}
    ask = ("uam", "queue", "--action-type", "workflow", "--target", "ci.yml", "--ref", "main")
    scene.git("config", "uam.window.workflow", WINDOW)
    ada.git(*ask)
    bea.git(*ask)
    due_now(scene)
    until(lambda: log.exists() and len(log.read_text().splitlines()) == 2, "both dispatches")
    assert sorted(log.read_text().splitlines()) == [ADAS, "token-of-bea"]


def test_a2_a_deploy_sees_no_secrets_of_others(scene: Scene) -> None:
    scene.git("config", "uam.deploy.look.command", "env")
    scene.git("config", "uam.window.deploy", WINDOW)
    ada, bea = scene.worktree("ada"), scene.worktree("bea")
    ada.env |= {"GH_TOKEN": ADAS, "MY_SECRET": f"my-{ADAS}"}
    ask = ("uam", "queue", "--action-type", "deploy", "--target", "look", "--ref", "main")
    ada.git(*ask)
    bea.git(*ask)
    due_now(scene)
    until(lambda: [r["status"] for r in scene.rows("deploy_queue")] == ["completed"] * 2, "both deploys")
    said = bea.git("uam", "log", "2")
    assert "UAM_ACTION=2" in said
    assert ADAS not in said
    # one's own token is there; what nobody has named is not, whoever starts the flusher
    assert f"GH_TOKEN={ADAS}" in ada.git("uam", "log", "1")
    assert "MY_SECRET" not in ada.git("uam", "log", "1")


def test_a_variable_that_a_setting_names_reaches_the_flusher_and_keeps_apart(scene: Scene) -> None:
    scene.git("config", "uam.deploy.look.command", "env")
    scene.git("config", "uam.window.deploy", "0")
    scene.git("config", "--add", "uam.identity.env", "MY_SECRET")
    scene.git("config", "--add", "uam.identity.env", "MY_OTHER")
    ada, bea = scene.worktree("ada"), scene.worktree("bea")
    ada.env |= {"MY_SECRET": "one"}
    bea.env |= {"MY_SECRET": "two"}
    for agent in (ada, bea):
        agent.git("uam", "queue", "--action-type", "deploy", "--target", "look", "--ref", "main")
    until(lambda: [r["status"] for r in scene.rows("deploy_queue")] == ["completed"] * 2, "both deploys")
    assert "MY_SECRET=one" in ada.git("uam", "log", "1").splitlines()
    assert "MY_SECRET=two" in bea.git("uam", "log", "2").splitlines()


def test_a3_each_push_has_its_own_ssh_command(scene: Scene) -> None:
    log = scene.root / "commands"
    # what ssh would do: run the command that is its last argument
    commands = [
        script(scene.root / n, f'echo {n} >>"{log}"\nfor a; do :; done\neval "$a"\n') for n in ("ssh-a", "ssh-b")
    ]
    scene.git("config", "remote.origin.uam-pushurl", f"ssh://example.invalid{scene.remote}")
    ada, bea = scene.worktree("ada"), scene.worktree("bea")
    ada.env["GIT_SSH_COMMAND"], bea.env["GIT_SSH_COMMAND"] = map(str, commands)
    ada.env["GIT_SSH_VARIANT"] = bea.env["GIT_SSH_VARIANT"] = "simple"
    ada.commit("a")
    bea.commit("b")
    assert [code for code, _ in one_after_the_other(scene, bea, ada)] == [0, 0]
    assert set(log.read_text().split()) == {"ssh-a", "ssh-b"}
    assert len(scene.pushes()) == 2


def test_a3_what_makes_git_read_paths_in_another_way_reaches_no_flusher(scene: Scene) -> None:
    scene.commit(".gitattributes", "log merge=union\n")
    scene.commit("log", "begun\n")
    assert scene.push().code == 0
    scene.idle()
    ada, bea, cal = (scene.worktree(name) for name in ("ada", "bea", "cal"))
    bea.env["GIT_LITERAL_PATHSPECS"] = "1"
    for agent in (ada, cal):
        agent.commit("log", f"begun\n{agent.top.name}\n")
    bea.commit("b")
    before = len(scene.rows("sources"))
    scene.git("config", "uam.window.push", WINDOW)
    running = [bea.start("push", "origin", "HEAD:main")]
    until(scene.flushers, "a flusher")
    running += [agent.start("push", "origin", "HEAD:main") for agent in (ada, cal)]
    until(lambda: len(scene.rows("sources")) == before + 3, "all pushes in the queue")
    due_now(scene)
    assert [(done.code, done.err) for done in map(finished, running) if done.code] == []
    assert sorted(scene.bare.git("show", "main:log").split()) == ["ada", "begun", "cal"]


def test_a4_a_landing_is_signed_only_with_the_key_of_who_pushed_it(scene: Scene) -> None:
    keys = [signing_key(scene, "ada"), signing_key(scene, "cal")]
    ada = settled_in(scene, "ada", signs_with(keys[0]), GIT_COMMITTER_NAME="Ada Signs")
    cal = settled_in(scene, "cal", signs_with(keys[1]), GIT_COMMITTER_NAME="Cal Signs")
    bea = scene.worktree("bea")
    bea.env |= {"GIT_COMMITTER_NAME": "Bea Plain", "GIT_COMMITTER_EMAIL": "bea@example.invalid"}
    for agent in (ada, bea, cal):
        agent.commit(f"{agent.top.name}-1")
        agent.commit(f"{agent.top.name}-2")
    assert [code for code, _ in one_after_the_other(scene, ada, bea, cal)] == [0, 0, 0]
    landed = scene.bare.git("rev-list", "--reverse", f"{scene.start_oid}..main").split()
    assert len(landed) == 3
    found = {scene.bare.git("log", "-1", "--format=%cn", oid): signer(scene.bare, oid, *keys) for oid in landed}
    assert found == {"Ada Signs": "key-ada", "Bea Plain": "", "Cal Signs": "key-cal"}


def test_a4_a_key_that_was_given_for_one_push_signs_that_push(scene: Scene) -> None:
    key = signing_key(scene, "ada")
    given = ("gpg.format=ssh", "commit.gpgSign=true", f"user.signingKey={key}")
    ada, bea = scene.worktree("ada"), scene.worktree("bea")
    for agent in (ada, bea):
        agent.commit(f"{agent.top.name}-1")
        agent.commit(f"{agent.top.name}-2")
    options = [word for setting in given for word in ("-c", setting)]
    jobs = (lambda: ada.run(*options, "push", "origin", "HEAD:main"), lambda: bea.push("origin", "HEAD:main"))
    assert [done.code for done in in_one_window(scene, jobs)] == [0, 0]
    landed = scene.bare.git("rev-list", f"{scene.start_oid}..main").split()
    changed = {oid: scene.bare.git("show", "--format=", "--name-only", oid).split()[0] for oid in landed}
    assert {changed[oid]: signer(scene.bare, oid, key) for oid in landed} == {"ada-1": "key-ada", "bea-1": ""}


def test_a5_a_merge_driver_sees_no_environment_of_others(scene: Scene) -> None:
    seen = scene.root / "seen"
    spy = script(scene.root / "spy", f'env >>"{seen}"\nexit 0\n')
    scene.git("config", "merge.spy.driver", f"{spy} %A")
    scene.commit(".gitattributes", "*.txt merge=spy\n")
    scene.commit("log.txt", "begun\n")
    assert scene.push().code == 0
    scene.idle()
    ada, bea = scene.worktree("ada"), scene.worktree("bea")
    ada.env |= {"GH_TOKEN": ADAS, "MY_SECRET": f"my-{ADAS}"}
    ada.commit("a")
    bea.commit("log.txt", "begun\nby bea\n")
    stranger = scene.stranger()
    stranger.git("fetch", "-q")
    stranger.git("reset", "-q", "--hard", "origin/main")
    stranger.commit("log.txt", "begun\nby a stranger\n")
    stranger.git("push", "-q")
    before = len(scene.rows("sources"))
    scene.git("config", "uam.window.push", WINDOW)
    running = [ada.start("push", "origin", "HEAD:main")]
    until(scene.flushers, "a flusher")
    running.append(bea.start("push", "origin", "HEAD:main"))
    until(lambda: len(scene.rows("sources")) == before + 2, "both pushes in the queue")
    due_now(scene)
    assert [done.code for done in map(finished, running)] == [0, 0]
    assert seen.exists()
    assert ADAS not in seen.read_text()


def test_c9_an_agent_that_is_named_by_its_environment_alone_has_one_name(scene: Scene) -> None:
    (scene.home / "gitconfig").write_text((scene.home / "gitconfig").read_text().replace("[user]", "[nobody]"))
    bar = {"NAME": "Bar", "EMAIL": "bar@example.invalid"}
    env = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in bar.items()}
    agent = Worktree(scene.top, {**scene.env, **env})
    scene.git("config", "uam.push.mode", "manual")
    agent.commit("a")
    agent.git("uam", "status")
    assert agent.push().code == 0
    names = {row["agent_id"] for table in ("sources", "queued_commits") for row in scene.rows(table)}
    assert names == {f"bar@example.invalid@{scene.top.name}"}
    agent.git("uam", "flush")
    assert scene.bare.git("log", "-1", "--format=%an %cn", "main") == "Bar Bar"


def test_agents_that_differ_in_all_and_push_in_one_window_land_apart(scene: Scene) -> None:
    """Each on its own remote, with its own token, and signed with its own key."""
    keys = [signing_key(scene, "ada"), signing_key(scene, "bea")]
    other = mirror(scene, "mirror")
    for remote in (scene.remote, other.top):
        script(remote / "hooks" / "pre-receive", 'echo "$GH_TOKEN" >>tokens\n')
    ada = settled_in(scene, "ada", signs_with(keys[0]))
    bea = settled_in(scene, "bea", signs_with(keys[1]) + instead_of(scene, other))
    ada.env |= {"GH_TOKEN": "ada-token", "GIT_COMMITTER_NAME": "Ada"}
    bea.env |= {"GH_TOKEN": "bea-token", "GIT_COMMITTER_NAME": "Bea"}
    for agent in (ada, bea):
        agent.commit(f"{agent.top.name}-1")
        agent.commit(f"{agent.top.name}-2")
    jobs = [lambda agent=agent: agent.push("origin", "HEAD:main") for agent in (ada, bea)]
    assert [done.code for done in in_one_window(scene, jobs)] == [0, 0]
    for place, name in ((scene.bare, "ada"), (other, "bea")):
        assert place.git("ls-tree", "--name-only", "main").split() == ["README", f"{name}-1", f"{name}-2"]
        assert place.git("rev-list", "--count", f"{scene.start_oid}..main") == "1"
        assert place.git("log", "-1", "--format=%cn", "main") == name.capitalize()
        assert signer(place, "main", *keys) == f"key-{name}"
        assert (place.top / "tokens").read_text().split() == [f"{name}-token"]


def test_agents_with_equal_settings_share_a_landing(scene: Scene) -> None:
    """A terminal, a session, a name of one's own and what an agent's harness exports set nobody apart."""
    agents = [scene.worktree(name) for name in ("ada", "bea", "cal")]
    for number, agent in enumerate(agents):
        name = agent.top.name
        agent.env |= {
            "GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": f"{name}@example.invalid", "GIT_COMMITTER_NAME": name,
            "GIT_COMMITTER_EMAIL": f"{name}@example.invalid", "PWD": str(agent.top), "OLDPWD": "/", "TERM": name,
            "SHLVL": str(number), "TMUX": f"/run/tmux/{number}", "TMUX_PANE": f"%{number}", "STY": name,
            "WINDOWID": str(number), "SSH_TTY": f"/dev/pts/{number}", "SSH_CONNECTION": name, "COLUMNS": "80",
            "XDG_SESSION_ID": str(number), "XDG_RUNTIME_DIR": f"/run/{number}", "GPG_TTY": f"/dev/pts/{number}",
            "DISPLAY": f":{number}", "VSCODE_GIT_IPC_HANDLE": name, "VIRTUAL_ENV": str(agent.top), "LANG": "C.UTF-8",
            "PATH": f"{agent.top}/bin:{agent.env['PATH']}", "EDITOR": name, "UAM_URGENT": "0",
        }  # fmt: skip
        agent.commit(f"{name}-file")
    jobs = [lambda agent=agent: agent.push("origin", "HEAD:main") for agent in agents]
    assert [done.code for done in in_one_window(scene, jobs)] == [0, 0, 0]
    assert len(scene.pushes()) == 1
    assert len({row["identity"] for row in scene.rows("deploy_queue") if row["action_type"] == "push"}) == 1


def test_a_squash_of_one_push_has_its_pusher_as_committer(scene: Scene) -> None:
    """Also when the flusher was started by somebody else."""
    ada, bea = scene.worktree("ada"), scene.worktree("bea")
    for agent in (ada, bea):
        agent.env |= {"GIT_COMMITTER_NAME": agent.top.name, "GIT_COMMITTER_EMAIL": f"{agent.top.name}@example.invalid"}
        agent.commit(f"{agent.top.name}-1")
        agent.commit(f"{agent.top.name}-2")
    scene.git("config", "uam.window.push", WINDOW)
    running = [ada.start("push", "origin", "HEAD:main"), bea.start("push", "origin", "HEAD:next")]
    until(lambda: len(scene.rows("sources")) == 2, "both pushes in the queue")
    due_now(scene)
    assert [done.code for done in map(finished, running)] == [0, 0]
    assert scene.bare.git("log", "-1", "--format=%cn %ce", "main") == "ada ada@example.invalid"
    assert scene.bare.git("log", "-1", "--format=%cn %ce", "next") == "bea bea@example.invalid"


def test_a_remote_that_leads_elsewhere_by_now_is_refused_by_name(quiet: Scene) -> None:
    other = mirror(quiet, "other")
    quiet.commit("a")
    assert quiet.push().code == 0
    quiet.git("config", "remote.origin.url", str(other.top))
    done = quiet.run("uam", "flush")
    assert done.code == 1
    assert "origin leads elsewhere than when this was queued" in done.out
    assert quiet.files() == ["README"]
    assert other.git("ls-tree", "--name-only", "main").split() == ["README"]
    # what is pushed from now on goes there
    quiet.commit("b")
    assert quiet.push().code == 0
    quiet.git("uam", "flush")
    assert other.git("ls-tree", "--name-only", "main").split() == ["README", "a", "b"]


def test_the_queue_holds_no_value_of_what_makes_an_identity(quiet: Scene) -> None:
    quiet.commit("a")
    assert quiet.push(GH_TOKEN=ADAS).code == 0
    key = quiet.uam / "identity.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert len(key.read_bytes()) == 32
    for path in quiet.uam.rglob("*"):
        assert not path.is_file() or os.fsencode(ADAS) not in path.read_bytes()
    with quiet.store() as store:
        assert "GH_TOKEN" in facts(store, quiet.rows("deploy_queue")[-1]["identity"])


def test_what_acts_as_somebody_else_is_left_to_them_and_said(quiet: Scene) -> None:
    other = mirror(quiet, "mirror")
    ada, bea = quiet.worktree("ada"), settled_in(quiet, "bea", instead_of(quiet, other))
    ada.commit("a")
    bea.commit("b")
    for agent in (bea, ada):
        assert agent.push("origin", "HEAD:main").code == 0
    number = max(row["id"] for row in quiet.rows("deploy_queue") if row["url"] == str(other.top))
    line = f"#{number} waits for an agent with the settings it was queued with"
    names = "GIT_CONFIG_GLOBAL, HOME and url of origin"
    assert f"apart:   {line}: {names} differ from here" in ada.git("uam", "status").splitlines()
    assert ada.git("uam", "flush", "--dry-run").count("origin/main") == 1
    said = ada.git("uam", "flush")
    assert said.splitlines()[-1] == "1 action waits for agents with other settings, see git uam status"
    assert (quiet.files(), other.git("ls-tree", "--name-only", "main").split()) == (["README", "a"], ["README"])
    report = ada.git("uam", "status")
    assert "next:    nothing here: `git uam flush` with the settings that it was queued with" in report
    assert "apart" not in bea.git("uam", "status")
    bea.git("uam", "flush")
    assert other.git("ls-tree", "--name-only", "main").split() == ["README", "b"]
    assert ada.git("uam", "flush") == "nothing to land"


def test_a_batch_that_was_made_by_somebody_else_is_theirs_to_execute(quiet: Scene) -> None:
    ada, bea = quiet.worktree("ada"), quiet.worktree("bea")
    ada.env |= {"GH_TOKEN": ADAS}
    ada.commit("a")
    assert ada.push("origin", "HEAD:main").code == 0
    due_now(quiet)
    ada.git("uam", "batch")
    done = bea.run("uam", "execute", "--batch-id", "1")
    assert (done.code, "with other settings" in done.err) == (4, True), done
    assert bea.git("uam", "flush") == "nothing to land"
    assert quiet.files() == ["README"]
    ada.git("uam", "execute", "--batch-id", "1")
    assert quiet.files() == ["README", "a"]


def test_what_became_of_a_landing_is_asked_where_it_went(quiet: Scene) -> None:
    """A process for which the remote leads elsewhere does not decide it; one that acts as another and is led to the
    same place does.
    """
    other = mirror(quiet, "mirror")
    ada, bea = quiet.worktree("ada"), settled_in(quiet, "bea", instead_of(quiet, other))
    ada.env |= {"GH_TOKEN": ADAS}
    ada.commit("a")
    assert ada.push("origin", "HEAD:main").code == 0
    assert ada.run("uam", "flush", UAM_DIE_AT="pushed").code != 0
    assert quiet.files() == ["README", "a"]
    bea.git("uam", "status")
    assert quiet.pushed() == ["executing"]
    quiet.git("uam", "status")
    assert quiet.pushed() == ["completed"]
    assert len(quiet.pushes()) == 1


def test_a_worktree_with_a_key_of_its_own_signs_with_it(quiet: Scene) -> None:
    """Whoever lands it: the background process, or a command in that worktree; nobody in another."""
    key = signing_key(quiet, "ada")
    quiet.git("config", "extensions.worktreeConfig", "true")
    ada = quiet.worktree("ada")
    for name, value in (("gpg.format", "ssh"), ("commit.gpgSign", "true"), ("user.signingKey", str(key))):
        ada.git("config", "--worktree", name, value)
    for number, mode in enumerate(("queue", "manual")):
        ada.commit(f"{number}-1")
        ada.commit(f"{number}-2")
        quiet.git("config", "uam.push.mode", mode)
        assert ada.push("origin", "HEAD:main").code == 0
        if mode == "manual":
            assert "1 action waits" in quiet.git("uam", "flush")
            ada.git("uam", "flush")
        until(lambda number=number: f"{number}-2" in quiet.files(), "the landing")  # type: ignore[misc]
        quiet.idle()
        assert signer(quiet.bare, "main", key) == "key-ada"
    assert quiet.bare.git("rev-list", "--count", f"{quiet.start_oid}..main") == "2"


def test_h11_a_setting_that_is_given_for_one_push_is_that_of_its_landing(scene: Scene) -> None:
    """The landing is the work of another process: where it goes, by which program, and in which protocol."""
    log = scene.root / "commands"
    ssh = script(scene.root / "ssh", f'echo "ssh $GIT_PROTOCOL" >>"{log}"\nfor last; do :; done\neval "$last"\n')
    program = script(scene.root / "receive", f'echo receive >>"{log}"\nexec git-receive-pack "$@"\n')
    scene.git("config", "remote.origin.uam-pushurl", "there:/work")
    scene.commit("a")
    given = {
        "core.sshCommand": ssh, "ssh.variant": "ssh", "protocol.version": 1, "remote.origin.receivepack": program,
        f"url.ssh://example.invalid{scene.remote}.insteadOf": "there:/work",
    }  # fmt: skip
    done = scene.run(*(word for key, value in given.items() for word in ("-c", f"{key}={value}")), "push")
    assert done.code == 0, done
    assert scene.files() == ["README", "a"]
    assert set(log.read_text().splitlines()) >= {"ssh version=1", "receive"}


def test_commits_of_others_are_not_squashed_here_where_that_would_sign_them(quiet: Scene) -> None:
    key = signing_key(quiet, "ada")
    bea = Worktree(quiet.top, {**quiet.env, "GIT_COMMITTER_NAME": "Bea"})
    for name in "ab":
        bea.commit(name)
    for name, value in (("gpg.format", "ssh"), ("commit.gpgSign", "true"), ("user.signingKey", str(key))):
        quiet.git("config", name, value)
    assert quiet.git("uam", "flush") == "nothing to land"
    assert quiet.subjects(f"{quiet.start_oid}..main") == ["Add b", "Add a"]
    for name in "cd":
        quiet.commit(name)
    quiet.git("uam", "flush")
    assert quiet.subjects(f"{quiet.start_oid}..main") == ["Squashed 2 commits:", "Add b", "Add a"]


def test_what_depends_on_the_work_of_somebody_else_goes_on_when_that_has_ended(scene: Scene) -> None:
    log = scene.root / "deployed"
    scene.git("config", "uam.deploy.prod.command", str(script(scene.root / "prod", f'echo "$GH_TOKEN" >"{log}"\n')))
    scene.git("config", "uam.window.deploy", "0")
    scene.git("config", "uam.window.push", WINDOW)
    scene.git("config", "uam.push.mode", "queue")
    ada, bea = scene.worktree("ada"), scene.worktree("bea")
    ada.env |= {"GH_TOKEN": ADAS}
    bea.env |= {"GH_TOKEN": "token-of-bea"}
    ada.commit("a")
    assert ada.push("origin", "HEAD:main").code == 0
    number = str(max(row["id"] for row in scene.rows("deploy_queue")))
    ask = ("uam", "queue", "--action-type", "deploy", "--target", "prod", "--ref", "main", "--depends-on", number)
    bea.git(*ask)
    bea.git("uam", "status")
    due_now(scene)
    until(log.exists, "the deploy")
    assert scene.files() == ["README", "a"]
    scene.idle()
    assert log.read_text() == "token-of-bea\n"
