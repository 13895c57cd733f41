"""What the tests of many worktrees have in common: acting in the test process itself, and what must hold everywhere.

Pushes queue at once (`uam.push.mode=manual`) and `flushed` lands them in this process, so that a test decides what
goes into which batch and needs to wait for no window.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.scenes import Done, Scene, Worktree, script
from uam_hooks.flush.flush import flush
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.plumbing import HotGit
from uam_hooks.hot.push.intake import enter
from uam_hooks.hot.push.request import Request, Spec
from uam_hooks.hot.push.resolve import resolve
from uam_hooks.hot.push.session import open_session as open_push
from uam_hooks.hot.queue.model import BatchResult
from uam_hooks.hot.worktree.landed import Landed, Settled
from uam_hooks.hot.worktree.settle import settle
from uam_hooks.land.retention import Pruned, prune
from uam_hooks.session import Session, open_session

_PUSHED = re.compile(r" (?P<old>[0-9a-f]{40,64}):(?P<new>[0-9a-f]{40,64}):(?P<ref>\S+)")


@contextmanager
def environment(env: dict[str, str]) -> Iterator[None]:
    """Let this process have exactly `env` as its environment, as a process of the scene has."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(env)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def inside(place: Worktree) -> Iterator[Session]:
    """The queue of the repository that `place` belongs to, opened in this process."""
    with environment(place.env), open_session(place.top) as session:
        yield session


def flushed(place: Worktree) -> list[BatchResult]:
    """Land everything that is queued."""
    with inside(place) as session:
        return flush(session, False, 30.0)


def by_hand(scene: Scene, settle: str = "keep") -> Scene:
    """Pushes of this scene wait for `flushed`, also those that conflict with each other."""
    scene.git("config", "uam.push.accept", "false")
    scene.git("config", "uam.push.mode", "manual")
    scene.git("config", "uam.settle", settle)
    return scene


def queue(agent: Worktree, *args: str) -> None:
    """Queue a push, of HEAD to main unless `args` say otherwise."""
    done = agent.push(*(args or ("origin", "HEAD:main")))
    assert done.code == 0, done
    assert any(line.startswith("queued as #") for line in done.ours), done


def write(agent: Worktree, name: str, text: str | bytes, mode: int = 0o644) -> Path:
    """Give the file at `name` this content."""
    path = agent.top / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def record(agent: Worktree, message: str, *options: str, **env: str) -> str:
    """Commit everything that changed in the worktree; gives the commit."""
    agent.git("add", "-A", **env)
    agent.git("commit", "-q", "-m", message, *options, **env)
    return agent.oid("HEAD")


def states(scene: Scene) -> list[str]:
    """What became of each source, in queue order."""
    return [row["status"] for row in scene.rows("sources")]


def reachable(place: Worktree) -> set[str]:
    """Every commit that some ref of the repository holds (no reflog: its entries expire)."""
    return set(place.git("rev-list", "--all").split())


def updates(scene: Scene) -> list[list[tuple[str, str, str]]]:
    """What each push changed on the remote: (ref, old, new) each."""
    return [[(m["ref"], m["old"], m["new"]) for m in _PUSHED.finditer(line)] for line in scene.pushes()]


def sound(place: Worktree) -> None:
    """`git fsck --strict` finds no fault; what nobody refers to any more is none."""
    done = place.run("fsck", "--strict", "--no-dangling", "--no-progress")
    assert (done.code, done.out) == (0, ""), done


def truthful(scene: Scene, remote: Worktree | None = None, name: str = "origin") -> None:
    """Every remote-tracking ref names a commit that a branch of the remote contains."""
    there = remote or scene.bare
    tracking = scene.git("for-each-ref", "--format=%(objectname)", f"refs/remotes/{name}/").split()
    has = set(there.git("rev-list", "--branches").split())
    assert [oid for oid in tracking if oid not in has] == []


def kept(scene: Scene, commits: Sequence[str]) -> None:
    """Every one of `commits` is still held by a ref."""
    held = reachable(scene)
    assert [oid for oid in commits if oid not in held] == []


def at_remote(agent: Worktree, scene: Scene, ref: str = "refs/heads/main") -> None:
    """HEAD, index and files are what the remote has, and nothing else changed."""
    assert agent.oid("HEAD") == scene.there(ref)
    assert agent.git("diff", "--cached", "--name-only") == ""
    assert agent.git("diff", "--name-only") == ""


def unresolved(done: Done) -> list[str]:
    """The refs that git said were rejected."""
    return re.findall(r"^ ! \[(?:remote )?rejected\]\s+\S+ -> (\S+)", done.err, re.MULTILINE)


def stranger(root: Path, remote: Path, env: dict[str, str], name: str) -> Worktree:
    """Another plain clone of `remote`."""
    subprocess.run(["git", "clone", "-q", str(remote), name], cwd=root, env=env, check=True)
    return Worktree(root / name, env)


