"""A settle that is killed, or that finds no space: the worktree is as it was, or as it was to be, before anything else.

Others' work that lands with a push changes a file, adds one, removes one, and makes one executable.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.marks import bulk
from tests.support.scenes import Kept, Scene, Worktree, script
from uam_hooks.hot.core.steps import Settling

pytestmark = pytest.mark.staying

_GIT = """
case " $* " in
*" ${{KILL_BEFORE:--}} "*) kill -KILL $PPID $(cut -d' ' -f4 /proc/$PPID/stat) $$ ;;
*" ${{KILL_AFTER:--}} "*)
	"{real}" "$@"
	kill -KILL $PPID $(cut -d' ' -f4 /proc/$PPID/stat) $$
	;;
*" ${{KILL_ALONE:--}} "*) kill -KILL $$ ;;
*" ${{THEN:--}} "*)
	"{real}" "$@"
	code=$?
	THEN= sh -c "$MEANWHILE" >&2
	exit $code
	;;
esac
if [ -n "$KILL_NTH" ]; then
	echo >>"$COUNTED"
	nth=0
	while read -r _; do nth=$((nth + 1)); done <"$COUNTED"
	[ "$nth" -ne "$KILL_NTH" ] || kill -KILL $PPID $(cut -d' ' -f4 /proc/$PPID/stat) $$
fi
exec "{real}" "$@"
"""
_MOVE, _REF = "read-tree -m -u", "update-ref -m uam: landed as"


def mortal(scene: Scene, **kill: str) -> dict[str, str]:
    """An environment in which the git of a name is killed: KILL_ALONE, or with those who have started it."""
    real = shutil.which("git")
    assert real is not None
    programs = scene.root / "programs"
    if not programs.exists():
        programs.mkdir()
        for program in Path(scene.git("--exec-path")).iterdir():
            if program.name != "git":
                (programs / program.name).symlink_to(program)
        script(programs / "git", _GIT.format(real=real))
    return {"GIT_EXEC_PATH": str(programs), **kill}


def behind(scene: Scene) -> None:
    """Somebody else changes what is there; a landing on top of it changes files of whoever pushes next."""
    for name in ("changed", "removed", "run", "mine"):
        (scene.top / name).write_text(f"{name}\n")
    scene.git("add", ".")
    scene.git("commit", "-q", "-m", "Add files")
    assert scene.push().code == 0
    scene.idle()
    other = scene.stranger()
    other.git("pull", "-q", "origin", "main")
    other.git("rm", "-q", "removed")
    (other.top / "deep" / "er").mkdir(parents=True)
    (other.top / "deep" / "er" / "added").write_text("theirs\n")
    (other.top / "changed").write_text("theirs\n")
    (other.top / "run").chmod(0o755)
    other.git("add", ".")
    other.git("commit", "-q", "-m", "Change files")
    other.git("push", "-q", "origin", "main")


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory, templates: dict[str, Scene]) -> Kept:
    scene = Scene(tmp_path_factory.mktemp("late") / "scene", templates["staying"])
    behind(scene)
    return Kept(scene)


@pytest.fixture
def scene(late: Kept) -> Iterator[Scene]:
    """A scene that is `behind`."""
    with late.again() as scene:
        yield scene


@pytest.fixture
def fresh(tmp_path: Path, templates: dict[str, Scene]) -> Iterator[Scene]:
    """A scene in which nothing has happened yet."""
    found = Scene(tmp_path, templates["staying"])
    yield found
    found.close()


def interrupted(scene: Scene, **env: str) -> str:
    """A push that has landed on top of what others did, and whose settle was killed; gives what was pushed."""
    tip = scene.commit("mine", "edited\n", message="Edit mine")
    done = scene.push(**env)
    assert done.code != 0 or "KILL_ALONE" in env or "UAM_DIE_AT" in env, done
    scene.idle()
    assert scene.landed()[-1] == "Edit mine", done
    return tip


def changes(agent: Worktree) -> str:
    return agent.git("status", "--porcelain")


def right(scene: Scene, tip: str) -> None:
    """As it was before the settle, or as it was to be after it; nothing of ours is left."""
    assert (changes(scene), scene.oid("HEAD") in (tip, scene.there())) == ("", True)
    left = [path.name for path in (scene.uam / "settling").iterdir()]
    assert [name for name in left if not name.isdecimal()] == []  # a mark of the dead counts for nothing
    assert [path.name for path in (scene.top / ".git").iterdir() if path.name.startswith("index")] == ["index"]


KILLS = [{"KILL_BEFORE": _MOVE}, {"KILL_AFTER": _MOVE}, {"KILL_BEFORE": _REF}, {"KILL_AFTER": _REF}]
_NAMES = ["before the files", "after the files", "before the branch", "after the branch"]


# -- killed between files and branch -------------------------------------------------------------------------


@pytest.mark.parametrize("kill", bulk(KILLS, quick=[KILLS[1]]), ids=_NAMES)
def test_g2_the_next_commit_has_its_own_work_alone(scene: Scene, kill: dict[str, str]) -> None:
    interrupted(scene, **mortal(scene, **kill))
    (scene.top / "more").write_text("more\n")
    scene.git("add", "more")
    for _ in range(2):  # once to be told that it has been put right
        done = scene.run("commit", "-q", "-m", "Add more")
        if done.code == 0:
            break
        assert "it has been put right now: commit again" in done.err
    assert done.code == 0, done
    assert scene.git("show", "--format=", "--name-only", "HEAD").splitlines() == ["more"]
    assert changes(scene) == ""
    assert scene.push().code == 0
    assert (scene.clean(), scene.oid("HEAD")) == (True, scene.there())
    assert scene.bare.git("show", "main:changed") == "theirs"
    assert "removed" not in scene.files()


def test_g2_a_commit_of_everything_has_its_own_work_alone(scene: Scene) -> None:
    """`git commit -a` has the index locked while the hook runs, and others' files in it already."""
    interrupted(scene, **mortal(scene, KILL_BEFORE=_REF))
    (scene.top / "mine").write_text("edited again\n")
    first = scene.run("commit", "-q", "-a", "-m", "Edit mine again")
    assert (first.code, "commit again" in first.err) == (1, True), first
    scene.git("commit", "-q", "-a", "-m", "Edit mine again")
    assert scene.git("show", "--format=", "--name-only", "HEAD").splitlines() == ["mine"]
    assert changes(scene) == ""


