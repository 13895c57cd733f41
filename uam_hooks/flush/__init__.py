"""The flush: recover, claim what is due, execute a batch; and the background process that does it.

How work lands on a ref is in land; what goes into which batch is in store.schedule.
"""
