"""The same repository without us, in which plain git says what a command means."""

from __future__ import annotations

import shutil

from tests.support.scenes import Done, Scene, Worktree


class Twin(Worktree):
    """A plain clone of a copy of the scene's remote. What a test does in both makes the same objects in both."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        root = scene.root / "plain"
        root.mkdir()
        self.bare = Worktree(root / "origin.git", scene.env)
        shutil.copytree(scene.remote, self.bare.top)
        super().__init__(root / "work", scene.env)
        scene.outside.git("clone", "-q", str(self.bare.top), str(self.top))

    @property
    def both(self) -> tuple[Worktree, Worktree]:
        """Where to do what both are to have."""
        return self.scene, self

    def do(self, *args: str) -> None:
        """`git args` in both repositories."""
        for place in self.both:
            place.git(*args)

    def there(self, *args: str) -> None:
        """`git args` in both remotes."""
        for place in (self.scene.bare, self.bare):
            place.git(*args)

    def stranger(self, name: str, *push: str) -> None:
        """Somebody else commits and pushes to both remotes."""
        for place in (self.scene.bare, self.bare):
            other = Worktree(place.top.parent / "other", self.env)
            if not other.top.exists():
                place.git("clone", "-q", str(place.top), str(other.top))
            other.git("pull", "-q", "--rebase")
            other.commit(name)
            other.git("push", "-q", *push)

    def same(self, *push: str, words: bool = True, **env: str) -> Done:
        """Push the same in both: exit code, the remotes' refs and, unless told otherwise, git's words are the same."""
        hooked, plain = self.scene.push(*push, **env), self.push(*push, **env)
        assert (hooked.code, _refs(self.scene.bare)) == (plain.code, _refs(self.bare)), (hooked, plain)
        if words:
            assert self.words(hooked) == self.words(plain), (hooked, plain)
        return hooked

    def words(self, done: Done) -> tuple[str, str]:
        """What git printed, wherever the remote is, and without our lines.

        Where a push went straight, two gits say that it failed: the last counts.
        """
        lines = [_anywhere(self, line) for line in done.err.splitlines() if not line.startswith("uam: ")]
        once = list(dict.fromkeys(reversed(lines)))
        return _anywhere(self, done.out), "".join(f"{line}\n" for line in reversed(once))


def _refs(bare: Worktree) -> str:
    return bare.git("for-each-ref")


def _anywhere(twin: Twin, text: str) -> str:
    for url in (str(twin.bare.top), str(twin.scene.remote), "uam::origin"):
        text = text.replace(url, "<remote>")
    return text
