"""What to change so that a host keeps enough memory for itself, for engines that take a share of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import floor

from sparkrun_tui.base.units import format_gib
from sparkrun_tui.memory.result import HostPicture, Proposal

_LEAST = 0.05


def for_headroom(pictures: Sequence[HostPicture], share: float) -> Iterator[Proposal]:
    """Propose the share of memory, from 0 to 1, that leaves the fullest host comfortable, where it is in danger now."""
    known = [picture for picture in pictures if picture.free is not None and picture.host.unified]
    if not known:
        return
    fullest = min(known, key=lambda picture: picture.free or 0)
    free, total = fullest.free or 0, fullest.host.total
    if free >= fullest.floor_red:
        return
    lower = floor((share - (fullest.floor_green - free) / total) * 100) / 100
    if lower < _LEAST or lower >= share:
        return
    effect = f"{fullest.host.name} keeps {format_gib(fullest.floor_green)} for itself"
    yield Proposal("gpu_memory_utilization", f"{share:.2f}", f"{lower:.2f}", effect)
