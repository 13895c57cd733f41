"""The pages say what there is: every setting with its default, every command with its options, every exit code."""

from __future__ import annotations

import re
from types import ModuleType

import click
import pytest

import uam_hooks.cli.demo as demo_command
from tests.docs.pages import CHECKOUT, SOURCES, messages, said, script_of
from uam_hooks import DeployBatcher
from uam_hooks.cli.commands import COMMANDS, uam
from uam_hooks.demo.demo import Outcome, Side, Told
from uam_hooks.demo.scenario import Scenario, shipped
from uam_hooks.doctor.finding import Code
from uam_hooks.hot.core.errors import ExitCode
from uam_hooks.hot.core.settings import KEYS, Key, Settings
from uam_hooks.land.steps import Step

README, GUIDE, COMMANDS_PAGE, SETTINGS = "README.md", "docs/guide.md", "docs/commands.md", "docs/settings.md"
FOR_USERS = (README, GUIDE, COMMANDS_PAGE, SETTINGS)
TROUBLE = sorted(f"docs/trouble/{path.name}" for path in (CHECKOUT / "docs" / "trouble").glob("*.md"))
INDEX = "docs/index.md"  # of the site
OF_DOCS = sorted(f"docs/{path.name}" for path in (CHECKOUT / "docs").glob("*.md"))
OF_README = ("CONTRIBUTING.md", "CHANGELOG.md", *(page for page in OF_DOCS if page != INDEX))
PAGES = (README, INDEX, *OF_README, *TROUBLE)


def text(page: str) -> str:
    return (CHECKOUT / page).read_text()


def section(page: str, title: str) -> str:
    """What the page has below this heading, up to the next one of its level or above."""
    level = len(title) - len(title.lstrip("#"))
    after = text(page).split(f"\n{title}\n", 1)[1]
    return re.split(rf"^#{{1,{level}}} ", after, maxsplit=1, flags=re.MULTILINE)[0]


