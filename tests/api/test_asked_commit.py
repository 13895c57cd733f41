"""Commits that were asked for by name: the named files as they were when they were queued, and nothing else."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.support.commits import change, entry, frozen, land, push
from tests.support.landscape import kept, sound, write
from tests.support.marks import bulk
from tests.support.queueing import AT_ONCE, batcher
from tests.support.scenes import Scene, Worktree, finished, script
from uam_hooks import UamError
from uam_hooks.hot.core.errors import UsageError


def refused(place: Worktree, *files: str, target: str = "main") -> str:
    """Why these files cannot be committed; nothing at all may come of asking."""
    scene_refs, before = place.git("for-each-ref"), frozen(place)
    with pytest.raises(UsageError) as error:
        change(place, *files, target=target)
    assert (place.git("for-each-ref"), frozen(place)) == (scene_refs, before)
    return error.value.what


def as_git_adds(place: Worktree, *files: str) -> str:
    """The tree that git's own `add` would make of these files on top of HEAD, with an index of its own."""
    index = {"GIT_INDEX_FILE": str(place.top.parent / "index.scratch"), "GIT_LITERAL_PATHSPECS": "1"}
    # A copy and not `read-tree`: git looks at what the index knows of line ends. The copy is as old as the index:
    # in a younger one, git would take a file that was written again in the same second for unchanged.
    shutil.copy2(place.git_dir / "index", place.top.parent / "index.scratch")
    place.git("add", "-A", "--", *files, **index)
    return place.git("write-tree", **index)


# -- what is in it ---------------------------------------------------------------------------------------------


def test_the_file_as_it_was_when_it_was_queued(scene: Scene) -> None:
    write(scene, "f", "when it was queued\n")
    change(scene, "f", message="Add f")
    write(scene, "f", "later\n")
    push(scene)
    assert land(scene).success
    assert entry(scene.bare, "f") == ("100644", "when it was queued\n")
    assert scene.landed() == ["Add f"] and len(scene.pushes()) == 1
    # what was written later is a change of its own, and all that differs
    assert scene.status() == ["## main...origin/main", " M f"]
    assert (scene.top / "f").read_text() == "later\n"


def test_asking_touches_neither_index_nor_files_nor_branches(scene: Scene) -> None:
    scene.commit("tracked", "1\n")
    write(scene, "tracked", "2\n")
    write(scene, "staged", "staged\n")
    scene.git("add", "staged")
    write(scene, "new", "new\n")
    before = frozen(scene)
    change(scene, "tracked", "new")
    assert frozen(scene) == before


def test_what_the_caller_has_staged_stays_staged_and_does_not_go_along(scene: Scene) -> None:
    write(scene, "mine", "mine\n")
    write(scene, "README", "staged\n")
    scene.git("add", "mine", "README")
    write(scene, "README", "staged, and changed again\n")
    write(scene, "asked", "asked\n")
    change(scene, "asked")
    push(scene)
    assert land(scene).success
    assert scene.files() == ["README", "asked"] and entry(scene.bare, "README")[1] == "a project\n"
    assert scene.status() == ["## main...origin/main", "MM README", "A  mine"]
    assert scene.git("show", ":README") == "staged"


def test_what_is_staged_of_the_same_file_is_not_lost(scene: Scene) -> None:
    """The file was taken as it is in the worktree; what was staged of it before is nowhere else."""
    write(scene, "f", "staged\n")
    scene.git("add", "f")
    write(scene, "f", "asked\n")
    change(scene, "f")
    push(scene)
    assert land(scene).success
    assert entry(scene.bare, "f")[1] == "asked\n"
    assert scene.git("show", ":f") == "staged" and (scene.top / "f").read_text() == "asked\n"


def test_modes_links_and_deletions(scene: Scene) -> None:
    scene.commit("gone")
    scene.commit("tool", "#!/bin/sh\n")
    scene.git("push", "-q", "origin", "main", UAM="off")
    write(scene, "tool", "#!/bin/sh\n", 0o755)
    (scene.top / "gone").unlink()
    (scene.top / "link").symlink_to("README")
    (scene.top / "dangling").symlink_to("no/such/file")
    names = ("tool", "gone", "link", "dangling")
    wanted = as_git_adds(scene, *names)
    change(scene, *names)
    push(scene)
    assert land(scene).success
    assert scene.bare.oid("main^{tree}") == wanted
    assert entry(scene.bare, "tool")[0] == "100755"
    assert entry(scene.bare, "dangling") == ("120000", "no/such/file")
    assert "gone" not in scene.files()
    assert scene.clean()


