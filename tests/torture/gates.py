"""What has to hold of gates when everything has ended, whatever was killed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.scenes import Scene, Worktree, free
from tests.torture.invariants import Seen, rows


def gate_violations(scene: Scene, agents: Sequence[Seen], root: Path) -> list[str]:
    """Everything that does not hold."""
    log = root / "gate.log"
    said = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    found = [f"the gate was asked about {line[0]} with other files: {line[2:]}" for line in said if line[2:]]
    if not said:
        found.append("no gate has run")
    found += landed_green(scene)
    for repository in {id(agent.repository): agent.repository for agent in agents}.values():
        found += [*blamed(repository), *remembered(repository), *left_behind(repository)]
    return found


def broken(place: Worktree, name: str) -> bool:
    """Whether no gate of the run may let this commit or tree pass."""
    return any(file.startswith("broken-") for file in place.git("ls-tree", "--name-only", name).splitlines())


def landed_green(scene: Scene) -> Iterator[str]:
    """Nothing that the remote's main ever was fails its gate; what one push brought at once is mended at once."""
    for commit in scene.bare.git("reflog", "--format=%H", "main").split():
        if broken(scene.bare, commit):
            yield f"{commit} has landed and is broken"


def blamed(repository: Worktree) -> Iterator[str]:
    """Who was told that a gate fails has pushed something broken, by itself; and no branch was red before."""
    for row in rows(repository, "sources"):
        outcome = json.loads(row["outcome"] or "{}")
        words = f"{outcome.get('error', '')} {outcome.get('note', '')}"
        innocent = row["tip"] and not broken(repository, row["tip"])
        if "the gate sound fails" in words and (innocent or "together" in words or "remote had before" in words):
            yield f"#{row['action_id']}, {row['tip'][:7]} of {row['agent_id']}, {innocent=}: {words}"


def remembered(repository: Worktree) -> Iterator[str]:
    """What is known of a tree is true: this gate has no moods."""
    for row in rows(repository, "gate_verdicts"):
        if row["green"] == broken(repository, row["tree"]):
            yield f"the tree {row['tree']} is remembered as {'green' if row['green'] else 'red'}: {row['said']}"


def left_behind(repository: Worktree) -> Iterator[str]:
    """No gate seems to run, and nobody has a slot."""
    for row in rows(repository, "gate_running"):
        yield f"a gate seems to run since {row['began_at']}"
    for lock in (repository.top / ".git" / "uam" / "gate").glob("*/lock"):
        if not free(lock):
            yield f"somebody has {lock}"
