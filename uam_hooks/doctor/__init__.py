"""What is wrong with an enabled repository, what each of it means, and what mends it.

The checks change nothing: they read the queue without joining it, hold no lock for longer than a look, and go on where
one of them fails. `mend` does what cannot lose anything, and looks once more.
"""
