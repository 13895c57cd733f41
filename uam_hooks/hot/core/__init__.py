"""What everything stands on: errors, paths, settings, names of refs, git as a child process.

Nothing that knows what a push, a queue or a landing is.
"""
