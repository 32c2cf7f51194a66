"""A speed in words, for every view that shows one."""

from __future__ import annotations

from sparkrun_tui.memory.result import Rate, Speed


def short(speed: Speed) -> str:
    """The decode rate alone: `about 12 tokens/s`."""
    return f"about {figure(speed.decode.likely)} tokens/s"


def brief(speed: Speed) -> str:
    """Both rates in a few words: `~12 tokens/s, prompt ~2,300`."""
    said = f"~{figure(speed.decode.likely)} tokens/s"
    if speed.prefill is not None:
        said += f", prompt ~{figure(speed.prefill.likely)}"
    return said


def sentence(speed: Speed) -> str:
    """The decode rate of one request, the rate of its prompt, and what is not counted."""
    said = f"{short(speed)} for one request alone ({_band(speed.decode)})"
    if speed.prefill is not None:
        said += f", its prompt at about {figure(speed.prefill.likely)} ({_band(speed.prefill)})"
    if speed.drafts:
        said += "; more with the drafts that are accepted"
    return said


def _band(rate: Rate) -> str:
    return f"{figure(rate.low)} to {figure(rate.high)}"


def figure(value: float) -> str:
    """Two significant digits: more would promise what no roofline knows."""
    if value >= 100:
        digits = len(f"{value:.0f}") - 2
        return f"{round(value, -digits):,.0f}"
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"
