"""What the tests of pages share: where they are, and the scripts beside them, which are no part of the package."""

from __future__ import annotations

import ast
import importlib.util
import re
import warnings
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
SOURCES = sorted((CHECKOUT / "uam_hooks").rglob("*.py"))


def script_of(name: str) -> ModuleType:
    """The module docs/<name>.py."""
    spec = importlib.util.spec_from_file_location(name, CHECKOUT / "docs" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        # where pygal is loaded before, what it has put among the finders of modules is too old for any import after it
        warnings.simplefilter("ignore", ImportWarning)
        patch.syspath_prepend(str(CHECKOUT))  # it puts the checkout onto the path; this takes it off again
        spec.loader.exec_module(module)
    return module


@cache
def messages() -> tuple[list[re.Pattern[str]], str]:
    """The texts of the program with a group where a value goes, and all the words in them.

    Texts that are little but values are left out of the first.
    """
    patterns, words = [], []
    for node in (node for path in SOURCES for node in ast.walk(ast.parse(path.read_text()))):
        if isinstance(node, ast.JoinedStr):
            parts = [str(part.value) if isinstance(part, ast.Constant) else None for part in node.values]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            parts = [node.value]
        else:
            continue
        said = [part for part in parts if part is not None]
        words += said
        if sum(len(re.findall(r"[a-z]", part)) for part in said) >= 8:
            patterns.append(re.compile("".join("(.*)" if part is None else re.escape(part) for part in parts)))
    return patterns, "\n".join(words)


def said(run: list[str], words: str) -> bool:
    """Whether the program says these words, perhaps with a name among them."""
    around = [(run[:at], run[at + 1 :]) for at in range(len(run) - 1)]
    return any(all(" ".join(part) in words for part in parts) for parts in [(run,), *around])
