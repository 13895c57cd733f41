"""A database that is not there, says no, or is another one than was thought: each has words, and a type that says
whether another try makes sense.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fleet.conftest import machine
from tests.fleet.test_database import MAIN, entry, ids
from tests.support.postgres import LOCKED, OWNER, Server
from tests.support.scenes import PATIENCE, until
from uam_hooks.fleet import fleet_schema, link
from uam_hooks.fleet.database import Fleet, join, leave
from uam_hooks.fleet.values import FleetAway, FleetRefused
from uam_hooks.hot.core.errors import UsageError

Connect = Callable[[int], Fleet]


def name_of(url: str) -> str:
    return url.split("/")[3].split("?")[0]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://uam:hunter2@db/x", "postgres://:hunter2@/x", "postgresql://db/x?password=hunter2",
        "postgresql://db/x?sslpassword=hunter2", "postgresql://u%3A:hunter2@db/x",
    ],
)  # fmt: skip
def test_a_password_in_the_url_is_refused_and_not_said(url: str) -> None:
    with pytest.raises(UsageError) as found:
        link.parameters(url)
    assert "hunter2" not in found.value.what + found.value.do
    assert ".pgpass" in found.value.do


@pytest.mark.parametrize(
    "url",
    ["host=db password=hunter2", "service=x password=hunter2", "mysql://db/x", "", "postgresql://db:port/hunter2",
     "service='x' password=hunter2"],
)  # fmt: skip
def test_what_is_no_url_of_postgres_is_refused(url: str) -> None:
    with pytest.raises(UsageError) as found:
        link.parameters(url)
    assert "hunter2" not in found.value.what + found.value.do


def test_nobody_there_may_be_there_later(tmp_path: Path) -> None:
    with pytest.raises(FleetAway, match="does not answer"):
        join(f"postgresql:///x?host={tmp_path}", "shop", machine(1))


def test_a_database_or_role_that_is_not_there_has_to_be_made(postgres: Server) -> None:
    with pytest.raises(FleetRefused, match="is not there"):
        join(postgres.url("nowhere"), "shop", machine(1))
    with pytest.raises(FleetRefused, match="does not let this role in"):
        join(postgres.url(user="nobody"), "shop", machine(1))


def test_no_connection_left_may_be_left_later(postgres: Server) -> None:
    postgres.sql("CREATE ROLE few LOGIN CONNECTION LIMIT 0")
    with pytest.raises(FleetAway, match="no connection left"):
        join(postgres.url(user="few"), "shop", machine(1))


def test_a_password_comes_from_its_own_file(postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None and a wrong one are no matter of time; the words of neither hold it."""
    postgres.sql(f"CREATE ROLE {LOCKED} LOGIN PASSWORD 'hunter2'")
    url = postgres.url(postgres.database(LOCKED), LOCKED)
    passwords = tmp_path / "pgpass"
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    for line in ("", f"*:*:*:{LOCKED}:hunter3"):
        passwords.write_text(line)
        passwords.chmod(0o600)
        with pytest.raises(FleetRefused, match="does not let this role in") as found:
            join(url, "shop", machine(1))
        assert "hunter" not in found.value.what + found.value.do
        assert ".pgpass" in found.value.do
    passwords.write_text(f"*:*:*:{LOCKED}:hunter2")
    join(url, "shop", machine(1))


