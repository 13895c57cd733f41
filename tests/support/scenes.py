"""A hooked repository with a bare remote and a home of its own: what the tests of whole flows act in.

Everything is real: git, processes, remotes. The environment is built from nothing, so neither the settings of
whoever runs the tests nor the variables of a git that started them can reach a test.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from copy import copy
from pathlib import Path
from typing import Any, NamedTuple

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.queue.bell import dismiss
from uam_hooks.hot.queue.connection import Store
from uam_hooks.install.install import install

DATE = "2024-05-06T07:08:09+00:00"
AUTHOR = "Ada <ada@example.invalid>"
SHADOW = "refs/uam/shadow/origin/main"
TRACKING = "refs/remotes/origin/main"
# How long anything here may take before the test is wrong, on a machine that is busy with other things.
PATIENCE = 40.0
# How long a process may be without a command line: one that is being started has it long before.
_STARTING = 5.0

# git's own maintenance starts behind a push now and then, and would be counted; what a test makes need not outlive a
# failure of power
_USER = (
    "[user]\n\tname = Ada\n\temail = ada@example.invalid\n[init]\n\tdefaultBranch = main\n\ttemplateDir =\n"
    '[uam "squash"]\n\tsubject = count\n'  # whatever the subjects of a test are
    "[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n[core]\n\tfsync = none\n"
)
# One line a push: what CI would run for. O_APPEND, so that pushes at the same time do not mix.
_POST_RECEIVE = 'line=\nwhile read -r old new ref; do line="$line $old:$new:$ref"; done\necho "$line" >>pushes.log\n'


_WAITS = ("waiting for ", "landing on ")


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def ours(self) -> list[str]:
        """The lines of stderr that are ours, without the mark, and without why it took so long, if it did."""
        return [line for line in self._lines if not line.startswith(_WAITS)]

    @property
    def waits(self) -> list[str]:
        """Why it took so long, in our words."""
        return [line for line in self._lines if line.startswith(_WAITS)]

    @property
    def _lines(self) -> list[str]:
        return [line.removeprefix("uam: ") for line in self.err.splitlines() if line.startswith("uam: ")]


def until(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Poll until `condition` holds and give its value; fails with `what` when it never does."""
    deadline = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen within {patience:g} s"
        time.sleep(0.01)
    return found


def alive(pid: int) -> bool:
    """Whether the process runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def words_of(pid: str) -> list[bytes]:
    """The command line of a process; nothing for one that is gone, or of the kernel.

    In the middle of execve(2) there is none for a moment, which is long where others have the processor.
    """
    deadline = time.monotonic() + _STARTING
    while not (found := _command_line(pid)) and time.monotonic() < deadline:
        try:
            os.readlink(f"/proc/{pid}/exe")  # noqa: PTH115  hundreds of them, at the end of every test
        except OSError:
            break
        time.sleep(0.001)
    return found.split(b"\0") if found else []


def _command_line(pid: str) -> bytes:
    try:
        fd = os.open(f"/proc/{pid}/cmdline", os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.read(fd, 1 << 17)
    except OSError:
        return b""
    finally:
        os.close(fd)


def script(path: Path, text: str) -> Path:
    """An executable file that sh runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o755)
    return path


def another_git(scene: Scene, text: str) -> dict[str, str]:
    """The environment in which every `git` that git or we start is a script, to which the real one is $REAL_GIT."""
    real = shutil.which("git")
    assert real is not None
    programs = scene.root / "programs"
    programs.mkdir()
    for program in Path(scene.git("--exec-path")).iterdir():
        if program.name != "git":
            (programs / program.name).symlink_to(program)
    script(programs / "git", text)
    return {"GIT_EXEC_PATH": str(programs), "REAL_GIT": real}


# What this process has started; whatever a failed test left running ends with its scene.
_started: list[subprocess.Popen[str]] = []
_gates: list[int] = []


def ends_with_its_scene(process: subprocess.Popen[str]) -> subprocess.Popen[str]:
    """A process that was started elsewhere, as the leader of its process group."""
    _started.append(process)
    return process


