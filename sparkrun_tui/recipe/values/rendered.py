"""A recipe with overrides applied: the chain of values and the rendered command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.recipe.model import Layer, Problem, Recipe, Value


class Origin(StrEnum):
    """Which link of the chain a value comes from, weakest first."""

    MODEL = "model"
    RECIPE = "recipe"
    USER = "user defaults"
    OVERRIDE = "override"


def value_text(value: Value) -> str:
    """A value as it goes into a command: numbers as written, booleans in lower case, lists and mappings as JSON."""
    data = value.data
    if isinstance(data, str):
        return data
    if isinstance(data, bool):
        return "true" if data else "false"
    return "" if data is None else value.text


@dataclass(frozen=True, slots=True)
class ChainValue:
    """An effective value, and where it comes from."""

    value: Value
    origin: Origin


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether an entry of `overrides` holds in a launch, and the reason in words."""

    layer: Layer
    holds: bool
    reason: str

    def __str__(self) -> str:
        name = f"overrides[{self.layer.number}] ({self.layer.when_text})"
        if self.holds:
            return f"{name} holds: sets {self.layer.sets_text}"
        return f"{name} does not hold: {self.reason}"


@dataclass(frozen=True, slots=True)
class Rendered:
    """A recipe with its overrides: what the engine will get.

    `command` keeps the author's line breaks and is None when the recipe has none (the engine then builds one);
    `argv` is the same as one list of arguments, empty when the shell syntax cannot be split.
    """

    recipe: Recipe
    chain: Mapping[str, ChainValue]
    overrides: Mapping[str, str]
    command: str | None
    argv: tuple[str, ...]
    used: frozenset[str]
    """Keys of the chain that the command refers to, directly or through others."""
    problems: tuple[Problem, ...]
    decisions: tuple[Decision, ...] = ()
    """Which of the recipe's `overrides` hold; empty before they are judged, and where it has none."""
    extra: tuple[str, ...] = ()
    """Words for the engine behind its arguments, where the recipe has no command; else they are in `command`."""
    written: Recipe | None = None
    """The recipe before the overrides changed its image, its model or its variables; None where they did not."""
    user_defaults: Mapping[str, object] = field(default_factory=dict)
    """The per-user defaults that it was made with, also those that overrides replace, as a whole or in part."""

    @property
    def original(self) -> Recipe:
        """The recipe as its file has it."""
        recipe = self.recipe if self.written is None else self.written
        return recipe.original

    def get(self, key: str, default: object = None) -> object:
        """The effective typed value of `key`, or `default`."""
        found = self.chain.get(key)
        return default if found is None else found.value.data

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that stop a launch."""
        return tuple(problem for problem in self.problems if problem.severity == "error")
