"""The terminal's title: the state of the launches, readable while another window is in front."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from textual.app import App

from sparkrun_tui.base.text import clean_line, shorten
from sparkrun_tui.ui.model.launch_status import COMING, SERVING

if TYPE_CHECKING:
    from sparkrun_tui.launch.record.state import HostRow, LaunchState

NAME = "sparkrun-tui"
_LONGEST = 40
_SAVE, _RESTORE = "\x1b[22;2t", "\x1b[23;2t"
_DONE = frozenset({"ok", "skipped"})


def title(states: Iterable[LaunchState]) -> str:
    """The title for these launches: those starting, else the last one if it failed, else those serving."""
    known = list(states)
    coming = [state for state in known if state.status in COMING]
    if len(coming) == 1:
        return f"{_summary(coming, 'launching')} {_progress(coming[0])}"
    if coming:
        return _summary(coming, "launching")
    if known and known[-1].status == "failed":
        return _summary(known[-1:], "failed")
    serving = [state for state in known if state.status in SERVING]
    return _summary(serving, "serving") if serving else NAME


def _summary(states: list[LaunchState], doing: str) -> str:
    if len(states) == 1:
        return f"{NAME} · {shorten(clean_line(states[0].recipe), _LONGEST)} {doing}"
    return f"{NAME} · {len(states)} {doing}"


def _progress(state: LaunchState) -> str:
    """How many phases are done, on the host that is furthest: `3/8`."""
    from sparkrun_tui.engines.plan import Phase

    phases = list(Phase)
    furthest = max((_done(row, phases) for row in state.hosts.values()), default=0)
    return f"{furthest}/{len(phases)}"


def _done(row: HostRow, phases: Iterable[str]) -> int:
    return sum(cell.state in _DONE for phase, cell in row.cells.items() if phase in phases)


class TerminalTitle:
    """Sets the title of a real terminal, and restores it at the end."""

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._shown = ""

    def show(self, text: str) -> None:
        """Set the title. The first time, the terminal is asked to save its own."""
        if text != self._shown and self._write(f"{'' if self._shown else _SAVE}\x1b]2;{text}\x07"):
            self._shown = text

    def restore(self) -> None:
        """Restore the terminal's own title."""
        # A terminal that cannot save its title is left with an empty one.
        if self._shown and self._write(f"\x1b]2;\x07{_RESTORE}"):
            self._shown = ""

    def _write(self, sequence: str) -> bool:
        driver = self._app._driver
        if driver is None or self._app.is_headless or self._app.is_web:
            return False
        driver.write(sequence)
        driver.flush()
        return True
