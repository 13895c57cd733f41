"""Sources into one landing, in memory: merge, squash, replay, and the proof. Objects are written, refs never.

Nothing of the queue, of remotes or of worktrees: what is needed is handed in.
"""
