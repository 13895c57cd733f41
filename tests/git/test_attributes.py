"""The attributes of a tree count in a merge, and whatever its names are, none of them is written anywhere."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.support import trees
from tests.support.landscape import by_hand, flushed, inside, queue, states
from tests.support.scenes import Scene
from uam_hooks.git.attributes import Attributes

_UNION = b"* merge=union\n"


def merged_over(scene: Scene, first: str) -> None:
    """Land `first`, then two changes on top of it that have to be merged."""
    queue(scene, "origin", f"{first}:refs/heads/main")
    flushed(scene)
    assert scene.there() == first
    for name in (b"one", b"two"):
        tip = trees.commit(scene, first, {name: trees.blob(scene, name)})
        queue(scene, "origin", f"{tip}:refs/heads/main")
    flushed(scene)
    assert states(scene) == ["landed"] * 3
    assert {"one", "two"} <= set(scene.bare.git("ls-tree", "--name-only", "main").splitlines())


def strange(scene: Scene, kind: str) -> trees.Entries:
    """Entries whose names lead somewhere else, or nowhere."""
    attributes = {b".gitattributes": trees.blob(scene, _UNION)}
    if kind == "absolute":
        return {bytes(scene.root / "escaped" / ".gitattributes"): trees.blob(scene, _UNION)}
    if kind == "upwards in one name":
        up = b"x/" + b"../" * 40 + bytes(scene.root / "escaped").lstrip(b"/") + b"/.gitattributes"
        return {up: trees.blob(scene, _UNION)}
    if kind == "upwards":
        names = [b"x", *[b".."] * 40, *bytes(scene.root / "escaped").strip(b"/").split(b"/")]
        return trees.nested(scene, names, attributes)
    if kind == "gitlink":
        link = trees.Entry(trees.GITLINK, scene.start_oid)
        return trees.nested(scene, [b"x"], {b".gitattributes": link})
    if kind == "directory":
        return trees.nested(scene, [b"x"], {b".gitattributes": trees.tree(scene, attributes)})
    assert kind == "deep"
    return trees.nested(scene, [bytes([97 + n]) * 250 for n in range(20)], attributes)


@pytest.mark.parametrize("kind", ["gitlink", "directory", "deep"])
def test_b1_later_work_merges_whatever_a_tree_calls_attributes(scene: Scene, kind: str) -> None:
    by_hand(scene, settle="off")
    merged_over(scene, trees.commit(scene, scene.start_oid, strange(scene, kind)))


@pytest.mark.parametrize("kind", ["absolute", "upwards in one name", "upwards"])
def test_b1_a_tree_whose_names_lead_elsewhere_fails_alone(scene: Scene, kind: str) -> None:
    """It came in one batch with others' work, and is written nowhere."""
    by_hand(scene, settle="off")
    bad = trees.commit(scene, scene.start_oid, strange(scene, kind))
    queue(scene, "origin", f"{bad}:refs/heads/main")
    for name in (b"one", b"two"):
        tip = trees.commit(scene, scene.start_oid, {name: trees.blob(scene, name)})
        queue(scene, "origin", f"{tip}:refs/heads/main")
    flushed(scene)
    assert states(scene) == ["failed", "landed", "landed"]
    assert "which no worktree can hold" in scene.rows("sources")[0]["outcome"]
    assert scene.files() == ["README", "one", "two"]
    assert not (scene.root / "escaped").exists()


@pytest.mark.parametrize("kind", ["absolute", "upwards in one name", "upwards"])
def test_b1_a_name_that_is_on_the_remote_already_is_written_nowhere(scene: Scene, kind: str) -> None:
    """Somebody pushed it there without us. git cannot merge into it, but what stands on it lands."""
    by_hand(scene, settle="off")
    tip = trees.commit(scene, scene.start_oid, strange(scene, kind))
    scene.git("push", "-q", "origin", f"{tip}:refs/heads/main", UAM="off")
    for name in (b"one", b"two"):
        tip = trees.commit(scene, tip, {name: trees.blob(scene, name)})
        queue(scene, "origin", f"{tip}:refs/heads/main")
        flushed(scene)
        assert scene.there() == tip
    queue(scene, "origin", f"{trees.commit(scene, scene.start_oid, {b'3': trees.blob(scene, b'3')})}:refs/heads/main")
    flushed(scene)
    assert not (scene.root / "escaped").exists()


