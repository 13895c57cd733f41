"""What a hook, the remote helper or a waiting push loads, as `python -I -S`: each import costs every push.

Standard library and hot itself only: no click, no GitPython, and no dataclasses, which load inspect.
"""
