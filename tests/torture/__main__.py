"""`python -m tests.torture --seed N --kills 1000`: prints what was killed, and what does not hold."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.torture import fleet
from tests.torture.machines import missing
from tests.torture.run import Plan, can_mount, torture


def main() -> int:
    """Run with what the command line says; 1 where something does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=1000, help="how many processes are killed")
    parser.add_argument("--seconds", type=float, default=3600.0, help="the most that the killing takes")
    parser.add_argument(
        "--agents", type=int, default=5, help="without --fleet the last of them works in a clone of its own"
    )
    parser.add_argument("--pause", type=float, default=0.08, help="seconds between two kills, on average")
    parser.add_argument("--no-disk", action="store_true", help="never fill the disk")
    parser.add_argument("--gates", action="store_true", help="a gate guards main, and agents push what it refuses")
    parser.add_argument("--fleet", action="store_true", help="several machines with a database between them")
    parser.add_argument("--machines", type=int, default=5, help="of a fleet")
    parser.add_argument("--rounds", type=int, default=20, help="how often each agent of a fleet pushes")
    parser.add_argument("--commits", type=int, default=0, help="of a push in a fleet at most; 0 for one or two")
    parser.add_argument("--clocks", action="store_true", help="the clocks of a fleet's machines differ")
    parser.add_argument("--keep", action="store_true", help="leave the directory of the run where it is")
    given = parser.parse_args()
    if given.fleet:
        return _fleet(given)
    root = Path(tempfile.mkdtemp(prefix="uam-torture-")).resolve()
    disk = not given.no_disk and can_mount(root)
    if not disk and not given.no_disk:
        print("no file system can be mounted here: the disk is never full in this run")
    plan = Plan(given.seed, given.kills, given.seconds, given.agents, given.pause, disk, given.keep, given.gates)
    report = torture(plan, root)
    print(f"seed {plan.seed}: {report.told} in {report.took:.0f} s")
    print(f"killed {report.killed.total()}: {dict(report.killed.most_common())}; the disk was full {report.full} times")
    for what in report.violations:
        print(f"VIOLATION {what}")
    if report.violations:
        print(f"again: python -m tests.torture --seed {plan.seed} --kills {plan.kills} --agents {plan.agents}"
              f" --pause {plan.pause}{'' if disk else ' --no-disk'}{' --gates' if plan.gates else ''}")  # fmt: skip
    print(f"{len(report.violations)} violations")
    if given.keep or (report.violations and not disk):
        print(f"left in {root}")
    else:
        shutil.rmtree(root)
    return bool(report.violations)


def _fleet(given: argparse.Namespace) -> int:
    """A run of a fleet; 1 where something does not hold, or nothing can be started."""
    if why := missing():
        print(f"no fleet can be tried here: {why}")
        return 1
    plan = fleet.Plan(given.seed, given.machines, given.agents, given.rounds, given.pause, given.seconds,
                      clocks=given.clocks, commits=given.commits)  # fmt: skip
    root = Path(tempfile.mkdtemp(prefix="uam-torture-")).resolve()
    report = fleet.torture(plan, root)
    half, most = report.percentiles
    print(
        f"seed {plan.seed}: {dict(report.told)} in {report.took:.0f} s;"
        f" {report.landed} commits landed in {report.runs} runs"
    )
    print(
        f"a waiting push took {half:.1f} s (median), {most:.1f} s (p95), {max(report.pushes, default=0):.1f} s at most"
    )
    print(f"chaos: {dict(report.acts.most_common())}; the branch had {report.terms} holders, one after the other")
    print(f"killed {report.killed.total()} at random: {dict(report.killed.most_common())}")
    for what in report.violations:
        print(f"VIOLATION {what}")
    print(f"{len(report.violations)} violations")
    if given.keep or report.violations:
        print(f"again: python -m tests.torture --fleet --seed {plan.seed} --machines {plan.machines}"
              f" --agents {plan.agents} --rounds {plan.rounds} --pause {plan.pause} --commits {plan.commits}"
              f"{' --clocks' if plan.clocks else ''}; left in {root}")  # fmt: skip
    else:
        shutil.rmtree(root)
    return bool(report.violations)


if __name__ == "__main__":
    sys.exit(main())
