"""What the shells complete, asked of the shells: `git uam st<TAB>`, and ids with what they are."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.commands import UAM, asked, call, commit
from tests.support.scenes import Scene

SCRIPTS = Path(__file__).parents[2] / "docs" / "completion"
OF_GIT = Path("/usr/share/bash-completion/completions/git")


def run(scene: Scene, *command: str, at: Path | None = None) -> list[str]:
    env = {**scene.env, "PATH": f"{Path(UAM[0]).parent}{os.pathsep}{scene.env['PATH']}"}
    done = subprocess.run(command, cwd=at or scene.top, env=env, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


def asks(scene: Scene, *words: str, at: Path | None = None) -> list[str]:
    """What the program offers for the last of these words, as kind, value and help."""
    env = {**scene.env, "COMP_WORDS": " ".join(["git-uam", *words]), "COMP_CWORD": str(len(words))}
    done = subprocess.run(
        UAM, cwd=at or scene.top, env={**env, "_GIT_UAM_COMPLETE": "zsh_complete"}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]


def in_bash(scene: Scene, *line: str) -> list[str]:
    words = " ".join(f"'{word}'" for word in line)
    call_it = "__git_wrap__git_main" if line[0] == "git" else "_git_uam_itself git-uam"
    script = (
        f". {OF_GIT}; . {SCRIPTS}/git-uam.bash; COMP_WORDS=({words}); COMP_CWORD={len(line) - 1};"
        f" COMP_LINE='{' '.join(line)}'; COMP_POINT=${{#COMP_LINE}}; {call_it}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    return run(scene, "bash", "--norc", "-c", script)


def in_zsh(scene: Scene, *line: str) -> list[str]:
    """zsh's own completion of git hands over the words from the command on."""
    words = " ".join(f"'{word}'" for word in (line[1:] if line[0] == "git" else line))
    script = (
        '_call_program() { shift; "$@" }; compadd() { print -l -- "${@[2,-1]}" };'
        ' _describe() { print -l -- "${(@P)@[-1]}" };'
        f" words=({words}); CURRENT=$#words; . {SCRIPTS}/_git-uam"
    )
    return run(scene, "zsh", "-f", "-c", script)


def in_fish(scene: Scene, *line: str) -> list[str]:
    script = f"source {SCRIPTS}/git-uam.fish; complete -C '{' '.join(line)}'"
    return [one.replace("\t", ":") for one in run(scene, "fish", "--no-config", "-c", script)]


SHELLS: dict[str, Callable[..., list[str]]] = {"bash": in_bash, "zsh": in_zsh, "fish": in_fish}


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> Callable[..., list[str]]:
    name = request.param
    if not shutil.which(name):
        pytest.skip(f"there is no {name} here")
    if name == "bash" and not OF_GIT.exists():
        pytest.skip("git's completion for bash is not here")
    return SHELLS[name]


def offered(lines: list[str]) -> set[str]:
    """What is offered, without what it is."""
    return {line.partition(":")[0] for line in lines}


def test_shells_complete_commands_options_and_ids(scene: Scene, shell: Callable[..., list[str]]) -> None:
    scene.git("branch", "topic")
    first = commit(scene, "a")
    second = asked(scene, "commit", "topic", "--message", "Mend: the 'b'\n\nAt last.", "--files", "a")
    # whether fish hands on what follows `git uam` depends on its version
    for program in (("git-uam",), *([] if shell is in_fish else [("git", "uam")])):
        assert offered(shell(scene, *program, "st")) == {"stats", "status"}
        assert offered(shell(scene, *program, "status", "--al")) == {"--all"}
    assert offered(shell(scene, "git-uam", "config", "uam.push.mo")) == {"uam.push.mode"}
    ids = shell(scene, "git-uam", "cancel", "")
    assert len(ids) == 2
    assert any(line.startswith(f"{first}") and "pending commit main Add a" in line for line in ids), ids
    assert any(line.startswith(f"{second}") and "Mend" in line and "At last" not in line for line in ids), ids


def test_ids_are_those_that_the_command_takes(scene: Scene) -> None:
    scene.git("branch", "topic")
    first = commit(scene, "a")
    second = asked(scene, "commit", "topic", "--message", "m", "--files", "a")
    assert call(scene, "cancel", str(first)).code == 0
    assert asks(scene, "cancel", "")[1::3] == [str(second)]
    assert asks(scene, "retry", "")[1::3] == [str(first)]
    assert asks(scene, "log", "")[1::3] == [str(second), str(first)]
    assert asks(scene, "cancel", str(second), "") == []
    assert asks(scene, "config", "uam.push.mode", "")[1::3] == ["wait", "queue", "manual"]
    assert asks(scene, "config", "uam.window.push", "") == asks(scene, "config", "nonsense", "") == []
    assert asks(scene, "help", "wa")[1::3] == ["wait"]


def test_nothing_is_offered_and_nothing_is_made_where_there_is_no_queue(scene: Scene) -> None:
    elsewhere = scene.root / "elsewhere"
    elsewhere.mkdir()
    assert asks(scene, "cancel", "", at=elsewhere) == []
    scene.outside.git("init", "-q", str(elsewhere))
    before = sorted(elsewhere.rglob("*"))
    assert asks(scene, "cancel", "", at=elsewhere) == asks(scene, "show", "", at=elsewhere) == []
    assert sorted(elsewhere.rglob("*")) == before
    scene.paths.database.write_bytes(b"no database" * 100)
    assert asks(scene, "cancel", "") == []