@pytest.mark.parametrize("kill", bulk(KILLS, quick=[KILLS[2]]), ids=_NAMES)
def test_g2_the_next_push_lands_without_a_false_conflict(scene: Scene, kill: dict[str, str]) -> None:
    tip = interrupted(scene, **mortal(scene, **kill))
    other = scene.stranger()
    other.git("pull", "-q", "origin", "main")
    other.commit("changed", "theirs again\n", message="Change it again")
    other.git("push", "-q", "origin", "main")
    (scene.top / "mine").write_text("edited more\n")
    if scene.run("commit", "-q", "-a", "-m", "Edit mine more").code:  # it is told that all has been put right
        scene.git("commit", "-q", "-a", "-m", "Edit mine more")
    done = scene.push()
    assert done.code == 0, done
    right(scene, tip)
    assert (scene.top / "changed").read_text() == "theirs again\n"


def test_g2_a_file_that_others_removed_does_not_come_back(scene: Scene) -> None:
    interrupted(scene, **mortal(scene, KILL_AFTER=_MOVE))
    other = scene.stranger()
    other.git("pull", "-q", "origin", "main")
    other.git("rm", "-q", "deep/er/added")
    other.git("commit", "-q", "-m", "Remove it")
    other.git("push", "-q", "origin", "main")
    (scene.top / "mine").write_text("edited again\n")
    for _ in range(2):
        scene.run("commit", "-q", "-a", "-m", "Edit mine again")
    assert scene.push().code == 0
    assert "deep/er/added" not in scene.files()
    assert "removed" not in scene.files()


def test_g2_what_was_edited_since_stays(scene: Scene) -> None:
    tip = interrupted(scene, **mortal(scene, KILL_AFTER=_MOVE))
    (scene.top / "changed").write_text("my own\n")
    (scene.top / "deep" / "er" / "scratch").write_text("unknown\n")
    (scene.top / "new").write_text("staged\n")
    scene.git("add", "new")
    scene.report()
    assert sorted(changes(scene).splitlines()) == [" M changed", "?? deep/", "A  new"]
    assert scene.oid("HEAD") == tip
    assert (scene.top / "changed").read_text() == "my own\n"
    assert not (scene.top / "deep" / "er" / "added").exists()


