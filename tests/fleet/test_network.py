"""Machines of a fleet with networks of their own: what becomes of their pushes when one of them is cut off."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing

import pytest

from tests.fleet.machines import Clone, database_of, pushed_together, url_of, waiting
from tests.fleet.test_member import nothing_left, once, runs, warm
from tests.support.networks import MIDDLE, NETWORK, Computer, Middle, missing
from tests.support.postgres import OWNER, Server, needs_postgres
from tests.support.scenes import Scene, finished, gate, until

pytestmark = [needs_postgres, pytest.mark.slow, pytest.mark.staying]

ACCESS = f"local all all trust\nhost all all {NETWORK} trust\n"
WITHIN = 10.0
three = pytest.mark.parametrize("machines", [["ada", "bob", "eve"]], indirect=True, ids=["three"])


class Remote(Clone):
    """A machine all of whose commands, and what these start, run on a computer of its own."""

    def __init__(self, scene: Scene, name: str, computer: Computer) -> None:
        self.computer = computer
        super().__init__(scene, name, window="200ms")

    def _start(self, command: Sequence[str], env: dict[str, str]) -> subprocess.Popen[str]:
        return super()._start([*self.computer.inside, *command], env)

    def push_later(self, name: str) -> None:
        """Push something that stays in the window."""
        self.git("config", "uam.window.push", "1h")
        self.commit(name, message=name)
        assert self.run("-c", "uam.push.mode=queue", "push", "origin", "main").code == 0
        self.git("config", "uam.window.push", "1s")

    def start_push(self, name: str) -> subprocess.Popen[str]:
        self.commit(name, message=name)
        return self.start("push", "origin", "main")


@pytest.fixture(scope="module")
def middle() -> Iterator[Middle]:
    if why := missing():
        pytest.skip(why)
    with closing(Middle()) as found:
        yield found


@pytest.fixture(scope="module")
def server(middle: Middle) -> Iterator[Server]:
    files = {"pg_hba.conf": ACCESS.encode()}
    with closing(Server(f"listen_addresses={MIDDLE}", files=files, inside=middle.inside)) as found:
        yield found


@pytest.fixture
def machines(plain: Scene, middle: Middle, server: Server, request: pytest.FixtureRequest) -> Iterator[list[Remote]]:
    """Two of them, or as many as are named, with flushers."""
    url = f"postgresql://{OWNER}@{MIDDLE}/{server.database()}"
    with ExitStack() as opened:
        made = []
        for number, name in enumerate(getattr(request, "param", ["ada", "bob"]), 1):
            computer = opened.enter_context(closing(Computer(middle, number)))
            made.append(opened.enter_context(closing(Remote(plain, name, computer))))
            done = made[-1].run("uam", "fleet", "join", url, "--name", "shop")
            assert done.code == 0, done
        warm([*made])
        for one in made:
            one.git("config", "uam.window.push", "1s")
        yield made


def holder(server: Server, machine: Clone) -> str:
    """Who lands main, by the address that it comes from."""
    asked = "SELECT host(client_addr) FROM uam.holders JOIN pg_stat_activity USING (pid)"
    return server.sql(asked, database=database_of(url_of(machine)))


def held_by(server: Server, machine: Remote, patience: float = 40.0) -> None:
    until(lambda: holder(server, machine) == machine.computer.address, f"{machine.top.name} as the holder", patience)


def says_why(machine: Remote) -> str:
    """What `git uam status` says of what waits for the database, once it does."""

    def said() -> str:
        lines = machine.git("uam", "status").splitlines()
        return next((line for line in lines if line.startswith("waits:   The fleet's database ")), "")

    return str(until(said, "the reason"))


@three
def test_machines_with_networks_of_their_own_land_together(
    plain: Scene, server: Server, machines: list[Remote]
) -> None:
    before = runs(plain)
    for one in machines:
        one.commit(f"work-{one.top.name}", message=f"Work of {one.top.name}")
    done = pushed_together(machines)
    assert [one.code for one in done] == [0, 0, 0], done
    assert runs(plain) == before + 1
    once(plain, *(f"Work of {one.top.name}" for one in machines))
    assert all(one.computer.has(pid) for one in machines for pid in one.flushers())
    asked = "SELECT DISTINCT host(client_addr) FROM pg_stat_activity WHERE client_addr IS NOT NULL ORDER BY 1"
    assert server.sql(asked).split() == [one.computer.address for one in machines]
    nothing_left([*machines])


@three
def test_a_holder_that_is_cut_off_is_replaced_and_its_own_pushes_wait_until_it_is_back(
    plain: Scene, server: Server, machines: list[Remote]
) -> None:
    ada, bob, eve = machines
    ada.push_later("Held")
    held_by(server, ada)
    handed_over = bob.start_push("Handed over")
    waiting(server, url_of(bob), 1)
    ada.computer.pull_out()
    held_by(server, bob, WITHIN)
    done = finished(handed_over)
    assert done.code == 0, done
    waits = ada.start_push("While cut off")
    assert "does not answer" in says_why(ada)
    done = finished(eve.start_push("Of others"))
    assert done.code == 0, done
    once(plain, "Handed over", "Of others")
    assert waits.poll() is None
    assert not {"Held", "While cut off"} & set(plain.bare.subjects("main"))
    ada.computer.plug_in()
    done = finished(waits)
    assert done.code == 0, done
    nothing_left([*machines])
    once(plain, "Held", "Handed over", "While cut off", "Of others")


def test_what_was_handed_over_lands_while_its_machine_is_cut_off_and_is_known_there_later(
    plain: Scene, server: Server, machines: list[Remote]
) -> None:
    ada, bob = machines
    ada.push_later("Held")
    held_by(server, ada)
    handed_over = bob.start_push("Handed over")
    waiting(server, url_of(bob), 1)
    bob.computer.pull_out()
    done = finished(ada.start_push("Urgent"))
    assert done.code == 0, done
    once(plain, "Handed over", "Urgent")
    assert "does not answer" in says_why(bob)
    assert handed_over.poll() is None
    bob.computer.plug_in()
    done = finished(handed_over)
    assert done.code == 0, done
    once(plain, "Held", "Handed over", "Urgent")
    nothing_left([*machines])


def test_who_is_cut_off_while_it_lands_and_who_takes_over_land_everything_once(
    plain: Scene, server: Server, machines: list[Remote]
) -> None:
    """The remote is reached all the while: neither knows of the other, and the lease of each push decides."""
    ada, bob = machines
    ada.push_later("Held")
    held_by(server, ada)
    handed_over = bob.start_push("Handed over")
    waiting(server, url_of(bob), 1)
    with gate(plain, plain.remote / "hooks" / "pre-receive") as let_through:
        urgent = ada.start_push("Urgent")
        until(let_through.reached, "the push of ada")
        ada.computer.pull_out()
        held_by(server, bob, WITHIN)
        for _ in range(4):  # one for each of them, and for what they try again
            let_through()
        done = finished(handed_over)
    assert done.code == 0, done
    once(plain, "Handed over")
    ada.computer.plug_in()
    done = finished(urgent)
    assert done.code == 0, done
    nothing_left([*machines])
    once(plain, "Held", "Handed over", "Urgent")