def test_without_file_modes_a_script_stays_executable(scene: Scene) -> None:
    """core.fileMode=false means that the bit in the worktree says nothing: git keeps what it has."""
    write(scene, "tool", "1\n", 0o755)
    scene.git("add", "tool")
    scene.git("commit", "-q", "-m", "Add a tool")
    scene.git("config", "core.fileMode", "false")
    write(scene, "tool", "2\n", 0o644)
    wanted = as_git_adds(scene, "tool")
    change(scene, "tool")
    push(scene)
    assert land(scene).success
    assert entry(scene.bare, "tool") == ("100755", "2\n")
    assert scene.bare.oid("main^{tree}") == wanted


def test_attributes_decide_as_for_git_add(scene: Scene) -> None:
    scene.git("config", "filter.upper.clean", "tr a-z A-Z")
    write(scene, ".gitattributes", "*.txt text\n*.bat text eol=crlf\n*.bin -text\n*.up filter=upper\n")
    write(scene, "a.txt", "a\r\nb\r\n")
    write(scene, "sub/b.bat", "a\r\nb\r\n")
    write(scene, "c.bin", b"a\r\n\0\xff")
    write(scene, "d.up", "shout\n")
    names = (".gitattributes", "a.txt", "sub/b.bat", "c.bin", "d.up")
    wanted = as_git_adds(scene, *names)
    change(scene, *names)
    push(scene)
    assert land(scene).success
    assert scene.bare.oid("main^{tree}") == wanted
    assert entry(scene.bare, "d.up")[1] == "SHOUT\n"
    assert scene.bare.git("cat-file", "-s", "main:a.txt") == "4"
    assert scene.clean()


def test_autocrlf_decides_as_for_git_add(scene: Scene) -> None:
    """A file that git has with LF stays so, whatever the worktree has."""
    known = "a\nb\n"
    scene.git("config", "core.autocrlf", "false")
    write(scene, "f", known)
    scene.git("add", "f")
    scene.git("commit", "-q", "-m", "Add f")
    scene.git("config", "core.autocrlf", "true")
    write(scene, "f", "a\r\nb\r\nc\r\n")
    wanted = as_git_adds(scene, "f")
    change(scene, "f")
    push(scene)
    assert land(scene).success
    assert scene.bare.oid("main^{tree}") == wanted


def test_a_filter_that_fails_refuses_the_commit_with_words(scene: Scene) -> None:
    scene.git("config", "filter.broken.clean", "false")
    scene.git("config", "filter.broken.required", "true")
    write(scene, ".gitattributes", "*.x filter=broken\n")
    write(scene, "f.x", "x\n")
    with pytest.raises(UamError, match=r"f\.x|filter"):
        change(scene, "f.x")
    assert scene.rows("deploy_queue") == []


def test_unusual_names(scene: Scene) -> None:
    odd = os.fsdecode(b"not utf-8 \xff\xfe")
    names = [
        "with space", "-dash", "--force", "ünï/cödé", "it's", 'in "quotes"', "back\\slash", "*.glob", "[a-c]", "?",
        "a:b", "#hash", "~", "$(touch X)", "deep/er/and/deeper/still", odd,
    ]  # fmt: skip
    for name in names:
        write(scene, name, f"{len(name)}\n")
    wanted = as_git_adds(scene, *names)
    change(scene, *names)
    push(scene)
    assert land(scene).success
    assert scene.bare.oid("main^{tree}") == wanted
    assert scene.clean()
    sound(scene.bare)


@pytest.mark.parametrize("name", bulk(['"quoted"', ":!magic", ":(top)magic", os.fsdecode(b"\xff")]),
                         ids=["quotes around", "exclude magic", "top magic", "not utf-8"])  # fmt: skip
def test_a_name_that_means_something_to_git_is_a_name(scene: Scene, name: str) -> None:
    write(scene, name, "x\n")
    wanted = as_git_adds(scene, name)
    change(scene, name, message="Add it")
    assert land(scene).success
    assert scene.oid("main^{tree}") == wanted
    assert scene.git("status", "--porcelain") == ""


def test_a_file_where_a_directory_was_and_the_other_way_round(scene: Scene) -> None:
    scene.commit("was-file")
    scene.commit("was-dir/one")
    scene.commit("was-dir/two")
    (scene.top / "was-file").unlink()
    write(scene, "was-file/inside", "x\n")
    for name in ("one", "two"):
        (scene.top / "was-dir" / name).unlink()
    (scene.top / "was-dir").rmdir()
    write(scene, "was-dir", "x\n")
    change(scene, "was-file/inside", "was-dir")
    assert land(scene).errors == ()
    assert scene.git("ls-tree", "-r", "--name-only", "main").split() == ["README", "was-dir", "was-file/inside"]
    assert scene.git("status", "--porcelain") == ""
    sound(scene)


