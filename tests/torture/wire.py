"""The wire between one machine and the database: it can be cut, or swallow all that is sent."""

from __future__ import annotations

import os
import selectors
import socket
import threading
from contextlib import suppress
from pathlib import Path

_CHUNK = 65536
_NAP = 0.2


class Wire:
    """A socket in the directory `at` whose connections go on to the socket `to`, carried by a thread."""

    def __init__(self, at: Path, to: Path) -> None:
        self.at, self.to = at, to
        at.mkdir()
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(at / to.name))
        (at / to.name).chmod(0o777)
        self._door.listen(128)
        self._door.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._door, selectors.EVENT_READ)
        self._others: dict[socket.socket, socket.socket] = {}
        self._state = "open"
        self._bell, self._rope = os.pipe()
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def open(self) -> None:
        """Carry everything, also what was held back."""
        self._become("open")

    def freeze(self) -> None:
        """Carry nothing any more; nobody is told, as with a network that is gone."""
        self._become("frozen")

    def cut(self) -> None:
        """End every connection, and each that is made from now on."""
        self._become("cut")

    def close(self) -> None:
        """End everything."""
        self._become("closed")
        self._thread.join()
        for end in (*self._others, self._door):
            end.close()
        self._selector.close()
        os.close(self._bell)
        os.close(self._rope)

    def _become(self, state: str) -> None:
        self._state = state
        os.write(self._rope, b"!")

    def _carry(self) -> None:
        while (state := self._state) != "closed":
            if state == "frozen":
                # what is sent stays where it is, until the buffers are full
                with suppress(OSError):
                    os.read(self._bell, 1)
                continue
            if state == "cut":
                for end in list(self._others):
                    self._hang_up(end)
            for key, _ in self._selector.select(_NAP):
                if key.fd == self._bell:
                    os.read(self._bell, 4096)
                elif key.fileobj is self._door:
                    self._accept(state == "cut")
                elif isinstance(key.fileobj, socket.socket) and key.fileobj in self._others:
                    self._pass_on(key.fileobj)

    def _accept(self, cut: bool) -> None:
        try:
            here, _ = self._door.accept()
        except OSError:
            return
        there = socket.socket(socket.AF_UNIX)
        try:
            if cut:
                raise ConnectionRefusedError
            there.connect(str(self.to))
        except OSError:
            here.close()
            there.close()
            return
        for one, other in ((here, there), (there, here)):
            self._others[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _pass_on(self, end: socket.socket) -> None:
        try:
            said = end.recv(_CHUNK)
            if said:
                self._others[end].sendall(said)
                return
        except OSError:
            pass
        self._hang_up(end)

    def _hang_up(self, end: socket.socket) -> None:
        other = self._others.pop(end, None)
        if other is None:
            return
        del self._others[other]
        for one in (end, other):
            self._selector.unregister(one)
            one.close()
