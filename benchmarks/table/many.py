"""The rows of many commits, branches and agents."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import agents
import branches
import thousand
import waiting

from table.bench import NOT_THERE, Bench, Found, Row, paired, percentile
from uam_hooks.demo.demo import play


def _seconds(values: list[float]) -> str:
    return f"{median(values):.2f} s"


def _thousand(bench: Bench) -> Found:
    found = thousand.measured(bench.place(), bench.rounds(3))
    ours = found[thousand.OURS]
    held = ", ".join(f"{way} {_seconds(found[way])}" for way in (thousand.OCTOPUS, thousand.PICKED))
    return Found(_seconds(ours), held, paired(ours, found[thousand.OCTOPUS]), median(ours) <= 0.45, found)


def _race(bench: Bench) -> Found:
    plays = []
    for _ in range(bench.rounds(3)):
        plays.append(play(agents.scenario(20, 5, "1s"), bench.place()))
        failed = {**plays[-1].plain.failed, **plays[-1].hooked.failed}
        assert not failed, failed
        assert plays[-1].same_files, "the remotes do not hold the same files"
    sides = [[play.plain for play in plays], [play.hooked for play in plays]]
    plain, ours = (
        f"{_seconds([side.seconds for side in some])}, {median(side.ci_runs for side in some):g} runs,"
        f" {median(side.rejected for side in some):g} rejected"
        for some in sides
    )
    ratio = paired([side.seconds for side in sides[1]], [side.seconds for side in sides[0]])
    met = ratio <= 0.35 and median(side.ci_runs for side in sides[1]) <= 6
    return Found(
        ours,
        f"plain git {plain}",
        ratio,
        met,
        [{"plain": p.plain._asdict(), "ours": p.hooked._asdict()} for p in plays],
    )


def _crowd(bench: Bench) -> Found:
    sides = [agents.alone(agents.scenario(50, 5, "700ms"), bench.place()) for _ in range(bench.rounds(3))]
    pushes = [seconds for side in sides for seconds in side.pushes]
    runs = median(side.ci_runs for side in sides)
    p50, p95 = (percentile(pushes, percent) for percent in (50, 95))
    raw = [side._asdict() for side in sides]
    return Found(f"p50 {p50:.1f} s, p95 {p95:.1f} s, {runs:g} runs", "", None, p95 <= 3 and runs <= 7, raw)


def _branches(ours: str, theirs: str) -> Callable[[Bench], Found]:
    """A row that holds one of our ways to land branches against one of mergetrain's."""

    def measure(bench: Bench) -> Found:
        ways = bench.once("branches", lambda: branches.measured(bench.place(), 20, bench.rounds(3), bench.peers))
        raw = {way: [one._asdict() for one in took] for way, took in ways.items()}
        mine = [one.total for one in ways[ours]]
        if theirs not in ways:
            return Found(_way(ways[ours]), NOT_THERE, None, None, raw)
        ratio = paired(mine, [one.total for one in ways[theirs]])
        return Found(_way(ways[ours]), f"mergetrain {_way(ways[theirs])}", ratio, ratio <= 0.25, raw)

    return measure


def _way(took: list[branches.Took]) -> str:
    each = [1000 * one for some in took for one in some.each]
    handed = f" ({median(each):.0f} ms each, landing {median(one.landing for one in took):.2f} s)" if each else ""
    return f"{_seconds([one.total for one in took])}{handed}"


def _waiting(bench: Bench) -> Found:
    cost = waiting.measured(bench.place(), 20, bench.seconds)
    assert cost.landed == 20, f"{cost.landed} of 20 pushes landed"
    return Found(f"{cost.pushes:.2f} % of a core", "", None, cost.pushes < 1, cost._asdict())


_SAME_WORK = (
    "mergetrain was approved beforehand (`--auto`), has no gates, and runs one `daemon --once` when all are queued. It"
    " lands merge commits and a ref of its own for recovery, and puts the result together in a worktree; git uam lands"
    " one commit for each push. The files are the same."
)

ROWS = (
    Row("thousand", "1,000 commits of 4 sources, 2,000 files: `git uam flush`", "450 ms", _thousand,
        "The ratio is to the octopus merge. Four squashed commits, one merge commit, 1,000 commits: the same files."
        " Each ends with its push; handing over the four pushes is not counted."),
    Row("agents-20", "20 agents, 5 rounds each, window 1 s", "0.35 x plain git, 6 runs", _race,
        "An agent of plain git fetches, rebases and pushes again until it is in; it has no window to wait for."),
    Row("branches", "20 branches of 2 commits, 500 files, handed over and landed", "0.25 x mergetrain",
        _branches(branches.BY_HAND, branches.PEER), _SAME_WORK),
    Row("branches-waiting", "the same, 20 waiting pushes at once", "0.25 x mergetrain",
        _branches(branches.WAITING, branches.PEER_TOGETHER),
        "Ours has a window of 1 s in it. mergetrain's 20 hand over at the same moment, too, and one landing follows."),
    Row("agents-50", "50 agents, 5 rounds each, window 700 ms", "p95 3 s, 7 runs", _crowd),
    Row("waiting", "20 pushes that wait", "1 % of a core", _waiting),
)  # fmt: skip
