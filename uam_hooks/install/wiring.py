"""The settings that install writes into the repository's config file, and the file as it would be without them.

git edits a private copy (`draft`), and the result replaces the file in one rename, under git's own `config.lock`.
Unsetting a key with git does not restore the old bytes, so the text before and after our edit is kept, and an
uninstall reverts that edit in the text, checked against what git reads from it.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import NamedTuple

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import GitFailed, Refused
from uam_hooks.hot.core.quoting import word
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.core.urls import SCHEME, SCHEMES, own_helper
from uam_hooks.install import configured
from uam_hooks.install.draft import Draft, draft_of

_SHIM = 'sh "$(git rev-parse --git-common-dir)"/uam/bin/'
# git answers `git uam --help` and `git help uam` with this text, so its first words say where help is. exec: the
# words make it a list, of which not every sh runs the last command in its own process.
COMMAND_ALIAS = ("alias.uam", f"!: for help, run: git uam help; exec {_SHIM}git-uam")
# run by every push, so git is not asked where the directory is at hand
HELPER_ALIAS = (
    "alias.remote-uam",
    '!d=${GIT_DIR:-.git}; [ -d "$d/uam" ] || d=$(git rev-parse --git-common-dir); sh "$d"/uam/bin/git-remote-uam',
)
_ALIASES = (COMMAND_ALIAS, HELPER_ALIAS)
# Every URL that is pushed to and that no pushurl and no longer pushInsteadOf decides: URLs on the command line, and
# remotes that are not wired yet.
CATCH_ALL = (f"url.{SCHEME}.pushInsteadOf", "")
# The same for URLs of a scheme, with the helper's alias for each.
CATCH_SCHEMES = (
    *((f"url.uam-{scheme}.pushInsteadOf", scheme) for scheme in SCHEMES),
    *((f"alias.remote-uam-{scheme.removesuffix('://')}", HELPER_ALIAS[1]) for scheme in SCHEMES),
)
EARLIER_ALIASES = (  # ours, too: an install replaces them
    ("alias.uam", f"!{_SHIM}git-uam"),
    ("alias.remote-uam", f"!{_SHIM}git-remote-uam"),
)
# The clone whose queue takes what is pushed here: a choice that ends with the install.
QUEUE = "uam.queue"
# In .git/uam: the config file as it would be without us, and as we wrote it.
BEFORE, AFTER = "config.before", "config.after"
_LOCK_PATIENCE = 3.0  # seconds; git gives up at once, but several agents may install at the same time


class Skipped(NamedTuple):
    """A remote that was not wired, and why."""

    remote: str
    why: str


@dataclass(frozen=True)
class Wired:
    """A config file's new text, the remotes that were wired by it, and those left alone.

    `hooks` says whether it names hooks of ours, for a git that has hooks from its config.
    """

    text: bytes
    remotes: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    hooks: bool


# -- the file ------------------------------------------------------------------------------------------


class ConfigFile:
    """The repository's config file while it is locked by us; `replace` may be called once."""

    def __init__(self, path: Path, lock: Path, descriptor: int) -> None:
        self.text = path.read_bytes() if path.exists() else b""
        self._path = path
        self._lock = lock
        self._descriptor = descriptor

    def replace(self, text: bytes) -> None:
        """Replace the text of the file atomically; its mode stays."""
        if self._path.exists():
            os.fchmod(self._descriptor, self._path.stat().st_mode & 0o7777)
        with os.fdopen(os.dup(self._descriptor), "wb") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        self._lock.replace(self._path)


@contextmanager
def config_file(repo: Repository) -> Iterator[ConfigFile]:
    """The repository's config file, locked as git locks it; raises Refused when another process holds the lock."""
    path = Path(os.path.realpath(repo.paths.common_dir / "config"))  # git also writes through a symlink
    lock = path.with_name(path.name + ".lock")
    deadline = time.monotonic() + _LOCK_PATIENCE
    while True:
        try:
            descriptor = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            break
        except FileExistsError:
            if time.monotonic() > deadline:
                raise Refused(
                    f"{lock} exists, so another git command is editing the config file.",
                    "Try again; when no git command is running, remove that file.",
                ) from None
            time.sleep(0.05)
    held = os.fstat(descriptor).st_ino
    try:
        yield ConfigFile(path, lock, descriptor)
    finally:
        os.close(descriptor)
        with suppress(FileNotFoundError):
            if lock.stat().st_ino == held:  # otherwise ours was renamed, and this lock belongs to another process
                lock.unlink()


