"""Marks of tests."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

import pytest


def bulk(values: Iterable[Any], quick: Container[Any] = ()) -> list[Any]:
    """Parameters of which only the first, or those in `quick`, are tried by hand: the others are the same in bulk."""
    found = list(values)
    return [
        value if value in quick or (not quick and value is found[0]) else pytest.param(value, marks=pytest.mark.slow)
        for value in found
    ]
