"""A file of nine lines that agents edit: the same line conflicts, another one does not."""

from __future__ import annotations

from tests.support.scenes import Done, Scene, Worktree


def with_table(scene: Scene) -> Scene:
    """A repository with the table on its main, in which nothing lands by itself."""
    (scene.top / "table").write_text("".join(f"{n}\n\n\n" for n in range(9)))
    scene.git("add", "table")
    scene.git("commit", "-q", "-m", "Begin a table")
    scene.git("push", "-q")
    scene.git("config", "uam.push.mode", "manual")
    return scene


def edit(place: Worktree, line: int, text: str) -> str:
    """Commit another text for one line of the table."""
    path = place.top / "table"
    lines = path.read_text().splitlines()
    lines[line * 3] = text
    path.write_text("\n".join(lines) + "\n")
    place.git("commit", "-q", "-a", "-m", f"Say {text}")
    return place.oid("HEAD")


def to_main(place: Worktree, *more: str, **env: str) -> Done:
    return place.push("origin", *more, "HEAD:main", **env)


def flush(place: Worktree) -> None:
    """Land what can land."""
    place.run("uam", "flush")
