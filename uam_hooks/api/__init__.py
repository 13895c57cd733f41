"""Actions by name, checked and queued, and `DeployBatcher`, the Python API.

No printing (that is cli) and no execution (that is flush, which may run in another process).
"""
