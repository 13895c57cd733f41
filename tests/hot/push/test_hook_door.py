"""What the pre-push hook leaves to git."""

from __future__ import annotations

import pytest

from tests.support.homes import signing_key
from tests.support.scenes import Scene


@pytest.mark.parametrize("refs", [["HEAD:refs/for/main"], ["HEAD:refs/notes/x", "main"]], ids=" ".join)
def test_h8_what_is_neither_a_branch_nor_a_tag_is_pushed_by_git(unwired: Scene, refs: list[str]) -> None:
    tip = unwired.commit("a")
    done = unwired.push("origin", *refs)
    assert (done.code, done.ours) == (0, [])
    assert unwired.there(refs[0].partition(":")[2]) == tip
    assert unwired.pushed() == []


@pytest.mark.parametrize("how", ["--signed=if-asked", "push.gpgSign", "--no-signed"])
def test_d6_a_signed_push_is_pushed_by_git(unwired: Scene, how: str) -> None:
    unwired.bare.git("config", "receive.certNonceSeed", "seed")
    unwired.git("config", "gpg.format", "ssh")
    unwired.git("config", "user.signingKey", str(signing_key(unwired, "ada")))
    if how != "--signed=if-asked":
        unwired.git("config", "push.gpgSign", "true")
    unwired.commit("a")
    signed = how != "--no-signed"
    done = unwired.push(*([how] if how.startswith("--") else []), "origin", "main")
    assert (done.code == 0) is signed
    assert (unwired.pushed() == []) is signed
