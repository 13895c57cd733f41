"""Commits that were asked for by name: the named files as they were when they were queued, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from landscape import by_hand, environment, flushed, kept, queue, sound, states, truthful, write
from scenes import Scene, Worktree, finished, script

from uam_hooks import BatchResult, DeployBatcher, UamError
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import UsageError
from uam_hooks.install.install import install

AT_ONCE = {"commit": 0, "push": 0, "merge": 0, "workflow": 0, "deploy": 0}
TEN = "".join(f"{n}\n" for n in range(10))


@pytest.fixture
def scene(scene: Scene) -> Scene:
    """Nothing happens by itself: a test decides what is executed, and when."""
    return by_hand(scene)


@contextmanager
def batcher(place: Worktree, at: str = "") -> Iterator[DeployBatcher]:
    """The queue as a process in `place` sees it."""
    with environment(place.env):
        yield DeployBatcher(repository=place.top / at, dynamic_windows=AT_ONCE)


def ask(place: Worktree, *files: str, message: str = "", target: str = "main", at: str = "") -> int:
    """Queue a commit of these files; gives its id."""
    with batcher(place, at) as queue:
        payload = {"message": message or f"Change {files[0]}", "files": list(files)}
        return queue.queue(place.top.name, "commit", target, payload)


def push(place: Worktree, target: str = "main") -> int:
    with batcher(place) as queue:
        return queue.queue(place.top.name, "push", target)


def land(place: Worktree) -> BatchResult:
    """Execute what is queued, as one batch."""
    with batcher(place) as queue:
        batch = queue.create_batch()
        assert batch is not None
        return queue.execute_batch(batch.id)


def refused(place: Worktree, *files: str, target: str = "main") -> str:
    """Why these files cannot be committed; nothing at all may come of asking."""
    scene_refs, before = place.git("for-each-ref"), frozen(place)
    with pytest.raises(UsageError) as error:
        ask(place, *files, target=target)
    assert (place.git("for-each-ref"), frozen(place)) == (scene_refs, before)
    return error.value.what


def frozen(place: Worktree) -> dict[str, object]:
    """The index, HEAD, and every file of a worktree: what asking for a commit never changes."""
    found: dict[str, object] = {
        "the index": (place.git_dir / "index").read_bytes() if (place.git_dir / "index").exists() else b"",
        "HEAD": (place.git_dir / "HEAD").read_text(),
        "branches": place.git("for-each-ref", "refs/heads", "refs/remotes"),
    }
    for path in sorted(place.top.rglob("*")):
        name = path.relative_to(place.top)
        if name.parts[0] == ".git":
            continue
        state = path.lstat()
        content: object = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(name)] = state.st_mode, state.st_mtime_ns, content
    return found


def entry(place: Worktree, name: str, ref: str = "main") -> tuple[str, str]:
    """Mode and content of a file in a commit."""
    mode = place.git("--literal-pathspecs", "ls-tree", ref, "--", name).partition(" ")[0]
    return mode, place.run("cat-file", "-p", f"{ref}:{name}").out


def as_git_adds(place: Worktree, *files: str) -> str:
    """The tree that git's own `add` would make of these files on top of HEAD, with an index of its own."""
    index = {"GIT_INDEX_FILE": str(place.top.parent / "index.scratch"), "GIT_LITERAL_PATHSPECS": "1"}
    # a copy and not `read-tree`: git looks at what the index knows of line ends
    (place.top.parent / "index.scratch").write_bytes((place.git_dir / "index").read_bytes())
    place.git("add", "-A", "--", *files, **index)
    return place.git("write-tree", **index)


# -- what is in it ---------------------------------------------------------------------------------------------


def test_the_file_as_it_was_when_it_was_queued(scene: Scene) -> None:
    write(scene, "f", "when it was queued\n")
    ask(scene, "f", message="Add f")
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
    ask(scene, "tracked", "new")
    assert frozen(scene) == before


