"""The pager that git would use, for what is longer than a screen."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from uam_hooks.hot.core.errors import GitFailed
from uam_hooks.hot.core.plumbing import Git

# What git gives to pagers that nobody has told otherwise.
_SETTINGS = {"LESS": "FRX", "LV": "-c"}


def pager_of(git: Git) -> str | None:
    """The command of the pager: GIT_PAGER, core.pager, PAGER, or what git was built with; None where there is none."""
    try:
        found = git.run("var", "GIT_PAGER").text.strip()
    except (GitFailed, OSError):
        return None
    return None if found in ("", "cat") else found


@contextmanager
def through(pager: str) -> Iterator[None]:
    """Let stdout go to `pager`, which a shell starts, as git does; until it has ended. Whoever quits it early has seen
    enough: what the block would have printed then is left out.
    """
    sys.stdout.flush()
    env = {**_SETTINGS, **os.environ, "GIT_PAGER_IN_USE": "true"}
    try:
        process = subprocess.Popen(["sh", "-c", pager], stdin=subprocess.PIPE, env=env)
    except OSError:
        yield
        return
    assert process.stdin is not None
    before = sys.stdout
    sys.stdout = io.TextIOWrapper(process.stdin, encoding=before.encoding, errors="backslashreplace")
    try:
        with suppress(BrokenPipeError):
            yield
    finally:
        page, sys.stdout = sys.stdout, before
        with suppress(BrokenPipeError):
            page.close()
        _wait_for(process)


def _wait_for(process: subprocess.Popen[bytes]) -> None:
    """Wait for its end: Ctrl-C is for the pager then, which may go on."""
    while True:
        try:
            process.wait()
            return
        except KeyboardInterrupt:
            continue
