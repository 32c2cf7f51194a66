"""Data classes whose methods are written late: everything that the standard library's can do, the same way."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import threading
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, field, fields, replace
from typing import Any, ClassVar

import pytest

from sparkrun_tui.base import records

Maker = Callable[..., Any]


def classes(dataclass: Maker) -> dict[str, Any]:
    """The same classes, made by either."""

    @dataclass(frozen=True, slots=True)
    class Point:
        """A place."""

        known: ClassVar[int] = 3
        x: int
        y: int = 0
        names: tuple[str, ...] = ()
        more: dict[str, int] = field(default_factory=dict, compare=False)

        @property
        def sum(self) -> int:
            return self.x + self.y

    @dataclass(frozen=True, slots=True)
    class Solid(Point):
        z: int = 9
        y: int = 8

    @dataclass(slots=True)
    class Mutable:
        items: list[int] = field(default_factory=list)
        seen: int = 0
        _late: int = field(init=False)

        def __post_init__(self) -> None:
            self.seen += 1
            self._late = 8

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Named:
        first: int
        second: str = "b"

    @dataclass(slots=True, eq=False)
    class Own:
        a: int

    @dataclass(frozen=True, slots=True)
    class Odd:
        a: int
        b: int = field(default=5, repr=False, hash=False)
        c: list[int] = field(default_factory=list, init=False, compare=False)
        d: int = field(default=7, init=False)
        e: Any = field(default=None, kw_only=True)

    @dataclass(frozen=True, slots=True)
    class Empty:
        pass

    @dataclass(frozen=True, slots=True)
    class Spoken:
        a: int

        def __str__(self) -> str:
            return "spoken"

        def __repr__(self) -> str:
            return "shown"

        def __hash__(self) -> int:
            return 3

        def __eq__(self, other: object) -> bool:
            return isinstance(other, type(self))

    @dataclass(frozen=True)
    class Plain:
        a: int = 1

    return {cls.__name__: cls for cls in (Point, Solid, Mutable, Named, Own, Odd, Empty, Spoken, Plain)}


OURS, THEIRS = classes(records.dataclass), classes(dataclasses.dataclass)

MADE: list[Callable[[dict[str, Any]], Any]] = [
    lambda of: of["Point"](1),
    lambda of: of["Point"](1, 2, ("a",), {"b": 1}),
    lambda of: of["Point"](x=1, y=2),
    lambda of: of["Solid"](1, z=4),
    lambda of: of["Mutable"]([1]),
    lambda of: of["Named"](first=1),
    lambda of: of["Plain"](),
    lambda of: of["Odd"](1),
    lambda of: of["Odd"](1, 2, e="x"),
    lambda of: of["Empty"](),
    lambda of: of["Spoken"](1),
    lambda of: of["Point"](1, more={"self": 1}),
]


@pytest.mark.parametrize("make", MADE)
def test_instances_are_the_same(make: Callable[[dict[str, Any]], Any]) -> None:
    ours, theirs = make(OURS), make(THEIRS)
    assert repr(ours) == repr(theirs)
    assert asdict(ours) == asdict(theirs)
    assert ours == make(OURS) and ours == copy.copy(ours) and ours == copy.deepcopy(ours)
    assert asdict(copy.deepcopy(ours)) == asdict(theirs)
    assert ours != make(THEIRS)
    assert [item.name for item in fields(ours)] == [item.name for item in fields(theirs)]
    assert type(ours).__match_args__ == type(theirs).__match_args__
    assert hasattr(ours, "__dict__") == hasattr(theirs, "__dict__")
    if type(theirs).__hash__ is None:
        assert type(ours).__hash__ is None
    else:
        assert hash(ours) == hash(make(OURS)) and hash(ours) == hash(theirs)


def test_a_new_class_has_fields_a_signature_and_no_instance() -> None:
    fresh = classes(records.dataclass)
    assert dataclasses.is_dataclass(fresh["Point"])
    assert [item.name for item in fields(fresh["Point"])] == ["x", "y", "names", "more"]
    assert inspect.signature(fresh["Point"]).parameters.keys() == {"x", "y", "names", "more"}
    assert (fresh["Solid"](1).z, fresh["Solid"](1).y) == (9, 8)
    assert fresh["Point"].__doc__ == "A place."
    assert fresh["Point"].known == 3
    assert fresh["Point"].__qualname__ == "classes.<locals>.Point"


def test_a_frozen_instance_cannot_be_changed() -> None:
    point = OURS["Point"](1)
    with pytest.raises(FrozenInstanceError):
        point.x = 2
    with pytest.raises(FrozenInstanceError):
        del point.x
    assert replace(point, y=5).sum == 6


def test_a_mutable_instance_has_no_hash_and_one_with_identity_has() -> None:
    with pytest.raises(TypeError):
        hash(OURS["Mutable"]())
    one = OURS["Own"](1)
    assert one != OURS["Own"](1) and hash(one) == hash(one)


@pytest.mark.parametrize("made_before", [0, 1, 40])
@pytest.mark.parametrize(
    ("arguments", "named"), [((), {}), ((1, 2, (), {}, 5), {}), ((1,), {"x": 2}), ((1,), {"unknown": 2})]
)
def test_wrong_arguments_are_an_error_each_time(
    arguments: tuple[object, ...], named: dict[str, object], made_before: int
) -> None:
    fresh = classes(records.dataclass)
    for _ in range(made_before):
        fresh["Point"](1)
    for _ in range(2):
        with pytest.raises(TypeError, match=r"Point\.__init__\(\)"):
            fresh["Point"](*arguments, **named)


def test_a_class_that_extends_one_may_have_its_own_beginning() -> None:
    base = classes(records.dataclass)["Point"]

    class Extended(base):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(7)

    assert Extended().x == 7


def test_threads_that_make_the_first_instance_at_the_same_time_make_equal_ones() -> None:
    for _ in range(20):
        fresh = classes(records.dataclass)["Point"]
        found: list[Any] = []
        start = threading.Barrier(4)

        def work(cls: Any = fresh, into: list[Any] = found, barrier: threading.Barrier = start) -> None:
            barrier.wait()
            into.append(cls(1, 2))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [fresh(1, 2)] * 4


def test_a_class_pattern_finds_its_values() -> None:
    solid = classes(records.dataclass)["Solid"]
    match solid(1, 2):
        case solid(x, y):
            assert (x, y) == (1, 2)
        case _:
            pytest.fail("it does not match")


def test_no_method_is_written_for_few_instances_and_one_for_many(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    real = records._init_of

    def counted(owner: Any, *arguments: Any) -> Any:
        written.append(owner.__name__)
        return real(owner, *arguments)

    monkeypatch.setattr(records, "_init_of", counted)
    fresh = classes(records.dataclass)
    assert written == []
    few = [fresh["Named"](first=1) for _ in range(records._BY_HAND)]
    assert written == []
    many = [fresh["Named"](first=1) for _ in range(100)]
    assert written == ["Named"]
    assert set(few) == set(many)


@pytest.mark.parametrize("make", MADE)
def test_the_first_instances_are_the_same_as_later_ones(make: Callable[[dict[str, Any]], Any]) -> None:
    fresh = classes(records.dataclass)
    made = [make(fresh) for _ in range(2 * records._BY_HAND)]
    assert {repr(item) for item in made} == {repr(make(THEIRS))}
    if hasattr(type(made[0]), "__eq__") and type(made[0]).__name__ != "Own":
        assert made == [made[0]] * len(made)


def test_each_of_the_first_instances_has_its_own_containers() -> None:
    fresh = classes(records.dataclass)["Mutable"]
    one, other = fresh(), fresh()
    one.items.append(1)
    assert other.items == [] and (one.seen, one._late) == (1, 8)


def test_instances_of_two_classes_with_the_same_fields_are_not_equal() -> None:
    one, other = classes(records.dataclass)["Point"], classes(records.dataclass)["Point"]
    assert one(1) != other(1) and one(1) == one(1)
    assert one(1) != "x"


def test_an_instance_that_holds_itself_can_be_shown() -> None:
    held = OURS["Mutable"]()
    held.items.append(held)
    assert repr(held) == repr(held) and "..." in repr(held)
