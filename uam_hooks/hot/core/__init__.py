"""The base of everything else: errors, paths, settings, names of refs, and git as a child process.

Nothing here knows what a push, a queue or a landing is.
"""