class Worktree:
    """A worktree with the environment that its agent has."""

    def __init__(self, top: Path, env: dict[str, str]) -> None:
        self.top, self.env = top, env

    def start(self, *args: str, **env: str) -> subprocess.Popen[str]:
        """Start `git args` as the leader of a process group, as a shell does."""
        return self._start(["git", *args], env)

    def _start(self, command: Sequence[str], env: dict[str, str]) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command, cwd=self.top, env={**self.env, **env}, text=True, encoding="utf-8",
            errors="surrogateescape", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            process_group=0,
        )  # fmt: skip
        return ends_with_its_scene(process)

    def run(self, *args: str, **env: str) -> Done:
        """`git args`, whatever its exit code."""
        return finished(self.start(*args, **env))

    def execute(self, *command: str) -> Done:
        """Any command, whatever its exit code."""
        return finished(self._start(command, {}))

    def git(self, *args: str, **env: str) -> str:
        """What `git args` printed; it must succeed."""
        done = self.run(*args, **env)
        assert done.code == 0, done
        return done.out.strip("\n")

    def commit(self, name: str, text: str = "", *options: str, message: str = "", **env: str) -> str:
        """Write a file and commit it; gives the commit."""
        path = self.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text or f"{name}\n")
        self.git("add", "--", name, **env)
        self.git("commit", "-q", "-m", message or f"Add {name}", *options, **env)
        return self.oid("HEAD")

    def push(self, *args: str, **env: str) -> Done:
        return self.run("push", *args, **env)

    def oid(self, name: str) -> str:
        """The object that `name` is, "" when there is none."""
        return self.run("rev-parse", "--quiet", "--verify", name).out.strip()

    def short(self, name: str) -> str:
        """The seven digits that our words name a commit with."""
        return self.oid(name)[:7]

    def subjects(self, *revisions: str) -> list[str]:
        return self.git("log", "--format=%s", "--topo-order", *revisions).splitlines()

    def status(self) -> list[str]:
        """`git status -sb`: the branch line, then what is changed or unknown."""
        return self.git("status", "-sb").splitlines()

    def clean(self) -> bool:
        """No ahead, no behind, nothing changed."""
        lines = self.status()
        return len(lines) == 1 and "[" not in lines[0]

    @property
    def git_dir(self) -> Path:
        return Path(self.git("rev-parse", "--absolute-git-dir"))


