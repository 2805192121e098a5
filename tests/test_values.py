"""Frozen values: whatever a frozen dataclass does, though nothing of it is compiled for each."""

import copy
import dataclasses
import pickle
from dataclasses import FrozenInstanceError, field
from typing import Any

import pytest

from workerpool import AddressRules, Lane, Rate, Request, Retry, Timeout
from workerpool.stats import Durations, LaneStats
from workerpool.values import dataclass


def made(kind: Any) -> Any:
    """Make the same class by either dataclass."""

    @kind(frozen=True, slots=True)
    class Point:
        """Two numbers."""

        x: int
        y: float = 2.0
        note: Any = field(default=None, compare=False)
        hidden: str = field(default="", repr=False)
        many: tuple[int, ...] = field(default_factory=tuple)

        @property
        def sum(self) -> float:
            return self.x + self.y

    return Point


KINDS = (made(dataclass), made(dataclasses.dataclass))


def outcome(what):
    try:
        return what()
    except Exception as exc:
        return type(exc), str(exc).replace("object to the field", "to field")


@pytest.mark.parametrize(
    "what",
    [
        lambda kind: repr(kind(1, hidden="no", note="yes")),
        lambda kind: kind(1) == kind(1, note="another"),
        lambda kind: kind(1) == kind(1.0),
        lambda kind: kind(1) != kind(1, hidden="other"),
        lambda kind: kind(1) == (1, 2.0),
        lambda kind: kind(1).__eq__(1),
        lambda kind: hash(kind(1)) == hash(kind(1, note=[])),
        lambda kind: hash(kind([])),
        lambda kind: {kind(1): "found"}[kind(1)],
        lambda kind: setattr(kind(1), "x", 2),
        lambda kind: delattr(kind(1), "x"),
        lambda kind: kind(),
        lambda kind: kind(1, 2, 3, 4, 5, 6),
        lambda kind: kind(1, z=2),
        lambda kind: dataclasses.asdict(kind(1)),
        lambda kind: dataclasses.astuple(kind(1)),
        lambda kind: repr(dataclasses.replace(kind(1), x=5, note="kept")),
        lambda kind: dataclasses.replace(kind(1), other=5),
        lambda kind: repr(copy.copy(kind(1, hidden="x"))),
        lambda kind: copy.deepcopy(kind(1, note=[1])).note,
        lambda kind: [each.name for each in dataclasses.fields(kind)],
        lambda kind: kind.__match_args__,
        lambda kind: kind.__slots__,
        lambda kind: kind.__doc__,
        lambda kind: hasattr(kind(1), "__dict__"),
        lambda kind: repr(kind.__dataclass_params__.frozen),
    ],
)
def test_it_is_as_of_dataclasses(what):
    """The same values, and errors of the same type and text."""
    assert outcome(lambda: what(KINDS[1])) == outcome(lambda: what(KINDS[0]))


@pytest.mark.parametrize("name", ["x", "sum", "other"])
def test_nothing_can_be_set(name):
    """Nor what is no field; that of dataclasses raises a TypeError there where it has slots."""
    with pytest.raises(FrozenInstanceError, match=name):
        setattr(KINDS[0](1), name, 2)


def test_a_frozen_dataclass_can_inherit():
    """One's own, by dataclasses; a plain subclass may have more attributes, but change no field."""

    @dataclasses.dataclass(frozen=True)
    class Numbers(Durations):
        note: str = ""

    class Slower(Timeout):
        pass

    numbers = Numbers(note="mine")
    assert numbers == Numbers(note="mine")
    assert "note='mine'" in repr(numbers)
    slower = Slower(5)
    slower.why = "a slow host"
    for value, name in ((numbers, "total"), (numbers, "note"), (slower, "total")):
        with pytest.raises(FrozenInstanceError, match=name):
            setattr(value, name, 1)


@pytest.mark.parametrize(
    "value",
    [
        Timeout(5, connect=1),
        Rate(5, burst=2),
        Retry(attempts=2, statuses={503}),
        AddressRules(allow=["127.0.0.0/8"]),
        Lane("bulk", headers={"A": "b"}, rate=5, cookies={}),
        Request("POST", "http://host/", data=b"x", meta=[1]),
        Durations(total=3.0),
        LaneStats("a", 1, 2, 3, 4, 5, 6, 7, Durations(), "a"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_it_travels(value):
    """Pickled by each protocol, and copied."""
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert value == pickle.loads(pickle.dumps(value, protocol))
    assert value == copy.copy(value) == copy.deepcopy(value)
