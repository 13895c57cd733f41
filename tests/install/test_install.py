"""Installing leaves no trace once it is taken out, keeps what was there, and refuses before it changes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.gits import CONFIG_HOOKS, version
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import Refused, StoreError, UamError
from uam_hooks.hot.core.plumbing import LOCAL_ENV
from uam_hooks.install import configured, wiring
from uam_hooks.install.hookfile import HOOKS
from uam_hooks.install.install import InstallReport, UninstallReport, install, uninstall

DATE = "2024-05-06T07:08:09+00:00"
ODD_CONFIG = """\
; written by hand
[core]
	bare = false
  repositoryformatversion=0
[remote "origin"] url = https://me:secret@example.invalid/a.git
	fetch = +refs/heads/*:refs/remotes/origin/*
	pushurl = "ssh://one.invalid/a b"   ; the first
  PushUrl= ssh://two.invalid/\\
a
# a remark between
	tagOpt = --no-tags
[remote "team/b"]
	url = ../b.git
[Alias]
	st = status -sb
[user]
	name = X"""  # without a newline at the end


@pytest.fixture(autouse=True)
def private_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git that knows nothing of whoever runs the tests."""
    for name in (*LOCAL_ENV, "UAM", "UAM_AGENT_ID", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    home.mkdir()
    settings = home / "gitconfig"
    settings.write_text("[user]\n\tname = A\n\temail = a@example.invalid\n[init]\n\tdefaultBranch = main\n")
    for name, value in {
        "HOME": str(home),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(settings),
        "GIT_AUTHOR_DATE": DATE,
        "GIT_COMMITTER_DATE": DATE,
    }.items():
        monkeypatch.setenv(name, value)
    return home


@pytest.fixture(autouse=True)
def files_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """An install as with a git that has no hooks from its config; see test_configured for the others."""
    monkeypatch.setattr(configured, "supported", lambda _: False)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A repository with one commit and one remote, at a path with spaces and quotes."""
    where = tmp_path / 'it\'s a "repo"'
    git(tmp_path, "init", "-q", str(where))
    git(tmp_path, "init", "-q", "--bare", "remote.git")
    git(where, "commit", "-q", "--allow-empty", "-m", "first")
    git(where, "remote", "add", "origin", str(tmp_path / "remote.git"))
    return where


def git(at: Path, *args: str, ok: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["git", *args], cwd=at, env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 or not ok, done.stderr
    return done


def put_in(at: Path, *, hooks_only: bool = False) -> InstallReport:
    with Repository.at(at) as repo:
        return install(repo, hooks_only=hooks_only)


def take_out(at: Path, *, pending: Callable[[], list[str]] = list, force: bool = False) -> UninstallReport:
    with Repository.at(at) as repo:
        return uninstall(repo, pending=pending, force=force)


def snapshot(git_dir: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of the config file and of everything in the hooks directory."""
    found = {}
    for path in [git_dir / "config", *sorted((git_dir / "hooks").glob("*"))]:
        content = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
        found[path.name] = (path.lstat().st_mode, content)
    return found


def script(path: Path, text: str, mode: int = 0o755) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(mode)


def values(at: Path, key: str) -> list[str]:
    return git(at, "config", "--get-all", key, ok=False).stdout.splitlines()


# -- in, again, and out --------------------------------------------------------------------------------


def test_what_an_install_leaves(top: Path) -> None:
    report = put_in(top)
    assert (report.hooks, report.wired, report.kept, report.skipped) == (HOOKS, ("origin",), (), ())
    uam = top / ".git" / "uam"
    assert (uam / "env").read_text() == f"{sys.executable}\n{Path(wiring.__file__).parents[2]}\n"
    assert all((uam / name).is_dir() for name in ("spool", "inflight", "settling"))
    assert values(top, "remote.origin.pushurl") == ["uam::origin"]
    assert values(top, "remote.origin.uam-pushurl") == []


@pytest.mark.parametrize("config", ["", ODD_CONFIG, ODD_CONFIG + "\n", "[core]\n\tbare = false\r\n"])
def test_out_is_byte_for_byte_what_was_before_in(top: Path, config: str) -> None:
    path = top / ".git" / "config"
    path.write_bytes(config.encode() or path.read_bytes())
    path.chmod(0o640)
    hooks = top / ".git" / "hooks"
    script(hooks / "pre-commit", "true\n")
    script(hooks / "post-commit", "false\n", 0o644)
    (hooks / "pre-push").symlink_to("../../checks/pre-push")
    before = snapshot(top / ".git")

    report = put_in(top)
    assert report.kept == ("pre-commit", "post-commit", "pre-push")
    installed = snapshot(top / ".git")
    again = put_in(top)
    assert (again.hooks, again.kept, again.wired) == ((), (), ())
    assert snapshot(top / ".git") == installed != before

    removed = take_out(top)
    assert removed.restored == ("pre-commit", "post-commit", "pre-push")
    assert snapshot(top / ".git") == before
    assert not (top / ".git" / "uam").exists()
    assert list((top / ".git").glob("*.lock")) == []


def test_several_push_urls_are_remembered_in_order(top: Path) -> None:
    (top / ".git" / "config").write_text(ODD_CONFIG)
    assert put_in(top).wired == ("origin", "team/b")
    assert values(top, "remote.origin.pushurl") == ["uam::origin"]
    assert values(top, "remote.origin.uam-pushurl") == ["ssh://one.invalid/a b", "ssh://two.invalid/a"]


def test_without_a_hooks_directory_none_stays_behind(top: Path) -> None:
    shutil.rmtree(top / ".git" / "hooks")
    put_in(top)
    take_out(top)
    assert not (top / ".git" / "hooks").exists()


def test_taking_out_what_was_never_in_does_nothing(top: Path) -> None:
    before = snapshot(top / ".git")
    assert take_out(top) == UninstallReport(installed=False)
    assert snapshot(top / ".git") == before


def test_a_linked_worktree_stands_for_the_whole_repository(top: Path, tmp_path: Path) -> None:
    git(top, "worktree", "add", "-q", str(tmp_path / "linked"))
    before = snapshot(top / ".git")
    put_in(tmp_path / "linked")
    assert put_in(top).hooks == ()
    take_out(tmp_path / "linked")
    assert snapshot(top / ".git") == before


def test_both_aliases_run_the_shims_from_everywhere(top: Path, tmp_path: Path) -> None:
    (top / "sub").mkdir()
    git(top, "worktree", "add", "-q", str(tmp_path / "linked"))
    put_in(top)
    uam = top / ".git" / "uam"
    for name in ("git-uam", "git-remote-uam"):
        script(uam / "bin" / name, f'cd "${{0%/*}}" && pwd -P && echo {name} "$@"\n')
    for at in (top, top / "sub", tmp_path / "linked", top / ".git"):
        said = git(at, "uam", "status", "a b").stdout
        assert said == f"{uam}/bin\ngit-uam status a b\n"
        said = git(at, "remote-uam", "origin", "origin").stdout
        assert said == f"{uam}/bin\ngit-remote-uam origin origin\n"


def test_git_answers_a_question_for_help_with_where_help_is(top: Path, tmp_path: Path) -> None:
    put_in(top)
    path = tmp_path / "git alone"  # a git-uam on PATH would be a command to git, not an alias
    path.mkdir()
    (path / "git").symlink_to(str(shutil.which("git")))
    for asked in (("uam", "--help"), ("help", "uam")):
        said = git(top, *asked, PATH=str(path)).stdout
        assert said == f"'uam' is aliased to '{wiring.COMMAND_ALIAS[1]}'\n"
        assert said.startswith("'uam' is aliased to '!: for help, run: git uam help; ")


def test_the_words_in_the_alias_cost_no_process_and_change_no_argument(top: Path) -> None:
    put_in(top)
    script(top / ".git/uam/bin/git-uam", 'printf "%s\\n" "$PPID" "$#" "$@"\nexit 7\n')
    (top / "a b").mkdir()
    args = ["a b", "", "*", "$(false)", "'", "--help"]
    with subprocess.Popen(["git", "uam", *args], cwd=top / "a b", stdout=subprocess.PIPE, text=True) as process:
        said, _ = process.communicate()
    assert process.returncode == 7
    assert said.splitlines() == [str(process.pid), str(len(args)), *args]


def test_a_moved_repository_is_taken_out_all_the_same(top: Path, tmp_path: Path) -> None:
    before = snapshot(top / ".git")
    put_in(top)
    moved = top.rename(tmp_path / "moved")
    take_out(moved)
    assert snapshot(moved / ".git") == before


def test_hooks_only_wires_nothing(top: Path) -> None:
    before = snapshot(top / ".git")
    report = put_in(top, hooks_only=True)
    assert (report.hooks, report.wired) == (HOOKS, ())
    assert values(top, "alias.remote-uam") == values(top, "remote.origin.pushurl") == []
    assert put_in(top).wired == ("origin",)
    take_out(top)
    assert snapshot(top / ".git") == before


# -- the config file, edited between in and out ----------------------------------------------------------


def edited_config(top: Path, *edits: tuple[str, ...]) -> bytes:
    """The config file after git's own `edits`."""
    for edit in edits:
        git(top, *edit)
    return (top / ".git" / "config").read_bytes()


Edits = tuple[tuple[str, ...], ...]
EDITS: dict[str, Edits] = {
    "a remote": (("remote", "add", "later", "../later.git"),),
    "an alias": (("config", "alias.ci", "commit"),),
    "a branch": (
        ("config", "branch.main.remote", "origin"),
        ("config", "branch.main.merge", "refs/heads/main"),
    ),
    "a value before": (("config", "core.autocrlf", "input"),),
    "the URL": (("remote", "set-url", "origin", "../elsewhere.git"),),
    "a fetch line": (("config", "--add", "remote.origin.fetch", "+refs/notes/*:refs/notes/*"),),
}


@pytest.mark.parametrize("odd", [False, True], ids=["git's own", "odd"])
@pytest.mark.parametrize("edits", EDITS.values(), ids=EDITS)
def test_an_edited_config_is_what_it_would_be_without_us(top: Path, tmp_path: Path, edits: Edits, odd: bool) -> None:
    if odd:
        (top / ".git" / "config").write_text(ODD_CONFIG)
    plain = tmp_path / "plain"
    shutil.copytree(top, plain, symlinks=True)
    put_in(top)
    edited_config(top, *edits)
    take_out(top)
    assert (top / ".git" / "config").read_bytes() == edited_config(plain, *edits)


def test_a_remote_added_later_is_wired_by_the_next_install(top: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    shutil.copytree(top, plain, symlinks=True)
    add = ("remote", "add", "--mirror=push", "later", "../later.git")
    put_in(top)
    git(top, *add)
    assert put_in(top).wired == ("later",)
    assert values(top, "remote.later.pushurl") == ["uam::later"]
    assert put_in(top).wired == ()
    take_out(top)
    assert (top / ".git" / "config").read_bytes() == edited_config(plain, add)


def test_a_config_that_was_rearranged_loses_ours_and_nothing_else(top: Path) -> None:
    path = top / ".git" / "config"
    path.write_text(ODD_CONFIG)
    put_in(top)
    text = path.read_text().replace("\tremote-uam =", "\tx = y\n\tremote-uam =").replace("pushurl = uam", "PUSHURL=uam")
    path.write_text(text + "\n# the end\n")
    take_out(top)
    assert "uam" not in path.read_text()
    assert values(top, "remote.origin.pushurl") == ["ssh://one.invalid/a b", "ssh://two.invalid/a"]
    assert (values(top, "alias.x"), values(top, "alias.st")) == (["y"], ["status -sb"])
    assert "# a remark between" in path.read_text()
    assert path.read_text().endswith("# the end\n")


def test_a_renamed_remote_is_wired_under_its_new_name(top: Path) -> None:
    git(top, "remote", "set-url", "--push", "origin", "../real.git")
    put_in(top)
    git(top, "remote", "rename", "origin", "up")
    assert put_in(top).wired == ("up",)
    assert values(top, "remote.up.pushurl") == ["uam::up"]
    take_out(top)
    assert values(top, "remote.up.pushurl") == ["../real.git"]


def test_a_push_url_set_since_takes_the_place_of_the_remembered_one(top: Path) -> None:
    git(top, "remote", "set-url", "--push", "origin", "../old.git")
    put_in(top)
    git(top, "remote", "set-url", "--push", "origin", "../new.git")
    assert put_in(top).wired == ("origin",)
    assert values(top, "remote.origin.uam-pushurl") == ["../new.git"]
    take_out(top)
    assert values(top, "remote.origin.pushurl") == ["../new.git"]


def test_remotes_that_cannot_be_wired_are_named_with_the_reason(top: Path) -> None:
    git(top, "config", "remote.empty.fetch", "+refs/heads/*:refs/remotes/empty/*")
    git(top, "config", "remote.a b.url", "x")
    git(top, "config", "remote.helped.url", "hg::x")
    git(top, "config", "remote.helped.vcs", "hg")
    git(top, "config", "--global", "remote.origin.pushurl", "../fork.git")
    before = snapshot(top / ".git")
    skipped = {one.remote: one.why for one in put_in(top).skipped}
    assert skipped == {
        "origin": "its pushurl is set outside this repository's config file, where git uam does not change it",
        "empty": "it has no URL",
        "a b": "its name is not one that git accepts for a remote",
        "helped": "it has its own remote helper",
    }
    take_out(top)
    assert snapshot(top / ".git") == before


# -- an alias from before it said where help is ----------------------------------------------------------

EARLIER = '!sh "$(git rev-parse --git-common-dir)"/uam/bin/git-uam'


@pytest.fixture
def earlier(top: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that was enabled when the alias had its earlier text."""
    with monkeypatch.context() as then:
        then.setattr(wiring, "COMMAND_ALIAS", ("alias.uam", EARLIER))
        then.setattr(wiring, "_ALIASES", (("alias.uam", EARLIER), wiring.HELPER_ALIAS))
        put_in(top)
    assert values(top, "alias.uam") == [EARLIER]
    return top


@pytest.mark.parametrize("update", [False, True], ids=["out", "in again, and out"])
@pytest.mark.parametrize("edits", [(), *EDITS.values()], ids=["nothing", *EDITS])
def test_an_earlier_alias_is_ours(earlier: Path, tmp_path: Path, edits: Edits, update: bool) -> None:
    plain = tmp_path / "plain"
    shutil.copytree(earlier, plain, symlinks=True)
    take_out(plain)
    assert b"uam" not in (plain / ".git" / "config").read_bytes()
    edited_config(earlier, *edits)
    if update:
        assert put_in(earlier).wired == (("later",) if edits == EDITS["a remote"] else ())
        assert values(earlier, "alias.uam") == [wiring.COMMAND_ALIAS[1]]
    take_out(earlier)
    assert (earlier / ".git" / "config").read_bytes() == edited_config(plain, *edits)


def test_an_earlier_alias_goes_without_the_record_of_the_install(earlier: Path) -> None:
    for name in ("config.before", "config.after"):
        (earlier / ".git" / "uam" / name).unlink()
    put_in(earlier)
    assert values(earlier, "alias.uam") == [wiring.COMMAND_ALIAS[1]]
    git(earlier, "config", "alias.uam", EARLIER)  # an older copy of the config file came back
    take_out(earlier)
    assert b"uam" not in (earlier / ".git" / "config").read_bytes()


# -- hooks that were there -------------------------------------------------------------------------------


def test_kept_hooks_run_first_with_what_git_gave(top: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    for name in HOOKS:
        read = f'cat >>"{log}"' if name in ("post-rewrite", "pre-push") else ":"
        script(top / ".git" / "hooks" / name, f'echo {name} "$@" >>"{log}"\n{read}\n')
    put_in(top)
    git(top, "commit", "-q", "--allow-empty", "-m", "second")
    old = git(top, "rev-parse", "HEAD").stdout.strip()
    git(top, "commit", "-q", "--allow-empty", "--amend", "-m", "third")
    new = git(top, "rev-parse", "HEAD").stdout.strip()
    git(top, "push", "origin", "main", UAM="off")
    zero = "0" * len(new)
    assert log.read_text().splitlines() == [
        "pre-commit",
        "post-commit",
        "pre-commit",
        "post-commit",
        "post-rewrite amend",
        f"{old} {new}",
        f"pre-push origin {tmp_path / 'remote.git'}",
        f"refs/heads/main {new} refs/heads/main {zero}",
    ]
    assert list((top / ".git" / "uam" / "inflight").iterdir()) == []


def test_a_kept_hook_that_fails_stops_the_commit_and_the_push(top: Path) -> None:
    script(top / ".git" / "hooks" / "pre-commit", "echo no commits today >&2\nexit 3\n")
    script(top / ".git" / "hooks" / "pre-push", "cat >/dev/null\necho no pushes today >&2\nexit 3\n")
    put_in(top)
    commit = git(top, "commit", "-q", "--allow-empty", "-m", "second", ok=False)
    assert (commit.returncode, commit.stderr) == (1, "no commits today\n")
    push = git(top, "push", "origin", "main", ok=False, UAM="off")
    assert push.returncode == 1
    assert "no pushes today\n" in push.stderr
    assert git(top, "ls-remote", "origin").stdout == ""


def test_a_hook_that_git_did_not_run_is_not_run(top: Path) -> None:
    script(top / ".git" / "hooks" / "pre-commit", "exit 3\n", 0o644)
    put_in(top)
    git(top, "commit", "-q", "--allow-empty", "-m", "second")


def test_a_hook_of_ours_that_was_edited_stays(top: Path) -> None:
    put_in(top)
    hook = top / ".git" / "hooks" / "pre-push"
    edited = hook.read_bytes() + b"# mine\n"
    hook.write_bytes(edited)
    assert put_in(top).left == ("pre-push",)
    assert take_out(top).left == (f"{hook}: it was edited since we wrote it",)
    assert hook.read_bytes() == edited


def test_an_older_hook_of_ours_is_brought_up_to_date(top: Path) -> None:
    put_in(top)
    hook = top / ".git" / "hooks" / "post-commit"
    shipped = hook.read_bytes()
    hook.write_bytes(b"#!/bin/sh\n# uam_hooks: an older one\n")
    record = top / ".git" / "uam" / "install.json"
    record.unlink()
    assert put_in(top).hooks == ("post-commit",)
    assert hook.read_bytes() == shipped


def test_a_hook_replaced_by_another_tool_is_refused_while_one_is_kept(top: Path) -> None:
    hook = top / ".git" / "hooks" / "pre-commit"
    script(hook, "true\n")
    put_in(top)
    script(hook, "# another tool\n")
    with pytest.raises(Refused, match="is not ours"):
        put_in(top)
    assert take_out(top).left == (f"{hook}.before-uam: pre-commit next to it is not ours",)
    assert hook.read_text() == "#!/bin/sh\n# another tool\n"


def test_a_shared_hooks_directory_keeps_ours_until_the_last_leaves(top: Path, tmp_path: Path) -> None:
    hooks = tmp_path / "everywhere"
    script(hooks / "pre-commit", "true\n")
    git(top, "config", "--global", "core.hooksPath", str(hooks))
    other = tmp_path / "other"
    git(tmp_path, "init", "-q", str(other))
    assert put_in(top).kept == ("pre-commit",)
    assert put_in(other).hooks == ()
    assert take_out(top).left == (f"the hooks in {hooks}: other repositories use them, too",)
    git(other, "commit", "-q", "--allow-empty", "-m", "first")
    assert len(list((other / ".git" / "uam" / "spool").iterdir())) == 1
    assert take_out(other).restored == ("pre-commit",)
    assert [path.name for path in hooks.iterdir()] == ["pre-commit"]


def test_hooks_follow_a_changed_hooks_path(top: Path, tmp_path: Path) -> None:
    before = snapshot(top / ".git")["pre-commit.sample"]
    put_in(top)
    git(top, "config", "core.hooksPath", str(tmp_path / "elsewhere"))
    assert put_in(top).hooks == HOOKS
    assert not (top / ".git" / "hooks" / "pre-commit").exists()
    take_out(top)
    assert not (tmp_path / "elsewhere").exists()
    assert snapshot(top / ".git")["pre-commit.sample"] == before


def test_installs_at_the_same_time_keep_the_hook_that_was_there(top: Path) -> None:
    script(top / ".git" / "hooks" / "pre-commit", "true\n")
    before = snapshot(top / ".git")
    code = (
        "from pathlib import Path; from uam_hooks.git.repo import Repository; "
        "from uam_hooks.install.install import install; install(Repository.at(Path()))"
    )
    started = [subprocess.Popen([sys.executable, "-c", code], cwd=top) for _ in range(4)]
    assert [process.wait() for process in started] == [0] * 4
    hooks = top / ".git" / "hooks"
    there = hooks / "pre-commit.before-uam" if version() < CONFIG_HOOKS else hooks / "pre-commit"
    assert there.read_text() == "#!/bin/sh\ntrue\n"
    take_out(top)
    assert snapshot(top / ".git") == before


# -- refusing, and failing midway ------------------------------------------------------------------------


@pytest.mark.parametrize("link", [False, True])
def test_hooks_alone_among_tracked_files_are_refused(top: Path, link: bool) -> None:
    script(top / ".husky" / "pre-commit", "true\n")
    if link:
        shutil.rmtree(top / ".git" / "hooks")
        (top / ".git" / "hooks").symlink_to("../.husky")
    else:
        git(top, "config", "core.hooksPath", ".husky")
    before = (top / ".git" / "config").read_bytes()
    with pytest.raises(Refused, match="among the files of the worktree") as refused:
        put_in(top, hooks_only=True)
    assert "git config --unset core.hooksPath" in refused.value.do
    assert (top / ".git" / "config").read_bytes() == before
    assert not (top / ".git" / "uam").exists()
    assert [path.name for path in (top / ".husky").iterdir()] == ["pre-commit"]


@pytest.mark.parametrize("alias", ["uam", "remote-uam"])
def test_an_alias_of_our_name_is_refused(top: Path, alias: str) -> None:
    git(top, "config", f"alias.{alias}", "status")
    before = snapshot(top / ".git")
    with pytest.raises(Refused, match=f"its own alias.{alias}"):
        put_in(top)
    assert snapshot(top / ".git") == before
    assert not (top / ".git" / "uam").exists()


def test_a_bare_repository_is_refused_unless_it_has_worktrees(top: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.git"
    git(tmp_path, "clone", "-q", "--bare", str(top), str(bare))
    with pytest.raises(Refused, match="bare repository"):
        put_in(bare)
    git(bare, "worktree", "add", "-q", str(tmp_path / "linked"), "main")
    before = snapshot(bare)
    assert put_in(tmp_path / "linked").hooks == HOOKS
    take_out(bare)
    assert snapshot(bare) == before


def test_a_locked_config_is_refused(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "_LOCK_PATIENCE", 0.1)
    before = snapshot(top / ".git")
    lock = top / ".git" / "config.lock"
    lock.touch()
    with pytest.raises(Refused, match=r"config\.lock exists"):
        put_in(top)
    assert lock.exists()
    assert snapshot(top / ".git") == before


def test_a_failed_install_is_undone(top: Path) -> None:
    script(top / ".git" / "hooks" / "pre-commit", "true\n")
    before = snapshot(top / ".git")
    (top / ".git" / "uam" / "env").mkdir(parents=True)  # where a file has to go, as the last step
    with pytest.raises(UamError, match=r"uam/env"):
        put_in(top)
    assert snapshot(top / ".git") == before


# -- out, with something queued --------------------------------------------------------------------------


def test_a_queue_that_is_not_empty_keeps_us_in(top: Path) -> None:
    put_in(top)
    installed = snapshot(top / ".git")
    with pytest.raises(Refused, match="2 actions are queued: 7 push main; 8 commit main") as refused:
        take_out(top, pending=lambda: ["7 push main", "8 commit main"])
    assert "git uam flush" in refused.value.do
    assert snapshot(top / ".git") == installed
    assert (top / ".git" / "uam" / "env").exists()


def test_force_says_what_it_dropped(top: Path) -> None:
    before = snapshot(top / ".git")
    put_in(top)
    git(top, "update-ref", "refs/uam/queue/7", "HEAD")
    report = take_out(top, pending=lambda: ["7 push main"], force=True)
    assert (report.dropped, report.refs) == (("7 push main",), 1)
    assert snapshot(top / ".git") == before
    assert git(top, "rev-parse", "refs/uam/queue/7").stdout


def test_a_queue_that_cannot_be_read_needs_force(top: Path) -> None:
    def broken() -> list[str]:
        raise StoreError("The queue is corrupt.")

    put_in(top)
    with pytest.raises(StoreError):
        take_out(top, pending=broken)
    report = take_out(top, pending=broken, force=True)
    assert report.dropped == ("the whole queue, which cannot be read: The queue is corrupt.",)
