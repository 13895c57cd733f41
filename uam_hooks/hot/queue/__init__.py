"""The queue as every process uses it: its values, its database, what fills it, and what starts the flusher.

Claiming, finishing and reporting belong to the flush and the commands (`store`).
"""
