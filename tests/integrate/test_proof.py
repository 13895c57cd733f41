"""The proof: what it lets pass, and what it catches when it is given a landing that a wrong merge made."""

from __future__ import annotations

import pytest

from tests.support.landscape import by_hand, environment, flushed, queue, record, states, write
from tests.support.scenes import Scene, Worktree
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.queue.outcome import Proof
from uam_hooks.integrate.proof import Contribution, ProofFailed, prove

TABLE = "".join(f"line {n}\n" for n in range(12))


@pytest.fixture
def field(plain: Scene) -> Scene:
    """A repository with a few files of some size, and nothing of ours in it."""
    for name in ("one", "two", "three"):
        write(plain, name, name + "\n" + TABLE)
    record(plain, "Begin files")
    return plain


def branch(scene: Scene, name: str, start: str = "main") -> Worktree:
    return scene.worktree(name, "-b", name, start)


def claim(number: int, agent: Worktree, base: str) -> Contribution:
    """What a source on `agent`'s branch would claim."""
    commits = agent.git("rev-list", "--reverse", "HEAD", f"^{base}").split()
    return Contribution(number, agent.oid("HEAD"), (base,), tuple(commits))


def commit_of(scene: Scene, tree: str, *parents: str) -> str:
    args = [arg for parent in parents for arg in ("-p", parent)]
    return scene.git("commit-tree", *args, "-m", "landing", tree)


def merged(scene: Scene, ours: str, theirs: str) -> str:
    """The tree of a real merge."""
    return scene.git("merge-tree", "--write-tree", ours, theirs).splitlines()[0]


def proven(scene: Scene, base: str, landing: str, *claims: Contribution) -> Proof:
    with environment(scene.env), Repository.at(scene.top) as repo:
        return prove(repo, base, landing, claims)


def refused(scene: Scene, base: str, landing: str, *claims: Contribution) -> str:
    with environment(scene.env), Repository.at(scene.top) as repo, pytest.raises(ProofFailed) as caught:
        prove(repo, base, landing, claims)
    return caught.value.what


def test_a_wrong_merge_base_that_reverts_somebody_is_caught(field: Scene) -> None:
    """ours = what the remote has, with another agent's change; the mine branch began before it.

    Merged as if the remote's own tip were the base of mine, everything that mine has not looks deleted.
    """
    start = field.oid("main")
    mine = branch(field, "mine")
    write(mine, "one", "mine\n" + TABLE)
    record(mine, "Change one")
    write(field, "two", "theirs\n" + TABLE)
    write(field, "theirs", "new\n")
    there = record(field, "Change two, add theirs")

    right = merged(field, there, mine.oid("HEAD"))
    checked = proven(field, there, commit_of(field, right, there), claim(1, mine, start))
    assert checked == Proof(changed=1, touched=1, same_content=1)

    # a synthetic tip with the remote's tip as its parent is what a merge with that base amounts to
    lie = commit_of(field, mine.oid("HEAD^{tree}"), there)
    wrong = merged(field, there, lie)
    words = refused(field, there, commit_of(field, wrong, there), claim(1, mine, start))
    assert words == "The landing would change theirs, two, which no source changed; nothing was pushed."


def test_a_path_that_nobody_changed_is_named(field: Scene) -> None:
    base = field.oid("main")
    mine = branch(field, "mine")
    write(mine, "one", "mine\n")
    record(mine, "Change one")
    write(mine, "stray", "from nowhere\n")
    record(mine, "Stray")
    brought = claim(1, mine, base)._replace(commits=(mine.oid("HEAD~1"),), tip=mine.oid("HEAD~1"))
    assert "stray" in refused(field, base, mine.oid("HEAD"), brought)


