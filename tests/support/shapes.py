"""docs/schema/v1.json beside what the program prints: is it valid, is all of it documented, and was all of it seen."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "schema" / "v1.json"


@cache
def schema() -> dict[str, Any]:
    """The schema as it is, but that nothing may be there besides: what is printed has to be documented."""
    whole: dict[str, Any] = json.loads(SCHEMA.read_text())
    for shape in (*whole["properties"].values(), *whole["$defs"].values()):
        shape["additionalProperties"] = False
    return whole


def validator(shape: dict[str, Any]) -> Any:
    """What tells whether a value is of that shape; without jsonschema in the environment the test is skipped."""
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is missing: tests/run installs it")
    return jsonschema.Draft202012Validator({**shape, "$defs": schema()["$defs"]})


class Seen:
    """The fields that were there in what the program printed, and were not null or empty."""

    def __init__(self) -> None:
        self.fields: set[tuple[str, str]] = set()

    def check(self, name: str, value: Any) -> None:
        """This is what the schema says of the command, and nothing besides."""
        shape = schema()["properties"][name]
        wrong = [f"{name}: {one.json_path}: {one.message}" for one in validator(shape).iter_errors(value)]
        assert wrong == []
        self._walk(name, shape, value)

    def _walk(self, name: str, shape: dict[str, Any], value: Any) -> None:
        if "anyOf" in shape:
            shape = next(one for one in shape["anyOf"] if validator(one).is_valid(value))
        if "$ref" in shape:
            name = shape["$ref"].rpartition("/")[2]
            shape = schema()["$defs"][name]
        if isinstance(value, list):
            for one in value:
                self._walk(name, shape.get("items", {}), one)
        elif isinstance(value, dict):
            for field, one in value.items():
                inner = shape.get("properties", {}).get(field)
                if inner is not None and one not in (None, [], {}):
                    self.fields.add((name, field))
                rest = shape.get("additionalProperties")
                self._walk(name, inner or (rest if isinstance(rest, dict) else {}), one)


def documented(*names: str) -> set[tuple[str, str]]:
    """All fields of these commands, and of the shapes in them."""
    found: set[tuple[str, str]] = set()
    todo = [(name, schema()["properties"][name]) for name in names]
    while todo:
        name, shape = todo.pop()
        for field in shape["properties"]:
            found.add((name, field))
        for inner in _named(shape):
            if not any(name == inner for name, _ in found):
                todo.append((inner, schema()["$defs"][inner]))
    return found


def _named(node: Any) -> set[str]:
    if isinstance(node, list):
        return {name for one in node for name in _named(one)}
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"].rpartition("/")[2]} if "$ref" in node else set()
    return own | {name for one in node.values() for name in _named(one)}
