"""README.md says what there is: every setting with its default, every command with its options, every exit code."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

import uam_hooks.cli.demo as demo_command
from uam_hooks.cli import COMMANDS, uam
from uam_hooks.demo.demo import Outcome, Scenario, Side, shipped
from uam_hooks.hot.core.errors import ExitCode
from uam_hooks.hot.core.settings import KEYS, Key
from uam_hooks.land.steps import Step

CHECKOUT = Path(__file__).resolve().parents[2]
README = (CHECKOUT / "README.md").read_text()
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", *(f"docs/{p.name}" for p in (CHECKOUT / "docs").glob("*.md")))


def section(title: str) -> str:
    """What README has below this heading, up to the next one of its level or above."""
    level = len(title) - len(title.lstrip("#"))
    after = README.split(f"\n{title}\n", 1)[1]
    return re.split(rf"^#{{1,{level}}} ", after, maxsplit=1, flags=re.MULTILINE)[0]


def command(name: str) -> click.Command:
    found = uam.get_command(click.Context(uam), name)
    assert found is not None
    return found


def words_on(row: str) -> str:
    """The rows of the table of commands that are about `git uam <row>`."""
    return "\n".join(line for line in section("### Commands").splitlines() if line.startswith(f"| `git uam {row}"))


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_every_setting_is_documented_with_its_default(key: Key) -> None:
    default = f"`{key.default}`" if key.default else "none"
    assert f"\n| `{key.name}` | {default} | " in section("## Settings")


def test_no_setting_is_documented_that_does_not_exist() -> None:
    named = set(re.findall(r"^\| `(uam\.[A-Za-z.]+)` \|", section("## Settings"), flags=re.MULTILINE))
    assert named == {key.name for key in KEYS}
    mentioned = set(re.findall(r"\buam\.[a-z]+(?:\.[a-zA-Z]+)*(?![a-zA-Z./])", README))
    of_targets = {name for name in mentioned if re.fullmatch(r"uam\.deploy\.(TARGET|prod)\.(command|timeout)", name)}
    assert mentioned - of_targets <= {key.name for key in KEYS}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_documented(name: str) -> None:
    row = words_on(name)
    assert row, f"README's table of commands has no row for git uam {name}"
    for parameter in command(name).params:
        for option in parameter.opts if isinstance(parameter, click.Option) else ():
            if option not in ("-h", "--help"):
                assert f"`{option}" in row, f"README does not say what {option} of git uam {name} does"


def test_no_command_or_option_is_documented_that_does_not_exist() -> None:
    rows = re.findall(r"^\| `git uam ([a-z]+)[^`]*` \| (.*) \|$", section("### Commands"), flags=re.MULTILINE)
    assert {name for name, _ in rows} == set(COMMANDS)
    for name, text in rows:
        known = {option for parameter in command(name).params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", text)) <= known


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help(name: str) -> None:
    found = command(name)
    assert found.help
    for parameter in found.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{parameter.opts[0]} of git uam {name}"


@pytest.mark.parametrize("code", ExitCode, ids=lambda code: code.name)
def test_every_exit_code_is_documented(code: ExitCode) -> None:
    assert f"\n| {code.value} | " in section("## Exit codes")


def test_every_option_of_install_sh_is_documented() -> None:
    script = (CHECKOUT / "install.sh").read_text()
    options = set(re.findall(r"^\s+(--[a-z-]+)(?: \| -h)?\)", script, flags=re.MULTILINE))
    assert "--demo" in options
    for option in options:
        assert f"\n| `{option}` | " in section("## Set-up")


@pytest.mark.parametrize("words", ["./install.sh --demo", "tests/run"])
def test_the_two_commands_that_set_everything_up_are_in_the_readme(words: str) -> None:
    assert words in README
    assert (CHECKOUT / words.split()[0]).stat().st_mode & 0o111


def test_the_demo_in_the_readme_has_the_lines_that_the_demo_prints(capsys: pytest.CaptureFixture[str]) -> None:
    side = Side(9, 45, 9, 13, 0.5, "tree", {}, {"agent-a": ["uam: landed"]})
    demo_command._show(Scenario.read(shipped("demo.json")), Outcome(side, side, "tree"))
    printed = demo_command._introduction(Scenario.read(shipped("demo.json"))) + capsys.readouterr().out
    shown = README.split("```")[1]
    known = [" ".join(re.split(r"\s{2,}", line.strip())[:1]) for line in printed.splitlines() if "uam: " not in line]
    for words in filter(None, known):
        assert words in shown


@pytest.mark.parametrize("step", Step)
def test_the_design_says_what_happens_after_a_crash_at_every_step(step: Step) -> None:
    assert f"\n| `{step}` | " in (CHECKOUT / "docs/design.md").read_text()


def test_the_design_names_every_module_in_the_paragraph_of_its_folder() -> None:
    text = (CHECKOUT / "docs/design.md").read_text().split("\n## Folders\n")[1].split("\n## ")[0]
    named: dict[str, set[str]] = {}
    for paragraph in text.split("\n\n"):
        folders = re.findall(r"\*\*`([a-z_/]+)/`\*\*", paragraph)
        words = set(re.findall(r"`([a-z_]+)`", paragraph))
        named.update(dict.fromkeys(folders, words))
    package = CHECKOUT / "uam_hooks"
    there = {str(init.parent.relative_to(package)) for init in package.rglob("__init__.py")} - {"."}
    assert set(named) == there
    for folder in there - {"cli"}:
        modules = {path.stem for path in (package / folder).glob("*.py")} - {"__init__"}
        assert modules <= named[folder], folder


@pytest.mark.parametrize("page", PAGES)
def test_links_between_the_pages_lead_somewhere(page: str) -> None:
    text = (CHECKOUT / page).read_text()
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        aim = (CHECKOUT / page).parent / path if path else CHECKOUT / page
        assert aim.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", aim.read_text(), flags=re.MULTILINE)
            assert anchor in {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}, target
