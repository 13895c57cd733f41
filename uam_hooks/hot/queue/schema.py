"""Numbered migrations. A migration is never edited once released; a change is a new one.

`deploy_queue` and `deploy_batches` have the names and columns of the tool this one replaces, and more.
"""

MIGRATIONS: tuple[tuple[str, str], ...] = (
    (
        "queue, batches, sources, commits and landings",
        """
        CREATE TABLE deploy_batches (
            id TEXT PRIMARY KEY,
            number INTEGER NOT NULL UNIQUE,
            created_at TEXT NOT NULL,
            executed_at TEXT,
            status TEXT NOT NULL CHECK (status IN
                ('pending', 'batched', 'executing', 'completed', 'failed', 'cancelled')),
            result TEXT NOT NULL DEFAULT '{}'
        );
        CREATE TABLE deploy_queue (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            agent_id TEXT NOT NULL,
            action_type TEXT NOT NULL CHECK (action_type IN ('commit', 'push', 'merge', 'workflow', 'deploy')),
            target TEXT NOT NULL,
            payload TEXT NOT NULL DEFAULT '{}',
            status TEXT NOT NULL DEFAULT 'pending' CHECK (status IN
                ('pending', 'batched', 'executing', 'completed', 'failed', 'cancelled')),
            batch_id TEXT REFERENCES deploy_batches (id),
            queued_at TEXT NOT NULL,
            execute_after TEXT NOT NULL,
            priority INTEGER NOT NULL DEFAULT 5,
            dependencies TEXT NOT NULL DEFAULT '[]',
            remote TEXT NOT NULL DEFAULT '',
            merge_key TEXT,
            finished_at TEXT,
            error TEXT NOT NULL DEFAULT ''
        );
        CREATE INDEX queue_by_status ON deploy_queue (status, execute_after);
        CREATE INDEX queue_by_batch ON deploy_queue (batch_id);
        -- at most one pending action takes what merges into it: the lookup is O(1) however long the queue is
        CREATE UNIQUE INDEX open_group ON deploy_queue (merge_key)
            WHERE status = 'pending' AND merge_key IS NOT NULL;
        CREATE TABLE sources (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            action_id INTEGER NOT NULL REFERENCES deploy_queue (id),
            agent_id TEXT NOT NULL,
            worktree TEXT NOT NULL,
            branch TEXT NOT NULL,
            tip TEXT NOT NULL,
            exact INTEGER NOT NULL,
            expect TEXT,
            push_group TEXT NOT NULL,
            atomic INTEGER NOT NULL,
            waiter INTEGER NOT NULL,
            queued_at TEXT NOT NULL,
            status TEXT NOT NULL DEFAULT 'pending' CHECK (status IN
                ('pending', 'landed', 'failed', 'replaced', 'withdrawn')),
            replaced_by INTEGER REFERENCES sources (id),
            outcome TEXT NOT NULL DEFAULT '{}'
        );
        CREATE INDEX sources_by_action ON sources (action_id, status);
        CREATE INDEX sources_by_key ON sources (action_id, worktree, branch) WHERE status = 'pending';
        CREATE INDEX sources_replaced ON sources (replaced_by) WHERE replaced_by IS NOT NULL;
        CREATE TABLE queued_commits (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            action_id INTEGER NOT NULL REFERENCES deploy_queue (id),
            agent_id TEXT NOT NULL,
            worktree TEXT NOT NULL,
            branch TEXT NOT NULL,
            oid TEXT NOT NULL UNIQUE,
            subject TEXT,
            parents TEXT NOT NULL DEFAULT '',
            files INTEGER NOT NULL DEFAULT 0,
            became TEXT,
            status TEXT NOT NULL DEFAULT 'pending' CHECK (status IN
                ('pending', 'landed', 'squashed', 'replaced', 'gone'))
        );
        CREATE INDEX commits_by_action ON queued_commits (action_id, status);
        CREATE TABLE landings (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            batch_id TEXT NOT NULL REFERENCES deploy_batches (id),
            action_id INTEGER NOT NULL REFERENCES deploy_queue (id),
            remote TEXT NOT NULL,
            ref TEXT NOT NULL,
            old TEXT NOT NULL,
            new TEXT NOT NULL,
            keep TEXT NOT NULL,
            sources TEXT NOT NULL,
            status TEXT NOT NULL DEFAULT 'planned' CHECK (status IN ('planned', 'landed', 'abandoned')),
            detail TEXT NOT NULL DEFAULT '{}'
        );
        CREATE INDEX landings_by_ref ON landings (remote, ref, status);
        CREATE INDEX landings_by_batch ON landings (batch_id);
        """,
    ),
    (
        "actions that were asked for by name: commits, merges, workflows and deploys",
        """
        -- 1: by the API or a command. A commit with 0 is one that the hooks saw
        ALTER TABLE deploy_queue ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;
        -- the push that takes a commit along: they end together
        ALTER TABLE deploy_queue ADD COLUMN carried_by INTEGER REFERENCES deploy_queue (id);
        -- unlike the end of a window, this moment is respected by a flush by hand
        ALTER TABLE deploy_queue ADD COLUMN not_before TEXT NOT NULL DEFAULT '';
        ALTER TABLE deploy_queue ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
        CREATE INDEX queue_carried ON deploy_queue (carried_by) WHERE carried_by IS NOT NULL;
        CREATE INDEX queue_by_target ON deploy_queue (target, status);
        -- made by create_batch: nobody has begun it, and it is executed as it was shown
        ALTER TABLE deploy_batches ADD COLUMN by_hand INTEGER NOT NULL DEFAULT 0;
        -- follow: the tip is what the branch is when the batch is executed
        ALTER TABLE sources ADD COLUMN follow INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE sources ADD COLUMN base TEXT NOT NULL DEFAULT '';
        ALTER TABLE sources ADD COLUMN message TEXT NOT NULL DEFAULT '';
        CREATE INDEX sources_by_tip ON sources (tip) WHERE base <> '';
        CREATE INDEX batches_by_status ON deploy_batches (status);
        CREATE INDEX landings_by_action ON landings (action_id, status);
        CREATE INDEX sources_failed ON sources (id) WHERE status = 'failed';
        CREATE INDEX sources_by_time ON sources (queued_at);
        CREATE INDEX sources_by_place ON sources (worktree, branch, id) WHERE base <> '';
        CREATE TABLE source_files (
            source_id INTEGER NOT NULL REFERENCES sources (id),
            path TEXT NOT NULL,
            PRIMARY KEY (source_id, path)
        ) WITHOUT ROWID;
        ALTER TABLE queued_commits ADD COLUMN queued_at TEXT NOT NULL DEFAULT '';
        CREATE INDEX commits_by_time ON queued_commits (queued_at);
        CREATE TABLE imported (
            origin TEXT NOT NULL,
            original INTEGER NOT NULL,
            action_id INTEGER NOT NULL REFERENCES deploy_queue (id),
            PRIMARY KEY (origin, original)
        ) WITHOUT ROWID;
        -- urgent mode: at most one row, with an empty end where it has none
        CREATE TABLE urgent (id INTEGER PRIMARY KEY CHECK (id = 1), until TEXT NOT NULL);
        """,
    ),
    (
        "when the process that waits for a push started",
        """
        -- a number alone is another process's one day (empty: not known)
        ALTER TABLE sources ADD COLUMN waiter_started TEXT NOT NULL DEFAULT '';
        """,
    ),
    (
        "identities: who an action acts as, where its remote led to, and the names for its commits",
        """
        -- facts: what makes the identity, by name, as fingerprints
        CREATE TABLE identities (id TEXT PRIMARY KEY, facts TEXT NOT NULL) WITHOUT ROWID;
        ALTER TABLE deploy_queue ADD COLUMN identity TEXT NOT NULL DEFAULT '';
        ALTER TABLE deploy_queue ADD COLUMN place TEXT NOT NULL DEFAULT '';
        ALTER TABLE deploy_queue ADD COLUMN url TEXT NOT NULL DEFAULT '';
        ALTER TABLE sources ADD COLUMN author TEXT NOT NULL DEFAULT '';
        ALTER TABLE sources ADD COLUMN committer TEXT NOT NULL DEFAULT '';
        """,
    ),
    (
        "pushes whose agent has not heard what became of them",
        """
        -- 1 from when a push that waits is queued until it has told git: one that was killed leaves it
        ALTER TABLE sources ADD COLUMN untold INTEGER NOT NULL DEFAULT 0;
        CREATE INDEX sources_untold ON sources (worktree) WHERE untold = 1;
        """,
    ),
    (
        "the pause before another try",
        """
        -- seconds from the moment in which execute_after was set until it (NULL: since the action was queued)
        ALTER TABLE deploy_queue ADD COLUMN pause REAL;
        """,
    ),
    (
        "how often an action was given back because its flush had ended",
        """
        ALTER TABLE deploy_queue ADD COLUMN released INTEGER NOT NULL DEFAULT 0;
        """,
    ),
    (
        "the action that has taken the work of a cancelled one",
        """
        ALTER TABLE deploy_queue ADD COLUMN goes_on_as INTEGER REFERENCES deploy_queue (id);
        """,
    ),
    (
        "pushes that are held while CI works on their branch, and when it did",
        """
        -- until when a push may be held (empty: not at all), and execute_after while it is
        ALTER TABLE deploy_queue ADD COLUMN hold_until TEXT NOT NULL DEFAULT '';
        -- the last answer about a branch. Times are moments, empty where they are not known
        CREATE TABLE ci_states (
            remote TEXT NOT NULL,
            ref TEXT NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('idle', 'busy', 'unknown', 'off')),
            how TEXT NOT NULL,
            asked_at TEXT NOT NULL,
            -- since when it is busy, the run of gh, what the command said
            since TEXT NOT NULL,
            run TEXT NOT NULL,
            said TEXT NOT NULL,
            PRIMARY KEY (remote, ref)
        ) WITHOUT ROWID;
        -- one row for each landing that CI was seen busy or idle after, and with gh one for each of its runs
        CREATE TABLE ci_runs (
            remote TEXT NOT NULL,
            ref TEXT NOT NULL,
            sha TEXT NOT NULL,
            run TEXT NOT NULL,
            how TEXT NOT NULL,
            started TEXT NOT NULL,
            ended TEXT NOT NULL,
            first_busy TEXT NOT NULL,
            last_busy TEXT NOT NULL,
            first_idle TEXT NOT NULL,
            PRIMARY KEY (remote, ref, sha, run)
        ) WITHOUT ROWID;
        """,
    ),
    (
        "what a push wants of its own commits",
        """
        -- squash, keep, or empty for what uam.squash says
        ALTER TABLE sources ADD COLUMN wish TEXT NOT NULL DEFAULT '';
        """,
    ),
    (
        "whether a push is held",
        """
        -- 1 while a push waits for CI, and execute_after is the end of its hold. The versions before told that by the
        -- two moments being equal
        ALTER TABLE deploy_queue ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
        UPDATE deploy_queue SET held = 1 WHERE status = 'pending' AND hold_until <> '' AND execute_after = hold_until;
        """,
    ),
    (
        "what is expected to be there once a queued push has landed",
        """
        -- state: the commit that this source comes to, merged into what is before it. It holds as long as the remote is
        -- at `ground` and the sources with the ids `behind` are all that waits before it
        CREATE TABLE expected (
            source_id INTEGER PRIMARY KEY REFERENCES sources (id),
            ground TEXT NOT NULL,
            behind TEXT NOT NULL,
            state TEXT NOT NULL
        );
        """,
    ),
    (
        "pushes that have waited for CI",
        """
        -- 1: its action was held while it waited in it
        ALTER TABLE sources ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
        """,
    ),
    (
        "what gates have said of trees, and each of their runs",
        """
        -- sure: it would not be run again before somebody is blamed. said: the end of what it printed
        CREATE TABLE gate_verdicts (
            gate TEXT NOT NULL,
            fingerprint TEXT NOT NULL,
            tree TEXT NOT NULL,
            green INTEGER NOT NULL,
            sure INTEGER NOT NULL,
            said TEXT NOT NULL,
            PRIMARY KEY (gate, fingerprint, tree)
        ) WITHOUT ROWID;
        CREATE TABLE gate_runs (
            id INTEGER PRIMARY KEY,
            gate TEXT NOT NULL,
            tree TEXT NOT NULL,
            green INTEGER NOT NULL,
            ended_at TEXT NOT NULL,
            seconds REAL NOT NULL
        );
        CREATE INDEX gate_runs_of ON gate_runs (gate, tree);
        -- what runs for a branch now, as long as an action for it is being executed
        CREATE TABLE gate_running (
            remote TEXT NOT NULL,
            target TEXT NOT NULL,
            gate TEXT NOT NULL,
            began_at TEXT NOT NULL,
            PRIMARY KEY (remote, target)
        );
        """,
    ),
    (
        "pushes that were not queued because they conflict",
        """
        -- the same push again is one. found: with whose work, and in which files, as JSON
        CREATE TABLE refusals (
            tip TEXT NOT NULL,
            remote TEXT NOT NULL,
            ref TEXT NOT NULL,
            worktree TEXT NOT NULL,
            agent_id TEXT NOT NULL,
            refused_at TEXT NOT NULL,
            found TEXT NOT NULL,
            PRIMARY KEY (tip, remote, ref, worktree)
        ) WITHOUT ROWID;
        CREATE INDEX refusals_by_time ON refusals (refused_at);
        """,
    ),
    (
        "what is folded after its retention, and indexes that keep a long history from being read",
        """
        -- folded, 1: it has ended and was looked at after its retention, and something still needs its row
        ALTER TABLE deploy_queue ADD COLUMN folded INTEGER NOT NULL DEFAULT 0;
        -- what ended before this moment has been let go of in git, and is folded: at most one row
        CREATE TABLE folding (id INTEGER PRIMARY KEY CHECK (id = 1), before TEXT NOT NULL);
        -- what has landed on a branch in a day, for the ledger: JSON, see store.folded
        CREATE TABLE folded_runs (
            day TEXT NOT NULL,
            place TEXT NOT NULL,
            part INTEGER NOT NULL,
            runs TEXT NOT NULL,
            PRIMARY KEY (day, place, part)
        );
        -- pushes that were queued in a day and failed
        CREATE TABLE folded_failures (day TEXT PRIMARY KEY, pushes INTEGER NOT NULL) WITHOUT ROWID;
        -- seconds: of the runs that passed. flaky: trees of which both was said, and that ran last in this day
        CREATE TABLE folded_gates (
            day TEXT NOT NULL,
            gate TEXT NOT NULL,
            runs INTEGER NOT NULL,
            failed INTEGER NOT NULL,
            flaky INTEGER NOT NULL,
            seconds REAL NOT NULL,
            PRIMARY KEY (day, gate)
        ) WITHOUT ROWID;
        CREATE INDEX queue_to_fold ON deploy_queue (finished_at)
            WHERE folded = 0 AND status IN ('completed', 'failed', 'cancelled');
        CREATE INDEX queue_folded ON deploy_queue (folded) WHERE folded = 1;
        CREATE INDEX queue_goes_on ON deploy_queue (goes_on_as) WHERE goes_on_as IS NOT NULL;
        CREATE INDEX queue_needing ON deploy_queue (id)
            WHERE dependencies <> '[]' AND status IN ('pending', 'batched', 'executing');
        CREATE INDEX queue_tags ON deploy_queue (remote) WHERE target >= 'refs/tags/' AND target < 'refs/tags0';
        CREATE INDEX imported_as ON imported (action_id);
        CREATE INDEX sources_landed ON sources (worktree, branch) WHERE status = 'landed';
        CREATE INDEX sources_by_group ON sources (push_group);
        CREATE INDEX sources_failed_by_time ON sources (queued_at) WHERE status = 'failed';
        CREATE INDEX sources_failed_by_tip ON sources (tip) WHERE status = 'failed';
        DROP INDEX sources_failed;
        CREATE INDEX sources_own ON sources (CASE WHEN json_valid(outcome) THEN json_extract(outcome, '$.own') END)
            WHERE status = 'landed';
        CREATE INDEX landings_by_new ON landings (new);
        CREATE INDEX landings_shadowed ON landings (remote, ref) WHERE status = 'landed' AND keep <> new;
        CREATE INDEX batches_by_time ON deploy_batches (created_at);
        CREATE INDEX gate_runs_by_time ON gate_runs (ended_at);
        """,
    ),
    (
        "failures that nobody waited for",
        """
        -- untold is 2 where something has failed whose agent was told "queued", and nothing since
        DROP INDEX sources_untold;
        CREATE INDEX sources_untold ON sources (worktree, agent_id) WHERE untold <> 0;
        -- 1: it has failed, and uam.notify.command may have to be told so
        ALTER TABLE sources ADD COLUMN notice INTEGER NOT NULL DEFAULT 0;
        CREATE INDEX sources_notice ON sources (id) WHERE notice = 1;
        """,
    ),
    (
        "what was queued in the mode manual",
        """
        -- 1: only a flush that somebody asks for takes it, and no flusher that lives for others
        ALTER TABLE deploy_queue ADD COLUMN by_hand INTEGER NOT NULL DEFAULT 0;
        """,
    ),
    (
        "pushes that another queue lands, and those that are landed here for another queue",
        """
        -- where a pending action was handed over to (empty: it is landed from here). Nothing here claims it meanwhile
        ALTER TABLE deploy_queue ADD COLUMN entrusted TEXT NOT NULL DEFAULT '';
        CREATE INDEX queue_entrusted ON deploy_queue (id) WHERE entrusted <> '' AND status = 'pending';
        CREATE INDEX queue_entrusted_at ON deploy_queue (queued_at) WHERE entrusted <> '';
        -- the name of a source that was handed over, the same however often that is tried
        ALTER TABLE sources ADD COLUMN entry TEXT NOT NULL DEFAULT '';
        CREATE UNIQUE INDEX sources_by_entry ON sources (entry) WHERE entry <> '';
        -- of a source that another queue has handed over to this one: that queue, a slash, its entry
        ALTER TABLE sources ADD COLUMN origin TEXT NOT NULL DEFAULT '';
        CREATE UNIQUE INDEX sources_by_origin ON sources (origin) WHERE origin <> '';
        -- 1: the other queue is to be told what became of it, or that it is over
        ALTER TABLE sources ADD COLUMN owed INTEGER NOT NULL DEFAULT 0;
        CREATE INDEX sources_owed ON sources (id) WHERE owed = 1;
        -- what was handed over and is over. waits, 1: the other queue may not know that. 0: only its ref is left
        CREATE TABLE handed_over (
            entry TEXT PRIMARY KEY,
            remote TEXT NOT NULL,
            tip TEXT NOT NULL,
            waits INTEGER NOT NULL
        ) WITHOUT ROWID;
        """,
    ),
    (
        "commands that wait for what others have pushed",
        """
        -- a process that hears what becomes of a source, and has not pushed it: 0 for none
        ALTER TABLE sources ADD COLUMN listener INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE sources ADD COLUMN listener_started TEXT NOT NULL DEFAULT '';
        """,
    ),
)
