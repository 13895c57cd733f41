"""`benchmarks/run`: parse, measure row by row, print."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from datetime import date
from pathlib import Path
from typing import Any

from table import many, one, page, peers
from table.bench import Bench, Found, Row
from uam_hooks.demo.demo import private_environment

ROWS = (*one.ROWS, *many.ROWS)
_ABOUT = """The whole table of docs/performance.md, on this machine, in less than 20 minutes.

    benchmarks/run --json figures.json --write docs/performance.md

What is held against is measured in turn with ours in the same run. The tools of others are installed with pip into a
scratch directory. The table goes to stdout, progress to stderr. Exit status 1: something could not be measured, or two
ways that should come to the same did not.
"""


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="benchmarks/run", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only",
        action="append",
        metavar="ROW",
        choices=[row.key for row in ROWS],
        help=f"this row, and others that are named in the same way: {', '.join(row.key for row in ROWS)}",
    )
    parser.add_argument("--rounds", type=int, help="at most so many rounds for each row")
    parser.add_argument("--quick", action="store_true", help="two rounds at most: a look at whether it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="everything that was measured, single samples too")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into this page")
    others = parser.add_mutually_exclusive_group()
    others.add_argument("--peers", type=Path, metavar="DIRECTORY", help="an environment that has the other tools")
    others.add_argument("--no-peers", action="store_true", help="without the tools of others")
    return parser  # fmt: skip


def _say(words: str) -> None:
    print(f"benchmarks/run: {words}", file=sys.stderr, flush=True)


def _measured(row: Row, bench: Bench) -> dict[str, Any]:
    """A row with what was found, the load of the machine before it, and how long it took."""
    load, began = os.getloadavg()[0], time.monotonic()
    failed = ""
    try:
        found = row.measure(bench)
    except Exception as error:
        traceback.print_exc()
        failed = f"{type(error).__name__}: {error}"
        if isinstance(error, subprocess.CalledProcessError) and error.stderr:
            _say(str(error.stderr))
        found = Found("could not be measured", "", None, None, None)
    took = {"load": round(load, 1), "seconds": round(time.monotonic() - began, 1), "failed": failed}
    words = {"key": row.key, "what": row.what, "goal": row.goal, "note": row.note}
    return {**words, **found._asdict(), **took}


def _peers(given: argparse.Namespace, scratch: Path) -> Path | None:
    if given.no_peers:
        return None
    if given.peers:
        return Path(given.peers).absolute()
    _say(f"installing {', '.join(peers.PEERS)} into {scratch}")
    return peers.install(scratch / "peers")


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Measure what is asked for."""
    rows = [row for row in ROWS if not given.only or row.key in given.only]
    most = min(filter(None, (given.rounds, 2 if given.quick else None)), default=None)
    # processes in the background may still write while the directory is being removed
    with tempfile.TemporaryDirectory(prefix="uam-benchmarks-", ignore_cleanup_errors=True) as directory:
        scratch = Path(directory).resolve()
        env = _peers(given, scratch)
        before, began = os.getloadavg()[0], time.monotonic()
        found = []
        with private_environment(scratch / "home"):
            subprocess.run(["git", "config", "--global", "gc.auto", "0"], check=True)
            bench = Bench(scratch, most, 2.0 if given.quick else 10.0, env)
            for number, row in enumerate(rows, 1):
                _say(f"{number}/{len(rows)} {row.key}: {row.what}")
                found.append(_measured(row, bench))
                _say(f"{found[-1]['ours']}, {found[-1]['held'] or 'held against nothing'}")
        today = date.today()
        return {
            "date": f"{today.day} {today:%B %Y}",
            "cores": peers.cores(),
            "versions": peers.versions(env),
            "load": {"before": round(before, 1), "after": round(os.getloadavg()[0], 1)},
            "seconds": round(time.monotonic() - began, 1),
            "most": most,
            "rows": found,
        }


def main() -> int:
    """The exit status."""
    parser = _arguments()
    given = parser.parse_args()
    if given.write and (given.only or given.no_peers):
        parser.error("a page holds the whole table: --write goes with neither --only nor --no-peers")
    facts = run(given)
    print(page.said(facts), end="")
    if given.json:
        given.json.write_text(json.dumps(facts, indent=1) + "\n")
    failed = [row["key"] for row in facts["rows"] if row["failed"]]
    if failed:
        _say(f"could not be measured: {', '.join(failed)}")
    elif given.write:
        page.write(given.write, facts)
    return 1 if failed else 0
