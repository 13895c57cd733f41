"""`git push` at the two doors: from git's request to sources in the queue, to the wait, to the words at the end.

Nothing that anything outside of a push needs: that is in the three folders beside this one.
"""
