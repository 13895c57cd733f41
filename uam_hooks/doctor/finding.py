"""What a check can find: the names are stable, for programs."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Severity(StrEnum):
    """`error`: something does not work, or does not land. `warning`: something is left over, or soon will not work."""

    ERROR = "error"
    WARNING = "warning"


class Code(StrEnum):
    """What is wrong."""

    CHECK_FAILED = "check-failed"
    GIT_MISSING = "git-missing"
    GIT_FAILS = "git-fails"
    GIT_OLD = "git-old"
    PYTHON_GONE = "python-gone"
    PROGRAM_GONE = "program-gone"
    PROGRAM_OTHER = "program-other"
    HALF_INSTALLED = "half-installed"
    SHIM_CHANGED = "shim-changed"
    HOOK_DISPLACED = "hook-displaced"
    HOOK_CHANGED = "hook-changed"
    HOOK_IGNORED = "hook-ignored"
    ALIAS_CHANGED = "alias-changed"
    CATCH_ALL_MISSING = "catch-all-missing"
    REMOTE_NOT_WIRED = "remote-not-wired"
    SETTING_WRONG = "setting-wrong"
    GATES_WRONG = "gates-wrong"
    COMMAND_MISSING = "command-missing"
    SLOT_ODD = "slot-odd"
    CI_TOOL_MISSING = "ci-tool-missing"
    CI_UNKNOWN = "ci-unknown"
    NOTIFY_FAILED = "notify-failed"
    FLEET_HALF = "fleet-half"
    FLEET_SECRET = "fleet-secret"  # noqa: S105 - a name
    FLEET_EXTRA_MISSING = "fleet-extra-missing"
    FLEET_AWAY = "fleet-away"
    FLEET_REFUSED = "fleet-refused"
    FLEET_LOST = "fleet-lost"
    FLEET_REFS_LEFT = "fleet-refs-left"
    DIRECTORY_MISSING = "directory-missing"
    DIRECTORY_ODD = "directory-odd"
    NOT_WRITABLE = "not-writable"
    OPEN_TO_OTHERS = "open-to-others"
    DISK_LOW = "disk-low"
    KEY_DAMAGED = "key-damaged"
    QUEUE_MISSING = "queue-missing"
    QUEUE_CORRUPT = "queue-corrupt"
    QUEUE_UNUSABLE = "queue-unusable"
    QUEUE_NEWER = "queue-newer"
    QUEUE_OLDER = "queue-older"
    QUEUE_LARGE = "queue-large"
    QUEUE_ELSEWHERE = "queue-elsewhere"
    ENTRY_UNREADABLE = "entry-unreadable"
    ENTRY_OVERDUE = "entry-overdue"
    ENTRY_APART = "entry-apart"
    ENTRY_ADRIFT = "entry-adrift"
    ENTRY_UNPINNED = "entry-unpinned"
    COMMIT_GONE = "commit-gone"
    BATCH_ABANDONED = "batch-abandoned"
    FLUSHER_STUCK = "flusher-stuck"
    PIN_STRAY = "pin-stray"
    LANDING_STRAY = "landing-stray"
    REF_BROKEN = "ref-broken"
    SETTLE_UNFINISHED = "settle-unfinished"
    MARK_LEFT = "mark-left"
    COMMIT_OPEN = "commit-open"
    LOCK_LEFT = "lock-left"


class Fix(StrEnum):
    """How a finding is mended, in the order in which that is done; the text says what will be done, to `about`."""

    INSTALL = "install again, with the options that it was installed with"
    FURNISH = "make it"
    SECURE = "let nobody else read it"
    MIGRATE = "bring it to this version"
    REBUILD = "set it aside with its date, and make the queue anew from what can be read of it and from our refs"
    REPAIR = "put index and files back, but for what was edited since"
    PIN = "pin its commit again"
    END = "end it alone, with the reason; its commits stay pinned"
    REOPEN = "open its batch again, so that its remote is asked"
    RECOVER = "ask the remote what became of it"
    REMEMBER = "write the landing down again, so that it ends with its retention"
    UNPIN = "drop the pin: what it holds has landed"
    SWEEP = "remove it, if its process is still gone"
    WIRE = "let pushes to it go through the queue"
    START = "start the process that executes it"


class Finding(NamedTuple):
    """One thing that is wrong: with what, what it `means`, and the command or the sentence that mends it.

    `fix` is how `--fix` mends it, None where it does not. `of` is what that needs to know besides.
    """

    code: Code
    severity: Severity
    about: str
    means: str
    mend: str
    fix: Fix | None = None
    of: tuple[str, ...] = ()
    fixed: bool = False

    @property
    def key(self) -> tuple[Code, str]:
        """What makes a finding of a later look the same one."""
        return self.code, self.about


def error(code: Code, about: str, means: str, mend: str, fix: Fix | None = None, of: tuple[str, ...] = ()) -> Finding:
    """A finding that keeps something from working."""
    return Finding(code, Severity.ERROR, about, means, mend, fix, of)


def warning(code: Code, about: str, means: str, mend: str, fix: Fix | None = None, of: tuple[str, ...] = ()) -> Finding:
    """A finding that keeps nothing from working now."""
    return Finding(code, Severity.WARNING, about, means, mend, fix, of)


FIX = ("git", "uam", "doctor", "--fix")
BY_FIX = f"`{' '.join(FIX)}`"
