"""What trees differ in is the same whether it is read here or asked of git."""

from __future__ import annotations

from itertools import product

from tests.support.landscape import inside
from tests.support.scenes import Scene
from uam_hooks.git.repo import Repository
from uam_hooks.integrate import differences
from uam_hooks.integrate.differences import Difference, Differences

# (mode, content) by path; each tree differs from the others in something that git has a rule of its own for
TREES: tuple[dict[str, tuple[str, str]], ...] = (
    {"a": ("100644", "1"), "d/x": ("100644", "1"), "d/e/y": ("100644", "1")},
    {"a": ("100755", "1"), "d/x": ("100644", "1"), "d/e/y": ("100644", "2")},
    {"a/b": ("100644", "1"), "d": ("120000", "a"), "d.x": ("100644", "1"), "d-x": ("100644", "1")},
    {"a": ("160000", ""), "d/x": ("100644", "1"), "caf\u00e9": ("100644", "1")},
    {"d/e/y/z": ("100644", "1")},
)


def tree(scene: Scene, files: dict[str, tuple[str, str]]) -> str:
    scene.git("read-tree", "--empty")
    for path, (mode, text) in files.items():
        (scene.root / "content").write_text(text)
        oid = scene.git("hash-object", "-w", str(scene.root / "content")) if text else scene.start_oid
        scene.git("update-index", "--add", "--cacheinfo", f"{mode},{oid},{path}")
    return scene.git("write-tree")


def between(repo: Repository, old: str, new: str, near: int) -> Difference:
    asked = Differences(repo)
    asked._left = near
    paths, gone, directories = asked.between(old, new)
    return Difference(paths, gone, tuple(sorted(directories)))


def test_what_is_read_here_is_what_git_says(scene: Scene) -> None:
    scene.git("config", "submodule.a.ignore", "all")  # of what a person wants to see, and not of what is pushed
    found = [tree(scene, files) for files in TREES]
    commits = [scene.git("commit-tree", "-m", str(number), *parent, oid) for number, (oid, parent) in
               enumerate(zip(found, [[], *(["-p", scene.start_oid] for _ in found)], strict=False))]  # fmt: skip
    with inside(scene) as session:
        repo = session.repo
        for old, new in product([repo.empty_tree, *found], found):
            assert between(repo, old, new, 1000) == between(repo, old, new, 0), (old, new)
        here, asked = Differences(repo), Differences(repo)
        asked._left = 0
        for commit in commits:
            assert here.touched([commit]) == asked.touched([commit])


def test_more_than_is_quicker_here_is_asked_of_git(scene: Scene) -> None:
    wide = tree(scene, {f"{n}/x": ("100644", "1") for n in range(differences._NEAR)})
    with inside(scene) as session:
        found = Differences(session.repo).between(session.repo.empty_tree, wide)
    assert len(found.paths) == len(found.directories) == differences._NEAR
