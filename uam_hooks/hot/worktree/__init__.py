"""Moving a branch that is checked out, with its index and files, onto what landed.

It knows neither the queue nor remotes: callers pass the old and the new commit.
"""
