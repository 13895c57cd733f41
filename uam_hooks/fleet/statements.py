"""What is asked of a fleet's database: each is one statement, so that it is done as a whole or not at all, whenever a
client dies or is stopped.

Moments are always taken from `clock_timestamp()`: no machine's clock counts. Rows that several may write at once are
locked in the order of their number, so that nobody waits for each other in a circle.
"""

AT_ONCE = 1000  # rows of one statement

# How this session is named: by its number, and by when it began, for numbers are used again.
_MINE = "pid = pg_backend_pid() AND started = %(started)s"

# Settings of the session, and what is to be known of it. A pooler may hand over one that had others.
OPENED = """
    SELECT pg_backend_pid(), (extract(epoch FROM a.backend_start) * 1000000)::bigint,
        current_setting('server_version_num')::integer,
        pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean,
        set_config('statement_timeout', %(timeout)s, false), set_config('lock_timeout', %(timeout)s, false),
        set_config('idle_session_timeout', '0', false),
        set_config('default_transaction_isolation', 'read committed', false),
        set_config('standard_conforming_strings', 'on', false)
    FROM pg_stat_get_activity(pg_backend_pid()) a
"""

SEEN = """
    UPDATE uam.machines m SET seen_at = clock_timestamp(), name = %(name)s FROM uam.fleets f
    WHERE f.name = %(fleet)s AND m.fleet = f.id AND m.id = %(machine)s::uuid
    RETURNING f.id
"""

# -- who lands a branch --------------------------------------------------------------------------------------

# The lock and the row in one statement: a client that is stopped after it has both, before it neither.
HOLD = """
    WITH lock AS MATERIALIZED (
        SELECT pg_try_advisory_lock(%(key)s) AS taken FROM uam.machines
        WHERE fleet = %(fleet)s AND id = %(machine)s::uuid
    )
    INSERT INTO uam.holders AS h (fleet, key, remote, ref, machine, pid, started)
    SELECT %(fleet)s, %(key)s, %(remote)s, %(ref)s, %(machine)s::uuid, pg_backend_pid(), %(started)s
    FROM lock WHERE taken
    ON CONFLICT (fleet, key) DO UPDATE SET remote = excluded.remote, ref = excluded.ref, machine = excluded.machine,
        pid = excluded.pid, started = excluded.started, term = h.term + 1,
        since = clock_timestamp(), beat = clock_timestamp()
    RETURNING term
"""

# Who has the lock of a branch is ended by the server if nothing was heard of it for too long: no beat, and no other
# statement. One that has the lock without being who the row says is counted by its last statement alone. What is looked
# at and what is ended are one statement, so that the number cannot be another session's meanwhile; it waits until
# that session is gone.
TAKE_OVER = """
    WITH owner AS (
        SELECT l.pid, a.backend_start,
            extract(epoch FROM clock_timestamp()
                - greatest(h.beat, coalesce(a.state_change, a.backend_start))) AS silent
        FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
        LEFT JOIN uam.holders h ON h.fleet = %(fleet)s AND h.key = %(key)s AND h.pid = l.pid
            AND h.started = (extract(epoch FROM a.backend_start) * 1000000)::bigint
        WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.pid <> pg_backend_pid()
            AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND l.classid::bigint = ((%(key)s::bigint >> 32) & 4294967295)
            AND l.objid::bigint = (%(key)s::bigint & 4294967295)
    )
    SELECT silent::double precision, CASE WHEN silent > %(stale)s THEN pg_terminate_backend(pid, 1000) ELSE false END
    FROM owner
"""

# The row stays, for its term; who waits for the branch is told.
RELEASE = f"""
    WITH freed AS (
        UPDATE uam.holders SET pid = 0, started = 0, since = clock_timestamp()
        WHERE fleet = %(fleet)s AND key = %(key)s AND {_MINE}
    )
    SELECT pg_advisory_unlock(%(key)s), pg_notify(%(channel)s, '')
"""  # noqa: S608

# A machine that was taken out of the fleet holds nothing.
BEAT = f"""
    WITH seen AS (
        UPDATE uam.machines SET seen_at = clock_timestamp() WHERE fleet = %(fleet)s AND id = %(machine)s::uuid
        RETURNING id
    )
    UPDATE uam.holders h SET beat = clock_timestamp() FROM seen WHERE h.fleet = %(fleet)s AND {_MINE} RETURNING h.key
"""  # noqa: S608

