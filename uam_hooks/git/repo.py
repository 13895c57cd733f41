"""The one door to git off the hot path, and the only importer of GitPython."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from errno import ENOENT
from functools import cached_property
from pathlib import Path

from uam_hooks.git.answering import Answering
from uam_hooks.git.collection import Collection
from uam_hooks.git.configuration import Configuration
from uam_hooks.git.object_reader import ObjectReader
from uam_hooks.git.worktree import Worktree
from uam_hooks.hot.core import loose
from uam_hooks.hot.core.errors import GitFailed, Refused, UsageError
from uam_hooks.hot.core.identity import belongs_to_commands, given_in
from uam_hooks.hot.core.object_format import SHA1, SHA256, ObjectFormat
from uam_hooks.hot.core.objects import Commit
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.plumbing import ZERO, Answer, answered, configured, is_ancestor, starting
from uam_hooks.hot.core.refs import HEADS
from uam_hooks.hot.core.talk import INSIDE, talk

MINIMUM_GIT = (2, 38)
# how many ancestors are looked at before git is asked
_NEAR = 30


class Repository:
    """One repository. Implements `plumbing.Git`.

    `git_dir` is that of the worktree one stands in, `paths` are the repository's own: the main worktree's. One that is
    `brief` starts git without GitPython, whose import takes longer than what most commands and landings do.
    """

    def __init__(self, git_dir: Path, brief: bool = False) -> None:
        self.git_dir, self._brief = git_dir, brief
        self.paths = RepoPaths.of(RepoPaths.of(git_dir).common_dir)
        self._env = {"GIT_DIR": str(self.paths.common_dir)}
        self._objects = ObjectReader(self, lambda: self._process(("cat-file", "--batch-command")))
        self._moving = Answering(("update-ref", "--stdin", "-z"), self._process)
        # whether each object that is written is synced to disk: core.fsync
        self.syncs_objects = False
        self._configuration = Configuration(self, self.paths.common_dir)
        self._commits: dict[str, Commit] = {}
        self.entries: dict[str, dict[bytes, bytes]] = {}  # those of trees that were read or made, see trees
        self._made: set[str] = set()
        self.idents: dict[tuple[str | None, ...], tuple[bytes, bytes]] = {}  # whom git names, see snapshot
        self.heads: dict[str, str] = {}  # the default branches of remotes, as far as those have told
        self.used_up: list[tuple[str, str, str]] = []  # see scratch
        self.collection = Collection(self.paths.common_dir)

    @classmethod
    def at(cls, where: Path, brief: bool = False) -> Repository:
        """The repository around the directory `where`; UsageError when there is none."""
        if not where.is_dir():
            raise UsageError(f"{where} is not a directory.", "Name one in a git repository.")
        process = _started(["git", "rev-parse", "--absolute-git-dir"], where, {}, subprocess.DEVNULL, brief)
        out, _ = process.communicate()
        if process.returncode != 0:
            raise UsageError(f"{where} is not in a git repository.", "Run this inside one.")
        return cls(Path(os.fsdecode(out.removesuffix(b"\n"))), brief)

    def configure(self, given: Mapping[str, str]) -> None:
        """Let every git of the common directory have these settings, see identity.carried."""
        self._env |= given

    def apart(self) -> Repository:
        """The same repository once more, for another thread: nothing of this one is safe to be used by two."""
        other = Repository(self.git_dir, self._brief)
        other.configure(self._env)
        other.heads = dict(self.heads)
        other.syncs_objects = self.syncs_objects
        return other

    def anew(self) -> Repository:
        """The same repository, of which nothing is known but the settings, until a file of theirs changes."""
        other = Repository(self.git_dir, self._brief)
        other._configuration = self._configuration
        return other

    def close(self) -> None:
        """End the processes that stay to answer, and hold off no gc."""
        self._objects.close()
        self._moving.close()
        if "worktree" in self.__dict__:
            self.worktree.close()
        self.collection.allow()

    def __enter__(self) -> Repository:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def run(
        self,
        *args: str,
        feed: bytes | None = None,
        ok: Sequence[int] | None = (0,),
        env: Mapping[str, str] | None = None,
        at: Path | None = None,
        turn: int | None = None,
    ) -> Answer:
        """See `plumbing.Git.run`. Without `at` the command sees the common git directory and no worktree.

        It holds the lock that `turn` is a descriptor of as long as it runs, also when this process dies before.
        """
        with starting(args):
            process = self._process(args, at, env, subprocess.DEVNULL if feed is None else subprocess.PIPE, turn)
        out, err = process.communicate(feed)
        return answered(args, process.returncode, out, err, ok)

    def _process(
        self, args: Sequence[str], at: Path | None = None, env: Mapping[str, str] | None = None,
        stdin: int = subprocess.PIPE, turn: int | None = None,
    ) -> subprocess.Popen[bytes]:  # fmt: skip
        """Start `git args`; OSError where that is not possible."""
        if at is not None and not at.is_dir():  # GitPython would run git wherever this process is
            raise FileNotFoundError(ENOENT, f"{at} is no directory")
        given = {**({} if at else self._env), **(env or {})}
        return _started(["git", *args], at or self.paths.common_dir, given, stdin, self._brief, turn)

    @cached_property
    def worktree(self) -> Worktree:
        """The worktree that one stands in."""
        return Worktree(self, self._process, RepoPaths.of(self.git_dir))

    def talk(
        self, *args: str, silence: float, ok: Sequence[int] | None = (0,),
        hear: Callable[[bytes], None] = lambda _said: None, at: Path | None = None,
    ) -> Answer:  # fmt: skip
        """See `plumbing.Git.talk`: in the main worktree, because a relative URL is relative to its top, or `at`."""
        env = {**os.environ, "LC_ALL": "C", "LANGUAGE": "C", INSIDE: str(self.paths.uam)}
        return talk(args, env, at or self.paths.worktree, silence, ok, hear)

    def configured(self, wanted: str, at: Path | None = None) -> bytes:
        """See `plumbing.Git.configured`. git is asked again once a file has changed that it reads."""
        if at is not None:
            return configured(self, wanted, at)
        return self._configuration.matching(wanted, self._env)

    @cached_property
    def object_format(self) -> ObjectFormat:
        """See `plumbing.Git.object_format`. Starts no process of its own: git knows the empty tree of its format."""
        return SHA256 if self.kind(SHA256.empty_tree) else SHA1

    # -- objects ---------------------------------------------------------------------------------------

    def commit(self, oid: str) -> Commit:
        """The commit `oid`, read through one long-lived `git cat-file --batch`."""
        if oid not in self._commits:
            kind, data = self._objects.read(oid)
            if kind != "commit":
                raise UsageError(f"{oid} is a {kind}, not a commit.")
            self._commits[oid] = Commit.parse(oid, data)
        return self._commits[oid]

    def read_ahead(self, commits: Iterable[str]) -> None:
        """Read these commits, all at once: who asks for one of them later waits for no answer of git."""
        oids = [oid for oid in dict.fromkeys(commits) if oid not in self._commits]
        for oid, (kind, data) in zip(oids, self._objects.read_all(oids), strict=True):
            if kind == "commit":
                self._commits[oid] = Commit.parse(oid, data)

    def is_commit(self, oid: str) -> bool:
        """Whether `oid` is a commit that is here, or was when it was read."""
        return oid in self._commits or self.kind(oid) == "commit"

    def kind(self, oid: str) -> str:
        """The type of object `oid`, or "" when the repository does not have it; GitFailed where that is not known."""
        if oid in self._commits and loose.there(self.paths.common_dir / "objects", oid):
            return "commit"
        return self._objects.look_up(oid)[1]

    def kinds(self, oids: Iterable[str]) -> dict[str, str]:
        """The types of objects, as `kind` gives them, for many at once."""
        asked = [oid for oid in dict.fromkeys(oids) if oid]
        return dict(zip(asked, self._objects.kinds(asked), strict=True))

    def size(self, oid: str) -> int:
        """How many bytes the object `oid` has; GitFailed where there is none that can be read."""
        return self._objects.size(oid)

    def blob(self, oid: str) -> bytes:
        """The contents of the object `oid`; GitFailed where there is none that can be read."""
        return self._objects.read(oid)[1]

    @property
    def empty_tree(self) -> str:
        """The tree without entries. git knows it in every repository, stored or not."""
        return self.object_format.empty_tree

    def write(self, kind: str, data: bytes) -> str:
        """Store an object without starting a process; returns its name."""
        oid = self.object_format.object_name(kind, data)
        loose.store(self.paths.common_dir / "objects", oid, kind, data, synced=self.syncs_objects)
        self._made.add(oid)
        return oid

    def gone(self) -> list[str]:
        """What `write` has stored, with the trees of commits, and what is not here any more: nothing names it yet."""
        trees = {self._commits[oid].tree for oid in self._made if oid in self._commits}
        kinds = self.kinds((self._made | trees) - {self.empty_tree})
        return sorted(oid for oid, kind in kinds.items() if not kind)

    def look_again(self) -> None:
        """Forget what was read and made: something may have been collected since. From now on nothing is.

        Until `collection.allow`, or the end.
        """
        self._objects.close()
        self._commits.clear()
        self.entries.clear()
        self._made.clear()
        self.collection.hold_off()

    def rest(self) -> None:
        """Forget what was read, and hold off no gc; what was made just now stays for the next call, as processes do."""
        self._commits = {oid: commit for oid, commit in self._commits.items() if oid in self._made}
        self.entries = {oid: tree for oid, tree in self.entries.items() if oid in self._made}
        self._made.clear()
        if "worktree" in self.__dict__:
            self.worktree.rest()
        self.collection.allow()

    def name_of(self, revision: str) -> tuple[str, str]:
        """Object and type that a full ref name or an object name is now; empty where there is none.

        GitFailed where that is not known.
        """
        return self._objects.look_up(revision)

    def tree(self, oid: str) -> bytes:
        """The contents of the tree `oid`, as git stores it."""
        return b"" if oid == self.empty_tree else self._objects.read(oid)[1]

    def write_commit(self, commit: Commit) -> str:
        """Store `commit` (its `oid` is ignored); returns its name."""
        oid = self.write("commit", commit.raw())
        self._commits.setdefault(oid, commit._replace(oid=oid))
        return oid

    def store_commit(self, commit: Commit) -> str:
        """Write the commit, signed where commit.gpgSign asks for it."""
        if not self.signs:
            return self.write_commit(commit)
        env = {**_as_environment("AUTHOR", commit.author), **_as_environment("COMMITTER", commit.committer)}
        parents = [arg for parent in commit.parents for arg in ("-p", parent)]
        # what the message is in, whatever the settings here say
        encoding = commit.encoding.decode("ascii", "replace") or "UTF-8"
        args = ("-c", f"i18n.commitEncoding={encoding}", "commit-tree", "-S", *parents, commit.tree)
        return self.run(*args, feed=commit.message, env=env).text

    # -- refs ------------------------------------------------------------------------------------------

    def refs(self, *prefixes: str) -> dict[str, str]:
        """All refs below the prefixes, peeled neither nor resolved."""
        lines = self.run("for-each-ref", "--format=%(objectname) %(refname)", *prefixes).lines
        return {name: oid for oid, _, name in (line.partition(" ") for line in lines)}

    def move_refs(self, moves: Iterable[tuple[str, str, str]], reason: str) -> None:
        """Move refs, each (name, new, old) with its old value checked, all or none. ZERO stands for "absent".

        A branch can be made here; one that exists moves by `hot.worktree.branches` alone.
        """
        lines = []
        for name, new, old in moves:
            if name.startswith(HEADS) and old != ZERO:
                raise ValueError(f"{name} is a branch")
            if new == ZERO:
                lines.append(f"delete {name}\0{old}\0")
            elif old == ZERO:
                lines.append(f"create {name}\0{new}\0")
            elif new != old:
                lines.append(f"update {name}\0{new}\0{old}\0")
        if lines:
            self.run("update-ref", "-m", reason, "--stdin", "-z", feed=_bytes("".join(lines)))

    def move_each(self, moves: Sequence[tuple[str, str, str]], reason: str) -> dict[str, GitFailed]:
        """Move refs as `move_refs` does, but each for itself; gives why those stay that did not move, by name.

        One process, unless one does not move.
        """
        try:
            self.move_refs(moves, reason)
            return {}
        except GitFailed as error:
            if len(moves) == 1:
                return {moves[0][0]: error}
        failed = {}
        for move in moves:
            name, new, _ = move
            try:
                if (self.name_of(name)[0] or ZERO) != new:  # it may have been the others that did not move
                    self.move_refs([move], reason)
            except GitFailed as error:
                failed[name] = error
        return failed

    def pin(self, names: Mapping[str, str]) -> None:
        """Let each of these refs of ours be at its object; pinning twice is pinning once."""
        moves = _bytes("".join(f"update {name}\0{oid}\0\0" for name, oid in sorted(names.items())))
        if not moves:
            return
        try:
            self._moving.ask(b"start\0" + moves + b"commit\0")
            self._moving.answer(2, b"\n")
        except GitFailed:  # it may have been something that has passed: this time git has a process for it alone
            self.run("update-ref", "--stdin", "-z", feed=moves)

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether `new` contains `old`; GitFailed where git cannot tell. What is not here contains nothing."""
        if old == new or not (self.kind(old) and self.kind(new)):
            return old == new
        return self.descends(new, old, _NEAR) or is_ancestor(self, old, new)

    def descends(self, new: str, old: str, most: int) -> bool:
        """Whether `old` is among the nearest ancestors of `new`, about `most` of them; False also where that is not
        known. Starts no process.
        """
        seen, following = {new}, [new]
        while following and len(seen) <= most:
            oid = following.pop(0)
            if oid == old:
                return True
            try:
                parents = self.commit(oid).parents if self.kind(oid) == "commit" else ()
            except GitFailed:  # git may find a way past a damaged one, and says so where it does not
                return False
            parents = tuple(parent for parent in parents if parent not in seen)
            following += parents
            seen.update(parents)
        return False

    def rev_list(self, *args: str, feed: bytes | None = None) -> list[str]:
        """`git rev-list`; give revisions on stdin with `--stdin` where there may be many."""
        return self.run("rev-list", *args, feed=feed).lines

    @cached_property
    def signs(self) -> bool:
        """Whether commits are to be signed; asked once."""
        if not self.configured(r"^commit\.gpgsign$"):
            return False
        return self.run("config", "--type=bool", "commit.gpgSign", ok=(0, 1)).text == "true"

    def committer(self, who: str = "") -> bytes:
        """The committer `who` (`Name <mail>`, or whom git names here) and now, as git writes it into a commit."""
        return self._ident("COMMITTER", who)

    def author(self, who: str = "") -> bytes:
        """The same for an author."""
        return self._ident("AUTHOR", who)

    def _ident(self, role: str, who: str) -> bytes:
        env = _as_environment(role, _bytes(f"{who} ")) if who else {}
        return self.run("var", f"GIT_{role}_IDENT", env=env).out.strip()

    def config(self, key: str) -> list[str]:
        """All values of a git config key."""
        out = self.run("config", "-z", "--get-all", key, ok=(0, 1)).out
        return [value.decode("utf-8", "surrogateescape") for value in out.split(b"\0")[:-1]]


