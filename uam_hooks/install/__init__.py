"""Enabling a repository and taking us out of it: hooks, aliases and the config file.

Nothing of the queue: what still waits in it is told by the command (cli.install).
"""
