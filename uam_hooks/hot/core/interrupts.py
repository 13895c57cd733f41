"""How a process of ours begins: what imports do without, and when Ctrl-C is a KeyboardInterrupt.

Before that and after it, the process ends without a word.
"""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Callable

INTERRUPTED = 130


def collect_garbage() -> None:
    """Collect garbage from now on: a start line turns it off, for imports make thousands of objects that all stay.

    Those are not looked at again.
    """
    gc.freeze()
    gc.enable()


def _end_where_it_is_lost(lost: sys.UnraisableHookArgs) -> None:
    """End by SIGINT where a destructor or a callback has raised KeyboardInterrupt: Python prints that and goes on.

    The import of a module has such a callback.
    """
    if lost.exc_type is KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    sys.__unraisablehook__(lost)


def interruptible(run: Callable[[], int]) -> int:
    """What `run` returns, or 130 when a KeyboardInterrupt ended it.

    Outside `run`, as before the package is imported, Ctrl-C ends the process with no word: what Python would print
    there is a traceback. Where it is ignored, as for what a shell runs in the background, it stays so.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        return run()
    hook, sys.unraisablehook = sys.unraisablehook, _end_where_it_is_lost
    try:
        try:
            if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            return run()
        finally:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            sys.unraisablehook = hook
    except KeyboardInterrupt:  # also one that came before the line above had its effect
        return INTERRUPTED
