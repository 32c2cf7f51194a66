"""Packages that are not on this machine and answer all the same, as far as an engine asks while it plans.

Engines look whether a package is installed and take names out of it; they call none of them before they run. Every
name of such a package is `Anything`.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

ANSWERS: dict[str, Any] = {}
"""What is known of absent packages, by the whole name of it: ``triton.jit``, ``a.b().c``."""


class Anything:
    """A value that may be asked for any name, called, indexed, and used as a decorator or a base class."""

    def __init__(self, name: str = "") -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        whole = f"{self._name}.{name}"
        return ANSWERS[whole] if whole in ANSWERS else Anything(whole)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if len(arguments) == 1 and not named and callable(arguments[0]) and not isinstance(arguments[0], Anything):
            return arguments[0]
        return Anything(f"{self._name}()")

    def __getitem__(self, _: Any) -> Any:
        return Anything(f"{self._name}[]")

    def __mro_entries__(self, _: tuple[Any, ...]) -> tuple[type, ...]:
        return (object,)

    def __instancecheck__(self, _: Any) -> bool:
        return False

    def __or__(self, other: Any) -> Any:
        return other

    def __ror__(self, other: Any) -> Any:
        return other

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __bool__(self) -> bool:
        return True

    def __int__(self) -> int:
        return 1

    def __index__(self) -> int:
        return 1

    def __contains__(self, _: Any) -> bool:
        return True

    def __lt__(self, _: Any) -> bool:
        return False

    __gt__ = __le__ = __ge__ = __lt__

    def __get_pydantic_core_schema__(self, *_: Any) -> Any:
        return import_module("pydantic_core").core_schema.any_schema()

    def __repr__(self) -> str:
        return f"<not on this machine: {self._name}>"


@dataclass(frozen=True, slots=True)
class Packages:
    """Which packages are answered for, their versions, and values that decide a plan, by whole name."""

    names: Collection[str]
    versions: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, Any] = field(default_factory=dict)

    def install(self) -> None:
        """Find the packages from now on, even where one of them is installed."""
        ANSWERS.update(self.answers)
        sys.meta_path.insert(0, _Finder(self))


class _Module(ModuleType):
    """A module that has every name."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        whole = f"{self.__name__}.{name}"
        return ANSWERS[whole] if whole in ANSWERS else Anything(whole)


class _Finder(MetaPathFinder, Loader):
    """Finds modules of the packages, and says that they are packages."""

    def __init__(self, packages: Packages) -> None:
        self._packages = packages

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        """The specification of a module of one of the packages."""
        if not any(fullname == name or fullname.startswith(f"{name}.") for name in self._packages.names):
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """A module with every name."""
        return _Module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Give it a version, and Triton the one active driver that engines look for."""
        made: Any = module
        made.__version__ = self._packages.versions.get(module.__name__.partition(".")[0], "99.0")
        if module.__name__ == "triton.backends":
            made.backends = {"nvidia": SimpleNamespace(driver=SimpleNamespace(is_active=lambda: True))}
        if module.__name__ == "triton":
            made.cdiv = lambda a, b: -(-a // b)
            made.next_power_of_2 = lambda n: 1 << max(0, int(n) - 1).bit_length()


def put_module(name: str, **members: Any) -> ModuleType:
    """An empty module, with ``members``, under the name of one that cannot be loaded."""
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, None)
    for key, value in members.items():
        setattr(module, key, value)
    sys.modules[name] = module
    return module
