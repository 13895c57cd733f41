"""Slots: warm worktrees of ours in which gates run, `.git/uam/gate/<n>/tree`.

A slot is a locked worktree of the repository, detached, so that filters, attributes and submodules are as in any
checkout, and commands that ask git for the version find a repository. It goes from commit to commit: what a build
leaves behind and git ignores stays. Whoever holds the lock of a slot may do with it what it likes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from fcntl import LOCK_UN, flock
from pathlib import Path

from uam_hooks.command.process import Command, Ended, Running
from uam_hooks.gate.config import environment
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core import files
from uam_hooks.hot.core.errors import GitFailed, UamError
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue.leader import try_lock
from uam_hooks.session import Session

POLL_SECONDS = 0.05
# no hook of anybody's runs for a checkout of ours, it is all of the tree, where others have a sparse one, no daemon
# watches it, and what a gate has changed is seen however well it hides that
_QUIET = (
    "-c", "core.hooksPath=/dev/null", "-c", "core.sparseCheckout=false", "-c", "advice.detachedHead=false",
    "-c", "gc.auto=0", "-c", "core.fsmonitor=false", "-c", "core.trustctime=true", "-c", "core.checkStat=default",
    "-c", "core.splitIndex=false", "-c", "submodule.recurse=false",
)  # fmt: skip
# in each submodule: those that it has itself, all of them
_INNER = "if test -f .gitmodules; then git submodule --quiet update --init --force --checkout --recursive; fi"


class SetupFailed(UamError):
    """The slot cannot be made ready, so no gate can run in it."""


class Slot(NamedTuple):
    """A slot that this process has; `log` gets what runs in it.

    What works in it holds its `lock`, too: where this process dies, the next one gets the slot when all of that has
    ended.
    """

    home: Path
    session: Session
    running: Running
    lock: int

    @property
    def tree(self) -> Path:
        return self.home / "tree"

    @property
    def log(self) -> Path:
        return self.home / "log"

    def check_out(self, commit: str) -> None:
        """Let the files be those of a commit; what is ignored stays. Raises SetupFailed where that cannot be."""
        try:
            self._check_out(commit)
        except (GitFailed, OSError):  # a process that was killed left it in pieces
            self._remove()
            try:
                self._check_out(commit)
            except (GitFailed, OSError) as error:
                why = error.what if isinstance(error, GitFailed) else str(error)
                raise SetupFailed(f"The slot for gates cannot be made: {why}") from None
        self._make_ready()

    def _check_out(self, commit: str) -> None:
        """Go to a commit.

        What the files were made of is kept: the index, in which a gate may have done what it likes, and `attributes`,
        which is not there while files are made.
        """
        from shutil import copy2  # as below: a flusher without gates does not need what it loads

        repo, made_by, kept = self.session.repo, self.home / "attributes", self.home / "index"
        before = made_by.read_text() if made_by.is_file() else ""
        made_by.unlink(missing_ok=True)
        if (self.tree / ".git").exists():
            index = self._index()
            index.with_name("index.lock").unlink(missing_ok=True)  # only who holds the slot works here
            if before:
                copy2(kept, index)  # its time counts: what was changed in the same moment is looked at
            else:
                index.unlink(missing_ok=True)
            repo.run(*_QUIET, "checkout", "--quiet", "--detach", "--force", commit, at=self.tree, turn=self.lock)
            repo.run(*_QUIET, "clean", "-ffdq", at=self.tree, turn=self.lock)
            if before != self._attributes():  # git would leave files as they are whose contents are the same
                index.unlink()
                repo.run(*_QUIET, "reset", "--quiet", "--hard", at=self.tree, turn=self.lock)
        else:
            self._remove()
            repo.run(*_QUIET, "worktree", "add", "--quiet", "--detach", "--force", "--lock",
                     "--reason", "git uam runs gates here", str(self.tree), commit, turn=self.lock)  # fmt: skip
            index = self._index()
        if (self.tree / ".gitmodules").is_file():
            self._check_out_submodules()
        copy2(index, kept)
        made_by.write_text(self._attributes())

    def _index(self) -> Path:
        return Path(self.session.repo.run("rev-parse", "--absolute-git-dir", at=self.tree).text) / "index"

    def _check_out_submodules(self) -> None:
        """Let those submodules that are initialised here be at the commits that the tree names, with all in them."""
        repo, silence = self.session.repo, self.session.settings["uam.remote.timeout"]
        for words in (("update", "--force", "--checkout"), ("foreach", _INNER)):
            repo.talk(*_QUIET, "submodule", "--quiet", *words, silence=silence, at=self.tree)
        repo.run(
            *_QUIET, "submodule", "--quiet", "foreach", "--recursive", "git clean -ffdq", at=self.tree, turn=self.lock
        )

    def _attributes(self) -> str:
        """What the attributes of the files follow from."""
        from hashlib import sha256

        repo = self.session.repo
        listed = repo.run("ls-files", "--stage", "-z", "--", ":(glob)**/.gitattributes", at=self.tree).out
        own = repo.paths.common_dir / "info" / "attributes"
        return sha256(listed + (own.read_bytes() if own.is_file() else b"")).hexdigest()

    def _remove(self) -> None:
        _forget(self.session.repo, self.tree)
        for name in ("ready", "index"):
            (self.home / name).unlink(missing_ok=True)

    def _make_ready(self) -> None:
        """Run uam.gate.setup in a slot that is new, or where files have changed that it is about."""
        settings, repo = self.session.settings, self.session.repo
        words: list[str] = settings["uam.gate.setup"]
        if not words:
            return
        from hashlib import sha256

        paths = [str(value) for value in settings.values("uam.gate.setup.paths")]
        listed = repo.run("ls-files", "--stage", "-z", "--", *paths, at=self.tree).out if paths else b""
        mark = sha256(repr(words).encode() + listed).hexdigest()
        ready = self.home / "ready"
        if ready.is_file() and ready.read_text() == mark:
            return
        ready.unlink(missing_ok=True)
        ended = self.run(words, settings["uam.gate.timeout"], environment(os.environ, ()))
        if ended.code or ended.by_us:
            raise SetupFailed(f"uam.gate.setup has failed: {ended.error}")
        ready.write_text(mark)

    def run(self, words: Sequence[str], timeout: float, env: Mapping[str, str]) -> Ended:
        """Run a command in the slot."""
        return self.running.run(Command(words, env, b"", self.tree, timeout, self.log, watched=True, turn=self.lock))


@contextmanager
def slot(session: Session, running: Running, make_room: Callable[[], object] = lambda: None) -> Iterator[Slot]:
    """A slot that nobody else uses; waits for one, and asks this process to `make_room` where none is free.

    Raises SetupFailed where what is `running` is ended meanwhile.
    """
    base = session.repo.paths.gates
    if not base.is_dir():
        files.make_directory(base)
    lock, number = None, 0
    while lock is None:
        for number in range(session.settings["uam.gate.slots"]):
            home = base / str(number)
            if not home.is_dir():
                files.make_directory(home)
            lock = try_lock(home / "lock")
            if lock is not None:
                break
        else:
            make_room()
            if running.ending:
                raise SetupFailed("It was ended before a slot was free.")
            time.sleep(POLL_SECONDS)
    try:
        yield Slot(base / str(number), session, running, lock)
    finally:
        flock(lock, LOCK_UN)  # whatever still has it: all that has worked here was ended
        os.close(lock)


def _forget(repo: Repository, tree: Path) -> None:
    """Take a worktree of ours away, in whatever state it is."""
    from shutil import rmtree

    for _ in range(2):  # what is no worktree any more is taken away as files; then git forgets it
        if repo.run("worktree", "remove", "--force", "--force", str(tree), ok=(0, 1, 128, 255)).code == 0:
            return
        _let_write(tree)
        rmtree(tree, ignore_errors=True)


def _let_write(tree: Path) -> None:
    """Let everything in a directory be deleted: caches of some tools keep their owner from that."""
    with suppress(OSError):
        tree.chmod(0o700)
    for place, folders, _ in os.walk(tree):
        for path in (Path(place, name) for name in folders):
            if not path.is_symlink():
                with suppress(OSError):
                    path.chmod(0o700)
