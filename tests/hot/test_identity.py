"""What makes an identity, and that names and URLs are what git itself makes of the same settings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.landscape import environment
from tests.support.scenes import Scene
from uam_hooks.hot.core.identity import Identity, ident, identity_of, place_of, reduced
from uam_hooks.hot.core.plumbing import HotGit
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.core.urls import push_urls

BASES = ("https://a.invalid/", "ssh://git@b.invalid:22/", "/srv/git/")
REWRITES = (
    ("insteadOf", "a:", BASES[0]), ("insteadOf", "a:team/", BASES[1]), ("pushInsteadOf", "a:", BASES[2]),
    ("pushInsteadOf", "https://", BASES[1]), ("insteadOf", "https://c.invalid/", BASES[0]),
    ("insteadOf", "a:", BASES[2]),
)  # fmt: skip
URLS = ("a:x.git", "a:team/x.git", "https://c.invalid/x", "https://d.invalid/x", "ssh://e.invalid/x", "/srv/x", "b:x")


def settings(scene: Scene, **env: str) -> Settings:
    with environment({**scene.env, **env}):
        return Settings.read(HotGit(scene.top / ".git", scene.top))


def identity(scene: Scene, **env: str) -> Identity:
    return identity_of(scene.paths, settings(scene, **env), {**scene.env, **env})


def test_a_url_is_rewritten_as_git_does(plain: Scene) -> None:
    for chosen in (0, 7, 9, 18, 20, 35, 42, 49, 63):  # of the 64 choices
        plain.run("config", "--remove-section", "remote.there")
        for base in BASES:
            plain.run("config", "--remove-section", f"url.{base}")
        for number, (kind, prefix, base) in enumerate(REWRITES):
            if chosen >> number & 1:
                plain.git("config", "--add", f"url.{base}.{kind}", prefix)
        found = settings(plain)
        for url in URLS:
            plain.git("config", "remote.there.url", url)
            assert push_urls(found, url) == [plain.git("remote", "get-url", "--push", "there")]
        for url in URLS[1:]:
            plain.git("config", "--add", "remote.there.url", url)
        for explicit in (None, *URLS):
            if explicit is not None:
                plain.git("config", "--add", "remote.there.pushurl", explicit)
            said = plain.git("remote", "get-url", "--push", "--all", "there").splitlines()
            assert push_urls(settings(plain), "there") == said


NAMES = st.sampled_from(["", "Bar", " Bar. ", "B<a>r", "'Bar'", "Bär"])


@given(role=st.sampled_from(["author", "committer"]), where=st.dictionaries(
    st.sampled_from(["env.name", "env.email", "EMAIL", "role.name", "role.email", "user.name", "user.email"]), NAMES
))  # fmt: skip
def test_a_name_is_what_git_makes_of_it(role: str, where: dict[str, str]) -> None:
    env = {}
    values: dict[str, list[str]] = {}
    for name, value in where.items():
        if name.startswith("env."):
            env[f"GIT_{role.upper()}_{name[4:].upper()}"] = value
        elif name == "EMAIL":
            env[name] = value
        else:
            values[name.replace("role", role)] = [value]
    found = ident(Settings(values), env, role)
    if not found:
        return  # git guesses, or refuses
    options = [word for key, (value,) in values.items() for word in ("-c", f"{key}={value}")]
    said = subprocess.run(
        ["git", *options, "var", f"GIT_{role.upper()}_IDENT"], capture_output=True, text=True, check=False,
        env={"PATH": "/usr/bin:/bin", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "LC_ALL": "C.UTF-8",
             "GIT_DIR": "/nonexistent", **env},
    )  # fmt: skip
    if said.returncode == 0:
        assert said.stdout.rsplit(" ", 2)[0] == found


def test_a_name_that_only_the_environment_has(plain: Scene) -> None:
    env = {"GIT_COMMITTER_NAME": "Bar", "GIT_COMMITTER_EMAIL": "bar@example.invalid"}
    assert ident(settings(plain), env, "committer") == "Bar <bar@example.invalid>"
    assert ident(settings(plain), env, "author") == "Ada <ada@example.invalid>"


@pytest.mark.parametrize("name", [
    "HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_SSH", "GIT_SSH_COMMAND", "SSH_AUTH_SOCK",
    "SSH_ASKPASS", "GIT_ASKPASS", "GIT_NAMESPACE", "HTTPS_PROXY", "https_proxy", "all_proxy", "NO_PROXY",
    "GIT_SSL_NO_VERIFY", "GIT_SSL_CAINFO", "GIT_PROXY_COMMAND", "GIT_HTTP_USER_AGENT", "SSL_CERT_FILE", "GNUPGHOME",
    "CURL_CA_BUNDLE", "GH_TOKEN", "GITHUB_TOKEN", "GH_ENTERPRISE_TOKEN", "GH_HOST", "GH_CONFIG_DIR", "GITLAB_TOKEN",
    "AWS_PROFILE", "LD_PRELOAD",
])  # fmt: skip
def test_what_sets_a_push_apart_reaches_its_flusher(scene: Scene, name: str) -> None:
    base = scene.env
    one, two = ({**base, name: f"{scene.home}/{n}"} for n in "12")
    found = settings(scene)
    first, second = (identity_of(scene.paths, found, env) for env in (one, two))
    assert first.id != second.id
    assert second.differs(first.facts) == [name]
    assert reduced(one, found)[name] == one[name]


@pytest.mark.parametrize(
    "name", ["PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "TERM", "GIT_TRACE", "GIT_EXEC_PATH"]
)
def test_what_a_process_needs_reaches_the_flusher_and_sets_nobody_apart(scene: Scene, name: str) -> None:
    found = settings(scene)
    env = {**scene.env, name: "1"}
    assert identity_of(scene.paths, found, env).id == identity_of(scene.paths, found, scene.env).id
    assert reduced(env, found)[name] == "1"


@pytest.mark.parametrize("name", [
    "GIT_LITERAL_PATHSPECS", "GIT_ATTR_SOURCE", "GIT_EXTERNAL_DIFF", "GIT_DIR", "GIT_INDEX_FILE", "GIT_AUTHOR_NAME",
    "GIT_COMMITTER_EMAIL", "GIT_COMMITTER_DATE", "EMAIL", "UAM_AGENT_ID", "UAM_URGENT", "UAM", "MY_SECRET", "PWD",
    "GIT_CONFIG_PARAMETERS", "PYTHONPATH",
])  # fmt: skip
def test_everything_else_stays_with_the_push(scene: Scene, name: str) -> None:
    found = settings(scene)
    env = {**scene.env, name: "1"}
    assert identity_of(scene.paths, found, env).id == identity_of(scene.paths, found, scene.env).id
    assert name not in reduced(env, found)


def test_what_is_given_for_one_push_counts_where_it_decides_where_and_as_whom(scene: Scene) -> None:
    usual = identity(scene)
    other = identity(scene, GIT_CONFIG_PARAMETERS="'core.sshCommand'='ssh -i key' 'uam.window.push'='1s'")
    assert other.id != usual.id
    assert usual.differs(other.facts) == ["-c core.sshcommand"]
    assert identity(scene, GIT_CONFIG_PARAMETERS="'uam.window.push'='1s' 'color.ui'='always'").id == usual.id
    env = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "http.extraHeader", "GIT_CONFIG_VALUE_0": "X: y"}
    assert usual.differs(identity(scene, **env).facts) == ["-c http.extraheader"]
    kept = reduced({**scene.env, **env}, settings(scene, **env))
    assert kept["GIT_CONFIG_KEY_0"].lower() == "http.extraheader"
    assert kept["GIT_CONFIG_VALUE_0"] == "X: y"


def test_a_place_is_where_the_url_leads_and_shows_no_secret(scene: Scene) -> None:
    scene.git("config", "remote.there.url", "https://user:pass@a.invalid/x")
    found, who = settings(scene), identity(scene)
    place = place_of(who, found, scene.env, "there")
    assert place.url == "https://***@a.invalid/x"
    scene.git("config", "remote.there.url", "https://user:word@a.invalid/x")
    assert place_of(who, settings(scene), scene.env, "there").id != place.id
    assert place_of(who, found, {**scene.env, "GIT_NAMESPACE": "foo"}, "there").id != place.id
    assert place_of(who, found, scene.env, "") == ("", "")


def test_all_who_need_the_key_at_once_get_the_same(scene: Scene) -> None:
    code = (
        "import sys; from pathlib import Path; from uam_hooks.hot.core import identity, paths;"
        " sys.stdin.readline(); print(identity.key_of(paths.RepoPaths.of(Path(sys.argv[1]))).hex())"
    )
    command = [sys.executable, "-c", code, str(scene.top / ".git")]
    running = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
        )
        for _ in range(6)
    ]
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    found = {process.communicate()[0] for process in running}
    assert [process.returncode for process in running] == [0] * 6
    assert len(found) == 1
    assert [path.name for path in scene.uam.glob("identity.key*")] == ["identity.key"]
