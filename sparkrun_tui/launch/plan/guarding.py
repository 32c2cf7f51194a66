"""Which hosts of a launch get a memory guard, its floor, and the step of the plan that says so."""

from __future__ import annotations

from collections.abc import Sequence

from sparkrun_tui.base.units import GIB, format_gib
from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.engines.plan import HostView, Phase, ServePlan
from sparkrun_tui.launch.plan.shapes import Command, PlanStep
from sparkrun_tui.remote.guard import guards

FLOOR = 4 * GIB
"""Bytes of MemAvailable below which the guard ends the container, where the cluster does not say.

What was published about the DGX Spark (121.7 GiB) bounds it from both sides:
- Starts that went well came down to 6.6 GiB at their deepest point, and were to be left alone. One that came down to
  3 GiB was taken to be close to a freeze.
- The steepest fall that was seen is the one after the weights are loaded: 17 to 19 GiB within ten seconds, 1.9 GiB/s.
  From the first moment below the floor, the guard needs up to 0.5 s for its first sample, 1 s for the other two, and
  Docker 0.3 to 0.6 s for the kill: up to 2.1 s, in which that fall takes 4 GiB. A faster one meets half of the floor
  earlier, where a single sample is enough.
"""

_SHARE = 16
"""A host keeps at most this part of its memory: on one with 16 GiB a floor of 4 GiB would forbid most models."""


def floor_on(cluster: Cluster, host: HostView) -> int:
    """The floor of the guard on a host in bytes; 0 where it gets none.

    A host that was not asked is taken for one whose GPU shares its memory.
    """
    if cluster.guard_floor_gib is not None:
        return int(cluster.guard_floor_gib * GIB)
    if host.unified is False:
        return 0
    if host.memory:
        return min(FLOOR, host.memory // _SHARE)
    return FLOOR


def guard_steps(serve: ServePlan, cluster: Cluster, hosts: Sequence[HostView]) -> list[PlanStep]:
    """The step that starts the guards; none where no host gets one."""
    names = {rank.host: rank.container.name for rank in serve.ranks}
    guarded = []
    commands = []
    floors = []
    for host in hosts:
        floor = floor_on(cluster, host)
        if not floor:
            continue
        guarded.append(host)
        floors.append(format_gib(floor))
        container = names.get(host.name, serve.delegated)
        commands.append(Command(host.name, guards.by_hand(serve.launch_id, container, floor)))
    if not guarded:
        return []
    detail = f"stops the container when less than {' or '.join(dict.fromkeys(floors))} are left"
    if cluster.guard_floor_gib is None and any(host.unified is None for host in guarded):
        detail += ", where the GPU shares the host's memory"
    return [PlanStep(Phase.START, "memory guard", tuple(host.name for host in guarded), detail, tuple(commands))]
