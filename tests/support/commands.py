"""The command line in this process: for the many cases in which only the answer matters, and nothing is started."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from tests.support.landscape import environment, write
from tests.support.scenes import Done, Scene, Worktree
from uam_hooks.cli import main

ME = "ada@example.invalid@work"
# The console script of the environment that the tests run in.
_SCRIPT = Path(sys.executable).parent / "uam"
UAM = [str(_SCRIPT)] if _SCRIPT.exists() else [sys.executable, "-c", "from uam_hooks.cli import main; main()"]


def call(place: Worktree, *args: str, at: Path | None = None, agent: str = "") -> Done:
    """`uam args` in this process."""
    out, err = io.StringIO(), io.StringIO()
    here, argv = Path.cwd(), sys.argv
    env = {**place.env, "UAM_AGENT_ID": agent} if agent else place.env
    with environment(env), redirect_stdout(out), redirect_stderr(err):
        os.chdir(at or place.top)
        sys.argv = ["uam", *args]
        try:
            main()
        except SystemExit as done:
            code = done.code
        finally:
            os.chdir(here)
            sys.argv = argv
    assert isinstance(code, int)
    return Done(code, out.getvalue(), err.getvalue())


def said(place: Worktree, *args: str) -> str:
    """What `uam args` printed; it must succeed, with nothing on stderr."""
    done = call(place, *args)
    assert (done.code, done.err) == (0, ""), done
    return done.out.rstrip("\n")


def facts(place: Worktree, *args: str) -> Any:
    """What `uam args --json` says, without what all of it has: see told."""
    found = told(place, *args)
    return {name: value for name, value in found.items() if name not in ("version", "next_action")}


def told(place: Worktree, *args: str) -> Any:
    return json.loads(said(place, *args, "--json"))


def asked(place: Worktree, kind: str, target: str, *more: str) -> int:
    """Queue something by command; gives its id."""
    found = facts(place, "queue", "--action-type", kind, "--target", target, *more)
    return int(found["id"])


def commit(place: Worktree, name: str = "a", *more: str, message: str = "") -> int:
    write(place, name, f"{name}\n")
    return asked(place, "commit", "main", "--message", message or f"Add {name}", "--files", name, *more)


def source(scene: Scene, number: int) -> dict[str, Any]:
    (found,) = [row for row in scene.rows("sources") if row["action_id"] == number]
    return found


def select(scene: Scene, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(scene.paths.database)) as db:
        try:
            return db.execute(sql).fetchall()
        except sqlite3.OperationalError:
            return []  # nobody has opened the queue yet


@contextmanager
def unchanged(scene: Scene) -> Iterator[None]:
    """Neither queue nor repository nor remote may change."""

    def everything() -> object:
        tables = [select(scene, f"SELECT * FROM {table}") for table in ("source_files", "urgent", "imported")]  # noqa: S608
        config = (scene.top / ".git" / "config").read_text(), (scene.home / "gitconfig").read_text()
        return scene.queue(), tables, config, scene.git("for-each-ref"), scene.status(), scene.bare.git("for-each-ref")

    before = everything()
    yield
    assert everything() == before


def refused(done: Done, code: int, *words: str) -> None:
    """One sentence or two on one line of stderr, nothing on stdout; with --json the same is there as data."""
    assert done.code == code, done
    if done.out:
        error = json.loads(done.out)["error"]
        assert error["exit_status"] == code, done
        assert error["what"].splitlines()[0] in done.err, done
    assert "Traceback" not in done.err
    lines = done.err.splitlines()
    if lines[0].startswith(("Usage: ", "Error: ")):  # click shows how to call the command, and what there is to choose
        assert len([line for line in lines if line.startswith("Error: ")]) == 1, done
    else:
        assert len(lines) == 1, done
        assert lines[0].startswith("uam: "), done
    for word in words:
        assert word in done.err


def each(scene: Scene, cases: Iterable[tuple[Sequence[str], int, str]]) -> None:
    """Every one of these calls is refused with that status and these words, and changes nothing."""
    wrong = []
    with unchanged(scene):
        for args, code, words in cases:
            try:
                refused(call(scene, *args), code, words)
            except Exception as error:  # the others are of interest, too
                wrong.append((" ".join(args)[:120], f"{type(error).__name__}: {error}"[:400]))
    assert wrong == []