def test_what_the_caller_has_staged_stays_staged_and_does_not_go_along(scene: Scene) -> None:
    write(scene, "mine", "mine\n")
    write(scene, "README", "staged\n")
    scene.git("add", "mine", "README")
    write(scene, "README", "staged, and changed again\n")
    write(scene, "asked", "asked\n")
    ask(scene, "asked")
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
    ask(scene, "f")
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
    ask(scene, *names)
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
    ask(scene, "tool")
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
    ask(scene, *names)
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
    ask(scene, "f")
    push(scene)
    assert land(scene).success
    assert scene.bare.oid("main^{tree}") == wanted


def test_a_filter_that_fails_refuses_the_commit_with_words(scene: Scene) -> None:
    scene.git("config", "filter.broken.clean", "false")
    scene.git("config", "filter.broken.required", "true")
    write(scene, ".gitattributes", "*.x filter=broken\n")
    write(scene, "f.x", "x\n")
    with pytest.raises(UamError, match=r"f\.x|filter"):
        ask(scene, "f.x")
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
    ask(scene, *names)
    push(scene)
    assert land(scene).success
    assert scene.bare.oid("main^{tree}") == wanted
    assert scene.clean()
    sound(scene.bare)


@pytest.mark.parametrize("name", ['"quoted"', ":!magic", ":(top)magic", os.fsdecode(b"\xff")],
                         ids=["quotes around", "exclude magic", "top magic", "not utf-8"])  # fmt: skip
def test_a_name_that_means_something_to_git_is_a_name(scene: Scene, name: str) -> None:
    write(scene, name, "x\n")
    wanted = as_git_adds(scene, name)
    ask(scene, name, message="Add it")
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
    ask(scene, "was-file/inside", "was-dir")
    assert land(scene).errors == ()
    assert scene.git("ls-tree", "-r", "--name-only", "main").split() == ["README", "was-dir", "was-file/inside"]
    assert scene.git("status", "--porcelain") == ""
    sound(scene)


def test_names_count_from_the_directory_one_stands_in(scene: Scene) -> None:
    write(scene, "f", "top\n")
    write(scene, "sub/f", "below\n")
    write(scene, "sub/g", "below\n")
    write(scene, "h", "top\n")
    ask(scene, "f", "../h", str(scene.top / "sub" / "g"), at="sub")
    assert land(scene).success
    assert scene.git("ls-tree", "-r", "--name-only", "main").split() == ["README", "h", "sub/f", "sub/g"]


def test_a_worktree_that_is_reached_through_a_link(scene: Scene) -> None:
    """A directory may have several names (on some systems the temporary one has): the files are the same ones."""
    write(scene, "f", "x\n")
    write(scene, "g", "x\n")
    (scene.root / "another-name").symlink_to(scene.top)
    seen = Worktree(scene.root / "another-name", scene.env)
    ask(seen, "f", str(seen.top / "g"))
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
    ask(scene, "kept.log")


def test_what_is_no_file_of_this_worktree(scene: Scene) -> None:
    write(scene, "d/f", "x\n")
    write(scene, "f", "x\n")
    (scene.root / "outside").write_text("x\n")
    (scene.top / "link").symlink_to(scene.root)
    (scene.top / "inner").symlink_to("d")
    os.mkfifo(scene.top / "pipe")
    assert "directory" in refused(scene, "d") or "no file" in refused(scene, "d")
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
    with batcher(scene) as here, pytest.raises(UsageError):
        here.queue("ann", "commit", "main", payload)
    assert scene.queue() == before and scene.our_refs() == []


def test_one_bad_file_refuses_its_own_call_alone(scene: Scene) -> None:
    write(scene, "good", "x\n")
    write(scene, "also", "x\n")
    ask(scene, "good", message="Good")
    refused(scene, "also", "no/such/file")
    ask(scene, "also", message="Also good")
    push(scene)
    assert land(scene).success
    assert scene.files() == ["README", "also", "good"]