def rows(table: str) -> list[list[str]]:
    """The cells of the tables in a text, without their heads."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    heads = {at - 1 for at, line in enumerate(lines) if set(line) <= set("|- ")}
    kept = [line for at, line in enumerate(lines) if at not in heads and at - 1 not in heads]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in kept]


def command(name: str) -> click.Command:
    found = uam.get_command(click.Context(uam), name)
    assert found is not None
    return found


def options(of: click.Command) -> dict[str, click.Option]:
    found = {name: p for p in of.params if isinstance(p, click.Option) for name in p.opts}
    return {name: option for name, option in found.items() if name not in ("-h", "--help")}


@pytest.fixture(scope="module")
def make_man() -> ModuleType:
    return script_of("make_man")


# -- settings --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_every_setting_is_documented_with_its_default(key: Key) -> None:
    default = f"`{key.default}`" if key.default else "none"
    assert [row[1] for row in rows(section(SETTINGS, "## Keys")) if row[0] == f"`{key.name}`"] == [default]


def test_no_setting_is_documented_that_does_not_exist() -> None:
    named = {row[0].strip("`") for row in rows(section(SETTINGS, "## Keys"))}
    of_targets = {"uam.deploy.TARGET.command", "uam.deploy.TARGET.timeout"}
    of_gates = {"command", "timeout", "paths", "branches", "needs", "retries", "env"}
    assert named == {key.name for key in KEYS} | of_targets | {f"uam.gate.NAME.{last}" for last in of_gates}


@pytest.mark.parametrize("page", FOR_USERS)
def test_every_setting_that_a_page_mentions_exists(page: str) -> None:
    mentioned = set(re.findall(r"\buam\.[a-z]+(?:\.[a-zA-Z]+)*(?![a-zA-Z./])", text(page)))
    assert mentioned
    for name in mentioned:
        assert Settings.key(name).name == name


def test_every_environment_variable_is_documented_and_no_other() -> None:
    python = "\n".join(path.read_text() for path in SOURCES)
    shell = "\n".join(path.read_text() for path in (CHECKOUT / "hooks").iterdir() if path.is_file())
    read = {*re.findall(r'environ(?:\.get\(|\[)"(UAM\w*)"', python), *re.findall(r"\$\{(UAM\w*)-", shell)}
    assert {row[0].strip("`") for row in rows(section(SETTINGS, "## Environment"))} == read - {"UAM_DIE_AT"}


def test_every_mode_of_a_push_that_the_guide_explains_exists() -> None:
    modes = [row[0].strip("`") for row in rows(section(GUIDE, "## When a push returns").split("\n### ")[0])]
    assert len(set(modes)) == 3
    for mode in modes:
        assert Settings.key("uam.push.mode").check(mode) == mode


# -- commands ----------------------------------------------------------------------------------------------


def documented(name: str) -> str:
    """What the page of the commands says about one."""
    found = re.findall(rf"^(### git uam {name}(?: .*)?)$", text(COMMANDS_PAGE), flags=re.MULTILINE)
    assert len(found) == 1, f"{COMMANDS_PAGE} needs one section about git uam {name}"
    return section(COMMANDS_PAGE, found[0])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_documented(name: str, make_man: ModuleType) -> None:
    assert f"\n### {make_man.usage(name, command(name))}\n" in text(COMMANDS_PAGE)
    assert documented(name).strip()
    found = {row[0].strip("`").split(" ")[0]: row for row in rows(documented(name))}
    assert set(found) == set(options(command(name)))
    for option, value in options(command(name)).items():
        assert (" " in found[option][0]) == (not value.is_flag), f"{option} of git uam {name} takes a value, or none"
        assert found[option][1]


def test_no_command_is_documented_that_does_not_exist() -> None:
    named = re.findall(r"^### git uam ([a-z][a-z-]*)", text(COMMANDS_PAGE), flags=re.MULTILINE)
    assert sorted(named) == sorted(COMMANDS)


def test_every_command_of_a_command_is_documented() -> None:
    group = command("deploy")
    assert isinstance(group, click.Group)
    named = {name.rpartition(" ")[2] for name in re.findall(r"`([a-z ]+)`", documented("deploy"))}
    assert named == set(group.commands)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_line_that_a_page_shows_exists(page: str) -> None:
    parts = text(page).split("```")
    shown = re.findall(r"`git uam ([a-z][a-z-]*)([^`]*)`", re.sub(r"\s+", " ", " ".join(parts[::2])))
    # in a transcript a command stands behind a prompt, and what it prints may begin with our name
    typed = [(part, r"\w*\$ " if part.startswith("console") else "") for part in parts[1::2]]
    shown += [
        found for part, prompt in typed for found in re.findall(rf"(?m)^{prompt}git uam ([a-z][a-z-]*)(.*)$", part)
    ]
    assert shown or page not in FOR_USERS
    for name, rest in shown:
        assert name in COMMANDS, f"git uam {name}{rest}"
        rest = re.sub(r"'[^']*'|\"[^\"]*\"", "", rest)  # what a quoted argument holds is not for us
        assert set(re.findall(r"(?<=\s)--[a-z-]+", rest)) <= {*_known(command(name)), "--help"}, f"git uam {name}{rest}"


def _known(of: click.Command) -> set[str]:
    """The options of a command, and of the commands of it."""
    inner = of.commands.values() if isinstance(of, click.Group) else ()
    return {*options(of), *(option for one in inner for option in options(one))}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help(name: str) -> None:
    found = command(name)
    assert found.help
    for option, value in options(found).items():
        assert value.help, f"{option} of git uam {name}"


def test_every_exit_code_is_documented_and_no_other() -> None:
    codes = [row[0] for row in rows(section(COMMANDS_PAGE, "## Exit codes"))]
    assert codes == [*(str(code.value) for code in ExitCode), "130"]


def test_every_option_of_install_sh_is_documented_and_no_other() -> None:
    script = (CHECKOUT / "install.sh").read_text()
    known = set(re.findall(r"^\s+(--[a-z-]+)(?: \| -h)?\)", script, flags=re.MULTILINE))
    assert "--demo" in known
    named = {row[0].strip("`") for row in rows(section(GUIDE, "## Set-up")) if row[0].startswith("`--")}
    assert named == known


def test_every_method_that_the_guide_names_has_a_docstring() -> None:
    part = section(GUIDE, "### From Python").split("```")[2]
    named = set(re.findall(r"`([a-z_]+)`", part.split("say what each")[0]))
    public = {name for name in vars(DeployBatcher) if not name.startswith("_")}
    assert named == {name for name in public if callable(getattr(DeployBatcher, name))}
    for name in named:
        assert getattr(DeployBatcher, name).__doc__


def test_the_manual_page_is_what_the_pages_and_the_commands_say(make_man: ModuleType) -> None:
    assert make_man.PAGE.read_text() == make_man.page(), "run python docs/make_man.py"


def test_all_that_doctor_finds_is_documented_in_order_and_no_more() -> None:
    found = rows(section(COMMANDS_PAGE, "## What git uam doctor finds"))
    assert [row[0].strip("`") for row in found] == [code.value for code in Code]


# -- README ------------------------------------------------------------------------------------------------


def test_the_readme_is_short() -> None:
    assert len(text(README).splitlines()) <= 220


@pytest.mark.parametrize("words", ["./install.sh --demo", "tests/run"])
def test_the_two_commands_that_set_everything_up_are_in_the_readme(words: str) -> None:
    assert words in text(README)
    assert (CHECKOUT / words.split()[0]).stat().st_mode & 0o111


def shape(lines: list[str]) -> list[str]:
    """The lines of the demo without its figures."""
    return [re.sub(r"\s+", " ", re.sub(r"\d+(\.\d+)?", "0", line)).strip() for line in lines]


def test_the_demo_in_the_readme_has_the_shape_that_the_demo_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """What it is about, and the table; what pushes were told is in the first hour, which is played."""
    scenario = Scenario.read(shipped("demo.json"))
    told = (Told("agent-b", 0.5, ["NEWS.md"], ["uam: told"]),)
    side = Side(9, 45, 9, 13, 0.5, "tree", {}, {"agent-a": []}, conflicts=told, combinations=told)
    demo_command._show(scenario, Outcome(side, side, "tree"))
    table = capsys.readouterr().out.split("\n\n")[0]
    printed = f"{demo_command._introduction(scenario)}\n{table}"
    shown = text(README).split("```")[1]
    assert shape(shown.strip().splitlines()) == shape(printed.strip().splitlines())


# -- what the pages quote --------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [README, GUIDE])
def test_a_quoted_message_is_one_of_the_program(page: str) -> None:
    patterns, words = messages()
    quoted = re.findall(r"^ *(?:uam|window): +([^|].*)$", text(page), flags=re.MULTILINE)
    quoted += re.findall(r"`uam: (.*)`\.$", text(page), flags=re.MULTILINE)
    assert quoted
    for line in quoted:
        found = [match for pattern in patterns if (match := pattern.fullmatch(line))]
        values = [[value for value in match.groups() if value] for match in found]
        # a value may have words of its own, which the program says elsewhere
        runs = [re.findall(r"(?<![\w/-])[a-z]+(?: [a-z]+)+(?![\w/-])", " | ".join(some)) for some in values]
        assert any(all(said(run.split(), words) for run in some) for some in runs), line


@pytest.mark.parametrize("page", PAGES)
def test_links_between_the_pages_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", text(page)):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        aim = (CHECKOUT / page).parent / path if path else CHECKOUT / page
        assert aim.is_file(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", aim.read_text(), flags=re.MULTILINE)
            assert anchor in {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}, target


@pytest.mark.parametrize("page", [*OF_README, "docs/trouble/index.md"])
def test_the_readme_links_to_every_page(page: str) -> None:
    assert f"]({page})" in text(README)


# -- the design ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", Step)
def test_the_design_says_what_happens_after_a_crash_at_every_step(step: Step) -> None:
    assert f"\n| `{step}` | " in text("docs/design.md")


def test_the_design_names_every_module_in_the_paragraph_of_its_folder() -> None:
    folders_part = text("docs/design.md").split("\n## Folders\n")[1].split("\n## ")[0]
    named: dict[str, set[str]] = {}
    for paragraph in folders_part.split("\n\n"):
        folders = re.findall(r"\*\*`([a-z_/]+)/`\*\*", paragraph)
        words = set(re.findall(r"`([a-z_]+)`", paragraph))
        named.update(dict.fromkeys(folders, words))
    package = CHECKOUT / "uam_hooks"
    there = {str(init.parent.relative_to(package)) for init in package.rglob("__init__.py")} - {"."}
    assert set(named) == there
    for folder in there - {"cli"}:
        modules = {path.stem for path in (package / folder).glob("*.py")} - {"__init__"}
        assert modules <= named[folder], folder


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`(tests/[^`]+)`", text("docs/reliability.md")))))
def test_what_reliability_names_is_there(command: str) -> None:
    """Each command selects tests: the file is there, and has a test for each word of `-k`."""
    where, _, words = command.partition(" -k ")
    paths = [path for path in re.sub(r",.*", "", where).split() if path.startswith("tests/")]
    for path in paths:
        file, _, name = path.partition("::")
        at = CHECKOUT / file
        assert at.exists(), path
        found = "\n".join(one.read_text() for one in (sorted(at.rglob("test_*.py")) if at.is_dir() else [at]))
        assert not name or f"def {name}(" in found, path
        for word in filter(None, words.strip('"').split(" or ")):
            assert re.search(rf"def \w*{word}", found), command