def test_g2_a_branch_that_was_moved_since_decides(scene: Scene) -> None:
    """Whoever brings the worktree over by hand is right."""
    interrupted(scene, **mortal(scene, KILL_BEFORE=_REF))
    scene.git("reset", "-q", "--hard", "origin/main")
    scene.report()
    right(scene, scene.there())
    assert (scene.top / "changed").read_text() == "theirs\n"


# -- every step -----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("door", ["status", "push", "sync", "commit"])
@pytest.mark.parametrize("step", list(Settling))
def test_g2_whatever_comes_next_puts_it_right(scene: Scene, step: Settling, door: str) -> None:
    tip = interrupted(scene, UAM_DIE_AT=step)
    if door == "commit":
        lock = scene.top / ".git" / "index.lock"
        assert lock.exists() is (step == Settling.LOCKED)
        lock.unlink(missing_ok=True)  # what git advises whoever meets it: git asks no hook before
        done = scene.run("commit", "-q", "--allow-empty", "-m", "Nothing")
        if done.code:
            done = scene.run("commit", "-q", "--allow-empty", "-m", "Nothing")
    else:
        done = scene.run(*{"status": ("uam", "status"), "push": ("push",), "sync": ("uam", "sync")}[door])
    assert done.code == 0, done
    if door == "commit":
        assert scene.git("show", "--format=", "--name-only", "HEAD") == ""
        scene.git("reset", "-q", "--soft", "HEAD~1")
    right(scene, tip)
    if door in ("push", "sync"):
        assert scene.oid("HEAD") == scene.there()


@pytest.mark.parametrize("kill", bulk(["update-index", "read-tree -n", _MOVE, _REF]))
def test_g2_a_git_that_is_killed_alone_is_put_right_at_once(scene: Scene, kill: str) -> None:
    tip = interrupted(scene, **mortal(scene, KILL_ALONE=kill))
    right(scene, tip)
    assert scene.run("uam", "sync").code == 0
    assert (changes(scene), scene.oid("HEAD")) == ("", scene.there())


@pytest.mark.parametrize("step", bulk([Settling.BEGUN, Settling.INDEX]))
def test_g2_a_linked_worktree_and_its_own_edits(scene: Scene, step: Settling) -> None:
    agent = scene.worktree("agent")
    agent.commit("mine", "edited\n", message="Edit mine")
    (agent.top / "README").write_text("not yet\n")
    agent.push("origin", "HEAD:main", UAM_DIE_AT=step)
    scene.idle()
    scene.report()
    assert changes(agent) == " M README"
    assert agent.run("uam", "sync").code == 0
    assert (changes(agent), agent.oid("HEAD")) == (" M README", scene.there())


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_g2_any_git_may_be_killed_with_all_who_started_it(scene: Scene) -> None:
    """The first, the second, ... of a settle by hand, which has no flusher beside it, until one needed fewer."""
    env = mortal(scene)
    tip = scene.commit("mine", "edited\n", message="Edit mine")
    scene.git("config", "uam.settle", "off")
    assert scene.push().code == 0
    scene.idle()
    counted, killed = scene.root / "counted", 0
    for number in range(1, 100):
        counted.unlink(missing_ok=True)
        scene.run("uam", "sync", **env, KILL_NTH=str(number), COUNTED=str(counted))
        done = scene.run("commit", "-q", "--allow-empty", "-m", "Nothing")
        if done.code:
            assert "it has been put right now: commit again" in done.err
            scene.git("commit", "-q", "--allow-empty", "-m", "Nothing")
        assert scene.git("show", "--format=", "--name-only", "HEAD") == ""
        scene.git("reset", "-q", "--soft", "HEAD~1")
        scene.report()  # what a commit has no need to look at: worktrees of others
        right(scene, tip)
        scene.git("reset", "-q", "--hard", tip)
        if len(counted.read_text().splitlines()) < number:
            break
        killed += 1
    assert killed > 15


def _odd(other: Worktree) -> None:
    top = other.top
    other.git("rm", "-q", "-r", "file", "dir", "link")
    (top / "file").mkdir()
    (top / "file" / "within").write_text("theirs\n")
    (top / "dir").write_text("theirs\n")
    (top / "link").symlink_to("elsewhere")
    (top / 'a "quoted"\nname').write_text("theirs\n")
    (top / os.fsdecode(b"latin-\xe9")).write_text("theirs\n")
    (top / "dos.txt").write_text("one\ntwo\nthree\n")


