"""Enabling a repository and taking us out of it: hooks, aliases and the config file.

Nothing of the queue: the commands tell who is about to lose something.
"""