# -- what is handed over -------------------------------------------------------------------------------------

# What is there already stays as it is, but may be due sooner: somebody flushes by hand.
ENTER = """
    WITH given AS (
        SELECT * FROM unnest(
            %(ids)s::uuid[], %(keys)s::bigint[], %(remotes)s::text[], %(refs)s::text[], %(tips)s::text[],
            %(hidden)s::text[], %(agents)s::text[], %(terms)s::text[], %(urgent)s::boolean[],
            %(seconds)s::double precision[], %(facts)s::text[], %(channels)s::text[]
        ) WITH ORDINALITY AS g (id, key, remote, ref, tip, hidden, agent, terms, urgent, seconds, facts, channel, n)
    ), seen AS (
        UPDATE uam.machines SET seen_at = clock_timestamp() WHERE fleet = %(fleet)s AND id = %(machine)s::uuid
        RETURNING id
    ), entered AS (
        INSERT INTO uam.entries AS e (
            fleet, id, key, remote, ref, tip, hidden, agent, terms, urgent, seconds, facts, machine, due_at)
        SELECT %(fleet)s, given.id, key, remote, ref, tip, hidden, agent, terms, urgent, seconds, facts, seen.id,
            clock_timestamp() + make_interval(secs => seconds)
        FROM given, seen ORDER BY n
        ON CONFLICT (fleet, id) DO UPDATE SET due_at = excluded.due_at
            WHERE e.state = 'waiting' AND e.machine = excluded.machine AND excluded.due_at < e.due_at
                AND excluded.seconds <= 0
        RETURNING id
    )
    SELECT (SELECT count(*) FROM seen), count(pg_notify(channel, ''))
    FROM (SELECT DISTINCT channel FROM given JOIN entered USING (id)) told
"""

# Nothing is locked, and nothing skipped: who reads this is the only one who lands the branch, by the advisory lock, and
# asks for the rows again before it writes them. A row that its machine is taking home in this moment waits no more when
# `report` comes.
WAITING = f"""
    SELECT e.id::text, e.tip, e.hidden, e.agent, e.terms, e.urgent, e.seconds, e.facts, e.machine::text,
        extract(epoch FROM e.due_at - clock_timestamp())::double precision, e.number
    FROM uam.entries e
    WHERE e.fleet = %(fleet)s AND e.key = %(key)s AND e.state = 'waiting' AND e.number > %(after)s
        AND e.remote = %(remote)s AND e.ref = %(ref)s AND e.terms IN ('', %(terms)s)
        AND EXISTS (SELECT FROM uam.holders h WHERE h.fleet = %(fleet)s AND h.key = %(key)s AND {_MINE})
    ORDER BY e.number LIMIT %(most)s
"""  # noqa: S608

# Of other machines: what is of this one lands in its own time.
DUE = """
    SELECT extract(epoch FROM min(due_at) - clock_timestamp())::double precision FROM uam.entries
    WHERE fleet = %(fleet)s AND key = %(key)s AND state = 'waiting' AND remote = %(remote)s AND ref = %(ref)s
        AND terms IN ('', %(terms)s) AND machine <> %(machine)s::uuid
"""

TAKE_HOME = """
    WITH own AS (
        SELECT id FROM uam.entries
        WHERE fleet = %(fleet)s AND id = ANY(%(ids)s::uuid[]) AND machine = %(machine)s::uuid AND state = 'waiting'
        ORDER BY number FOR UPDATE
    )
    UPDATE uam.entries e SET state = 'home', ended_at = clock_timestamp() FROM own
    WHERE e.fleet = %(fleet)s AND e.id = own.id AND e.state = 'waiting' RETURNING e.id::text
"""

