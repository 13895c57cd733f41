"""A real browser, asked over a pipe (the DevTools protocol): chromium without a window, and without a network."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run",
    "--disable-background-networking", "--disable-extensions", "--remote-debugging-pipe",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip


class Browser:
    """One tab of it."""

    def __init__(self, ask: BinaryIO, answers: BinaryIO) -> None:
        self._ask = ask
        self._answers = answers
        self._number = 0
        self._session = ""
        self.said: list[dict[str, Any]] = []
        target = self._tab()
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Log", "Network", "Runtime"):
            self.call(f"{domain}.enable")

    def _tab(self) -> str:
        """The one that is in front: no other is painted."""
        while True:
            for one in self.call("Target.getTargets")["targetInfos"]:
                if one["type"] == "page":
                    return str(one["targetId"])

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """What the method answers; whatever else the browser says meanwhile is kept in `said`."""
        self._number += 1
        asked: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            asked["sessionId"] = self._session
        self._ask.write(json.dumps(asked).encode() + b"\0")
        self._ask.flush()
        while True:
            found = self._next()
            if found.get("id") == self._number:
                assert "error" not in found, (method, found)
                return dict(found["result"])
            self.said.append(found)

    def _next(self) -> dict[str, Any]:
        text = b""
        while not text.endswith(b"\0"):
            part = self._answers.read(1)
            assert part, "the browser has ended"
            text += part
        return dict(json.loads(text[:-1]))

    def show(self, page: Path, width: int, scheme: str) -> None:
        """Open the page in a window of that width, for somebody who prefers `light` or `dark`."""
        self._window(width, 900)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.said.clear()
        self.call("Page.navigate", url=page.as_uri())
        while not any(one.get("method") == "Page.loadEventFired" for one in self.said):
            self.said.append(self._next())

    def _window(self, width: int, height: int) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def value(self, script: str) -> Any:
        """What an expression of the page comes to."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def picture(self, file: Path, width: int, height: int) -> None:
        """Take a picture of the upper part of the page. One that is very high never comes."""
        self._window(width, height)
        made = self.call("Page.captureScreenshot", format="png")
        file.write_bytes(base64.b64decode(made["data"]))


@contextmanager
def browser(home: Path) -> Iterator[Browser]:
    """A browser that keeps what it remembers in `home`."""
    asking, ask = os.pipe()
    answers, answering = os.pipe()
    command = [CHROMIUM, *_FLAGS, f"--user-data-dir={home}", "about:blank"]
    # the browser reads from its descriptor 3, and writes to 4
    script = f'exec 3<&{asking} 4>&{answering}; exec "$@"'
    process = subprocess.Popen(
        ["bash", "-c", script, "bash", *command], pass_fds=(asking, answering), stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "HOME": str(home)},
    )  # fmt: skip
    os.close(asking)
    os.close(answering)
    try:
        with os.fdopen(ask, "wb") as out, os.fdopen(answers, "rb") as into:
            yield Browser(out, into)
    finally:
        process.terminate()
        process.wait()
