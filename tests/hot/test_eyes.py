"""What is printed: nothing that acts on a terminal, no secret of a URL, and all of it by one module."""

from __future__ import annotations

import ast
import errno
import json
from pathlib import Path

import pytest

import uam_hooks
from tests.support.commands import call
from tests.support.landscape import write
from tests.support.scenes import Scene, script
from uam_hooks.hot.core.errors import GitFailed, GitNotStarted
from uam_hooks.hot.core.words import has_secret, redact, visible
from uam_hooks.hot.push.protocol import refused

# every form of git's urls (git-push(1)), the address of a remote helper among them, with a secret where one can stand
_WITH_SECRET = (
    "ssh://s3cr3t@host.xz/repo.git",
    "ssh://user:s3cr3t@host.xz:22/repo.git",
    "SSH://S3CR3T@host.xz/repo.git",
    "ssh://user:s3cr3t@[::1]:22/repo.git",
    "git+ssh://s3cr3t@host.xz/~user/repo.git",
    "ssh+git://s3cr3t@host.xz/repo.git",
    "user:s3cr3t@host.xz:repo.git",
    "[user:s3cr3t@host.xz:22]:repo.git",
    "git://s3cr3t@host.xz:9418/repo.git",
    "https://s3cr3t@host.xz/repo.git",
    "https://user:s3cr3t@host.xz/repo.git",
    "https://user:s3cr3t@[::1]:8443/repo.git",
    "HTTPS://USER:S3CR3T@HOST.XZ/repo.git",
    "https://oauth2:s3cr3t@gitlab.com/group/repo.git",
    "https://x-access-token:s3cr3t@github.com/a/b",
    "https://user:s3/cr3t@host.xz/repo.git",
    "https://user:123/s3cr3t@host.xz/repo.git",
    "https://user:s3@cr3t@host.xz/repo.git",
    "https://user:a@b/s3cr3t@host.xz/repo.git",
    "https://user:s3'cr3t@host.xz/repo.git",
    "https://user:s3?cr3t#x@host.xz/repo.git",
    "https://user%3As3cr3t@host.xz/repo.git",
    "https%3A%2F%2Fuser%3As3cr3t%40host.xz%2Frepo.git",
    "https://host.xz/repo.git?private_token=s3cr3t",
    "https://host.xz/repo.git?a=1&access_token=s3cr3t&b=2",
    "https://host.xz/repo.git?private%5Ftoken=s3cr3t",
    "https://host.xz/repo.git#id_token=s3cr3t",
    "ftp://user:s3cr3t@host.xz/repo.git",
    "ftps://s3cr3t@host.xz/repo.git",
    "http::https://user:s3cr3t@host.xz/repo.git",
    "hg::user:s3cr3t@host.xz/repo",
    "ext::sh -c 'curl -H s3cr3t %S repo'",
    "http://host.xz/a@b,https://user:s3cr3t@host.xz/",
)
_WITHOUT = (
    "git@host.xz:repo.git",
    "ssh://git@host.xz:22/repo.git",
    "ssh://git@[::1]:22/repo.git",
    "https://host.xz:8443/repo.git?depth=1",
    "https://host.xz/@scope/repo@2",
    "git://host.xz/repo.git",
    "file:///srv/a@b/repo.git",
    "/srv/a@b/repo.git",
    "../repo.git",
    "uam::origin",
    "landed with ada@example.invalid@work: 2 commits",
)


def _pieces(text: str) -> list[str]:
    """The parts that a secret with a special character falls into."""
    return [piece for piece in ("s3cr3t", "cr3t", "s3") if piece in text.lower()]


@pytest.mark.parametrize("url", _WITH_SECRET)
def test_e3_a_url_in_any_form_keeps_no_secret(url: str) -> None:
    for text in (url, f"fatal: unable to access '{url}': The requested URL returned error: 403", f'see "{url}"'):
        assert _pieces(redact(text)) == [], redact(text)
        assert redact(redact(text)) == redact(text)
    assert has_secret(url)


