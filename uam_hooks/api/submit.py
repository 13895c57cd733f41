"""Requests for actions by name: check them, and put them into the queue.

All input from outside is checked here, where it enters. A request that is refused has changed nothing.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from uam_hooks.api import snapshot
from uam_hooks.api.request import ActionRequest
from uam_hooks.command import github
from uam_hooks.flush import deploy
from uam_hooks.hot.core import gate
from uam_hooks.hot.core.errors import Advice, UamError, UsageError
from uam_hooks.hot.core.head import head_of
from uam_hooks.hot.core.identity import Asker, asker
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import HEADS, pin_ref, short_target
from uam_hooks.hot.core.typed import Any, NamedTuple
from uam_hooks.hot.queue.enqueue import push_action
from uam_hooks.hot.queue.model import ActionType, NewAction, NewSource, iso
from uam_hooks.hot.queue.windows import window
from uam_hooks.land.starts import start_of
from uam_hooks.session import Session
from uam_hooks.store import requests as queue

_INPUT = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_METHODS = ("merge", "squash", "rebase")
_DEFAULT_REMOTE = "origin"


class CheckedRequest(NamedTuple):
    """A request that may enter the queue, and the commit that must be pinned before."""

    action: NewAction
    source: NewSource
    needs: tuple[int | str, ...]
    name: str
    pin: str = ""


class RequestChecker:
    """Checks requests against one repository, as seen from the directory `at` in one of its worktrees."""

    def __init__(self, session: Session, at: Path) -> None:
        self.session, self.at = session, at
        self.paths = RepoPaths.of(session.repo.git_dir)
        self.fresh: dict[tuple[str, str], queue.LastCommit] = {}
        # what is the same for all requests of one call
        self._bases: dict[tuple[str, str], str] = {}
        self._askers: dict[str, Asker] = {}
        self._windows: dict[tuple[ActionType, bool], float] = {}

    def check(self, requests: Sequence[ActionRequest]) -> list[CheckedRequest]:
        """Check all of the requests; raises UsageError for the first invalid one."""
        promised: set[str] = set()
        found = []
        self._look_ahead(requests)
        for request in requests:
            made = getattr(self, f"_{request.kind.value}")(request, promised)
            if request.kind == ActionType.COMMIT:
                promised.add(made.source.branch)
            found.append(made)
        return found

    def _look_ahead(self, requests: Sequence[ActionRequest]) -> None:
        """Ask git about all files that are to be committed at once. Those that are no files are refused later."""
        listed = [r.payload.get("files", ()) for r in requests if r.kind == ActionType.COMMIT]
        with suppress(UsageError):
            wanted = [name for files in listed for name in _list(files, "files")]
            self.session.repo.worktree.look(snapshot.names(self.paths.worktree, self.at, wanted))

    def _checked(
        self, request: ActionRequest, target: str, remote: str, payload: dict[str, Any], key: str | None,
        source: NewSource, pin: str = "",
    ) -> CheckedRequest:  # fmt: skip
        # an action with conditions of its own must not delay others, so it never merges with them
        alone = bool(request.dependencies) or request.execute_after is not None
        kind = request.kind, request.urgent
        if kind not in self._windows:
            self._windows[kind] = window(self.session.settings, self.session.store, *kind)
        seconds = self._windows[kind]
        later = "" if request.execute_after is None else iso(request.execute_after)
        action = NewAction(
            request.agent, request.kind, target, remote, payload, seconds, None if alone else key, request.priority, (),
            later, True,
        )  # fmt: skip
        return CheckedRequest(action, source, request.dependencies, request.name, pin)

    def _source(
        self, request: ActionRequest, remote: str, ref: str, branch: str = "", tip: str = "", **more: Any
    ) -> NewSource:
        if remote not in self._askers:
            self._askers[remote] = asker(self.session.identity, self.session.settings, os.environ, remote)
        by = self._askers[remote]
        return NewSource(remote, ref, request.agent, str(self.paths.git_dir), branch, tip, asker=by, **more)

    def _commit(self, request: ActionRequest, _promised: set[str]) -> CheckedRequest:
        payload = _known(request, "message", "files", "remote")
        message = payload.get("message")
        if not isinstance(message, str) or not message.strip() or not _encodes(message):
            raise UsageError("A commit needs a message.", "Say what it does, in UTF-8.")
        ref = self.branch(request.target)
        remote = self.remote(payload, needed=False)
        files = snapshot.names(self.paths.worktree, self.at, _list(payload.get("files", ()), "files"))
        file_mode = self.session.settings.all("core.filemode")[-1:] != ["false"]
        changes = snapshot.contents(self.session.repo, self.paths.worktree, files, file_mode)
        if (ref, remote) not in self._bases:
            self._bases[ref, remote] = _checked_by(lambda: start_of(self.session, ref, remote))
        base = self._bases[ref, remote]
        parent = self._parent(ref, base)
        tip = snapshot.make(self.session, self.paths.worktree, ref, parent, changes, message, file_mode)
        self.fresh[str(self.paths.git_dir), ref] = queue.LastCommit(tip, base, True)
        source = self._source(request, "", ref, ref, tip, base=base, message=message, files=files)
        return self._checked(request, short_target(ref), "", {}, f"api-commit\0{ref}", source, tip)

    def _parent(self, ref: str, base: str) -> str:
        """The parent of a commit by name: what its files were made from, so that landing it does not undo other work.

        That is the last commit by name from this worktree, while it waits or the branch has not moved since: the files
        contain it. Otherwise it is the merge base of the worktree's HEAD and the branch.
        """
        place = str(self.paths.git_dir), ref
        last = self.fresh.get(place) or queue.last_commit(self.session.store, *place)
        if (
            last is not None
            and self.session.repo.kind(last.tip)
            and (last.base == base or (last.waits and self.session.repo.is_ancestor(last.base, base)))
        ):
            return last.tip
        branch, head = head_of(self.session.repo, self.paths.git_dir)
        head = head or self.session.repo.name_of(branch)[0]
        if ZERO in (base, head or ZERO) or head == base:
            return base
        shared = self.session.repo.run("merge-base", head, base, ok=(0, 1)).lines
        return shared[0] if shared else base

    def _push(self, request: ActionRequest, promised: set[str]) -> CheckedRequest:
        payload = _known(request, "remote", "force", "push_options")
        ref, remote = self.branch(request.target), self.remote(payload)
        tip = self.session.repo.name_of(ref)[0]
        waiting = ref in promised or queue.commits_wait(self.session.store, short_target(ref))
        if not tip and not waiting:
            raise UsageError(
                f"There is no branch {short_target(ref)} here to push.", Advice.of("See {}.", "git", "branch")
            )
        listed = _list(payload.get("push_options", ()), "push_options")
        gate.push_options(listed)
        options = tuple(gate.name(option, "push option", gate.OPTION_BYTES) for option in listed)
        more: dict[str, Any] = {"options": options, "tracks_branch": True}
        if _flag(payload, "force"):
            tracking = self.session.settings.tracking_ref(remote, ref)
            # the value that the remote was last seen to have, as a lease: newer work is not overwritten
            more |= {"verbatim": True, "expect": (self.session.repo.name_of(tracking)[0] if tracking else "") or ""}
        tip = tip or _checked_by(lambda: start_of(self.session, ref, remote))
        source = self._source(request, remote, ref, ref, "" if tip == ZERO else tip, **more)
        like = push_action(source, 0.0)
        return self._checked(request, like.target, remote, like.payload, like.merge_key, source, source.tip)

    def _merge(self, request: ActionRequest, _promised: set[str]) -> CheckedRequest:
        from uam_hooks.land.merges import STRATEGIES, source_tip  # with all that a landing needs

        given = _known(request, "source", "strategy", "push", "remote", "message", "pr", "method")
        ref = self.branch(request.target)
        payload: dict[str, Any] = {}
        if given.get("message"):
            payload["message"] = gate.text(str(given["message"]), "message")
        if given.get("pr") is not None:
            return self._pull_request(request, given, payload, ref)
        remote = self.remote(given, needed=_flag(given, "push"))
        source = gate.name(given.get("source"), "merge source")
        if source.startswith("-") or self._bad_ref(source):
            raise UsageError(f"'{source}' cannot be merged.", "Name a branch or a commit.")
        _checked_by(lambda: source_tip(self.session, source, remote))
        _checked_by(lambda: start_of(self.session, ref, remote))
        strategy = str(given.get("strategy") or "no-ff").removeprefix("--")
        if strategy not in STRATEGIES:
            raise UsageError(f"There is no merge strategy '{strategy}'.", f"Use one of {', '.join(STRATEGIES)}.")
        payload |= {"source": source, "strategy": strategy, "push": _flag(given, "push")}
        return self._checked(request, short_target(ref), remote, payload, None, self._source(request, remote, ref))

    def _pull_request(
        self, request: ActionRequest, given: Mapping[str, Any], payload: dict[str, Any], ref: str
    ) -> CheckedRequest:
        number = given["pr"]
        if isinstance(number, bool) or not re.fullmatch(r"[1-9]\d{0,9}", str(number)):
            raise UsageError(f"{number!r} is not a pull request number.")
        method = str(given.get("method") or given.get("strategy") or "merge").removeprefix("no-ff") or "merge"
        if method not in _METHODS:
            raise UsageError(f"gh has no merge method '{method}'.", f"Use one of {', '.join(_METHODS)}.")
        remote = self.remote(given)
        github.repository(self.session, remote)
        payload |= {"pr": int(number), "method": method}
        if given.get("source"):
            payload["source"] = gate.name(given["source"], "merge source")
        return self._checked(request, short_target(ref), remote, payload, None, self._source(request, remote, ref))

    def _workflow(self, request: ActionRequest, _promised: set[str]) -> CheckedRequest:
        given = _known(request, "ref", "inputs", "remote")
        if request.target.startswith("-"):
            raise UsageError(f"'{request.target}' is not a workflow.", "Name its file, its id, or its name.")
        remote = self.remote(given, needed=False)
        branch = self.ref_named(given, remote)
        inputs = given.get("inputs") or {}
        if not isinstance(inputs, Mapping) or not all(isinstance(k, str) and _INPUT.fullmatch(k) for k in inputs):
            raise UsageError("The inputs of a workflow must be names with values.", 'Write {"env": "staging"}.')
        plain = {name: value if isinstance(value, str) else json.dumps(value) for name, value in inputs.items()}
        for value in plain.values():
            gate.text(value, "input of a workflow")
        gate.text("".join((*plain, *plain.values())), "inputs together")
        github.repository(self.session, remote)
        payload = {"ref": branch, "inputs": plain}
        key = "\0".join(("workflow", remote, request.target, branch, json.dumps(plain, sort_keys=True)))
        return self._checked(request, request.target, remote, payload, key, self._source(request, remote, ""))

    def _deploy(self, request: ActionRequest, _promised: set[str]) -> CheckedRequest:
        target = deploy.check_target(request.target)
        deploy.words_of(self.session, target)
        remote = self.remote(request.payload, needed=False)
        payload = {**request.payload, "ref": self.ref_named(request.payload, remote)}
        return self._checked(request, target, remote, payload, None, self._source(request, remote, ""))

    # -- names -------------------------------------------------------------------------------------------

    def branch(self, name: str) -> str:
        """The full ref name of a branch; raises UsageError for a name that git does not accept."""
        short = name.removeprefix(HEADS)
        if short.startswith("-") or short == "HEAD" or self._bad_ref(short):
            raise UsageError(f"'{name}' is not a valid branch name.", "See git check-ref-format.")
        return HEADS + short

    def _bad_ref(self, name: str) -> bool:
        # what git would refuse, without starting git for common names
        if re.fullmatch(r"[A-Za-z0-9_]+(?:[/-][A-Za-z0-9_]+)*", name):
            return False
        return bool(self.session.repo.run("check-ref-format", "--allow-onelevel", name, ok=(0, 1)).code)

    def remote(self, payload: Mapping[str, Any], *, needed: bool = True) -> str:
        """The named remote, else origin, else the only one; raises UsageError for one that is not configured."""
        named = payload.get("remote")
        remotes = self.session.settings.remotes()
        if named is not None:
            self.session.settings.check_remote(gate.name(named, "remote"))
            return str(named)
        if _DEFAULT_REMOTE in remotes or len(remotes) == 1:
            return _DEFAULT_REMOTE if _DEFAULT_REMOTE in remotes else remotes[0]
        if needed:
            raise UsageError(
                "It is not clear which remote is meant.", Advice.of("Name it; {} lists them.", "git", "remote", "-v")
            )
        return ""

    def ref_named(self, payload: Mapping[str, Any], remote: str) -> str:
        """The branch of a workflow or a deploy: the named one, else the remote's default branch."""
        named = payload.get("ref")
        if named is not None:
            text = gate.name(named, "ref")
            if text.startswith("-") or self._bad_ref(text):
                raise UsageError(f"'{text}' is not a valid branch name.", "See git check-ref-format.")
            return short_target(text)
        head = f"refs/remotes/{remote}/HEAD"
        followed = self.session.repo.run("symbolic-ref", "--quiet", head, ok=(0, 1)).text if remote else ""
        return followed.removeprefix(f"refs/remotes/{remote}/") or "main"


