"""A launch as plain lines: one for each event worth printing, with the time since the launch began."""

from __future__ import annotations

from collections.abc import Iterator

from sparkrun_tui.base import shell
from sparkrun_tui.base.units import format_bytes, format_rate
from sparkrun_tui.engines.offers import TEXT
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.record.events import (
    AnyEvent,
    Diagnosed,
    EndpointUp,
    EngineFact,
    LaunchBegan,
    LinkChanged,
    Noticed,
    Progressed,
    StatusChanged,
    StepChanged,
    StepState,
)

_PROGRESS_EVERY = 10.0
"""Seconds between two lines about the same transfer."""

_SHORT = frozenset({Phase.CHECK, Phase.START})
"""Phases that are too short to print a line when they begin."""


class Narrator:
    """Turns events into lines. It remembers what was printed, so that nothing is printed twice."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._steps: dict[tuple[str, Phase], tuple[StepState, str]] = {}
        self._progress: dict[tuple[str, Phase], float] = {}
        self._links: dict[str, str] = {}
        self._facts: dict[tuple[str, str], str] = {}

    def lines(self, event: AnyEvent) -> Iterator[str]:
        """The line for `event`, or none."""
        if self._began is None:
            self._began = event.time
        text = self._text(event)
        if text:
            yield f"{_clock(event.time - self._began)}  {text}"

    def _text(self, event: AnyEvent) -> str:
        if isinstance(event, LaunchBegan):
            return f"launch {event.launch_id}: {event.recipe} ({event.engine}) on {', '.join(event.hosts)}"
        if isinstance(event, StepChanged):
            return self._step(event)
        if isinstance(event, Progressed):
            return self._moved(event)
        if isinstance(event, LinkChanged):
            return self._link(event)
        if isinstance(event, EngineFact):
            return self._fact(event)
        if isinstance(event, Noticed):
            where = f"{event.host}: " if event.host else ""
            return f"{event.level}: {where}{event.text}"
        if isinstance(event, StatusChanged):
            return f"{event.status}: {event.detail}" if event.detail else str(event.status)
        if isinstance(event, EndpointUp):
            text = f"serves {event.model} at {event.url}"
            if event.offers and event.offers not in TEXT:
                text += f", answers: {event.offers}"
            if event.wants_key:
                text += ", requests must send its API key"
            return text
        return ""

    def _fact(self, event: EngineFact) -> str:
        text = fact_text(event.name, event.value)
        key = (event.host, event.name)
        if not text or self._facts.get(key) == text:
            return ""
        self._facts[key] = text
        return f"{event.host}: {text}"

    def _step(self, event: StepChanged) -> str:
        key = (event.host, event.phase)
        now = (event.state, event.detail)
        before = self._steps.get(key)
        if event.state is StepState.PENDING or before == now:
            return ""
        self._steps[key] = now
        word = str(event.state)
        if event.state is StepState.RUNNING:
            was_running = before is not None and before[0] is StepState.RUNNING
            if was_running or event.phase in _SHORT:
                return ""
            word = "..."
        return f"{event.host}: {event.phase} {word}{_in_brackets(event.detail)}"

    def _moved(self, event: Progressed) -> str:
        if event.unit != "B":
            return ""
        key = (event.host, event.phase)
        last = self._progress.setdefault(key, event.time)
        if event.time - last < _PROGRESS_EVERY:
            return ""
        self._progress[key] = event.time
        text = f"{event.host}: {event.phase} {format_bytes(event.done)}"
        if event.total:
            text += f" of {format_bytes(event.total)} ({event.done / event.total:.0%})"
        if event.rate:
            text += f", {format_rate(event.rate)}"
        return text

    def _link(self, event: LinkChanged) -> str:
        before = self._links.get(event.host)
        self._links[event.host] = event.state
        if event.state == before:
            return ""
        if before is None and event.state in ("up", "connecting", "idle"):
            return ""
        return f"{event.host}: link {event.state}{_in_brackets(event.detail)}"


def _in_brackets(detail: str) -> str:
    return f" ({detail})" if detail else ""


def _clock(seconds: float) -> str:
    whole = max(int(seconds), 0)
    return f"{whole // 60:3}:{whole % 60:02}"


_FACTS = {
    "kv_tokens": "KV cache for {:,.0f} tokens",
    "concurrency": "{:,.1f} full-length requests at a time",
}
_SIZES = {"kv_bytes": "KV cache", "weights_bytes": "weights", "graphs_bytes": "CUDA graphs"}


def fact_text(name: str, value: float) -> str:
    """A figure printed by the engine, in words; empty for figures that are not shown."""
    if name in _SIZES:
        return f"{_SIZES[name]} {format_bytes(value)}"
    return _FACTS[name].format(value) if name in _FACTS else ""


def diagnosis_lines(found: Diagnosed) -> Iterator[str]:
    """Why a launch failed: the cause, the log line that shows it, and what to try."""
    where = f"{found.host}: " if found.host else ""
    yield f"{where}{found.title}"
    if found.explanation:
        yield f"  {found.explanation}"
    if found.evidence:
        yield f"  > {found.evidence}"
    for repair in found.repairs:
        change = shell.override(repair.key, repair.value) if repair.key else repair.title
        text = f"{change}  {repair.why}".strip()
        yield f"  try: {text}"
