"""The simulated start-up log of an engine that the demo does not know: a few lines that say so, without figures."""

from __future__ import annotations

from collections.abc import Iterator

from sparkrun_tui.demo.engines.log_script import NOW, LogStep
from sparkrun_tui.demo.engines.simulated import Simulated, Start

_STEPS = 8


class PlainLog:
    """One start of an unknown engine."""

    def __init__(self, start: Start) -> None:
        self._is = start.figures

    @property
    def fails(self) -> bool:
        """Whether the start fails."""
        return self._is.fault is not None

    def steps(self) -> Iterator[LogStep]:
        """The steps from the first line to the start of the server, or to the failure."""
        is_ = self._is
        yield LogStep(1.0, f"{NOW} the demo does not know what {is_.engine} prints: these lines are its own", "stderr")
        yield LogStep(0.5, f"{NOW} loading {is_.model}", "stderr", is_.base)
        for step in range(1, _STEPS + 1):
            yield LogStep(0.6, "", memory=is_.base + is_.weights * step // _STEPS)
        if self.fails:
            yield LogStep(0.5, f"{NOW} error: {is_.why or is_.fault}", "stderr", 0)
            return
        yield LogStep(0.5, "", memory=is_.whole)

    def up(self) -> list[tuple[str, str]]:
        """The lines that it prints when it is ready."""
        return [(f"{NOW} listening on port {self._is.port}", "stderr")]

    def down(self) -> list[tuple[str, str]]:
        """The lines that it prints when it ends."""
        return [(f"{NOW} shutting down", "stderr")]

    def load(self, prompted: float, generated: float, running: int, usage: float) -> str:
        """The line about the last seconds: requests and tokens per second."""
        return f"{NOW} {running} requests, {prompted:.1f} tokens/s read, {generated:.1f} tokens/s written"


SIMULATED = Simulated(PlainLog)
