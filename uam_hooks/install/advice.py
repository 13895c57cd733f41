"""What agents need to know of git uam: a paragraph for AGENTS.md and CLAUDE.md, and keeping it up to date there."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core import whole
from uam_hooks.hot.core.errors import Advice, Refused, UamError

# The files that agents read, at the top of a worktree.
NAMES = ("AGENTS.md", "CLAUDE.md")
BEGIN = "<!-- git uam: begin (kept up to date by `git uam agents-md --write`) -->"
END = "<!-- git uam: end -->"
_BEGINS = re.compile(rb"(?m)^<!-- git uam: begin\b[^\r\n]*-->[ \t]*\r?$")
_ENDS = re.compile(rb"(?m)^<!-- git uam: end -->[ \t]*(?:\r?\n|\Z)")

TEXT = """\
## Commits and pushes

This repository uses git uam: the pushes of all agents go through one queue and land together, with one CI run.

- Commit and push with plain `git commit` and `git push`. Being behind is no reason to fetch, rebase or push again: the
  queue integrates your commits with everybody else's. Never force a push because of it.
- Exit status 0 of `git push` means that your work is on the remote, or that it was queued, if it says so. "not landed
  yet" (exit status 1) means that it is queued and lands by itself: `git uam wait ID` waits on.
- After a landing your branch may have moved to what the remote has, with your work in it. Your original commits are
  kept: `git uam show ID`.
- A conflict names the files, whose work it is, and the command that begins to resolve it (`git uam sync --queued` for
  what waits, `git pull --rebase` for what has landed). Run that, resolve, and push.
- A gate that failed names itself: `git uam log ID` has its output. Mend it, commit, and push.
- `git uam status` says what waits, what failed, and what to do next. Each command says it with `--json` for programs;
  `next_action` there has the command to run, as an argument list, or is null.
- Leave `.git/uam` and `refs/uam/` alone, and do not go around the queue (`UAM=off`) unless a person says so.
"""


class Fate(StrEnum):
    """What became of a file."""

    ADDED = "added"
    UPDATED = "updated"
    CURRENT = "current"


def block() -> str:
    """The paragraph between its markers."""
    return f"{BEGIN}\n{TEXT}{END}\n"


def keep(repo: Repository) -> dict[str, Fate]:
    """Write the paragraph into those files that are there, or into a new AGENTS.md.

    Refused, with nothing written, for a file that leads out of the worktree or has markers that do not pair; UamError
    for one that cannot be read or written.
    """
    try:
        return _keep(repo)
    except OSError as error:
        where = Path(error.filename).name if error.filename else "a file"
        raise UamError(
            f"The paragraph could not be put into {where}: {error.strerror or error}.",
            "A file that was there is as it was, or has the paragraph.",
        ) from None


def _keep(repo: Repository) -> dict[str, Fate]:
    top = _top(repo)
    names = [name for name in NAMES if (top / name).exists() or (top / name).is_symlink()] or [NAMES[0]]
    targets = {name: _inside(top, name) for name in names}
    written: dict[Path, Fate] = {}
    changes = {path: _changed(name, path) for name, path in targets.items()}
    for path, (old, new) in changes.items():
        if old == new:
            written[path] = Fate.CURRENT
            continue
        whole.put(path, new, path.stat().st_mode & 0o7777 if path.exists() else 0o644)
        written[path] = Fate.UPDATED if _BEGINS.search(old) else Fate.ADDED
    return {name: written[path] for name, path in targets.items()}


def _top(repo: Repository) -> Path:
    asked = repo.run("rev-parse", "--show-toplevel", at=Path.cwd(), ok=(0, 128))
    if asked.code:
        raise Refused(
            "There is no worktree here to write into.", Advice.of("{} prints the paragraph.", "git", "uam", "agents-md")
        )
    return Path(asked.out.decode("utf-8", "surrogateescape").removesuffix("\n")).resolve()


def _inside(top: Path, name: str) -> Path:
    """The file that is written for this name. A tree may hold a link to anywhere, which is not followed out of it."""
    try:
        path = (top / name).resolve()
    except RuntimeError:  # links that go round in a circle, until Python 3.13
        path = top
    within = path.is_relative_to(top) and ".git" not in path.relative_to(top).parts
    if not within or (path.exists() and not path.is_file()) or not path.parent.is_dir():
        raise Refused(
            f"{name} is not a file of this worktree.", Advice.of("{} prints the paragraph.", "git", "uam", "agents-md")
        )
    return path


def _changed(name: str, path: Path) -> tuple[bytes, bytes]:
    """What is in the file, and what is to be."""
    old = path.read_bytes() if path.exists() else b""
    line = b"\r\n" if b"\r\n" in old else b"\n"
    ours = block().encode().replace(b"\n", line)
    begins, ends = list(_BEGINS.finditer(old)), list(_ENDS.finditer(old))
    if not begins and not ends:
        gap = b"" if not old else line if old.endswith(b"\n") else line * 2
        return old, old + gap + ours
    if len(begins) != 1 or len(ends) != 1 or ends[0].start() < begins[0].end():
        raise Refused(f"The markers of git uam in {name} do not pair.", "Take them out, and run this again.")
    return old, old[: begins[0].start()] + ours + old[ends[0].end() :]
