"""Numbered migrations. A migration is never edited once released; a change is a new one. HOT.

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
)
