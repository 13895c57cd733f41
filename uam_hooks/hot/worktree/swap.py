"""Index, files and branch of a worktree, moved as git would.

sh does it, in a session of its own: once begun it comes to its end although the process that asked for it, or its
whole process group, is killed. git works on a second index, which takes the first one's place in one step, so that the
index itself is always the old one or the new one. Its lock is held for that step alone, because nobody but us would
remove it after a crash: another git that comes in between finds files that differ from the index, as after an edit, and
if it has written the index by then, everything goes back. The lock is a link to the journal's file, so that one that a
crash left behind is known to be ours.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from uam_hooks.hot.core.plumbing import scrubbed
from uam_hooks.hot.core.steps import Settling, last_step
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.worktree.journal import Move

LOCKED = 75
REFUSED = 65

# $1 the index, $2 where to keep it as it was, $3 the journal's file, $4 the step to die at, $5 "held" when the caller's
# git has the lock, $6 "stage" for entries on stdin, $7 "files" to move files from $8 to $9; then the branch's command.
_SCRIPT = """
trap '' PIPE HUP INT TERM # the end comes from here alone
index=$1 before=$2 record=$3 die=$4 held=$5 stage=$6 files=$7 old=$8 new=$9
shift 9
lock=$index.lock ours=$index.uam base=$index.uam-base
step() {
	echo "$1" 2>/dev/null || :
	[ "$1" != "$die" ] || kill -KILL "$PPID" $$
}
end() {
	rm -f "$ours" "$ours.lock" "$base"
	exit "$1"
}
copy() {
	if [ ! -f "$1" ]; then : >"$2"; else ln "$1" "$2" 2>/dev/null || cp -p "$1" "$2"; fi
}
same() { [ "$index" -ef "$base" ] || cmp -s "$index" "$base" || { [ ! -e "$index" ] && [ ! -s "$base" ]; }; }
with_ours() { GIT_INDEX_FILE=$ours git -c core.fsmonitor=false "$@"; }

rm -f "$ours" "$ours.lock" "$base"
copy "$index" "$base" || end 70
[ ! -s "$base" ] || copy "$base" "$ours" || end 70
if [ -n "$stage" ]; then with_ours update-index -z --index-info || end $?; fi
if [ -n "$files" ]; then
	with_ours update-index -q --refresh </dev/null
	[ $? -le 1 ] || end 70
	# what is in the way is found before a file is touched
	with_ours read-tree -n -m -u "$old" "$new"
	case $? in 0) ;; 128) end 65 ;; *) end 70 ;; esac
fi
if [ -n "$before" ]; then { rm -f "$before" && copy "$base" "$before"; } || end 70; fi
step settle-begun
if [ -n "$files" ]; then with_ours read-tree -m -u "$old" "$new" || end $?; fi
step settle-files
if [ -z "$held" ] && ! ln "$record" "$lock" 2>/dev/null; then # where no links are to be had, a copy
	(set -C && cat "$record" >"$lock") 2>/dev/null || end 75
fi
step settle-locked
done=75
if same; then
	done=0
	[ ! -f "$ours" ] || mv "$ours" "$index" || done=70
fi
[ -n "$held" ] || rm -f "$lock"
[ $done -eq 0 ] || end $done
step settle-index
[ $# -eq 0 ] || git "$@" || end $?
step settle-ref
end 0
"""


class Swapped(NamedTuple):
    """How it ended: the exit code (0, LOCKED, REFUSED, else a fault), what git said, and the steps that were done."""

    code: int
    err: str
    steps: tuple[str, ...]

    @property
    def begun(self) -> bool:
        """Whether something may have to be undone."""
        return Settling.BEGUN in self.steps


def swap(
    at: Path, move: Move, record: Path, turn: int, *, stage: bytes = b"", files: bool = False,
    branch: Sequence[str] = (), undo: bool = False, held: bool = False,
) -> Swapped:  # fmt: skip
    """Change the index of the worktree `at`, under its lock, and then the branch.

    `stage` is input of `git update-index -z --index-info`; with `files` the files move from the old to the new commit
    of `move`. `branch` is the git command for the branch. With `undo` the index as it was is left alone. `held` says
    that a git that waits for this process has the lock. `turn` is the descriptor of the settle lock, which stays
    locked as long as any child lives.
    """
    before = "" if undo else str(move.before)
    given = (str(move.index_file), before, str(record), last_step(), "held" if held else "", "stage" if stage else "",
             "files" if files else "", move.old, move.new, *branch)  # fmt: skip
    with (move.index_file.with_name("index.uam-entries")).open("w+b") as entries:
        Path(entries.name).unlink()  # a file, not a pipe: it is complete whatever happens to this process
        entries.write(stage)
        entries.flush()
        entries.seek(0)
        done = subprocess.run(
            ["sh", "-c", _SCRIPT, "uam-settle", *given], stdin=entries, capture_output=True, cwd=at, check=False,
            env={**scrubbed(os.environ), "LC_ALL": "C", "LANGUAGE": "C"}, pass_fds=(turn,), start_new_session=True,
        )  # fmt: skip
    err = done.stderr.decode("utf-8", "replace")
    return Swapped(done.returncode, err, tuple(done.stdout.decode("ascii", "replace").split()))