# -- where it lands --------------------------------------------------------------------------------------------


def test_the_branch_that_is_checked_out_here(scene: Scene) -> None:
    write(scene, "f", "x\n")
    scene.commit("other")
    ask(scene, "f", message="Add f")
    result = land(scene)
    assert (result.success, result.executed_actions) == (True, 1)
    assert scene.subjects("main") == ["Add f", "Add other", "Begin"]
    assert scene.status() == ["## main...origin/main [ahead 2]"]
    assert scene.landed() == [] and scene.pushes() == []  # nobody asked for a push
    assert "landed as" in scene.git("reflog", "-1", "HEAD")


def test_a_branch_that_nobody_has_checked_out(scene: Scene) -> None:
    scene.git("branch", "release")
    write(scene, "f", "x\n")
    before = frozen(scene)
    ask(scene, "f", target="release")
    assert land(scene).success
    assert scene.git("ls-tree", "--name-only", "release").split() == ["README", "f"]
    after = frozen(scene)
    assert {**before, "branches": ""} == {**after, "branches": ""}
    assert scene.status() == ["## main...origin/main", "?? f"] and scene.oid("main") == scene.start_oid


def test_a_branch_that_another_worktree_has_checked_out(scene: Scene) -> None:
    """Its files would have to change, and nobody's files change behind their back."""
    other = scene.worktree("other")
    write(scene, "f", "x\n")
    before = frozen(other)
    ask(scene, "f", target="other")
    result = land(scene)
    assert (result.success, result.failed_actions) == (False, 1)
    assert "other stays where it is" in result.errors[0] and "checked out" in result.errors[0]
    assert frozen(other) == before and other.clean()
    kept(scene, [scene.rows("sources")[0]["tip"]])


def test_a_branch_that_another_worktree_has_checked_out_with_a_push(scene: Scene) -> None:
    other = scene.worktree("other")
    write(scene, "f", "x\n")
    before = {**frozen(other), "branches": ""}
    ask(scene, "f", target="other", message="Add f")
    push(scene, "other")
    assert land(scene).success
    assert scene.bare.subjects("other") == ["Add f", "Begin"] and len(scene.pushes()) == 1
    assert {**frozen(other), "branches": ""} == before and other.git("status", "--porcelain") == ""
    truthful(scene)


def test_a_branch_that_only_the_remote_has(scene: Scene) -> None:
    stranger = scene.stranger()
    stranger.git("checkout", "-q", "-b", "theirs")
    stranger.commit("theirs")
    stranger.git("push", "-q", "origin", "theirs")
    scene.git("fetch", "-q")
    write(scene, "f", "x\n")
    ask(scene, "f", target="theirs", message="Add f")
    push(scene, "theirs")
    assert land(scene).success
    assert scene.bare.subjects("theirs") == ["Add f", "Add theirs", "Begin"]
    assert scene.status() == ["## main...origin/main", "?? f"]
    truthful(scene)


def test_a_branch_that_only_the_remote_has_without_a_push(scene: Scene) -> None:
    scene.stranger().git("push", "-q", "origin", "HEAD:theirs")
    scene.git("fetch", "-q")
    write(scene, "f", "x\n")
    ask(scene, "f", target="theirs", message="Add f")
    assert land(scene).success
    assert scene.subjects("theirs") == ["Add f", "Begin"] and scene.there("refs/heads/theirs") == scene.start_oid


@pytest.fixture
def empty(scene: Scene) -> Worktree:
    """An empty repository with an empty remote."""
    scene.outside.git("init", "-q", "--bare", "empty.git")
    scene.outside.git("clone", "-q", "empty.git", "empty")
    place = Worktree(scene.root / "empty", scene.env)
    place.git("config", "uam.push.mode", "manual")
    with environment(scene.env), Repository.at(place.top) as repo:
        install(repo, hooks_only=False)
    return place


