"""What is printed on a terminal: colours, no line wider than it is, and the pager that git would use."""

from __future__ import annotations

import re

import pytest

from tests.support.commands import UAM, said
from tests.support.landscape import by_hand, environment, flushed, queue
from tests.support.queueing import change
from tests.support.scenes import Scene, script
from tests.support.terminals import Terminal
from uam_hooks.cli.screen import Part, Tint, len_of
from uam_hooks.cli.screen import fitted as fitted_to
from uam_hooks.hot.core.colours import wanted
from uam_hooks.hot.core.plumbing import HotGit
from uam_hooks.hot.core.settings import Settings

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
RED, GREEN = "\x1b[31m", "\x1b[32m"


@pytest.fixture
def busy(scene: Scene) -> Scene:
    """ann has landed, bob's work conflicts with that, and a commit of each waits."""
    by_hand(scene)
    scene.git("config", "uam.push.accept", "false")
    agents = [scene.worktree(name) for name in ("ann", "bob")]
    for agent in agents:
        agent.commit("README", f"{agent.top.name}\n", message=f"Write a README that is {agent.top.name}'s own")
        queue(agent)
    flushed(scene)
    for agent in agents:
        agent.commit("more", f"{agent.top.name}\n", message=f"Say more, with the words of {agent.top.name} alone")
    return scene


def shown(scene: Scene, *command: str, width: int = 200, **env: str) -> str:
    """What a command shows on a terminal; `git` comes first where git has to see it before."""
    words = command if command[0] == "git" else (*UAM, *command)
    terminal = Terminal(scene, words, width, out=True, **{"GIT_PAGER": "cat", **env})
    assert terminal.end()[0] == 0, terminal.shown
    return terminal.shown


def words(text: str) -> list[str]:
    """The words of a page, without what changes from one second to the next."""
    return re.sub(r"\bin \d+ s\b", "in N s", _COLOUR.sub("", text)).split()


@pytest.mark.slow
def test_lines_fit_and_states_have_colours_as_git_is_told(busy: Scene) -> None:
    for command in (["status"], ["log"], ["show", "1"], ["stats"]):
        piped = said(busy, *command)
        assert "\x1b" not in piped
        narrow = shown(busy, *command, width=40)
        assert [line for line in narrow.splitlines() if len_of(_COLOUR.sub("", line)) > 40] == []
        heads = {"id", "type", "where", "agents", "what", "when"}  # a paragraph needs none
        assert {word.rstrip(",") for word in words(piped)} - {word.rstrip(",") for word in words(narrow)} <= heads
        assert (RED in narrow) == (command[0] != "stats")
    said(busy, "retry", str(busy.rows("sources")[-1]["action_id"]))
    flush = Terminal(busy, [*UAM, "flush"], 40, out=True)
    assert flush.end()[0] == 1
    bob = busy.rows("sources")[-1]
    assert f"#{bob['action_id']} bob {bob['tip'][:7]} {RED}failed\x1b[m: {RED}conflict" in flush.shown
    wide = shown(busy, "log", width=200)
    assert GREEN in wide and words(wide) == words(said(busy, "log"))
    assert "\x1b" not in shown(busy, "log", NO_COLOR="1")
    assert "\x1b" not in shown(busy, "git", "-c", "color.ui=never", "uam", "log")
    assert RED in busy.git("-c", "color.uam=always", "uam", "log")


def test_colours_are_decided_as_git_decides(stocked: Scene) -> None:
    for how in (
        (), ("color.ui=always",), ("color.ui=false",), ("color.ui=1",), ("color.ui=always", "color.uam=never"),
        ("color.ui=never", "color.uam=auto"), ("color.uam=true",), ("color.uam=",),
    ):  # fmt: skip
        given = {"GIT_CONFIG_COUNT": str(len(how))}
        for number, (key, _, value) in enumerate(one.partition("=") for one in how):
            given |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        with environment({**stocked.env, **given, "TERM": "xterm"}):
            git = HotGit(stocked.paths.git_dir, stocked.top)  # which keeps the environment that it begins with
            settings = Settings.read(git)
            for terminal in (True, False):
                told = git.run("config", "--get-colorbool", "color.uam", str(terminal).lower()).text
                assert wanted(settings, "color.uam", terminal) == (told == "true"), how


@pytest.mark.slow
def test_what_is_long_goes_through_the_pager_of_git_which_may_be_quit_early(busy: Scene) -> None:
    pager = script(busy.root / "pager", f'echo "$LESS $LV $GIT_PAGER_IN_USE" >"{busy.root}/seen"; sed "s/^/> /"\n')
    busy.git("config", "core.pager", str(pager))
    for command in (["log"], ["log", "1"], ["show", "1"], ["stats"], ["status", "--all"]):
        terminal = Terminal(busy, [*UAM, *command], 80, out=True)
        assert terminal.end()[0] == 0
        assert all(line.startswith("> ") for line in terminal.shown.splitlines()), terminal.shown
        assert (busy.root / "seen").read_text() == "FRX -c true\n"
    assert "> " not in said(busy, "log")
    assert "> " not in shown(busy, "status", GIT_PAGER=str(pager))
    assert "> " not in shown(busy, "git", "--no-pager", "uam", "log", GIT_PAGER=str(pager))
    change(
        busy,
        "WITH RECURSIVE n (i) AS (SELECT 5 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO deploy_batches"
        " (id, number, created_at, status) SELECT 'batch-' || i, i, '2026-01-01T00:00:00.000Z', 'completed' FROM n",
    )
    assert shown(busy, "log", GIT_PAGER="head -n 1", NO_COLOR="1") == "batch 3000 completed\r\n"
    assert "Traceback" not in shown(busy, "log", GIT_PAGER="/nowhere/pager")


def test_a_line_is_taken_apart_between_words() -> None:
    def fitted(*parts: Part, width: int) -> list[str]:
        return ["".join(part.text for part in line) for line in fitted_to(parts, width)]

    said = Part("failed:  ann: conflict in a/very/long/name/of-a-file with the work of bob; `git uam retry 7` does it")
    assert fitted(said, width=40) == [
        "failed:  ann: conflict in",
        "    a/very/long/name/of-a-file with the",
        "    work of bob; `git uam retry 7` does",
        "    it",
    ]
    # a word of several colours is one word, and wide letters take two columns
    parts = (Part("aaaa "), Part("bb", Tint.BAD), Part("cc"), Part(" 漢字漢字"))
    assert fitted(*parts, width=10) == ["aaaa bbcc", "  漢字漢字"]
    assert len_of("漢字") == 4
