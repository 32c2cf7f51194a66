"""`dataclass` as the standard library has it, for a fiftieth of the time where a class is never used.

The standard library writes and compiles six methods for each class when its module is imported: 0.6 ms for a frozen
one with slots, a third of the time in which a command starts. Here one is written, `__init__`, and with the first
instance; the others are the same functions for all classes. What a class then does is the same
(`tests/base/test_records.py` holds both side by side).
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

__all__ = ("dataclass",)

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls=None, /, *, slots=False, frozen=False, eq=True, kw_only=False):
        """The same as `dataclasses.dataclass`, with the options that this program uses.

        Only classes with slots are written late. The others share their body, and are written by the standard library.
        """

        def made(body):
            if not slots:
                return dataclasses.dataclass(frozen=frozen, eq=eq, kw_only=kw_only)(body)
            return _put_off(body, frozen, eq, kw_only)

        return made if cls is None else made(cls)


_turn = threading.RLock()
_FIELDS = "__dataclass_fields__"
_KEPT_BY_BODY = ("__dict__", "__weakref__")


def _put_off(body: type, frozen: bool, eq: bool, kw_only: bool) -> type:
    """The class with its slots; what depends on its fields is written by the first who needs it."""
    given = {name: value for name, value in vars(body).items() if name not in _KEPT_BY_BODY}
    given["__qualname__"] = body.__qualname__
    kinds = given.get("__annotations__", {})
    names = [name for name, kind in kinds.items() if not str(kind).startswith(("ClassVar", "typing.ClassVar"))]
    inherited = {name for base in body.__mro__[1:] for name in getattr(base, "__slots__", ())}
    later = _Later(given, kw_only)

    def __init__(self: Any, *arguments: Any, **named: Any) -> None:
        later.write()
        made.__init__(self, *arguments, **named)  # type: ignore[misc]

    lasting = {name: value for name, value in given.items() if name not in names}
    lasting |= {"__slots__": tuple(name for name in names if name not in inherited), _FIELDS: later}
    shared: dict[str, Any] = {"__init__": __init__, "__repr__": _repr}
    if eq:
        shared["__eq__"] = _eq
    if frozen:
        shared |= {"__setattr__": _refuse_to_set, "__delattr__": _refuse_to_delete}
        shared |= {"__getstate__": _getstate, "__setstate__": _setstate}
    if eq and given.get("__hash__") is None:
        # With an `__eq__` of its own and no `__hash__`, Python has put None here.
        lasting["__hash__"] = _hash if frozen else None
    made: type = type(body)(body.__name__, body.__bases__, shared | lasting)
    later.owner, later.frozen = made, frozen
    if "__init__" in given:
        later.write()  # nothing else would
    return made


class _Later:
    """The fields of a class before anybody has asked for them: whoever does gets them written."""

    def __init__(self, given: dict[str, Any], kw_only: bool) -> None:
        self.owner: Any = None
        self.frozen = False
        self._given = given
        self._kw_only = kw_only

    def __get__(self, _instance: object, _owner: type) -> dict[str, Field[Any]]:
        self.write()
        found: dict[str, Field[Any]] = vars(self.owner)[_FIELDS]
        return found

    def write(self) -> None:
        """Write the fields, and `__init__` unless the class has its own."""
        with _turn:
            owner = self.owner
            if vars(owner)[_FIELDS] is not self:
                return  # another thread was first
            # The standard library reads the fields, with those of the bases; it writes no method.
            same = type(owner)(owner.__name__, owner.__bases__, {**self._given, "__doc__": " "})
            read: Any = dataclasses.dataclass(init=False, repr=False, eq=False, kw_only=self._kw_only)
            read(same)
            fields: dict[str, Field[Any]] = vars(same)[_FIELDS]
            owner.__dataclass_params__ = same.__dataclass_params__
            if "__match_args__" not in self._given:
                setattr(owner, "__match_args__", vars(same)["__match_args__"])  # noqa: B010
            init = None if "__init__" in self._given else _init_of(owner, fields, self.frozen)
            setattr(owner, _FIELDS, fields)
            # An instance that another thread makes meanwhile has its fields: what makes one comes last.
            if init is not None:
                owner.__init__ = init


def _init_of(owner: Any, fields: dict[str, Field[Any]], frozen: bool) -> Callable[..., None]:
    """The method that takes the fields as arguments, compiled."""
    known: dict[str, Any] = {"_set": object.__setattr__, "_missing": MISSING}
    arguments: list[str] = []
    by_name: list[str] = []
    lines: list[str] = []
    for name, item in fields.items():
        if item._field_type is not dataclasses._FIELD:  # type: ignore[attr-defined]
            continue  # of the class, not of an instance
        value = name
        argument = name
        if item.default is not MISSING:
            known[f"_of_{name}"] = item.default
            argument = f"{name}=_of_{name}"
        elif item.default_factory is not MISSING:
            known[f"_make_{name}"] = item.default_factory
            argument = f"{name}=_missing"
            value = f"_make_{name}() if {name} is _missing else {name}"
        if not item.init:
            if item.default is MISSING and item.default_factory is MISSING:
                continue  # `__post_init__` sets it
            value = f"_of_{name}" if item.default is not MISSING else f"_make_{name}()"
        elif item.kw_only:
            by_name.append(argument)
        else:
            arguments.append(argument)
        lines.append(f" _set(self, {name!r}, {value})" if frozen else f" self.{name} = {value}")
    if by_name:
        arguments += ["*", *by_name]
    if hasattr(owner, "__post_init__"):
        lines.append(" self.__post_init__()")
    text = f"def __init__(self, {', '.join(arguments)}):\n" + "\n".join(lines or [" pass"])
    exec(text, known)
    init: Callable[..., None] = known["__init__"]
    init.__qualname__ = f"{owner.__qualname__}.__init__"
    init.__module__ = owner.__module__
    return init


# The methods of all classes. What they compare and show of a class is worked out once.

_compared: dict[type, Callable[[Any], tuple[Any, ...]]] = {}
_hashed: dict[type, Callable[[Any], tuple[Any, ...]]] = {}


def _values(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if not names:
        return lambda _instance: ()
    get = attrgetter(*names)
    if len(names) == 1:
        return lambda instance: (get(instance),)
    return get


def _compared_values(kind: Any) -> Callable[[Any], tuple[Any, ...]]:
    return _values([item.name for item in dataclasses.fields(kind) if item.compare])


def _eq(self: Any, other: object) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    kind = type(self)
    values = _compared.get(kind)
    if values is None:
        values = _compared[kind] = _compared_values(kind)
    return values(self) == values(other)


def _hash(self: Any) -> int:
    kind: Any = type(self)
    values = _hashed.get(kind)
    if values is None:
        names = []
        for item in dataclasses.fields(kind):
            if item.compare if item.hash is None else item.hash:
                names.append(item.name)
        values = _hashed[kind] = _values(names)
    return hash(values(self))


@recursive_repr()
def _repr(self: Any) -> str:
    parts = [f"{item.name}={getattr(self, item.name)!r}" for item in dataclasses.fields(self) if item.repr]
    return f"{type(self).__qualname__}({', '.join(parts)})"


def _refuse_to_set(self: Any, name: str, _value: object) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _getstate(self: Any) -> list[Any]:
    return [getattr(self, item.name) for item in dataclasses.fields(self)]


def _setstate(self: Any, state: list[Any]) -> None:
    for item, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, item.name, value)