def test_the_first_commit_of_an_empty_repository(empty: Worktree, scene: Scene) -> None:
    write(empty, "f", "x\n")
    write(empty, "g", "x\n")
    ask(empty, "f", message="Begin")
    ask(empty, "g", message="Go on")
    push(empty)
    with batcher(empty) as here:
        batch = here.create_batch()
        assert batch is not None
        assert here.execute_batch(batch.id).success
    remote = Worktree(scene.root / "empty.git", scene.env)
    assert remote.git("ls-tree", "--name-only", "main").split() == ["f", "g"]
    # as it was shown: one commit
    assert remote.subjects("main") == [batch.actions[0].payload["message"].splitlines()[0]]
    sound(remote)


def test_the_first_commit_of_an_empty_repository_without_a_push(empty: Worktree) -> None:
    write(empty, "f", "x\n")
    ask(empty, "f", message="Begin")
    assert land(empty).success
    assert empty.subjects("main") == ["Begin"] and empty.git("status", "--porcelain") == ""
    write(empty, "f", "y\n")
    ask(empty, "f", message="Go on")
    assert land(empty).success
    assert empty.subjects("main") == ["Go on", "Begin"] and empty.git("status", "--porcelain") == ""


def test_a_linked_worktree_on_its_own_branch(scene: Scene) -> None:
    agent = scene.worktree("agent")
    write(agent, "f", "x\n")
    ask(agent, "f", target="agent", message="Add f")
    push(agent, "agent")
    before = frozen(scene)
    assert land(scene).success
    assert scene.bare.subjects("agent") == ["Add f", "Begin"]
    assert agent.git("status", "--porcelain") == "" and agent.oid("HEAD") == scene.there("refs/heads/agent")
    assert {**frozen(scene), "branches": ""} == {**before, "branches": ""}


# -- when the branch moves -------------------------------------------------------------------------------------


def test_the_branch_moved_between(scene: Scene) -> None:
    write(scene, "f", "x\n")
    ask(scene, "f", message="Add f")
    scene.commit("local")
    stranger = scene.stranger()
    stranger.commit("theirs")
    stranger.git("push", "-q", "origin", "main")
    push(scene)
    assert land(scene).success
    assert scene.files() == ["README", "f", "local", "theirs"]
    assert (scene.top / "f").read_text() == "x\n"


def test_the_branch_moved_between_without_a_push(scene: Scene) -> None:
    write(scene, "f", "x\n")
    ask(scene, "f", message="Add f")
    scene.commit("local")
    assert land(scene).success
    assert scene.subjects("main") == ["Add f", "Add local", "Begin"]
    assert scene.git("status", "--porcelain") == ""


def test_one_that_conflicts_fails_alone_and_says_why(scene: Scene) -> None:
    scene.commit("table", TEN)
    scene.git("push", "-q", "origin", "main", UAM="off")
    agent = scene.worktree("agent")
    for place, files in ((scene, ("table", "mine")), (agent, ("fine",))):
        for name in files:
            write(place, name, "mine\n")
        ask(place, *files, message=f"From {place.top.name}")
    stranger = scene.stranger()
    stranger.git("pull", "-q")
    stranger.commit("table", "theirs\n", message="Theirs")
    stranger.git("push", "-q", "origin", "main")
    push(scene)
    result = land(scene)
    assert not result.success and len(result.errors) == 1
    assert "table" in result.errors[0] and "conflict" in result.errors[0]
    assert states(scene)[:2] == ["failed", "landed"]
    assert scene.bare.subjects("main")[:2] == ["From agent", "Theirs"] and entry(scene.bare, "table")[1] == "theirs\n"
    assert (scene.top / "table").read_text() == "mine\n"  # as its owner left it, without a mark
    kept(scene, [row["tip"] for row in scene.rows("sources") if row["tip"]])


