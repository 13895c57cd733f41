"""`git uam sync --queued`: a push that conflicts with what waits goes in behind it, and both land."""

from __future__ import annotations

import pytest

from tests.support.queueing import WINDOW, due_now
from tests.support.scenes import Scene, Worktree, finished, script, until
from tests.support.tables import edit, flush, to_main, with_table

NEXT = "refs/uam/next/origin/main"


@pytest.fixture
def table(scene: Scene) -> Scene:
    """A repository in which nothing lands by itself."""
    return with_table(scene)


def resolve(place: Worktree, text: str) -> None:
    """Go on with the rebase that has stopped in the first line of the table."""
    path = place.top / "table"
    lines = path.read_text().splitlines()
    assert lines[0].startswith("<<<<<<<"), lines[:6]
    end = next(n for n, line in enumerate(lines) if line.startswith(">>>>>>>"))
    path.write_text("\n".join([text, *lines[end + 1 :]]) + "\n")
    place.git("add", "table")
    place.git("-c", "core.editor=true", "rebase", "--continue")


def line(scene: Scene, number: int) -> str:
    """A line of the table on the remote's main."""
    return scene.bare.git("show", "main:table").splitlines()[number * 3]


def test_a_push_that_conflicts_goes_in_behind_and_both_land(table: Scene) -> None:
    a, b = table.worktree("a"), table.worktree("b")
    first, second = edit(a, 0, "one"), edit(b, 0, "two")
    edit(b, 5, "more")
    assert to_main(a).code == 0
    refused = to_main(b)
    assert refused.code == 1
    advice = "`git uam sync --queued origin/main`, resolve, and push again: it goes in behind that"
    assert refused.ours[-1] == advice
    before = table.oid("refs/remotes/origin/main"), table.bare.oid("main")
    done = b.run("uam", "sync", "--queued", "origin/main")
    assert (done.code, done.out) == (1, "")
    assert done.ours == [
        "b is being put behind what waits for origin/main, and stops at a conflict in table."
        " Resolve it, `git add`, `git rebase --continue`, and push again; `git rebase --abort` goes back."
    ]
    resolve(b, "one and two")
    # the queued commit itself, with what is new on top, is what the branch stands on
    assert table.oid(NEXT) == first == b.oid("HEAD~2")
    assert second not in b.git("rev-list", "HEAD").split()
    again = to_main(b)
    assert again.code == 0, again
    assert (table.oid("refs/remotes/origin/main"), table.bare.oid("main")) == before
    flush(a)
    assert table.landed()[-2:] == ["Say one", "Say two (+1 more)"] or table.landed()[-2] == "Say one"
    assert (line(table, 0), line(table, 5)) == ("one and two", "more")
    assert b.oid("HEAD") == table.bare.oid("main")
    assert b.git("status", "--porcelain") == ""
    table.git("uam", "prune")
    assert NEXT not in table.our_refs()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["queue", "wait"])
def test_in_the_other_modes_too(table: Scene, mode: str) -> None:
    a, b = table.worktree("a"), table.worktree("b")
    table.git("config", "uam.push.mode", mode)
    table.git("config", "uam.window.push", WINDOW)
    edit(a, 0, "one")
    edit(b, 0, "two")
    waiting = a.start("push", "origin", "HEAD:main")
    until(lambda: "pending" in table.pushed(), "the first push in the queue")
    assert to_main(b).code == 1
    assert b.run("uam", "sync", "--queued", "origin/main").code == 1
    resolve(b, "both")
    second = b.start("push", "origin", "HEAD:main")
    until(lambda: len([row for row in table.rows("sources") if row["status"] == "pending"]) == 2, "the second push")
    due_now(table)
    flush(a)
    assert (finished(waiting).code, finished(second).code) == (0, 0)
    table.idle()
    assert table.landed()[-2:] == ["Say one", "Say two"]
    assert line(table, 0) == "both"


