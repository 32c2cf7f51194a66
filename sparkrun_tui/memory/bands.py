"""Small pieces that the estimates of several engines share: the worst verdict, bands as parts of a picture."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from sparkrun_tui.memory.overheads import Band
from sparkrun_tui.memory.result import HostPicture, Part, Verdict, badness
from sparkrun_tui.memory.verdicts import headroom

NOTHING = Band(0, 0, 0, "none")


def worst_verdict(found: Iterable[Verdict]) -> Verdict:
    """The worst of some verdicts, the first of equals; raises ValueError when there is none."""
    return max(found, key=lambda verdict: badness(verdict.level))


def worst_headroom(pictures: Iterable[HostPicture]) -> Verdict:
    """The verdict on what stays for the host, of the host that keeps least; ValueError when there is none."""
    fullest_first = sorted(pictures, key=lambda picture: inf if picture.free is None else picture.free)
    return worst_verdict(headroom(picture) for picture in fullest_first)


def part(kind: str, *bands: Band) -> Part:
    """Bands added up as one part of a host's picture, in bytes."""
    whole = add(*bands)
    return Part(kind, whole.likely, whole.low, whole.high, whole.source)


def add(*bands: Band) -> Band:
    """The sum of bands, with the sources of those that are not empty."""
    likely = low = high = 0
    sources: dict[str, None] = {}
    for band in bands:
        likely += band.likely
        low += band.low
        high += band.high
        if band.high:
            sources[band.source] = None
    if sources:
        source = "; ".join(sources)
    elif bands:
        source = bands[0].source
    else:
        source = "none"
    return Band(likely, low, high, source)


def exact(size: int, source: str) -> Band:
    """A figure that is known exactly, in bytes."""
    return Band(size, size, size, source)
