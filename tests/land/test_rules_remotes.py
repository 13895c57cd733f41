"""The rules for remotes: two at once, several push URLs, odd names, and URLs that are relative."""

from __future__ import annotations

import subprocess

import pytest

from tests.support.landscape import by_hand, flushed, queue, sound, states, truthful
from tests.support.marks import bulk
from tests.support.scenes import Scene, Worktree, script

ODD_NAMES = [
    "feature/#1-a", "größe/日本", "a@b", "it's", 'quo"te', "$HOME", "a;b&c|d", "(x)", "100%s", "back`tick`", "-x",
    "a=b", "plus+one,two", "<in>out", "HEAD", "uam/main", "!x", "{a}", "@a",
]  # fmt: skip


def another(scene: Scene, name: str, wired: bool = True) -> Worktree:
    """One more remote, which has what origin has."""
    where = f"{name.replace('/', '-')}.git"
    scene.outside.git("clone", "-q", "--bare", str(scene.remote), where)
    there = Worktree(scene.root / where, scene.env)
    script(there.top / "hooks" / "post-receive", "echo push >>pushes.log\n")
    scene.git("remote", "add", name, str(there.top))
    scene.git("fetch", "-q", name)
    if wired:
        scene.git("uam", "install")
    return there


def pushes(remote: Worktree) -> int:
    log = remote.top / "pushes.log"
    return len(log.read_text().splitlines()) if log.exists() else 0


@pytest.mark.slow
def test_two_remotes_at_once_get_one_push_each(scene: Scene) -> None:
    backup = another(scene, "backup")
    by_hand(scene)
    agents = [scene.worktree(f"agent-{n}") for n in range(2)]
    for number, agent in enumerate(agents):
        agent.commit(f"file-{number}")
        queue(agent, "origin", "HEAD:main")
        queue(agent, "backup", "HEAD:main", f"HEAD:agent-{number}")
    results = flushed(scene)
    assert results[0].errors == ()
    assert set(states(scene)) == {"landed"}
    assert (len(scene.pushes()), pushes(backup)) == (1, 1)
    assert scene.files() == ["README", "file-0", "file-1"]
    assert backup.git("ls-tree", "--name-only", "main").split() == ["README", "file-0", "file-1"]
    assert backup.oid("agent-1") != ""
    assert scene.there("refs/heads/agent-1") == ""
    truthful(scene)
    truthful(scene, backup, "backup")


def test_one_remote_that_is_away_holds_up_only_itself(scene: Scene) -> None:
    backup = another(scene, "backup")
    by_hand(scene)
    scene.commit("a")
    scene.commit("b")
    queue(scene, "backup", "main")
    queue(scene, "origin", "main")
    away = backup.top.rename(scene.root / "away")
    flushed(scene)
    # nobody waits for it, so it is tried again
    assert states(scene) == ["pending", "landed"]
    assert scene.files() == ["README", "a", "b"]
    away.rename(backup.top)
    flushed(scene)
    assert backup.git("ls-tree", "--name-only", "main").split() == ["README", "a", "b"]


@pytest.mark.slow
def test_a_remote_with_a_slash_in_its_name(scene: Scene) -> None:
    there = another(scene, "team/b")
    for turn in ("1", "2"):
        scene.commit("file", f"{turn}.1\n")
        scene.commit("file", f"{turn}.2\n")
        done = scene.push("team/b", "main")
        assert done.code == 0, done
        assert scene.oid("refs/remotes/team/b/main") == there.oid("main") == scene.oid("main")
    assert there.subjects("main") == ["Squashed 2 commits:", "Squashed 2 commits:", "Begin"]
    assert scene.there() == scene.start_oid
    assert scene.run("uam", "sync", "team/b/main").out.endswith("up to date with team/b/main\n")
    truthful(scene, there, "team/b")


@pytest.mark.parametrize("place", ["main", "linked"])
def test_a_relative_url(scene: Scene, place: str) -> None:
    scene.git("config", "remote.origin.url", "../origin.git")
    agent = scene if place == "main" else scene.worktree("agent")
    agent.commit("sub/a")
    agent.commit("b")
    done = agent.run("-C", "sub", "push", "origin", "HEAD:main")
    assert done.code == 0, done
    assert scene.landed() == ["Squashed 2 commits:"]
    assert scene.oid("refs/remotes/origin/main") == agent.oid("HEAD") == scene.there()


def test_every_push_url_gets_what_landed(plain: Scene) -> None:
    plain.outside.git("clone", "-q", "--bare", str(plain.remote), "second.git")
    second = Worktree(plain.root / "second.git", plain.env)
    for url in (plain.remote, second.top):
        plain.git("remote", "set-url", "--add", "--push", "origin", str(url))
    plain.install()
    plain.commit("a")
    plain.commit("b")
    done = plain.push()
    assert (done.code, plain.landed()) == (0, ["Squashed 2 commits:"]), done
    assert second.oid("main") == plain.there()