@pytest.mark.parametrize("text", _WITHOUT)
def test_e3_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text
    assert not has_secret(text)


def test_e3_a_long_text_is_read_in_one_go() -> None:
    """No form of repetition makes the search go over the text again and again: this would take minutes."""
    for piece in ("://", "a:", "@", "'a:@", "%3a%2f%2f", "ext::", "?a=", "a::", "://a@"):
        redact(piece * 100_000)


@pytest.mark.parametrize("url", ["https://user:s3/cr3t@host.invalid/x", "ssh://s3cr3t@host.invalid/x"])
def test_e3_neither_status_nor_the_queue_has_the_secret_of_a_remote(scene: Scene, url: str) -> None:
    scene.git("config", "remote.origin.uam-pushurl", url)
    scene.git("config", "core.sshCommand", "sh -c 'echo s3cr3t@host.invalid: Permission denied. >&2; exit 255' ssh")
    scene.commit("a")
    done = scene.push(GIT_TERMINAL_PROMPT="0", http_proxy="http://127.0.0.1:9", https_proxy="http://127.0.0.1:9")
    assert done.code == 128
    scene.idle()
    said = scene.execute("git", "uam", "status", "--json")
    kept = b"".join(path.read_bytes() for path in scene.uam.glob("queue.db*"))
    # lines of git itself are not ours: it is asked for the remote's refs by URL
    shown = "".join(line for line in done.err.splitlines() if line.startswith(("uam:", " !")))
    for text in (shown, said.out, said.err, kept.decode("latin-1")):
        assert "cr3t" not in text
    assert "uam: origin did not answer: " in shown


def test_e3_a_url_that_is_cut_shows_no_secret() -> None:
    command = ["-c", f"remote.x.url=https://user:{'s3cr3t' * 20}@host.invalid/", "fetch", "x"]
    for error in (GitFailed(command, 1, "", "no"), GitNotStarted(command, OSError(errno.ENOMEM, "no"))):
        assert error.what.startswith("`git fetch https://***@host.invalid/` ")


# -- E2 ------------------------------------------------------------------------------------------------------

_EVIL = "a\x1b]0;owned\x07b\x9b31mc\u202ed\u2028e\x7f"


def _harmless(text: str) -> bool:
    return not any(c in text for c in "\x1b\x07\x9b\u202e\u2028\x7f\r")


def test_e2_what_acts_on_a_terminal_is_made_visible() -> None:
    assert visible(_EVIL) == "a?]0;owned?b?31mc?d?e?"
    assert visible("\x1b[31mred\x1b[0m\x1b[K\r\nnext\tone") == "red  next one"
    assert visible("one\r\ntwo\rthree\n", lines=True) == "one\ntwo\nthree\n"
    assert visible("\x1b\x1b[m[31m") == "?[31m"
    assert visible("caf\udcc3\udca9 \udcff") == "caf\\xc3\\xa9 \\xff"
    assert visible("Grüße, 日本, \N{FAMILY}") == "Grüße, 日本, \N{FAMILY}"


@pytest.mark.parametrize("why", ["up to date", "no match", "forced update", '"\\033[31mred"', ""])
def test_e2_no_reason_of_others_is_read_by_git_as_something_else(why: str) -> None:
    answer = refused("refs/heads/main", why)
    assert answer == f"error refs/heads/main ({why})"


def test_e2_a_remote_cannot_make_a_refusal_look_like_success(scene: Scene) -> None:
    script(scene.remote / "hooks" / "update", "exit 1\n")
    scene.git("config", "remote.origin.uam-pushurl", str(scene.remote))
    scene.commit("a")
    assert scene.push().code == 1