def test_b1_many_gitattributes_cost_no_process_each(scene: Scene, tmp_path: Path) -> None:
    by_hand(scene, settle="off")
    one = trees.tree(scene, {b".gitattributes": trees.blob(scene, b"* text\n")})
    many = trees.tree(scene, {b"d%d" % n: one for n in range(300)})
    first = trees.commit(scene, scene.start_oid, {b"many": many})
    queue(scene, "origin", f"{first}:refs/heads/main")
    flushed(scene)
    trace = tmp_path / "trace"
    trace.mkdir()
    with inside(scene) as session, Attributes(session.repo, first) as attributes:
        os.environ["GIT_TRACE2_EVENT"] = str(trace)
        assert attributes.run("rev-parse", first).code == 0
    started = []
    for path in trace.iterdir():
        started += [e["argv"] for e in map(json.loads, path.read_text().splitlines()) if e["event"] == "start"]
    assert 0 < len(started) <= 3


# Patterns of every shape, in the top directory and below; what they say is compared with git's own reading of a
# checkout that has them.
_FILES = {
    ".gitattributes": "*.txt top\n/rooted top\n[attr]both one two\n*.mac both\ndeep/a.txt -top\n",
    "d/.gitattributes": (
        "\ufeff*.txt below=1\n# a comment\n\n /rooted below\n\tsub/x* below=2\r\n*.mac -two\n!no below\nsub/ below\n"
        '[attr]inner three\n"qu\\303\\266ted name" below=3\n"sp ace" below=4\n**/far below=5\n*.txt below=6\n'
        "**.dat below=7\na/**/b below=8\n[ab]? below=9\nlong" + "g" * 2100 + " below\n\\!bang below=10\n"
    ),
    "d/sub/.gitattributes": "*.txt below=11\nfar !below\n",
    "w[ei]rd*/.gitattributes": "* below=12\n",
    'we\nird "q\\"/.gitattributes': "*.txt below=13",
}
_PATHS = [
    "a.txt", "rooted", "a.mac", "d/a.txt", "d/rooted", "d/x/rooted", "d/sub/x1", "d/x/sub/x1", "d/a.mac", "d/no",
    "d/!no", "d/sub/y", "d/qu\u00f6ted name", "d/sp ace", "d/far", "d/p/q/far", "d/sub/far", "d/sub/z/far",
    "d/sub/a.txt", "d/sub/p/a.txt", "d/a.dat", "d/p/a.dat", "d/a/b", "d/a/x/y/b", "d/p/a/b", "d/a1", "d/p/b2",
    "d/!bang", "deep/a.txt", "w[ei]rd*/f", "weird/f", "werd-x/f", "we\nird \"q\\\"/g.txt", "elsewhere/b.txt", "d",
    "d.txt", "xd/a.txt",
]  # fmt: skip


def test_b1_the_one_file_says_what_all_of_them_say(scene: Scene) -> None:
    for name, text in _FILES.items():
        path = scene.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    scene.git("add", "-A")
    scene.git("commit", "-q", "-m", "Attributes")
    asked = ("check-attr", "-z", "-a", "--", *_PATHS)
    expected = scene.run(*asked).out
    assert expected.count("below") > 15
    with inside(scene) as session, Attributes(session.repo, scene.oid("HEAD")) as attributes:
        found = attributes.run(*asked).out.decode()
        assert [p.name for p in Path(attributes.run("rev-parse", "--show-toplevel").text).iterdir()] == [
            ".gitattributes"
        ]
    assert by_path(found) == by_path(expected)


def by_path(out: str) -> dict[str, dict[str, str]]:
    """What `git check-attr -z` says, as attributes by path."""
    fields = out.split("\0")[:-1]
    found: dict[str, dict[str, str]] = {}
    for path, name, value in zip(fields[::3], fields[1::3], fields[2::3], strict=True):
        found.setdefault(path, {})[name] = value
    return found


def test_attributes_of_a_subdirectory_count_in_a_merge(scene: Scene) -> None:
    by_hand(scene, settle="off")
    scene.commit("d/.gitattributes", "log merge=union\n")
    scene.commit("d/log", "begin\n")
    queue(scene)
    flushed(scene)
    for name in ("a", "b"):
        agent = scene.worktree(name, "-b", name, "origin/main")
        agent.commit("d/log", f"begin\n{name}\n")
        queue(agent)
    flushed(scene)
    assert states(scene) == ["landed"] * 3
    assert scene.bare.git("show", "main:d/log") == "begin\na\nb"
