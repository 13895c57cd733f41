"""What a fleet is called and where its database is, checked without PostgreSQL's library: nothing here connects."""

from __future__ import annotations

import re
import shlex
import sys
from importlib.util import find_spec
from urllib.parse import parse_qsl, urlsplit

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core import urls
from uam_hooks.hot.core.errors import ExitCode, UamError, UsageError
from uam_hooks.hot.core.refs import short_target
from uam_hooks.hot.core.settings import Settings

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
HOW = "Write postgresql://HOST/DATABASE or service=NAME."
NO_PASSWORD = "The URL of the fleet's database holds a password, which would be stored and shown."  # noqa: S105 - words
PASSFILE = "Leave it out: PostgreSQL finds it in ~/.pgpass, or in the service file."
# What libpq takes as a secret in the parameters of a URL.
_SECRETS = ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")


class ExtraMissing(UamError):
    """What only the extra brings is not in this environment."""

    code = ExitCode.BROKEN


def require_extra() -> None:
    """Raise ExtraMissing where PostgreSQL's library is not there."""
    if find_spec("psycopg") is None:
        words = shlex.join([sys.executable, "-m", "pip", "install", "uam-hooks[fleet]"])
        raise ExtraMissing(
            "psycopg, by which a fleet talks to PostgreSQL, is not in the environment of git uam.",
            f"`{words}` installs it, and so does `install.sh --fleet URL`.",
        )


def holds_password(url: str) -> bool:
    """Whether a URL holds what is nobody's business but that of PostgreSQL's passfile."""
    try:
        parts = urlsplit(url)
        names = {name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    except ValueError:
        return True  # nobody knows what it holds
    who, at, _ = parts.netloc.rpartition("@")
    return bool(at and ":" in who) or not names.isdisjoint(_SECRETS) or "password=" in url.lower()


def checked_url(url: str) -> str:
    """`url` if it may be stored as that of a database; UsageError if not. The words have nothing of it."""
    if not re.match(r"postgres(ql)?://", url) and not re.fullmatch(r"service=[^\s'\\]+", url):
        if holds_password(url):
            raise UsageError(NO_PASSWORD, PASSFILE)
        raise UsageError("That is not the URL of a PostgreSQL database.", HOW)
    if holds_password(url):
        raise UsageError(NO_PASSWORD, PASSFILE)
    if not url.isprintable():
        raise UsageError("The URL of the fleet's database cannot be read by PostgreSQL.", HOW)
    return url


def checked_name(name: str) -> str:
    """`name` if a fleet may be called so; UsageError if not."""
    if not re.fullmatch(NAME, name):
        raise UsageError(
            f"A fleet cannot be called {ascii(name)[:80]}.",
            "Take at most 64 letters, digits, dots, dashes and underlines, and begin with a letter or a digit.",
        )
    return name


def called_after(settings: Settings, remote: str) -> str:
    """What a fleet is called where nobody says: as the repository on the remote."""
    url = urls.push_urls(settings, remote)[0].rstrip("/")
    name = re.split(r"[/:]", url)[-1].removesuffix(".git")
    if not re.fullmatch(NAME, name):
        raise UsageError("The name of the repository on the remote is none for a fleet.", "Say --name NAME.")
    return name


def pushed_to(repo: Repository, settings: Settings) -> str:
    """The remote that the branch here is pushed to, as git decides it."""
    head = repo.run("symbolic-ref", "--quiet", "HEAD", at=repo.git_dir, ok=(0, 1)).text
    branch = short_target(head)
    for key in (f"branch.{branch}.pushremote", "remote.pushdefault", f"branch.{branch}.remote"):
        for name in repo.config(key)[-1:]:
            if name in settings.remotes():
                return name
    known = settings.remotes()
    return "origin" if "origin" in known or len(known) != 1 else known[0]
