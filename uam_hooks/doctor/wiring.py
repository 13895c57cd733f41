"""Hooks, ours and first; aliases and remotes, as the install has written them; and the values of settings."""

from __future__ import annotations

import os
from collections.abc import Iterator

from uam_hooks.doctor.finding import Code, Finding, Fix, error, warning
from uam_hooks.doctor.seen import Seen
from uam_hooks.hot.core.errors import Advice, Refused, UsageError
from uam_hooks.hot.core.urls import unwired
from uam_hooks.install.configured import asked_for
from uam_hooks.install.displaced import displaced
from uam_hooks.install.hookdir import RECORD, Record, hooks_directory
from uam_hooks.install.hookfile import HOOKS, State, shipped_dir, state_of
from uam_hooks.install.wiring import CATCH_ALL, CATCH_SCHEMES, COMMAND_ALIAS, EARLIER_ALIASES, HELPER_ALIAS

_AGAIN = Advice.of("Run {}.", "git", "uam", "install")


def check_installed(seen: Seen) -> Iterator[Finding]:
    """What says that the tool is enabled here is there as a whole."""
    if seen.installed is None:
        yield error(
            Code.HALF_INSTALLED, str(seen.paths.env_file),
            "It is not there, so hooks do nothing, and pushes to a remote that is wired fail or go straight.",
            Advice.of("Run {}, or `git uam uninstall` to take out what is left.", "git", "uam", "install"), Fix.INSTALL,
        )  # fmt: skip


def check_hooks(seen: Seen) -> Iterator[Finding]:
    """The hooks of the install are where git starts them, and are ours."""
    for one in displaced(seen.repo):
        aside = f" Ours lies in {', '.join(one.aside)}." if one.aside else ""
        yield error(
            Code.HOOK_DISPLACED, one.hook,
            f"git does not start our hook: {one.instead.rstrip('.')}.{aside} {_WITHOUT[one.hook]}", _AGAIN, Fix.INSTALL,
        )  # fmt: skip
    record = Record.read(seen.paths.uam)
    try:
        directory = hooks_directory(seen.repo)
    except Refused:  # its hooks are among the files of a worktree, where there is none of ours
        return
    if record is None and any(state_of(directory / name, name, None) is State.OURS for name in HOOKS):
        yield warning(
            Code.HALF_INSTALLED, str(seen.paths.uam / RECORD),
            "What an uninstall has to know of our hooks cannot be read.", _AGAIN, Fix.INSTALL,
        )  # fmt: skip
    for name, known in (record.sums if record else {}).items():
        hook = directory / name
        if state_of(hook, name, known) is not State.OURS:
            continue
        if not os.access(hook, os.X_OK):
            yield error(
                Code.HOOK_IGNORED, name, f"git ignores our hook, which is not executable. {_WITHOUT[name]}", _AGAIN,
                Fix.INSTALL,
            )  # fmt: skip
        elif hook.read_bytes() != (shipped_dir() / name).read_bytes() and not seen.of_others:
            yield warning(Code.HOOK_CHANGED, name, "It is the hook of another version.", _AGAIN, Fix.INSTALL)
    for name in asked_for(seen.repo):
        if not (seen.paths.uam / "hooks" / name).is_file():
            yield error(
                Code.HOOK_IGNORED, name, f"git's config names our hook, and it is not there. {_WITHOUT[name]}",
                _AGAIN, Fix.INSTALL,
            )  # fmt: skip


_WITHOUT = {
    "pre-commit": "Without it a landing may move a branch in the middle of a commit on it.",
    "post-commit": "Without it commits are not noted before they are pushed.",
    "post-rewrite": "Without it a push after an amend or a rebase is another work to us.",
    "pre-push": "Without it pushes to a remote that is not wired go straight.",
}


def check_aliases(seen: Seen) -> Iterator[Finding]:
    """The aliases by which git finds us, and what catches pushes to URLs."""
    local = _local(seen)
    for key, value in (COMMAND_ALIAS, *([HELPER_ALIAS] if seen.wired else [])):
        has = local.get(key, [])
        if has == [value]:
            continue
        means = "Pushes to every remote that is wired fail." if key == HELPER_ALIAS[0] else "`git uam` is not found."
        if len(has) == 1 and (key, has[0]) in EARLIER_ALIASES:
            yield warning(Code.ALIAS_CHANGED, key, "It is that of an earlier version.", _AGAIN, Fix.INSTALL)
        elif not has:
            yield error(Code.ALIAS_CHANGED, key, f"It is not in the config file. {means}", _AGAIN, Fix.INSTALL)
        else:
            yield error(
                Code.ALIAS_CHANGED, key, f"The config file gives it another value. {means}",
                Advice.of(
                    "Rename it, or remove it with {}, and run `git uam install`.", "git", "config", "--unset-all", key
                ),
            )  # fmt: skip
    if seen.wired and CATCH_ALL[1] not in local.get(CATCH_ALL[0].lower(), []):
        yield warning(
            Code.CATCH_ALL_MISSING, CATCH_ALL[0],
            "It is not in the config file, so pushes to a URL, and to remotes that are not wired, go straight.",
            _AGAIN, Fix.INSTALL,
        )  # fmt: skip
    for key in [key for key, value in CATCH_SCHEMES if seen.wired and value not in local.get(key.lower(), [])]:
        yield warning(
            Code.CATCH_ALL_MISSING, key,
            "It is not in the config file, so git shows the password that somebody pushes to a URL with.",
            _AGAIN, Fix.INSTALL,
        )  # fmt: skip
    for remote in unwired(seen.settings):
        if seen.repo.config(f"remote.{remote}.pushurl") == local.get(f"remote.{remote}.pushurl", []):
            yield warning(
                Code.REMOTE_NOT_WIRED, remote, "Its pushurl is not ours, so pushes to it miss the wired door.",
                "Run any command, as `git uam status`.", Fix.WIRE,
            )  # fmt: skip


def check_settings(seen: Seen) -> Iterator[Finding]:
    """Every setting that is written down can be read."""
    listed = seen.repo.run("config", "-z", "--name-only", "--get-regexp", r"^uam\.", ok=(0, 1)).out
    for name in sorted(set(listed.decode("utf-8", "surrogateescape").split("\0")) - {""}):
        try:
            seen.settings.key(name)
        except UsageError as wrong:
            yield warning(
                Code.SETTING_WRONG, name, f"{wrong.what} So it changes nothing.",
                Advice.of("`git uam config` lists them; {} removes it.", "git", "config", "--unset", name),
            )  # fmt: skip
            continue
        try:
            seen.settings.values(name)
        except UsageError as wrong:
            yield error(Code.SETTING_WRONG, name, f"{wrong.what} What needs it fails.", wrong.do)


def _local(seen: Seen) -> dict[str, list[str]]:
    """What the repository's config file says itself, by key as git spells it."""
    path = seen.paths.common_dir / "config"
    out = seen.repo.run("config", "--file", str(path), "--no-includes", "-z", "--list").out
    found: dict[str, list[str]] = {}
    for entry in out.decode("utf-8", "surrogateescape").split("\0")[:-1]:
        name, newline, value = entry.partition("\n")
        found.setdefault(name, []).append(value if newline else "true")
    return found
