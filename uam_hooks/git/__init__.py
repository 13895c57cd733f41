"""The door to git off the hot path. `repo` is the only importer of GitPython; remotes and attributes use it.

Nothing of the queue.
"""
