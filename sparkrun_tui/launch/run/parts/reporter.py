"""Reports steps, progress, notices and links of a launch as events on its bus."""

from __future__ import annotations

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.record.bus import Bus
from sparkrun_tui.launch.record.events import LinkChanged, Noticed, Progressed, StepChanged, StepState
from sparkrun_tui.remote.ports.models import Transfer
from sparkrun_tui.remote.transport import LinkState


@dataclass(frozen=True, slots=True)
class Reporter:
    """Emits the events of a launch on its bus, which has its state, its logs and its journal."""

    bus: Bus

    def step(self, host: str, phase: Phase, state: StepState, detail: str = "") -> None:
        """Report the new state of a phase on a host."""
        self.bus.emit(StepChanged(host=host, phase=phase, state=state, detail=detail))

    def progress(self, host: str, phase: Phase, moved: Transfer) -> None:
        """Report the progress of a transfer."""
        self.bus.emit(
            Progressed(host=host, phase=phase, done=moved.done, total=moved.total, rate=moved.rate, detail=moved.detail)
        )

    def notice(self, level: str, text: str, host: str = "", offers: str = "") -> None:
        """Report a message for the user; `level` is `note`, `warning` or `error`, `offers` what it offers to do."""
        self.bus.emit(Noticed(level=level, text=text, host=host, offers=offers))

    def link(self, host: str, state: LinkState | str, detail: str = "") -> None:
        """Report the link of a host if it has changed."""
        row = self.bus.state.hosts.get(host)
        if row is None or row.link != str(state) or row.link_detail != detail:
            self.bus.emit(LinkChanged(host=host, state=str(state), detail=detail))