def finished(process: subprocess.Popen[str]) -> Done:
    """Wait for a command's end, and for the end of everybody who holds its stdout and stderr."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        raise AssertionError(f"{process.args!r} did not end; stdout {out!r}, stderr {err!r}") from None
    return Done(process.returncode, out, err)


def copied(source: str, target: str) -> None:
    """Copy a directory into one that may be there already: contents and modes, and nothing that costs more than these.

    What shutil's own asks and sets of each file besides takes longer than all else that a small test does with a scene.
    """
    os.makedirs(target, exist_ok=True)  # noqa: PTH103  paths as text: there are some dozens in every test
    with os.scandir(source) as entries:
        for entry in entries:
            to = f"{target}/{entry.name}"
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), to)  # noqa: PTH115, PTH211
            elif entry.is_dir():
                copied(entry.path, to)
            else:
                shutil.copyfile(entry.path, to)
                os.chmod(to, entry.stat().st_mode)  # noqa: PTH101
    os.chmod(target, os.stat(source).st_mode)  # noqa: PTH101, PTH116


class Scene(Worktree):
    """A repository, its bare remote `origin` with one commit on main, and what the remote has seen since."""

    def __init__(self, root: Path, like: Scene | None = None, objects: str = "") -> None:
        """A new scene in the directory `root`, or a copy of one that nothing runs in: quicker than making it anew.

        `objects` is the object format of new repositories: that of whoever runs the tests (GIT_DEFAULT_HASH), or SHA-1.
        """
        self.root = root
        self.home = root / "home"
        super().__init__(root / "work", {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_DEFAULT_HASH": objects or os.environ.get("GIT_DEFAULT_HASH", "sha1"),
            "GIT_CONFIG_GLOBAL": str(self.home / "gitconfig"),
            "GIT_AUTHOR_DATE": DATE,
            "GIT_COMMITTER_DATE": DATE,
            "LC_ALL": "C.UTF-8",
            "GIT_DEFAULT_REF_FORMAT": os.environ.get("UAM_TEST_REFS", "files"),  # known to newer gits only
        })  # fmt: skip
        self.remote = root / "origin.git"
        self.outside = Worktree(root, self.env)
        if like is None:
            self._make()
            self.start_oid = self.oid("HEAD")
        else:
            copied(str(like.root), str(root))
            for name in ("config", "uam/config.before", "uam/config.after"):
                config = self.top / ".git" / name
                if config.exists():
                    config.write_text(config.read_text().replace(str(like.root), str(root)))
            self.start_oid = like.start_oid

    def _make(self) -> None:
        self.home.mkdir()
        (self.home / "gitconfig").write_text(_USER)
        self.outside.git("init", "-q", "--bare", str(self.remote))
        self.outside.git("clone", "-q", str(self.remote), "work")
        (self.top / ".git" / "hooks").mkdir()
        self.commit("README", "a project\n", message="Begin")
        self.push("-q", "-u", "origin", "main")
        script(self.remote / "hooks" / "post-receive", _POST_RECEIVE)

    def install(self, *, hooks_only: bool = False, window: str = "50ms", linger: str = "0") -> None:
        """Enable the repository, with a short window that a lone agent waits for, too, and flushers that end."""
        self.git("config", "uam.flusher.linger", linger)
        self.git("config", "uam.window.push", window)
        self.git("config", "uam.window.company", "off")
        before = dict(os.environ)
        os.environ.clear()
        os.environ.update(self.env)
        try:
            with Repository.at(self.top) as repo:
                install(repo, hooks_only=hooks_only)
        finally:
            os.environ.clear()
            os.environ.update(before)

    def worktree(self, name: str, *add: str) -> Worktree:
        """A linked worktree, on a new branch of its own unless `add` says otherwise."""
        self.git("worktree", "add", "-q", str(self.root / name), *(add or ("-b", name)))
        return Worktree(self.root / name, {**self.env, "UAM_AGENT_ID": name})

    def stranger(self) -> Worktree:
        """Somebody with a plain clone, who has never heard of us."""
        if not (self.root / "stranger").exists():
            self.outside.git("clone", "-q", str(self.remote), "stranger")
        return Worktree(self.root / "stranger", self.env)

    # -- what the remote has ---------------------------------------------------------------------------

    @property
    def bare(self) -> Worktree:
        return Worktree(self.remote, self.env)

    def there(self, ref: str = "refs/heads/main") -> str:
        """What the remote has in `ref`, "" for nothing."""
        return self.bare.oid(ref)

    def landed(self) -> list[str]:
        """The subjects of what came onto the remote's main since the scene began, oldest first."""
        return self.bare.subjects("--reverse", f"{self.start_oid}..main")

    def files(self, ref: str = "main") -> list[str]:
        return self.bare.git("ls-tree", "-r", "--name-only", ref).splitlines()

    def pushes(self) -> list[str]:
        """What the remote's post-receive hook was started for: one line each push."""
        try:
            return (self.remote / "pushes.log").read_text().splitlines()
        except FileNotFoundError:
            return []

    # -- what is ours ------------------------------------------------------------------------------------

    @property
    def uam(self) -> Path:
        return self.top / ".git" / "uam"

    @property
    def paths(self) -> RepoPaths:
        return RepoPaths.of(self.top / ".git")

    @contextmanager
    def store(self) -> Iterator[Store]:
        with Store(self.paths.database) as store:
            yield store

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All rows of a table of the queue, in the order they were made."""
        if not self.paths.database.exists():
            return []
        with closing(sqlite3.connect(self.paths.database)) as db:
            db.row_factory = sqlite3.Row
            if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (table,)).fetchone():
                return []
            return [dict(row) for row in db.execute(f"SELECT * FROM {table} ORDER BY rowid")]  # noqa: S608

    def pushed(self) -> list[str]:
        """The states of all push actions, in queue order."""
        return [row["status"] for row in self.rows("deploy_queue") if row["action_type"] == "push"]

    def queue(self) -> dict[str, list[dict[str, Any]]]:
        """Everything that the queue holds."""
        return {t: self.rows(t) for t in ("deploy_queue", "deploy_batches", "sources", "queued_commits", "landings")}

    def our_refs(self) -> list[str]:
        return self.git("for-each-ref", "--format=%(objectname) %(refname)", "refs/uam/").splitlines()

    def report(self) -> dict[str, Any]:
        """What `git uam status --json` says: the command itself, without three processes around it."""
        from tests.support.commands import call

        done = call(self, "status", "--json")
        assert done.code == 0, done
        found = json.loads(done.out)
        assert isinstance(found, dict)
        return found

    def flushers(self, starting: bool = False) -> list[int]:
        """The background processes of this repository that are alive; with `starting` also the sh that starts one."""
        mark = os.fsencode(str(self.top / ".git"))
        found = []
        for name in os.listdir("/proc"):  # noqa: PTH208  hundreds of them, at the end of every test
            if name.isdigit() and mark in (words := words_of(name)) and alive(int(name)):
                ours = any(b"flusher import main" in word for word in words)
                if ours and (starting or words[0] != b"sh"):
                    found.append(int(name))
        return found

    def flusher(self) -> int:
        """The one background process, once there is one."""
        found: list[int] = until(self.flushers, "a flusher")
        return found[0]

    def unattended(self) -> bool:
        """Whether no process holds the lock of a flusher, of whatever lane."""
        return all(free(path) for path in self.uam.glob("flusher*.lock"))

    def idle(self) -> None:
        """Wait until no background process is left; those that have nothing to do are asked to leave."""

        def ended() -> bool:
            dismiss(self.paths.bells)
            return not self.flushers(starting=True)

        until(ended, "the flusher's end")

    def close(self) -> None:
        """Leave no process behind; pushes first, since one that waits would start the next flusher."""
        while _started:
            process = _started.pop()
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    with suppress(BrokenPipeError):  # what was not sent yet
                        pipe.close()
        while _gates:
            os.close(_gates.pop())
        until(self._no_flusher, "the flusher's end")

    def _no_flusher(self) -> bool:
        """End the flushers that are there; whether there was none, and none that begins."""
        there = self.flushers(starting=True)
        for pid in self.flushers() if there else ():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not there

    def with_interpreter(self, text: str) -> None:
        """Let hooks and helper start this sh script as their interpreter; `$python` is the real one."""
        python, site = (self.uam / "env").read_text().splitlines()
        wrapper = script(self.root / "interpreter", f'python="{python}"\n{text}\n')
        (self.uam / "env").write_text(f"{wrapper}\n{site}\n")


class Kept:
    """A scene as it is at one moment, which one test after the other finds again, at its place: a queue knows paths."""

    def __init__(self, scene: Scene) -> None:
        scene.close()
        self._place, self._aside = scene.root, copy(scene)
        self._aside.root = scene.root.with_name(f"{scene.root.name}-aside")
        scene.root.rename(self._aside.root)

    @contextmanager
    def again(self) -> Iterator[Scene]:
        scene = Scene(self._place, self._aside)
        try:
            yield scene
        finally:
            scene.close()
            shutil.rmtree(self._place)


def together(jobs: Sequence[Callable[[], Done]]) -> list[Done]:
    """Run the jobs at the same time, each in a thread that waits for its own process."""
    with ThreadPoolExecutor(len(jobs)) as pool:
        return [future.result() for future in [pool.submit(job) for job in jobs]]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file in another process, as a flush that takes long would."""
    code = (
        "import fcntl,sys; file=open(sys.argv[1],'a'); fcntl.flock(file,fcntl.LOCK_EX);"
        " print(flush=True); sys.stdin.read()"
    )
    with _holding(code, str(path)):
        yield


