"""Remotes that make trouble by what they do not do."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from threading import Event, Thread

from tests.support.scenes import until


class BlackHole:
    """A server that accepts connections and says nothing, until it closes."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._called = Event()
        self._thread = Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"git://127.0.0.1:{self._listening.getsockname()[1]}/nothing.git"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._open.append(connection)
            self._called.set()

    def called(self) -> None:
        """Wait until somebody has connected."""
        until(self._called.is_set, "a connection")

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()
        for connection in self._open:
            connection.close()


@contextmanager
def black_hole() -> Iterator[BlackHole]:
    """A remote that never answers."""
    with closing(BlackHole()) as found:
        yield found
