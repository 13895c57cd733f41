"""The page: its head, and one section after the other."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from importlib.resources import files
from typing import Any

from uam_hooks.page import asked, failed, landed
from uam_hooks.page.markup import Html, joined, tag

Section = Callable[[Mapping[str, Any]], Html]
_SECTIONS: tuple[tuple[str, str, Section], ...] = (
    ("runs", "CI runs", asked.runs),
    ("minutes", "CI minutes", asked.minutes),
    ("waiting", "Waiting", asked.waiting),
    ("gates", "Gates", failed.gates),
    ("agents", "Agents", asked.agents),
    ("conflicts", "Conflicts", failed.conflicts),
    ("last-day", "The last day", landed.last_day),
)


def page(found: Mapping[str, Any]) -> str:
    """What `git uam stats --json` says, as a page that loads nothing and runs nothing."""
    style = files(__package__).joinpath("page.css").read_text("utf-8")
    allowed = f"default-src 'none'; style-src '{_hash(style)}'; base-uri 'none'; form-action 'none'"
    head = joined(
        [
            Html('<meta charset="utf-8">'),
            Html(f'<meta http-equiv="Content-Security-Policy" content="{allowed}">'),
            Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
            Html('<meta name="color-scheme" content="light dark">'),
            Html('<meta name="referrer" content="no-referrer">'),
            tag("title", "git uam: pushes and CI runs"),
            Html(f"<style>{style}</style>"),
        ]
    )
    since = f"since {_moment(found['since'])}" if found["since"] else "of all that is recorded"
    made = _moment(found["last_day"]["until"])
    top = tag(
        "header",
        tag("h1", "git uam: pushes and CI runs"),
        tag("p", f"Figures {since}, made {made}. Days and times are in UTC."),
        asked.summary(found),
    )
    body = [tag("section", tag("h2", title), draw(found), id=name) for name, title, draw in _SECTIONS]
    whole = f'<!doctype html>\n<html lang="en">\n<head>\n{head.markup}\n</head>\n<body>\n'
    return f"{whole}{top.markup}\n<main>\n{joined(body).markup}\n</main>\n</body>\n</html>\n"


def _hash(style: str) -> str:
    return f"sha256-{b64encode(sha256(style.encode()).digest()).decode('ascii')}"


def _moment(stored: str) -> str:
    return f"{stored[:10]} {stored[11:16]}"