@contextmanager
def writing(database: Path) -> Iterator[None]:
    """Hold the database's write lock in another process."""
    code = (
        "import sqlite3,sys; db=sqlite3.connect(sys.argv[1],isolation_level=None); db.execute('BEGIN IMMEDIATE');"
        " print(flush=True); sys.stdin.read(); db.execute('ROLLBACK')"
    )
    with _holding(code, str(database)):
        yield


@contextmanager
def _holding(code: str, *args: str) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", code, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        assert process.stdout.readline() == "\n"
        yield
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(timeout=PATIENCE)


class Gate:
    """A hook that stops until it is called: what a slow remote or a long check is to everybody else."""

    def __init__(self, pipe: Path, mark: Path) -> None:
        self._fd = os.open(pipe, os.O_RDWR)  # both ends, so that neither side waits to open it
        self._mark = mark
        _gates.append(self._fd)  # what is written stays for whoever comes, as long as it is open

    def reached(self) -> bool:
        """Whether somebody stands before it."""
        return self._mark.exists()

    def __call__(self) -> None:
        """Let one through; the mark goes away for the next."""
        self._mark.unlink(missing_ok=True)
        os.write(self._fd, b"go on\n")

    def open(self) -> None:
        """Let through who stands before it, and who is on the way."""
        os.write(self._fd, b"go on\n" * 20)


@contextmanager
def gate(scene: Scene, hook: Path) -> Iterator[Gate]:
    """Make `hook` a gate; at the end it stops nobody, and whoever still stands there is let through.

    The hook is not removed: a git that has just found it could not start it, and would refuse the push.
    """
    pipe, mark = scene.root / f"{hook.name}.pipe", scene.root / f"{hook.name}.reached"
    os.mkfifo(pipe)
    found = Gate(pipe, mark)
    script(hook, f': >"{mark}"\nread -r line <"{pipe}"\n')
    try:
        yield found
    finally:
        script(pipe.with_suffix(".open"), "").replace(hook)
        found.open()


def free(path: Path) -> bool:
    """Whether nobody holds the lock file."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


def unprivileged() -> list[str]:
    """What to put in front of a command so that file modes hold for it, also when root runs the tests."""
    if os.getuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    caps = "-dac_override,-dac_read_search,-fowner"
    return [setpriv, f"--bounding-set={caps}", f"--inh-caps={caps}"] if setpriv else []
