"""Who a push acts as: what decides where it goes, with whose credentials, and with which key its commits are signed.

Work of different identities never shares a batch, and each is done by a process that has the identity's own
environment, reduced to what is listed here. Names of authors and committers make no identity: they are recorded with
the work (`ident`) and used for its commits.
"""

from __future__ import annotations

import json
import os
import re
from _blake2 import blake2b  # hashlib would load OpenSSL, 5 ms that a push does not need
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from uam_hooks.hot.core import files, gate
from uam_hooks.hot.core.errors import StoreError
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.settings import SIGNING, Settings, is_about_words, makes_identity
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.core.urls import push_urls
from uam_hooks.hot.core.words import redact

# What decides where a push goes and as whom: git's configuration, ssh, proxies, TLS, and the tokens that credential
# helpers, gh and deploys read. Different values mean different identities. LD_PRELOAD is how proxychains works.
# Names and beginnings, no pattern: every push asks this, and to compile one takes longer than all of its answers.
_FORGES = ("GL", "GITLAB", "GLAB", "GITEA", "FORGEJO", "BITBUCKET", "GERRIT", "HUGGINGFACE", "HF", "CODEBERG")
_ACTING = {
    *("HOME", "NETRC", "LD_PRELOAD", "GNUPGHOME", "XDG_CONFIG_DIRS"),
    *(f"XDG_{what}_HOME" for what in ("CONFIG", "DATA", "CACHE", "STATE")),
    *(f"GIT_{what}_{where}" for what in ("CONFIG", "ATTR") for where in ("GLOBAL", "SYSTEM", "NOSYSTEM")),
    *("GIT_NAMESPACE", "GIT_ASKPASS", "GIT_SSH", "GIT_SSL", "GIT_PROXY", "GIT_HTTP", "GIT_ALLOW_PROTOCOL"),
    *(f"SSH_{what}" for what in ("AUTH_SOCK", "ASKPASS", "ASKPASS_REQUIRE", "SK_PROVIDER")),
    *(f"{whose}SSL_CERT_{what}" for whose in ("", "NIX_") for what in ("FILE", "DIR")),
    *("CURL_CA_BUNDLE", "CURL_HOME", "CURL_SSL_BACKEND"),
    *(
        f"{gh}_{what}"
        for gh in ("GH", "GITHUB")
        for what in ("TOKEN", "ENTERPRISE_TOKEN", "HOST", "CONFIG_DIR", "REPO")
    ),
    *(f"{forge}_{what}" for forge in _FORGES for what in ("TOKEN", "HOST", "URI", "ACCESS_TOKEN")),
    *("CI_JOB_TOKEN", "SYSTEM_ACCESSTOKEN", "AZURE_DEVOPS_EXT_PAT", "GOOGLE_APPLICATION_CREDENTIALS"),
    *("VAULT_ADDR", "VAULT_TOKEN", "OP_SERVICE_ACCOUNT_TOKEN", "BW_SESSION"),
}
_ACTING_BEGINS = (
    *("GIT_SSH_", "GIT_SSL_", "GIT_PROXY_", "GIT_HTTP_", "GIT_PROTOCOL", "GCM_", "PASSWORD_STORE_", "KRB5"),
    *("AWS_", "AZURE_", "CLOUDSDK_", *(f"{forge}_USER" for forge in _FORGES)),
)
# What a process needs to run and to be understood, and what says nothing about who it acts as. The names of the agent
# and of its session are not here: a flusher has none. Those of VSCODE_GIT and DBUS lead to the keyring of the same
# person from each of their windows.
_PASSING = (
    r"PATH|LANG|LANGUAGE|LC_.*|TZ|TMPDIR|USER|LOGNAME|SHELL|TERM|COLORTERM|NO_COLOR|HOSTNAME|LD_LIBRARY_PATH|LOCPATH"
    r"|LOCALE_ARCHIVE|GIT_EXEC_PATH|GIT_TRACE.*|GIT_CURL_VERBOSE|GIT_TERMINAL_PROMPT|GIT_TEMPLATE_DIR|SSLKEYLOGFILE"
    r"|XDG_RUNTIME_DIR|DBUS_SESSION_BUS_ADDRESS|DISPLAY|WAYLAND_DISPLAY|VSCODE_GIT_.*|GPG_TTY|GH_[A-Z_]+"
    r"|UAM_(?!AGENT_ID$|URGENT$).*"
)


