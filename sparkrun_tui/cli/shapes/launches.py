"""Launches, their events and their logs as JSON."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypedDict

from sparkrun_tui.base.quantities import Bytes, Moment, Number
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.record.events import LaunchStatus
from sparkrun_tui.recipe.model import Severity


class RepairJson(TypedDict):
    """A change that would help."""

    title: str
    why: str
    key: Annotated[str, "The override to set; empty for something to do by hand."]
    value: str


class CauseJson(TypedDict):
    """Why a start failed."""

    title: str
    explanation: str
    evidence: Annotated[str, "The line of the log that shows it."]
    repairs: list[RepairJson]


class DiagnosisJson(TypedDict):
    """Why a launch failed, in a few words."""

    title: str
    host: str | None


class EndpointJson(TypedDict):
    """Where a model is served."""

    url: str
    model: str


class GuardJson(TypedDict):
    """What the memory guard of a host has seen."""

    host: str
    floor: Bytes
    least: Bytes | None
    stopped: Annotated[Bytes | None, "What was left when it stopped the container; null where it did not."]
    readings: Annotated[list[Bytes], "The least of some seconds each, oldest first."]
    minute: Annotated[list[Bytes], "Every reading of the minute before it acted, two a second."]


class PastJson(TypedDict):
    """An earlier launch, as this machine remembers it."""

    launch_id: str
    recipe: str
    engine: str
    model: str
    cluster: str
    hosts: Annotated[list[str], "In rank order."]
    port: Number | None
    overrides: Annotated[dict[str, str], "Secrets are masked."]
    status: LaunchStatus
    detail: str | None
    started: Moment | None
    ready: Moment | None
    ended: Moment | None
    endpoint: EndpointJson | None
    diagnosis: DiagnosisJson | None
    again: Annotated[str | None, "The command line that launches it again; null where only labels say how."]
    memory_guards: list[GuardJson]
    folder: str
    size: Annotated[Bytes, "Of the folder."]


class PlanProblem(TypedDict):
    """What stands in the way of a plan."""

    severity: Severity
    code: str
    message: str
    remedy: str | None


class CommandJson(TypedDict):
    """One command of a plan."""

    step: Number
    phase: Phase
    title: str
    host: str
    text: str
    changes: Annotated[bool, "Whether it changes anything there."]


class PlanJson(TypedDict):
    """What a launch would do, in the order of its steps."""

    launch_id: str
    recipe: str
    engine: str
    image: str
    hosts: list[str]
    overrides: dict[str, Any]
    notes: list[str]
    problems: list[PlanProblem]
    runnable: Annotated[bool, "false when the recipe itself has errors."]
    commands: list[CommandJson]


class LogLineJson(TypedDict):
    """One line of a log."""

    kind: Literal["log"]
    host: str
    time: Moment
    stream: Annotated[str, "`stdout`, `stderr`, or `app` for lines of this program."]
    text: str
