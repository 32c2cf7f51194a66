"""An engine that knows no host: for measuring the screens alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sparkrun_tui.base.settings import Cluster


class QuietBackend:
    """Opens at once, finds nothing, launches nothing."""

    facts = None

    async def open(self, ask: Any) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def probe(self, cluster: Cluster, seen: Callable[[Any], None]) -> None:
        """Nobody answers."""

    def history(self) -> Sequence[Any]:
        """Nothing was launched."""
        return ()