def _known(request: ActionRequest, *names: str) -> Mapping[str, Any]:
    """The payload; raises UsageError for a field that is not among `names`, which would be ignored silently."""
    unknown = sorted(set(request.payload) - set(names))
    if unknown:
        raise UsageError(f"A {request.kind.value} has no field '{unknown[0]}'.", f"Its fields are {', '.join(names)}.")
    return request.payload


def _list(given: Any, what: str) -> list[str]:
    if isinstance(given, str) or not isinstance(given, Sequence) or not all(isinstance(one, str) for one in given):
        raise UsageError(f"{what} must be a list of names.")
    return list(given)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _flag(payload: Mapping[str, Any], name: str) -> bool:
    given = payload.get(name, False)
    if not isinstance(given, bool):
        raise UsageError(f"{name} is {given!r}, which is neither true nor false.")
    return given


def _checked_by(ask: Any) -> Any:
    """The result of `ask`, with any UamError turned into a UsageError: the request is wrong."""
    try:
        return ask()
    except UamError as error:
        raise UsageError(error.what, error.do) from None


def enter(
    session: Session, requests: Sequence[ActionRequest], at: Path, origin: tuple[str, int] | None = None
) -> list[int]:
    """Check all of `requests`, pin what they bring, and queue them in one transaction; returns an id for each.

    `origin` is recorded with the first: another database, and the action's id there.
    """
    checked = RequestChecker(session, at).check(requests)
    queue.check(session.store, [(c.name, c.needs) for c in checked])
    session.repo.pin({pin_ref(c.pin): c.pin for c in checked if c.pin})
    return queue.enter(session.store, [(c.action, c.source, c.needs, c.name) for c in checked], time.time(), origin)