@pytest.mark.parametrize("step", bulk([Settling.FILES, Settling.INDEX], quick=[Settling.INDEX]))
def test_g2_whatever_the_paths_are(fresh: Scene, step: Settling) -> None:
    """Files and directories in each other's place, links, names that need quotes, and line ends that are converted."""
    (fresh.top / "dir").mkdir()
    for name in ("file", "dir/within", "mine"):
        (fresh.top / name).write_text(f"{name}\n")
    (fresh.top / ".gitattributes").write_text("*.txt text eol=crlf\n")
    (fresh.top / "dos.txt").write_bytes(b"one\r\n")
    (fresh.top / 'a "quoted"\nname').write_text("old\n")
    (fresh.top / os.fsdecode(b"latin-\xe9")).write_text("old\n")
    (fresh.top / "link").symlink_to("file")
    fresh.git("add", ".")
    fresh.git("commit", "-q", "-m", "Add files")
    assert fresh.push().code == 0
    other = fresh.stranger()
    other.git("pull", "-q", "origin", "main")
    _odd(other)
    other.git("add", ".")
    other.git("commit", "-q", "-m", "Change files")
    other.git("push", "-q", "origin", "main")
    tip = fresh.commit("mine", "edited\n", message="Edit mine")
    fresh.push(UAM_DIE_AT=step)
    fresh.idle()
    fresh.git("config", "uam.settle", "off")  # or whatever comes next would bring it over again
    fresh.report()
    right(fresh, tip)
    assert fresh.oid("HEAD") == tip
    assert ((fresh.top / "dos.txt").read_bytes(), (fresh.top / "link").readlink()) == (b"one\r\n", Path("file"))
    assert fresh.run("uam", "sync").code == 0
    right(fresh, fresh.there())
    assert (fresh.top / "file" / "within").read_text() == "theirs\n"


def test_g2_a_file_that_is_in_the_place_of_a_directory_since_stays(scene: Scene) -> None:
    tip = interrupted(scene, UAM_DIE_AT=Settling.FILES)
    (scene.top / "removed").mkdir()
    (scene.top / "removed" / "scratch").write_text("mine\n")
    shutil.rmtree(scene.top / "deep")
    (scene.top / "deep").symlink_to(scene.home)
    scene.report()
    assert scene.oid("HEAD") == tip
    assert (scene.top / "removed" / "scratch").read_text() == "mine\n"
    assert sorted(changes(scene).splitlines()) == [" D removed", "?? deep"]


# -- another git at the same moment ----------------------------------------------------------------------------


def test_g2_what_another_git_stages_while_files_move_goes_back(scene: Scene) -> None:
    """`git add -A` sees others' files in the middle of it: they are not the agent's change."""
    tip = scene.commit("mine", "edited\n", message="Edit mine")
    (scene.top / "own").write_text("own\n")
    done = scene.push(**mortal(scene, THEN=_MOVE, MEANWHILE=f"unset GIT_INDEX_FILE; cd {scene.top} && git add -A"))
    assert done.code == 0, done
    assert "another git command is running there" in done.err
    assert (changes(scene), scene.oid("HEAD")) == ("A  own", tip)
    assert scene.run("uam", "sync").code == 0
    assert (changes(scene), scene.oid("HEAD")) == ("A  own", scene.there())


def test_g2_the_lock_of_another_git_is_never_removed(scene: Scene) -> None:
    tip = interrupted(scene, UAM_DIE_AT=Settling.INDEX)
    lock = scene.top / ".git" / "index.lock"
    lock.write_bytes(b"")
    assert "it cannot be put right yet: another git command is running there" in scene.run("uam", "status").err
    assert lock.exists()
    assert scene.oid("HEAD") == tip
    lock.unlink()
    scene.report()
    right(scene, tip)


def test_g2_a_settle_that_meets_a_lock_leaves_everything_as_it_was(scene: Scene) -> None:
    tip = scene.commit("mine", "edited\n", message="Edit mine")
    lock = scene.top / ".git" / "index.lock"
    lock.write_bytes(b"")
    done = scene.push()
    assert "another git command is running there" in done.err
    lock.unlink()
    right(scene, tip)
    assert scene.oid("HEAD") == tip


