"""A fleet's database over TCP and TLS: who can prove itself is used by everything that a machine starts, and who cannot
is told apart from one that does not answer.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.fleet.machines import Clone, pushed_together
from tests.fleet.test_member import once, runs, warm
from tests.support.certificates import Authority, needs_openssl
from tests.support.commands import refused
from tests.support.postgres import LOCKED, Server, needs_postgres
from tests.support.scenes import Done, Scene, finished, until

pytestmark = [needs_postgres, needs_openssl, pytest.mark.staying]

HERE = "127.0.0.1"
PASSWORD = "hunter2"  # noqa: S105 - it is to be seen nowhere
# Over TCP only with TLS, and only with a password; the socket is the superuser's, who looks.
ACCESS = f"local all all trust\nhostssl all {LOCKED} {HERE}/32 scram-sha-256\n"


class Secured(NamedTuple):
    """A server behind TLS, its port, who has signed its certificate, and a stranger who signs, too."""

    server: Server
    port: int
    authority: Authority
    stranger: Authority

    def url(self, database: str, more: str = "", host: str = HERE) -> str:
        """How a client connects over TCP as the role that needs its password."""
        return f"postgresql://{LOCKED}@{host}:{self.port}/{database}?{more}"

    def trusting(self, authority: Authority, database: str) -> str:
        """The same, by a client that trusts this authority alone."""
        return self.url(database, f"sslmode=verify-full&sslrootcert={authority.certificate}")

    def by_tls(self, database: str) -> bool:
        """Whether somebody is connected to the database with the role, and all of them over TLS."""
        looked = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = "
        return self.server.sql(f"{looked}'{LOCKED}' AND datname = '{database}'") == "t"


def free_port() -> int:
    with socket.socket() as found:
        found.bind((HERE, 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    root, port = tmp_path_factory.mktemp("tls"), free_port()
    authority, stranger = Authority(root / "authority"), Authority(root / "stranger")
    signed, other = authority.signed(HERE), stranger.signed(HERE)
    files = {
        "pg_hba.conf": ACCESS.encode(), "server.crt": signed.certificate, "server.key": signed.key,
        "other.crt": other.certificate, "other.key": other.key,
    }  # fmt: skip
    server = Server(f"listen_addresses={HERE}", "ssl=on", port=port, files=files)
    server.sql(f"CREATE ROLE {LOCKED} LOGIN PASSWORD '{PASSWORD}'")
    yield Secured(server, port, authority, stranger)
    server.close()


@pytest.fixture
def secured(started: Secured) -> Iterator[Secured]:
    """The server, which has TLS and its own certificate again whatever a test has done to it."""
    yield started
    if started.server.sql("SHOW ssl", "SHOW ssl_cert_file") != "on\nserver.crt":
        started.server.stop()
        started.server.start()


@pytest.fixture
def database(secured: Secured) -> str:
    return secured.server.database(LOCKED)


@pytest.fixture
def machines(plain: Scene) -> Iterator[list[Clone]]:
    """Two machines that know the password, and are in no fleet."""
    made = [Clone(plain, name, window="1s") for name in ("ada", "bob")]
    for one in made:
        keep(one.home / ".pgpass", f"{HERE}:*:*:{LOCKED}:{PASSWORD}\nlocalhost:*:*:{LOCKED}:{PASSWORD}\n")
    yield made
    for one in made:
        one.close()


def keep(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)


def joined(one: Clone, url: str, **env: str) -> None:
    done = one.run("uam", "fleet", "join", url, "--name", "shop", **env)
    assert done.code == 0, done
    silent(done)


def silent(done: Done) -> None:
    """The password is in nothing that was said."""
    assert PASSWORD not in done.out + done.err


def by_url(secured: Secured, _one: Clone, database: str) -> str:
    return secured.trusting(secured.authority, database)


def by_home(secured: Secured, one: Clone, database: str) -> str:
    """The authority is where libpq looks for it."""
    keep(one.home / ".postgresql" / "root.crt", secured.authority.certificate.read_text())
    return secured.url(database, "sslmode=verify-full")


def by_service(secured: Secured, one: Clone, database: str) -> str:
    """Everything is in the service file, and the password nowhere else."""
    lines = (f"host={HERE}", f"port={secured.port}", f"dbname={database}", f"user={LOCKED}", f"password={PASSWORD}",
             "sslmode=verify-full", f"sslrootcert={secured.authority.certificate}")  # fmt: skip
    keep(one.home / ".pg_service.conf", "\n".join(["[shop]", *lines, ""]))
    (one.home / ".pgpass").unlink()
    return "service=shop"


@pytest.mark.slow
@pytest.mark.parametrize("how", [by_url, by_home, by_service])
def test_machines_join_and_land_together_over_tls(
    plain: Scene, secured: Secured, database: str, machines: list[Clone], how: Callable[[Secured, Clone, str], str]
) -> None:
    for one in machines:
        joined(one, how(secured, one, database))
    warm(machines)
    before = runs(plain)
    for one in machines:
        one.commit(f"work-{one.top.name}", message=f"Work of {one.top.name}")
    done = pushed_together(machines)
    assert [one.code for one in done] == [0, 0], done
    once(plain, "Work of ada", "Work of bob")
    assert runs(plain) == before + 1
    # what has landed it stays for the next push, and is connected
    assert [len(one.flushers()) for one in machines] == [1, 1]
    assert secured.by_tls(database)
    for said in (*done, machines[0].run("uam", "fleet", "status"), machines[0].run("uam", "doctor")):
        silent(said)
    assert all(PASSWORD.encode() not in path.read_bytes() for path in machines[0].uam.rglob("*") if path.is_file())


@pytest.mark.slow
def test_a_passfile_that_only_a_shell_knows_reaches_the_flusher_where_it_is_named(
    plain: Scene, secured: Secured, database: str, machines: list[Clone]
) -> None:
    ada = machines[0]
    elsewhere = {"PGPASSFILE": str((ada.home / ".pgpass").rename(ada.home / "elsewhere"))}
    joined(ada, secured.trusting(secured.authority, database), **elsewhere)
    ada.commit("work", message="Work")
    assert ada.run("-c", "uam.push.mode=queue", "push", "origin", "main", **elsewhere).code == 0
    until(lambda: [row for row in ada.rows("deploy_queue") if "does not let this role in" in row["error"]], "the error")
    ada.git("config", "uam.identity.env", "PGPASSFILE")
    done = ada.push("origin", "main", **elsewhere)
    assert done.code == 0, done
    assert plain.landed() == ["Work"]
    assert secured.by_tls(database)


# -- who cannot prove itself ---------------------------------------------------------------------------------------


def wrong_authority(secured: Secured, database: str) -> str:
    return secured.trusting(secured.stranger, database)


def no_authority(secured: Secured, database: str) -> str:
    return secured.url(database, "sslmode=verify-full&sslrootcert=/nowhere/root.crt")


def other_name(secured: Secured, database: str) -> str:
    more = f"hostaddr={HERE}&sslmode=verify-full&sslrootcert={secured.authority.certificate}"
    return secured.url(database, more, host="localhost")


def no_tls_there(secured: Secured, database: str) -> str:
    secured.server.stop()
    secured.server.start("ssl=off")
    return secured.url(database, "sslmode=require")


def no_tls_here(secured: Secured, database: str) -> str:
    return secured.url(database, "sslmode=disable")


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (wrong_authority, "certificate verify failed"),
        (no_authority, 'root certificate file "/nowhere/root.crt" does not exist'),
        (other_name, 'does not match host name "localhost"'),
        (no_tls_there, "server does not support SSL, but SSL was required"),
        (no_tls_here, "no encryption"),
    ],
)
def test_a_database_that_cannot_be_trusted_is_refused_and_nothing_is_changed(
    plain: Scene, secured: Secured, database: str, machines: list[Clone], how: Callable[[Secured, str], str], words: str
) -> None:
    ada = machines[0]
    before = (ada.top / ".git" / "config").read_text()
    done = ada.run("uam", "fleet", "join", how(secured, database), "--name", "shop")
    refused(done, 4, "TLS to the fleet's database fails (", words, "Check sslmode and sslrootcert in the URL")
    silent(done)
    assert (ada.top / ".git" / "config").read_text() == before
    assert "refs/uam/" not in plain.bare.git("for-each-ref")
    assert secured.server.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'uam'", database=database) == "0"


def test_a_wrong_password_over_tls_is_refused_and_shown_to_nobody(
    secured: Secured, database: str, machines: list[Clone]
) -> None:
    ada = machines[0]
    keep(ada.home / ".pgpass", f"*:*:*:*:{PASSWORD}-not\n")
    done = ada.run("uam", "fleet", "join", secured.trusting(secured.authority, database))
    refused(done, 4, "does not let this role in", "Check the role, and the password for it in ~/.pgpass")
    silent(done)


@pytest.mark.slow
def test_a_push_waits_for_a_server_that_has_another_certificate_and_lands_when_it_has_its_own(
    plain: Scene, secured: Secured, database: str, machines: list[Clone]
) -> None:
    ada = machines[0]
    joined(ada, secured.trusting(secured.authority, database))
    secured.server.stop()
    secured.server.start("ssl_cert_file=other.crt", "ssl_key_file=other.key")
    ada.commit("waits", message="Waits")
    push = ada.start("push", "origin", "main")
    until(lambda: [row for row in ada.rows("deploy_queue") if "certificate verify" in row["error"]], "the reason")
    said = ada.run("uam", "status")
    assert "waits:   TLS to the fleet's database fails (" in said.out
    assert plain.landed() == []
    secured.server.stop()
    secured.server.start()
    done = finished(push)
    assert done.code == 0, done
    assert plain.landed() == ["Waits"]
    silent(done)
