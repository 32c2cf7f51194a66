"""How many hosts a recipe needs: the rules for its fields."""

from __future__ import annotations

from collections.abc import Mapping

from sparkrun_tui.base.errors import Spot
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.recipe.model import Mode, Problem, Severity


@dataclass(frozen=True, slots=True)
class Topology:
    """The effective mode and limits, and the contradictions between fields."""

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
    """The result of the format's inference rules, in their order; contradicting fields become problems."""
    if spots is None:
        spots = {}
    problems = _contradictions(mode, min_nodes, max_nodes, solo_only, cluster_only, spots)
    if solo_only:
        max_nodes = 1
    if cluster_only:
        min_nodes = max(min_nodes, 2)
    if mode is Mode.SOLO and min_nodes == 1:
        max_nodes = 1
    if mode is Mode.CLUSTER:
        min_nodes = max(min_nodes, 2)
    limits_clash = max_nodes is not None and min_nodes > max_nodes
    has_error = any(problem.severity is Severity.ERROR for problem in problems)
    if limits_clash and not has_error:
        message = f"the recipe needs at least {min_nodes} hosts but `max_nodes` is {max_nodes}"
        problems = [_clash(message, spots, "max_nodes", "mode", "min_nodes")]
    if min_nodes > 1:
        mode = Mode.CLUSTER
    elif max_nodes == 1:
        mode = Mode.SOLO
    else:
        mode = Mode.AUTO
    return Topology(mode, min_nodes, max_nodes, tuple(problems))


def _clash(message: str, spots: Mapping[str, Spot], *keys: str, severity: Severity = Severity.ERROR) -> Problem:
    """A problem at the first of `keys` that the file has."""
    spot = None
    for key in keys:
        if key in spots:
            spot = spots[key]
            break
    return Problem(severity, "topology", message, spot)


def _contradictions(
    mode: Mode, low: int, high: int | None, solo_only: bool, cluster_only: bool, spots: Mapping[str, Spot]
) -> list[Problem]:
    found = []
    if solo_only and cluster_only:
        found.append(_clash("`solo_only` and `cluster_only` exclude each other", spots, "cluster_only"))
    if mode is Mode.SOLO and low > 1:
        message = f"`mode: solo` contradicts `min_nodes: {low}`: several hosts are used"
        found.append(_clash(message, spots, "mode", severity=Severity.WARNING))
    if mode is Mode.SOLO and high is not None and high > 1:
        message = f"`mode: solo` contradicts `max_nodes: {high}`: one host is used"
        found.append(_clash(message, spots, "max_nodes", severity=Severity.WARNING))
    if solo_only and low > 1:
        found.append(_clash(f"`solo_only` contradicts `min_nodes: {low}`", spots, "solo_only"))
    if solo_only and mode is Mode.CLUSTER:
        found.append(_clash("`solo_only` contradicts `mode: cluster`", spots, "solo_only"))
    if cluster_only and mode is Mode.SOLO:
        found.append(_clash("`cluster_only` contradicts `mode: solo`", spots, "cluster_only"))
    return found
