"""A PostgreSQL of the run: on a socket of its own, in a directory of its own, and killed whenever the run wants."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

# where Debian has the programs that are on nobody's PATH
_DEBIAN = Path("/usr/lib/postgresql")
# One that is killed leaves its memory to sessions that have not seen it yet, and does not start before they have.
PATIENCE = 60.0


def program(name: str) -> str | None:
    """Where a program of PostgreSQL is; None where it is not installed."""
    newest = sorted(_DEBIAN.glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    return shutil.which(name) or (str(newest[-1]) if newest else None)


def missing() -> str:
    """Why no server can be started here; "" where one can."""
    if program("initdb") is None or program("postgres") is None:
        return "PostgreSQL is not installed here"
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return "psycopg is not installed here"
    return "" if os.getuid() or _nobody() else "root has nobody to run PostgreSQL as"


def _nobody() -> str:
    """Whom root lets the server run as: it refuses to be root."""
    import pwd

    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    return ""


class Server:
    """A server whose files are in `place`, a directory with a short name: that of a socket has to be shorter yet."""

    def __init__(self, place: Path) -> None:
        self.place, self.data = place, place / "data"
        self._who: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None
        if os.getuid() == 0:
            who = _nobody()
            shutil.chown(place, who)
            place.chmod(0o755)
            self._who = {"user": who, "group": os.stat("/proc/self").st_gid if who == "nobody" else who, "extra_groups": []}
        init = program("initdb")
        assert init is not None
        subprocess.run(
            [init, "-D", str(self.data), "-U", "uam", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"],
            check=True, stdout=subprocess.DEVNULL, cwd="/", **self._who,
        )  # fmt: skip

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.place / ".s.PGSQL.5432"

    def url(self, at: Path | None = None) -> str:
        """Its URL, for who connects to the socket in the directory `at`."""
        return f"postgresql://uam@/postgres?host={at or self.place}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        end = time.monotonic() + PATIENCE
        while not self._answers():
            assert time.monotonic() < end, (self.place / "log").read_text()[-2000:]
            if self._process is None or self._process.poll() is not None:
                self._begin()
            time.sleep(0.05)

    def _begin(self) -> None:
        command = program("postgres")
        assert command is not None
        settings = {"listen_addresses": "", "unix_socket_directories": str(self.place), "fsync": "off",
                    "max_connections": "200", "log_line_prefix": "%m [%p] "}  # fmt: skip
        with (self.place / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [command, "-D", str(self.data), *(f"-c{name}={value}" for name, value in settings.items())],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True, **self._who,
            )  # fmt: skip

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.Error:
            return False
        return True

    def end(self, number: int = signal.SIGQUIT) -> None:
        """End it by this signal: SIGKILL, or SIGINT for a server that is shut down while it is used."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)
            self._process.wait(PATIENCE)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a question."""
        import psycopg

        with psycopg.connect(self.url(), connect_timeout=5, autocommit=True) as connection:
            return connection.execute(sql.encode()).fetchall()
