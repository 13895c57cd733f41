"""The demo: one scenario played on two real remotes, with git uam and without.

The tool itself does not need it; the agents are processes that use git only.
"""
