"""How many hosts a recipe is for: the rules by which its fields say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sparkrun_tui.base.errors import Spot
from sparkrun_tui.recipe.model import Mode, Problem, Severity


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
