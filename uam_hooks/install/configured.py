"""Hooks of ours that git finds in its config (git 2.54 and newer), whatever lies in the hooks directory.

git runs them first, then the one in the directory, both in any case. So nobody else's hook has to move for ours, and
none that comes later takes its place. Where the place in the directory is free, ours lies there as well, for an older
git that uses the same repository; that the same hook then runs twice in one git command leaves nothing twice.

pre-push is none of them: it has to know what the hooks of others say before it queues, and tells them the real URL.
"""

from __future__ import annotations

from uam_hooks.git.repo import Repository
from uam_hooks.install.draft import Draft

CONFIGURED = ("pre-commit", "post-commit", "post-rewrite")
_FRIENDLY = {name: f"uam-{name}" for name in CONFIGURED}  # what git calls them; a hook's own name is refused
SECTIONS = tuple(_FRIENDLY.values())
_LISTED = (0, 1, 129)  # some, none, and a git that knows no such command


def _entries(name: str) -> tuple[tuple[str, str], ...]:
    """The settings of one hook. The command finds ours from every worktree, and does nothing where they are gone.

    It reads ours into the sh that git has started, which costs less than another one; git is the parent in any case.
    """
    there = f'"$d/uam/hooks/{name}"'
    command = (
        'd=${GIT_DIR:-.git}; [ -d "$d/uam" ] || d=$(git rev-parse --git-common-dir); '
        f"UAM_CONFIGURED={name}; [ ! -r {there} ] || . {there}"
    )
    return ((f"hook.{_FRIENDLY[name]}.command", command), (f"hook.{_FRIENDLY[name]}.event", name))


def supported(repo: Repository) -> bool:
    """Whether git runs hooks from its config: an older one has no `git hook list`."""
    name = CONFIGURED[0]
    given = [word for key, value in _entries(name) for word in ("-c", f"{key}={value}")]
    listed = repo.run(*given, "hook", "list", name, ok=_LISTED).lines
    return _FRIENDLY[name] in [line.rpartition("\t")[2] for line in listed]  # before it: that it is switched off


def running(repo: Repository, name: str) -> bool:
    """Whether git runs our hook `name` from the config as it is."""
    return name in CONFIGURED and _FRIENDLY[name] in repo.run("hook", "list", name, ok=_LISTED).lines


def asked_for(repo: Repository) -> tuple[str, ...]:
    """Our hooks that are in the config, whether this git runs them or not."""
    there = repo.run("config", "--name-only", "--get-regexp", r"^hook\.uam-", ok=(0, 1)).lines
    return tuple(name for name in CONFIGURED if _entries(name)[0][0] in there)


def write(draft: Draft) -> None:
    """Let the config name all of them."""
    for name in CONFIGURED:
        for key, value in _entries(name):
            if draft.get(key) != [value]:
                draft.put(key, [value])


def erase(draft: Draft) -> None:
    """Let the config name none of them; what somebody has set for one of them besides stays."""
    there = {key for key, _ in draft.entries()}
    for key in [key for name in CONFIGURED for key, _ in _entries(name) if key in there]:
        draft.unset(key)


def named(draft: Draft) -> bool:
    """Whether the config names one of them."""
    there = {key for key, _ in draft.entries()}
    return any(_entries(name)[0][0] in there for name in CONFIGURED)
