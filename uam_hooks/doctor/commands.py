"""Gates, deploys and CI: the commands that are configured are there, and what they need."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

from uam_hooks.doctor.finding import Code, Finding, error, warning
from uam_hooks.doctor.seen import Seen
from uam_hooks.gate.config import gates_of
from uam_hooks.hot.core import files
from uam_hooks.hot.core.errors import UsageError
from uam_hooks.hot.core.refs import short_target
from uam_hooks.hot.queue.ci import CiState, all_seen


def check_gates(seen: Seen) -> Iterator[Finding]:
    """The gates make sense together, and each has a command that is there."""
    try:
        gates = gates_of(seen.settings, seen.environ)
    except UsageError as wrong:
        yield error(Code.GATES_WRONG, "uam.gate", f"{wrong.what} Pushes that a gate guards wait.", wrong.do)
        return
    for gate in gates:
        yield from _there(seen, f"uam.gate.{gate.name}.command", gate.words, "Pushes that this gate guards wait.")
    if gates:
        yield from _there(seen, "uam.gate.setup", _words(seen, "uam.gate.setup"), "No slot for gates can be made.")


def check_slots(seen: Seen) -> Iterator[Finding]:
    """The slots in which gates run are directories of ours."""
    base = seen.paths.gates
    if not os.path.lexists(base):
        return
    for path in (base, *(sorted(base.iterdir()) if base.is_dir() and not base.is_symlink() else ())):
        if path.is_symlink() or not path.is_dir():
            yield error(
                Code.SLOT_ODD, str(path), "It is no directory of ours, so no gate runs in it.", "Remove it."
            )  # fmt: skip


def check_deploys(seen: Seen) -> Iterator[Finding]:
    """Each deploy that is configured has a command that is there."""
    listed = seen.repo.run("config", "-z", "--name-only", "--get-regexp", r"^uam\.deploy\..*\.command$", ok=(0, 1)).out
    for name in sorted(set(listed.decode("utf-8", "surrogateescape").split("\0")) - {""}):
        yield from _there(seen, name, _words(seen, name), "This deploy fails.")


def check_ci(seen: Seen) -> Iterator[Finding]:
    """What is to be asked about CI is there, and could answer when it was last asked."""
    try:
        how = seen.settings["uam.ci"]
    except UsageError:  # told by who checks the settings
        return
    if how == "gh" and shutil.which("gh", path=seen.environ.get("PATH")) is None:
        yield error(
            Code.CI_TOOL_MISSING, "gh", "uam.ci is gh, which is not on PATH, so CI counts as idle.",
            "Install gh, or set uam.ci to what can be asked.",
        )  # fmt: skip
    if how == "command":
        words = _words(seen, "uam.ci.command")
        if words:
            yield from _there(seen, "uam.ci.command", words, "CI counts as idle.")
        else:
            yield error(
                Code.CI_TOOL_MISSING, "uam.ci.command", "uam.ci is command, and there is none, so CI counts as idle.",
                "Set it with `git config uam.ci.command ...`.",
            )  # fmt: skip
    if seen.store is None or how == "off":
        return
    for remote, ref, sight in all_seen(seen.store):
        if sight.state is CiState.UNKNOWN:
            yield warning(
                Code.CI_UNKNOWN, f"{remote}/{short_target(ref)}",
                f"Whether CI works on it could not be told, which counts as idle: {sight.said}",
                "See that what uam.ci names can answer.",
            )  # fmt: skip


def check_notify(seen: Seen) -> Iterator[Finding]:
    """The command that is told of failures is there, and has not failed when it was last told."""
    words = _words(seen, "uam.notify.command")
    yield from _there(seen, "uam.notify.command", words, "Nobody is told of failures that nobody waits for.")
    failed = files.text_of(seen.paths.notify_failed) if words else None
    if failed:
        yield warning(
            Code.NOTIFY_FAILED, "uam.notify.command", f"It failed when it was last told of a failure: {failed.strip()}",
            f"See {seen.paths.logs / 'notify.log'}; it is forgotten when it has been told of one without failing.",
        )  # fmt: skip


def _words(seen: Seen, name: str) -> list[str]:
    try:
        found: list[str] = seen.settings[name]
    except UsageError:  # told by who checks the settings
        return []
    return found


def _there(seen: Seen, name: str, words: list[str] | tuple[str, ...], means: str) -> Iterator[Finding]:
    """A command that is a path in a tree is there or not in each commit; of others that can be told."""
    if not words or ("/" in words[0] and not os.path.isabs(words[0])):  # noqa: PTH117 - a word, and no path of ours
        return
    if shutil.which(words[0], path=seen.environ.get("PATH")) is None:
        yield error(
            Code.COMMAND_MISSING, name, f"Its program {words[0]} is not there. {means}",
            f"Install it, or set another one with `git config {name} ...`.",
        )  # fmt: skip