def _started(
    command: list[str], at: Path, env: dict[str, str], stdin: int, brief: bool, turn: int | None = None
) -> subprocess.Popen[bytes]:
    """A git in a directory, with these variables besides those that are set; OSError where it cannot be started."""
    kept = () if turn is None else (turn,)
    if brief:
        pipe = subprocess.PIPE
        full = {**os.environ, "LC_ALL": "C", "LANGUAGE": "C", **env}
        return subprocess.Popen(command, cwd=at, env=full, stdin=stdin, stdout=pipe, stderr=pipe, pass_fds=kept)
    from typing import cast

    import git  # half of what a short command would take

    try:
        process = git.Git(str(at)).execute(command, istream=stdin, env=env, as_process=True, pass_fds=kept)
    except git.GitCommandNotFound as error:  # GitPython's word for ENOENT: no git, or no directory to run it in
        raise FileNotFoundError(ENOENT, str(error.stderr or "not found")) from error
    return cast(subprocess.Popen[bytes], process)


def _as_environment(role: str, line: bytes) -> dict[str, str]:
    """The variables that make git name the AUTHOR or COMMITTER of this line of a commit, with the date it may have."""
    who, _, date = line.decode("utf-8", "surrogateescape").partition("> ")
    name, _, mail = who.partition(" <")
    found = {f"GIT_{role}_NAME": name, f"GIT_{role}_EMAIL": mail}
    return {**found, f"GIT_{role}_DATE": f"@{date}"} if date else found


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def clear_git_environment() -> None:
    """Drop what git exports into hooks and aliases, so that every command here means what it names; and what makes git
    read paths or attributes in another way, as GIT_LITERAL_PATHSPECS does.

    git sets GIT_DIR and GIT_INDEX_FILE in hooks, absolute ones in linked worktrees.
    """
    given = given_in(os.environ)
    for name in list(os.environ):
        if name.startswith("GIT_") and name != "GIT_PAGER" and not belongs_to_commands(name):
            del os.environ[name]
    os.environ.update(given)


def require_git() -> None:
    """Refuse a git without `merge-tree --write-tree`, which came with 2.38."""
    import git

    version = git.Git().version_info[:2]
    if version < MINIMUM_GIT:
        raise Refused(
            f"git {'.'.join(map(str, version))} is too old: merges in memory came with 2.38.", "Install a newer git."
        )