def test_names_count_from_the_directory_one_stands_in(scene: Scene) -> None:
    write(scene, "f", "top\n")
    write(scene, "sub/f", "below\n")
    write(scene, "sub/g", "below\n")
    write(scene, "h", "top\n")
    change(scene, "f", "../h", str(scene.top / "sub" / "g"), at="sub")
    assert land(scene).success
    assert scene.git("ls-tree", "-r", "--name-only", "main").split() == ["README", "h", "sub/f", "sub/g"]


def test_a_worktree_that_is_reached_through_a_link(scene: Scene) -> None:
    """A directory may have several names (on some systems the temporary one has): the files are the same ones."""
    write(scene, "f", "x\n")
    write(scene, "g", "x\n")
    (scene.root / "another-name").symlink_to(scene.top)
    seen = Worktree(scene.root / "another-name", scene.env)
    change(seen, "f", str(seen.top / "g"))
    assert land(seen).success
    assert scene.git("ls-tree", "--name-only", "main").split() == ["README", "f", "g"]


# -- what is refused -------------------------------------------------------------------------------------------


def test_an_ignored_file(scene: Scene) -> None:
    write(scene, ".gitignore", ".env\nbuild/\n*.log\n")
    write(scene, ".env", "SECRET=1\n")
    write(scene, "build/out", "x\n")
    assert ".env is ignored" in refused(scene, ".env")
    assert "build/out is ignored" in refused(scene, ".gitignore", "build/out")
    # one that is in git already is no secret any more
    write(scene, "kept.log", "1\n")
    scene.git("add", "-f", "kept.log")
    scene.git("commit", "-q", "-m", "Keep a log")
    write(scene, "kept.log", "2\n")
    change(scene, "kept.log")


@pytest.mark.slow
def test_what_is_no_file_of_this_worktree(scene: Scene) -> None:
    write(scene, "d/f", "x\n")
    write(scene, "f", "x\n")
    (scene.root / "outside").write_text("x\n")
    (scene.top / "link").symlink_to(scene.root)
    (scene.top / "inner").symlink_to("d")
    os.mkfifo(scene.top / "pipe")
    assert "directory" in refused(scene, "d") or "is not a file" in refused(scene, "d")
    for name in ("../outside", str(scene.root / "outside"), "/etc/passwd", "d/../../outside"):
        assert "not in this worktree" in refused(scene, name)
    for name in ("link/outside", "inner/f"):
        assert "symbolic link" in refused(scene, name)
    for name in (".git/config", ".git", ".GIT/config", "d/.git/hooks/x", ".", "", "pipe", "a\0b", "a\nb"):
        refused(scene, name)
    assert "no file absent" in refused(scene, "absent")
    assert "Nothing to commit" in refused(scene, "README")
    assert scene.rows("deploy_queue") == []


def test_submodules_and_what_is_in_them(scene: Scene) -> None:
    module = scene.stranger()
    scene.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(scene.remote), "module")
    scene.git("commit", "-q", "-m", "Add a module")
    (scene.top / "module" / "README").write_text("changed\n")
    assert module.clean()
    refused(scene, "module")
    refused(scene, "module/README")
    refused(scene, "module/new")
    scene.git("submodule", "--quiet", "deinit", "-f", "module")
    (scene.top / "module").rmdir()
    assert "submodule" in refused(scene, "module")


def test_a_target_that_is_no_branch_here(scene: Scene) -> None:
    write(scene, "f", "x\n")
    scene.git("tag", "v1")
    for target in ("nowhere", "-x", "a..b", "HEAD", "refs/tags/v1", "v1", scene.start_oid):
        refused(scene, "f", target=target)


@pytest.mark.parametrize("payload", [
    {}, {"files": ["f"]}, {"message": "", "files": ["f"]}, {"message": " \n", "files": ["f"]},
    {"message": 5, "files": ["f"]}, {"message": "a\0b", "files": ["f"]}, {"message": "m", "files": "f"},
    {"message": "m", "files": [5]}, {"message": "m", "files": {"f": 1}}, {"message": "m", "files": ["f"], "all": True},
    {"message": "not \udcff text", "files": ["f"]},
], ids=str)  # fmt: skip
def test_a_payload_that_says_something_else(scene: Scene, payload: dict[str, object]) -> None:
    write(scene, "f", "x\n")
    before = scene.queue()
    with batcher(scene, dynamic_windows=AT_ONCE) as here, pytest.raises(UsageError):
        here.queue("ann", "commit", "main", payload)
    assert scene.queue() == before and scene.our_refs() == []


def test_one_bad_file_refuses_its_own_call_alone(scene: Scene) -> None:
    write(scene, "good", "x\n")
    write(scene, "also", "x\n")
    change(scene, "good", message="Good")
    refused(scene, "also", "no/such/file")
    change(scene, "also", message="Also good")
    push(scene)
    assert land(scene).success
    assert scene.files() == ["README", "also", "good"]