def test_one_that_conflicts_on_a_branch_here_fails_alone_and_says_why(scene: Scene) -> None:
    scene.git("branch", "release")
    agent = scene.worktree("agent")
    write(scene, "f", "mine\n")
    write(agent, "g", "fine\n")
    ask(scene, "f", target="release", message="Mine")
    ask(agent, "g", target="release", message="Fine")
    other = scene.worktree("other")
    other.commit("f", "theirs\n", message="Theirs")
    scene.git("update-ref", "refs/heads/release", other.oid("HEAD"))
    result = land(scene)
    assert not result.success
    assert "conflict" in result.errors[0] and "release" in result.errors[0] and "f" in result.errors[0].split()
    assert scene.subjects("release") == ["Fine", "Theirs", "Begin"]


def test_twice_the_same_file_from_one_worktree(scene: Scene) -> None:
    write(scene, "f", "1\n")
    first = ask(scene, "f", message="One")
    write(scene, "f", "2\n")
    assert ask(scene, "f", message="Two") == first  # they are one action
    push(scene)
    assert land(scene).success
    assert entry(scene.bare, "f")[1] == "2\n"
    (subject,) = scene.landed()
    body = scene.bare.git("log", "-1", "--format=%b", "main")
    assert subject == "Squashed 2 commits:" and "1. One" in body and "2. Two" in body
    assert scene.clean()


def test_twice_the_same_file_while_the_branch_moves(scene: Scene) -> None:
    """The second one holds what the first one brought; a commit of another file in between is no reason to conflict."""
    write(scene, "f", "1\n")
    ask(scene, "f", message="One")
    scene.commit("other")
    write(scene, "f", "2\n")
    ask(scene, "f", message="Two")
    push(scene)
    result = land(scene)
    assert (result.success, result.errors) == (True, ())
    assert entry(scene.bare, "f")[1] == "2\n"


def test_the_same_file_from_two_worktrees(scene: Scene) -> None:
    agents = [scene.worktree("ann"), scene.worktree("bob")]
    for agent in agents:
        write(agent, "f", f"{agent.top.name}\n")
        write(agent, agent.top.name, "x\n")
        ask(agent, "f", agent.top.name, message=f"From {agent.top.name}")
    push(scene)
    result = land(scene)
    assert not result.success and len(result.errors) == 1 and "conflict in f with the work of ann" in result.errors[0]
    assert scene.files() == ["README", "ann", "f"] and entry(scene.bare, "f")[1] == "ann\n"
    assert states(scene)[:2] == ["landed", "failed"]


def test_others_work_in_the_same_file_is_not_undone(scene: Scene) -> None:
    """The worktree's file is older than the target's: what it does not know of is no change of its own."""
    scene.commit("table", TEN)
    scene.git("push", "-q", "origin", "main", UAM="off")
    agent = scene.worktree("agent")
    scene.commit("table", TEN.replace("9\n", "nine\n"), message="Nine")
    scene.git("push", "-q", "origin", "main", UAM="off")
    write(agent, "table", TEN.replace("0\n", "zero\n"))
    ask(agent, "table", message="Zero")
    push(agent)
    land(scene)
    assert "nine" in entry(scene.bare, "table")[1]


# -- what the checkout looks like afterwards -------------------------------------------------------------------


def test_a_file_that_was_edited_again_keeps_its_edit(scene: Scene) -> None:
    write(scene, "f", "1\n")
    ask(scene, "f", message="One")
    write(scene, "f", "2\n")
    assert land(scene).success
    assert scene.git("status", "--porcelain") == " M f"
    assert scene.git("diff", "--", "f").splitlines()[-2:] == ["-1", "+2"]
    ask(scene, "f", message="Two")
    assert land(scene).success
    assert scene.subjects("main") == ["Two", "One", "Begin"] and scene.git("status", "--porcelain") == ""