def test_g2_where_there_are_no_hard_links(scene: Scene) -> None:
    """The lock and the second index are copies then."""
    script(scene.root / "nolinks" / "ln", "exit 1\n")
    tip = interrupted(scene, UAM_DIE_AT=Settling.LOCKED, PATH=f"{scene.root / 'nolinks'}:{scene.env['PATH']}")
    assert (scene.top / ".git" / "index.lock").exists()
    scene.report()
    right(scene, tip)


def test_g2_a_repository_that_was_moved_since(scene: Scene) -> None:
    tip = interrupted(scene, UAM_DIE_AT=Settling.INDEX)
    moved = Worktree(scene.top.rename(scene.root / "moved"), scene.env)
    assert "is as it was before" in moved.run("uam", "status").err
    moved.top.rename(scene.top)
    right(scene, tip)


def test_g2_a_worktree_that_is_gone_is_in_nobodys_way(scene: Scene) -> None:
    agent = scene.worktree("agent")
    agent.commit("mine", "edited\n", message="Edit mine")
    agent.push("origin", "HEAD:main", UAM_DIE_AT=Settling.INDEX)
    scene.idle()
    shutil.rmtree(agent.top)
    assert scene.run("uam", "status").err == ""
    scene.git("worktree", "prune")
    assert scene.run("uam", "status").err == ""
    right(scene, scene.oid("HEAD"))


def test_g2_an_uninstall_puts_right_first(scene: Scene) -> None:
    tip = interrupted(scene, UAM_DIE_AT=Settling.INDEX)
    assert scene.run("uam", "uninstall").code == 0
    assert (changes(scene), scene.oid("HEAD")) == ("", tip)
    assert [path.name for path in (scene.top / ".git").iterdir() if path.name.startswith("index")] == ["index"]


# -- no space --------------------------------------------------------------------------------------------------


@pytest.fixture
def small(fresh: Scene) -> Iterator[Worktree]:
    """A worktree on a file system of its own, of 1 MB."""
    top = fresh.root / "small"
    top.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(top)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("may not mount a file system here")
    try:
        yield fresh.worktree("small")
    finally:
        subprocess.run(["umount", "-l", str(top)], check=True)


def test_g4_a_full_disk_leaves_the_worktree_as_it_was(fresh: Scene, small: Worktree) -> None:
    behind(fresh)
    other = fresh.stranger()
    big = os.urandom(300_000).hex()
    for name in ("a-big", "changed", "z-big"):
        other.commit(name, big, message=f"Make {name} big")
    other.git("push", "-q", "origin", "main")
    small.git("reset", "-q", "--hard", "main")
    tip = small.commit("mine", "edited\n", message="Edit mine")
    done = small.push("origin", "HEAD:main")
    assert done.code == 0, done
    assert "your changes" not in done.err
    assert "its files could not be moved (unable to write file" in done.err
    assert (changes(small), small.oid("HEAD")) == ("", tip)
    sync = small.run("uam", "sync")
    assert (sync.code, "unable to write file" in sync.err) == (4, True), sync
    subprocess.run(["mount", "-o", "remount,size=8m", str(small.top)], check=True)
    assert small.run("uam", "sync").code == 0
    assert (changes(small), small.oid("HEAD")) == ("", fresh.there())


def test_g4_what_cannot_be_put_back_for_want_of_space_is_put_back_later(fresh: Scene, small: Worktree) -> None:
    behind(fresh)
    other = fresh.stranger()
    other.commit("changed", os.urandom(200_000).hex(), message="Make it big")
    other.git("push", "-q", "origin", "main")
    small.git("fetch", "-q", "origin")
    small.git("reset", "-q", "--hard", "origin/main")
    other.commit("changed", "small again\n", message="Make it small")
    other.git("push", "-q", "origin", "main")
    tip = small.commit("mine", "edited\n", message="Edit mine")
    small.push("origin", "HEAD:main", UAM_DIE_AT=Settling.FILES)
    fresh.idle()
    filler = small.top / "filler"
    full(filler)
    told = small.run("uam", "status")
    assert (told.code, "cannot be put right yet" in told.err) == (0, True), told
    filler.unlink()
    assert "as it was before" in small.run("uam", "status").err
    assert (changes(small), small.oid("HEAD")) == ("", tip)
    assert small.run("uam", "sync").code == 0
    assert (changes(small), small.oid("HEAD")) == ("", fresh.there())


def full(filler: Path) -> None:
    """Fill the file system."""
    with pytest.raises(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
