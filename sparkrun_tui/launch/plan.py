"""The plan of a launch: every step, on which hosts, with the commands a person could paste to do the same."""

from __future__ import annotations

from dataclasses import dataclass

from sparkrun_tui.base.settings import Cluster
from sparkrun_tui.recipe.model import Problem
from sparkrun_tui.recipe.rendered import Rendered
from sparkrun_tui.runtimes.plan import HostView, Phase, ServePlan


@dataclass(frozen=True, slots=True)
class Command:
    """A command for one host (`workstation` is this machine), as text to paste; `changes` tells reads from changes."""

    host: str
    text: str
    changes: bool = True


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One line of the plan. `size` is the bytes to move, None when not known."""

    phase: Phase
    title: str
    hosts: tuple[str, ...]
    detail: str
    commands: tuple[Command, ...]
    size: int | None = None


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """What a launch will do. Problems of severity error stop it."""

    launch_id: str
    rendered: Rendered
    cluster: Cluster
    hosts: tuple[HostView, ...]
    serve: ServePlan
    steps: tuple[PlanStep, ...]
    host_reason: str
    """Why this many hosts."""
    problems: tuple[Problem, ...] = ()
