"""What somebody who waits is told of it: a line after a while, terminal or not, and a line that lives on a terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Collection
from contextlib import suppress

from uam_hooks.hot.core.errors import StoreError
from uam_hooks.hot.core.words import say, visible
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.reasons import in_words, reason

# Who waits longer than this is told why, once.
TOLD_AFTER_SECONDS = 2.0
_SHOWN_AFTER_SECONDS = 0.5
_STEP_SECONDS = 0.5


class Voice:
    """The voice of one wait for `actions`; a `quiet` one says nothing."""

    def __init__(self, store: Store, actions: Collection[int], quiet: bool) -> None:
        self._store, self._actions, self._quiet = store, sorted(set(actions)), quiet
        self._terminal = not quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._told = quiet
        self._next = 0.0
        self._shown = ""

    @property
    def step(self) -> float:
        """How often there may be something new to show, in seconds."""
        return _STEP_SECONDS if self._terminal else TOLD_AFTER_SECONDS

    def speak(self, passed: float) -> None:
        """Say what is to be said when so many seconds have passed."""
        tells = not self._told and passed >= TOLD_AFTER_SECONDS
        shows = self._terminal and passed >= _SHOWN_AFTER_SECONDS
        if passed < self._next or not (tells or shows):
            return
        self._next = passed + _STEP_SECONDS
        text = self._why()
        if tells and text:
            self._told = True
            if not self._terminal:
                say(text)
        if shows and text != self._shown:
            sys.stderr.write(f"\r\033[Kuam: {visible(text)} ")
            sys.stderr.flush()
            self._shown = text

    def _why(self) -> str:
        now = time.time()
        with suppress(StoreError):  # the next time
            why = reason(self._store, self._actions, now)
            return "" if why is None else in_words(why, now)
        return ""

    def clear(self) -> None:
        """Take the live line away."""
        if self._shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
            self._shown = ""
