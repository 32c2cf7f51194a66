"""What an earlier start of the same recipe printed on a host, for estimates that need no bands."""

from __future__ import annotations

from sparkrun_tui.base.records import dataclass


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures of one earlier start on one rank, in bytes; `source` says where and when.

    `utilisation` and `total` are those of that start, so that the remainder (budget minus weights
    minus cache) carries over to another utilisation. `batched_tokens` likewise.
    """

    source: str
    utilisation: float
    total: int
    weights: int | None = None
    available_kv: int | None = None
    graphs: int | None = None
    pool_tokens: int | None = None
    concurrency: float | None = None
    batched_tokens: int | None = None

    @property
    def remainder(self) -> int | None:
        """Bytes of the budget that went neither to weights nor to the cache, None when it was not printed."""
        if self.weights is None or self.available_kv is None:
            return None
        return int(self.utilisation * self.total) - self.weights - self.available_kv
