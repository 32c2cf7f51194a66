"""Earlier launches in words: what became of each, as far as its hosts have said it, and its overrides."""

from __future__ import annotations

import time
from collections.abc import Mapping

from sparkrun_tui.base.text import clean_line
from sparkrun_tui.fleet.model import Health
from sparkrun_tui.fleet.world import Seen, Whereabouts, World
from sparkrun_tui.launch.record.journal import FRESH
from sparkrun_tui.recipe.values.masking import shown_settings
from sparkrun_tui.ui.ink import Span
from sparkrun_tui.ui.model.launch_status import COMING, OVER, SERVING
from sparkrun_tui.ui.model.ports import PastLaunch

_RECORDED: Mapping[str, Span] = {
    "failed": ("✗ failed", "bad"),
    "stopped": ("– stopped", "dim"),
    "cancelled": ("– cancelled", "dim"),
}
_RUNNING: Mapping[str, Span] = {
    "starting": ("▶ starting", "accent"),
    "cancelling": ("▶ cancelling", "tight"),
    "stopping": ("▶ stopping", "tight"),
    "ready": ("✓ serving", "good"),
    "degraded": ("! degraded", "tight"),
}
_HEALTH: Mapping[Health, Span] = {
    Health.SERVING: ("✓ serving", "good"),
    Health.STARTING: ("▶ starting", "accent"),
    Health.DEGRADED: ("! degraded", "tight"),
    Health.EXITED: ("✗ exited", "bad"),
    Health.UNKNOWN: ("? running", "tight"),
}


def outcome(past: PastLaunch, world: World | None, status: str = "") -> Span:
    """What became of a launch, as a sign and a word; `status` is that of a launch which this session watches.

    A record that says `ready` only says that it was ready: its hosts are what tells whether it still runs.
    """
    if status in COMING | SERVING:
        return _RUNNING.get(status, ("? unknown", "tight"))
    if past.outcome in OVER or status in OVER:
        return _RECORDED[status or past.outcome]
    if world is None:
        return "? not asked", "tight"
    for workload in world.workloads:
        if workload.launch_id == past.launch_id:
            return _HEALTH[workload.health]
    if world.whereabouts(past.launch_id, past.hosts, past.started) is not Whereabouts.GONE:
        silent = any(name in world.hosts and world.hosts[name].state in (Seen.DOWN, Seen.LOST) for name in past.hosts)
        return ("? no answer" if silent else "? not asked"), "tight"
    if past.outcome != "starting":
        return "– ended", "dim"
    if time.time() - past.written < FRESH:
        # Another window may still be preparing it: there are no containers yet.
        return "▶ starting", "accent"
    return "– gone", "dim"


def settings_words(past: PastLaunch) -> str:
    """The overrides of a launch on one line, without secrets."""
    shown = shown_settings(past.settings or {})
    return clean_line(" ".join(f"{key}={value}" for key, value in shown.items()))


def ran_words(started: float | None, ended: float | None, seen: bool = False) -> str:
    """When a launch ran: `ran 01:45 to 01:47`, with the day where it was another one; empty when unknown.

    With `seen` it is only known that it ran until then: `ran from 01:45, last seen 01:47`.
    """
    if started is None:
        return ""
    begin = time.strftime(_stamp(started, time.time()), time.localtime(started))
    if ended is None:
        return f"began {begin}"
    end = time.strftime(_stamp(ended, started), time.localtime(ended))
    return f"ran from {begin}, last seen {end}" if seen else f"ran {begin} to {end}"


def _stamp(moment: float, beside: float) -> str:
    """The format of a moment: only the time on the day of `beside`."""
    same = time.localtime(moment)[:3] == time.localtime(beside)[:3]
    return "%H:%M" if same else "%Y-%m-%d %H:%M"


def matches(past: PastLaunch, words: str, standing: str) -> bool:
    """Whether every word of a filter is found in a launch: in its recipe, hosts, overrides, outcome or detail."""
    text = " ".join(
        (
            past.recipe,
            past.cluster,
            *past.hosts,
            past.outcome,
            standing,
            settings_words(past),
            past.detail,
            past.launch_id,
        )
    ).casefold()
    return all(word in text for word in words.casefold().split())
