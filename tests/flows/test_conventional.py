"""A remote whose hook accepts Conventional Commits alone, as commitlint and release tools have it set up."""

from __future__ import annotations

from tests.support.scenes import Scene, script

_CHECK = """\
while read -r old new ref; do
	git log --no-merges --format=%s "$old..$new" | grep -vE '^(feat|fix|docs|test)(\\([a-z]+\\))?!?: [a-z]' && exit 1
done
exit 0
"""


def test_d8_a_squash_of_conventional_commits_lands_where_nothing_else_may(scene: Scene) -> None:
    script(scene.remote / "hooks" / "pre-receive", _CHECK)
    scene.git("config", "uam.squash.subject", "conventional")
    scene.commit("a", message="fix(api): mend a")
    scene.commit("b", message="feat(api): add b")
    pushed = scene.push("origin", "HEAD:main")
    assert pushed.code == 0, pushed
    assert scene.bare.git("log", "-1", "--format=%s", "main") == "feat(api): squash 2 commits"
