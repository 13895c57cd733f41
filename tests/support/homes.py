"""Agents with a home, tokens and keys of their own in one repository, and what they leave behind."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.scenes import Scene, Worktree, script

_SIGNS = "[gpg]\n\tformat = ssh\n[commit]\n\tgpgSign = true\n[user]\n\tsigningKey = {key}\n"


def settled_in(scene: Scene, name: str, config: str = "", **env: str) -> Worktree:
    """An agent in a worktree of its own, with a home of its own that has this configuration besides the usual."""
    agent = scene.worktree(name)
    home = scene.root / f"home-{name}"
    home.mkdir()
    (home / "gitconfig").write_text((scene.home / "gitconfig").read_text() + config)
    agent.env |= {"HOME": str(home), "GIT_CONFIG_GLOBAL": str(home / "gitconfig"), **env}
    return agent


def signing_key(scene: Scene, name: str) -> Path:
    """A key for signatures, made by ssh-keygen."""
    path = scene.root / f"key-{name}"
    done = scene.execute("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path))
    assert done.code == 0, done
    return path


def signs_with(key: Path) -> str:
    """The configuration of somebody who signs every commit with this key."""
    return _SIGNS.format(key=key)


def signer(place: Worktree, revision: str, *keys: Path) -> str:
    """Which of the keys has signed a commit of the remote; "" where it has no signature."""
    raw = place.git("cat-file", "commit", revision)
    if "\ngpgsig" not in raw:
        return ""
    allowed = place.top.parent / "allowed"
    allowed.write_text("".join(f"{key.name} {key.with_suffix('.pub').read_text()}" for key in keys))
    show = ("-c", f"gpg.ssh.allowedSignersFile={allowed}", "log", "-1", "--format=%G? %GS", revision)
    good, _, whose = place.git(*show).partition(" ")
    assert good == "G", (good, whose)
    return whose


def mirror(scene: Scene, name: str) -> Worktree:
    """Another bare repository that has what the remote has now."""
    path = scene.root / f"{name}.git"
    shutil.copytree(scene.remote, path)
    return Worktree(path, scene.env)


def instead_of(scene: Scene, other: Worktree) -> str:
    """The configuration of somebody for whom the scene's remote is another one."""
    return f'[url "{other.top}"]\n\tinsteadOf = {scene.remote}\n'


def on_path(scene: Scene, name: str, text: str) -> str:
    """A PATH on which sh runs `text` as the command `name`."""
    found = script(scene.root / "bin" / name, text)
    return f"{found.parent}:{scene.env['PATH']}"