def test_a_push_url_that_is_away_or_refuses_is_named(plain: Scene) -> None:
    """The first URL decides: the push has landed, and its words say where it has not."""
    plain.outside.git("clone", "-q", "--bare", str(plain.remote), "second.git")
    second = Worktree(plain.root / "second.git", plain.env)
    for url in (plain.remote, second.top):
        plain.git("remote", "set-url", "--add", "--push", "origin", str(url))
    plain.install()
    other = plain.stranger()
    theirs = other.commit("theirs")
    other.git("push", "-q", str(second.top), "main")
    for turn in range(2):
        plain.commit(f"a-{turn}")
        plain.commit(f"b-{turn}")
        done = plain.push()
        assert (done.code, plain.oid("main")) == (0, plain.there()), done
        assert any(line.startswith(f"landed on {plain.remote}, but {second.top} said: ") for line in done.ours)
        assert plain.oid("refs/remotes/origin/main") == plain.there()
        if turn == 0:
            assert second.oid("main") == theirs
            second.top.rename(plain.root / "away")
    assert plain.landed() == ["Squashed 2 commits:"] * 2


@pytest.mark.slow
def test_branch_names_with_unusual_characters(scene: Scene) -> None:
    by_hand(scene, settle="off")
    scene.git("config", "uam.squash.branches", "*")
    scene.commit("a")
    scene.commit("b")
    for name in ODD_NAMES:
        scene.git("update-ref", f"refs/heads/{name}", "main")
    queue(scene, "origin", *(f"refs/heads/{name}:refs/heads/{name}" for name in ODD_NAMES))
    flushed(scene)
    assert states(scene) == ["landed"] * len(ODD_NAMES)
    for name in ODD_NAMES:
        assert scene.bare.subjects(f"refs/heads/{name}") == ["Squashed 2 commits:", "Begin"]
        assert scene.oid(f"refs/remotes/origin/{name}") == scene.there(f"refs/heads/{name}")
    # and once more on top
    scene.git("update-ref", "refs/heads/it's", scene.commit("c"))
    queue(scene, "origin", "it's")
    flushed(scene)
    assert scene.bare.subjects("refs/heads/it's") == ["Add c", "Squashed 2 commits:", "Begin"]


@pytest.mark.parametrize("name", bulk(["refs/heads/main", "refs/odd", "heads/main"]))
def test_a_branch_that_is_named_like_a_ref(scene: Scene, name: str) -> None:
    """A common accident: HEAD:refs/heads/refs/heads/main is a branch of that name, not main."""
    scene.commit("a")
    scene.commit("b")
    done = scene.push("origin", f"HEAD:refs/heads/{name}")
    assert done.code == 0, done
    assert scene.there() == scene.start_oid
    assert scene.there(f"refs/heads/{name}") == scene.oid("HEAD")
    assert len(scene.bare.git("for-each-ref").splitlines()) == 2


def test_a_remote_that_fetches_from_elsewhere_keeps_its_tracking_ref(plain: Scene) -> None:
    """A fork to push to, an upstream to fetch from: what the fork has says nothing of the upstream."""
    plain.outside.git("clone", "-q", "--bare", str(plain.remote), "fork.git")
    plain.git("remote", "set-url", "--push", "origin", str(plain.root / "fork.git"))
    plain.install()
    stranger = plain.stranger()
    stranger.commit("theirs")
    stranger.git("push", "-q")
    plain.git("fetch", "-q")
    upstream = plain.there()
    assert plain.oid("refs/remotes/origin/main") == upstream
    plain.commit("a")
    plain.commit("b")
    done = plain.run("-c", "uam.push.mode=queue", "push", "origin", "main")
    assert done.code == 0, done
    plain.idle()
    assert plain.outside.git("-C", "fork.git", "log", "-1", "--format=%s", "main") == "Squashed 2 commits:"
    assert plain.oid("refs/remotes/origin/main") == upstream
    assert plain.there() == upstream


def test_what_a_killed_fetch_has_left_is_fetched_again(scene: Scene) -> None:
    """A commit that is here without its files is not here: a ref of ours would be broken by it."""
    other = scene.stranger()
    other.commit("theirs")
    other.push("-q", "origin", "main")
    there = other.oid("HEAD")
    # unpack-objects writes the commits first, then trees, then files
    for kind, name in (("commit", there), ("tree", f"{there}^{{tree}}")):
        raw = subprocess.run(["git", "cat-file", kind, name], cwd=other.top, capture_output=True, check=True).stdout
        subprocess.run(
            ["git", "hash-object", "-w", "-t", kind, "--stdin"],
            cwd=scene.top,
            input=raw,
            capture_output=True,
            check=True,
        )
    assert scene.oid(f"{there}:theirs") and scene.run("cat-file", "-e", f"{there}:theirs").code != 0
    scene.commit("mine")
    assert scene.push().code == 0
    assert scene.files() == ["README", "mine", "theirs"]
    assert scene.git("cat-file", "-p", "origin/main:theirs") == "theirs"
    sound(scene)