def test_a_file_that_was_deleted_again_stays_deleted(scene: Scene) -> None:
    write(scene, "f", "1\n")
    ask(scene, "f", message="One")
    (scene.top / "f").unlink()
    assert land(scene).success
    assert scene.git("status", "--porcelain") == " D f" and not (scene.top / "f").exists()


@pytest.mark.parametrize("others", [False, True], ids=["alone", "with strangers"])
def test_rounds_on_the_same_line(scene: Scene, others: bool) -> None:
    """Each round builds on the one before, whether or not the checkout could follow what landed."""
    write(scene, "f", TEN)
    ask(scene, "f", message="Begin f")
    push(scene)
    land(scene)
    stranger = scene.stranger()
    for turn in range(4):
        if others:
            stranger.git("pull", "-q")
            text = (stranger.top / "f").read_text()
            stranger.commit("f", text + f"theirs {turn}\n", message=f"Theirs {turn}")
            stranger.git("push", "-q", "origin", "main")
        write(scene, "f", f"round {turn}\n" + TEN)
        ask(scene, "f", message=f"Round {turn}")
        push(scene)
        assert land(scene).errors == ()
        has = entry(scene.bare, "f")[1].splitlines()
        assert has[0] == f"round {turn}"
        assert has[11:] == [f"theirs {n}" for n in range(turn + 1)] * others
    assert [subject for subject in scene.landed() if subject.startswith("Round")] == [f"Round {n}" for n in range(4)]
    if not others:
        assert scene.clean()
    sound(scene.bare)


def test_what_landed_merged_is_not_taken_for_what_the_worktree_has(scene: Scene) -> None:
    """The remote's file has another's line as well: the checkout must not look as if it had removed that line."""
    scene.commit("f", TEN)
    scene.git("push", "-q", "origin", "main", UAM="off")
    stranger = scene.stranger()
    stranger.git("pull", "-q")
    stranger.commit("f", TEN + "theirs\n", message="Theirs")
    stranger.git("push", "-q", "origin", "main")
    write(scene, "f", "one\n" + TEN)
    ask(scene, "f", message="One")
    push(scene)
    assert land(scene).success
    assert entry(scene.bare, "f")[1] == "one\n" + TEN + "theirs\n"
    assert "-theirs" not in scene.git("diff", "HEAD", "--", "f").splitlines()
    # and the next one does not undo it for everybody
    write(scene, "f", "two\n" + TEN)
    ask(scene, "f", message="Two")
    push(scene)
    land(scene)
    assert entry(scene.bare, "f")[1] == "two\n" + TEN + "theirs\n"


def test_rounds_in_which_the_checkout_catches_up(scene: Scene) -> None:
    """`git uam sync` brings the checkout over, and the next round stands on that."""
    stranger = scene.stranger()
    for turn in range(3):
        write(scene, "f", f"round {turn}\n")
        ask(scene, "f", message=f"Round {turn}")
        stranger.git("pull", "-q")
        stranger.commit(f"theirs-{turn}")
        stranger.git("push", "-q", "origin", "main")
        push(scene)
        assert land(scene).errors == ()
        scene.git("uam", "sync")
        assert scene.clean(), scene.status()
        assert entry(scene.bare, "f")[1] == (scene.top / "f").read_text() == f"round {turn}\n"


# -- the commit itself -----------------------------------------------------------------------------------------


def test_who_made_it(scene: Scene) -> None:
    scene.env |= {
        "GIT_AUTHOR_NAME": "Ann", "GIT_AUTHOR_EMAIL": "ann@example.invalid",
        "GIT_COMMITTER_NAME": "Bot", "GIT_COMMITTER_EMAIL": "bot@example.invalid",
    }  # fmt: skip
    write(scene, "f", "x\n")
    ask(scene, "f", message="A subject\n\nAnd a body.\n# no comment\n")
    land(scene)
    shown = scene.git("log", "-1", "--format=%an <%ae>|%cn <%ce>|%aI|%B", "main")
    assert shown.rstrip("\n") == (
        "Ann <ann@example.invalid>|Bot <bot@example.invalid>|2024-05-06T07:08:09+00:00|"
        "A subject\n\nAnd a body.\n# no comment"
    )


