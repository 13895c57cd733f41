"""Row 13 of the faults of the tool before this one: what comes from outside is a plain name, or is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.deploys import noting
from tests.support.landscape import write
from tests.support.queueing import batcher
from tests.support.scenes import Scene
from uam_hooks.hot.core.errors import UsageError


@pytest.fixture
def guarded(quiet: Scene) -> Iterator[Scene]:
    """A scene with something to lose; at the end all of it must be there, and nothing have been run."""
    quiet.git("push", "-q", "origin", "main:victim", UAM="off")
    quiet.git("branch", "topic")
    (quiet.root / "outside.txt").write_text("not in the repository\n")
    write(quiet, "secret.env", "TOKEN=1\n")
    write(quiet, "src/a.ts", "// a\n")
    noting(quiet, "prod", 'echo ran >>"$log"')
    before = quiet.bare.git("for-each-ref"), quiet.git("diff", "--cached", "--name-only")
    yield quiet
    assert (quiet.bare.git("for-each-ref"), quiet.git("diff", "--cached", "--name-only")) == before
    for place in (quiet.root, quiet.top, quiet.remote, quiet.home):
        assert not (place / "INJECTED").exists()


_TOUCH = "touch INJECTED"
_REMOTES = (
    f"--receive-pack={_TOUCH}", f"--upload-pack={_TOUCH}", f"--exec={_TOUCH}", f"ext::sh -c {_TOUCH}", "-o", "--mirror",
    "--delete", "--all", "origin main:victim", "../origin.git", "file:///tmp/else.git", "", "ori\ngin", "nowhere", "*",
)  # fmt: skip
_BRANCHES = (
    ":victim", "main:victim", "+main:victim", "+main", "--delete", "-d", "--mirror", "--all", "--force", "main victim",
    "main\nvictim", "refs/heads/*:refs/heads/*", "*", "main..topic", "@{u}", "main^", "main~1", "../victim", "a..b",
    "HEAD", "x.lock", "/main", "main/", "a//b", "", "@", f"--receive-pack={_TOUCH}", "main\x7f", "a\\b",
)  # fmt: skip
_FILES = (
    "-A", "--all", "-f", "--pathspec-from-file=../outside.txt", ".", "*", "*.env", ":/", ":(glob)**", ":!src", "src",
    "src/", "src/*", "../outside.txt", "/etc/passwd", ".git/config", ".GIT/config", "src/../.git/config",
    "a/.git/hooks/x", "src/../../outside.txt", "", "a\nb", "gone.txt", "\0",
)  # fmt: skip
_WORKFLOWS = ("--repo=evil/repo", "-R", "-R evil/repo", "--json", "", "a\nb", "a\x1b[2Jb")
_INPUTS: tuple[Any, ...] = (
    {"a=b": "c"}, {"-f": "x"}, {"--raw-field": "x"}, {"": "x"}, {"a\nb": "x"}, {"a b": "x"}, {"a": "x\0y"}, ["a"],
    "a=b",
)  # fmt: skip
_SOURCES = (
    "--upload-pack=x", "-X", "-Xours", "--exec=x", f"--output={_TOUCH}", "", "nowhere", "main:README", "topic..main",
    "topic main", "topic\nmain", ":/Begin", "@{u}", "topic^", "*", "-",
)  # fmt: skip
_DEPLOYS = (
    f"prod; {_TOUCH}", f"$({_TOUCH})", f"`{_TOUCH}`", "prod prod", "--help", "-x", "../prod", "/bin/true", ".", "..",
    "", "prod\n", "prod.command", "a=b", "unknown", "prod/../prod", "prod\0",
)  # fmt: skip
_AGENTS = ("", "a\nb", "a\0b", "\x1b[31mred", "a\rb", "a\x7f", "a\u2028b", "a\u202eb", "a\tb")


def _not_branches(kind: str, payload: dict[str, Any]) -> list[str]:
    """What is no branch. `+main` could be one to git, where nobody asks whether there is one here."""
    elsewhere = kind == "workflow" or "pr" in payload
    return [branch for branch in _BRANCHES if branch != "+main" or not elsewhere]


def _attacks() -> Iterator[Any]:
    """Every request that has to be refused: type, target, payload, agent."""
    for kind, target, more in (
        ("push", "main", {}), ("merge", "main", {"source": "topic", "push": True}), ("workflow", "test.yml", {}),
        ("merge", "main", {"pr": 1}), ("deploy", "prod", {}),
    ):  # fmt: skip
        for remote in _REMOTES:
            if remote or kind == "push":
                yield pytest.param(kind, target, {**more, "remote": remote}, "agent", id=f"{kind}-remote-{remote!r}")
    for kind, payload in (
        ("push", {}), ("push", {"force": True}), ("commit", {"message": "m", "files": ["src/a.ts"]}),
        ("merge", {"source": "topic"}), ("merge", {"pr": 1}),
    ):  # fmt: skip
        for branch in _not_branches(kind, payload):
            yield pytest.param(kind, branch, payload, "agent", id=f"{kind}-{'-'.join(payload)}-target-{branch!r}")
    for name in _FILES:
        files = {"message": "m", "files": ["src/a.ts", name]}
        yield pytest.param("commit", "main", files, "agent", id=f"file-{name!r}")
    for name in _WORKFLOWS:
        yield pytest.param("workflow", name, {"ref": "main"}, "agent", id=f"workflow-{name!r}")
    for branch in _not_branches("workflow", {}):
        if branch != "HEAD":
            yield pytest.param("workflow", "test.yml", {"ref": branch}, "agent", id=f"workflow-ref-{branch!r}")
            yield pytest.param("deploy", "prod", {"ref": branch}, "agent", id=f"deploy-ref-{branch!r}")
    for inputs in _INPUTS:
        yield pytest.param("workflow", "test.yml", {"inputs": inputs}, "agent", id=f"inputs-{inputs!r}")
    for source in _SOURCES:
        yield pytest.param("merge", "main", {"source": source}, "agent", id=f"source-{source!r}")
    for number in (0, -1, "1; x", "--admin", "1 --admin", True, "", 1.5, "https://evil.invalid/pull/1"):
        yield pytest.param("merge", "main", {"pr": number}, "agent", id=f"pr-{number!r}")
    for method in ("--admin", "squash --admin", "-d", "octopus"):
        yield pytest.param("merge", "main", {"pr": 1, "method": method}, "agent", id=f"method-{method!r}")
        yield pytest.param("merge", "main", {"source": "topic", "strategy": method}, "agent", id=f"strategy-{method!r}")
    for name in _DEPLOYS:
        yield pytest.param("deploy", name, {}, "agent", id=f"deploy-{name!r}")
    for agent in _AGENTS:
        yield pytest.param("push", "main", {}, agent, id=f"agent-{agent!r}")
    for options in (["a\nb"], ["a\0b"], "ci.skip", [1]):
        yield pytest.param("push", "main", {"push_options": options}, "agent", id=f"push_options-{options!r}")
    for message in ("", " \n", "a\0b", None, 7):
        yield pytest.param("commit", "main", {"message": message}, "agent", id=f"message-{message!r}")


ATTACKS = list(_attacks())


def test_row_13_nothing_that_is_not_a_plain_name_gets_in(guarded: Scene) -> None:
    # A remote `--receive-pack=touch X` ran a command, a target `:victim` deleted a branch, a file `-A` staged all.
    taken = []
    with batcher(guarded) as queue:
        for attack in ATTACKS:
            kind, target, payload, agent = attack.values
            try:
                queue.queue(agent, kind, target, payload)
            except UsageError as error:
                # what is printed for people must not act on their terminal
                assert "\x1b" not in error.what
                assert "\n" not in error.what
                continue
            except Exception as error:
                taken.append(f"{attack.id}: {error!r}")
                continue
            taken.append(attack.id)
        assert taken == []
        assert guarded.rows("deploy_queue") == []
        assert queue.flush_all() == []
    assert len(guarded.pushes()) == 1  # the one that made the victim


def test_row_13_strange_names_that_are_true_are_taken_literally(quiet: Scene) -> None:
    # git allows these names of branches and files. They arrive as what they are, and nothing is run or matched.
    files = [
        "-A", "*", ":(glob)**", ":!README", "--all", "a b", "$(touch INJECTED)", "src/`touch INJECTED`", "ünï", '"a"',
    ]  # fmt: skip
    branches = ["+main", "$(touch${IFS}INJECTED)", "a;touch", "a|b&c", "'quoted'", "refs/heads/main"]
    for name in [*files, "secret.env", "a"]:
        write(quiet, name, f"{name}\n")
    for branch in branches:
        quiet.git("update-ref", f"refs/heads/{branch}", "HEAD")
    with batcher(quiet) as queue:
        queue.queue("--admin", "commit", "main", {"message": "--amend -F/etc/passwd", "files": files})
        queue.queue("$(touch INJECTED)", "push", "main")
        for branch in branches:
            name = "refs/heads/refs/heads/main" if branch == "refs/heads/main" else branch
            queue.queue("agent", "push", name)
        results = queue.flush_all()
    assert [result.errors for result in results] == [()] * len(results)
    there = quiet.bare.git("ls-tree", "-r", "-z", "--name-only", "main").split("\0")[:-1]
    assert sorted(there) == sorted(["README", *files])
    assert {name: quiet.bare.git("show", f"main:{name}") for name in files} == {name: name for name in files}
    assert quiet.landed() == ["--amend -F/etc/passwd"]
    refs = quiet.bare.git("for-each-ref", "--format=%(refname)").splitlines()
    assert sorted(refs) == sorted(["refs/heads/main", *(f"refs/heads/{branch}" for branch in branches)])
    for place in (quiet.root, quiet.top, quiet.remote):
        assert not (place / "INJECTED").exists()


def test_row_13_push_options_are_options_of_the_push_alone(guarded: Scene) -> None:
    # They come from outside as well, and may look like options of git.
    with batcher(guarded) as queue:
        guarded.commit("a.txt")
        queue.queue("agent", "push", "main", {"push_options": [f"--receive-pack={_TOUCH}", "--delete"]})
        (result,) = queue.flush_all()
    assert not result.success  # this remote takes no push options at all
    assert "push options" in " ".join(result.errors)
