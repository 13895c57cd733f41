"""All checks, in one look at a repository."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from uam_hooks.doctor import commands, database, elsewhere, entries, fleet, places, programs, refs, wiring
from uam_hooks.doctor.finding import Code, Finding, error
from uam_hooks.doctor.seen import Installed, Seen
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import Advice, GitFailed, NotInstalled, UamError
from uam_hooks.hot.core.identity import Identity, identity_of, key_of
from uam_hooks.hot.core.settings import Settings

Check = Callable[[Seen], Iterator[Finding]]

BEFORE: tuple[Check, ...] = (
    programs.check_git, wiring.check_installed, programs.check_program, wiring.check_aliases, wiring.check_settings,
)  # fmt: skip
# What lies in .git/uam, where there is one.
INSIDE: tuple[Check, ...] = (
    programs.check_shims, wiring.check_hooks, places.check_directories, places.check_key, places.check_room,
    places.check_settles, places.check_marks, places.check_git_locks, entries.check_entries, entries.check_batches,
    entries.check_overdue, refs.check_refs, commands.check_gates, commands.check_slots, commands.check_deploys,
    commands.check_ci, commands.check_notify, elsewhere.check_queue, fleet.check_fleet, fleet.check_left,
)  # fmt: skip


def examine(repo: Repository) -> list[Finding]:
    """All that is wrong with an enabled repository; NotInstalled where nothing of ours is there.

    Nothing is changed, also where there is no room, nothing may be written, or the queue cannot be read.
    """
    try:
        settings = Settings.read(repo)
    except GitFailed as wrong:
        return [
            error(
                Code.GIT_FAILS,
                "git",
                f"The settings cannot be read: {wrong.what}",
                Advice.of("See what {} says.", "git", "config", "-l"),
            )
        ]
    installed = Installed.read(repo.paths)
    inside = repo.paths.uam.is_dir()
    if not inside and not settings.all("alias.remote-uam"):
        raise NotInstalled("git uam is not enabled in this repository.")
    found, steady = _looked(repo, settings, installed, inside, beside=False)
    # somebody has begun to write to the queue meanwhile: what was read may be of two moments
    if not steady:
        with repo.anew() as again:
            found, _ = _looked(again, settings, installed, inside, beside=True)
    return found


def _looked(
    repo: Repository, settings: Settings, installed: Installed | None, inside: bool, beside: bool
) -> tuple[list[Finding], bool]:
    store, found = database.look_at(repo.paths.database, beside) if inside else (None, [])
    seen = Seen(repo, settings, installed, store, _identity(repo, settings), os.environ, time.time())
    try:
        for check in (*BEFORE, *(INSIDE if inside else ())):
            found += _of_check(check, seen)
        return list({one.key: one for one in found}.values()), store is None or store.steady()
    finally:
        if store is not None:
            store.close()


def _of_check(check: Check, seen: Seen) -> list[Finding]:
    """What a check finds. One that fails says so, and the others go on."""
    found: list[Finding] = []
    try:
        found += check(seen)
    except (UamError, OSError, ValueError) as wrong:
        code = Code.GIT_FAILS if isinstance(wrong, GitFailed) else Code.CHECK_FAILED
        what = wrong.what if isinstance(wrong, UamError) else str(wrong)
        name = check.__name__.removeprefix("check_").replace("_", " ")
        found.append(error(code, name, f"This could not be looked at: {what}", "See to that, and run it again."))
    return found


def _identity(repo: Repository, settings: Settings) -> Identity | None:
    """Who acts here, as commands see it; None where nobody has acted yet, or that cannot be told."""
    with suppress(OSError, UamError):
        if repo.git_dir != repo.paths.common_dir:
            settings = settings.signing_as(Settings.read(repo, repo.git_dir))
        return identity_of(repo.paths, settings, os.environ, key_of(repo.paths, make=False))
    return None


def without_repository(at: Path, why: UamError | OSError) -> list[Finding] | None:
    """What is wrong where git finds no repository around `at` although there is one; None where there is none."""
    if isinstance(why, OSError):
        return [error(Code.GIT_MISSING, "git", f"git cannot be started: {why.strerror or why}.", "Install git.")]
    if not any((top / ".git").exists() for top in (at, *at.parents)):
        return None
    return [error(
        Code.GIT_FAILS, "git", "There is a .git here, and git does not take it for a repository.",
        Advice.of("{} says why: see safe.directory, and whether HEAD and config are whole.", "git", "status"),
    )]  # fmt: skip
