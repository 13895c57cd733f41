"""Where a push goes is what git itself makes of the remote's settings, and the look before it goes there, too."""

from __future__ import annotations

import pytest

from tests.support.homes import mirror
from tests.support.scenes import Scene, free, script, until
from tests.support.twin import Twin

WAYS = pytest.mark.parametrize("way", ["", "off"])  # through the queue, and by the shim alone


@WAYS
def test_h12_pushinsteadof_leads_the_look_as_well(plain: Scene, way: str) -> None:
    """What is pushed to is somewhere else than what is fetched from, after the first push."""
    pushed = mirror(plain, "pushed")
    plain.git("config", f"url.{pushed.top}.pushInsteadOf", str(plain.remote))
    plain.install()
    plain.env |= {"UAM": way} if way else {}
    for name in ("a", "b"):
        mine = plain.commit(name)
        done = plain.push("--force-with-lease=main:" + plain.oid("HEAD~1"), "origin", "main")
        assert done.code == 0, done
        assert (pushed.oid("main"), plain.there()) == (mine, plain.start_oid)


@WAYS
def test_h12_pushinsteadof_does_not_rewrite_a_pushurl(plain: Scene, way: str) -> None:
    right, wrong = mirror(plain, "right"), mirror(plain, "wrong")
    plain.git("config", f"url.{wrong.top}.pushInsteadOf", str(right.top))
    plain.git("remote", "set-url", "--push", "origin", str(right.top))
    plain.install()
    mine = plain.commit("a")
    plain.env |= {"UAM": way} if way else {}
    done = plain.push("origin", "main")
    assert done.code == 0, done
    assert (right.oid("main"), wrong.oid("main")) == (mine, plain.start_oid)


@pytest.mark.parametrize("way", ["", "off", "gone"])
def test_h12_of_several_urls_those_are_pushed_to_that_pushinsteadof_fits(plain: Scene, way: str) -> None:
    """git pushes to no other then; the interpreter may be gone as well."""
    left, right, second = (mirror(plain, name) for name in ("left", "right", "second"))
    plain.git("remote", "set-url", "--add", "origin", "mirror:right.git")
    plain.git("remote", "set-url", "--add", "origin", str(left.top))
    plain.git("remote", "set-url", "--add", "origin", "mirror:second.git")
    plain.git("config", f"url.{plain.root}/.pushInsteadOf", "mirror:")
    plain.install()
    if way == "gone":
        plain.with_interpreter("exit 127")
    mine = plain.commit("a")
    done = plain.push("origin", "main", **({"UAM": "off"} if way == "off" else {}))
    assert done.code == 0, done
    assert [at.oid("main") for at in (right, second)] == [mine, mine]
    assert (left.oid("main"), plain.there()) == (plain.start_oid, plain.start_oid)


def test_h12_a_rewritten_url_is_not_rewritten_again(plain: Scene) -> None:
    """git rewrites once, whatever prefixes the result has."""
    right = mirror(plain, "right")
    wrong = mirror(plain, "wrong")
    plain.git("config", f"url.{right.top}.pushInsteadOf", str(plain.remote))
    plain.git("config", f"url.{wrong.top.parent}/wrong.insteadOf", str(right.top).removesuffix(".git"))
    plain.install()
    mine = plain.commit("a")
    done = plain.push("origin", "main")
    assert done.code == 0, done
    assert (right.oid("main"), wrong.oid("main"), plain.there()) == (mine, plain.start_oid, plain.start_oid)


@WAYS
def test_h3_a_url_that_is_the_name_of_its_remote_is_a_path(plain: Scene, way: str) -> None:
    backup = mirror(plain, "backup")
    backup.top.rename(plain.top / "backup")
    plain.git("remote", "add", "backup", "backup")
    plain.install()
    plain.git("config", "uam.push.waitTimeout", "20s")
    mine = plain.commit("a")
    plain.env |= {"UAM": way} if way else {}
    done = plain.push("backup", "main")
    assert done.code == 0, done
    assert plain.git("-C", "backup", "rev-parse", "main") == mine


