"""An authority of a test's own that signs the certificates of its servers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Signed(NamedTuple):
    """A certificate and its key, as PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """Keeps its own certificate and key in `place`, which is made."""

    def __init__(self, place: Path) -> None:
        place.mkdir()
        self._place = place
        self.certificate = place / "root.crt"
        _openssl("req", "-x509", *_KEY, "-subj", f"/CN={place.name}", "-days", "2",
                 "-keyout", place / "root.key", "-out", self.certificate)  # fmt: skip

    def signed(self, address: str) -> Signed:
        """A certificate for the server with this IP address."""
        key, request, names, found = (self._place / f"{address}.{what}" for what in ("key", "csr", "names", "crt"))
        _openssl("req", "-new", *_KEY, "-subj", f"/CN={address}", "-keyout", key, "-out", request)
        names.write_text(f"subjectAltName=IP:{address}\n")
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._place / "root.key",
                 "-CAcreateserial", "-days", "2", "-extfile", names, "-out", found)  # fmt: skip
        return Signed(found.read_bytes(), key.read_bytes())


def _openssl(*words: str | Path) -> None:
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
