"""Objects from one long-lived git."""

from __future__ import annotations

import pytest

from tests.support.scenes import Scene
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import GitFailed

MANY = 90


def test_h15_many_commits_are_read_at_once(scene: Scene) -> None:
    with Repository.at(scene.top) as repo:
        start = repo.commit(scene.start_oid)
        # of different sizes, the last ones larger than a pipe
        messages = [b"m" * (number if number < MANY - 3 else 70_000 + number) + b"\n" for number in range(MANY)]
        oids = [repo.write_commit(start._replace(message=message)) for message in messages]
    with Repository.at(scene.top) as repo:
        repo.read_ahead([*oids, start.oid, *oids])
        assert [repo.commit(oid).message for oid in oids] == messages
        assert repo.is_commit(oids[0])
        assert not repo.is_commit(start.tree)
        with pytest.raises(GitFailed):
            repo.read_ahead([*oids[:2], "1" * 40, start.tree])
        assert repo.tree(start.tree)  # the next question gets its own answer
