"""The .gitattributes that count in a merge: those of what is merged into, whatever any worktree has checked out.

git reads them from a worktree (git 2.39 has no --attr-source), so they are laid out in a directory that holds
nothing else. It is made when the first merge needs it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import TracebackType

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.plumbing import EMPTY_TREE, ZERO, Answer


class Attributes:
    """The attributes of one commit's tree (ZERO: none)."""

    def __init__(self, repo: Repository, commit: str) -> None:
        self._repo, self._commit = repo, commit
        self._directory: tempfile.TemporaryDirectory[str] | None = None

    def run(self, *args: str) -> Answer:
        """Run git where these attributes count; exit codes 0 and 1 are answers, as for merge-tree."""
        if self._directory is None:
            self._directory = tempfile.TemporaryDirectory(prefix="uam-")
            if self._commit != ZERO:
                self._lay_out(Path(self._directory.name))
        where = self._directory.name
        env = {"GIT_DIR": str(self._repo.paths.common_dir), "GIT_WORK_TREE": where}
        return self._repo.run(*args, ok=(0, 1), at=Path(where), env=env)

    def _lay_out(self, directory: Path) -> None:
        listed = self._repo.run(
            "diff-tree", "-r", "-z", "--name-only", "--no-renames", EMPTY_TREE, self._commit, "--",
            ":(glob)**/.gitattributes",
        ).out.split(b"\0")[:-1]  # fmt: skip
        for name in (raw.decode("utf-8", "surrogateescape") for raw in listed):
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self._repo.run("cat-file", "blob", f"{self._commit}:{name}").out)

    def __enter__(self) -> Attributes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._directory is not None:
            self._directory.cleanup()