# What has landed has, whoever says so; that something failed is said by who holds the branch.
REPORT = f"""
    WITH given AS (
        SELECT * FROM unnest(%(ids)s::uuid[], %(landed)s::boolean[], %(outcomes)s::text[]) AS g (id, landed, outcome)
    ), open AS (
        SELECT e.id, g.landed, g.outcome FROM uam.entries e JOIN given g USING (id)
        WHERE e.fleet = %(fleet)s AND e.key = %(key)s AND e.remote = %(remote)s AND e.ref = %(ref)s
            AND e.state = 'waiting' AND (g.landed OR %(held)s AND EXISTS (
                SELECT FROM uam.holders h WHERE h.fleet = %(fleet)s AND h.key = %(key)s AND {_MINE}))
        ORDER BY e.number FOR UPDATE OF e
    ), ended AS (
        UPDATE uam.entries e SET state = CASE WHEN o.landed THEN 'landed' ELSE 'failed' END, outcome = o.outcome,
            ended_at = clock_timestamp()
        FROM open o WHERE e.fleet = %(fleet)s AND e.id = o.id AND e.state = 'waiting' RETURNING e.id, e.machine
    )
    SELECT id::text, pg_notify(%(prefix)s || replace(machine::text, '-', ''), '') FROM ended
"""  # noqa: S608

ENDED = """
    SELECT id::text, state, outcome FROM uam.entries
    WHERE fleet = %(fleet)s AND id = ANY(%(ids)s::uuid[]) AND state <> 'waiting'
"""

# -- gates ---------------------------------------------------------------------------------------------------

VERDICTS = """
    SELECT gate, fingerprint, tree, green, sure, said, number FROM uam.verdicts
    WHERE fleet = %(fleet)s AND number > %(since)s ORDER BY number LIMIT %(most)s
"""

# The row of the fleet is locked until this is there for all: whoever has read to a number has missed none before it.
# What is sure is not replaced by what is not, and what says the same is no news.
SHARE = """
    WITH counted AS (
        UPDATE uam.fleets SET verdicts = verdicts + %(many)s WHERE id = %(fleet)s RETURNING verdicts
    )
    INSERT INTO uam.verdicts AS v (fleet, digest, number, gate, fingerprint, tree, green, sure, said)
    SELECT %(fleet)s, g.digest, counted.verdicts - %(many)s + g.n,
        g.gate, g.fingerprint, g.tree, g.green, g.sure, g.said
    FROM counted, unnest(
        %(digests)s::text[], %(gates)s::text[], %(fingerprints)s::text[], %(trees)s::text[],
        %(green)s::boolean[], %(sure)s::boolean[], %(said)s::text[]
    ) WITH ORDINALITY AS g (digest, gate, fingerprint, tree, green, sure, said, n)
    ON CONFLICT (fleet, digest) DO UPDATE SET number = excluded.number, green = excluded.green, sure = excluded.sure,
        said = excluded.said, said_at = clock_timestamp()
    WHERE (excluded.sure OR NOT v.sure) AND (excluded.sure, excluded.green) IS DISTINCT FROM (v.sure, v.green)
"""

# -- what there is -------------------------------------------------------------------------------------------

TERMS = "SELECT terms FROM uam.fleets WHERE id = %(fleet)s"

MACHINES = """
    SELECT id::text, name, terms, extract(epoch FROM clock_timestamp() - seen_at)::double precision
    FROM uam.machines WHERE fleet = %(fleet)s ORDER BY joined_at, id
"""

# The row of one that died stays until the next: only who has the lock holds.
HOLDERS = """
    SELECT h.remote, h.ref, m.name, extract(epoch FROM clock_timestamp() - h.since)::double precision,
        extract(epoch FROM clock_timestamp() - h.beat)::double precision, h.term
    FROM uam.holders h LEFT JOIN uam.machines m ON m.fleet = h.fleet AND m.id = h.machine
    WHERE h.fleet = %(fleet)s AND EXISTS (
        SELECT FROM pg_stat_activity a WHERE a.pid = h.pid
            AND (extract(epoch FROM a.backend_start) * 1000000)::bigint = h.started)
    ORDER BY h.remote, h.ref
"""

WAITS = """
    SELECT e.remote, e.ref, m.name, count(*),
        extract(epoch FROM clock_timestamp() - min(e.entered_at))::double precision
    FROM uam.entries e LEFT JOIN uam.machines m ON m.fleet = e.fleet AND m.id = e.machine
    WHERE e.fleet = %(fleet)s AND e.state = 'waiting' GROUP BY e.remote, e.ref, e.machine, m.name ORDER BY min(e.number)
"""

