"""The labels of our containers, read back with care: everyone with access to a host's Docker can write them."""

from __future__ import annotations

from collections.abc import Mapping

from sparkrun_tui.base.reading import identifiers
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.engines.offers import BY_NAME
from sparkrun_tui.engines.plan import HEALTH_PATH, LABEL

MAX_RANKS = identifiers.MAX_NODES
"""Most containers of one workload; a label that names more is ignored."""


def label_of(labels: Mapping[str, str], name: str) -> str:
    """The value of our label `name`, safe to show; empty without it. A host may have written anything into it."""
    return clean_line(labels.get(f"{LABEL}{name}", ""))


def rank_of(labels: Mapping[str, str]) -> int | None:
    """The rank of a container, from 0; None where its labels do not say."""
    return identifiers.rank(label_of(labels, "rank"))


def nodes_of(labels: Mapping[str, str]) -> int | None:
    """The number of ranks of its workload; None where its labels do not say."""
    return identifiers.nodes(label_of(labels, "nodes"))


def port_of(labels: Mapping[str, str]) -> int | None:
    """The port that its workload serves on; None where its labels do not say."""
    return identifiers.port(label_of(labels, "port"))


def hosts_of(labels: Mapping[str, str]) -> tuple[str, ...]:
    """The hosts of its workload in rank order, at most `MAX_RANKS`; empty where its labels do not say."""
    names = label_of(labels, "hosts").split(",", MAX_RANKS)[:MAX_RANKS]
    return tuple(name for name in names if name)


def engine_is_exec(labels: Mapping[str, str]) -> bool:
    """Whether the engine is started in its container later, once others are there: `ENGINE_BEGUN` marks that."""
    return bool(label_of(labels, "exec"))


def offers_of(labels: Mapping[str, str]) -> str:
    """What the server of a container answers, a name of `engines.offers`; empty where its label says nothing known."""
    name = label_of(labels, "offers")
    return name if name in BY_NAME else ""


def health_path_of(labels: Mapping[str, str]) -> str:
    """The path that its server answers with success once it serves; the usual one where its label says nothing."""
    return identifiers.url_path(label_of(labels, "health")) or HEALTH_PATH
