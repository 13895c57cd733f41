#!/usr/bin/env python3
"""Makes docs/images/stats-*.png: the page of `git uam stats --html`, with invented figures, as chromium shows it.

python docs/make_stats_picture.py
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

from tests.support.browser import browser  # noqa: E402
from uam_hooks.hot.queue.model import iso  # noqa: E402
from uam_hooks.page.page import page  # noqa: E402
from uam_hooks.report.lately import DAY, conflicts  # noqa: E402
from uam_hooks.report.ledger import ledger  # noqa: E402
from uam_hooks.store.conflicts import Met  # noqa: E402
from uam_hooks.store.folded import Asked, Run  # noqa: E402

NOW = 1795953600.0  # 2026-11-29 12:00
AGENTS = ("ada", "brook", "docs-bot", "refactor@checkout", "fixer", "linus")
FILES = ("src/cart.py", "src/checkout/service.py", "README.md", "package-lock.json", "tests/test_cart.py")
SUBJECTS = ("fix: count items once", "feat: ask before a refund", "docs: say what a lease is", "test: an empty cart")


def figures() -> dict[str, Any]:
    """What `git uam stats --json` might say after three weeks of six agents."""
    dice = random.Random(7)  # noqa: S311 - the same picture every time
    runs: list[Run] = []
    for day in range(21, -1, -1):
        for _ in range(dice.randint(1, 3) if day % 7 in (0, 1) else dice.randint(5, 12)):
            at = NOW - day * DAY - dice.random() * 0.9 * DAY
            waits = sorted(1 + dice.expovariate(1 / 15) for _ in range(dice.randint(1, 6)))
            asked = tuple(Asked(dice.choice(AGENTS), at - wait) for wait in reversed(waits))
            runs.append(Run(len(runs) + 1, "origin/main", at, asked))
    runs.sort(key=lambda run: run.at)
    met = []
    for _ in range(24):
        one, other = dice.sample(AGENTS, 2)
        met.append(Met(one, other, tuple(dice.sample(FILES, dice.choice((1, 1, 2))))))
    found = ledger(runs, len(met) + 5, {}, 6.0)
    found["since"] = None
    found["gates"] = [
        {"gate": "lint", "runs": 214, "failed": 9, "flaky": 0, "seconds": 3.2},
        {"gate": "tests", "runs": 187, "failed": 21, "flaky": 3, "seconds": 48.6},
    ]
    found["conflicts"] = conflicts(met)
    name = "{:040x}".format
    found["last_day"] = {
        "since": iso(NOW - DAY), "until": iso(NOW), "left_out": 0,
        "landings": [
            {"at": iso(run.at), "where": run.place, "batch": run.landing, "commit": name(dice.getrandbits(160)),
             "subject": dice.choice(SUBJECTS), "pushes": len(run.asked),
             "sources": [{"agent": one.agent, "branch": one.agent, "tip": name(dice.getrandbits(160)),
                          "subject": dice.choice(SUBJECTS), "waited": round(run.at - one.at, 3)} for one in run.asked]}
            for run in reversed(runs) if run.at > NOW - DAY
        ],
    }  # fmt: skip
    return found


def main() -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home, browser(Path(home)) as tab:
        shown = Path(home, "page.html")
        shown.write_text(page(figures()))
        for name, width, height, scheme in (("light", 1280, 1180, "light"), ("dark", 375, 900, "dark")):
            tab.show(shown, width, scheme)
            tab.picture(DOCS / "images" / f"stats-{name}.png", width, height)


if __name__ == "__main__":
    main()
