"""The rules of composing a landing: which commits are squashed, moved, kept or left as they are."""

from __future__ import annotations

import shutil

import pytest

from tests.support.landscape import by_hand, flushed, kept, queue, record, sound, states, truthful, write
from tests.support.queueing import WINDOW, in_one_window
from tests.support.scenes import AUTHOR, DATE, Scene, Worktree, finished, until
from uam_hooks.integrate.squash import silences_ci

BOB = ("--author=Bob <bob@example.invalid>", "--date=2020-01-02T03:04:05+0000")
FACTS = "--format=%an %ae %aI %s"


def theirs(scene: Scene, name: str = "theirs", text: str = "") -> str:
    """Somebody else pushes to main."""
    other = scene.stranger()
    other.git("pull", "-q", "--rebase")
    oid = other.commit(name, text)
    other.git("push", "-q")
    return oid


def at(hour: int) -> str:
    """A moment on the day of the tests."""
    return f"2024-05-07T{hour:02d}:00:00+00:00"


def line(scene: Scene, *revisions: str) -> list[str]:
    """Who wrote what when, oldest first."""
    lines = scene.bare.git("log", "--reverse", "--topo-order", FACTS, *revisions).splitlines()
    return [found.replace("Z ", "+00:00 ", 1) for found in lines]  # git 2.45 and newer write UTC as Z


def parents(scene: Scene, revision: str) -> list[str]:
    return scene.bare.git("log", "-1", "--format=%P", revision).split()


# -- one commit ----------------------------------------------------------------------------------------------


def test_a_moved_commit_keeps_message_author_and_date(scene: Scene) -> None:
    there = theirs(scene)
    message = "Say it\n\nin more than one line, with a trailer\n\nRefs: #7\n"
    write(scene, "mine", "mine\n")
    tip = record(scene, message, *BOB)
    done = scene.push()
    assert done.code == 0
    assert parents(scene, "main") == [there]
    for what in ("%an <%ae> %ad", "%B", "%cn <%ce>"):
        show = ("log", "-1", f"--format={what}")
        assert scene.bare.git(*show, "main") == scene.git(*show, tip)
    kept(scene, [tip])


def test_an_empty_commit_that_was_made_on_purpose_lands(scene: Scene) -> None:
    scene.git("commit", "-q", "--allow-empty", "-m", "Start CI")
    tip = scene.oid("HEAD")
    assert scene.push().code == 0
    assert scene.there() == tip
    theirs(scene)
    scene.git("commit", "-q", "--allow-empty", "-m", "Start CI again")
    assert scene.push().code == 0
    assert scene.landed() == ["Start CI", "Add theirs", "Start CI again"]
    assert scene.clean()


# -- branches ------------------------------------------------------------------------------------------------


def test_a_new_branch_starts_where_it_left_what_the_remote_has(scene: Scene) -> None:
    scene.git("config", "uam.squash.branches", "*")
    agent = scene.worktree("agent")
    agent.commit("a")
    agent.commit("b")
    theirs(scene)
    scene.git("fetch", "-q")
    assert agent.push("origin", "agent").code == 0
    assert line(scene, "main..agent") == [f"Ada ada@example.invalid {DATE} Squashed 2 commits:"]
    assert parents(scene, "agent") == [scene.start_oid]
    assert "theirs" not in scene.files("agent")


def test_two_agents_begin_the_same_branch(scene: Scene) -> None:
    by_hand(scene)
    for name in ("one", "two"):
        agent = scene.worktree(name)
        agent.commit(f"{name}-1")
        agent.commit(f"{name}-2")
        queue(agent, "origin", "HEAD:topic")
    flushed(scene)
    assert states(scene) == ["landed", "landed"]
    assert scene.bare.subjects("main..topic") == ["Add two-2", "Add two-1", "Add one-2", "Add one-1"]
    assert scene.bare.oid("topic~2") == scene.oid("one")
    assert scene.files("topic") == ["README", "one-1", "one-2", "two-1", "two-2"]


@pytest.mark.slow
def test_a_stacked_branch_keeps_the_commits_of_the_one_below(scene: Scene) -> None:
    """What is on another branch of the remote is not flattened: a pull request against it shows its own alone."""
    scene.git("config", "uam.squash", "false")
    below = scene.worktree("below")
    below.commit("below-1")
    base = below.commit("below-2")
    assert below.push("origin", "below").code == 0
    assert scene.there("refs/heads/below") == base
    scene.git("config", "--unset", "uam.squash")
    scene.git("config", "uam.squash.branches", "*")
    above = scene.worktree("above", "-b", "above", "below")
    above.commit("above-1")
    above.commit("above-2")
    assert above.push("origin", "above").code == 0
    assert parents(scene, "above") == [base]
    assert scene.bare.git("diff", "--name-only", "below...above").splitlines() == ["above-1", "above-2"]
    # and again on top of what landed
    above.commit("above-3")
    above.commit("above-4")
    assert above.push("origin", "above").code == 0
    assert scene.bare.subjects("below..above") == ["Squashed 2 commits:"] * 2


