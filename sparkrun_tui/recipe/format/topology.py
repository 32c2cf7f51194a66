"""How many hosts a recipe runs on: what its fields say, and how many hosts a launch takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sparkrun_tui.base.errors import Spot
from sparkrun_tui.base.numbers import whole
from sparkrun_tui.recipe.model import Mode, Problem, Severity
from sparkrun_tui.recipe.values.rendered import Rendered
from sparkrun_tui.recipe.values.shellwords import flag_value


@dataclass(frozen=True, slots=True)
class Topology:
    """The mode and the limits in force, with what contradicts itself."""

    mode: Mode
    min_nodes: int
    max_nodes: int | None
    problems: tuple[Problem, ...]


def infer(
    mode: Mode,
    min_nodes: int,
    max_nodes: int | None,
    *,
    solo_only: bool = False,
    cluster_only: bool = False,
    spots: Mapping[str, Spot] | None = None,
) -> Topology:
    """Apply the inference rules of the format, in their order, and report fields that contradict each other."""
    problems = _contradictions(mode, min_nodes, max_nodes, solo_only, cluster_only, spots or {})
    if solo_only:
        max_nodes = 1
    if cluster_only:
        min_nodes = max(min_nodes, 2)
    if mode is Mode.SOLO and min_nodes == 1:
        max_nodes = 1
    if mode is Mode.CLUSTER:
        min_nodes = max(min_nodes, 2)
    if max_nodes is not None and min_nodes > max_nodes and not any(p.severity is Severity.ERROR for p in problems):
        message = f"the recipe needs at least {min_nodes} hosts but `max_nodes` is {max_nodes}"
        problems = [_clash(message, spots or {}, "max_nodes", "mode", "min_nodes")]
    if min_nodes > 1:
        mode = Mode.CLUSTER
    else:
        mode = Mode.SOLO if max_nodes == 1 else Mode.AUTO
    return Topology(mode, min_nodes, max_nodes, tuple(problems))


def _clash(message: str, spots: Mapping[str, Spot], *keys: str, severity: Severity = Severity.ERROR) -> Problem:
    return Problem(severity, "topology", message, next((spots[key] for key in keys if key in spots), None))


def _contradictions(
    mode: Mode, low: int, high: int | None, solo_only: bool, cluster_only: bool, spots: Mapping[str, Spot]
) -> list[Problem]:
    found = []
    if solo_only and cluster_only:
        found.append(_clash("`solo_only` and `cluster_only` exclude each other", spots, "cluster_only"))
    if mode is Mode.SOLO and low > 1:
        message = f"`mode: solo` beside `min_nodes: {low}`: several hosts are used"
        found.append(_clash(message, spots, "mode", severity=Severity.WARNING))
    if mode is Mode.SOLO and high is not None and high > 1:
        message = f"`mode: solo` beside `max_nodes: {high}`: one host is used"
        found.append(_clash(message, spots, "max_nodes", severity=Severity.WARNING))
    if solo_only and low > 1:
        found.append(_clash(f"`solo_only` beside `min_nodes: {low}`", spots, "solo_only"))
    if solo_only and mode is Mode.CLUSTER:
        found.append(_clash("`solo_only` beside `mode: cluster`", spots, "solo_only"))
    if cluster_only and mode is Mode.SOLO:
        found.append(_clash("`cluster_only` beside `mode: solo`", spots, "cluster_only"))
    return found


@dataclass(frozen=True, slots=True)
class HostCount:
    """How many hosts a launch takes, why, and `short`: how many more the recipe would want than there are."""

    count: int
    reason: str
    short: int = 0


MAX_DEGREE = 9_999
"""Ranks along one axis; a larger figure is no degree of parallelism, and counts as none."""

_DEGREES = {
    "tensor_parallel": ("-tp", "--tensor-parallel-size", "--tp-size", "--tp"),
    "pipeline_parallel": ("-pp", "--pipeline-parallel-size", "--pp-size", "--pp"),
    "data_parallel": ("-dp", "--data-parallel-size", "--dp-size", "--dp"),
}


def degrees(rendered: Rendered) -> dict[str, int]:
    """Tensor, pipeline and data parallel degrees in force, from the command where it says them, else the chain."""
    found = {}
    for key, flags in _DEGREES.items():
        text = flag_value(rendered.argv, flags)
        if text is None and key in rendered.chain:
            text = str(rendered.get(key))
        found[key] = whole(text or "", least=1, most=MAX_DEGREE) or 1
    return found


def host_count(rendered: Rendered, available: int, gpus_per_host: int = 1, *, solo: bool = False) -> HostCount:
    """The number of hosts for a launch on a cluster of `available` hosts, and the reason in words."""
    recipe = rendered.recipe
    if solo:
        return HostCount(1, "one host was asked for", max(0, recipe.min_nodes - 1))
    if recipe.mode is Mode.SOLO:
        return HostCount(1, "the recipe is for one host")
    parts = degrees(rendered)
    wanted = 1
    for degree in parts.values():
        wanted *= degree
    hosts = -(-wanted // max(1, gpus_per_host))
    named = " x ".join(f"{key} {value}" for key, value in parts.items() if value > 1) or "tensor_parallel 1"
    reason = f"{named} on {gpus_per_host} GPU{'s' * (gpus_per_host != 1)} a host"
    if hosts < recipe.min_nodes:
        hosts, reason = recipe.min_nodes, f"the recipe needs at least {recipe.min_nodes} hosts"
    if recipe.max_nodes is not None and hosts > recipe.max_nodes:
        hosts, reason = recipe.max_nodes, f"{reason}, clipped to the recipe's max_nodes {recipe.max_nodes}"
    if hosts > available:
        short = hosts - available
        return HostCount(max(1, available), f"{reason}, but the cluster has {available}", short)
    return HostCount(hosts, reason)
