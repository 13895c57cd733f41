"""A config file's text, edited by git in a private copy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from uam_hooks.git.repo import Repository


class Draft:
    """A private copy of a config file, edited by git."""

    def __init__(self, repo: Repository, path: Path) -> None:
        self._repo = repo
        self._path = path

    @property
    def text(self) -> bytes:
        return self._path.read_bytes()

    def _config(self, *args: str, ok: Sequence[int] = (0,)) -> bytes:
        return self._repo.run("config", "--file", str(self._path), *args, ok=ok).out

    def get(self, key: str) -> list[str]:
        return _strings(self._config("-z", "--get-all", key, ok=(0, 1)))

    def unset(self, key: str, *value: str) -> None:
        exact = ["--fixed-value"] if value else []
        self._config(*exact, "--unset-all", key, *value, ok=(0, 5))  # 5: there is none

    def put(self, key: str, values: Sequence[str]) -> None:
        """Set `key` to exactly these `values`; the first one is written where the first one was."""
        if not values:
            self.unset(key)
        for position, value in enumerate(values):
            self._config("--add" if position else "--replace-all", key, value)

    def entries(self) -> list[tuple[str, str]]:
        """All (key, value) pairs of the file, in order, without included files."""
        pairs = (line.partition("\n") for line in _strings(self._config("--no-includes", "-z", "--list")))
        return [(key, value) for key, _, value in pairs]


def _strings(out: bytes) -> list[str]:
    return [part.decode("utf-8", "surrogateescape") for part in out.split(b"\0")[:-1]]


@contextmanager
def draft_of(repo: Repository, text: bytes) -> Iterator[Draft]:
    import tempfile  # not for who only looks

    with tempfile.TemporaryDirectory(prefix="uam-") as directory:
        path = Path(directory) / "config"
        path.write_bytes(text)
        yield Draft(repo, path)