def _acts(name: str) -> bool:
    """Whether the environment variable `name` is one of those that make an identity."""
    return name in _ACTING or name.startswith(_ACTING_BEGINS) or _is_proxy(name)


def _is_proxy(name: str) -> bool:
    """Whether it is one of HTTPS_PROXY, no_proxy and their like."""
    letters = name[:-6]
    plain = letters.isascii() and letters.isalpha()
    return plain and (
        (letters.isupper() and name.endswith("_PROXY")) or (letters.islower() and name.endswith("_proxy"))
    )


class Identity(NamedTuple):
    """Who acts: its fingerprint, the same for each of its facts by name, and the secret that they are made with."""

    id: str
    facts: Mapping[str, str]
    key: bytes

    def fingerprint(self, text: str) -> str:
        """A fingerprint of `text` that nobody can try values against who does not have the key."""
        return blake2b(text.encode("utf-8", "surrogateescape"), key=self.key, digest_size=10).hexdigest()

    def differs(self, facts: Mapping[str, str]) -> list[str]:
        """The names of the facts in which another identity with these `facts` differs from this one."""
        return sorted(name for name in {*facts, *self.facts} if facts.get(name) != self.facts.get(name))


class Place(NamedTuple):
    """Where a remote leads to: the fingerprint of that, and its first URL as it may be shown."""

    id: str = ""
    url: str = ""


class Asker(NamedTuple):
    """Who asks for an action, as it is recorded: identity with its facts, place of the remote, and `Name <mail>` for
    the commits that are made of it.

    What is empty is not known.
    """

    identity: str = ""
    facts: str = ""
    place: Place = Place()
    author: str = ""
    committer: str = ""


def identity_of(
    paths: RepoPaths, settings: Settings, environ: Mapping[str, str], secret: bytes | None = None
) -> Identity:
    """The identity of a process with this environment in this repository, with its `secret` where that is known.

    OSError when it cannot be read.
    """
    own = {*settings.all("uam.identity.env"), *settings.of_gates("env")}
    values = {name: value for name, value in environ.items() if _acts(name) or name in own}
    values |= {key: settings.all(key)[-1] for key in SIGNING if settings.all(key)}
    for key, value in settings.given:
        values[f"-c {key}"] = f"{values.get(f'-c {key}', '')}\0{value}"
    found = Identity("", {}, secret or key_of(paths))
    facts = {name: found.fingerprint(f"{name}\0{value}") for name, value in sorted(values.items())}
    return found._replace(id=found.fingerprint("\n".join(facts.values())), facts=facts)


def place_of(identity: Identity, settings: Settings, environ: Mapping[str, str], remote: str) -> Place:
    """Where a push to `remote` (a name or a URL) goes; nowhere for an empty name."""
    if not remote:
        return Place()
    urls = push_urls(settings, remote)
    return Place(identity.fingerprint("\n".join([*urls, environ.get("GIT_NAMESPACE", "")])), redact(urls[0]))


def asker(identity: Identity, settings: Settings, environ: Mapping[str, str], remote: str) -> Asker:
    """What to record of who asks, in this environment, for something at `remote` ("" for none)."""
    place = place_of(identity, settings, environ, remote)
    facts = json.dumps(identity.facts)
    return Asker(identity.id, facts, place, ident(settings, environ, "author"), ident(settings, environ, "committer"))


# -- names ---------------------------------------------------------------------------------------------------


def ident(settings: Settings, environ: Mapping[str, str], who: str) -> str:
    """`Name <mail>` of the `author` or `committer`, as git finds them; "" where git would have to guess."""
    name = _clean(_named(settings, environ, who, "name") or "")
    mail = mail_of(settings, environ, who)
    return f"{name} <{mail}>" if name and mail else ""


def mail_of(settings: Settings, environ: Mapping[str, str], who: str) -> str:
    """The mail address of the `author` or `committer`, in git's order (ident.c); "" where git would have to guess."""
    named = _named(settings, environ, who, "email")
    return _clean(environ.get("EMAIL", "") if named is None else named)


def _named(settings: Settings, environ: Mapping[str, str], who: str, what: str) -> str | None:
    """A name or an address as it is given; None where it is not. An empty one counts as given."""
    given = environ.get(f"GIT_{who.upper()}_{what.upper()}")
    found = settings.all(f"{who}.{what}") or settings.all(f"user.{what}")
    return given if given is not None else found[-1] if found else None


