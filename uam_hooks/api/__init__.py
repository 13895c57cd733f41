"""What is asked for by name, checked and queued, and `DeployBatcher`, the Python API.

No printing (cli) and no execution: that is the flush's, which may run in another process.
"""
