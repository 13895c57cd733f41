"""The queue as every process knows it: its values, its database, who fills it, and who starts the flusher.

Claiming, ending and showing are the flush's and the commands' (store).
"""
