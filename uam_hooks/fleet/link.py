"""The one door to PostgreSQL: a connection, its errors as words, and what is told to it.

Nothing here waits for ever. Connecting has a limit, the server ends a statement that takes too long, TCP ends a
connection over which nothing comes back, and who has had no answer at all by `ANSWER_SECONDS` gives the connection up.

libpq finds passwords, certificates and services as for any other program (`PGPASSFILE`, `PGSERVICEFILE`, `sslmode` and
so on); the URL itself must hold no password.
"""

from __future__ import annotations

import os
import re
import select
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress

from uam_hooks.fleet import sqlstates, statements
from uam_hooks.fleet.values import FleetAway, FleetRefused
from uam_hooks.hot.core.errors import Advice, UsageError
from uam_hooks.hot.core.typed import Any

try:
    import psycopg
    from psycopg import pq
    from psycopg.conninfo import conninfo_to_dict, make_conninfo
    from psycopg.waiting import Ready, Wait
except ImportError as error:
    raise FleetRefused(
        "A fleet needs psycopg, which cannot be loaded here.",
        Advice.of("Run {} in the environment of git uam.", "pip", "install", "uam-hooks[fleet]"),
    ) from error

OLDEST = 140_000  # pg_terminate_backend waits until the session has ended
STATEMENT_SECONDS = 5
ANSWER_SECONDS = 10.0

# What the URL and the service file do not say. Over a network that is cut nothing comes back.
_USUAL: dict[str, Any] = {
    "connect_timeout": 5, "keepalives": 1, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3,
    "tcp_user_timeout": 8000, "fallback_application_name": "git-uam",
}  # fmt: skip
_SECRETS = ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")


def parameters(url: str) -> dict[str, Any]:
    """What libpq is told for `url`; UsageError where that is no URL of PostgreSQL, or holds a password."""
    how = "Write postgresql://HOST/DATABASE or service=NAME."
    if not re.match(r"postgres(ql)?://", url) and not re.fullmatch(r"service=[^\s'\\]+", url):
        raise UsageError("That is not the URL of a PostgreSQL database.", how)
    given: dict[str, Any] | None = None
    with suppress(psycopg.Error, ValueError):  # what libpq says of it may hold a part of a password
        given = conninfo_to_dict(url)
    if given is None or not re.fullmatch(r"[0-9,]*", str(given.get("port") or "")):
        raise UsageError("The URL of the fleet's database cannot be read by PostgreSQL.", how)
    if any(name in given for name in _SECRETS):
        raise UsageError(
            "The URL of the fleet's database holds a password, which would be stored and shown.",
            "Write it into ~/.pgpass or a service file, and leave it out of the URL.",
        )
    return _USUAL | given | {"client_encoding": "UTF8"}


_WAIT_R, _WAIT_W = int(Wait.R), int(Wait.W)


class _Silent(psycopg.OperationalError):
    """There was no answer at all in time."""


class _Connection(psycopg.Connection[tuple[Any, ...]]):
    def wait(self, gen: Any, *_args: Any, **_named: Any) -> Any:
        """Go through the steps of a statement, until there has been no answer for too long."""
        until = time.monotonic() + ANSWER_SECONDS
        try:
            wanted = next(gen)
            while True:
                poll = select.poll()
                poll.register(
                    self.pgconn.socket, (wanted & _WAIT_R and select.POLLIN) | (wanted & _WAIT_W and select.POLLOUT)
                )
                found = poll.poll(max(0.0, until - time.monotonic()) * 1000)
                if not found:
                    raise _Silent(f"no answer in {ANSWER_SECONDS:.0f} s")
                # a connection that has ended is read, which says so
                ready = (found[0][1] & ~select.POLLOUT and _WAIT_R) | (found[0][1] & select.POLLOUT and _WAIT_W)
                wanted = gen.send(Ready(ready))
        except StopIteration as done:
            return done.value
        except BaseException as ended:
            if not isinstance(ended, Exception):
                self.pgconn.finish()  # interrupted: nobody waits for the answer any more
            raise