@WAYS
def test_h13_the_receivepack_of_a_remote_is_used(plain: Scene, way: str) -> None:
    used = plain.root / "used"
    program = script(plain.root / "receive", f': >"{used}"\nexec git-receive-pack "$@"\n')
    plain.git("config", "remote.origin.receivepack", str(program))
    plain.install()
    mine = plain.commit("a")
    plain.env |= {"UAM": way} if way else {}
    done = plain.push("origin", "main")
    assert (done.code, plain.there()) == (0, mine), done
    assert used.exists()


def by_helper(scene: Scene) -> str:
    """A URL at which git's own helper `ext` reaches the scene's remote."""
    for environment in (scene.git, scene.outside.git):
        environment("config", "--global", "protocol.ext.allow", "always")
    return f"ext::git %s {scene.remote}"


@WAYS
def test_h4_a_remote_with_a_helper_of_its_own_is_left_alone(plain: Scene, way: str) -> None:
    plain.git("remote", "set-url", "origin", by_helper(plain))
    plain.install()
    assert plain.git("config", "remote.origin.url").startswith("ext::")
    assert plain.run("config", "remote.origin.pushurl").code == 1
    assert "not wired: origin, because it has its own remote helper" in plain.git("uam", "install")
    plain.env |= {"UAM": way} if way else {}
    mine = plain.commit("a")
    done = plain.push("origin", "main")
    assert (done.code, done.ours, plain.there(), plain.pushed()) == (0, [], mine, []), done
    said = plain.git("uam", "status")
    assert "straight: pushes to origin are made by a remote helper of its own" in said


@WAYS
def test_h4_a_remote_that_gets_a_helper_after_it_was_wired(scene: Scene, way: str) -> None:
    scene.git("remote", "set-url", "origin", by_helper(scene))
    scene.env |= {"UAM": way} if way else {}
    for name in ("a", "b"):
        mine = scene.commit(name)
        done = scene.push("origin", "main")
        assert (done.code, scene.there(), scene.pushed()) == (0, mine, []), done
        scene.git("uam", "install")  # takes back what it wrote
    assert scene.run("config", "remote.origin.pushurl").code == 1


@WAYS
def test_d7_the_first_push_to_a_remote_that_was_added_later_lands(scene: Scene, way: str) -> None:
    """The URL of a remote that is not wired is ours by a pushInsteadOf that fits everything."""
    twin = Twin(scene)
    scene.env |= {"UAM": way} if way else {}
    for place, root in ((scene, scene.root), (twin, twin.top.parent)):
        scene.outside.git("init", "-q", "--bare", str(root / "later.git"))
        scene.outside.git("init", "-q", "--bare", str(root / "third.git"))
        place.git("remote", "add", "later", str(root / "later.git"))
        place.git("remote", "set-url", "--add", "later", str(root / "third.git"))
        mine = place.commit("a")
    assert twin.same("later", "main", words=False).code == 0
    for place, root in ((scene, scene.root), (twin, twin.top.parent)):
        for name in ("later", "third"):
            assert scene.outside.git("--git-dir", str(root / f"{name}.git"), "rev-parse", "main") == mine
        assert place.oid("refs/remotes/later/main") == mine
    scene.idle()
    assert len(scene.pushed()) == (0 if way else 1)
    scene.git("uam", "status")
    assert scene.git("config", "remote.later.pushurl") == "uam::later"
    scene.git("uam", "uninstall")
    assert scene.run("config", "--get-regexp", r"(pushurl|pushinsteadof)$").code == 1


