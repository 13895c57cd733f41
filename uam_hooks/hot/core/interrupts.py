"""Ctrl-C is a KeyboardInterrupt for a while only; before and after it, the process ends without a word."""

from __future__ import annotations

import signal
from collections.abc import Callable

INTERRUPTED = 130


def interruptible(run: Callable[[], int]) -> int:
    """What `run` returns, or 130 when a KeyboardInterrupt ended it.

    Outside `run`, as before the package is imported, Ctrl-C ends the process with no word: what Python would print
    there is a traceback. Where it is ignored, as for what a shell runs in the background, it stays so.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        return run()
    try:
        try:
            if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            return run()
        finally:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
    except KeyboardInterrupt:  # also one that came before the line above had its effect
        return INTERRUPTED
