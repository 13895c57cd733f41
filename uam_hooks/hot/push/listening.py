"""What remotes say of the landings that a process waits for, printed while they go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress

from uam_hooks.hot.core.colours import Colours
from uam_hooks.hot.core.errors import StoreError
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.sideband import LEFT_OUT, Listening, new, there
from uam_hooks.hot.core.words import complain, pass_on
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import Source
from uam_hooks.hot.queue.planned import batches_of


class Listener:
    """Whoever waits. Each line is printed once, however many pushes it takes, and whatever of them dies in between.

    git's own progress is printed for those who want it, of each push.
    """

    def __init__(self, store: Store, paths: RepoPaths, colours: Colours, progress: bool = False) -> None:
        self._store, self._batches, self._coloured = store, paths.batches, colours.coloured
        self._seen: set[str] = set()
        self._pushes: list[Listening] = []
        self._open = ExitStack()
        self._told: Counter[str] = Counter()
        self._shows_progress = progress

    def listen(self, sources: Sequence[Source], before: Callable[[], None] = lambda: None) -> None:
        """Print what has been said of the sources since the last call; `before` is called if that is anything."""
        self._find(sources)
        lines: list[str] = []
        progress: list[str] = []
        for push in self._pushes:
            with suppress(OSError):  # the outcome has them, too
                lines += new(self._told, push.counts, push.more())
            if self._shows_progress:
                progress, push.progress = progress + push.progress, []
        if lines or progress:
            before()
            if progress:
                complain("\n".join(progress))
            pass_on(lines, self._coloured)

    def rest(self, sources: Sequence[Source]) -> None:
        """Print what has not been printed of the sources, whose wait is over.

        Their outcomes have it where the files are gone, or could not be written.
        """
        self.listen(sources)
        for said in dict.fromkeys(source.outcome.said for source in sources):
            lines = new(self._told, Counter(), said)
            pass_on(lines[:-1] if lines[-1:] == [LEFT_OUT] else lines, self._coloured)
        self._open.close()
        self._pushes = []

    def _find(self, sources: Sequence[Source]) -> None:
        """Open the files of pushes that are about the sources; those of others are not read.

        A batch has its actions before it pushes, so whose a file is is known when it is first seen.
        """
        fresh = [(path, batch) for path, batch in there(self._batches) if path.name not in self._seen]
        if not fresh:
            return
        actions = {source.action_id for source in sources}
        try:
            mine = batches_of(self._store, actions)
        except StoreError:  # the next time
            return
        for path, batch in fresh:
            self._seen.add(path.name)
            if batch in mine:
                with suppress(OSError):
                    self._pushes.append(self._open.enter_context(Listening(path, actions)))
