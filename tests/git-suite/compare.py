"""Runs scripts of git's own tests, plain and with git uam in every repository that they make, and compares.

`tests/git-suite/run SOURCE-TREE [SCRIPT...]`: SOURCE-TREE is git's, built by `make`. Without names the scripts of the
file `scripts` are run. A test counts when it passes plain. What fails hooked has to be named in `explained`; the exit
code is 1 where one is not. With `--write` docs/git-suite.md is made from the result.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
DOC = HERE.parents[1] / "docs" / "git-suite.md"
_LINE = re.compile(r"^(ok|not ok) (\d+) - (.*)$")
_LIMIT = 1800  # seconds for one script: a test that hangs is a result as well


@dataclass
class Result:
    """What came of one script: its tests by number, with their names; `ended` is false where it hung or broke off."""

    passed: dict[int, str] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    ended: bool = False


def run_script(tree: Path, name: str, installed: Path | None, out: Path) -> Result:
    """One script of the tests of the git in `tree`, by `installed` in its stead where that is given."""
    (script,) = tree.glob(f"t/{name}-*.sh")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "UAM"))}
    environment["TEST_OUTPUT_DIRECTORY"] = str(out)
    environment["TEST_OUTPUT_DIRECTORY_OVERRIDE"] = str(out)
    if installed:
        environment["GIT_TEST_INSTALLED"] = str(installed)
    root = out / "trash"
    command = ["timeout", "--kill-after=5", str(_LIMIT), "sh", script.name, f"--root={root}", "-x", "--verbose-log"]
    kept = out / f"{name}.tap"
    if installed or not kept.exists():  # what plain git did before, it does again
        done = subprocess.run(
            command, cwd=script.parent, env=environment, stdin=subprocess.DEVNULL, capture_output=True
        )
        kept.write_bytes(done.stdout)
    result = Result()
    said = kept.read_text(errors="replace")
    for line in said.splitlines():
        if found := _LINE.match(line):
            verdict, number, title = found.groups()
            title, _, note = title.partition(" # ")
            if not note:  # else skipped, or known to be broken
                (result.passed if verdict == "ok" else result.failed)[int(number)] = title
    result.ended = bool(re.search(r"^1\.\.", said, re.MULTILINE))
    return result


def stand_in(tree: Path, where: Path) -> Path:
    """A directory whose git installs git uam wherever it is called."""
    seen = where / "seen"
    seen.mkdir()
    uam = Path(sys.executable).with_name("git-uam")
    text = (HERE / "git.in").read_text()
    values = {"TREE": tree, "GIT": tree / "git", "UAM": uam, "SEEN": seen, "PATH": f"{tree}:{os.environ['PATH']}"}
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    binaries = where / "bin"
    shutil.copytree(tree / "bin-wrappers", binaries)
    (binaries / "git").unlink()
    (binaries / "git").write_text(text)
    (binaries / "git").chmod(0o755)
    return binaries


def explanations() -> dict[str, str]:
    """Why a test differs, by script and number or by script alone."""
    found = {}
    for line in (HERE / "explained").read_text().splitlines():
        if line and not line.startswith("#"):
            tests, _, reason = line.partition(": ")
            found.update(dict.fromkeys(tests.split(), reason))
    return found


def differences(plain: dict[str, Result], hooked: dict[str, Result]) -> list[tuple[str, str]]:
    """The tests that pass plain and not hooked, as `t5516.21` with their names."""
    return [
        (f"{script}.{number}", title)
        for script, result in sorted(plain.items())
        for number, title in sorted(result.passed.items())
        if number not in hooked[script].passed
    ]


def main() -> int:
    """Run, compare, say; 1 where a difference has no explanation."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("tree", type=Path, help="git's source, built")
    parser.add_argument("scripts", nargs="*", help="t5516, ...; all that are listed without")
    parser.add_argument("--write", action="store_true", help="write docs/git-suite.md")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--keep", type=Path, help="a directory for the output of the tests; plain results are used again"
    )
    asked = parser.parse_args()
    tree = asked.tree.resolve()
    if not (tree / "t" / "helper" / "test-tool").exists():
        print(f"git-suite: {tree} is not built; run make NO_CURL=1 NO_TCLTK=1 NO_GETTEXT=1 there", file=sys.stderr)
        return 2
    scripts = asked.scripts or (HERE / "scripts").read_text().split()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made:
        where = asked.keep.resolve() if asked.keep else Path(made)
        installed = stand_in(tree, Path(made))
        results: dict[str, dict[str, Result]] = {}
        with ThreadPoolExecutor(asked.jobs) as pool:
            for kind, git in (("plain", None), ("hooked", installed)):
                out = where / kind
                out.mkdir(parents=True, exist_ok=True)
                running = {name: pool.submit(run_script, tree, name, git, out) for name in scripts}
                results[kind] = {name: future.result() for name, future in running.items()}
    return report(tree, results["plain"], results["hooked"], write=asked.write)


def report(tree: Path, plain: dict[str, Result], hooked: dict[str, Result], *, write: bool) -> int:
    """Print what differs, write the page if asked for; 1 where a difference has no explanation."""
    reasons = explanations()
    rows = [
        (test, title, reasons.get(test) or reasons.get(test.partition(".")[0]))
        for test, title in differences(plain, hooked)
    ]
    total = sum(len(result.passed) for result in plain.values())
    for test, title, reason in rows:
        print(f"{test}\t{title}\t{reason or 'NOT EXPLAINED'}")
    broken = [name for name, result in hooked.items() if plain[name].ended and not result.ended]
    print(f"{total - len(rows)} of {total} tests that pass plain pass hooked; did not end: {broken or 'none'}")
    if write:
        version = subprocess.check_output([tree / "git", "version"], text=True).split()[2]
        DOC.write_text(page(version, plain, total, rows))
    return 1 if broken or any(reason is None for *_, reason in rows) else 0


def page(version: str, plain: dict[str, Result], total: int, rows: list[tuple[str, str, str | None]]) -> str:
    """docs/git-suite.md."""
    today = datetime.datetime.now(tz=datetime.UTC).date()
    table = "".join(f"| {test} | {title.replace('|', chr(92) + '|')} | {reason} |\n" for test, title, reason in rows)
    return f"""# git's own tests

git's own tests, run with git uam in every repository with a work tree that they make, and without. {version},
{len(plain)} scripts about pushing, remotes, hooks, commits, rebases and worktrees, {today}, with `uam.squash=false`,
`uam.flusher.linger=0` and `uam.window.push=0`:

**{total - len(rows)} of {total}** tests that pass with plain git pass hooked. The others:

| test | what it is called | why it differs |
|---|---|---|
{table}
git uam is installed by the first command in each repository, and again beside each hook that a test writes. git says
`To uam::<place>` of a push that goes through git uam; `uam::` is taken off there, and nothing else.

Made by `tests/git-suite/run --write SOURCE-TREE`, where SOURCE-TREE is git's source after
`make NO_CURL=1 NO_TCLTK=1 NO_GETTEXT=1`. The scripts are listed in `tests/git-suite/scripts`, the reasons in
`tests/git-suite/explained`; a difference without one is an error.
"""


if __name__ == "__main__":
    sys.exit(main())
