"""The demo: one scenario played on two real remotes, with us and without.

Nothing that the tool itself needs; the agents are processes that use git alone.
"""
