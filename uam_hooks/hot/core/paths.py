"""The directories of a repository: git directory, common directory, and .git/uam within it."""

from __future__ import annotations

import os
from pathlib import Path

from uam_hooks.hot.core.typed import NamedTuple


class RepoPaths(NamedTuple):
    """The directories of one repository as seen from one worktree.

    `git_dir` is the worktree's own (`.git`, or `.git/worktrees/<name>`), `common_dir` the one that all
    worktrees share. The queue lives in the common directory, so there is one per repository.
    """

    git_dir: Path
    common_dir: Path

    @classmethod
    def of(cls, git_dir: Path) -> RepoPaths:
        """The paths that belong to `git_dir`; follows `commondir` as gitrepository-layout(5) says."""
        git_dir = git_dir.absolute()
        try:
            common = os.fsdecode((git_dir / "commondir").read_bytes()).strip()
        except FileNotFoundError:
            return cls(git_dir, git_dir)
        return cls(git_dir, Path(os.path.normpath(git_dir / common)))

    def seen_from(self, git_dir: str) -> RepoPaths:
        """The same repository seen from the worktree of `git_dir`; from the main worktree if that one is gone."""
        home = Path(git_dir)
        return RepoPaths.of(home if (home / "HEAD").is_file() else self.common_dir)

    @property
    def uam(self) -> Path:
        return self.common_dir / "uam"

    @property
    def database(self) -> Path:
        return self.uam / "queue.db"

    @property
    def identity_key(self) -> Path:
        """The secret that fingerprints of identities are made with."""
        return self.uam / "identity.key"

    @property
    def spool(self) -> Path:
        return self.uam / "spool"

    @property
    def inflight(self) -> Path:
        return self.uam / "inflight"

    @property
    def settling(self) -> Path:
        return self.uam / "settling"

    @property
    def env_file(self) -> Path:
        """Two lines: the interpreter, and the directory that holds the package. Its presence means "installed"."""
        return self.uam / "env"

    @property
    def flush_lock(self) -> Path:
        """Held while batches are claimed, or searched for those that nobody executes: for moments."""
        return self.uam / "flush.lock"

    @property
    def flusher_lock(self) -> Path:
        """Held by the background process that pushes of before lanes start: it serves every lane."""
        return self.uam / "flusher.lock"

    def lane_lock(self, lane: str) -> Path:
        """Held by the background process that sleeps until windows of a lane end, and then flushes it."""
        return self.uam / f"flusher-{lane}.lock"

    @property
    def batches(self) -> Path:
        """A lock for each open batch, held by the process that executes it."""
        return self.uam / "batches"

    @property
    def bells(self) -> Path:
        """How those who wait for a change of the queue are woken."""
        return self.uam / "bells"

    @property
    def gates(self) -> Path:
        """The slots in which gates run."""
        return self.uam / "gate"

    @property
    def settle_lock(self) -> Path:
        """Held while one process moves local branches."""
        return self.uam / "settle.lock"

    @property
    def log(self) -> Path:
        return self.uam / "flush.log"

    @property
    def logs(self) -> Path:
        """What the commands of actions have printed."""
        return self.uam / "log"

    def log_of(self, action: int) -> Path:
        """The file with the output of an action's command."""
        return self.logs / f"{action}.log"

    @property
    def notify_failed(self) -> Path:
        """Why the last run of uam.notify.command has failed; not there where it has not."""
        return self.logs / "notify.failed"

    @property
    def worktree(self) -> Path:
        """The top of this worktree, or the git directory itself where there is none."""
        if self.git_dir != self.common_dir:
            try:
                return Path(os.fsdecode((self.git_dir / "gitdir").read_bytes()).strip()).parent
            except OSError:
                return self.git_dir
        if self.git_dir.name == ".git":
            return self.git_dir.parent
        return _worktree_of_submodule(self.git_dir) or self._worktree_apart() or self.git_dir

    @property
    def worktree_file(self) -> Path:
        """Where the worktree of a git directory that lies apart from it (`--separate-git-dir`) is: git does not say."""
        return self.uam / "worktree"

    def _worktree_apart(self) -> Path | None:
        try:
            worktree = Path(os.fsdecode(self.worktree_file.read_bytes()).rstrip("\n"))
        except OSError:
            return None
        return worktree if (worktree / ".git").is_file() else None

    def git_dirs(self) -> list[Path]:
        """The git directories of all worktrees, the main one first."""
        try:
            linked = sorted((self.common_dir / "worktrees").iterdir())
        except FileNotFoundError:  # any other error means "unknown", not "none"
            linked = []
        return [self.common_dir, *(d for d in linked if (d / "HEAD").is_file())]


def worktree_around(git_dir: Path, at: Path) -> Path | None:
    """The top of the worktree around the directory `at`, if its `.git` is a file that names `git_dir`; else None."""
    for top in (at, *at.parents):
        try:
            text = os.fsdecode((top / ".git").read_bytes())
        except FileNotFoundError:
            continue
        except OSError:  # a directory, as a rule
            return None
        named = top / text.removeprefix("gitdir:").strip()
        return top if named.is_dir() and named.samefile(git_dir) else None
    return None


def _worktree_of_submodule(git_dir: Path) -> Path | None:
    """The worktree that git writes into the config of a submodule's git directory, below the superproject's `.git`.

    Read without git because every push needs it. None where there is none, or none that this reading finds.
    """
    if "modules" not in git_dir.parts:
        return None
    settings = _plain_settings(git_dir / "config")
    if any(key == "worktreeconfig" and value.lower() == "true" for key, value in settings):
        settings += _plain_settings(git_dir / "config.worktree")  # a sparse checkout has its worktree there
    found = [value for key, value in settings if key == "worktree"]
    if not found:
        return None
    plain = found[-1].strip('"').replace('\\"', '"').replace("\\\\", "\\")
    worktree = Path(os.path.normpath(git_dir / plain))
    return worktree if (worktree / ".git").exists() else None


def _plain_settings(path: Path) -> list[tuple[str, str]]:
    """The `key = value` lines of a config file, whatever section they are in; none where it cannot be read."""
    try:
        lines = path.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return []
    return [(key.strip().lower(), value.strip()) for key, _, value in (line.partition("=") for line in lines)]


def worktree_name(git_dir: str) -> str:
    """The name of the worktree of a git directory for people: its own, or that of the directory around `.git`."""
    parts = git_dir.rstrip("/").split("/")
    return parts[-2] if parts[-1] == ".git" and len(parts) > 1 else parts[-1]
