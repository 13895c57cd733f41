"""What the hooks of a remote say comes through to whoever pushed, as from git itself."""

from __future__ import annotations

import json

import pytest

from tests.support.landscape import by_hand, queue
from tests.support.queueing import WINDOW, due_now
from tests.support.scenes import Done, Scene, script, until
from uam_hooks.git.said import HALF_LINES, LINE_CHARACTERS, LIVE_LINES, RemoteWords
from uam_hooks.hot.core.sideband import LEFT_OUT
from uam_hooks.hot.queue.outcome import Outcome

LINK = "https://forge.invalid/pull/new/main?x=%5Bsource%5D"
FROM_HOOK = ["", "Create a pull request:", f"      {LINK}", ""]
_SAY = f"echo; echo 'Create a pull request:'; printf '      %s\\n' '{LINK}'; echo\n"


def said(done: Done) -> list[str]:
    """The lines of stderr that git prints for a remote, without their prefix."""
    return [line.removeprefix("remote: ").rstrip() for line in done.err.splitlines() if line.startswith("remote: ")]


def hook(scene: Scene, name: str, text: str) -> None:
    script(scene.remote / "hooks" / name, text)


@pytest.mark.parametrize("uam", ["", "off"])
def test_h9_what_hooks_say_of_a_push_that_landed_comes_through_as_from_plain_git(scene: Scene, uam: str) -> None:
    hook(scene, "post-receive", _SAY)
    scene.commit("a")
    done = scene.push(**({"UAM": uam} if uam else {}))
    assert done.code == 0
    assert said(done) == FROM_HOOK
    assert done.err.index("remote: ") < done.err.index("To uam::origin")


def test_h9_a_rejection_has_the_reason_of_git_and_the_words_of_the_hook_beside_it(scene: Scene) -> None:
    hook(scene, "pre-receive", "for n in 1 2 3 4; do echo line $n >&2; done\nexit 1\n")
    scene.commit("a")
    done = scene.push()
    assert done.code == 1
    assert said(done) == ["line 1", "line 2", "line 3", "line 4"]
    assert " ! [remote rejected] main -> main (pre-receive hook declined)\n" in done.err
    plain = scene.push(UAM="off")
    assert said(plain) == said(done)


def test_h9_refs_that_were_pushed_together_hear_it_once(scene: Scene) -> None:
    hook(scene, "post-receive", _SAY)
    scene.commit("a")
    done = scene.push("--atomic", "origin", "main", "HEAD:refs/heads/topic")
    assert (done.code, said(done)) == (0, FROM_HOOK)


def test_h9_who_comes_back_later_hears_it_too_and_show_has_it(scene: Scene) -> None:
    hook(scene, "post-receive", _SAY)
    by_hand(scene)
    scene.commit("a")
    queue(scene)
    number = scene.rows("sources")[0]["action_id"]
    done = scene.run("uam", "flush")
    assert [line.partition("remote: ")[2] for line in done.out.splitlines() if "remote: " in line] == FROM_HOOK
    waited = scene.run("uam", "wait", str(number))
    assert (waited.code, said(waited)) == (0, FROM_HOOK)
    shown = scene.git("uam", "show", "1").splitlines()
    assert [line.removeprefix("  remote: ") for line in shown if line.startswith("  remote: ")] == FROM_HOOK
    assert json.loads(scene.git("uam", "show", "1", "--json"))["landings"][0]["remote_said"] == FROM_HOOK


def test_h9_the_next_push_says_what_was_said_of_one_whose_wait_was_over(scene: Scene) -> None:
    scene.git("config", "uam.window.push", WINDOW)
    scene.git("config", "uam.push.waitTimeout", "300ms")
    hook(scene, "pre-receive", "echo frozen until Friday\nexit 1\n")
    scene.commit("a")
    assert scene.push().code == 1
    due_now(scene)
    until(lambda: scene.pushed() == ["failed"], "the rejection")
    scene.git("config", "uam.push.waitTimeout", "40s")
    scene.git("config", "uam.window.push", "50ms")
    hook(scene, "pre-receive", "exit 0\n")
    done = scene.push()
    assert (done.code, said(done)) == (0, ["frozen until Friday"])
    assert "  remote: frozen until Friday" in scene.git("uam", "show", "1").splitlines()


def test_h9_words_of_a_hook_act_on_no_terminal_and_keep_no_secret(scene: Scene) -> None:
    hook(scene, "post-receive", "printf '\\033]0;title\\007\\342\\200\\256 https://me:pa55@host.invalid/x\\n'\n")
    scene.commit("a")
    done = scene.push()
    assert said(done) == ["?]0;title?? https://***@host.invalid/x"]
    assert "pa55" not in scene.rows("sources")[0]["outcome"]


def test_h9_much_is_kept_within_bounds(scene: Scene) -> None:
    hook(scene, "post-receive", "i=0; while [ $i -lt 9000 ]; do i=$((i + 1)); echo $i; done\n")
    scene.commit("a")
    last = [LEFT_OUT, *(str(n) for n in range(9001 - HALF_LINES, 9001))]
    assert said(scene.push()) == [*(str(n) for n in range(1, LIVE_LINES + 1)), *last]
    kept = json.loads(scene.git("uam", "show", "1", "--json"))["landings"][0]["remote_said"]
    assert kept == [*(str(n) for n in range(1, HALF_LINES + 1)), *last]


def test_h9_lines_are_what_a_terminal_would_show() -> None:
    nothing = "remote:         \r"
    err = (
        "remote: \n"
        "remote:  10%\rremote:  90%\rremote: done        \n"
        "remote: from Windows        \rremote: \n"
        "To somewhere\n"
        "remote: a\u2028b\x0cc  \n"
        f"remote: {'x' * 200_000}        \n"
        f"remote: {'y' * 80_000}\rremote: z        \r{nothing * 9000}\n"
        "remote: no end"
    ).encode()
    expected = (
        "", "done", "from Windows", "a\u2028b\x0cc  ", f"{'x' * (LINE_CHARACTERS - 3)}...", "z", "no end",
    )  # fmt: skip
    for size in (7, 1000, len(err)):
        told: list[str] = []
        words = RemoteWords(told.append)
        for start in range(0, len(err), size):
            words.hear(err[start : start + size])
        assert told == list(expected[:-1])
        assert words.end() == expected == tuple(told)


def test_h9_an_outcome_of_an_earlier_version_says_nothing() -> None:
    assert Outcome.parse('{"ref": "refs/heads/main", "new": "1"}').said == ()
    assert Outcome.parse(Outcome(said=("a", "b")).text()).said == ("a", "b")


def test_h9_what_is_said_beside_the_protocol_comes_through(scene: Scene) -> None:
    """git's own t5504.24: what ssh, or a program on the other side, prints on its stderr."""
    other = script(scene.root / "receive", 'echo "warning: from beside" >&2\nexec git-receive-pack "$@"\n')
    scene.git("config", "remote.origin.receivepack", str(other))
    scene.commit("a")
    done = scene.push()
    assert (done.code, said(done)) == (0, ["warning: from beside"]), done
