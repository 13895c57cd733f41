#!/usr/bin/env python3
"""Writes docs/trouble/doctor.md: all that `git uam doctor` finds, in the words of the code that finds it.

    python docs/make_doctor.py

What each code is called in short comes from the table in docs/commands.md.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).resolve().parent
PAGE = DOCS / "trouble" / "doctor.md"
sys.path.insert(0, str(DOCS.parent))  # the checkout that this file is part of, whatever is installed

from uam_hooks.doctor.finding import BY_FIX, Code, Fix  # noqa: E402

_CHECKS = DOCS.parent / "uam_hooks" / "doctor"
_FINDS = {"error": "error", "warning": "warning", "find": "error or warning"}
_VALUE = "…"  # stands for a name or a figure of the repository
_INTRO = """# All that git uam doctor finds

`git uam doctor` names each thing that is wrong by one of these codes, which stay the same, for programs (`--json`).
Below each code are its sentences: what it means, and what mends it; … stands for a name or a figure. An *error* keeps
something from working; a *warning* is something that is left over, or that will not work soon. `git uam doctor --fix`
mends only what cannot lose anything, and says first what it will do.
"""


class Said(NamedTuple):
    """What one finding says of its code."""

    severity: str
    means: str
    mend: str
    fixes: tuple[str, ...]


def page() -> str:
    """The whole page."""
    named = dict(re.findall(r"^\| `([a-z-]+)` \| (.*?) \| .* \|$", (DOCS / "commands.md").read_text(), re.MULTILINE))
    parts = [_INTRO]
    for code, sentences in said().items():
        lines = [f"## {code.value}", "", f"{_sentence(named[code.value])}", ""]
        for one in sentences:
            fixes = "".join(f" `--fix`: {fix}." for fix in one.fixes)
            lines.append(f"- {one.severity.capitalize()}: {one.means} **{one.mend}**{fixes}")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _sentence(words: str) -> str:
    return f"{words if words.startswith('git ') else words[0].upper() + words[1:]}."


def said() -> dict[Code, list[Said]]:
    """What the checks can say of each code, in the order of the codes."""
    found: dict[Code, list[Said]] = {code: [] for code in Code}
    for path in sorted(_CHECKS.glob("*.py")):
        module = ast.parse(path.read_text())
        top = _assigned(module.body)
        for function in (node for node in ast.walk(module) if isinstance(node, ast.FunctionDef)):
            names = {**top, **_assigned(list(ast.walk(function)))}
            for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
                if isinstance(call.func, ast.Name) and call.func.id in _FINDS and len(call.args) >= 4:
                    for code, one in _found(call, names):
                        if one not in found[code]:
                            found[code].append(one)
    return found


def _assigned(nodes: list[ast.stmt] | list[ast.AST]) -> dict[str, list[ast.expr]]:
    """The expressions that each name can be, as far as assignments say so."""
    found: dict[str, list[ast.expr]] = {}
    for node in nodes:
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            pairs = [(target, node.value)]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts, strict=True))
            for name, value in pairs:
                if isinstance(name, ast.Name):
                    found.setdefault(name.id, []).append(value)
    return found


def _found(call: ast.Call, names: dict[str, list[ast.expr]]) -> Iterator[tuple[Code, Said]]:
    assert isinstance(call.func, ast.Name)
    codes, _about, means, mend, *rest = call.args
    fixes = tuple(str(Fix[name]) for name in _members(rest, "Fix"))
    for code in _members([codes, *(names.get(codes.id, []) if isinstance(codes, ast.Name) else [])], "Code"):
        for words in _texts(means, names):
            for way in _texts(mend, names):
                yield Code[code], Said(_FINDS[call.func.id], words, way, fixes)


def _members(nodes: list[ast.expr], of: str) -> list[str]:
    """The members of the enum `of` that these expressions name."""
    return [
        node.attr for one in nodes for node in ast.walk(one)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == of
    ]  # fmt: skip


def _texts(node: ast.expr, names: dict[str, list[ast.expr]]) -> list[str]:
    """What the expression can be as text."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.JoinedStr):
        found = [""]
        for part in node.values:
            ends = [str(part.value)] if isinstance(part, ast.Constant) else _inserted(part, names)
            found = [begin + end for begin in found for end in ends]
        return found
    if isinstance(node, ast.BinOp) and isinstance(node.left, ast.Constant):
        return [str(node.left.value)]  # the s of a plural
    if isinstance(node, ast.IfExp):
        return [*_texts(node.body, names), *_texts(node.orelse, names)]
    if isinstance(node, ast.Name):
        return _inserted(node, names)
    if isinstance(node, ast.Call) and "Advice" in ast.unparse(node.func):
        words, *command = node.args
        quoted = " ".join(str(one.value) if isinstance(one, ast.Constant) else _VALUE for one in command)
        return [text.replace("{}", f"`{quoted}`", 1) for text in _texts(words, names)]
    return [_VALUE]


def _inserted(node: ast.expr, names: dict[str, list[ast.expr]]) -> list[str]:
    """The values of a name that is text wherever it is assigned; else what stands for a value."""
    inner = node.value if isinstance(node, ast.FormattedValue) else node
    if isinstance(inner, ast.Name) and inner.id == "BY_FIX":
        return [BY_FIX]
    known = names.get(inner.id, []) if isinstance(inner, ast.Name) else []
    texts = list(dict.fromkeys(text for one in known for text in _texts(one, names)))
    if isinstance(inner, ast.BinOp):
        texts = _texts(inner, names)
    return texts if texts and _VALUE not in texts else [_VALUE]


if __name__ == "__main__":
    PAGE.write_text(page())
