"""Sources into one landing, in memory: merge, squash, replay, and the proof. Objects are written, refs never.

No database, no remote and no worktree: what is needed of them is handed in.
"""
