"""What the hooks left, into the queue: whole files only, each once, whoever dies in between."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from uam_hooks.hot.core.errors import StoreError
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.spool import ABANDONED_AFTER, take_in
from uam_hooks.store import views

A, B, C = ("a" * 40, "b" * 40, "c" * 40)


class Spool:
    """A spool directory and the queue that it is taken into."""

    def __init__(self, root: Path) -> None:
        self.paths = RepoPaths(root, root)
        self.paths.spool.mkdir(parents=True)
        self.age = 0

    def put(self, name: str, text: str | bytes) -> Path:
        path = self.paths.spool / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        self.age += 1  # one nanosecond apart would do; a second is what any file system tells
        stamp = time.time() - 100 + self.age
        os.utime(path, (stamp, stamp))
        return path

    def take(self) -> list[tuple[str, str, str, str]]:
        """Take in, and give the waiting commits."""
        with Store(self.paths.database) as store:
            take_in(store, self.paths, 30.0)
            return [(c.oid, c.branch, c.agent, c.worktree) for c in views.commits(store)]

    def left(self) -> list[str]:
        return sorted(path.name for path in self.paths.spool.iterdir())


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "git")


def note(oid: str, branch: str = "refs/heads/main", agent: str = "agent", worktree: str = "/w/.git") -> str:
    return f"commit\t{oid}\t{branch}\t{agent}\t{worktree}\n"


def test_notes_are_taken_in_oldest_first_and_deleted(spool: Spool) -> None:
    spool.put("z", note(A))
    spool.put("a", note(B, branch="", agent=""))
    assert spool.take() == [(A, "refs/heads/main", "agent", "/w/.git"), (B, "", "", "/w/.git")]
    assert spool.left() == []
    assert len(spool.take()) == 2


def test_a_file_that_is_not_whole_is_left_for_later(spool: Spool) -> None:
    half = spool.put("half", note(A).rstrip("\n"))
    rewrite = spool.put("rewrite", f"rewrite\n{A} {B}\n")
    empty = spool.put("empty", "")
    assert spool.take() == []
    assert spool.left() == ["empty", "half", "rewrite"]
    half.write_text(note(A))
    rewrite.write_text(f"rewrite\n{A} {B}\nend\n")
    empty.write_text(note(C))
    assert sorted(commit[0] for commit in spool.take()) == [B, C]
    assert spool.left() == []


def test_a_half_file_of_a_process_that_died_goes_away(spool: Spool) -> None:
    path = spool.put("half", "commit\t")
    old = time.time() - ABANDONED_AFTER - 10
    os.utime(path, (old, old))
    assert spool.take() == []
    assert spool.left() == []


def test_a_rewrite_follows_the_commit_that_it_is_about(spool: Spool) -> None:
    spool.put("1", note(A, agent="agent-7"))
    spool.put("2", f"rewrite\n{A} {B}\n{C} {C}\nend\n")
    assert [(commit[0], commit[2]) for commit in spool.take()] == [(B, "agent-7")]


def test_an_amend_in_the_order_in_which_git_runs_the_hooks(spool: Spool) -> None:
    """post-commit of the new commit comes before post-rewrite."""
    spool.put("1", note(A))
    spool.put("2", note(B))
    spool.put("3", f"rewrite\n{A} {B}\nend\n")
    assert [commit[0] for commit in spool.take()] == [B]


@pytest.mark.parametrize(
    "text",
    [
        "commit\tno object name\trefs/heads/main\ta\t/w\n",
        "commit\t" + A + "\n",
        "something else\n",
        "rewrite\nx y\n\nend\n",
        b"commit\t\xff\xfe\n",
        "\n",
    ],
)
def test_nonsense_is_dropped_and_holds_nothing_up(spool: Spool, text: str | bytes) -> None:
    spool.put("1", text)
    spool.put("2", note(A))
    assert [commit[0] for commit in spool.take()] == [A]
    assert spool.left() == []


def test_a_path_that_is_not_utf_8_is_taken_in(spool: Spool) -> None:
    spool.put("1", note(A).encode().replace(b"/w/", b"/w\xff/"))
    assert [commit[0] for commit in spool.take()] == [A]


def test_a_path_with_tabs_stays_whole(spool: Spool) -> None:
    spool.put("1", note(A, worktree="/a\tb/.git"))
    assert spool.take()[0][3] == "/a\tb/.git"


def test_taking_the_same_file_in_twice_changes_nothing(spool: Spool) -> None:
    spool.put("1", note(A))
    before = spool.take()
    spool.put("1", note(A))  # as if the reader had died between taking in and deleting
    assert spool.take() == before


def test_what_the_queue_did_not_take_stays(spool: Spool) -> None:
    spool.put("1", note(A))
    with Store(spool.paths.database) as store:
        store.db.execute("DROP TABLE queued_commits")
        with pytest.raises(StoreError):
            take_in(store, spool.paths, 30.0)
    assert spool.left() == ["1"]


def test_without_a_spool_there_is_nothing_to_do(spool: Spool) -> None:
    spool.paths.spool.rmdir()
    assert spool.take() == []