ALL_WAITING = """
    SELECT e.id::text, e.tip, e.hidden, e.agent, e.terms, e.urgent, e.seconds, e.facts, e.machine::text,
        extract(epoch FROM e.due_at - clock_timestamp())::double precision, e.number, e.remote, e.ref
    FROM uam.entries e WHERE e.fleet = %(fleet)s AND e.state = 'waiting' AND e.number > %(after)s
    ORDER BY e.number LIMIT %(most)s
"""

DAYS = """
    SELECT to_char(day, 'YYYY-MM-DD'), remote, ref, landed, failed, home FROM uam.days
    WHERE fleet = %(fleet)s ORDER BY day, remote, ref
"""

# Several machines may fold at a time: each takes what no other one is at.
FOLD = """
    WITH old AS (
        SELECT fleet, id FROM uam.entries
        WHERE fleet = %(fleet)s AND state <> 'waiting'
            AND ended_at < clock_timestamp() - make_interval(secs => %(retention)s)
        ORDER BY ended_at LIMIT %(most)s FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM uam.entries e USING old WHERE e.fleet = old.fleet AND e.id = old.id
        RETURNING e.key, e.remote, e.ref, e.state, (e.ended_at AT TIME ZONE 'UTC')::date AS day
    ), sums AS (
        INSERT INTO uam.days AS d (fleet, key, day, remote, ref, landed, failed, home)
        SELECT %(fleet)s, key, day, min(remote), min(ref), count(*) FILTER (WHERE state = 'landed'),
            count(*) FILTER (WHERE state = 'failed'), count(*) FILTER (WHERE state = 'home')
        FROM gone GROUP BY key, day ORDER BY key, day
        ON CONFLICT (fleet, key, day) DO UPDATE SET landed = d.landed + excluded.landed,
            failed = d.failed + excluded.failed, home = d.home + excluded.home
    )
    SELECT count(*) FROM gone
"""

FORGET_VERDICTS = """
    DELETE FROM uam.verdicts
    WHERE fleet = %(fleet)s AND said_at < clock_timestamp() - make_interval(secs => %(retention)s)
"""

# -- joining and leaving -------------------------------------------------------------------------------------

# The row of the fleet is locked, so that two who join at once see each other.
FLEET = """
    INSERT INTO uam.fleets AS f (name) VALUES (%(name)s) ON CONFLICT (name) DO UPDATE SET name = excluded.name
    RETURNING id, terms,
        (SELECT count(*) FROM uam.machines m WHERE m.fleet = f.id AND m.id <> %(machine)s::uuid),
        (SELECT count(*) FROM uam.machines m
            WHERE m.fleet = f.id AND m.id <> %(machine)s::uuid AND m.terms <> %(terms)s)
"""

REQUIRE = "UPDATE uam.fleets SET terms = %(terms)s WHERE id = %(fleet)s"

JOIN = """
    INSERT INTO uam.machines (fleet, id, name, terms) VALUES (%(fleet)s, %(machine)s::uuid, %(name)s, %(terms)s)
    ON CONFLICT (fleet, id) DO UPDATE SET name = excluded.name, terms = excluded.terms, seen_at = clock_timestamp()
"""

# What it has handed over and still waits is its own again; a fleet that nobody is in asks nothing of the next.
LEAVE = """
    WITH own AS (
        SELECT id FROM uam.entries
        WHERE fleet = (SELECT id FROM uam.fleets WHERE name = %(name)s) AND machine = %(machine)s::uuid
            AND state = 'waiting'
        ORDER BY number FOR UPDATE
    ), home AS (
        UPDATE uam.entries e SET state = 'home', ended_at = clock_timestamp() FROM own, uam.fleets f
        WHERE f.name = %(name)s AND e.fleet = f.id AND e.id = own.id AND e.state = 'waiting'
    ), asked AS (
        UPDATE uam.fleets f SET terms = '' WHERE f.name = %(name)s
            AND NOT EXISTS (SELECT FROM uam.machines m WHERE m.fleet = f.id AND m.id <> %(machine)s::uuid)
    )
    DELETE FROM uam.machines m USING uam.fleets f
    WHERE f.name = %(name)s AND m.fleet = f.id AND m.id = %(machine)s::uuid
"""
