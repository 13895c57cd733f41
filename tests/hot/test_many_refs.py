"""What a push of many refs costs: refs of which nothing has to be found out cost no process of git each."""

from __future__ import annotations

import json

from tests.support.scenes import Scene

FEW, MANY = 2, 8
# what the door, and the settle of a pushed branch, ask git one by one where they have to
_EACH = ("rev-list", "cat-file", "rev-parse", "merge-base")


def branches(scene: Scene, name: str, count: int) -> None:
    """So many branches with a commit of their own each."""
    for number in range(count):
        oid = scene.git("commit-tree", "-p", scene.start_oid, "-m", f"{name} {number}", f"{scene.start_oid}^{{tree}}")
        scene.git("branch", f"{name}/{number}", oid)


def asked(scene: Scene, name: str, **env: str) -> list[list[str]]:
    """What of such git is asked for a push of the branches `name/*`: by the helper, and by a landing."""
    trace = scene.root / "traces" / f"{name}-{len(list(scene.root.glob('traces/*')))}"
    trace.mkdir(parents=True)
    done = scene.push("origin", f"refs/heads/{name}/*:refs/heads/{name}/*", GIT_TRACE2_EVENT=str(trace), **env)
    assert done.code == 0, done
    scene.idle()
    events = [json.loads(line) for path in trace.iterdir() for line in path.read_text().splitlines()]
    # a session names those above it: git push / its helper / what that or the flusher starts / the remote
    commands = [e["argv"] for e in events if e["event"] == "start" and e["sid"].count("/") <= 2]
    return [command for command in commands if command[1] in _EACH]


def test_h15_refs_that_are_there_already_cost_no_process_each(scene: Scene) -> None:
    found = []
    for name, count in (("few", FEW), ("many", MANY)):
        branches(scene, name, count)
        scene.push("origin", f"refs/heads/{name}/*:refs/heads/{name}/*", UAM="off")
        scene.git("commit", "-q", "--allow-empty", "-m", f"Beside {name}")
        found.append(asked(scene, name))
    assert len(found[0]) == len(found[1]), found[1]


def test_h15_a_branch_that_landed_as_it_was_is_settled_without_a_process(scene: Scene) -> None:
    found = []
    for name, count in (("few", FEW), ("many", MANY)):
        branches(scene, name, count)
        found.append([command for command in asked(scene, name) if command[2].startswith("--batch-check=")])
        assert scene.there(f"refs/heads/{name}/1") == scene.oid(f"{name}/1")
    assert len(found[0]) == len(found[1]), found[1]
