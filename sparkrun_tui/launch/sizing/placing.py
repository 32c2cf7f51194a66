"""Which hosts of a cluster a launch should use: the emptiest ones. App and command line propose the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sparkrun_tui.base.units import GIB
from sparkrun_tui.memory.hosts import others
from sparkrun_tui.memory.result import HostMemory

SLACK = 4 * GIB
"""Bytes by which the free memory of two hosts must differ for the emptier one to come first.

Idle hosts differ by less, and so do two readings of one host: the proposal must not change with them.
"""


def preferred(names: Sequence[str], memory: Mapping[str, HostMemory]) -> tuple[str, ...]:
    """All of `names`, the best host for a launch first. `memory` has the hosts that have answered.

    Hosts with about as much free memory stay in the order of the cluster; hosts that have not answered come last.
    """
    waiting = [name for name in names if name in memory]
    ordered: list[str] = []
    while waiting:
        most = max(_free(memory[name]) for name in waiting)
        as_empty = [name for name in waiting if _free(memory[name]) >= most - SLACK]
        ordered += as_empty
        waiting = [name for name in waiting if name not in as_empty]
    return (*ordered, *(name for name in names if name not in memory))


def propose(names: Sequence[str], memory: Mapping[str, HostMemory], count: int) -> tuple[str, ...]:
    """The `count` hosts to use, in the order of the cluster: the first of them is the head node.

    All hosts when there are fewer than `count`.
    """
    best = preferred(names, memory)[:count]
    return tuple(name for name in names if name in best)


def _free(host: HostMemory) -> int:
    return host.total - others(host).bytes
