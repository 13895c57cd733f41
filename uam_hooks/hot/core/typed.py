"""The names of `typing` that the hot path and the flusher use, without what they cost: that import, and the code that
it compiles for each class of fields, are together a fifth of the time that a push takes to start
(benchmarks/push_cost.py).

A type checker sees `typing` itself. At run time names that only stand in annotations are `object`, and `NamedTuple` is
the class below: the same tuple with names, which checks its arguments when it is made instead of compiling a function
that does.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO as IO
    from typing import Any as Any
    from typing import BinaryIO as BinaryIO
    from typing import Generic as Generic
    from typing import NamedTuple as NamedTuple
    from typing import NoReturn as NoReturn
    from typing import Protocol as Protocol
    from typing import TextIO as TextIO
    from typing import TypeVar as TypeVar
else:
    try:
        from _collections import _tuplegetter  # how collections.namedtuple reads a field, without a call
    except ImportError:
        from operator import itemgetter

        def _tuplegetter(at, _):
            return property(itemgetter(at))

    IO = Any = BinaryIO = NoReturn = Protocol = TextIO = object

    def TypeVar(name):
        return name

    class Generic:
        def __class_getitem__(cls, _):
            return cls

    class _Named(type):
        def __new__(kind, name, bases, body):
            if bases != (globals().get("NamedTuple"),):
                return super().__new__(kind, name, bases, body)
            fields = tuple(body.get("__annotations__", ()))
            defaults = {field: body.pop(field) for field in fields if field in body}
            if tuple(defaults) != fields[len(fields) - len(defaults) :]:
                raise TypeError(f"{name}: a field without a default follows one with a default")
            body |= {field: _tuplegetter(at, "") for at, field in enumerate(fields)}
            body |= {"__slots__": (), "_fields": fields, "__match_args__": fields, "_field_defaults": defaults}
            return super().__new__(kind, name, bases, body)

    class NamedTuple(tuple, metaclass=_Named):
        __slots__ = ()

        def __new__(cls, *values, **named):
            if named or len(values) != len(cls._fields):
                values = cls._all(values, named)
            return tuple.__new__(cls, values)

        @classmethod
        def _all(cls, values, named):
            """The value of each field; TypeError for one that is missing, unknown or given twice."""
            rest = cls._fields[len(values) :]
            defaults = cls._field_defaults
            try:
                found = (*values, *[named.pop(field) if field in named else defaults[field] for field in rest])
            except KeyError as missing:
                raise TypeError(f"{cls.__name__}() lacks {missing}") from None
            if named or len(found) != len(cls._fields):
                raise TypeError(
                    f"{cls.__name__}() takes {', '.join(cls._fields)}, not {len(values)} values, {[*named]}"
                )
            return found

        @classmethod
        def _make(cls, values):
            return cls(*values)

        def _replace(self, **named):
            made = tuple.__new__(type(self), map(named.pop, self._fields, self))
            if named:
                raise ValueError(f"{type(self).__name__} has no {', '.join(named)}")
            return made

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        def __repr__(self):
            return f"{type(self).__name__}({', '.join(f'{n}={v!r}' for n, v in self._asdict().items())})"

        def __getnewargs__(self):
            return tuple(self)