@pytest.mark.slow
def test_another_branch_that_was_merged_in_stays_a_parent(scene: Scene) -> None:
    """dev has landed; a feature merges it and lands on main: dev's commits must be on main as they are."""
    scene.git("config", "uam.squash", "false")
    dev = scene.worktree("dev")
    dev.commit("dev-1")
    tip = dev.commit("dev-2")
    assert dev.push("origin", "dev").code == 0
    scene.git("config", "uam.squash", "push")
    feature = scene.worktree("feature")
    feature.commit("feature-1")
    feature.git("merge", "-q", "--no-edit", "dev")
    feature.commit("feature-2")
    there = theirs(scene)
    assert feature.push("origin", "HEAD:main").code == 0
    assert parents(scene, "main") == [there, tip]
    assert scene.bare.run("merge-base", "--is-ancestor", tip, "main").code == 0
    body = scene.bare.git("log", "-1", "--format=%b", "main").splitlines()
    assert body[:2] == ["1. Add feature-1", "2. Add feature-2"]
    assert scene.files() == ["README", "dev-1", "dev-2", "feature-1", "feature-2", "theirs"]


def test_an_orphan_branch_stays_without_a_parent(scene: Scene) -> None:
    scene.git("config", "uam.squash.branches", "*")
    scene.git("checkout", "-q", "--orphan", "pages")
    scene.git("rm", "-q", "-rf", ".")
    scene.commit("index.html")
    scene.commit("style.css")
    done = scene.push("origin", "pages")
    assert done.code == 0
    assert scene.files("pages") == ["index.html", "style.css"]
    assert scene.bare.subjects("pages") == ["Squashed 2 commits:"]
    assert parents(scene, "pages") == []
    scene.commit("more")
    scene.commit("and more")
    assert scene.push("origin", "pages").code == 0
    assert len(scene.bare.subjects("pages")) == 2


def empty_remote(scene: Scene) -> Worktree:
    """A second remote that has nothing, wired."""
    scene.outside.git("init", "-q", "--bare", "empty.git")
    scene.git("remote", "add", "empty", str(scene.root / "empty.git"))
    scene.git("uam", "install")
    return Worktree(scene.root / "empty.git", scene.env)


@pytest.mark.slow
def test_a_first_push_squashes_only_what_the_hooks_have_seen(scene: Scene) -> None:
    empty = empty_remote(scene)
    scene.git("config", "uam.squash.branches", "*")
    scene.git("checkout", "-q", "--orphan", "fresh")
    scene.commit("a")
    scene.commit("b")
    assert scene.push("empty", "fresh").code == 0
    assert empty.subjects("fresh") == ["Squashed 2 commits:"]
    assert empty.git("log", "-1", "--format=%P", "fresh") == ""
    # main has a commit from before us: its history goes as it is
    scene.git("switch", "-q", "main")
    scene.commit("c")
    tip = scene.commit("d")
    empty.git("update-ref", "-d", "refs/heads/fresh")
    scene.git("fetch", "-q", "--prune", "empty")
    assert scene.push("empty", "main").code == 0
    assert empty.oid("main") == tip
    truthful(scene, empty, "empty")


# -- uam.squash=false ----------------------------------------------------------------------------------------


def test_squash_off_is_linear_and_one_push_for_several_agents(scene: Scene) -> None:
    by_hand(scene)
    scene.git("config", "uam.squash", "false")
    there = theirs(scene)
    for hour, (name, who) in enumerate((("one", ()), ("two", BOB))):
        agent = scene.worktree(name)
        for number in (1, 2):
            agent.commit(f"{name}-{number}", "", *who, GIT_COMMITTER_DATE=at(hour))
        queue(agent)
    pushes = len(scene.pushes())
    flushed(scene)
    assert len(scene.pushes()) == pushes + 1
    ada = f"Ada ada@example.invalid {DATE} Add one"
    bob = "Bob bob@example.invalid 2020-01-02T03:04:05+00:00 Add two"
    assert line(scene, f"{there}..main") == [f"{ada}-1", f"{ada}-2", f"{bob}-1", f"{bob}-2"]
    assert scene.bare.git("rev-list", "--merges", "main") == ""
    assert scene.files() == ["README", "one-1", "one-2", "theirs", "two-1", "two-2"]


def test_squash_off_merges_where_one_by_one_would_conflict(scene: Scene) -> None:
    """The last commit agrees with what is there, the first one alone would not."""
    by_hand(scene)
    scene.git("config", "uam.squash", "false")
    there = theirs(scene, "README", "agreed\n")
    agent = scene.worktree("agent")
    agent.commit("README", "at first\n", *BOB, message="Say it")
    agent.commit("README", "agreed\n", message="Agree")
    tip = agent.commit("more")
    queue(agent)
    flushed(scene)
    assert states(scene) == ["landed"]
    assert parents(scene, "main") == [there, tip]
    assert scene.bare.git("show", "main:README") == "agreed"
    assert scene.files() == ["README", "more"]
    sound(scene)


