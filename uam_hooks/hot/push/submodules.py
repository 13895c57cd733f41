"""A superproject that names commits of its submodules which nobody will find there.

A submodule whose own pushes go through a queue may have landed in another form than it was committed in. What the
superproject names lands as it is, but only if it was named before the submodule was pushed.
"""

from __future__ import annotations

from pathlib import Path

from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.plumbing import Git
from uam_hooks.hot.core.quoting import word
from uam_hooks.hot.core.refs import OURS

_GITLINK = "160000"
_SHADOWS = f"{OURS}shadow/"
# what git for-each-ref ends with when this repository lacks the commit that is asked for (git 2.39 and 2.55)
_NO_SUCH_COMMIT = 129


def lost_submodule(git: Git, paths: RepoPaths, tip: str) -> str:
    """Why nobody could check out a submodule of `tip`, and what helps; empty when they can, or when it is not known.

    Costs no process where no submodule of this worktree has a queue. GitFailed when git fails.
    """
    queued = [path for path in _named(paths.worktree) if _has_queue(paths.worktree / path)]
    if not queued:
        return ""
    for entry in git.run("ls-tree", "-z", tip, "--", *queued).out.decode("utf-8", "surrogateescape").split("\0"):
        facts, _, path = entry.partition("\t")
        mode, _, oid = facts.replace(" commit ", " ").partition(" ")
        if mode == _GITLINK and (where := _landed_otherwise(git, paths.worktree / path, oid)):
            return (
                f"submodule {path} is at {oid[:7]}, which landed on {where} in another form, so nobody can check it"
                f" out: `git -C {word(path)} uam sync {word(where)}`, `git add {word(path)}`, commit, and push again"
            )
    return ""


def _named(worktree: Path) -> list[str]:
    """The paths of the submodules that .gitmodules names."""
    try:
        text = (worktree / ".gitmodules").read_text("utf-8", "surrogateescape")
    except OSError:
        return []
    pairs = [line.partition("=")[::2] for line in text.splitlines()]
    return [value.strip().strip('"') for key, value in pairs if key.strip() == "path"]


def _has_queue(submodule: Path) -> bool:
    """Whether git uam is installed in the submodule that is checked out there."""
    link = submodule / ".git"
    try:
        git_dir = link if link.is_dir() else submodule / link.read_text().strip().removeprefix("gitdir: ")
        return RepoPaths.of(git_dir).env_file.exists()
    except OSError:
        return False


def _landed_otherwise(git: Git, submodule: Path, oid: str) -> str:
    """`<remote>/<branch>` on which the commit landed in another form, if none of the submodule's remotes has it."""
    asked = git.run("for-each-ref", "--contains", oid, "--format=%(refname)", "refs/remotes/", _SHADOWS,
                    ok=(0, _NO_SUCH_COMMIT), at=submodule)  # fmt: skip
    if any(not ref.startswith(OURS) for ref in asked.lines):
        return ""
    return asked.lines[0].removeprefix(_SHADOWS) if asked.lines else ""
