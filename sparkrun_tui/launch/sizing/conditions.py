"""Puts the conditional values of a recipe in force for the hosts that a launch would use."""

from __future__ import annotations

from collections.abc import Sequence

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.engines.plan import HostView
from sparkrun_tui.engines.registry import ENGINES
from sparkrun_tui.memory.result import HostMemory
from sparkrun_tui.recipe.values.conditional import Hardware, Surroundings, declared, in_force
from sparkrun_tui.recipe.values.rendered import Rendered

SPARK_GPU = "NVIDIA GB10"
"""The GPU of a DGX Spark, which every host is taken for until it was asked."""


def of_view(host: HostView) -> Hardware:
    """A host of a plan."""
    if not host.probed:
        return Hardware(host.name, SPARK_GPU, None, host.gpus)
    return Hardware(host.name, host.gpu_name, host.memory, host.gpus)


def of_memory(host: HostMemory) -> Hardware:
    """A host of an estimate."""
    if host.assumed:
        return Hardware(host.name, SPARK_GPU, None, host.gpus)
    return Hardware(host.name, host.gpu_name, host.total, host.gpus)


def settled(rendered: Rendered, hosts: Sequence[Hardware], gpus_per_host: int) -> Rendered:
    """The recipe with the conditional values that hold on as many of `hosts` as a launch would use.

    Everything that judges or launches a recipe calls this first, so that all say the same.
    """
    if not rendered.recipe.original.layers:
        return rendered
    plain = declared(rendered)
    engine = ENGINES.get(plain.recipe.runtime)
    count = max(1, plain.recipe.min_nodes)
    runtimes = {plain.recipe.runtime}
    family = ""
    if engine is not None:
        runtimes |= {engine.name, *engine.aliases}
        family = engine.family.name
        try:
            count, _ = engine.host_count(plain, len(hosts), gpus_per_host)
        except LaunchError:
            # What is wrong with it is said where the recipe is judged.
            count = max(1, plain.recipe.min_nodes)
    around = Surroundings(tuple(hosts[:count]), frozenset(runtimes), family)
    return in_force(plain, around)
