"""A real PostgreSQL for a test: a cluster in a private directory, on a unix socket alone if nothing else is said, that
ends with the tests.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

# Debian's packages put the programs of each version in a directory of its own, and none of the server's on PATH.
_FOUND = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3].split(".")[0]))
BIN = _FOUND[-1].parent if _FOUND else None

needs_postgres = pytest.mark.skipif(BIN is None, reason="PostgreSQL is not installed: apt-get install postgresql")

OWNER = "uam"  # the superuser of the cluster; who may reach the socket may be it
LOCKED = "locked"  # a role of this name needs its password
_STARTED = 30.0


class Server:
    """One cluster. It is as quick as it can be: nothing in it outlives its tests."""

    def __init__(
        self, *settings: str, port: int = 5432, files: Mapping[str, bytes] | None = None, inside: Sequence[str] = ()
    ) -> None:
        """Start one with these `settings`, NAME=VALUE, and `files` in its data directory instead of its own.

        `inside` is what its programs are started by.
        """
        assert BIN is not None
        self._settings, self._inside = (f"port={port}", *settings), inside
        self._at = ("-p", str(port), "-U", OWNER)
        # short, for the name of a socket has to fit into 107 bytes
        self.root = Path(tempfile.mkdtemp(prefix="uampg-", dir="/tmp"))
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._user = _somebody()
        if self._user:
            os.chown(self.root, self._user.pw_uid, self._user.pw_gid)
            self.root.chmod(0o711)
        self._run("initdb", "-D", self._data, "-U", OWNER, "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        access = self.root / "data" / "pg_hba.conf"
        access.write_text(f"local all {LOCKED} scram-sha-256\n{access.read_text()}")
        for name, content in (files or {}).items():
            self._write(self.root / "data" / name, content)
        self.start()

    @property
    def _data(self) -> str:
        return str(self.root / "data")

    def url(self, database: str = "postgres", user: str = OWNER) -> str:
        """How a client connects."""
        return f"postgresql://{user}@/{database}?host={self.root}"

    # -- up and down ---------------------------------------------------------------------------------------------

    def start(self, *settings: str) -> None:
        """Start it, and wait until it takes connections; `settings` are NAME=VALUE, beside those that it has anyway."""
        assert not self.running, "it runs already"
        given = ["listen_addresses=", f"unix_socket_directories={self.root}", "fsync=off", "full_page_writes=off",
                 "synchronous_commit=off", "shared_buffers=16MB", "max_connections=50", "autovacuum=off",
                 *self._settings, *settings]  # fmt: skip
        options = [part for setting in given for part in ("-c", setting)]
        with (self.root / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._as_user([str(BIN / "postgres"), "-D", self._data, *options]) if BIN else [],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True,
            )  # fmt: skip
        waiting = ["pg_isready", "-q", "-h", str(self.root), "-d", "postgres", *self._at]
        for _ in range(int(_STARTED / 0.05)):
            if self._run(*waiting, check=False) == 0:
                return
            assert self._process.poll() is None, (self.root / "log").read_text()[-3000:]
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(0.05)
        raise AssertionError("PostgreSQL does not start: " + (self.root / "log").read_text()[-3000:])

    def stop(self, mode: str = "fast") -> None:
        """End it in order: `smart` waits for clients, `fast` sends them away, `immediate` is a crash of all at once."""
        number = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode]
        self._end(number)

    def kill(self) -> None:
        """End it as a power cut would: every process of it, at once."""
        sessions = self._children()
        self._end(signal.SIGKILL)
        for pid in sessions:
            _signal(pid, signal.SIGKILL)

    def freeze(self) -> None:
        """Stop every process of it: it takes connections, and answers nothing."""
        for pid in (self._main, *self._children()):
            _signal(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        for pid in (*self._children(), self._main):
            _signal(pid, signal.SIGCONT)

    def close(self) -> None:
        """End it for good, and leave nothing."""
        self.stop("immediate")
        shutil.rmtree(self.root, ignore_errors=True)

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def _main(self) -> int:
        assert self._process is not None
        return self._process.pid

    def _children(self) -> list[int]:
        """The sessions of it, and what else it has started."""
        if self._process is None:
            return []
        found = Path(f"/proc/{self._main}/task/{self._main}/children")
        return [int(pid) for pid in found.read_text().split()] if found.exists() else []

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            _signal(self._process.pid, number)
            self._process.wait(_STARTED)
            self._process = None

    # -- databases -----------------------------------------------------------------------------------------------

    def database(self, owner: str = OWNER) -> str:
        """The name of a new, empty database."""
        name = f"fleet{next(self._numbers)}"
        self.sql(f"CREATE DATABASE {name} OWNER {owner} TEMPLATE template0")
        return name

    def sql(self, *commands: str, database: str = "postgres") -> str:
        """What psql prints for `commands`, as the superuser."""
        given = [part for command in commands for part in ("-c", command)]
        at = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", str(self.root), *self._at, "-d", database]
        assert BIN is not None
        done = subprocess.run([str(BIN / at[0]), *at[1:], *given], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def _write(self, path: Path, content: bytes) -> None:
        """A file that is the server's alone, as it wants its keys to be."""
        path.write_bytes(content)
        path.chmod(0o600)
        if self._user:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def _run(self, program: str, *arguments: str, check: bool = True) -> int:
        assert BIN is not None
        command = self._as_user([str(BIN / program), *arguments])
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
        assert not check or done.returncode == 0, done.stderr
        return done.returncode

    def _as_user(self, command: Sequence[str]) -> list[str]:
        """`command` as somebody else where this is root, whom PostgreSQL refuses; and it ends when the tests do."""
        alone = ["setpriv", "--pdeathsig", "QUIT"] if shutil.which("setpriv") else []
        if self._user:
            alone += ["--reuid", str(self._user.pw_uid), "--regid", str(self._user.pw_gid), "--clear-groups"]
        return [*self._inside, *alone, *command]


def _somebody() -> pwd.struct_passwd | None:
    """Who runs the server where this is root."""
    if os.geteuid() != 0:
        return None
    names = {user.pw_name: user for user in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Server]:
    """The server of this worker, started by the first test that wants it."""
    if BIN is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    server = Server()
    yield server
    server.close()


@pytest.fixture
def postgres(cluster: Server) -> Server:
    """The server of this worker, which runs, whatever the test before has done to it."""
    if not cluster.running:
        cluster.start()
    return cluster
