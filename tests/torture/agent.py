"""One agent: a process that commits and pushes until it is told to stop, and writes down what it was answered.

It knows plain git and nothing of us. Each commit adds a token to a file of the agent's own; an edit of another file is
never committed and has to survive.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from tests.support.scenes import Done, words_of
from tests.torture.facts import Facts

# Longer than any push may take: the limit of a wait, and more.
HUNG = 150.0
# A lock that stands for so long has no owner: git is told so by whoever finds it.
STALE = 3.0
# How often something is tried that a kill, a full disk or a settle may prevent, a tenth of a second after the other.
TRIES = 40


def _left_by_a_settle(lock: Path) -> bool:
    """Whether the lock has the text of the journal of settles, and no settle works in that index any more."""
    index = os.fsencode(lock.with_suffix(""))
    if not lock.read_bytes().endswith(b"\nend\n"):
        return False
    lines = (words_of(entry.name) for entry in Path("/proc").glob("[0-9]*"))
    return not any(b"uam-settle" in words and index in words for words in lines)


class Agent:
    """What one agent has: a worktree, a name, and what it has committed so far."""

    def __init__(self, top: Path, name: str, seed: int, stop: Path, env: dict[str, str]) -> None:
        self.top, self.name, self.stop = top, name, stop
        self.random = random.Random(f"{seed} {name}")  # noqa: S311
        self.env = {**env, "UAM_AGENT_ID": name}
        self.facts = Facts(stop.parent / f"{name}.facts")
        self.tokens: list[str] = []
        self.unpushed = 0
        self.serial = 0
        self.gated = "GATES_OF_AGENT" in env
        self.rounds = int(env.get("ROUNDS_OF_AGENT", "0"))  # how often it pushes; 0 for as long as it may
        self.most = int(env.get("COMMITS_OF_AGENT", "0"))  # how many commits it pushes at most; 0 for one, or two

    def git(self, *args: str) -> Done:
        """`git args`, whatever its exit code; a lock that nobody holds any more is taken away first."""
        self._clear_lock()
        try:
            done = subprocess.run(
                ["git", *args], cwd=self.top, env=self.env, stdin=subprocess.DEVNULL, capture_output=True,
                timeout=HUNG, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            self.facts.note("violation", what=f"git {' '.join(args)} did not end within {HUNG:g} s")
            return Done(124, "", "")
        return Done(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))

    def _clear_lock(self) -> None:
        """A git that was killed leaves index.lock behind, in plain git as well; people delete it."""
        lock = Path(self.env["GIT_DIR_OF_AGENT"]) / "index.lock"
        began = time.monotonic()
        try:
            first = lock.stat()
            while lock.stat().st_ino == first.st_ino:
                if time.monotonic() - began > STALE:
                    if _left_by_a_settle(lock) and lock.stat().st_ino == first.st_ino:
                        self.facts.note("violation", what=f"a settle has ended and left {lock}")
                    lock.unlink()
                    self.facts.note("lock")
                    return
                time.sleep(0.05)
        except FileNotFoundError:
            return

    # -- what it does ----------------------------------------------------------------------------------

    def work(self) -> None:
        """Commit and push until told to stop, then push what is left, with nobody killing any more."""
        self.write(f"{self.name}.draft", f"{self.name} is not done with this\n")
        done = 0
        while not self.stop.exists():
            if self.rounds and done == self.rounds:
                time.sleep(0.1)
                continue
            self.round()
            done += 1
            if done == self.rounds:
                self.facts.note("rounds")
        for _ in range(6):
            if self.push("wait").code == 0:
                return
        last = self.push("wait")
        if last.code:
            self.facts.note("violation", what=f"it can push no more: {last.err[-2000:]}")

    def round(self) -> None:
        """Commit, and push that."""
        for _ in range(self.random.randint(1, self.most) if self.most else self.random.choice((1, 1, 2))):
            self.commit()
        if self.unpushed and self.random.random() < 0.2:
            self.amend()
        if self.gated and self.random.random() < 0.25:
            self.culprit(self.random.choice(("wait", "queue")))
        self.push(self.random.choice(("wait", "wait", "queue")))

    def write(self, name: str, text: str) -> None:
        """Give a file this content, however long the disk is full; it is never half written."""
        path, new = self.top / name, self.top / f".{name}.new"
        while True:
            try:
                new.write_text(text)
                new.replace(path)
            except OSError:
                time.sleep(0.05)
            else:
                return

    def commit(self) -> None:
        """Add a token to the agent's own file and commit it."""
        self.serial += 1
        token = f"{self.name}-{self.serial}-{self.random.getrandbits(40):010x}"
        name = f"{self.name}.txt"
        self.write(name, "".join(f"{one}\n" for one in (*self.tokens, token)))
        if self._record(name, token):
            self.tokens.append(token)
            self.unpushed += 1
            self.facts.note("commit", token=token)

    def _record(self, name: str, subject: str) -> bool:
        """Commit one file, also one that is gone; `subject` is that of no other commit.

        A try that failed may have made the commit all the same: git is killed, or finds no room, after the branch has
        moved. The history says so, and nothing else does: a landing may be on top of it by then, or below it.
        """
        done = Done(0, "", "")
        for _ in range(TRIES):
            done = self._stage(name)
            if done.code == 0:
                done = self.git("commit", "-q", "-m", subject, "--", name)
            if done.code == 0 or subject in self.git("log", "-30", "--format=%s").out.splitlines():
                return True
            time.sleep(0.1)
        seen = [self.git(*args).out.strip() for args in (("log", "-3", "--format=%h %s"), ("status", "--short"))]
        words = f"{done.code} {done.out[-500:]} {done.err[-1500:]}, {subject} in {name}, of {seen}"
        same = self.git("diff", "--quiet", "HEAD", "--", name).code == 0
        what = "nothing is left to commit, and its commit is not there" if same else "it cannot commit"
        self.facts.note("violation", what=f"{what}: {words}")
        return False

    def _stage(self, name: str) -> Done:
        """Let the index have the file as it is; a try before may have taken it out, and git add knows it no more."""
        if (self.top / name).exists():
            return self.git("add", "--", name)
        return self.git("rm", "-q", "--cached", "--ignore-unmatch", "--", name)

    def culprit(self, mode: str) -> None:
        """Push what no gate lets pass, and take it back: as if it had never been, or by another commit."""
        name = f"broken-{self.name}"
        self.write(name, f"{self.serial}\n")
        if not self._record(name, f"{self.name} breaks it, {self.serial}"):
            return
        tip = self.git("rev-parse", "HEAD").out.strip()
        self.facts.note("pushing", tokens=len(self.tokens))
        done = self.git("-c", f"uam.push.mode={mode}", "push", "origin", "HEAD:main")
        self.unpushed = 0
        self.facts.note("culprit", mode=mode, tip=tip, code=done.code, err=done.err[-1500:])
        if done.code == 0 and "queued as #" not in done.err:
            self.facts.note("violation", what=f"exit 0 for what no gate lets pass: {done.err[-1500:]}")
        forgets = self.random.random() < 0.5
        for _ in range(TRIES):
            if not self.git("ls-tree", "--name-only", "HEAD", "--", name).out.strip():
                return
            if forgets and self.git("rev-parse", "HEAD").out.strip() == tip:
                self.git("reset", "-q", "--keep", f"{tip}^")
            else:
                (self.top / name).unlink(missing_ok=True)
                self._record(name, f"{self.name} mends it, {self.serial}")
            time.sleep(0.1)
        self.facts.note("violation", what="it cannot take its culprit back")

    def amend(self) -> None:
        """Reword a commit that nobody was asked to push."""
        self.git("commit", "-q", "--amend", "-m", f"{self.tokens[-1]} in other words")

    def push(self, mode: str) -> Done:
        """Push HEAD to main, and write down what was promised."""
        tip = self.git("rev-parse", "HEAD").out.strip()
        self.facts.note("pushing", tokens=len(self.tokens))
        began = time.monotonic()
        done = self.git("-c", f"uam.push.mode={mode}", "push", "origin", "HEAD:main")
        took = round(time.monotonic() - began, 2)
        self.unpushed = 0
        if done.code == 0:
            self.facts.note("pushed", mode=mode, tip=tip, tokens=list(self.tokens), took=took)
            queued = "queued as #" in done.err
            if not queued and (missing := [one for one in self.tokens if one not in self.there()]):
                self.facts.note("violation", what=f"exit 0 and not on the remote: {missing}; it was told: {done.err}")
        else:
            self.facts.note("refused", mode=mode, err=done.err[-1500:], code=done.code, took=took)
        return done

    def there(self) -> list[str]:
        """The agent's tokens on the remote."""
        bare = self.env["REMOTE_OF_AGENT"]
        done = subprocess.run(
            ["git", "-C", bare, "show", f"main:{self.name}.txt"], env=self.env, capture_output=True, check=False
        )
        return done.stdout.decode().split()


if __name__ == "__main__":
    _top, _name, _seed, _stop = sys.argv[1:]
    Agent(Path(_top), _name, int(_seed), Path(_stop), json.loads(os.environ["AGENT_ENV"])).work()
