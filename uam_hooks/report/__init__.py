"""The queue, a batch and what landed, as data, and restoring from it: status, preview, history, sync.

Nothing here claims, plans into the journal, or pushes.
"""