@pytest.mark.slow
def test_behind_several_and_again_when_one_more_has_come(table: Scene) -> None:
    """Merges of what waits are nothing of the branch's own: they do not land, whatever becomes of the commits."""
    table.git("config", "uam.squash", "never")
    a, b, c, d = (table.worktree(name) for name in "abcd")
    for place, number, text in ((a, 0, "one"), (b, 3, "two")):
        edit(place, number, text)
        assert to_main(place).code == 0
    edit(c, 0, "three")
    assert to_main(c).code == 1
    assert c.run("uam", "sync", "--queued", "origin/main").code == 1
    resolve(c, "one and three")
    assert len(c.git("rev-list", "--parents", "-1", "HEAD^").split()) == 3
    assert table.oid(NEXT) == c.oid("HEAD^")
    edit(d, 6, "four")
    assert to_main(d).code == 0
    done = c.run("uam", "sync", "--queued", "origin/main")
    tip = c.oid("HEAD")
    assert done.code == 0
    assert done.out.splitlines()[0] == (
        f"branch c is at {tip[:7]}, behind the 3 pushes that wait for origin/main, with 1 commit of its own"
    )
    flush(a)  # what it stands on has landed before it is pushed
    assert to_main(c).code == 0
    flush(a)
    assert table.landed()[-4:] == ["Say one", "Say two", "Say four", "Say three"]
    assert [line(table, number) for number in (0, 3, 6)] == ["one and three", "two", "four"]
    assert table.bare.git("rev-list", "--merges", f"{table.start_oid}..main") == ""
    assert c.oid("HEAD") == table.bare.oid("main")


@pytest.mark.slow
def test_without_a_conflict_files_of_ones_own_stay_and_it_can_be_undone(table: Scene) -> None:
    a, b = table.worktree("a"), table.worktree("b")
    edit(a, 0, "one")
    assert to_main(a).code == 0
    tip = edit(b, 5, "two")
    (b.top / "README").write_text("mine\n")
    done = b.run("uam", "sync", "--queued", "origin/main")
    new = b.oid("HEAD")
    assert done.out.splitlines() == [
        f"branch b is at {new[:7]}, behind the push that waits for origin/main, with 1 commit of its own",
        f"undo: git reset --keep {tip[:7]}",
    ]
    assert b.git("status", "--porcelain") == " M README" or b.git("status", "--porcelain") == "M README"
    assert b.run("uam", "sync", "--queued", "origin/main").out.splitlines() == [
        f"branch b is at {new[:7]}, behind the push that waits for origin/main, with 1 commit of its own"
    ]
    b.git("reset", "-q", "--keep", tip)
    assert b.oid("HEAD") == tip


@pytest.mark.slow
def test_on_top_of_what_landed_squashed(table: Scene) -> None:
    """Branches that still have the originals of what landed stand on them, and so does what is expected."""
    table.git("config", "uam.settle", "off")
    a, b = table.worktree("a"), table.worktree("b")
    edit(a, 0, "one")
    edit(a, 0, "one, better")
    assert to_main(a).code == 0
    flush(a)
    b.git("reset", "-q", "--hard", "origin/main")
    edit(a, 0, "one, best")
    assert to_main(a).code == 0
    edit(b, 0, "two")
    assert to_main(b).code == 1
    assert b.run("uam", "sync", "--queued", "origin/main").code == 1
    resolve(b, "both")
    assert to_main(b).code == 0
    flush(a)
    assert table.landed()[-2:] == ["Say one, best", "Say two"]
    assert line(table, 0) == "both"


@pytest.mark.slow
def test_a_rebase_that_a_hook_stops_says_what_it_said(table: Scene) -> None:
    a, b = table.worktree("a"), table.worktree("b")
    edit(a, 0, "one")
    assert to_main(a).code == 0
    edit(b, 5, "more")
    edit(b, 0, "two")
    script(table.paths.common_dir / "hooks" / "prepare-commit-msg", "echo not now >&2\nexit 1\n")
    done = b.run("uam", "sync", "--queued", "origin/main")
    assert done.code == 1
    assert "b is being put behind what waits for origin/main, and stops" in done.err
    assert "a conflict in ." not in done.err


@pytest.mark.slow
def test_what_cannot_be_put_behind_stays(table: Scene) -> None:
    a, b = table.worktree("a"), table.worktree("b")
    edit(a, 0, "one")
    assert to_main(a).code == 0
    tip = edit(b, 0, "two")
    (b.top / "table").write_text("not committed\n")
    done = b.run("uam", "sync", "--queued", "origin/main")
    assert (done.code, b.oid("HEAD"), (b.top / "table").read_text()) == (4, tip, "not committed\n")
    assert done.ours[0].startswith(f"b stays at {tip[:7]}: ")
    b.git("checkout", "-q", "table")
    table.git("uam", "cancel", str(table.rows("sources")[-1]["action_id"]))
    done = b.run("uam", "sync", "--queued", "origin/main")
    assert done.out == f"branch b is at {tip[:7]}, behind what origin/main has: nothing waits for it, with 1 commit" \
        " of its own\n"  # fmt: skip
