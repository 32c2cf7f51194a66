"""A launch in words: its endpoint, its facts, and the report of a failure."""

from __future__ import annotations

from collections.abc import Mapping

from rich.cells import cell_len

from sparkrun_tui.base.text import clean_line
from sparkrun_tui.base.units import GIB, format_duration
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.record.events import LaunchStatus
from sparkrun_tui.launch.record.remaining import remaining
from sparkrun_tui.launch.record.state import LaunchState
from sparkrun_tui.ui.ink import Line, Span, clip, width_of

STATUS: Mapping[LaunchStatus, tuple[str, str]] = {
    LaunchStatus.STARTING: ("▶", "accent"),
    LaunchStatus.READY: ("✓", "good"),
    LaunchStatus.DEGRADED: ("!", "tight"),
    LaunchStatus.FAILED: ("✗", "bad"),
    LaunchStatus.CANCELLING: ("▶", "tight"),
    LaunchStatus.CANCELLED: ("–", "dim"),
    LaunchStatus.STOPPING: ("▶", "tight"),
    LaunchStatus.STOPPED: ("–", "dim"),
    LaunchStatus.UNKNOWN: ("?", "tight"),
}
"""The sign of each status."""


def elapsed(state: LaunchState, now: float) -> str:
    """How long the launch took, or takes so far."""
    if state.started is None:
        return ""
    end = state.ready_at or state.ended or now
    return format_duration(max(end - state.started, 0))


def time_words(state: LaunchState, before: Mapping[Phase, float], now: float) -> str:
    """How long the launch takes so far, and how long until it serves."""
    left = remaining(state, before, now)
    if left is None:
        return elapsed(state, now)
    about = "about" if left.complete else "at least"
    return f"{elapsed(state, now)}, {about} {format_duration(left.seconds)} left"


def endpoint_lines(state: LaunchState, width: int) -> list[Line]:
    """Where the launch serves, and what the engine printed about its cache."""
    endpoint = state.endpoint
    if endpoint is None:
        return []
    sign, style = STATUS[state.status]
    spans: list[Span] = [
        (f"{sign} ", style),
        (clean_line(endpoint.url), "bold accent"),
        ("   model ", "dim"),
        (clean_line(endpoint.model), "bold"),
    ]
    if endpoint.wants_key:
        spans.append(("   wants an API key", "dim"))
    facts = []
    if "kv_tokens" in state.facts:
        facts.append(f"KV cache {state.facts['kv_tokens']:,.0f} tokens")
    if "kv_bytes" in state.facts:
        facts.append(f"{state.facts['kv_bytes'] / GIB:.1f} GiB")
    if "concurrency" in state.facts:
        facts.append(f"{state.facts['concurrency']:.1f} full-length requests at a time")
    room = width - width_of(spans) - 3
    while facts and cell_len(", ".join(facts)) > room:
        facts.pop()  # the most important comes first
    if facts:
        spans.append(("   " + ", ".join(facts), "dim"))
    return [clip(spans, width)]