@pytest.mark.parametrize("where", ["origin", "../origin.git"])
@pytest.mark.parametrize("option", ["--receive-pack", "--exec", "--receive"])
def test_h13_a_receive_pack_on_the_command_line_is_used(scene: Scene, option: str, where: str) -> None:
    """git's own t5534.9."""
    program, used = scene.root / "receive", scene.root / "used"
    script(program, f'echo used >>"{used}"\nexec git-receive-pack "$@"\n')
    scene.git("config", "remote.origin.receivepack", "no-such-program")
    tip = scene.commit("a")
    given = [f"{option}={program}"] if where == "origin" else [option, str(program)]
    done = scene.push(*given, where, "main")
    assert (done.code, done.ours, scene.there(), used.exists()) == (0, [], tip, True), done
    assert "remote: " not in done.err
    assert len(scene.pushed()) == 1


@pytest.mark.parametrize("ref", ["main", "HEAD:refs/other/main"])
def test_h18_a_push_that_is_not_to_be_thin_is_not(scene: Scene, ref: str) -> None:
    """git's own t5516.102; what is no branch goes straight."""
    receive = "--receive-pack=git receive-pack --reject-thin-pack-for-testing"
    scene.outside.git("--git-dir", str(scene.remote), "config", "receive.unpackLimit", "1")
    scene.commit("long", "".join(f"line {n}\n" for n in range(200)))
    assert scene.push("origin", ref).code == 0
    scene.commit("long", "".join(f"line {n}\n" for n in range(201)))
    scene.git("repack", "-adfq")
    thin = scene.push("--no-thin", "--thin", receive, "origin", ref)
    assert thin.code == 1, thin
    done = scene.push("--no-thin", receive, "origin", ref)
    assert (done.code, done.ours) == (0, []), done


def test_d7_a_pushurl_of_its_own_goes_straight_once_and_is_wired_by_that(scene: Scene) -> None:
    """No pushInsteadOf fits a pushurl: the first push meets the hook door."""
    scene.git("config", "remote.later.url", "nowhere.git")
    scene.git("config", "remote.later.pushurl", str(scene.remote))
    for name, landings in (("a", 0), ("b", 1)):
        tip = scene.commit(name)
        done = scene.push("later", "main")
        assert (done.code, done.ours, scene.there()) == (0, [], tip), done
        assert len(scene.pushed()) == landings
    assert scene.git("config", "remote.later.pushurl") == "uam::later"


@WAYS
@pytest.mark.parametrize("form", ["path", "relative", "file"])
def test_d7_a_url_on_the_command_line_is_the_wired_door(scene: Scene, form: str, way: str) -> None:
    twin = Twin(scene)
    scene.env |= {"UAM": way} if way else {}
    urls = {"path": "{}", "relative": "../origin.git", "file": "file://{}"}
    for name in ("a", "b"):
        done = []
        for place, remote in ((scene, scene.remote), (twin, twin.bare.top)):
            place.commit(name)
            done.append(place.push(urls[form].format(remote), "HEAD:main"))
        assert [one.code for one in done] == [0, 0], done
        out, err = twin.words(done[0])
        assert (out, err.replace("To uam::", "To ")) == twin.words(done[1])
    assert scene.there() == twin.bare.oid("main") == scene.oid("main")
    assert len(scene.pushed()) == (0 if way else 2)


def test_d7_a_push_into_the_same_repository_goes_straight(scene: Scene) -> None:
    scene.commit("a")
    scene.git("worktree", "add", "-q", "-b", "side", str(scene.root / "side"), "HEAD^")
    for where, branch in ((".", "other"), (str(scene.top), "third"), (str(scene.root / "side"), "fourth")):
        done = scene.push(where, f"main:{branch}")
        assert (done.code, done.ours, scene.oid(branch)) == (0, [], scene.oid("main")), done
    assert scene.pushed() == []


