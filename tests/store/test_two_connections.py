"""Two connections of one process to a queue: neither lets go of what the other has locked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from uam_hooks.hot.core import files
from uam_hooks.hot.queue.connection import Store

# somebody else, who opens the queue and closes it: the last one takes away what was written ahead
_COUNT = "SELECT count(*) FROM gate_runs"
_OTHER = (
    f"import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); print(*db.execute('{_COUNT}').fetchone()); db.close()"
)


def counted_by_another(database: Path) -> int:
    done = subprocess.run(
        [sys.executable, "-I", "-c", _OTHER, str(database)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def add(store: Store, number: int) -> None:
    with store.transaction() as db:
        db.execute("INSERT INTO gate_runs (gate, tree, green, ended_at, seconds) VALUES ('', ?, 1, '', 0)", (number,))


def test_what_one_writes_is_there_after_the_other_was_opened(tmp_path: Path) -> None:
    database = tmp_path / "queue.db"
    with Store(database) as first:
        add(first, 1)
        with Store(database), Store(database, make=False):
            assert counted_by_another(database) == 1
            add(first, 2)
        add(first, 3)
        assert counted_by_another(database) == 3
    with Store(database) as again:
        assert again.db.execute(_COUNT).fetchone()[0] == 3


def test_new_modes_let_go_of_nothing(tmp_path: Path) -> None:
    uam = tmp_path / "uam"
    uam.mkdir()
    uam.chmod(0o755)
    with Store(uam / "queue.db") as store:
        add(store, 1)
        files.secure(uam, "")
        assert counted_by_another(uam / "queue.db") == 1
        add(store, 2)
        assert {oct(path.stat().st_mode & 0o777) for path in uam.iterdir()} == {"0o600"}
        assert counted_by_another(uam / "queue.db") == 2
