"""Whether this machine can send models to hosts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from sparkrun_tui.base.make_room import room_for_models
from sparkrun_tui.base.units import format_gib
from sparkrun_tui.launch.plan.preflight import LEAST_ROOM, Finding, Verdict
from sparkrun_tui.launch.plan.shapes import WORKSTATION

_PACKAGES = {"ssh": "openssh-client", "rsync": "rsync"}
"""The programs that send models, and the packages of Debian and Ubuntu that have them."""


def judge_workstation(hub: Path) -> Iterator[Finding]:
    """What this machine lacks to download models and to send them; `hub` is where models are kept."""
    for program, package in _PACKAGES.items():
        if shutil.which(program) is None:
            yield Finding(
                host=WORKSTATION,
                code="tools",
                verdict=Verdict.FAIL,
                what=f"{program} is not installed, so no model can be sent to hosts",
                measured=f"no {program}",
                needed=program,
                remedy=f"On this machine: sudo apt-get install {package}",
            )
    free = _free(hub)
    if free is not None and free < LEAST_ROOM:
        yield Finding(
            host=WORKSTATION,
            code="disk",
            verdict=Verdict.WARN,
            what=f"little room for the model cache ({hub})",
            measured=f"{format_gib(free)} free",
            needed=format_gib(LEAST_ROOM),
            remedy=room_for_models(),
        )


def _free(folder: Path) -> int | None:
    """Bytes that are free where a folder is, or will be; None where that cannot be learned."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        found = os.statvfs(place)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize
