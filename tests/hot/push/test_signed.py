"""Signed pushes: only who pushes can sign what is pushed, so they go straight, and plain git says what they mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.homes import signing_key
from tests.support.scenes import Scene, script
from tests.support.twin import Twin


@pytest.fixture
def twin(scene: Scene) -> Twin:
    """A scene and its twin, both with a key to sign with, and with remotes that keep the certificates."""
    found = Twin(scene)
    key = signing_key(scene, "ada")
    for place in found.both:
        for name, value in (("gpg.format", "ssh"), ("user.signingKey", str(key))):
            place.git("config", name, value)
    for bare in (scene.bare, found.bare):
        script(bare.top / "hooks" / "post-receive", 'git cat-file blob "${GIT_PUSH_CERT:-}" >cert 2>/dev/null || :\n')
    found.stranger("theirs", "origin", "HEAD:theirs")
    for place in found.both:
        place.commit("a")
    return found


def certificate(bare: Path) -> list[str]:
    """The updates that the last push to this remote was signed for."""
    lines = (bare / "cert").read_text().splitlines()
    return [line for line in lines if line.endswith("refs/heads/main")]


@pytest.mark.parametrize("asks", [True, False])
@pytest.mark.parametrize("how", ["--signed=if-asked", "--signed"])
def test_d6_a_signed_push_is_what_it_is_in_plain_git(twin: Twin, how: str, asks: bool) -> None:
    if asks:
        twin.there("config", "receive.certNonceSeed", "seed")
    done = twin.same(how, "origin", "main", words=asks or how != "--signed")
    if asks:
        found = certificate(twin.scene.remote)
        assert found
        assert found == certificate(twin.bare.top)
    elif how == "--signed":
        assert "fatal: the receiving end does not support --signed push" in done.err


def test_d6_a_setting_asks_for_a_signature_as_well(twin: Twin) -> None:
    twin.there("config", "receive.certNonceSeed", "seed")
    twin.do("config", "push.gpgSign", "if-asked")
    twin.same("origin", "main")
    assert certificate(twin.scene.remote)


def test_d6_a_signed_push_that_is_behind_is_rejected(twin: Twin) -> None:
    """What would be integrated would be signed by nobody."""
    twin.there("config", "receive.certNonceSeed", "seed")
    twin.stranger("first", "origin", "HEAD:main")
    assert twin.same("--signed=if-asked", "origin", "main").code == 1
