"""Another clone on this machine, opened: its queue, and as whom a push from here would go there.

Nobody acts as somebody else: what is handed over lands as what the same person, with the same environment, would push
from a worktree of that clone. Where that would be as somebody else, or elsewhere, a push lands from here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from uam_hooks.git.repo import Repository
from uam_hooks.git.stamps import which
from uam_hooks.hot.core import urls
from uam_hooks.hot.core.errors import Refused, UamError
from uam_hooks.hot.core.identity import Asker, asker, carried, identity_of, key_of, reduced
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.settings import SIGNING, Settings
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue.bell import FLUSHERS, WAITERS, Bell
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.lane import Lane
from uam_hooks.hot.queue.leader import ensure_flusher
from uam_hooks.session import Session

# How git talks to one remote, besides its URLs.
_MANNERS = ("proxy", "proxyauthmethod", "receivepack", "uploadpack", "vcs", "uam-thin")
_FETCH = (
    "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-gc", "--no-recurse-submodules", "--stdin",
)  # fmt: skip


class Clone(NamedTuple):
    """This clone, where nothing of its queue is needed."""

    repo: Repository
    settings: Settings


Here = Clone | Session


class Unfit(UamError):
    """That clone does not take pushes of this one. `gone` if it is not there at all, so that nothing of it lands."""

    def __init__(self, what: str, do: str = "", *, gone: bool = False) -> None:
        super().__init__(what, do)
        self.gone = gone


class Berth(NamedTuple):
    """Where the pushes to a remote go in the other queue: what that clone calls the remote, and who asks."""

    remote: str
    asker: Asker

    @property
    def lane(self) -> Lane:
        """The lane there."""
        return Lane(self.asker.identity, self.remote)


def home_of(path: Path) -> Path:
    """The git directory of the clone at `path`; Unfit where there is none."""
    try:
        for found in (path / ".git", path):
            if found.is_file():
                named = os.fsdecode(found.read_bytes()).removeprefix("gitdir:").strip()
                return RepoPaths.of(path / named).common_dir
            if (found / "HEAD").is_file():
                return RepoPaths.of(found).common_dir
    except OSError as error:
        raise Unfit(f"{path} cannot be read: {error.strerror or error}.") from None
    raise Unfit(f"There is no repository at {path}.", gone=not path.exists())


def check(paths: RepoPaths) -> None:
    """Unfit where the clone with these paths takes no pushes of others: it is gone, of somebody else, not enabled."""
    try:
        owner = paths.common_dir.stat().st_uid
        if owner == os.geteuid() and paths.env_file.exists():
            if paths.uam.lstat().st_uid == owner:
                return
            owner = paths.uam.lstat().st_uid
    except FileNotFoundError:
        raise Unfit(f"There is no repository at {shown(paths.common_dir)} any more.", gone=True) from None
    except OSError as error:
        raise Unfit(f"{shown(paths.common_dir)} cannot be read: {error.strerror or error}.") from None
    if owner != os.geteuid():
        raise Unfit(f"{shown(paths.common_dir)} belongs to another user.", "Use a clone of your own.")
    raise Unfit(f"git uam is not enabled in {shown(paths.common_dir)}.", "Run `git uam install` there.")


def shown(common_dir: Path) -> str:
    """A clone as people name it."""
    return str(common_dir.parent if common_dir.name == ".git" else common_dir)


class Neighbour:
    """Another clone, whose queue is open until `close`."""

    def __init__(self, common_dir: Path, here: Here) -> None:
        """Raises Unfit where it takes no pushes from here, StoreError where its queue cannot be opened now."""
        self.paths = RepoPaths.of(common_dir)
        check(self.paths)
        self._open = ExitStack()
        try:
            self.repo = self._open.enter_context(Repository(self.paths.common_dir, brief=True))
            queue = Store(self.paths.database, rings=(FLUSHERS, WAITERS), migrate=False)
            self.store = self._open.enter_context(queue)
            self._queue = which(str(self.paths.database))
            self.bell = self._open.enter_context(Bell(self.paths.bells, WAITERS))
            self._key = key_of(self.paths)
            self.look_again(here)
        except (UamError, OSError):
            self._open.close()
            check(self.paths)  # it may have been taken out meanwhile
            raise

    def look_again(self, here: Here) -> None:
        """Read the settings of that clone, as a push from there would have them.

        What was given for a push here counts there; what the settings of this clone say comes with it (see
        identity.reduced), and makes nobody another one who has the same there.
        """
        self.repo.configure({"GIT_CONFIG_COUNT": "0"})
        self.settings = Settings.read(self.repo)
        given = [(key, value) for key, value in here.settings.given if self.settings.all(key)[-1:] != [value]]
        if given:
            self.repo.configure(carried(Settings({}, given)))
            self.settings = Settings.read(self.repo)
        self.identity = identity_of(self.paths, self.settings, os.environ, self._key)

    @property
    def is_there(self) -> bool:
        """Whether what is open is still what others see."""
        return self.paths.env_file.exists() and which(str(self.paths.database)) == self._queue

    def berth(self, here: Here, remote: str) -> Berth | str:
        """Where pushes of this session to `remote` go; or why they land from here, in a sentence."""
        if (why := _apart(here.repo, self.repo)) is not None:
            return why
        name = self._called(here, remote)
        if name is None:
            return f"{shown(self.paths.common_dir)} has no remote that leads where {remote} leads"
        if differs := [*self._differences(here), *_manners(here.settings, remote, self.settings, name)]:
            return f"in {shown(self.paths.common_dir)} they would act as somebody else ({', '.join(differs)} differ)"
        return Berth(name, asker(self.identity, self.settings, os.environ, name))

    def _called(self, here: Here, remote: str) -> str | None:
        """What that clone calls the remote that leads where `remote` leads here, by the same name if it can."""
        if remote not in here.settings.remotes() or urls.own_helper(here.settings, remote):
            return None
        wanted = _where(here.settings, remote, here.repo.paths)
        names = sorted(self.settings.remotes(), key=lambda name: (name != remote, name))
        return next((name for name in names if _where(self.settings, name, self.paths) == wanted), None)

    def _differences(self, here: Here) -> list[str]:
        """The names of the settings by which a push acts as somebody else there; never values."""
        keys = {*here.settings.acting(), *self.settings.acting(), *SIGNING, "push.gpgsign"} - {"safe.directory"}
        found = sorted(key for key in keys if here.settings.all(key)[-1:] != self.settings.all(key)[-1:])
        kept = {*here.settings.all("uam.identity.env"), *here.settings.of_gates("env")}
        own, needed = {*here.settings.all("uam.identity.env")}, {
            *self.settings.all("uam.identity.env"), *self.settings.of_gates("env"),
        }  # fmt: skip
        return [*found, *(["uam.identity.env"] if own - needed or needed - kept else [])]

    def ensure_flusher(self, lane: Lane) -> None:
        """Have what was handed over landed."""
        ensure_flusher(self.paths, lane, partial(reduced, os.environ, self.settings))

    def fetch_from(self, other: Repository, specs: Sequence[str]) -> None:
        """Bring refs of another clone here; GitFailed where that is not possible."""
        bring(self.repo, self.settings, other.paths.common_dir, specs)

    def close(self) -> None:
        self._open.close()


def bring(repo: Repository, settings: Settings, other: Path, specs: Sequence[str]) -> None:
    """Fetch from the git directory of another clone on this machine, whatever protocols the settings allow."""
    feed = "".join(f"{spec}\n" for spec in specs).encode("utf-8", "surrogateescape")
    there = urls.at(settings, "", str(other))
    repo.run(*there, "-c", "protocol.version=2", *_FETCH, urls.NAME, feed=feed, env={"GIT_ALLOW_PROTOCOL": "file"})


def _where(settings: Settings, remote: str, paths: RepoPaths) -> list[str]:
    """The push URLs of a remote; a path is one from the root, as it is relative to the clone."""
    found = []
    for url in urls.push_urls(settings, remote):
        first, colon, _ = url.partition(":")
        is_path = not colon or "/" in first
        found.append(os.path.normpath(paths.worktree / url) if is_path else url)
    return found


def _manners(here: Settings, remote: str, there: Settings, name: str) -> list[str]:
    keys = [key for key in _MANNERS if here.all(f"remote.{remote}.{key}") != there.all(f"remote.{name}.{key}")]
    return [f"remote.{remote}.{key}" for key in keys]


def _apart(here: Repository, there: Repository) -> str | None:
    """Why objects cannot go from one of these clones to the other as they are; None where they can."""
    for repo in (here, there):
        place = shown(repo.paths.common_dir)
        if (repo.paths.common_dir / "shallow").exists():
            return f"{place} is a shallow clone"
        if repo.configured(r"^extensions\.partialclone$") or repo.configured(r"^remote\..*\.promisor$"):
            return f"{place} is a partial clone"
    if _format(here) != _format(there):
        return f"{shown(there.paths.common_dir)} has another object format"
    return None


def _format(repo: Repository) -> bytes:
    return repo.configured(r"^extensions\.objectformat$").lower().partition(b"\n")[2].strip(b"\0") or b"sha1"


def refuse(here: Here, path: Path) -> Path:
    """The git directory of the clone at `path`, whose queue is to take the pushes of this one.

    Refused where it cannot, with nothing changed.
    """
    try:
        common_dir = home_of(path.resolve())
        if common_dir == here.repo.paths.common_dir or common_dir.samefile(here.repo.paths.common_dir):
            raise Unfit(f"{path} is this repository itself: its worktrees share one queue as it is.")
        there = Neighbour(common_dir, here)
    except Unfit as error:
        raise Refused(error.what, error.do) from None
    try:
        if there.settings.text("uam.queue") or there.settings.text("uam.fleet"):
            raise Refused(f"{path} hands its own pushes over to another queue.", "Name that one.")
        berths = {remote: there.berth(here, remote) for remote in here.settings.remotes()}
        whys = [f"{remote}: {why}" for remote, why in berths.items() if isinstance(why, str)]
        if len(whys) == len(berths):
            why = "; ".join(whys) or "this repository has no remote"
            raise Refused(f"{path} cannot take the pushes of this repository. {why}.")
        return common_dir
    finally:
        there.close()
