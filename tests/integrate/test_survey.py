"""What is asked for all refs of a landing at once is what git says of each alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.support.landscape import environment
from tests.support.scenes import Scene
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import GitFailed
from uam_hooks.hot.core.object_format import SHA1
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.integrate.differences import Differences
from uam_hooks.integrate.survey import Asked, Ground, survey, survey_all


class Landscape:
    """Commits by name, in one repository; each adds a file of its own name, and one in a directory."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.oids: dict[str, str] = {}

    def add(self, *commits: tuple[str, str], files: Sequence[str] = ()) -> None:
        """Commits, each as its name and those of its parents; `files` are in the last of them, too."""
        feed = []
        for name, parents in commits:
            feed.append(
                f"commit refs/heads/{name}\ncommitter Ada <ada@example.invalid> 1700000000 +0000\ndata 1\n{name}"
            )
            starts = [self.oids.get(parent, f"refs/heads/{parent}") for parent in parents]
            feed += [f"{'merge' if n else 'from'} {start}" for n, start in enumerate(starts)]
            for path in (name, f"dir/{name}", *(files if name == commits[-1][0] else ())):
                feed.append(f'M 100644 inline "{path}"\ndata 1\nx')
        (self.scene.root / "feed").write_text("\n".join(feed) + "\n")
        assert self.scene.execute("sh", "-c", "git fast-import --quiet <../feed").code == 0
        lines = self.scene.git("for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads/").splitlines()
        self.oids = dict(line.split() for line in lines)


@pytest.fixture
def landscape(plain: Scene) -> Landscape:
    """main has a and b; c and d follow on b, m merges what left at a, s is what was squashed, r begins by itself."""
    there = Landscape(plain)
    there.add(
        ("a", ""), ("b", "a"), ("c", "b"), ("d", "c"), ("x", "a"), ("m", "cx"), ("k", "cb"), ("s", "b"), ("t", "s"),
        ("r", ""),
    )  # fmt: skip
    return there


def asked(there: Landscape, tips: str, at: str = "", *, shadow: str = "", seen: bool = False) -> Asked:
    return Asked(tuple(there.oids[tip] for tip in tips), there.oids[at] if at else ZERO, there.oids.get(shadow), seen)


def test_h15_what_is_found_out_at_once_is_what_git_says_one_by_one(landscape: Landscape) -> None:
    refs = {
        "forward": asked(landscape, "d", "b"),
        "two sources": asked(landscape, "cd", "b"),
        "a merge of what stands there": asked(landscape, "k", "b"),
        "nothing new": asked(landscape, "b", "b"),
        "begins by itself": asked(landscape, "r", "b"),
        "new": asked(landscape, "d"),
        "new at what is there": asked(landscape, "b"),
        "new by itself": asked(landscape, "r"),
        "what has landed squashed": asked(landscape, "t", "b", shadow="s"),
        "behind": asked(landscape, "x", "b"),
        "merges what left before": asked(landscape, "m", "b"),
        "new from two places": asked(landscape, "m"),
        "new, and seen before": asked(landscape, "d", seen=True),
    }
    branches = [landscape.oids["b"], landscape.oids["x"]]
    with environment(landscape.scene.env), Repository.at(landscape.scene.top) as repo:
        found = dict(zip(refs, survey_all(repo, list(refs.values()), branches), strict=True))
        for what, ground in found.items():
            if ground is not None:
                alone = survey(repo, refs[what], branches)
                assert (ground.base, ground.news, ground.tips) == (alone.base, alone.news, alone.tips), what
                assert list(ground.news.graph) == list(alone.news.graph), what
                assert forked(repo, ground), what
    # the others stand on something else than what the ref has
    assert [what for what, ground in found.items() if ground is None] == [
        "what has landed squashed", "behind", "merges what left before", "new from two places", "new, and seen before",
    ]  # fmt: skip


def forked(repo: Repository, ground: Ground) -> bool:
    """Whether what is said of where tips left the base is what git says."""
    return all(
        list(bases) == repo.run("merge-base", "--all", tip, ground.base).lines for tip, bases in ground.forks.items()
    )


def test_h15_differences_that_were_prepared_are_those_that_are_asked_for(landscape: Landscape) -> None:
    """Also of a file that is called as a commit is: nothing of one commit is taken for another's."""
    oids = landscape.oids
    landscape.add(("n", "d"), files=(oids["c"], f"{oids['x']}\\n"))
    oids = landscape.oids
    pairs = [
        (SHA1.empty_tree, oids["m"]),
        (SHA1.empty_tree, oids["d"]),
        (SHA1.empty_tree, oids["r"]),
        (SHA1.empty_tree, oids["n"]),
    ]
    pairs += [(oids["b"], oids["n"]), (oids["d"], oids["r"]), (oids["c"], oids["c"])]
    with environment(landscape.scene.env), Repository.at(landscape.scene.top) as repo:
        ready = Differences(repo)
        ready.prepare(pairs, oids.values())
        for old, new in pairs:
            alone = Differences(repo).between(old, new)
            found = ready.between(old, new)
            assert found.paths == alone.paths
            assert sorted(found.directories) == sorted(alone.directories)
        assert oids["c"] in ready.between(oids["b"], oids["n"]).paths
        for oid in oids.values():
            assert ready.touched([oid]) == Differences(repo).touched([oid])
        assert ready.touched([oids["n"]]) == {"n", "dir/n", oids["c"], f"{oids['x']}\n"}
        assert ready.touched([oids["c"], oids["x"]]) == {"c", "dir/c", "x", "dir/x"}


def test_h15_what_git_passes_over_is_no_empty_answer(landscape: Landscape) -> None:
    """`diff-tree --stdin` says nothing, with exit code 0, of an object that is not there; others are still answered."""
    gone, there = "12" * 20, landscape.oids["c"]
    with environment(landscape.scene.env), Repository.at(landscape.scene.top) as repo:
        for ask in (lambda: Differences(repo).between(gone, there), lambda: Differences(repo).touched([there, gone])):
            with pytest.raises(GitFailed):
                ask()
        assert repo.kinds([there, gone, "", there, SHA1.empty_tree]) == {
            there: "commit",
            gone: "",
            SHA1.empty_tree: "tree",
        }


def test_h15_a_damaged_object_among_many_is_no_missing_one(landscape: Landscape) -> None:
    """What git complains about is found out for the one it is about, and the answers after it are about the others."""
    oids = list(landscape.oids.values())
    bad = landscape.scene.top / ".git" / "objects" / oids[1][:2] / oids[1][2:]
    with environment(landscape.scene.env), Repository.at(landscape.scene.top) as repo:
        bad.chmod(0o644)
        bad.write_bytes(b"no object")
        with pytest.raises(GitFailed):
            repo.kinds(["12" * 20, *oids])
        rest = [*oids[:1], *oids[2:]]
        assert repo.kinds(["12" * 20, *rest]) == {"12" * 20: "", **dict.fromkeys(rest, "commit")}
