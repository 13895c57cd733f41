"""c7: repositories whose objects have SHA-256 names, from the install to the uninstall."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commits import change, land
from tests.support.landscape import (
    at_remote,
    by_hand,
    flushed,
    kept,
    queue,
    sound,
    states,
    truthful,
    updates,
    write,
)  # fmt: skip
from tests.support.merges import merge, on
from tests.support.scenes import SHADOW, TRACKING, Scene, Worktree, script
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core import loose
from uam_hooks.hot.core.object_format import FORMATS

ZEROS = "0" * 64


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A hooked repository and its remote, both with SHA-256; without the variable that made them so."""
    found = Scene(tmp_path_factory.mktemp("sha256"), objects="sha256")
    found.install()
    return found


@pytest.fixture
def scene(tmp_path: Path, made: Scene) -> Iterator[Scene]:
    """A copy of it."""
    found = Scene(tmp_path, made)
    assert len(found.start_oid) == 64
    yield found
    found.close()


@pytest.mark.slow
def test_c7_pushes_of_all_kinds(scene: Scene) -> None:
    """As git has them: a branch, a new one, a tag, a lease that holds and one that does not, a deletion."""
    tip = scene.commit("a")
    assert scene.push() == (0, "", f"To uam::origin\n   {scene.start_oid[:7]}..{tip[:7]}  main -> main\n")
    assert scene.oid(TRACKING) == scene.there() == tip
    scene.git("tag", "v1")
    assert scene.push("origin", "main:refs/heads/new", "v1") == (
        0, "", "To uam::origin\n * [new branch]      main -> new\n * [new tag]         v1 -> v1\n",
    )  # fmt: skip
    scene.commit("b", "", "--amend")
    new = scene.oid("HEAD")
    stale = scene.push(f"--force-with-lease=new:{scene.start_oid}", "origin", "main:new")
    assert (stale.code, scene.there("refs/heads/new")) == (1, tip)
    assert "(stale info)" in stale.err
    assert scene.push("--force-with-lease", "origin", "main:new").err == (
        f"To uam::origin\n + {tip[:7]}...{new[:7]} main -> new (forced update)\n"
    )
    assert scene.push("origin", ":new", ":v1") == (
        0, "", "To uam::origin\n - [deleted]         new\n - [deleted]         v1\n",
    )  # fmt: skip
    assert scene.bare.git("for-each-ref", "--format=%(refname)") == "refs/heads/main"
    truthful(scene)


def test_c7_a_push_without_us(scene: Scene) -> None:
    """... git judges by what our shim lists, and a hook from before is told what the remote has."""
    heard = scene.root / "heard"
    script(scene.top / ".git/hooks/pre-push.before-uam", f'cat >>"{heard}"\n')
    tip = scene.commit("a")
    assert scene.push("--force-with-lease", "origin", "main", "main:refs/heads/new", UAM="off").code == 0
    assert (scene.there(), scene.there("refs/heads/new")) == (tip, tip)
    assert heard.read_text().splitlines() == [
        f"refs/heads/main {tip} refs/heads/main {scene.start_oid}", f"refs/heads/main {tip} refs/heads/new {ZEROS}",
    ]  # fmt: skip
    assert scene.pushed() == []


@pytest.mark.slow
def test_c7_two_agents_one_push_and_one_who_conflicts(scene: Scene) -> None:
    by_hand(scene)
    commits: dict[str, list[str]] = {}
    for name in ("one", "two", "three"):
        agent = scene.worktree(name)
        commits[name] = [agent.commit(f"{name}/1"), agent.commit("table" if name != "one" else "one/2", name)]
        queue(agent)
    plans = json.loads(scene.git("uam", "flush", "--dry-run", "--json"))
    assert "would conflict: three in table" in json.dumps(plans)
    flushed(scene)
    assert states(scene) == ["landed", "landed", "failed"]
    assert len(updates(scene)) == 1 and len(scene.landed()) == 2
    assert scene.files() == ["README", "one/1", "one/2", "table", "two/1"]
    kept(scene, commits["one"] + commits["two"])
    assert scene.git("merge-base", commits["two"][1], SHADOW) == commits["two"][1]
    assert scene.run("uam", "show", "1").out.count(commits["one"][1][:7]) >= 1
    # the same line again: the shadow knows that the work before it has landed
    one = Worktree(scene.root / "one", scene.env)
    one.commit("one/2", "changed\n")
    queue(one)
    flushed(scene)
    assert scene.bare.git("show", "main:one/2") == "changed"
    assert scene.run("uam", "sync").code == 0
    at_remote(scene, scene)
    assert scene.git("uam", "restore", "1", "--branch", "again").startswith("branch again-1 is at ")
    sound(scene)
    sound(scene.bare)


