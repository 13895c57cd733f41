"""git for the hot path: one child process per call, argument lists only.

Off the hot path `git.repo.Repository` is used, which offers the same call on top of GitPython; code that is used on
both sides (settle) takes either as a `Git`.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from uam_hooks.hot.core.errors import GitFailed, GitNotStarted, Refused
from uam_hooks.hot.core.object_format import FORMATS, ObjectFormat
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.typed import NamedTuple, Protocol

# git rev-parse --local-env-vars, git 2.39 and 2.55: what ties a process to one repository and one worktree.
LOCAL_ENV = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_OBJECT_DIRECTORY",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE",
    "GIT_PREFIX",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_COMMON_DIR",
)
# Stands for an object that is absent, here and in the queue, whatever the object format of the repository. git writes
# as many zeros as its names have digits: `oid_of` reads them, `ObjectFormat.written` writes them.
ZERO = "0" * 40


class Answer(NamedTuple):
    """The exit code and output of a git command. `out` is bytes: paths and messages need not be UTF-8."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode("utf-8", "surrogateescape").strip()

    @property
    def lines(self) -> list[str]:
        return [line for line in self.out.decode("utf-8", "surrogateescape").split("\n") if line]


def answered(args: Sequence[str], code: int, out: bytes, err: bytes, ok: Sequence[int] | None) -> Answer:
    """How `git args` ended; GitFailed where its exit code is not one of `ok`, which are answers (None: all are)."""
    answer = Answer(code, out, err.decode("utf-8", "replace"))
    if ok is not None and (code not in ok or _left_out(answer)):
        raise GitFailed(args, code, answer.text, answer.err)
    return answer


def _left_out(answer: Answer) -> bool:
    """Whether git has gone on without an object that it could not read.

    `merge-base --is-ancestor` then says no, and `merge-tree` leaves out what others have changed, both without another
    exit code (git 2.39).
    """
    return any(line.startswith("error: Could not read ") for line in answer.err.splitlines())


@contextmanager
def starting(args: Sequence[str]) -> Iterator[None]:
    """GitNotStarted where the block cannot start `git args`: too long, no memory, a NUL or a lone surrogate in it."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise GitNotStarted(args, error) from error


def listed_refs(answer: Answer) -> dict[str, str]:
    """The output of `git ls-remote` as objects by ref, without HEAD and peeled tags."""
    pairs = [line.split("\t", 1) for line in answer.lines if "\t" in line]
    return {ref: oid for oid, ref in pairs if ref.startswith("refs/") and not ref.endswith("^{}")}


def fed(names: Sequence[str]) -> bytes:
    """`names` as input for `git hash-object --stdin-paths`, which unquotes a name that begins with a quote."""
    lines = [_quoted(name) if name.startswith('"') else name for name in names]
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def oid_of(field: str) -> str:
    """The object that a field of git's output names in full; ZERO where it stands for none."""
    return field if field.strip("0") else ZERO


def asked_format(git: Git) -> ObjectFormat:
    """The object format of the repository of `git`; Refused for one that is not known here."""
    name = git.run("rev-parse", "--show-object-format").text
    if name not in FORMATS:
        raise Refused(f"This repository has the object format '{name}', which git uam does not know.")
    return FORMATS[name]


class Git(Protocol):
    """A way to run git in one repository.

    A question that failed has no answer: `ok` names the exit codes that are answers, and any other raises GitFailed. So
    a git that was killed, or that found a damaged object, is never read as "none".
    """

    def run(
        self,
        *args: str,
        feed: bytes | None = None,
        ok: Sequence[int] | None = (0,),
        env: Mapping[str, str] | None = None,
        at: Path | None = None,
    ) -> Answer:
        """Run `git args`, with `feed` on its stdin, in worktree or git directory `at`.

        Raises GitFailed when the exit code is not in `ok` (None accepts all).
        """
        ...

    def talk(self, *args: str, silence: float, ok: Sequence[int] | None = (0,)) -> Answer:
        """Run `git args`, which talks to a remote, where it would run for a person; see `talk.talk`."""
        ...

    def configured(self, wanted: str, at: Path | None = None) -> bytes:
        """What `git config -z --show-scope --get-regexp` prints now for the pattern `wanted`, in git directory `at`."""
        ...

    @property
    def object_format(self) -> ObjectFormat:
        """How this repository names objects; asked once."""
        ...