def test_a_service_names_the_database(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    services = tmp_path / "services"
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    host, name = url.split("host=")[1], name_of(url)
    services.write_text(f"[shop]\nhost={host}\ndbname={name}\nuser={OWNER}\n")
    join("service=shop", "shop", machine(1))
    Fleet(url, "shop", machine(1)).close()


def test_a_role_that_owns_the_schema_needs_nothing_else(postgres: Server) -> None:
    name = postgres.database()
    postgres.sql("CREATE ROLE machines LOGIN", "REVOKE ALL ON SCHEMA public FROM public", database=name)
    url = postgres.url(name, "machines")
    with pytest.raises(FleetRefused, match="does not let this role do this") as found:
        join(url, "shop", machine(1))
    assert "CREATE SCHEMA uam" in found.value.do
    postgres.sql("CREATE SCHEMA uam AUTHORIZATION machines", database=name)
    join(url, "shop", machine(1))
    ours = Fleet(url, "shop", machine(1))
    assert ours.hold(MAIN)
    ours.close()


def test_a_newer_schema_is_left_alone(postgres: Server, url: str, connect: Connect) -> None:
    ours = connect(1)
    postgres.sql("UPDATE uam.meta SET version = version + 1", database=name_of(url))
    for again in (lambda: join(url, "shop", machine(2)), lambda: Fleet(url, "shop", machine(1))):
        with pytest.raises(FleetRefused, match=r"newer git uam \(\d+; this one knows \d+\)"):
            again()
    assert ours.hold(MAIN), "who is connected already goes on"


def test_an_older_schema_is_brought_up_to_date(url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(1)
    further = ("more", "ALTER TABLE uam.machines ADD COLUMN more text NOT NULL DEFAULT ''")
    monkeypatch.setattr(fleet_schema, "MIGRATIONS", (*fleet_schema.MIGRATIONS, further))
    monkeypatch.setattr(fleet_schema, "VERSION", fleet_schema.VERSION + 1)
    ours = Fleet(url, "shop", machine(1))
    assert ours.link.ask("SELECT version, more FROM uam.meta, uam.machines") == [(fleet_schema.VERSION, "")]
    ours.close()


def test_who_has_not_joined_or_has_left_is_told(url: str, connect: Connect) -> None:
    with pytest.raises(FleetRefused, match="no fleet in that database"):
        Fleet(url, "shop", machine(1))
    ours = connect(1)
    with pytest.raises(FleetRefused, match="not in the fleet 'shop'"):
        Fleet(url, "shop", machine(2))
    with pytest.raises(FleetRefused, match="not in the fleet 'other'"):
        Fleet(url, "other", machine(1))
    waits = entry()
    ours.enter([waits])
    leave(url, "shop", machine(1).id)
    assert [one.state for one in ours.ended([waits.id])] == ["home"]
    with pytest.raises(FleetRefused, match="not in the fleet 'shop'"):
        ours.enter([entry()])


def test_all_machines_have_the_terms_that_are_required(url: str) -> None:
    join(url, "shop", machine(1), "a" * 64, require=True)
    join(url, "shop", machine(2), "a" * 64)
    with pytest.raises(FleetRefused, match="not those of the other machines"):
        join(url, "shop", machine(3), "b" * 64)
    leave(url, "shop", machine(2).id)
    join(url, "shop", machine(1), "b" * 64)
    join(url, "shop", machine(3), "b" * 64)


def test_a_server_that_ends_is_away_and_has_kept_what_was_entered(postgres: Server, connect: Connect) -> None:
    """What the server has said yes to is there after it was killed; a new connection goes on with it."""
    ours = connect(1)
    handed = [entry(), entry()]
    ours.enter(handed)
    assert ours.hold(MAIN)
    postgres.stop()
    with pytest.raises(FleetAway):
        ours.wait(10)
    assert ours.held == frozenset()
    with pytest.raises(FleetAway):
        connect(1)
    postgres.start()
    again = connect(1)
    assert again.hold(MAIN)
    assert ids(again.waiting(MAIN, "")) == ids(handed)
    postgres.kill()
    with pytest.raises(FleetAway):
        again.waiting(MAIN, "")
    postgres.start()


def test_a_server_that_is_full_is_away_and_nothing_is_half_done(postgres: Server, url: str, connect: Connect) -> None:
    ours = connect(1)
    postgres.sql(
        "CREATE FUNCTION uam.full() RETURNS trigger LANGUAGE plpgsql AS $$"
        " BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$",
        "CREATE TRIGGER fills BEFORE INSERT OR UPDATE ON uam.holders FOR EACH ROW EXECUTE FUNCTION uam.full()",
        "CREATE TRIGGER fills BEFORE INSERT ON uam.entries FOR EACH ROW EXECUTE FUNCTION uam.full()",
        database=name_of(url),
    )
    with pytest.raises(FleetAway, match="no room left"):
        ours.enter([entry()])
    with pytest.raises(FleetAway, match="no room left"):
        ours.hold(MAIN)
    assert ours.held == frozenset()
    postgres.sql("DROP TRIGGER fills ON uam.holders", database=name_of(url))
    assert connect(2).hold(MAIN), "the lock did not stay"


def test_a_standby_is_away(postgres: Server, url: str, connect: Connect) -> None:
    ours = connect(1)
    postgres.sql(f"ALTER DATABASE {name_of(url)} SET default_transaction_read_only = on")
    with pytest.raises(FleetAway, match="takes no changes"):
        connect(1)
    ours.link.ask("SET default_transaction_read_only = on")
    with pytest.raises(FleetAway, match="takes no changes"):
        ours.enter([entry()])


@pytest.mark.slow
def test_a_server_that_stands_still_is_given_up(
    postgres: Server, url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "ANSWER_SECONDS", 0.5)
    ours = connect(1)
    postgres.freeze()
    try:
        with pytest.raises(FleetAway, match="does not answer"):
            ours.hold(MAIN)
        with pytest.raises(FleetAway):
            join(f"{url}&connect_timeout=2", "shop", machine(1))
    finally:
        postgres.thaw()
    assert connect(2).hold(MAIN)


def test_what_nobody_could_have_written_is_left_alone_and_counted(postgres: Server, url: str, connect: Connect) -> None:
    ours = connect(1)
    good = [entry(), entry()]
    bad = [entry() for _ in range(6)]
    ours.enter([good[0], *bad, good[1]])
    spoilt = (
        "tip = 'HEAD'",
        "facts = '[]'",
        "facts = '{'",
        "hidden = '--mirror'",
        r"agent = 'a\u0000'",
        "seconds = 'NaN'",
    )
    postgres.sql(
        *(f"UPDATE uam.entries SET {how} WHERE id = '{one.id}'" for how, one in zip(spoilt, bad, strict=True)),  # noqa: S608
        database=name_of(url),
    )
    assert ours.hold(MAIN)
    assert ids(ours.waiting(MAIN, "")) == ids(good)
    status = ours.status()
    assert status.unreadable == len(bad)
    assert [(one.branch, one.machine, one.entries) for one in status.waiting] == [(MAIN, "clone-1", 8)]


def test_names_are_any_bytes_and_any_server_encoding_holds_them(postgres: Server) -> None:
    name = f"latin{uuid.uuid4().hex[:8]}"
    postgres.sql(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
    url = postgres.url(name)
    join(url, "shöp \u2028", machine(1)._replace(name="☃"))
    ours = Fleet(url, "shöp \u2028", machine(1)._replace(name="☃"))
    odd = MAIN._replace(ref="refs/heads/caf\udce9/☃")
    handed = entry(odd, facts={"branch": "caf\udce9", "wish": "\n"})
    ours.enter([handed])
    assert ours.hold(odd)
    assert [one.facts for one in ours.waiting(odd, "")] == [handed.facts]
    assert ours.status().holders[0][:2] == (odd, "☃")
    ours.close()
    assert re.fullmatch("[ -~]*", postgres.sql("SELECT * FROM uam.entries", database=name))


def test_who_is_interrupted_holds_nothing(postgres: Server, url: str) -> None:
    join(url, "shop", machine(1))
    words = [sys.executable, "-m", "tests.fleet.interrupted", url, "shop", "1", *MAIN]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    asking = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'"
    until(lambda: postgres.sql(asking) == "1", "the statement")
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=PATIENCE)[0] == "interrupted 0\naway\n"
