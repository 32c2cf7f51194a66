"""`dataclass` as the standard library has it, for a fiftieth of the time where a class is never used.

The standard library writes and compiles six methods for each class when its module is imported: 0.6 ms for a frozen
one with slots, a third of the time in which a command starts. Here one is written, `__init__`, once a class
has some instances; the others are the same functions for all classes. What a class then does is the same
(`tests/base/test_records.py` holds both side by side).
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, FrozenInstanceError
from functools import cache
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
_BY_HAND = 16
"""Instances of a class before its `__init__` is compiled."""
_OF_CLASS = ("ClassVar", "typing.ClassVar")
_KEPT_BY_BODY = ("__dict__", "__weakref__")


def _put_off(body: type, frozen: bool, eq: bool, kw_only: bool) -> type:
    """The class with its slots; what depends on its fields is written by the first who needs it."""
    given = {name: value for name, value in vars(body).items() if name not in _KEPT_BY_BODY}
    given["__qualname__"] = body.__qualname__
    kinds = given.get("__annotations__", {})
    names = [name for name, kind in kinds.items() if not str(kind).startswith(_OF_CLASS)]
    inherited = {name for base in body.__mro__[1:] for name in getattr(base, "__slots__", ())}
    later = _Later(given, kw_only)

    def __init__(self: Any, *arguments: Any, **named: Any) -> None:
        if not later.fill(self, arguments, named):
            later.compile_init()
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
        self._filled = 0
        self._rows: list[_Row] = []

    def __get__(self, _instance: object, _owner: type) -> dict[str, Field[Any]]:
        self.compile_init()
        found: dict[str, Field[Any]] = vars(self.owner)[_FIELDS]
        return found

    def write(self) -> None:
        """Write the fields."""
        with _turn:
            owner = self.owner
            if vars(owner)[_FIELDS] is not self:
                return  # another thread was first
            fields = _fields_of(owner, self._given, self._kw_only)
            owner.__dataclass_params__ = _params()
            own = [item for item in fields.values() if _is_of_instance(item)]
            if "__match_args__" not in self._given:
                names = tuple(item.name for item in own if item.init and not item.kw_only)
                setattr(owner, "__match_args__", names)  # noqa: B010
            self._rows = [_Row(item) for item in own]
            # An instance that another thread makes meanwhile has its fields: what others look at comes last.
            setattr(owner, _FIELDS, fields)

    def compile_init(self) -> None:
        """Write the fields, and `__init__` unless the class has its own."""
        self.write()
        with _turn:
            if "__init__" not in self._given and self._filled <= _BY_HAND:
                self._filled = _BY_HAND + 1
                self.owner.__init__ = _init_of(self.owner, vars(self.owner)[_FIELDS], self.frozen)

    def fill(self, instance: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> bool:
        """Set the fields of one of the first instances; False where the compiled `__init__` has to do it.

        To compile one takes as long as to fill thirty instances, and most classes have fewer in a command. The compiled
        one also says what is wrong with arguments that do not fit.
        """
        if self._filled >= _BY_HAND:
            return False
        self.write()
        self._filled += 1
        values = self._values(arguments, named)
        if values is None:
            return False
        for name, value in values:
            if self.frozen:
                object.__setattr__(instance, name, value)
            else:
                setattr(instance, name, value)
        if hasattr(self.owner, "__post_init__"):
            instance.__post_init__()
        return True

    def _values(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> list[tuple[str, Any]] | None:
        """The fields with their values, None where the arguments do not fit."""
        left = dict(named)
        at = 0
        values = []
        for row in self._rows:
            name = row.name
            if row.by_place and at < len(arguments):
                value = arguments[at]
                at += 1
            elif row.is_argument and name in left:
                value = left.pop(name)
            elif row.make is not MISSING:
                value = row.make()
            elif row.default is not MISSING:
                value = row.default
            elif row.is_argument:
                return None
            else:
                continue  # `__post_init__` sets it
            values.append((name, value))
        if left or at < len(arguments):
            return None
        return values


class _Row:
    """A field as `_Later.fill` needs it."""

    __slots__ = ("by_place", "default", "is_argument", "make", "name")

    def __init__(self, item: Field[Any]) -> None:
        self.name = item.name
        self.default: Any = item.default
        self.make: Any = item.default_factory
        self.is_argument = item.init
        self.by_place = item.init and not item.kw_only


def _fields_of(owner: Any, given: Mapping[str, Any], kw_only: bool) -> dict[str, Field[Any]]:
    """The fields of the bases, then those of the class, as the standard library reads them (`dataclasses._get_field`).

    Raises `ValueError` for a default that can be changed, which all instances would share.
    """
    fields: dict[str, Field[Any]] = {}
    for base in owner.__mro__[-1:0:-1]:
        fields.update(getattr(base, _FIELDS, {}))
    for name, kind in given.get("__annotations__", {}).items():
        item: Any = given.get(name, MISSING)
        if not isinstance(item, Field):
            item = dataclasses.field(default=item)
        if item.default is not MISSING and item.default.__class__.__hash__ is None:
            raise ValueError(f"{owner.__qualname__}.{name}: {type(item.default)} is shared by all; use default_factory")
        item.name, item.type = name, kind
        of_class = str(kind).startswith(_OF_CLASS)
        item._field_type = dataclasses._FIELD_CLASSVAR if of_class else dataclasses._FIELD  # type: ignore[attr-defined]
        if item.kw_only is MISSING:
            item.kw_only = kw_only and not of_class
        fields[name] = item
    return fields


def _is_of_instance(item: Any) -> bool:
    """Whether each instance has the field, and not the class."""
    return item._field_type is dataclasses._FIELD  # type: ignore[attr-defined]


@cache
def _params() -> Any:
    """What the standard library keeps of the options of a class: those of one whose methods it has not written."""
    empty: Any = type("Empty", (), {"__doc__": " "})
    return dataclasses.dataclass(init=False, repr=False, eq=False)(empty).__dataclass_params__


def _init_of(owner: Any, fields: dict[str, Field[Any]], frozen: bool) -> Callable[..., None]:
    """The method that takes the fields as arguments, compiled."""
    known: dict[str, Any] = {"_set": object.__setattr__, "_missing": MISSING}
    arguments: list[str] = []
    by_name: list[str] = []
    lines: list[str] = []
    for name, item in fields.items():
        if not _is_of_instance(item):
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
