"""What a hook, the remote helper or a waiting push loads, as `python -I -S`. Every import costs time in every push.

It imports the standard library and itself only: no click, no GitPython, and no dataclasses, which import inspect.
"""


def __getattr__(name: str) -> object:
    """The two entries, where the shims of before the package had folders look for them.

    All repositories share one environment, but install.sh brings the shims and hooks of one up to date at a time. The
    others keep working with what they have, for which the wheel also holds the two files in hooks/earlier.
    """
    if name not in ("remote_helper", "pre_push"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from uam_hooks.hot.push import entry

    return getattr(entry, name)