def test_d7_remotes_are_wired_by_the_next_command(scene: Scene) -> None:
    later = mirror(scene, "later")
    scene.git("remote", "add", "later", str(later.top))
    scene.git("remote", "rename", "origin", "first")
    scene.git("uam", "status")
    assert scene.git("config", "remote.later.pushurl") == "uam::later"
    assert scene.git("config", "remote.first.pushurl") == "uam::first"
    scene.git("-c", "remote.passing.url=../passing.git", "uam", "status")
    assert scene.run("config", "--get-regexp", r"^remote\.passing\.").code == 1
    mine = scene.commit("a")
    for name, place in (("later", later), ("first", scene.bare)):
        done = scene.push(name, "main")
        assert (done.code, place.oid("main")) == (0, mine), done


def test_d7_the_hook_door_alone_wires_nothing_and_says_what_to_do(unwired: Scene) -> None:
    unwired.commit("a")
    done = unwired.push()
    assert unwired.run("config", "remote.origin.pushurl").code == 1
    assert (done.code, done.ours[-1].rpartition("; ")[2]) == (1, "`git uam wait 2` says how it ends."), done
    assert unwired.run("uam", "wait", "2").code == 0


@WAYS
def test_h12_a_url_that_is_rewritten_is_no_path_of_this_directory(scene: Scene, way: str) -> None:
    """git's own t5516, "push with insteadOf"."""
    scene.env |= {"UAM": way} if way else {}
    scene.git("config", f"url.{scene.root}/.insteadOf", "place/")
    tip = scene.commit("a")
    done = scene.push("place/origin.git", "main")
    assert (done.code, scene.there()) == (0, tip), done


@pytest.mark.slow
def test_h2_every_push_goes_where_its_remote_led_when_it_was_made(scene: Scene) -> None:
    """A flusher sleeps for the first push while the settings of the second one come to be."""
    old, new, later = scene.bare, mirror(scene, "s"), mirror(scene, "later")
    scene.git("config", "uam.push.mode", "queue")
    scene.git("config", "uam.window.push", "1h")
    scene.git("config", "uam.squash", "false")
    scene.commit("a")
    assert scene.push("origin", "main").code == 0
    flusher = scene.flusher()
    scene.git("remote", "set-url", "origin", str(new.top))
    scene.git("remote", "add", "later", str(later.top))
    second = scene.commit("b")
    for remote in ("later", "origin"):
        assert flusher in scene.flushers()  # it sleeps; when the last one has landed nothing is left for it
        done = scene.run("-c", "uam.push.mode=wait", "push", "-o", "urgent", remote, "main")
        assert done.code == 0, done
    assert (new.oid("main"), later.oid("main"), old.oid("main")) == (second, second, scene.start_oid)
    # the first one is sent to no other place than it was made for, and there as soon as the remote leads there again
    told = scene.run("uam", "wait", "2")
    assert (told.code, "origin leads elsewhere than when this was queued" in told.err) == (1, True), told
    scene.git("remote", "set-url", "origin", str(old.top))
    scene.git("uam", "retry", "2")
    scene.git("uam", "flush")
    assert (old.oid("main"), new.oid("main")) == (scene.oid("HEAD~1"), second)


def test_h16_a_relative_url_where_the_git_directory_lies_elsewhere(plain: Scene) -> None:
    """git writes down nowhere what worktree belongs to it; files follow a landing there, too."""
    apart = plain.root / "deep" / "apart"
    apart.parent.mkdir()
    plain.git("init", "-q", f"--separate-git-dir={apart}")
    plain.install()
    plain.git("remote", "set-url", "origin", "../origin.git")
    other = plain.stranger()
    other.commit("theirs")
    other.git("push", "-q", "origin", "main")
    plain.commit("a")
    done = plain.push("origin", "main")
    until(lambda: all(map(free, (apart / "uam").glob("flusher-*.lock"))), "the flusher's end")
    assert (done.code, plain.files()) == (0, ["README", "a", "theirs"]), done
    assert plain.clean()
    assert (plain.top / "theirs").exists()
