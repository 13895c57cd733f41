"""Land beside somebody who commits and pushes in a loop, with a pause of so many milliseconds.

    python benchmarks/busy_remote.py --pushes 16 --pause 50

Prints, as JSON, how many pushes landed, how many tries each of them took, and how many pushes the other one made
meanwhile. Everything is local, so a push of either side takes some 30 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

_LOOP = """
while [ -e "$1" ]; do
    n=$((n + 1))
    git commit -q --allow-empty -m "Theirs $n"
    git push -q 2>/dev/null || git pull -q --rebase
    sleep "$2"
done
"""


def run(at: Path, *command: str) -> str:
    """What the command printed, whatever its exit status."""
    env = {**os.environ, "GIT_CONFIG_GLOBAL": str(at.parent / "gitconfig"), "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(command, cwd=at, env=env, capture_output=True, text=True, check=False).stdout.strip()


def measure(root: Path, pushes: int, pause: float) -> dict[str, object]:
    """Push so many times beside a loop that pauses for so many seconds."""
    (root / "gitconfig").write_text("[user]\n\tname = A\n\temail = a@example.invalid\n[init]\n\tdefaultBranch = main\n")
    work, other = root / "work", root / "other"
    for at, args in ((root, ("init", "-q", "--bare", "origin.git")), (root, ("clone", "-q", "origin.git", "work"))):
        at.mkdir(exist_ok=True)
        subprocess.run(["git", *args], cwd=at, check=True, capture_output=True)
    run(work, "git", "commit", "-q", "--allow-empty", "-m", "Begin")
    run(work, "git", "push", "-q", "-u", "origin", "HEAD:main")
    run(work, "git", "branch", "-q", "-M", "main")
    run(root, "git", "clone", "-q", "-b", "main", "origin.git", "other")
    run(work, sys.executable, "-c", "from uam_hooks.cli import main; main()", "install")
    run(work, "git", "config", "uam.window.push", "1ms")
    (root / "going").touch()
    loop = subprocess.Popen(["sh", "-c", _LOOP, "loop", str(root / "going"), str(pause)], cwd=other, env={
        **os.environ, "GIT_CONFIG_GLOBAL": str(root / "gitconfig"), "GIT_CONFIG_NOSYSTEM": "1",
    })  # fmt: skip
    for number in range(pushes):
        (work / f"f{number}").write_text(f"{number}\n")
        run(work, "git", "add", "-A")
        run(work, "git", "commit", "-q", "-m", f"Add f{number}")
        run(work, "git", "push", "-q", "origin", "main")
    (root / "going").unlink()
    loop.wait()
    theirs = run(root / "origin.git", "git", "rev-list", "--count", "--grep=Theirs", "main")
    with closing(sqlite3.connect(work / ".git" / "uam" / "queue.db")) as db:
        tries = [n for (n,) in db.execute("SELECT count(*) FROM landings GROUP BY action_id")]
        landed = db.execute("SELECT count(*) FROM sources WHERE status = 'landed'").fetchone()[0]
    return {"pushes": pushes, "landed": landed, "tries": tries, "theirs": int(theirs or 0)}


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pushes", type=int, default=16)
    parser.add_argument("--pause", type=float, default=50.0, help="in milliseconds")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        print(json.dumps(measure(Path(root), asked.pushes, asked.pause / 1000)))


if __name__ == "__main__":
    main()