def configured(git: Git, wanted: str, at: Path | None) -> bytes:
    """See `Git.configured`: asked of git."""
    return git.run("config", "-z", "--show-scope", "--get-regexp", wanted, ok=(0, 1), at=at).out


def is_ancestor(git: Git, old: str, new: str, at: Path | None = None) -> bool:
    """Whether `new` contains `old`; GitFailed when git cannot tell, for example because an object is missing here."""
    return old == new or git.run("merge-base", "--is-ancestor", old, new, ok=(0, 1), at=at).code == 0


def resolve_names(git: Git, names: Sequence[str], at: Path | None = None) -> list[tuple[str, str]]:
    """Object id and type of each name, two empty strings for a name that does not exist.

    GitFailed when an object exists but cannot be read. `cat-file --batch-check` reports that as missing, too, and shows
    the difference on stderr only (git 2.39 and 2.55).
    """
    if not names:
        return []
    feed = "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape")
    answer = git.run("cat-file", "--batch-check=%(objectname) %(objecttype)", feed=feed, at=at)
    found = []
    for name, line in zip(names, answer.lines, strict=True):
        oid, _, kind = line.rpartition(" ")
        known = kind in ("commit", "tag", "tree", "blob")
        if not known and answer.err:
            refuse_damaged(git, name, answer.err, at)
        found.append((oid, kind) if known else ("", ""))
    return found


def refuse_damaged(git: Git, name: str, err: str, at: Path | None = None) -> None:
    """Raise GitFailed if the object `name`, which git could not read, exists; `err` is what git printed."""
    if git.run("cat-file", "-e", name, ok=(0, 1, 128), at=at).code == 0:
        raise GitFailed(["cat-file", name], 128, "", err)


def scrubbed(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` without the variables that tie a git command to the caller's worktree, index or `-c` settings."""
    local = {name for name in environ if name.startswith(("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_"))}
    return {k: v for k, v in environ.items() if k not in LOCAL_ENV and k not in local}


class HotGit:
    """`Git` on subprocess alone, in the git directory `git_dir`, with the caller's `-c` settings."""

    def __init__(self, git_dir: Path, worktree: Path) -> None:
        self._git_dir = git_dir
        self._env = {**os.environ, "LC_ALL": "C", "LANGUAGE": "C"}
        for name in ("GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY"):
            self._env.pop(name, None)
        self._env["GIT_DIR"] = str(git_dir)
        if worktree != git_dir:
            self._env["GIT_WORK_TREE"] = str(worktree)
        self._cwd = worktree if worktree.is_dir() else git_dir

    def run(
        self,
        *args: str,
        feed: bytes | None = None,
        ok: Sequence[int] | None = (0,),
        env: Mapping[str, str] | None = None,
        at: Path | None = None,
    ) -> Answer:
        """See `Git.run`."""
        settings = self._env if at is None else scrubbed(self._env)
        with starting(args):
            done = subprocess.run(
                ["git", *args],
                input=feed,
                stdin=subprocess.DEVNULL if feed is None else None,
                capture_output=True,
                env={**settings, **(env or {})},
                cwd=at or self._cwd,
                check=False,
            )
        return answered(args, done.returncode, done.stdout, done.stderr, ok)

    def configured(self, wanted: str, at: Path | None = None) -> bytes:
        """See `Git.configured`."""
        return configured(self, wanted, at)

    @cached_property
    def object_format(self) -> ObjectFormat:
        """See `Git.object_format`."""
        return asked_format(self)

    def talk(self, *args: str, silence: float, ok: Sequence[int] | None = (0,)) -> Answer:
        """See `Git.talk`."""
        from uam_hooks.hot.core import talk  # few pushes ask the remote themselves

        return talk.talk(args, {**self._env, talk.INSIDE: str(RepoPaths.of(self._git_dir).uam)}, self._cwd, silence, ok)
