"""A stand-in of the GitHub API on loopback, for the real gh to talk to.

gh speaks plain HTTP to github.localhost, so the stand-in is its proxy: no certificate, and nothing that could leave
this machine. It answers what `gh workflow run` and `gh pr merge` ask, in GitHub's words where gh hands them on.
"""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import pytest

from tests.support.scenes import Scene

needs_gh = pytest.mark.skipif(shutil.which("gh") is None, reason="gh is not installed: apt-get install gh")

# What a test puts behind gh's -R.
REPO = "github.localhost/o/r"

_TOKEN = "x"  # noqa: S105
_MUTATION = "mergePullRequest"


class Dispatch(NamedTuple):
    """A workflow that was started."""

    workflow: str  # the file name, however gh has named it
    ref: str
    inputs: dict[str, str]


class Merge(NamedTuple):
    """A pull request that was merged."""

    number: int
    method: str  # as the option of gh is called: merge, squash or rebase
    title: str | None  # None: left to GitHub
    body: str | None


class Answer(NamedTuple):
    status: int  # 0: none at all, the connection ends
    content: Any = None


class _Trouble(NamedTuple):
    status: int
    message: str
    late: bool


class Forge:
    """The stand-in; it listens from the start, and stops at the end of `with`."""

    def __init__(self, root: Path) -> None:
        """Keep what gh wants to write in the directory `root`, which must be the test's own."""
        self.dispatches: list[Dispatch] = []
        self.merges: list[Merge] = []
        # (method, path) of everything that was asked; all of GraphQL is ("POST", "/graphql")
        self.requests: list[tuple[str, str]] = []
        # The runs of workflows, newest first, as `run` makes them.
        self.runs: list[dict[str, Any]] = []
        # Workflow file names and pull request numbers that are answered with "not found".
        self.unknown: set[str | int] = set()
        # Pull requests that conflict with their base.
        self.unmergeable: set[int] = set()
        # Called when a pull request is merged, before gh is told.
        self.on_merge: Callable[[int], None] | None = None
        # How many requests `failing` has spoilt so far.
        self.failed = 0
        self._troubles: list[_Trouble] = []
        self._lock = threading.Lock()
        # Their ids count from 1. What gh has looked up by file name joins them.
        self._workflows = ["test.yml", "deploy.yml"]
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self.env = _environment(root, self._server.server_port)

    def __enter__(self) -> Forge:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Afterwards the port refuses connections, as a network that is down does."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def failing(self, times: int, status: int = 502, message: str = "", *, late: bool = False) -> None:
        """Spoil the next `times` requests that would change something, after those that are to be spoilt already.

        `status` 0 ends the connection without an answer, and 200 is how GraphQL says no to a merge. `late` means that
        the change was made all the same, and only the answer is bad.
        """
        with self._lock:
            self._troubles += [_Trouble(status, message, late)] * times

    # -- what the requests get -----------------------------------------------------------------------------

    def answer(self, method: str, path: str, authorization: str, body: Any) -> Answer:
        """What a request gets; called in a thread for each connection."""
        self.requests.append((method, path))
        if not authorization.endswith(f" {_TOKEN}"):
            return _error(401, "Bad credentials" if authorization else "Requires authentication")
        match [method, *map(unquote, path.strip("/").split("/"))]:
            case ["POST", "graphql"]:
                return self._graphql(body["query"], body.get("variables") or {})
            case ["GET", "repos", _, _, "actions", "workflows"]:
                found = [_workflow(number, name) for number, name in enumerate(self._workflows, 1)]
                return Answer(200, {"total_count": len(found), "workflows": found})
            case ["GET", "repos", _, _, "actions", "workflows", name]:
                number = self._id(name)
                return Answer(200, _workflow(number, self._workflows[number - 1])) if number else _error(404)
            case ["GET", "repos", _, _, "actions", "runs"]:
                return Answer(200, {"total_count": len(self.runs), "workflow_runs": self.runs})
            case ["POST", "repos", _, _, "actions", "workflows", name, "dispatches"]:
                return self._dispatch(name, body)
        return _error(404)

    def _id(self, name: str) -> int:
        """The id of the workflow with this file name or id, 0 when there is none."""
        with self._lock:
            if name.isdecimal():
                number = int(name)
                return number if number <= len(self._workflows) else 0
            if name in self.unknown or not name.endswith((".yml", ".yaml")):
                return 0
            if name not in self._workflows:
                self._workflows.append(name)
            return self._workflows.index(name) + 1

    def _dispatch(self, name: str, body: Any) -> Answer:
        number = self._id(name)
        if not number:
            return _error(404)

        def change() -> None:
            self.dispatches.append(Dispatch(self._workflows[number - 1], body["ref"], body.get("inputs") or {}))

        trouble = self._spoilt(change)
        return _error(trouble.status, trouble.message) if trouble else Answer(204)

    def _graphql(self, query: str, variables: Any) -> Answer:
        if _MUTATION in query:
            return self._merge(variables["input"])
        if "pullRequest(number:" in query:
            return self._pull_request(variables["pr_number"])
        if "__type" in query:
            # gh asks which fields this GitHub knows before it asks for them, and keeps the answer for a day
            fields = [{"name": "isInMergeQueue"}, {"name": "isMergeQueueEnabled"}]
            return _data({alias: {"fields": fields} for alias in re.findall(r"(\w+): *__type", query)})
        return _data({"repository": {"id": "R_1", "name": "r", "defaultBranchRef": {"name": "main"}}})

    def _pull_request(self, number: int) -> Answer:
        if number in self.unknown:
            says = f"Could not resolve to a PullRequest with the number of {number}."
            return _refusal(says, "NOT_FOUND", ["repository", "pullRequest"], {"repository": {"pullRequest": None}})
        state, merge_state = "OPEN", "DIRTY" if number in self.unmergeable else "CLEAN"
        if any(merge.number == number for merge in self.merges):
            state, merge_state = "MERGED", "UNKNOWN"
        return _data({"repository": {"pullRequest": {
            "id": f"PR_{number}", "number": number, "title": f"Change {number}",
            "state": state, "mergeStateStatus": merge_state,
            "headRefName": f"topic-{number}", "baseRefName": "main", "headRefOid": f"{number:040x}",
            "headRepositoryOwner": {"id": "U_1", "login": "o"}, "isInMergeQueue": False, "isMergeQueueEnabled": False,
        }}})  # fmt: skip

    def _merge(self, wanted: Any) -> Answer:
        number = int(wanted["pullRequestId"].removeprefix("PR_"))
        method = wanted["mergeMethod"].lower()

        def change() -> None:
            if self.on_merge:
                self.on_merge(number)
            self.merges.append(Merge(number, method, wanted.get("commitHeadline"), wanted.get("commitBody")))

        trouble = self._spoilt(change)
        if trouble and trouble.status != 200:
            return _error(trouble.status, trouble.message)
        if trouble:
            return _refusal(trouble.message, "UNPROCESSABLE", [_MUTATION], {_MUTATION: None})
        return _data({_MUTATION: {"clientMutationId": None}})

    def _spoilt(self, change: Callable[[], None]) -> _Trouble | None:
        """Make the change, unless it is to be spoilt; gives what to answer instead of success."""
        with self._lock:
            trouble = self._troubles.pop(0) if self._troubles else None
            self.failed += trouble is not None
        if trouble is None or trouble.late:
            change()
        return trouble