def test_e2_subjects_agents_and_sideband_reach_no_terminal(scene: Scene) -> None:
    script(scene.remote / "hooks" / "pre-receive", f"printf '%s\\n' '{_EVIL}' >&2\nexit 1\n")
    scene.git("config", "user.name", _EVIL.replace("\u2028", ""))
    write(scene, "a", "a\n")
    scene.git("add", "a")
    scene.git("commit", "-q", "-m", f"Add {_EVIL}")
    done = scene.push(UAM_AGENT_ID=_EVIL)
    assert done.code == 1
    assert _harmless(done.err.replace("\x1b[K", "")), done.err
    for command in (("status",), ("log", "1"), ("batch", "--dry-run"), ("status", "--json"), ("log", "1", "--json")):
        shown = call(scene, *command)
        assert shown.code == 0
        assert _harmless(shown.out + shown.err), (command, shown.out)
        if "--json" in command:
            assert _harmless(str(json.loads(shown.out)))


def test_e2_what_a_squash_says_is_harmless_and_the_originals_stay(scene: Scene) -> None:
    scene.git("config", "uam.squash", "true")
    for name in "ab":
        write(scene, name, f"{name}\n")
        scene.git("add", name)
        scene.git("commit", "-q", "-m", f"Add {name} {_EVIL}")
    tip = scene.oid("HEAD")
    assert scene.push().code == 0
    message = scene.bare.git("log", "-1", "--format=%B", "main")
    assert "Add b a?]0;owned?b" in message
    assert _harmless(message)
    assert _EVIL.split("\u2028")[0] in scene.git("log", "-1", "--format=%B", tip)
    number = scene.rows("deploy_batches")[0]["id"]
    for more in ((), ("--json",)):
        shown = call(scene, "show", str(number), *more)
        assert shown.code == 0
        assert _harmless(shown.out)
        if more:
            assert _harmless(str(json.loads(shown.out)))


def test_e2_the_output_of_a_deploy_is_shown_harmless_and_kept_as_it_is(scene: Scene) -> None:
    command = script(scene.root / "deploy", f"printf '%s\\n' '{_EVIL}' 'second line'\n")
    scene.git("config", "uam.deploy.x.command", str(command))
    scene.git("config", "uam.window.deploy", "0")
    assert scene.execute("git", "uam", "queue", "--action-type", "deploy", "--target", "x").code == 0
    scene.idle()
    shown = call(scene, "log", "1")
    assert _harmless(shown.out)
    assert shown.out.splitlines()[-1] == "second line"
    assert _harmless(str(json.loads(call(scene, "log", "1", "--json").out)))
    assert _EVIL.encode() in scene.paths.log_of(1).read_bytes()


# -- the one way out -----------------------------------------------------------------------------------------

# who prints besides words.py, and why that is harmless
_EXCEPTIONS = {
    "demo/agent.py": "speaks JSON with the demo, its own parent process",
    "cli/pager.py": "lets what is printed go to the pager",
    "cli/screen.py": "asks how wide the terminal is; its cells and lines have been seen by words.visible",
    "cli/watch.py": "asks the terminal, and flushes; what it shows comes from screen",
    "page/written.py": "the page, in which everything is escaped",
    "cli/program.py": "JSON, in which words.visible has seen each text",
    "cli/demo.py": "a table of cells that words.visible has seen",
    "cli/__init__.py": "closes stderr; what click says of an error goes to words.complain",
    "flush/flusher.py": "a traceback of its own, into flush.log",
    "hot/push/voice.py": "a live line that words.visible has seen",
    "hot/push/remote_helper.py": "git's protocol",
    "hot/push/wired_push.py": "flushes",
    "hot/push/entry.py": "flushes",
    "hot/core/words.py": "prints",
}
_PRINTS = {"print", "echo", "secho", "Console", "print_exc", "excepthook", "showwarning"}


def _printing(tree: ast.AST) -> bool:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("sys.stdout", "sys.stderr"):
            return True
        if isinstance(node, ast.Call):
            called = node.func
            if (called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")) in _PRINTS:
                return True
    return False


def test_e2_everything_is_printed_by_one_module() -> None:
    package = Path(uam_hooks.__file__).parent
    found = {str(path.relative_to(package)) for path in package.rglob("*.py") if _printing(ast.parse(path.read_text()))}
    assert found == set(_EXCEPTIONS)
