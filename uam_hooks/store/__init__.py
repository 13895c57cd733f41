"""The flush's and the commands' side of the queue: claims, ends, journal, and what people ask. All SQL is here
and in hot.queue, which opens the database and fills it.

No git, and no decision that is not about rows.
"""
