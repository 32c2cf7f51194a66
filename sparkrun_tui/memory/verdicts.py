"""The texts of verdicts: a short one for a narrow pane, and a sentence with the numbers."""

from __future__ import annotations

from sparkrun_tui.base.units import format_gib
from sparkrun_tui.memory.hosts import free_at_start, others
from sparkrun_tui.memory.result import REFUSED, HostMemory, HostPicture, Level, Verdict

SHORTEST = 128
"""A context of fewer tokens is taken for a typing error."""


SHORTEST = 128
"""A context of fewer tokens is taken for a typing error."""


def unknown(text: str, detail: str) -> Verdict:
    """A verdict that cannot be given, with what is missing."""
    return Verdict(Level.UNKNOWN, text, detail)


def refused(why: str) -> Verdict:
    """The verdict on settings that the engine refuses."""
    return Verdict(Level.BAD, REFUSED, why)


def too_few_hosts(needed: int, chosen: int) -> Verdict:
    """The verdict on parallel sizes that need more hosts than were chosen."""
    return Verdict(
        Level.BAD,
        f"needs {needed} hosts",
        f"the parallel sizes need {needed} GPUs on as many hosts, {chosen} chosen",
    )


def start_gate(host: HostMemory, wanted: int, share: float) -> Verdict:
    """Judge the engine's own check at start: what it wants against what it will see as free, in bytes.

    Between the free memory that the engine sees and what the host has available lies the container's own
    share, so a request inside that strip is tight.
    """
    free = free_at_start(host)
    outer = host.total - others(host).bytes
    said = f"{host.name}: {share:.2f} of {format_gib(host.total)} is {format_gib(wanted)}, "
    if wanted > outer:
        return Verdict(Level.BAD, "will not start", said + f"only {format_gib(outer)} are free")
    if wanted > free:
        return Verdict(Level.TIGHT, "may not start", said + f"about {format_gib(free)} are free at the start")
    assumed = " (assumed)" if host.available is None else ""
    return Verdict(Level.GOOD, "starts", said + f"{format_gib(free)} are free at the start{assumed}")


def no_room(host: HostMemory, budget: int, fixed: int) -> Verdict:
    """The verdict that weights and overheads alone take the whole budget; sizes in bytes."""
    detail = f"{host.name}: weights and overheads take about {format_gib(fixed)} of the {format_gib(budget)} allowed"
    return Verdict(Level.BAD, "no room for a KV cache", detail)


def out_of_memory(host: HostMemory, wanted: int) -> Verdict:
    """The verdict that weights, overheads and a cache of a stated size are more than the host has free; bytes."""
    free = format_gib(host.total - others(host).bytes)
    detail = (
        f"{host.name}: weights, overheads and the stated KV cache take about {format_gib(wanted)}, only {free} are free"
    )
    return Verdict(Level.BAD, "out of memory at the start", detail)


def too_long(asked: int, own: int) -> Verdict:
    """The verdict that the engine refuses a length beyond the model's unless overridden (lengths in tokens)."""
    detail = (
        f"{asked:,} tokens are more than the model was made for ({own:,}); the engine refuses that unless the "
        "rope is scaled or VLLM_ALLOW_LONG_MAX_MODEL_LEN is set"
    )
    return Verdict(Level.TIGHT, "longer than the model's own context", detail)


def headroom(picture: HostPicture) -> Verdict:
    """Judge what stays for the host itself, in bytes against the floors."""
    host = picture.host
    if not host.unified:
        return Verdict(Level.GOOD, "card of its own", f"{host.name}: the engine has the card to itself")
    if picture.free is None:
        return unknown("headroom unknown", f"{host.name}: what the engine takes is not known")
    left = format_gib(max(picture.free, 0))
    detail = (
        f"{host.name}: about {left} of {format_gib(host.total)} stay free, "
        f"comfortable from {format_gib(picture.floor_green)}, dangerous below {format_gib(picture.floor_red)}"
    )
    if picture.free < 0:
        return Verdict(Level.BAD, f"{format_gib(-picture.free)} more than the host has", detail)
    if picture.free < picture.floor_red:
        return Verdict(Level.BAD, f"{left} left for the host", detail)
    level = Level.GOOD if picture.free >= picture.floor_green else Level.TIGHT
    return Verdict(level, f"{left} left for the host", detail)


def context_fits(level: Level, length: int, concurrency: float, needed: int, pool: int) -> Verdict:
    """The verdict that a request of full length fits, and how many at once; sizes in bytes."""
    text = f"{length:,} tokens fit, {concurrency:.1f} at once"
    if length < SHORTEST:
        return Verdict(Level.TIGHT, f"{length:,} tokens: too short for use", "longer requests are refused")
    detail = f"one request of {length:,} tokens takes {format_gib(needed, 2)}, the cache has about {format_gib(pool)}"
    if level is Level.TIGHT:
        text = f"{length:,} tokens may just fit"
        detail += "; less if the engine's own needs are at their upper end"
    return Verdict(level, text, detail)


def context_too_long(length: int, longest: int, needed: int, pool: int) -> Verdict:
    """The verdict that a request of full length does not fit, with the length that does; sizes in bytes."""
    detail = (
        f"one request of {length:,} tokens takes {format_gib(needed, 2)}, "
        f"the cache has about {format_gib(max(pool, 0), 2)}"
    )
    if longest <= 0:
        return Verdict(Level.BAD, "no room for a KV cache", detail)
    return Verdict(Level.BAD, f"only {longest:,} tokens fit", detail)
