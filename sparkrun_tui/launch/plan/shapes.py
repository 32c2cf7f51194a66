"""The parts of a plan: its commands, its steps, and the environment of its containers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.base.shell import Text
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.recipe.model import Problem

WORKSTATION = "workstation"
"""The `host` of commands that run on this machine."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command for one host (`workstation` is this machine), as text to paste; `changes` is False when it only reads.

    `target` is the host that a transfer from the workstation goes to, empty for every other command; `downloads`
    marks the command that fetches the model from the Hub.
    """

    host: str
    text: Text
    changes: bool = True
    target: str = ""
    downloads: bool = False


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One step of the plan. `size` is the bytes to move, None when unknown."""

    phase: Phase
    title: str
    hosts: tuple[str, ...]
    detail: str
    commands: tuple[Command, ...]
    size: int | None = None


@dataclass(frozen=True, slots=True)
class PlanEnv:
    """The recipe's environment, expanded: `plain` values, which `docker inspect` may show, and `secret` ones."""

    plain: Mapping[str, str] = field(default_factory=dict)
    secret: Mapping[str, Secret] = field(default_factory=dict)
    consented: frozenset[str] | None = None
    """The variables of this machine that a recipe from elsewhere was allowed to read."""
    problems: tuple[Problem, ...] = ()
