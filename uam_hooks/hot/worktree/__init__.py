"""Moving a branch that is checked out, with its index and files, onto what landed.

Nothing of the queue or of remotes: old and new commit are handed in.
"""
