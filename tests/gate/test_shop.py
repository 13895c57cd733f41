"""Five agents, a gate of real tests, and a CI that runs the same ones for each push: it is never red."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.scenes import Scene, Worktree, finished, script, until

SHOP = Path(__file__).resolve().parents[2] / "fixtures" / "shop"


@pytest.fixture
def shop(scene: Scene) -> Scene:
    """The shop, whose remote runs its tests for whatever is pushed to main, and writes down how they ended."""
    for path in SHOP.glob("*.py"):
        shutil.copy(path, scene.top)
    scene.git("add", ".")
    scene.git("commit", "-q", "-m", "Open a shop")
    ci = scene.root / "ci"
    script(
        scene.bare.top / "hooks" / "post-receive",
        "while read -r old new ref; do\n"
        f'rm -rf {ci}; mkdir {ci}; git archive "$new" | tar -x -C {ci}\n'
        f"if (cd {ci} && {sys.executable} -B -m unittest -q) >/dev/null 2>&1; then r=green; else r=red; fi\n"
        f'echo "$new $r" >> {scene.root}/ci.log\n'
        "done\n",
    )
    scene.git("push", "-q", "origin", "HEAD:main")
    scene.git("config", "uam.push.accept", "false")
    scene.git("config", "uam.window.push", "1h")
    return scene


def change(agent: Worktree, file: str, old: str, new: str, words: str) -> str:
    path = agent.top / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    agent.git("commit", "-q", "-a", "-m", words)
    return agent.oid("HEAD")


def pushed(scene: Scene, agent: Worktree, number: int) -> subprocess.Popen[str]:
    """A push that waits in the queue, as the one of that number."""
    process = agent.start("push", "origin", "HEAD:main")
    until(lambda: sum(row["status"] == "pending" for row in scene.rows("sources")) == number, "a push in the queue")
    return process


@pytest.mark.slow
def test_five_agents_of_whom_one_breaks_the_tests_and_two_only_together(shop: Scene) -> None:
    names = ("ann", "bob", "cat", "dan", "eve")
    agents = {name: shop.worktree(name) for name in names}
    change(agents["ann"], "shop.py", '"""A shop that', '"""The shop that', "Say which shop")
    # dan's constant and bob's test each pass; together they do not
    change(agents["bob"], "test_shop.py", "10.0)\n", "10.0)\n\n    def test_tax(self):\n"
           "        self.assertEqual(shop.TAX, 0.25)\n", "Test the tax")  # fmt: skip
    bad = change(agents["cat"], "shop.py", "return sum(prices)", "return max(prices)", "Add up faster")
    change(agents["dan"], "shop.py", "TAX = 0.25\n", "TAX = 0.2\n", "Lower the tax")
    (agents["dan"].top / "test_shop.py").write_text(
        (agents["dan"].top / "test_shop.py").read_text().replace("10.0)", "9.6)")
    )
    agents["dan"].git("commit", "-q", "-a", "--amend", "--no-edit")
    change(agents["eve"], "shop.py", "What the goods cost", "What all goods cost", "Say all goods")
    waiting = {name: pushed(shop, agents[name], number) for number, name in enumerate(names, 1)}
    # a gate would let the first of them wait no longer than a second
    shop.git("config", "uam.gate.tests.command", f"{sys.executable} -B -m unittest -q")
    assert shop.run("uam", "flush").code == 1
    done = {name: finished(process) for name, process in waiting.items()}
    shop.idle()
    assert {name: one.code for name, one in done.items()} == {"ann": 0, "bob": 0, "cat": 1, "dan": 1, "eve": 0}
    assert f"{bad[:7]} was not landed on origin/main: the gate tests fails, it fails by itself" in done["cat"].err
    assert "uam: | FAIL: test_total (test_shop.Totals" in done["cat"].err
    assert "it passes alone and fails together with the work of " in done["dan"].err
    assert shop.landed()[-3:] == ["Say which shop", "Test the tax", "Say all goods"]
    runs = [line.split()[1] for line in (shop.root / "ci.log").read_text().splitlines()]
    assert "red" not in runs
    # whoever failed mends it and pushes again
    agents["cat"].git("reset", "-q", "--hard", "origin/main")
    change(agents["cat"], "shop.py", "return sum(prices)", "return sum(sorted(prices))", "Add up in order")
    shop.git("config", "uam.window.push", "0s")
    assert agents["cat"].push("origin", "HEAD:main").code == 0
    assert "red" not in (shop.root / "ci.log").read_text()