def test_a_path_of_one_source_alone_has_its_content(field: Scene) -> None:
    base = field.oid("main")
    mine, other = branch(field, "mine"), branch(field, "other")
    write(mine, "one", "mine\n")
    record(mine, "Change one")
    write(other, "two", "other\n")
    record(other, "Change two")
    claims = claim(1, mine, base), claim(2, other, base)
    right = merged(field, mine.oid("HEAD"), other.oid("HEAD"))
    assert proven(field, base, commit_of(field, right, base), *claims).same_content == 2

    write(field, "one", "neither\n")
    write(field, "two", "other\n")
    wrong = record(field, "Say neither")
    assert "would not have one as" in refused(field, base, wrong, *claims)


def test_a_change_that_got_lost_is_caught(field: Scene) -> None:
    """The landing leaves a source's path as the remote has it: nothing extra, but the work is not there."""
    base = field.oid("main")
    mine = branch(field, "mine")
    write(mine, "one", "mine\n")
    write(mine, "two", "mine\n")
    record(mine, "Change one and two")
    write(field, "one", "mine\n")
    assert "would not have two as" in refused(field, base, record(field, "Half of it"), claim(1, mine, base))


def test_modes_count_as_content(field: Scene) -> None:
    base = field.oid("main")
    mine = branch(field, "mine")
    (mine.top / "one").chmod(0o755)
    record(mine, "Make one executable")
    assert proven(field, base, mine.oid("HEAD"), claim(1, mine, base)).changed > 0
    field.git("commit", "-q", "--allow-empty", "-m", "Without the mode")
    assert "would not have one as" in refused(field, base, field.oid("HEAD"), claim(1, mine, base))
    (field.top / "two").chmod(0o755)
    (field.top / "one").chmod(0o755)
    assert "would change two" in refused(field, base, record(field, "One mode more"), claim(1, mine, base))


def test_a_rename_on_the_remote_is_followed(field: Scene) -> None:
    """The source knows a file by its old name; its change lands in the renamed one."""
    start = field.oid("main")
    mine = branch(field, "mine")
    write(mine, "one", "one\nmine\n" + TABLE)
    record(mine, "Change one")
    field.git("mv", "one", "moved")
    there = record(field, "Move one")
    tree = merged(field, there, mine.oid("HEAD"))
    assert field.git("show", f"{tree}:moved").splitlines()[1] == "mine"
    assert proven(field, there, commit_of(field, tree, there), claim(1, mine, start)).changed > 0


def test_a_rename_in_the_source_is_followed(field: Scene) -> None:
    """The remote changed a file meanwhile that the source renamed: the new name has both."""
    start = field.oid("main")
    mine = branch(field, "mine")
    mine.git("mv", "one", "moved")
    record(mine, "Move one")
    write(field, "one", "one\ntheirs\n" + TABLE)
    there = record(field, "Change one")
    tree = merged(field, there, mine.oid("HEAD"))
    assert field.git("show", f"{tree}:moved").splitlines()[1] == "theirs"
    assert proven(field, there, commit_of(field, tree, there), claim(1, mine, start)).changed > 0
    # the same landing is wrong where nobody but the source changed that file
    assert "moved" in refused(field, start, commit_of(field, tree, start), claim(1, mine, start))


def test_a_branch_that_is_new_is_proven_against_nothing(field: Scene) -> None:
    orphan = field.worktree("orphan", "--detach")
    orphan.git("checkout", "-q", "--orphan", "orphan")
    orphan.git("rm", "-q", "-r", "-f", ".")
    write(orphan, "alone", "alone\n")
    tip = record(orphan, "Begin alone")
    assert proven(field, ZERO, tip, Contribution(1, tip, (), (tip,))).changed == 1
    assert "one" in refused(field, ZERO, field.oid("main"), Contribution(1, tip, (), (tip,)))


# -- landings that are right must pass -----------------------------------------------------------------------


@pytest.fixture
def moved(scene: Scene) -> Scene:
    """The remote has renamed `one` to `moved`; the worktree `behind` was made before that."""
    by_hand(scene, settle="off")
    write(scene, "one", "one\n" + TABLE)
    record(scene, "Begin one")
    queue(scene)
    flushed(scene)
    scene.worktree("behind")
    scene.git("mv", "one", "moved")
    record(scene, "Move one")
    queue(scene)
    flushed(scene)
    return scene