# -- the commit itself -----------------------------------------------------------------------------------------


def test_who_made_it(scene: Scene) -> None:
    scene.env |= {
        "GIT_AUTHOR_NAME": "Ann", "GIT_AUTHOR_EMAIL": "ann@example.invalid",
        "GIT_COMMITTER_NAME": "Bot", "GIT_COMMITTER_EMAIL": "bot@example.invalid",
    }  # fmt: skip
    write(scene, "f", "x\n")
    change(scene, "f", message="A subject\n\nAnd a body.\n# no comment\n")
    land(scene)
    shown = scene.git("log", "-1", "--format=%an <%ae>|%cn <%ce>|%ad|%B", "--date=format:%F %T", "main")
    assert shown.rstrip("\n") == (
        "Ann <ann@example.invalid>|Bot <bot@example.invalid>|2024-05-06 07:08:09|A subject\n\nAnd a body.\n# no comment"
    )


def test_two_who_ask_from_one_process_keep_their_names(scene: Scene) -> None:
    """The environment says who commits, as for `git commit`; what it said before counts for nothing."""
    for name in ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"):
        scene.env.pop(name)
    for who in ("Ann", "Bob"):
        scene.env |= {"GIT_AUTHOR_NAME": who, "GIT_COMMITTER_NAME": who}
        write(scene, who, "x\n")
        change(scene, who, message=f"From {who}")
        land(scene)
    assert scene.git("log", "-2", "--format=%an %cn", "main").splitlines() == ["Bob Bob", "Ann Ann"]


def test_a_worktree_with_a_name_of_its_own(scene: Scene) -> None:
    """extensions.worktreeConfig: each worktree may have its own user.email, and `git commit` uses it."""
    scene.git("config", "extensions.worktreeConfig", "true")
    agent = scene.worktree("agent")
    agent.git("config", "--worktree", "user.email", "agent@example.invalid")
    write(agent, "f", "x\n")
    change(agent, "f", target="agent")
    land(agent)
    assert agent.git("log", "-1", "--format=%ae", "agent") == "agent@example.invalid"


def test_without_a_name_it_is_refused(scene: Scene) -> None:
    (scene.home / "gitconfig").write_text("[user]\n\tuseConfigOnly = true\n")
    write(scene, "f", "x\n")
    with pytest.raises(UamError):
        change(scene, "f")
    assert scene.rows("deploy_queue") == [] and scene.our_refs() == []


def test_the_date_is_when_it_was_queued(scene: Scene) -> None:
    for name in ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"):
        scene.env.pop(name)
    write(scene, "f", "x\n")
    before = int(finished(scene._start(["date", "+%s"], {})).out)
    change(scene, "f")
    after = int(finished(scene._start(["date", "+%s"], {})).out)
    land(scene)
    assert before <= int(scene.git("log", "-1", "--format=%at", "main")) <= after


def test_it_is_signed_where_git_config_asks_for_it(scene: Scene) -> None:
    said = 'cat >/dev/null; echo "[GNUPG:] SIG_CREATED " >&2; echo "-----SIGNED-----"\n'
    signer = script(scene.root / "signer", said)
    scene.git("config", "gpg.program", str(signer))
    scene.git("config", "commit.gpgSign", "true")
    write(scene, "f", "x\n")
    change(scene, "f")
    land(scene)
    assert "-----SIGNED-----" in scene.git("cat-file", "commit", "main")


def test_everything_is_sound_and_kept_until_it_has_landed(scene: Scene) -> None:
    tips: list[str] = []
    for name in ("a", "b/c", "b/d"):
        write(scene, name, f"{name}\n")
        change(scene, name)
        tips = [row["tip"] for row in scene.rows("sources")]
        kept(scene, tips)
    assert len(set(tips)) == 3
    scene.git("reflog", "expire", "--expire=now", "--all")
    scene.git("gc", "-q", "--prune=now")
    sound(scene)
    push(scene)
    assert land(scene).success
    kept(scene, tips)
    assert [ref for ref in scene.our_refs() if "/pin/" in ref] == []  # what landed needs no pin
    sound(scene)
    sound(scene.bare)


def test_what_failed_and_what_was_cancelled_stays_kept(scene: Scene) -> None:
    write(scene, "f", "x\n")
    number = change(scene, "f")
    (tip,) = [row["tip"] for row in scene.rows("sources")]
    with batcher(scene, dynamic_windows=AT_ONCE) as here:
        here.cancel(number)
        scene.git("gc", "-q", "--prune=now")
        kept(scene, [tip])
        here.retry(number)
    assert land(scene).success
    assert scene.oid("main") == tip
