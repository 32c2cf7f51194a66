"""What scoring one row yields: pairs of predicted and observed figures, and verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

METRICS = ("kv", "pool_tokens", "max_len", "state", "weights", "available_kv")
"""Figures that are scored; all by relative error but ``available_kv``, which is in GiB."""

ABSOLUTE = frozenset({"available_kv"})
UNCOMPUTED = 999_999.0
"""The error of a row that the estimator cannot compute: it counts as worst."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pair:
    """A predicted figure (None: the estimator could not compute it) beside the observed one."""

    predicted: float | None
    observed: float

    def error(self, metric: str) -> float:
        """Return the error in per cent, or in GiB for absolute metrics (whose figures are GiB already)."""
        if self.predicted is None:
            return UNCOMPUTED
        if metric in ABSOLUTE:
            return abs(self.predicted - self.observed)
        if self.observed == 0:
            return 0.0 if self.predicted == 0 else UNCOMPUTED
        return abs(self.predicted - self.observed) / abs(self.observed) * 100


@dataclass(frozen=True, slots=True)
class RowScore:
    """One row: its name, the pairs by metric, and whether the verdict was right (None: not to be judged)."""

    name: str
    pairs: Mapping[str, Pair] = field(default_factory=dict)
    fits_right: bool | None = None
    error: str = ""
