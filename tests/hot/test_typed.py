"""The hot path's own NamedTuple does what that of typing does, of which it is said to be one."""

from __future__ import annotations

import copy
import pickle
import typing
from collections.abc import Callable

import pytest

from uam_hooks.hot.core import typed


class Ours(typed.NamedTuple):
    """Three fields."""

    first: int
    second: str = "two"
    third: tuple[int, ...] = ()

    @property
    def both(self) -> str:
        return f"{self.first}{self.second}"

    @classmethod
    def of(cls, first: int) -> Ours:
        return cls(first)


class Theirs(typing.NamedTuple):
    """Three fields."""

    first: int
    second: str = "two"
    third: tuple[int, ...] = ()


class Below(Ours):
    """A subclass has the fields of its base."""

    more = 1


def test_the_hot_path_has_a_class_of_its_own() -> None:
    assert typed.NamedTuple is not typing.NamedTuple


@pytest.mark.parametrize(
    "given",
    [((1,), {}), ((1, "a", (2,)), {}), ((), {"first": 1}), ((1,), {"third": (3,)}), ((), {"second": "b", "first": 2})],
)
def test_it_is_made_of_the_same_arguments(given: tuple[tuple[typing.Any, ...], dict[str, typing.Any]]) -> None:
    values, named = given
    ours, theirs = Ours(*values, **named), Theirs(*values, **named)
    assert (tuple(ours), ours._asdict(), hash(ours)) == (tuple(theirs), theirs._asdict(), hash(theirs))
    assert repr(ours).removeprefix("Ours") == repr(theirs).removeprefix("Theirs")
    assert tuple(ours._replace(second="x")) == tuple(theirs._replace(second="x"))
    assert (ours.first, ours.second, ours.third) == (theirs.first, theirs.second, theirs.third)


@pytest.mark.parametrize(
    "given", [((), {}), ((1, "a", (), 4), {}), ((1,), {"first": 2}), ((1,), {"fourth": 4}), ((), {"second": "b"})]
)
@pytest.mark.parametrize("kind", [Ours, Theirs])
def test_what_does_not_fit_is_a_type_error(
    kind: Callable[..., object], given: tuple[tuple[typing.Any, ...], dict[str, typing.Any]]
) -> None:
    with pytest.raises(TypeError):
        kind(*given[0], **given[1])


def test_it_says_the_same_of_its_fields_and_cannot_be_changed() -> None:
    assert Ours._fields == Theirs._fields
    assert Ours._field_defaults == Theirs._field_defaults
    assert Ours.__match_args__ == Theirs.__match_args__
    assert Ours.__doc__ == Theirs.__doc__
    one = Ours.of(7)
    assert one.both == "7two"
    for name in ("first", "fifth"):
        with pytest.raises(AttributeError):
            setattr(one, name, 1)
    with pytest.raises(ValueError, match="fifth"):
        one._replace(fifth=1)  # type: ignore[call-arg]


def test_it_can_be_copied_and_pickled_and_has_subclasses() -> None:
    one = Ours(1, third=(2, 3))
    for again in (copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one))):  # noqa: S301 - our own bytes
        assert again == one
        assert type(again) is Ours
    below = Below(4)
    assert (below.first, below.both, below.more) == (4, "4two", 1)


def test_a_field_without_a_default_cannot_follow_one_with_a_default() -> None:
    source = "class Wrong(NamedTuple):\n    a: int = 1\n    b: int\n"
    with pytest.raises(TypeError, match="without a default"):
        exec(source, {"NamedTuple": typed.NamedTuple})  # noqa: S102 - a type checker would not have it