def test_c7_commits_and_merges_by_name(scene: Scene) -> None:
    """What changes trees, indexes and branches here: a file, one in a directory, one that is gone, a first branch."""
    by_hand(scene)
    write(scene, "deep/er/f", "x\n")
    change(scene, "deep/er/f", message="Add f")
    assert land(scene).success
    (scene.top / "README").unlink()
    (scene.top / "deep/er/f").unlink()
    (scene.top / "deep/er").rmdir()
    write(scene, "deep/er", "a file by now\n")
    change(scene, "README", "deep/er/f", "deep/er", message="Replace f")
    assert land(scene).success
    assert scene.git("ls-tree", "-r", "--name-only", "main").split() == ["deep/er"]
    assert scene.status() == ["## main...origin/main [ahead 2]"]
    scene.git("branch", "topic")
    on(scene, "topic", "t")
    assert merge(scene, push=True).success
    assert scene.files() == ["deep/er", "t"]
    scene.git("uam", "sync")
    at_remote(scene, scene)
    sound(scene)


def test_c7_the_first_commit_by_name(scene: Scene) -> None:
    scene.git("switch", "-q", "--orphan", "fresh")
    write(scene, "f", "x\n")
    change(scene, "f", target="fresh", message="Begin anew")
    assert land(scene).success
    assert scene.subjects("fresh") == ["Begin anew"] and scene.status() == ["## fresh"]


def test_c7_the_hook_door(tmp_path: Path) -> None:
    """... which needs the lines of pre-push, where a branch that the remote has not is zeros."""
    unwired = Scene(tmp_path, objects="sha256")
    unwired.install(hooks_only=True)
    tip = unwired.commit("a")
    done = unwired.push("origin", "main", "main:refs/heads/new")
    assert (done.code, [line.partition(";")[0] for line in done.ours[:2]]) == (
        1, ["queued as #2 for origin/main", "queued as #3 for origin/new"],
    )  # fmt: skip
    unwired.idle()
    assert (unwired.there(), unwired.there("refs/heads/new")) == (tip, tip)
    unwired.close()


def test_c7_an_amend_takes_the_place_of_what_was_queued(scene: Scene) -> None:
    """The spool has names of 64 digits, and so has what post-rewrite says."""
    old = scene.commit("a")
    new = scene.commit("b", "", "--amend")
    scene.report()
    assert [row["oid"] for row in scene.rows("queued_commits") if row["status"] == "pending"] == [new] != [old]


def test_c7_uninstall(scene: Scene) -> None:
    before = (scene.uam / "config.before").read_bytes()
    assert scene.run("uam", "uninstall").code == 0
    assert (scene.top / ".git/config").read_bytes() == before
    tip = scene.commit("a")
    assert scene.push().code == 0 and scene.there() == tip


@pytest.mark.parametrize("here", ["sha1", "sha256"])
def test_c7_a_remote_of_the_other_format_is_refused_in_gits_words(
    here: str, tmp_path: Path, templates: dict[str, Scene], made: Scene
) -> None:
    scene = Scene(tmp_path, made if here == "sha256" else templates["wired"])
    other = "sha1" if here == "sha256" else "sha256"
    scene.outside.git("init", "-q", "--bare", f"--object-format={other}", "other.git")
    scene.git("config", "remote.origin.uam-pushurl", str(scene.root / "other.git"))
    scene.commit("a")
    done = scene.push()
    plain = scene.push(str(scene.root / "other.git"), "main", UAM="off")
    words = [line.removeprefix("fatal: ") for line in plain.err.splitlines()]
    assert done.code != 0 != plain.code
    assert any(f" ! [remote rejected] main -> main ({each})\n" in done.err for each in words), (done, plain)
    assert states(scene) == ["failed"]
    scene.close()


@pytest.mark.parametrize("name", ["sha1", "sha256"])
def test_c7_objects_are_written_as_git_writes_them(name: str, plain: Scene) -> None:
    """... under the names that git gives them, and readable for whom the repository is for."""
    plain.git("init", "-q", "--shared=group", f"--object-format={name}", "new")
    top = Worktree(plain.top / "new", plain.env)
    made = FORMATS[name]
    assert top.git("hash-object", "-t", "tree", "/dev/null") == made.empty_tree
    with Repository(top.top / ".git") as repo:
        assert repo.object_format == made
        oid = repo.write("blob", b"some\0thing" * 1000)
    assert top.git("cat-file", "-s", oid) == "10000"
    path = top.top / ".git/objects" / oid[:2] / oid[2:]
    theirs = top.git("hash-object", "-w", "/dev/null")
    like = top.top / ".git/objects" / theirs[:2] / theirs[2:]
    assert [p.stat().st_mode for p in (path, path.parent)] == [p.stat().st_mode for p in (like, like.parent)]
    assert [p.name for p in (top.top / ".git/objects").iterdir() if p.is_file()] == []
    sound(top)
    with pytest.raises(OSError, match="gone"):
        loose.store(top.top / "gone", oid, "blob", b"")
    assert not (top.top / "gone").exists()
