"""`git push` at the two doors: git's request, its sources in the queue, the wait, and the answer.

Code that is needed outside of a push belongs in the three folders beside this one.
"""
