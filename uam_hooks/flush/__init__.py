"""The flush: recover, claim what is due, execute a batch; and the background process that runs it.

How work lands on a ref is in land; which actions form a batch is in store.schedule.
"""
