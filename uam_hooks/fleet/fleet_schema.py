"""The schema of a fleet's database, as numbered migrations. A migration is never edited once released; a change is a
new one.

All of it is in the schema `uam`, which belongs to the role that the machines connect as, and needs no other right.
Texts are ASCII; see `values.packed`. `key` is `values.key_of`: names of refs are longer than an index can hold.
"""

from __future__ import annotations

from uam_hooks.fleet.link import Link
from uam_hooks.fleet.values import FleetRefused
from uam_hooks.hot.core.errors import Advice

MIGRATIONS: tuple[tuple[str, str], ...] = (
    (
        "fleets, their machines, what they hand over, who lands it, and what gates have said",
        """
        CREATE TABLE uam.fleets (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            name text NOT NULL UNIQUE CHECK (octet_length(name) BETWEEN 1 AND 2000),
            -- what all its machines have to agree on, '' for nothing
            terms text NOT NULL DEFAULT '',
            -- how many verdicts there have been: their numbers are in the order in which they can be seen
            verdicts bigint NOT NULL DEFAULT 0,
            made_at timestamptz NOT NULL DEFAULT clock_timestamp()
        );
        CREATE TABLE uam.machines (
            fleet bigint NOT NULL REFERENCES uam.fleets (id),
            id uuid NOT NULL,
            name text NOT NULL CHECK (octet_length(name) <= 7000),
            terms text NOT NULL CHECK (octet_length(terms) <= 7000),
            joined_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY (fleet, id)
        ) WITH (fillfactor = 50);
        CREATE TABLE uam.entries (
            number bigint GENERATED ALWAYS AS IDENTITY,
            fleet bigint NOT NULL REFERENCES uam.fleets (id),
            id uuid NOT NULL,
            key bigint NOT NULL,
            remote text NOT NULL CHECK (octet_length(remote) <= 7000),
            ref text NOT NULL CHECK (octet_length(ref) <= 25000),
            tip text NOT NULL CHECK (octet_length(tip) <= 64),
            hidden text NOT NULL CHECK (octet_length(hidden) <= 25000),
            agent text NOT NULL CHECK (octet_length(agent) <= 7000),
            terms text NOT NULL CHECK (octet_length(terms) <= 7000),
            urgent boolean NOT NULL,
            seconds double precision NOT NULL,
            facts text NOT NULL CHECK (octet_length(facts) <= 1048576),
            machine uuid NOT NULL,
            entered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            due_at timestamptz NOT NULL CHECK (isfinite(due_at)),
            state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'landed', 'failed', 'home')),
            outcome text NOT NULL DEFAULT '' CHECK (octet_length(outcome) <= 1048576),
            ended_at timestamptz,
            PRIMARY KEY (fleet, id)
        );
        CREATE INDEX entries_waiting ON uam.entries (fleet, key, number) WHERE state = 'waiting';
        CREATE INDEX entries_ended ON uam.entries (fleet, ended_at) WHERE state <> 'waiting';
        -- who lands a branch: the session of the server (pid and when it started, in microseconds) that has its lock.
        -- 0 for nobody
        CREATE TABLE uam.holders (
            fleet bigint NOT NULL REFERENCES uam.fleets (id),
            key bigint NOT NULL,
            remote text NOT NULL,
            ref text NOT NULL,
            machine uuid NOT NULL,
            pid integer NOT NULL,
            started bigint NOT NULL,
            term bigint NOT NULL DEFAULT 1,
            since timestamptz NOT NULL DEFAULT clock_timestamp(),
            beat timestamptz NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY (fleet, key)
        ) WITH (fillfactor = 50);
        CREATE TABLE uam.verdicts (
            fleet bigint NOT NULL REFERENCES uam.fleets (id),
            -- of gate, fingerprint and tree
            digest text NOT NULL,
            number bigint NOT NULL,
            gate text NOT NULL CHECK (octet_length(gate) <= 7000),
            fingerprint text NOT NULL CHECK (octet_length(fingerprint) <= 7000),
            tree text NOT NULL CHECK (octet_length(tree) <= 64),
            green boolean NOT NULL,
            sure boolean NOT NULL,
            said text NOT NULL CHECK (octet_length(said) <= 7000000),
            said_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY (fleet, digest)
        );
        CREATE INDEX verdicts_by_number ON uam.verdicts (fleet, number);
        -- what ended on a branch in a day (UTC), of what is folded
        CREATE TABLE uam.days (
            fleet bigint NOT NULL REFERENCES uam.fleets (id),
            key bigint NOT NULL,
            day date NOT NULL,
            remote text NOT NULL,
            ref text NOT NULL,
            landed bigint NOT NULL,
            failed bigint NOT NULL,
            home bigint NOT NULL,
            PRIMARY KEY (fleet, key, day)
        );
        """,
    ),
)

VERSION = len(MIGRATIONS)

# One at a time makes or changes it, of all who connect.
_LOCK = int.from_bytes(b"uam flee")


def opened(link: Link, *, make: bool) -> None:
    """Bring the schema to this version, and `make` it where it is missing. FleetRefused where a newer one is there."""
    if _version(link, make) < VERSION:
        with link.transaction():
            link.ask("SELECT pg_advisory_xact_lock(%(lock)s)", lock=_LOCK)
            _migrate(link)


def _version(link: Link, make: bool) -> int:
    [(there,)] = link.ask("SELECT to_regclass('uam.meta') IS NOT NULL")
    if not there and not make:
        raise FleetRefused("There is no fleet in that database.", Advice.of("Run {}.", "git", "uam", "fleet", "join"))
    rows = link.ask("SELECT version FROM uam.meta") if there else []
    found = int(rows[0][0]) if rows else 0
    if found > VERSION:
        raise FleetRefused(
            f"The fleet's database has the schema of a newer git uam ({found}; this one knows {VERSION}).",
            "Update git uam in this clone.",
        )
    return found


def _migrate(link: Link) -> None:
    """What is missing, by whoever has the lock; another one may have done it while we waited for that."""
    if not link.ask("SELECT 1 FROM pg_namespace WHERE nspname = 'uam'"):
        link.ask("CREATE SCHEMA uam")
    link.ask("CREATE TABLE IF NOT EXISTS uam.meta (one boolean PRIMARY KEY CHECK (one), version integer NOT NULL)")
    version = _version(link, make=True)
    for _, script in MIGRATIONS[version:]:
        link.ask(script)
    link.ask(
        "INSERT INTO uam.meta (one, version) VALUES (true, %(version)s)"
        " ON CONFLICT (one) DO UPDATE SET version = greatest(uam.meta.version, excluded.version)",
        version=VERSION,
    )
