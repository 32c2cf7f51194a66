"""`dataclass` as the standard library has it, at a tenth of the cost for a class that is never used.

The standard library writes and compiles six methods for each class when its module is imported: 0.7 ms for a frozen
one with slots, a third of the time in which a command starts. Here that is put off to the first instance, or to the
first look at the fields. What is written then is what the standard library writes.
"""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING, Any

__all__ = ("dataclass",)

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls=None, /, *, slots=False, **options):
        """The same as `dataclasses.dataclass`; only classes with slots are put off, the others share their body."""

        def made(body):
            if not slots:
                return dataclasses.dataclass(**options)(body)
            return _put_off(body, options)

        return made if cls is None else made(cls)


_turn = threading.RLock()
_FIELDS = "__dataclass_fields__"
_NOT_COPIED = frozenset({"__dict__", "__weakref__", "__slots__", "__doc__", "__module__", "__qualname__"})


class _Later:
    """The fields of a class whose methods are not written yet: whoever asks for them gets them written."""

    def __init__(self) -> None:
        self.owner: type | None = None
        self.given: dict[str, Any] = {}
        self.options: dict[str, Any] = {}

    def __get__(self, _instance: object, _owner: type) -> Any:
        assert self.owner is not None
        self.write()
        return getattr(self.owner, _FIELDS)

    def write(self) -> None:
        """Let the standard library write the methods into a class with the same body, and take them over."""
        with _turn:
            owner = self.owner
            assert owner is not None
            if owner.__dict__[_FIELDS] is not self:
                return  # another thread was first
            same = type(owner)(owner.__name__, owner.__bases__, dict(self.given))
            whole: Any = dataclasses.dataclass(**self.options, slots=True)(same)
            found = {}
            for name, value in vars(whole).items():
                is_new = name not in self.given or self.given[name] is not value
                if is_new and name not in _NOT_COPIED and name not in owner.__slots__:  # type: ignore[attr-defined]
                    found[name] = value
            # An instance that another thread makes meanwhile has all methods: what makes one comes last.
            first = {name: found.pop(name) for name in (_FIELDS, "__init__") if name in found}
            for name, value in {**found, **first}.items():
                setattr(owner, name, value)


def _put_off(body: type, options: dict[str, Any]) -> type:
    """The class with its slots, whose methods are written by the first who needs one."""
    given = {name: value for name, value in vars(body).items() if name not in ("__dict__", "__weakref__")}
    given["__qualname__"] = body.__qualname__
    # Without a text the standard library would look for the signature, which takes as long as the methods.
    given["__doc__"] = body.__doc__ or " "
    kinds = given.get("__annotations__", {})
    names = [name for name, kind in kinds.items() if not str(kind).startswith(("ClassVar", "typing.ClassVar"))]
    inherited = {name for base in body.__mro__[1:] for name in getattr(base, "__slots__", ())}
    slots = tuple(name for name in names if name not in inherited)
    later = _Later()

    def __init__(self: Any, *arguments: Any, **named: Any) -> None:
        later.write()
        made.__init__(self, *arguments, **named)  # type: ignore[misc]

    lasting = {name: value for name, value in given.items() if name not in names}
    lasting |= {"__slots__": slots, _FIELDS: later}
    lasting.setdefault("__init__", __init__)
    made = type(body)(body.__name__, body.__bases__, lasting)
    later.owner, later.given, later.options = made, given, options
    return made
