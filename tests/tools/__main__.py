"""`python -m tests.tools`: runs the tests of this folder and writes docs/tools.md from what came of them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).resolve().parent
DOC = HERE.parents[1] / "docs" / "tools.md"
_HEAD = """# Beside other tools

Tools that put hooks into a repository as well, each installed before and after git uam, then installed once more, then
git uam once more. After each of these steps a commit and a push are made. "Works" means that the tool's own hooks have
run, each once, that the push has landed and exited 0, and that it was queued once. `python -m tests.tools` makes
this table; the tools come from their registries.

| tool | version | installed first | works | taken out again | after `git uam uninstall` |
|---|---|---|---|---|---|
"""
_TAIL = """
Taken out again: what the tool's own uninstall leaves when it came after git uam. Where it came before, its hooks are
run by ours, and it does not know them any more: `git uam uninstall` first. "As before": the hooks directory has what it
had before git uam, byte for byte.

husky has git run its hooks from the tree (`core.hooksPath`), where ours are not put: there the push door alone is
installed, and with git 2.54 and newer our commit hooks in git's config (see the guide).
git-lfs has tests of its own, `tests/land/test_lfs.py`.
"""


def main() -> int:
    """Run the tests, write the table; the exit code of the tests."""
    with tempfile.TemporaryDirectory() as where:
        report = Path(where, "report.xml")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "junit_family=xunit1"]
        done = subprocess.run([*command, f"--junitxml={report}", str(HERE)], check=False)
        cases = ElementTree.parse(report).getroot().iter("testcase")  # noqa: S314  our own file
        results = {str(case.get("name")): case for case in cases}
    rows = []
    for name, case in results.items():
        test, _, given = name.partition("[")
        if test != "test_d1_d4_d5_beside_a_tool":
            continue
        tool, _, first = given.rstrip("]").rpartition("-")
        version = next((p.get("value") for p in case.iter("property") if p.get("name") == "version"), "")
        out = _result(results.get(f"test_d4_a_tool_that_came_later_is_taken_out_again[{tool}]"), "ours alone are left")
        undone = _result(results.get(f"test_d4_what_was_there_before_us_is_there_after_us[{tool}]"), "as before")
        who = {"ours": "git uam", "theirs": tool}[first]
        rows.append(f"| {tool} | {version} | {who} | {_result(case, 'works')} | {out} | {undone} |\n")
    DOC.write_text(_HEAD + "".join(sorted(rows)) + _TAIL)
    return done.returncode


def _result(case: ElementTree.Element | None, good: str) -> str:
    if case is None:
        return "it has no uninstall"
    if case.find("skipped") is not None:
        return "not tried: it could not be fetched"
    return good if case.find("failure") is None and case.find("error") is None else "does not work"


if __name__ == "__main__":
    sys.exit(main())