# -- messages ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unanimous", [True, False])
def test_skipping_ci_takes_every_agent(scene: Scene, unanimous: bool) -> None:
    by_hand(scene)
    scene.git("config", "uam.squash", "true")  # what earlier versions called batch
    orders = (("one", " [skip ci]"), ("two", " [ci skip]" if unanimous else ""))
    for hour, (name, order) in enumerate(orders):
        agent = scene.worktree(name)
        agent.commit(name, message=f"Add {name}{order}", GIT_COMMITTER_DATE=at(hour))
        queue(agent)
    flushed(scene)
    text = scene.bare.git("log", "-1", "--format=%B", "main")
    assert silences_ci(text) is unanimous
    assert "1. Add one" in text
    assert "2. Add two" in text


@pytest.mark.slow
def test_the_subjects_in_the_first_line(scene: Scene) -> None:
    scene.git("config", "uam.squash.subject", "list")
    scene.commit("a")
    scene.commit("b")
    assert scene.push().code == 0
    assert scene.bare.git("log", "-1", "--format=%B", "main").splitlines()[:4] == [
        "Add a; Add b", "", "1. Add a", "2. Add b",
    ]  # fmt: skip
    scene.git("config", "uam.squash.subject", "nonsense")
    scene.commit("c")
    scene.commit("d")
    done = scene.push()
    assert done.code == 1
    assert "uam.squash.subject is 'nonsense'" in done.err


@pytest.fixture
def signing(scene: Scene) -> Scene:
    """A scene that signs commits with an ssh key."""
    keygen = shutil.which("ssh-keygen")
    if keygen is None:
        pytest.skip("no ssh-keygen here: nothing to sign with")
    key = scene.root / "key"
    made = scene.outside.execute(keygen, "-q", "-t", "ed25519", "-N", "", "-C", "ada", "-f", str(key))
    assert made.code == 0, made
    signers = scene.root / "signers"
    signers.write_text(f"ada@example.invalid {key.with_suffix('.pub').read_text()}")
    for name, value in {
        "gpg.format": "ssh",
        "user.signingKey": str(key),
        "commit.gpgSign": "true",
        "gpg.ssh.allowedSignersFile": str(signers),
    }.items():
        scene.git("config", name, value)
    return scene


@pytest.mark.slow
def test_squashes_and_moved_commits_are_signed(signing: Scene) -> None:
    for name in ("a", "b"):
        signing.commit(name, "", *BOB)
    done = signing.push()
    assert done.code == 0, done
    assert signing.landed() == ["Squashed 2 commits:"]
    theirs(signing)
    tip = signing.commit("c", "", *BOB)
    done = signing.push()
    assert done.code == 0, done
    assert signing.there() != tip
    for name in ("main", "main~2"):
        oid = signing.bare.oid(name)
        assert signing.git("log", "-1", "--format=%G? %an %ad", "--date=short", oid) == "G Bob 2020-01-02"
    # with a key that is gone nothing is pushed, and nothing lost
    (signing.root / "key").unlink()
    signing.git("-c", "commit.gpgSign=false", "commit", "-q", "--allow-empty", "-m", "x")
    there, tip = theirs(signing, "more"), signing.oid("HEAD")
    done = signing.push()
    assert done.code == 1
    assert (signing.there(), signing.oid("main")) == (there, tip)


def test_two_queued_works_with_a_push_of_the_whole_in_between(scene: Scene) -> None:
    """A push of HEAD, then of an older commit of it: each says truly what became of its own."""
    scene.git("config", "uam.window.push", WINDOW)
    first = scene.commit("a")
    scene.commit("b")
    early = scene.start("push", "origin", "main")
    until(lambda: len(scene.rows("sources")) == 1, "the first push in the queue")
    (late,) = in_one_window(scene, [lambda: scene.push("origin", f"{first}:main")])
    done = finished(early)
    assert (done.code, late.code) == (0, 0)
    assert scene.files() == ["README", "a", "b"]
    assert len(scene.pushes()) == 1
    assert scene.bare.git("log", "-1", "--format=%an <%ae>", "main") == AUTHOR


def test_local_squashes_and_synced_commits_are_signed(signing: Scene) -> None:
    signing.commit("a")
    signing.commit("b")
    flushed(signing)
    assert signing.git("log", "-1", "--format=%s %G?") == "Squashed 2 commits: G"
    theirs(signing)
    assert signing.run("uam", "sync").code == 0
    assert signing.git("log", "-1", "--format=%s %G?") == "Squashed 2 commits: G"


def test_members_are_listed_in_queue_order(scene: Scene) -> None:
    """Commits of the same second: the clock cannot tell, the queue can."""
    by_hand(scene)
    scene.git("config", "uam.squash", "batch")
    for name in ("zoe", "bob", "eve"):
        agent = scene.worktree(name)
        agent.commit(name, "", f"--author={name} <{name}@example.invalid>", GIT_COMMITTER_DATE="1700000000 +0000")
        queue(agent)
    flushed(scene)
    shown = scene.bare.git("log", "-1", "--format=%an%n%B", "main").splitlines()
    assert shown[0] == "zoe"
    assert shown[3:6] == ["1. Add zoe", "2. Add bob", "3. Add eve"]
