"""Every `uam.*` key of git config, its default and its check."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from uam_hooks.hot.core.errors import Advice, UsageError
from uam_hooks.hot.core.plumbing import Git
from uam_hooks.hot.core.refs import named_by
from uam_hooks.hot.core.typed import Any, NamedTuple
from uam_hooks.hot.core.values import (
    OneOf,
    anything,
    arguments,
    boolean,
    ci,
    company,
    count,
    duration,
    hold,
    minutes,
    positive,
    squash,
    words,
)


class Key(NamedTuple):
    """One setting: its name as git writes it, its default, its check, and one line of help."""

    name: str
    default: str
    check: Callable[[str], Any]
    help: str


KEYS = (
    Key("uam.enabled", "true", boolean, "false: every push goes straight to the remote"),
    Key("uam.agent", "", anything, "who acts here; `UAM_AGENT_ID` takes precedence"),
    Key("uam.push.mode", "wait", OneOf("wait", "queue", "manual"), "when `git push` answers"),
    Key("uam.push.accept", "true", boolean,
        "a push that conflicts with what waits before it is told so at once; `false`: when it lands"),
    Key("uam.push.waitTimeout", "80s", duration,
        "how long a push waits for its landing before it answers \"not landed yet\" and stays queued"),
    Key("uam.window.push", "5s", duration, "how long a push waits for company"),
    Key("uam.window.commit", "30s", duration, "after how long a queued commit is ready"),
    Key("uam.window.merge", "10s", duration, "how long a merge waits for what it names"),
    Key("uam.window.workflow", "5s", duration, "how long a workflow dispatch waits for the same one"),
    Key("uam.window.deploy", "60s", duration, "how long a deploy can still be cancelled"),
    Key("uam.window.company", "10m", company,
        "a waiting push lands at once when nobody else was at work for that long; `off`: every push waits its window"),
    Key("uam.ci", "auto", ci, "how it is known whether CI works on a branch, whose pushes wait for it: `auto`, `off`,"
        " `gh`, `command`, or how long a landing keeps it busy"),
    Key("uam.ci.command", "", words, "the command for `command`, an argument list: exit 0 means idle, 1 busy"),
    Key("uam.ci.hold", "", hold, "how long a push waits for CI at most; by default 60s in the mode wait, 10m in queue"),
    Key("uam.ci.poll", "10s", duration, "how often it is asked at most whether CI is busy"),
    Key("uam.flusher.linger", "2m", duration,
        "how long the process that lands pushes stays when nothing waits, so that the next push need not start it"),
    Key("uam.batch.size", "20", positive, "about how many actions are executed together"),
    Key("uam.batch.parallel", "5", positive, "how many workflows and deploys run at the same time"),
    Key("uam.commit.onWindow", "keep", OneOf("keep", "squash"), "what happens to ready commits that nobody pushes"),
    Key("uam.squash", "push", squash,
        "what several new commits become: one for each push, one for the whole batch, or what they were (`never`)"),
    Key("uam.squash.branches", "", anything,
        "the branches to which uam.squash applies, as patterns; by default the remote's default branch;"
        " may be given several times"),
    Key(
        "uam.squash.subject",
        "own",
        OneOf("own", "count", "list", "conventional"),
        "first line of a squash: one of its own subjects, a count, all subjects, or that of a Conventional Commit",
    ),
    Key("uam.originals", "off", OneOf("off", "push"),
        "push: the originals of what was squashed or moved go to refs/uam/originals/<branch> of the remote, too"),
    Key("uam.settle", "keep", OneOf("keep", "ref", "off"),
        "what a landing moves here: branch and files, branches only, nothing"),
    Key("uam.flush.retries", "5", count, "how often a landing is integrated again when others pushed in between"),
    Key("uam.retry.count", "4", count, "how often a transient failure is retried"),
    Key("uam.retry.delay", "2s", duration, "the pause before the first retry; each next one is twice as long"),
    Key("uam.notify.command", "", words, "a command that is told of failures that nobody waits for: an argument list,"
        " no shell"),
    Key("uam.deploy.timeout", "10m", duration, "after how long a deploy command is killed, with all that it started"),
    Key("uam.gate.timeout", "30m", duration, "after how long a gate is ended, with all that it started"),
    Key("uam.gate.slots", "1", positive, "how many gates run at the same time"),
    Key("uam.gate.setup", "", words, "a command that makes a new slot ready for gates: an argument list, no shell"),
    Key("uam.gate.setup.paths", "", anything,
        "files of the tree (git's pathspecs) whose change runs the setup again; may be given several times"),
    Key("uam.gate.onRedBase", "land", OneOf("land", "hold"),
        "what becomes of pushes to a branch that fails its gate already"),
    Key("uam.gate.onError", "hold", OneOf("hold", "land"), "what becomes of pushes whose gate cannot run"),
    Key("uam.gh.repo", "", anything, "OWNER/REPO or HOST/OWNER/REPO for gh; by default from the remote's URL"),
    Key("uam.ci.minutes", "", minutes, "how many minutes a CI run takes, for `git uam stats` where it is not measured"),
    Key("uam.remote.timeout", "60s", duration, "after how long a remote that is silent counts as not answering"),
    Key("uam.flush.lockTimeout", "30s", duration, "how long `git uam flush` waits for what another flush is executing"),
    Key("uam.retention", "30d", duration, "how long originals of what landed are kept"),
    Key("uam.queue", "", anything, "another clone on this machine, whose queue takes the pushes of this one"),
    Key("uam.fleet", "", anything, "the fleet whose machines share one queue"),
    Key("uam.fleet.url", "", anything, "the PostgreSQL database of the fleet, without a password"),
    Key("uam.fleet.refs", "refs/uam/fleet/", anything, "below which refs of the remote a fleet hands over its pushes"),
    Key("uam.fleet.onLoss", "wait", OneOf("wait", "local"),
        "what becomes of pushes while the database does not answer: they wait, or land by themselves"),
    Key("uam.identity.env", "", anything,
        "one more environment variable that a landing needs, and that keeps pushes apart; may be given several times"),
)  # fmt: skip
_BY_NAME = {key.name.lower(): key for key in KEYS}

# What signs a commit, and with which key.
SIGNING = (
    "user.signingkey", "commit.gpgsign", "gpg.format", "gpg.program", "gpg.ssh.program", "gpg.x509.program",
    "gpg.openpgp.program", "gpg.ssh.defaultkeycommand",
)  # fmt: skip
# All that a push needs to know: its own settings, remotes and how their URLs are rewritten, who acts, what signs.
_WANTED = (
    r"uam\..*|remote\..*|url\..*\.(push)?insteadof|(user|author|committer)\.(name|email)|push\.(followtags|default|gpgsign)"
    r"|color\.(ui|uam|pager|remote(\..*)?)"
    rf"|alias\.remote-uam|core\.(filemode|sharedrepository|fsync|fsyncobjectfiles)|{'|'.join(map(re.escape, SIGNING))}"
)
# What decides where a push goes and with whose credentials, where somebody gives it for one command (`git -c`).
_ACTING = (
    r"core\.(sshcommand|askpass|gitproxy)|ssh\.variant|credential\..*|https?\..*|protocol\..*|safe\..*"
    r"|url\..*\.(push)?insteadof|remote\..*\.(url|pushurl|proxy|proxyauthmethod|receivepack|uploadpack|vcs|uam-thin)"
    rf"|{'|'.join(map(re.escape, SIGNING))}"
)


# The keys of a deploy target and of a gate; git keeps the case of the middle part.
_NAMED = r"(?i)uam\.(deploy|gate)\.([A-Za-z0-9_][A-Za-z0-9_.-]*)\.(command|timeout|paths|branches|needs|retries|env)"


def _named(key: str) -> re.Match[str] | None:
    """A key that something has a name in, taken apart. Most have none, and to compile the pattern costs a push 1 ms."""
    return re.fullmatch(_NAMED, key) if key[:9].lower() in ("uam.gate.", "uam.deplo") else None


def _of_name(name: str) -> Key | None:
    """The key of something that has a name: of a deploy, or of a gate."""
    found = _named(name)
    if found is None:
        return None
    what, one, last = found[1].lower(), f"the {found[1].lower()} {found[2]}", found[3].lower()
    keys = {
        "command": Key(name, "", arguments, f"the command of {one}: an argument list, no shell"),
        "timeout": Key(name, "", duration, f"after how long {one} is killed; by default uam.{what}.timeout"),
    }
    if what == "gate":
        several = "; may be given several times"
        keys |= {
            "paths": Key(name, "", anything, f"the changed files (git's pathspecs) that {one} is about{several}"),
            "branches": Key(name, "", anything, f"the branches that {one} is about, as patterns{several}"),
            "needs": Key(name, "", anything, f"a gate that has to pass before {one} runs{several}"),
            "retries": Key(name, "1", count, f"how often {one} is run again on the same tree before anybody is blamed"),
            "env": Key(name, "", anything, f"an environment variable that {one} gets{several}"),
        }
    return keys.get(last)


def spelled(name: str) -> str:
    """A key as git prints it: section and last part in lower case."""
    found = _named(name)
    return f"uam.{found[1].lower()}.{found[2]}.{found[3].lower()}" if found else name.lower()


def is_about_words(key: str) -> bool:
    """Whether the key is about how words are shown, so that it counts where somebody gives it for one command."""
    return re.fullmatch(r"color\.(ui|uam|pager)|core\.pager", key, re.IGNORECASE) is not None


def makes_identity(key: str) -> bool:
    """Whether the key decides where a push goes and as whom, so that giving it for one push sets that push apart."""
    return re.fullmatch(_ACTING, key, re.IGNORECASE) is not None


class Settings:
    """The values of git config. Each is checked when it is used, so a wrong one stops only what needs it."""

    def __init__(self, values: dict[str, list[str]], given: Sequence[tuple[str, str]] = ()) -> None:
        self._values = values
        # (key, value) of what decides where a push goes and as whom, given for this command alone: by `git -c` or in
        # GIT_CONFIG_COUNT
        self.given = tuple(given)

    @classmethod
    def read(cls, git: Git, at: Path | None = None) -> Settings:
        """Read everything that the tool needs, remotes included, in one `git config` call; as seen from the git
        directory `at`.
        """
        out = git.configured(f"^({_WANTED}|{_ACTING})$", at)
        values: dict[str, list[str]] = {}
        given: list[tuple[str, str]] = []
        fields = out.decode("utf-8", "surrogateescape").split("\0")
        for scope, entry in zip(fields[::2], fields[1::2], strict=False):
            name, newline, value = entry.partition("\n")
            values.setdefault(name, []).append(value if newline else "true")
            if scope == "command" and makes_identity(name):
                given.append((name, values[name][-1]))
        return cls(values, given)

    def with_own(self, own: Mapping[str, str]) -> Settings:
        """These settings, with the caller's `own` taking precedence."""
        return Settings({**self._values, **{name.lower(): [value] for name, value in own.items()}}, self.given)

    def signing_as(self, other: Settings) -> Settings:
        """These settings, with those of `other` that sign commits."""
        signing = {key: other.all(key) for key in SIGNING if other.all(key)}
        return Settings({**{k: v for k, v in self._values.items() if k not in SIGNING}, **signing}, self.given)

    def __getitem__(self, name: str) -> Any:
        """The value of the uam key `name`; UsageError when it is not valid."""
        return self._checked(self.key(name), self.text(name))

    @staticmethod
    def _checked(key: Key, text: str) -> Any:
        try:
            return key.check(text)
        except ValueError as error:
            raise UsageError(
                f"The setting {key.name} is '{text}', which {error}.", f"Set it with `git config {key.name} ...`."
            ) from None

    def text(self, name: str) -> str:
        """The value of the uam key `name` as it is written, or its default."""
        return self._values.get(spelled(name), [self.key(name).default])[-1]

    def values(self, name: str) -> list[Any]:
        """All values of the uam key `name`, which may be given several times; UsageError when one is not valid."""
        return [self._checked(self.key(name), text) for text in self.all(spelled(name)) if text]

    @staticmethod
    def key(name: str) -> Key:
        """The key of that name, in any case; UsageError for one that does not exist."""
        found = _BY_NAME.get(name.lower()) or _of_name(name)
        if found is None:
            raise UsageError(f"There is no setting '{name}'.", Advice.of("{} lists them.", "git", "uam", "config"))
        return found

    def all(self, name: str) -> list[str]:
        """All values of any key that was read, spelled as git prints it; none where it is not set."""
        return self._values.get(name, [])

    @property
    def syncs_objects(self) -> bool:
        """Whether git syncs each loose object to disk: by default it syncs refs and packs alone (core.fsync)."""
        found = self.all("core.fsyncobjectfiles")[-1:] not in ([], ["false"])
        for listed in self.all("core.fsync")[-1:]:
            found = False
            for part in (part.strip() for part in listed.split(",")):
                if part == "none":
                    found = False
                elif part.removeprefix("-") in ("loose-object", "objects", "committed", "added", "all"):
                    found = not part.startswith("-")
        return found

    def acting(self) -> dict[str, list[str]]:
        """All that decides as whom a push acts, whichever remote it goes to."""
        found = {key: values for key, values in self._values.items() if makes_identity(key)}
        return {key: values for key, values in found.items() if not key.startswith(("remote.", "url."))}

    def gates(self) -> list[str]:
        """The names of the gates, in the order of git config."""
        found = (_named(key) for key in self._values)
        return [one[2] for one in found if one and one[1].lower() == "gate" and one[3].lower() == "command"]

    def guards(self, branch: str) -> bool:
        """Whether any gate is about this branch."""
        patterns = [self.all(f"uam.gate.{name}.branches") for name in self.gates()]
        return any(not some or named_by(branch, some) for some in patterns)

    def of_gates(self, last: str) -> list[str]:
        """All values that any gate has under this last part of its keys."""
        return [value for name in self.gates() for value in self.all(f"uam.gate.{name}.{last}")]

    def rewriting(self, kind: str) -> list[tuple[str, str]]:
        """The (base, prefix) of every url.<base>.<kind>, in git's order; `kind` is `.insteadof` or `.pushinsteadof`."""
        names = [name for name in self._values if name.startswith("url.") and name.endswith(kind)]
        return [(name[len("url.") : -len(kind)], prefix) for name in names for prefix in self._values[name]]

    def remotes(self) -> list[str]:
        """The configured remotes that have a URL."""
        urls = [key for key in self._values if key.startswith("remote.") and key.endswith(".url")]
        return sorted({name for name in (key[len("remote.") : -len(".url")] for key in urls) if name})

    def check_remote(self, remote: str) -> None:
        """Raise UsageError unless `remote` is configured here with a URL."""
        if remote not in self.remotes():
            raise UsageError(f"There is no remote '{remote}' here.", Advice.of("See {}.", "git", "remote", "-v"))

    def tracking_ref(self, remote: str, ref: str) -> str | None:
        """The remote-tracking ref that `git fetch` would write for `ref` of `remote`; None without one."""
        return _mapped(ref, self._fetched(remote))

    def remote_ref(self, remote: str, tracking: str) -> str | None:
        """The ref of `remote` that `tracking` tracks: the inverse of `tracking_ref`."""
        return _mapped(tracking, [(dst, src) for src, dst in self._fetched(remote)])

    def _fetched(self, remote: str) -> list[tuple[str, str]]:
        """The fetch refspecs of `remote` that have a destination, as (source, destination)."""
        specs = [spec for spec in self.all(f"remote.{remote}.fetch") if not spec.startswith("^")]
        pairs = [spec.lstrip("+").partition(":")[::2] for spec in specs]
        return [(src, dst) for src, dst in pairs if dst]


def _mapped(name: str, pairs: list[tuple[str, str]]) -> str | None:
    """`name` through the first pair of patterns whose left side it matches, as git matches refspecs."""
    for left, right in pairs:
        if left == name:
            return right
        before, star, after = left.partition("*")
        if star and len(name) >= len(before) + len(after) and name.startswith(before) and name.endswith(after):
            return right.replace("*", name[len(before) : len(name) - len(after)], 1)
    return None