def run(number: int, sha: str, status: str, event: str = "push") -> dict[str, Any]:
    """A run of a workflow for the commit `sha` of main: `status` is queued, in_progress or completed."""
    return {
        "id": number, "run_number": number, "name": "test", "display_title": "Change", "workflow_id": 1,
        "head_branch": "main", "head_sha": sha, "event": event, "status": status,
        "conclusion": "success" if status == "completed" else None, "html_url": f"https://github.localhost/o/r/{number}",
        "created_at": "2026-01-01T00:00:00Z", "run_started_at": "2026-01-01T00:00:05Z",
        "updated_at": "2026-01-01T00:03:00Z",
    }  # fmt: skip


def reaching(scene: Scene, forge: Forge) -> None:
    """Let the gh that actions of the scene start talk to the stand-in."""
    scene.env.update(forge.env)
    scene.git("config", "uam.gh.repo", REPO)


class Witness(list[Dispatch]):
    """The dispatches of a forge, with what the remote's main held when each of them was started."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.saw = scene, list[list[str]]()

    def append(self, dispatch: Dispatch, /) -> None:
        self.saw.append(self.scene.landed())
        super().append(dispatch)


def _environment(root: Path, port: int) -> dict[str, str]:
    private = {"GH_CONFIG_DIR": "config", "TMPDIR": "tmp", "XDG_CACHE_HOME": "cache", "XDG_STATE_HOME": "state"}
    for name in private.values():
        (root / name).mkdir(parents=True, exist_ok=True)
    return {
        # gh 2.23 keeps answers below TMPDIR, for everybody on the machine; newer ones in the cache directory
        **{variable: str(root / name) for variable, name in private.items()},
        "HTTP_PROXY": f"http://127.0.0.1:{port}",
        "GH_HOST": "github.localhost",
        "GH_TOKEN": _TOKEN,
        "GH_PROMPT_DISABLED": "1",
        "GH_NO_UPDATE_NOTIFIER": "1",
        "NO_COLOR": "1",
    }


def _workflow(number: int, name: str) -> dict[str, Any]:
    return {"id": number, "name": Path(name).stem, "path": f".github/workflows/{name}", "state": "active"}


def _error(status: int, message: str = "") -> Answer:
    return Answer(status, {"message": message or (HTTPStatus(status).phrase if status else "")})


def _data(data: Any) -> Answer:
    return Answer(200, {"data": data})


def _refusal(message: str, kind: str, path: list[str], data: Any) -> Answer:
    return Answer(200, {"data": data, "errors": [{"type": kind, "path": path, "message": message}]})


class _Server(ThreadingHTTPServer):
    def __init__(self, forge: Forge) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.forge = forge


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body go out together: apart, the body would wait for an acknowledgement

    def do_GET(self) -> None:
        assert isinstance(self.server, _Server)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path  # a proxy is asked for whole URLs
        authorization = self.headers.get("Authorization", "")
        found = self.server.forge.answer(self.command, path, authorization, json.loads(body or b"null"))
        if found.status:
            self._send(found.status, b"" if found.content is None else json.dumps(found.content).encode())
        else:
            self.close_connection = True

    do_POST = do_GET

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        if content:
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing: a test looks at `requests`."""