# -- wiring -------------------------------------------------------------------------------------------


def refuse_foreign_aliases(repo: Repository, text: bytes) -> None:
    """Raise Refused when the config file has an alias with one of our names and another value."""
    with draft_of(repo, text) as draft:
        for key, _ in _ALIASES:
            if any((key, found) not in (*_ALIASES, *EARLIER_ALIASES) for found in draft.get(key)):
                raise Refused(
                    f"This repository has its own {key}.",
                    f"Rename it, or remove it with `git config --unset-all {word(key)}`.",
                )


def has_wired(uam: Path) -> bool | None:
    """Whether the install in `uam` has wired remotes, as it does without --hooks-only; None where that was not written
    down.
    """
    after = uam / AFTER
    return b"remote-uam" in after.read_bytes() if after.is_file() else None


def wired(
    repo: Repository, text: bytes, *, hooks_only: bool = False, hooks: bool | None = None, later: bool = False,
    queue: str | None = None,
) -> Wired:  # fmt: skip
    """The config `text` with our aliases and with every remote's pushes going through git uam.

    `hooks_only` adds only the alias for `git uam`. `hooks` says whether hooks of ours are named in it; None leaves
    that as it is. `later`, after the install, adds nothing that the shims of an earlier version do not know. `queue` is
    the clone whose queue takes the pushes: "" for none, None leaves that as it is. A text that is wired already is
    returned unchanged.
    """
    remotes: list[str] = []
    skipped: list[Skipped] = []
    settings = Settings.read(repo)
    with draft_of(repo, text) as draft:
        for name in [] if hooks_only else repo.run("remote").lines:
            if why := _unfit(repo, settings, draft, name):
                skipped.append(Skipped(name, why))
                if draft.get(f"remote.{name}.pushurl") == [SCHEME + name]:  # it was fit when it was wired
                    _unwire_remote(draft, f"remote.{name}")
            elif _wire_remote(repo, draft, name):
                remotes.append(name)
        ours = _ALIASES if later else (CATCH_ALL, *CATCH_SCHEMES, *_ALIASES)
        for key, value in [COMMAND_ALIAS] if hooks_only else ours:
            if draft.get(key) != [value]:
                draft.put(key, [value])
        if queue is not None and draft.get(QUEUE) != ([queue] if queue else []):
            draft.put(QUEUE, [queue] if queue else [])
        if hooks is not None:
            (configured.write if hooks else configured.erase)(draft)
        return Wired(draft.text, tuple(remotes), tuple(skipped), configured.named(draft))


def _unfit(repo: Repository, settings: Settings, draft: Draft, name: str) -> str:
    """Why pushes to the remote `name` cannot go through git uam; "" when they can."""
    if name.startswith("-") or repo.run("check-ref-format", f"refs/remotes/{name}/x", ok=(0, 1)).code != 0:
        return "its name is not one that git accepts for a remote"
    urls = repo.config(f"remote.{name}.url")
    if not urls:
        return "it has no URL"
    if any(url.startswith(SCHEME) for url in urls) or own_helper(settings, name):
        return "it has its own remote helper"
    if repo.config(f"remote.{name}.pushurl") != draft.get(f"remote.{name}.pushurl"):
        return "its pushurl is set outside this repository's config file, where git uam does not change it"
    return ""


def _wire_remote(repo: Repository, draft: Draft, name: str) -> bool:
    """Route pushes to `name` through git uam and record where they went; False when that is done already."""
    pushurl, remembered = f"remote.{name}.pushurl", f"remote.{name}.uam-pushurl"
    found, ours = draft.get(pushurl), SCHEME + name
    if found == [ours]:
        return False
    theirs = [url for url in found if not url.startswith(SCHEME)]
    if len(theirs) == len(found):
        real = theirs
    else:  # wired before, then renamed or given another URL: the real URLs stay the same
        real = draft.get(remembered)
        if theirs:
            real = (real or repo.config(f"remote.{name}.url")) + theirs
    if draft.get(remembered) != real:
        draft.put(remembered, real)
    draft.put(pushurl, [ours])
    return True