def test_old_and_new_name_of_a_file_in_one_batch(moved: Scene) -> None:
    """One agent edits the file by the name it had, another by the name it has: plain git merges both."""
    behind = Worktree(moved.root / "behind", {**moved.env, "UAM_AGENT_ID": "behind"})
    write(behind, "one", "one\n" + TABLE + "at the end\n")
    record(behind, "Edit by the old name")
    ahead = moved.worktree("ahead")
    write(ahead, "moved", "at the top\none\n" + TABLE)
    record(ahead, "Edit by the new name")
    for agent in (behind, ahead):
        queue(agent)
    assert [result.errors for result in flushed(moved)] == [()]
    text = moved.bare.git("show", "main:moved").splitlines()
    assert (text[0], text[-1], len(text)) == ("at the top", "at the end", 15)


def test_a_rename_of_what_another_source_edits_by_its_older_name(moved: Scene) -> None:
    behind = Worktree(moved.root / "behind", {**moved.env, "UAM_AGENT_ID": "behind"})
    write(behind, "one", "one\n" + TABLE + "at the end\n")
    record(behind, "Edit by the oldest name")
    ahead = moved.worktree("ahead")
    ahead.git("mv", "moved", "again")
    record(ahead, "Move it again")
    for agent in (behind, ahead):
        queue(agent)
    assert [result.errors for result in flushed(moved)] == [()]
    assert moved.files() == ["README", "again"]
    assert moved.bare.git("show", "main:again").endswith("at the end")


def test_a_rename_and_an_edit_of_the_same_file_in_one_batch(scene: Scene) -> None:
    by_hand(scene, settle="off")
    write(scene, "one", "one\n" + TABLE)
    record(scene, "Begin one")
    queue(scene)
    flushed(scene)
    for order in (("mover", "editor"), ("editor", "mover")):
        scene.git("reset", "-q", "--hard", "origin/main")
        name = scene.bare.git("ls-tree", "--name-only", "main").splitlines()[-1]
        agents = {who: scene.worktree(f"{who}-{order[0]}") for who in order}
        agents["mover"].git("mv", name, name + "x")
        record(agents["mover"], "Move")
        with (agents["editor"].top / name).open("a") as file:
            file.write(f"{order}\n")
        record(agents["editor"], "Edit")
        for who in order:
            queue(agents[who])
        assert [result.errors for result in flushed(scene)] == [()]
        assert scene.bare.git("show", f"main:{name}x").endswith(str(order))


def test_directory_renames_as_the_user_set_them(scene: Scene) -> None:
    """With merge.directoryRenames a new file follows its directory: git's own merge puts it where nobody did."""
    by_hand(scene, settle="off")
    scene.git("config", "merge.directoryRenames", "true")
    for name in "abc":
        write(scene, f"lib/{name}", name + TABLE)
    record(scene, "Begin lib")
    queue(scene)
    flushed(scene)
    mover, adder = scene.worktree("mover"), scene.worktree("adder")
    mover.git("mv", "lib", "src")
    record(mover, "Move lib")
    write(adder, "lib/new", "new\n")
    record(adder, "Add to lib")
    for agent in (mover, adder):
        queue(agent)
    flushed(scene)
    # a conflict of the second alone is git's default and would do as well; the first has done nothing wrong
    new = {"landed": ["src/new"], "failed": []}[states(scene)[-1]]
    assert states(scene)[-2] == "landed"
    assert scene.files() == ["README", "src/a", "src/b", "src/c", *new]


def test_the_proof_is_in_the_batch_as_data(scene: Scene) -> None:
    by_hand(scene)
    agents = [scene.worktree(f"agent-{n}") for n in range(2)]
    for agent in agents:
        agent.commit(f"{agent.top.name}/file")
        queue(agent)
    flushed(scene)
    shown = scene.git("uam", "show", "1", "--json")
    assert '"proof": {' in shown
    assert states(scene) == ["landed", "landed"]
