"""Command lines that leave no question: they are done without click, whose import takes longer than they do.

Whatever is not one of them, also because it is wrong, is for click, which says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_TEXTS = (
    "agent-id", "action-type", "target", "message", "ref", "inputs", "source", "strategy", "method", "remote",
    "payload", "execute-after",
)  # fmt: skip
_FLAGS = ("push", "force", "urgent", "json")
_SEVERAL = ("files", "depends-on")
_KINDS = ("commit", "push", "merge", "workflow", "deploy")


def plain_command(arguments: list[str]) -> Callable[[], int] | None:
    """What a command line asks for, where it is one of these."""
    words = arguments[1:] if arguments[:1] == ["deploy"] else arguments
    starting = words is arguments
    if words in (["status"], ["status", "--all"], ["status", "--json"]):
        everything, as_json = "--all" in words, "--json" in words
        return lambda: _status(everything, as_json, starting)
    said = _options(words[1:]) if words[:1] == ["queue"] else None
    return None if said is None else lambda: _queue(said, starting)


def _status(everything: bool, as_json: bool, starting: bool) -> int:
    from uam_hooks.cli.looking import show_status

    return show_status(everything=everything, as_json=as_json, starting=starting)


def _queue(said: dict[str, Any], starting: bool) -> int:
    from uam_hooks.cli.asking import queue_action

    return queue_action(said, starting=starting)


def _options(words: list[str]) -> dict[str, Any] | None:
    """The options of `queue`, as click gives them; None for what only click understands."""
    said: dict[str, Any] = dict.fromkeys(map(_key, _TEXTS)) | dict.fromkeys(map(_key, _FLAGS), False)
    said |= {"pr": None, "priority": None, **{_key(name): () for name in _SEVERAL}}
    rest = list(words)
    while rest:
        option, equals, value = rest.pop(0).partition("=")
        name = option.removeprefix("--")
        if name in _FLAGS and option != name and not equals:
            said[_key(name)] = True
            continue
        if option == name or not (name in _TEXTS or name in _SEVERAL) or not (equals or rest):
            return None
        value = value if equals else rest.pop(0)
        if value.startswith("-") and not equals:
            return None
        said[_key(name)] = (*said[_key(name)], value) if name in _SEVERAL else value
    return said | {"more": ()} if said["action_type"] in _KINDS and said["target"] is not None else None


def _key(name: str) -> str:
    return "as_json" if name == "json" else name.replace("-", "_")