# -- unwiring ------------------------------------------------------------------------------------------


def unwired(repo: Repository, text: bytes, before: bytes | None, after: bytes | None) -> bytes:
    """The config `text` as it would be without git uam.

    `before` and `after` are the file around our last edit, None when they are lost. Where the lines that we added
    are unchanged, exactly they are removed; otherwise git unsets key by key.
    """
    if before is not None and text == after:
        return before
    unset = _unset(repo, text)
    if before is not None and after is not None:
        reverted = _reverted(before, after, text)
        if reverted is not None and _same(repo, reverted, unset):
            return reverted
    return unset


def _reverted(before: bytes, after: bytes, text: bytes) -> bytes | None:
    """`text` with the edit from `before` to `after` undone, or None when its place is ambiguous."""
    plain, edited = before.splitlines(keepends=True), after.splitlines(keepends=True)
    lines = text.splitlines(keepends=True)
    hunks = SequenceMatcher(None, plain, edited, autojunk=False).get_opcodes()
    for kind, i1, i2, j1, j2 in reversed(hunks):
        if kind == "equal":
            continue
        if j1 == j2 and j1 > 0:  # lines were removed: the line before them marks the place
            i1, j1 = i1 - 1, j1 - 1
        ours, theirs = edited[j1:j2], plain[i1:i2]
        places = [at for at in range(len(lines)) if ours and lines[at : at + len(ours)] == ours]
        if len(places) != 1:
            return None
        behind = lines[places[0] + len(ours) :]
        added = [line for line in ours if _is_header(line) and line not in theirs]
        if added and _goes_on(behind):  # somebody has added a setting to the section that we created
            theirs = [*theirs, added[-1]]
        if theirs and behind and not theirs[-1].endswith(b"\n"):
            theirs[-1] += b"\n"
        lines[places[0] :] = theirs + behind
    return b"".join(lines)


def _is_header(line: bytes) -> bool:
    return line.lstrip().startswith(b"[")


def _goes_on(lines: list[bytes]) -> bool:
    """Whether `lines` begin with a setting of the section that is open before them."""
    for line in lines:
        if _is_header(line):
            return False
        if line.strip() and not line.lstrip().startswith((b"#", b";")):
            return True
    return False


def _unwire_remote(draft: Draft, section: str) -> None:
    """Set the push URLs of a remote that were replaced by ours again."""
    found = draft.get(f"{section}.pushurl")
    theirs = [url for url in found if not url.startswith(SCHEME)]
    if theirs != found:  # else somebody has set another URL since, or none
        draft.put(f"{section}.pushurl", draft.get(f"{section}.uam-pushurl") + theirs)
    draft.unset(f"{section}.uam-pushurl")


def _same(repo: Repository, one: bytes, other: bytes) -> bool:
    """Whether git reads the same settings from both texts."""
    with suppress(GitFailed), draft_of(repo, one) as left, draft_of(repo, other) as right:
        return Counter(left.entries()) == Counter(right.entries())
    return False


def _unset(repo: Repository, text: bytes) -> bytes:
    """The config `text` with our keys unset by git, and the push URLs that they replaced set again."""
    with draft_of(repo, text) as draft:
        keys = [key.rpartition(".") for key, _ in draft.entries() if key.startswith("remote.")]
        for section in dict.fromkeys(section for section, _, name in keys if name.endswith("pushurl")):
            _unwire_remote(draft, section)
        draft.unset(QUEUE)
        for key, value in (*_ALIASES, *EARLIER_ALIASES, CATCH_ALL, *CATCH_SCHEMES):
            draft.unset(key, value)
        configured.erase(draft)
        return _without_headers(draft)


def _without_headers(draft: Draft) -> bytes:
    """The text without the headers of our own sections, which git leaves where a comment of somebody's follows."""
    used = {key.rpartition(".")[0] for key, _ in draft.entries()}
    urls = [SCHEME, *(f"uam-{scheme}" for scheme in SCHEMES)]
    ours = [*(("url", url) for url in urls), *(("hook", name) for name in configured.SECTIONS)]
    headers = {f'[{kind} "{name}"]'.encode() for kind, name in ours if f"{kind}.{name}" not in used}
    return b"".join(line for line in draft.text.splitlines(keepends=True) if line.strip() not in headers)