@contextmanager
def away(scene: Scene) -> Iterator[None]:
    """The remote is not there, as a server is that is down."""
    aside = scene.remote.with_name("away.git")
    scene.remote.rename(aside)
    try:
        yield
    finally:
        aside.rename(scene.remote)


def collect(scene: Scene) -> None:
    """Let git throw away everything that no ref holds."""
    scene.git("reflog", "expire", "--expire=now", "--all")
    scene.git("gc", "-q", "--prune=now")


def let_go(scene: Scene) -> Pruned:
    """Prune as if all retention had ended."""
    with inside(scene) as session:
        return prune(session, -1.0)


def holds(scene: Scene, commits: list[str]) -> list[bool]:
    """Which of the commits the repository still has."""
    return [scene.run("cat-file", "-e", f"{oid}^{{commit}}").code == 0 for oid in commits]


def landed_together(scene: Scene) -> dict[str, list[str]]:
    """Two agents with two commits each that landed as one; gives each agent's commits."""
    by_hand(scene)
    commits = {}
    for name in ("one", "two"):
        agent = scene.worktree(name)
        commits[name] = [agent.commit(f"{name}-{n}") for n in (1, 2)]
        queue(agent)
    flushed(scene)
    return commits


# Moves main from a clone that knows nothing of us, as often as the file `quicker` says. What receive-pack exports
# would make it act in the quarantine of the push that is under way.
_QUICKER = """
[ -z "$OUTSIDER" ] || exit 0
read -r left <"{root}/quicker"
[ "$left" -gt 0 ] || exit 0
echo $((left - 1)) >"{root}/quicker"
unset $(git rev-parse --local-env-vars) GIT_QUARANTINE_PATH
export OUTSIDER=yes
cd "{root}/stranger"
git pull -q --rebase && echo "$left" >"theirs-$left" && git add -A && git commit -q -m "Theirs $left" && git push -q
"""


def outsiders(scene: Scene, times: int) -> list[str]:
    """Let somebody else be quicker the next `times` times that the remote receives; gives their files."""
    scene.stranger()
    (scene.root / "quicker").write_text(f"{times}\n")
    script(scene.remote / "hooks" / "pre-receive", _QUICKER.format(root=scene.root))
    return [f"theirs-{n}" for n in range(1, times + 1)]


# -- without a process for each push --------------------------------------------------------------------------


def enqueue(agent: Worktree, src: str = "HEAD", dst: str = "refs/heads/main", *, waits: bool = False) -> bool:
    """Queue a push as the wired door does, in this process; gives whether it brings anything that is not there.

    With `waits` the push counts as one that somebody waits for: the flush leaves its branch to `settle_own`.
    """
    return enqueue_all(agent, Spec(src, dst), waits=waits) == 1


def enqueue_all(agent: Worktree, *specs: Spec, waits: bool = False) -> int:
    """Queue one push of all of these, as `enqueue` does; gives how many of them bring anything."""
    with environment(agent.env):
        session = open_push(agent.git_dir)
        assert session is not None
        with session.store:
            refs = refs_of(agent)
            tracking = {spec.dst: session.settings.tracking_ref("origin", spec.dst) for spec in specs}
            known = {dst: refs.get(ref, "") for dst, ref in tracking.items() if ref}
            found = [one for one in resolve(session, Request("origin", specs), known) if one.new]
            waiter = os.getpid() if waits else 0
            pushed = [one._replace(source=one.source._replace(waiter=waiter)) for one in found]
            if pushed:
                enter(session, pushed, urgent=False, waits=False, last=True)
            return len(pushed)


def refs_of(place: Worktree) -> dict[str, str]:
    """All refs, each with its object."""
    lines = place.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    return dict(line.split() for line in lines)


def grow(scene: Scene, names: Sequence[str]) -> None:
    """Give each of these branches, whole names of refs, one commit more with a file of its own: in one process, and no
    hook sees it. New ones begin where the scene does.
    """
    refs = refs_of(scene)
    feed = []
    for name in names:
        tip = refs.get(name, scene.start_oid)
        feed.append(
            f"commit {name}\ncommitter Ada <ada@example.invalid> 1700000000 +0000\ndata 3\nadd\nfrom {tip}\n"
            f"M 100644 inline {name.replace('/', '.')}.{tip}\ndata 1\nx\n"
        )
    command = ["git", "fast-import", "--quiet"]
    subprocess.run(command, input="\n".join(feed), text=True, cwd=scene.top, env=scene.env, check=True)


def settle_own(agent: Worktree, source: Mapping[str, Any]) -> Settled:
    """What the waiting push does with its own branch once `source` (a row of the queue) has landed."""
    outcome = json.loads(source["outcome"])
    with environment(agent.env):
        paths = RepoPaths.of(agent.git_dir)
        landed = Landed(source["branch"], source["tip"], outcome["new"], outcome["keep"])
        return settle(HotGit(paths.git_dir, paths.worktree), paths, landed, files=True)