def _clean(text: str) -> str:
    """`text` without what git takes out of names and addresses, because it would break a commit's header."""
    return text.translate({ord(c): None for c in "<>\n"}).strip("".join(map(chr, range(33))) + ".,:;\"'\\")


def agent_name(settings: Settings, environ: Mapping[str, str], worktree_name: str) -> str:
    """Who acts: `UAM_AGENT_ID`, else uam.agent, else `<committer's mail address>@<worktree name>`."""
    named = "".join(c for c in environ.get("UAM_AGENT_ID", "") if c.isprintable()) or settings["uam.agent"]
    found = str(named or f"{mail_of(settings, environ, 'committer') or 'somebody'}@{worktree_name}")
    return gate.name(found.encode("utf-8", "replace").decode(), "agent's name")


# -- the environment of who works for an identity ----------------------------------------------------------------


def reduced(environ: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """`environ` as a flusher, or a command that it starts, may have it: what makes the identity, and what is needed
    to run.

    What was given with `-c`, and what signs here, comes along as GIT_CONFIG_COUNT, for a linked worktree may have
    settings of its own that the flusher does not see.
    """
    own = {*settings.all("uam.identity.env"), *settings.of_gates("env")}
    kept = {n: v for n, v in environ.items() if _acts(n) or re.fullmatch(_PASSING, n) or n in own}
    return kept | carried(settings)


def carried(settings: Settings) -> dict[str, str]:
    """What was given with `-c`, and what signs, as GIT_CONFIG_COUNT."""
    signing = [(key, settings.all(key)[-1]) for key in SIGNING if settings.all(key)]
    return _as_config([*settings.given, *(pair for pair in signing if pair not in settings.given)])


def belongs_to_commands(name: str) -> bool:
    """Whether the variable `name` of git is for commands that a person gives: what flushers have, and names."""
    named = name.startswith(("GIT_AUTHOR_", "GIT_COMMITTER_"))
    return named or _acts(name) or bool(re.fullmatch(_PASSING, name))


def given_in(environ: Mapping[str, str]) -> dict[str, str]:
    """What `environ` gives with `-c` or GIT_CONFIG_COUNT of all that makes an identity, and of how words are shown, as
    GIT_CONFIG_COUNT.
    """
    import shlex  # commands only

    many = environ.get("GIT_CONFIG_COUNT", "")
    numbers = range(int(many)) if many.isascii() and many.isdecimal() and len(many) < 5 else ()
    found = [(environ.get(f"GIT_CONFIG_KEY_{n}", ""), environ.get(f"GIT_CONFIG_VALUE_{n}", "")) for n in numbers]
    with suppress(ValueError):  # git writes 'key'='value', quoted as for a shell
        for word in shlex.split(environ.get("GIT_CONFIG_PARAMETERS", "")):
            key, equals, value = word.partition("=")
            found.append((key, value if equals else "true"))
    return _as_config([(key, value) for key, value in found if makes_identity(key) or is_about_words(key)])


def _as_config(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    found = {"GIT_CONFIG_COUNT": str(len(pairs))} if pairs else {}
    for number, (key, value) in enumerate(pairs):
        found |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return found


# -- the key ---------------------------------------------------------------------------------------------------------


def key_of(paths: RepoPaths, make: bool = True) -> bytes:
    """The random key of this repository's fingerprints, made by whoever needs it first.

    With `make=False` a missing one is FileNotFoundError.
    """
    path = paths.identity_key
    with suppress(*([FileNotFoundError] if make else [])):
        return _checked(path)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fd = files.opened(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        os.write(fd, os.urandom(32))
        os.fsync(fd)
        with suppress(FileExistsError):  # another process was quicker, and its key is the one
            os.link(fresh, path)
    finally:
        os.close(fd)
        fresh.unlink(missing_ok=True)
    return _checked(path)


def _checked(path: Path) -> bytes:
    fd = files.opened(path, os.O_RDONLY)
    try:
        found = os.read(fd, 64)
    finally:
        os.close(fd)
    if len(found) != 32:
        raise StoreError(f"{path} is damaged.", "Remove it, and cancel and push again what waits.")
    return found