class Link:
    """A connection that is made once: what is lost stays lost, and says so to whoever asks.

    Two threads may ask. `statements` and `heard` count what was asked and told. Errors: FleetAway, FleetRefused.
    """

    def __init__(self, url: str) -> None:
        self.statements = 0
        self.heard = 0
        self._woken = False
        self._lost: FleetAway | FleetRefused | None = None
        self._connection = _connected(parameters(url))
        self._bell, self._rope = os.pipe()
        try:
            os.set_blocking(self._bell, False)
            os.set_blocking(self._rope, False)
            self._connection.add_notify_handler(lambda told: self._hear(told.pid))
            timeout = f"{STATEMENT_SECONDS}s"
            [(self.pid, self.started, version, fixed, *_)] = self.ask(statements.OPENED, timeout=timeout)
            if version < OLDEST:
                raise FleetRefused(
                    f"The fleet's database is PostgreSQL {version // 10_000}, which is too old.",
                    f"A fleet needs {OLDEST // 10_000} or newer.",
                )
            if fixed:
                raise trouble("25006")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the connection, for whichever thread uses it."""
        if self._lost is None:
            self._lost = FleetAway("The connection to the fleet's database was closed.")
        with self._connection.lock:
            self._connection.close()
        for fd in (self._bell, self._rope):
            with suppress(OSError):
                os.close(fd)
        self._bell = self._rope = -1

    def lose(self, why: FleetAway | FleetRefused | None = None) -> None:
        """Give the connection up, and with it all that its session has locked."""
        self._lost = self._lost or why or FleetAway("The connection to the fleet's database was given up.")
        with self._connection.lock:
            self._connection.close()
        self._ring()

    def check(self) -> None:
        """Raise what has ended the connection, if something has."""
        if self._lost is not None:
            raise type(self._lost)(self._lost.what, self._lost.do)

    def ask(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        """The rows that a statement returns; without values it may be several."""
        self.check()
        self.statements += 1
        try:
            found = self._connection.execute(sql.encode(), values or None)
            return found.fetchall() if found.description else []
        except psycopg.Error as error:
            failed = trouble(error.sqlstate, error)
            if isinstance(error, _Silent) or self._connection.closed:
                self.lose(failed)
            raise failed from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is asked within is done as a whole; for one thread alone."""
        try:
            with self._connection.transaction():
                yield
        except psycopg.Error as error:
            raise trouble(error.sqlstate, error) from error

    def alive(self) -> bool:
        """Whether the connection is still there, as far as what has arrived says; this asks nobody."""
        if self._lost is None and self._connection.lock.acquire(blocking=False):
            try:
                self._read()
            finally:
                self._connection.lock.release()
        return self._lost is None

    def wait(self, seconds: float, *fds: int) -> bool:
        """Until something was told (True), one of `fds` can be read (True), or the time is over (False)."""
        until = time.monotonic() + max(0.0, seconds)
        while True:
            self.check()
            if self._was_woken():
                return True
            left = until - time.monotonic()
            try:
                at = self._connection.fileno()
            except psycopg.Error:
                continue  # another thread has just lost it
            found = _readable({at, self._bell, *fds}, left)
            if not found.isdisjoint(fds):
                return True
            if not found and left <= 0:
                return False
            with self._connection.lock:
                self._read()

    def _read(self) -> None:
        """Take in what has arrived, under the lock of the connection."""
        connection = self._connection.pgconn
        try:
            while not self._connection.closed and _readable({connection.socket}, 0.0):
                connection.consume_input()
                while told := connection.notifies():
                    self._hear(told.be_pid)
        except (psycopg.Error, OSError, ValueError) as error:
            self._lost = self._lost or trouble(None, error)
            self._connection.close()
        if self._connection.closed and self._lost is None:
            self._lost = trouble(None)

    def _hear(self, pid: int) -> None:
        """Something was told, by the session `pid`; what this one tells, it knows."""
        if pid != self.pid:
            self.heard += 1
            self._woken = True
            self._ring()

    def _ring(self) -> None:
        with suppress(OSError):  # it is full, so that it rings anyway, or is closed
            os.write(self._rope, b"!")

    def _was_woken(self) -> bool:
        """Whether something was told since the last time; the bell is emptied first, for it is rung last."""
        with suppress(BlockingIOError):
            os.read(self._bell, 4096)
        woken, self._woken = self._woken, False
        return woken


def _readable(fds: Collection[int], seconds: float) -> set[int]:
    """Those of `fds` that have something to read or are closed, within this time."""
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return {fd for fd, _ in poll.poll(max(0.0, seconds) * 1000)}


def trouble(code: str | None, error: Exception | None = None) -> FleetAway | FleetRefused:
    """The error for a SQLSTATE, or without one for what psycopg has raised."""
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return sqlstates.trouble(code or "", primary or str(error or ""), isinstance(error, psycopg.ProgrammingError))


# -- connecting ----------------------------------------------------------------------------------------------


def _connected(told: dict[str, Any]) -> _Connection:
    try:
        return _Connection.connect(autocommit=True, **told)
    except psycopg.Error as error:
        raise trouble(error.sqlstate or _refusal(make_conninfo(**told), error), error) from error
    except UnicodeError as error:
        raise FleetRefused("The URL of the fleet's database is not UTF-8.") from error


def _refusal(conninfo: str, error: psycopg.Error) -> str:
    """The SQLSTATE with which a server refuses a connection; "" where none has answered.

    libpq keeps that code to itself. Its trace has it as a field, so the connection is tried again with that on. It
    stays in memory, for it may hold a password. Before libpq 18 it had nothing of what comes after a password was sent:
    then that is taken for the reason.
    """
    if error.pgconn is not None and error.pgconn.needs_password:
        return "28P01"  # the server wants one, and there is none
    otherwise = "28P01" if error.pgconn is not None and error.pgconn.used_password else ""
    if isinstance(error, psycopg.errors.ConnectionTimeout):
        return ""
    if not hasattr(os, "memfd_create"):
        return otherwise
    trace = os.memfd_create("uam-fleet")
    try:
        connection = pq.PGconn.connect_start(conninfo.encode())
        try:
            connection.trace(trace)
            _polled(connection)
            connection.untrace()
        finally:
            connection.finish()
        found = re.search(rb'ErrorResponse\t.*? C "([0-9A-Z]{5})" M ', os.pread(trace, 1 << 20, 0))
    except (psycopg.Error, OSError, ValueError):
        return otherwise
    finally:
        os.close(trace)
    return found[1].decode() if found else otherwise


def _polled(connection: pq.abc.PGconn) -> None:
    """Connect, or not."""
    until = time.monotonic() + STATEMENT_SECONDS
    while (state := connection.connect_poll()) in (pq.PollingStatus.READING, pq.PollingStatus.WRITING):
        poll = select.poll()
        poll.register(connection.socket, select.POLLIN if state == pq.PollingStatus.READING else select.POLLOUT)
        if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
            return
