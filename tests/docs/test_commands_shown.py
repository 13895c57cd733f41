"""Every command that README and the guide show is run: here in one repository, or by the test that is named for it."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.docs.pages import CHECKOUT
from tests.support.commands import call
from tests.support.landscape import environment
from tests.support.scenes import Done, Scene, script

README, GUIDE = (CHECKOUT / "README.md").read_text(), (CHECKOUT / "docs" / "guide.md").read_text()
_BEGINS = re.compile(r"(git|gh|uam|pipx?|uv) |(\./|~/uam/)install\.sh|tests/run|git$|[A-Z]+=\w+ git |uam=\$")

_FRESH = "install/test_install_sh.py::test_a_fresh_machine_from_nothing_to_nothing"
_RELEASE = "install/test_release.py::test_wheel_and_sdist_hold_everything_are_the_same_each_time_and_work"
# What is run elsewhere: with a network, an environment of its own, a forge, or a terminal.
ELSEWHERE = {
    "./install.sh path/to/repository": _FRESH,
    "./install.sh --demo": _FRESH,
    "./install.sh --help": "install/test_install_sh.py::test_help_names_every_option_and_changes_nothing",
    "./install.sh --uninstall [REPO]": _FRESH,
    "./install.sh --uninstall path/to/repository": _FRESH,
    "./install.sh --uninstall --env": _FRESH,
    "git uam install --queue ~/shop": "fleet/test_hub.py::test_pushes_of_two_clones_are_one_landing",
    "git uam install --queue PATH": "fleet/test_hub.py::test_pushes_of_two_clones_are_one_landing",
    "git uam install --no-queue": "fleet/test_hub.py::test_what_a_hub_had_that_is_gone_for_good_lands_from_here",
    # they install from the network what this one builds, installs and pushes with
    "pipx install .": _RELEASE,
    "uv tool install .": _RELEASE,
    "pip install .": _RELEASE,
    "tests/run": "docs/test_docs.py::test_the_two_commands_that_set_everything_up_are_in_the_readme",
    "git uam demo --html FILE": "demo/test_demo.py",
    "git uam status --watch": "cli/test_watch.py::test_it_shows_who_waits_and_what_has_landed_as_it_happens",
    "git push --recurse-submodules=on-demand": "flows/test_flow_submodules.py::test_c7_submodules_are_pushed_on_demand",
    "git uam mcp": "cli/test_mcp.py",
    "pip install 'uam-hooks[mcp]'": "cli/test_mcp.py",
    "pip install '.[mcp]'": "cli/test_mcp.py",
    "gh pr merge": "flows/test_original.py",
    "gh workflow run": "flows/test_examples.py::test_example_3_a_bulk_of_four_is_one_push_and_one_dispatch",
}
# Commands of git that are spoken of: nobody is told to run them as they stand.
SPOKEN_OF = {
    "git add", "git bisect", "git blame", "git commit -a", "git rebase", "git rebase --continue", "git -c",
    "git rebase --abort", "git uam show", "git uam wait", "git uam retry",
    "git uam cancel",
}  # fmt: skip


class Step(NamedTuple):
    """A command as a page shows it, how it is run (as it is shown, if nothing is said), and its exit status."""

    shown: str
    run: str = ""
    code: int = 0


_COMMIT = "for n in 1 2; do date +%N >>file; git add file; git commit -q -m Change; done"
STEPS = [
    Step("git uam install"),
    Step("git uam install [PATH]", "git uam install ."),
    Step("git uam help [COMMAND]", "git uam help flush"),
    Step("git commit", _COMMIT),
    Step("git push"),
    Step("", "git config uam.push.mode manual"),  # nobody waits for a window
    Step("", _COMMIT),
    Step("git push --dry-run"),
    Step("git push -o keep"),
    Step("git push -o squash"),
    Step("git push -o urgent"),
    Step("git uam flush"),
    Step("git uam sync"),
    Step("", _COMMIT),
    Step("UAM=off git push"),
    Step("", _COMMIT),
    Step("git -c uam.enabled=false push"),
    Step("git push . a:b", "git branch a; git push . a:b"),
    Step("", "git commit -q --amend -m 'Change it otherwise'"),
    Step("git push --force-with-lease"),
    Step("git uam flush"),
    Step("git pull --rebase"),
    Step("git revert", "git revert --no-edit HEAD"),
    Step("git reset", "git reset -q"),
    # what landed
    Step("git config uam.originals push"),
    Step("", _COMMIT + "; git push -q"),
    Step("git uam flush"),
    Step("git fetch origin refs/uam/originals/main"),
    Step(
        "git show <id>", "git log -1 --format=%B origin/main | sed -n 's/^Uam-Original: //p' | head -1 | xargs git show"
    ),
    Step("git push origin :refs/uam/originals/main"),
    Step("", "git config --unset uam.originals"),
    Step("git log refs/uam/shadow/origin/main"),
    Step("git log"),
    Step("git uam log"),
    Step("git uam log 5"),
    Step("git uam log ID", "git uam log 2"),
    Step("git uam show 1"),
    Step("git uam show BATCH", "git uam show 2"),
    Step("git uam wait ID", "git uam wait {last}"),
    Step("git uam stats"),
    Step("git uam stats --json"),
    Step("git uam stats --html stats.html"),
    # what waits
    Step("git config uam.push.mode queue"),
    Step("git config uam.push.mode"),
    Step("", "git config uam.push.mode manual; git config uam.gate.tests.retries 0"),
    Step("", _COMMIT + "; git push"),
    Step("git uam status"),
    Step("git uam sync --queued"),
    Step("git uam wait 12", "git uam wait --timeout 0s {last}", 1),
    Step("git uam flush"),
    Step("git uam sync"),
    # gates
    Step("git uam config uam.gate.tests.command 'python -m unittest'"),
    Step("", "git config uam.gate.tests.command 'test ! -e broken'"),
    Step("", "touch broken; git add broken; git commit -q -m Break; git push"),
    Step("git uam flush", "", 1),
    Step("", "git config uam.gate.tests.command true"),
    Step("git uam gate forget"),
    Step("git uam retry ID", "git uam retry {last}"),
    Step("git uam flush"),
    Step("git uam gate list"),
    Step("git uam gate run"),
    Step("git uam gate run [COMMIT]", "git uam gate run HEAD^"),
    Step("git uam config uam.gate.slots 2"),
    Step("git worktree list"),
    # by name
    Step("", "git config uam.gh.repo owner/shop"),
    Step('git uam config uam.deploy.prod.command "./deploy.sh --to prod"'),
    Step('git uam queue --action-type commit --target main --message "feat: new feature" --files src/feature.ts'),
    Step("git uam queue --action-type push --target main"),
    Step("git uam queue --action-type merge --target main --source topic --strategy no-ff --push"),
    Step('git uam queue --action-type workflow --target test.yml --ref main --inputs \'{"env": "staging"}\''),
    Step("git uam cancel ID", "git uam cancel {last}"),
    Step("git uam queue --action-type deploy --target prod --depends-on 4"),
    Step("git uam queue", "git uam queue --action-type push --target main"),
    Step("uam deploy queue", "git uam deploy queue --action-type push --target main"),
    Step("git uam flush"),
    # the rest
    Step("git uam", "", 2),
    Step("git uam urgent on --for 10m"),
    Step("git uam agents-md"),
    Step("git uam config"),
    Step("git config --add uam.identity.env NAME"),
    Step("git config uam.squash batch"),
    Step("git config uam.squash never"),
    Step("git config uam.push.accept false"),
    Step("git uam doctor"),
    Step("git uam doctor --fix"),
    Step('uam=$(git rev-parse --git-common-dir)/uam/hooks/pre-commit; [ ! -x "$uam" ] || "$uam" "$@"'),
    Step("git config uam.enabled false"),
    Step("git uam uninstall"),
    Step("git uam install --door-only"),
    Step("git uam uninstall"),
    Step("git uam install --hooks-only"),
]


def shown(page: str) -> set[str]:
    """The commands of a page, in its text and in its blocks; blocks for a console are played by another test."""
    parts = re.split(r"^```(.*)\n", page, flags=re.MULTILINE)
    prose = re.sub(r"\s+", " ", " ".join(parts[::4]))
    found = {span for span in re.findall(r"`([^`]+)`", prose) if _BEGINS.match(span)}
    for kind, block in zip(parts[1::4], parts[2::4], strict=True):
        if not kind.startswith(("console", "python")):
            lines = [line.removeprefix("$ ") for line in block.splitlines()]
            found |= {line for line in lines if _BEGINS.match(line) and not line.startswith("git now reports")}
    return found


def test_every_command_that_is_shown_is_run() -> None:
    run = {step.shown for step in STEPS} | set(ELSEWHERE) | SPOKEN_OF
    assert shown(README) | shown(GUIDE) <= run, "give it a step here, or name the test that runs it"


@pytest.mark.parametrize("test", sorted({ELSEWHERE[one] for one in (shown(README) | shown(GUIDE)) & set(ELSEWHERE)}))
def test_what_is_run_elsewhere_is_there(test: str) -> None:
    file, _, name = test.partition("::")
    assert f"def {name}" in (CHECKOUT / "tests" / file).read_text()


def done(scene: Scene, line: str) -> Done:
    words = shlex.split(line)
    if words[:2] == ["git", "uam"]:
        return call(scene, *words[2:])
    return scene.execute("sh", "-c", line)


@pytest.mark.slow
def test_the_commands_of_readme_and_guide_do_what_they_say(scene: Scene) -> None:
    scene.git("checkout", "-q", "-b", "topic")
    scene.commit("topic")
    scene.git("checkout", "-q", "main")
    scene.stranger()
    script(scene.top / "deploy.sh", "echo deployed\n")
    (scene.top / "src").mkdir()
    (scene.top / "src" / "feature.ts").write_text("export {}\n")
    wrong = []
    for step in STEPS:
        last = max((row["id"] for row in scene.rows("deploy_queue") if row["action_type"] != "commit"), default=0)
        line = (step.run or step.shown).replace("{last}", str(last))
        found = done(scene, line)
        if found.code != step.code:
            wrong.append((line, found))
    assert wrong == [], "\n".join(map(str, wrong))
    there = scene.bare.subjects("main")
    assert there[:4] == ["Merge branch 'topic' into main", "Add topic", "feat: new feature", "Break"]
    assert scene.bare.git("for-each-ref", "refs/uam/") == ""
    assert (scene.top / "stats.html").read_text().startswith("<!doctype html>")


@pytest.mark.slow
def test_the_python_of_the_guide_runs(quiet: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    (quiet.top / "src").mkdir()
    (quiet.top / "src" / "logger.ts").write_text("export {}\n")
    (block,) = re.findall(r"^```python\n(.*?)^```", GUIDE, flags=re.MULTILINE | re.DOTALL)
    here = Path.cwd()
    with environment(quiet.env):
        os.chdir(quiet.top)
        try:
            exec(compile(block, "guide.md", "exec"), {})  # noqa: S102 - it is our own page
        finally:
            os.chdir(here)
    assert capsys.readouterr().out.startswith("True ")
    assert quiet.landed() == ["feat: add logging"]
