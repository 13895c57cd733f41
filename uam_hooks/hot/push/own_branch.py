"""The pushed branch, moved onto its landing by the push itself."""

from __future__ import annotations

from uam_hooks.hot.core.errors import GitFailed, last_line
from uam_hooks.hot.core.refs import shadow_ref, short_target
from uam_hooks.hot.core.words import say
from uam_hooks.hot.push import messages
from uam_hooks.hot.push.session import PushSession
from uam_hooks.hot.worktree.landed import Landed


class OwnBranches:
    """The branches that one conversation settles, each once."""

    def __init__(self, session: PushSession, remote: str) -> None:
        self.session, self.remote = session, remote
        self.done: set[str] = set()
        self.quiet = False  # then nothing is said of where a branch is now

    def settle(self, landed: Landed, ref: str, head: bool, where: str = "") -> None:
        """Settle what landed on `ref` as uam.settle says.

        `head` tells whether a push that named no branch pushed HEAD; else nothing happens. `where` is the remote, if it
        is not the one of the conversation.
        """
        mode = self.session.settings["uam.settle"]
        if mode == "off" or not (landed.branch or head) or landed.branch in self.done:
            return
        self.done.add(landed.branch)
        if landed.branch and landed.tip == landed.landing:
            return  # what was pushed is what landed: whatever the branch has, it has on top of that
        remote = where or self.remote
        landed = landed._replace(shadow=shadow_ref(remote, ref))
        try:
            from uam_hooks.hot.worktree.settle import settle  # most pushes have nothing to move

            result = settle(self.session.git, self.session.paths, landed, files=mode == "keep")
        except (GitFailed, OSError, ImportError) as error:
            say(f"the branch could not be brought over ({last_line(str(error))}); `git uam sync` does it.")
            return
        said = messages.settled(result, landed.branch, f"{remote}/{short_target(ref)}")
        if said and not self.quiet and landed.tip != landed.landing:
            say(said)