def test_two_who_ask_from_one_process_keep_their_names(scene: Scene) -> None:
    """The environment says who commits, as for `git commit`; what it said before counts for nothing."""
    for name in ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"):
        scene.env.pop(name)
    for who in ("Ann", "Bob"):
        scene.env |= {"GIT_AUTHOR_NAME": who, "GIT_COMMITTER_NAME": who}
        write(scene, who, "x\n")
        ask(scene, who, message=f"From {who}")
        land(scene)
    assert scene.git("log", "-2", "--format=%an %cn", "main").splitlines() == ["Bob Bob", "Ann Ann"]


def test_a_worktree_with_a_name_of_its_own(scene: Scene) -> None:
    """extensions.worktreeConfig: each worktree may have its own user.email, and `git commit` uses it."""
    scene.git("config", "extensions.worktreeConfig", "true")
    agent = scene.worktree("agent")
    agent.git("config", "--worktree", "user.email", "agent@example.invalid")
    write(agent, "f", "x\n")
    ask(agent, "f", target="agent")
    land(agent)
    assert agent.git("log", "-1", "--format=%ae", "agent") == "agent@example.invalid"


def test_without_a_name_it_is_refused(scene: Scene) -> None:
    (scene.home / "gitconfig").write_text("[user]\n\tuseConfigOnly = true\n")
    write(scene, "f", "x\n")
    with pytest.raises(UamError):
        ask(scene, "f")
    assert scene.rows("deploy_queue") == [] and scene.our_refs() == []


def test_the_date_is_when_it_was_queued(scene: Scene) -> None:
    for name in ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"):
        scene.env.pop(name)
    write(scene, "f", "x\n")
    before = int(finished(scene._start(["date", "+%s"], {})).out)
    ask(scene, "f")
    after = int(finished(scene._start(["date", "+%s"], {})).out)
    land(scene)
    assert before <= int(scene.git("log", "-1", "--format=%at", "main")) <= after


def test_it_is_signed_where_git_config_asks_for_it(scene: Scene) -> None:
    said = 'cat >/dev/null; echo "[GNUPG:] SIG_CREATED " >&2; echo "-----SIGNED-----"\n'
    signer = script(scene.root / "signer", said)
    scene.git("config", "gpg.program", str(signer))
    scene.git("config", "commit.gpgSign", "true")
    write(scene, "f", "x\n")
    ask(scene, "f")
    land(scene)
    assert "-----SIGNED-----" in scene.git("cat-file", "commit", "main")


def test_everything_is_sound_and_kept_until_it_has_landed(scene: Scene) -> None:
    tips: list[str] = []
    for name in ("a", "b/c", "b/d"):
        write(scene, name, f"{name}\n")
        ask(scene, name)
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
    number = ask(scene, "f")
    (tip,) = [row["tip"] for row in scene.rows("sources")]
    with batcher(scene) as here:
        here.cancel(number)
        scene.git("gc", "-q", "--prune=now")
        kept(scene, [tip])
        here.retry(number)
    assert land(scene).success
    assert scene.oid("main") == tip


# -- with pushes -----------------------------------------------------------------------------------------------


def test_a_push_that_is_due_takes_commits_along_that_are_not(scene: Scene) -> None:
    write(scene, "f", "x\n")
    with environment(scene.env):
        slow = DeployBatcher(repository=scene.top, dynamic_windows={"commit": 3_600_000, "push": 0})
        number = slow.queue("ann", "commit", "main", {"message": "Add f", "files": ["f"]})
        assert slow.flush_all(due_only=True) == []
        slow.queue("ann", "push", "main")
        (result,) = slow.flush_all(due_only=True)
    assert result.success and result.executed_actions == 2
    assert scene.landed() == ["Add f"] and len(scene.pushes()) == 1
    assert scene.rows("deploy_queue")[0]["id"] == number and scene.rows("deploy_queue")[0]["status"] == "completed"


