"""Many agents push to main at once: plain git with its retries against git uam.

    python benchmarks/agents.py --agents 20 --rounds 5 --window 1s

Prints what the remotes' post-receive hooks and the agents counted. Each agent has a worktree and files of its own.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from uam_hooks.demo.demo import Side, play, play_side, private_environment, tree_of
from uam_hooks.demo.scenario import Act, Commit, Round, Scenario


def scenario(agents: int, rounds: int, window: str) -> Scenario:
    """Every agent commits once to a file of its own and pushes, `rounds` times."""
    work = {
        f"agent-{n}": tuple(
            Round((Commit(f"Round {r} of agent {n}", f"files/{n}", f"{r}\n"),), {}) for r in range(rounds)
        )
        for n in range(agents)
    }
    return Scenario(window, 5.0, {"README": "start\n"}, (Act("Each pushes files of its own.", work),))


def alone(scenario: Scenario, root: Path) -> Side:
    """git uam without the other side, in the empty directory `root`: no push fails, and nothing is missing."""
    with private_environment(root / "home"):
        side = play_side(scenario, root / "hooked", hooked=True)
        assert not side.failed, side.failed
        assert side.tree == tree_of(scenario.files(), root / "expected"), "the remote does not hold what was written"
    return side


def main() -> None:
    """Measure once and print both sides as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--window", default="1s")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        found = play(scenario(asked.agents, asked.rounds, asked.window), Path(directory))
    sides = {"plain git": found.plain, "git uam": found.hooked}
    for name, side in sides.items():
        figures = {k: v for k, v in side._asdict().items() if k in ("ci_runs", "rejected", "commits", "seconds")}
        print(name, json.dumps({**figures, "failed": len(side.failed)}))
    print("both remotes hold the same files:", found.same_files)


if __name__ == "__main__":
    main()
