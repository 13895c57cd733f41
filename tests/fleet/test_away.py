"""What a machine does while it cannot ask the database, or cannot reach the remote: little, and nothing twice."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.fleet.machines import Clone, clones, let_hold
from tests.support.landscape import environment
from tests.support.postgres import Server
from tests.support.scenes import Scene, finished, until
from uam_hooks.fleet.member import Member
from uam_hooks.hot.queue.bell import FLUSHERS, Bell
from uam_hooks.hot.queue.lane import Lane
from uam_hooks.session import open_session

pytestmark = [pytest.mark.slow, pytest.mark.staying]


@pytest.fixture
def machines(plain: Scene, postgres: Server) -> Iterator[list[Clone]]:
    """Two machines."""
    made = clones(plain, postgres, ["ada", "bob"])
    yield made
    for one in made:
        one.close()


class Shut:
    """A socket of PostgreSQL's that hangs up on whoever comes, and counts them."""

    def __init__(self, at: Path) -> None:
        self.at, self.came = at, 0
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(at / ".s.PGSQL.5432"))
        self._door.listen(16)
        self._thread = threading.Thread(target=self._turn_away, daemon=True)
        self._thread.start()

    def _turn_away(self) -> None:
        with suppress(OSError):
            while True:
                there, _ = self._door.accept()
                self.came += 1
                there.close()

    def close(self) -> None:
        """Let nobody come any more."""
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self._thread.join()


def test_a_database_that_does_not_answer_is_asked_ever_more_seldom(
    postgres: Server, machines: list[Clone], tmp_path: Path
) -> None:
    ada, bob = machines
    let_hold(postgres, ada)
    for key, value in (("uam.window.push", "1h"), ("uam.push.mode", "queue")):
        bob.git("config", key, value)
    bob.commit("lines", "0\n", message="Number 0")
    assert bob.push("origin", "main").code == 0
    until(lambda: any(row["entrusted"] for row in bob.rows("deploy_queue")), "what is handed over")
    for pid in bob.flushers():
        os.kill(pid, signal.SIGKILL)
    until(lambda: not bob.flushers(), "the end of its flusher")
    shut = Shut(tmp_path)
    try:
        bob.git("config", "uam.fleet.url", f"postgresql://uam@/uam?host={tmp_path}")
        with environment(bob.env), open_session(bob.top) as session, Bell(bob.paths.bells, FLUSHERS) as bell:
            member, began = Member(), time.monotonic()
            while (took := time.monotonic() - began) < 8:
                member.exchange(session, Lane(session.identity.id, "origin"))
                member.wait(bell, 5.0)
            member.close()
            gone = Member()
            gone._failed = 5000  # as after some hours
            gone.exchange(session, Lane(session.identity.id, "origin"))
        # at first, after 1, 2 and 4 s, and every 5 s from then on; each time twice, to hear why it is refused
        assert 2 <= shut.came <= 2 * (5 + max(0, took - 7) / 5 + 1)
    finally:
        shut.close()
    (push,) = bob.pushed()
    assert push == "pending"
    assert any("fleet's database does not answer" in row["error"] for row in bob.rows("deploy_queue"))


def test_a_remote_that_is_not_reached_for_a_moment_does_not_keep_a_push_out_of_the_fleet(
    plain: Scene, postgres: Server, machines: list[Clone]
) -> None:
    ada, bob = machines
    let_hold(postgres, ada)
    bob.git("config", "uam.window.push", "6s")
    bob.commit("work", message="Work")
    away = plain.remote.rename(plain.remote.with_name("away"))
    push = bob.start("push", "origin", "main")
    log = bob.paths.log
    until(lambda: log.exists() and "did not answer" in log.read_text(), "the first try")
    away.rename(plain.remote)
    done = finished(push)
    assert done.code == 0, done
    # the other machine has landed it with what it held
    assert {"Held", "Work"} <= {*plain.bare.subjects("main")}