def test_an_ordinary_push_takes_waiting_commits_along(scene: Scene) -> None:
    """`git push` of the branch they are for, as any agent runs it; a push of another branch does not."""
    scene.git("config", "uam.push.mode", "wait")
    other = scene.worktree("other")
    write(scene, "f", "x\n")
    with environment(scene.env):
        slow = DeployBatcher(repository=scene.top, dynamic_windows={"commit": 3_600_000})
        slow.queue("ann", "commit", "main", {"message": "Add f", "files": ["f"]})
    other.commit("elsewhere")
    assert other.push("-q", "origin", "other").code == 0
    assert scene.landed() == [] and states(scene)[0] == "pending"
    scene.commit("mine")
    done = scene.push("-q", "origin", "main")
    assert done.code == 0, done
    assert scene.files() == ["README", "f", "mine"] and len(scene.pushes()) == 2
    assert states(scene)[0] == "landed"
    assert scene.clean() and (scene.top / "f").read_text() == "x\n"
    truthful(scene)


def test_an_ordinary_push_to_another_branch_leaves_them(scene: Scene) -> None:
    """HEAD of main goes to a branch of another name: commits that were asked for on main do not belong there."""
    write(scene, "f", "x\n")
    ask(scene, "f", message="Add f")
    scene.commit("mine")
    queue(scene, "origin", "main:review")
    with batcher(scene) as here:
        here.flush_all()
    assert "f" not in scene.files("review")


def test_a_push_of_work_that_conflicts_with_a_waiting_commit(scene: Scene) -> None:
    scene.git("config", "uam.push.mode", "wait")
    agent = scene.worktree("agent")
    write(agent, "f", "asked\n")
    with environment(agent.env):
        slow = DeployBatcher(repository=agent.top, dynamic_windows={"commit": 3_600_000})
        slow.queue("ann", "commit", "main", {"message": "Add f", "files": ["f"]})
    scene.commit("f", "pushed\n", message="Push f")
    done = scene.push("-q", "origin", "main")
    # the commit was queued first, so its work is what the push is in the way of
    assert done.code == 1 and "f" in done.err
    assert scene.landed() == ["Add f"]
    assert scene.subjects("main") == ["Push f", "Begin"]


def test_a_flush_by_hand_brings_commits_without_a_push_to_their_branch(scene: Scene) -> None:
    write(scene, "f", "x\n")
    ask(scene, "f", message="Add f")
    assert [result.success for result in flushed(scene)] == [True]
    assert scene.subjects("main") == ["Add f", "Begin"] and scene.pushes() == []
    # from here it is a commit like any other
    queue(scene, "origin", "main")
    flushed(scene)
    assert scene.landed() == ["Add f"] and scene.clean()


def test_a_path_is_named_for_git_once(scene: Scene) -> None:
    """However often and however a file is named, it is one file."""
    write(scene, "d/f", "x\n")
    ask(scene, "d/f", "./d/f", "d/../d/f", str(scene.top / "d" / "f"))
    with batcher(scene) as here:
        batch = here.create_batch()
    assert batch is not None and batch.actions[0].payload["files"] == ["d/f"]


def test_files_of_git_itself_by_any_name(scene: Scene) -> None:
    (scene.top / "sub").mkdir()
    assert Path(scene.top / ".git" / "config").exists()
    with batcher(scene, "sub") as here:
        for name in ("../.git/config", "../.Git/config", str(scene.top / ".git" / "config")):
            with pytest.raises(UsageError):
                here.queue("ann", "commit", "main", {"message": "m", "files": [name]})
