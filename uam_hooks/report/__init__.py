"""The queue, a batch and what landed as data, and bringing back what is shown: status, preview, history, sync.

Nothing here claims, plans into the journal, or pushes.
"""
