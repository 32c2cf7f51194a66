"""What the app's own helpers ask of it: besides what screens may ask, timers, the title, the bell and the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sparkrun_tui.ui.app.timers import Timers
from sparkrun_tui.ui.app_port import AppPort

if TYPE_CHECKING:
    from sparkrun_tui.ui.model.ports import LaunchPort


class AppShell(AppPort, Timers, Protocol):
    """The app as its helpers see it."""

    def recipes_in_sight(self) -> set[str]:
        """Keys of the recipes that a screen shows now."""

    def shows(self, launch: LaunchPort) -> bool:
        """Whether this launch is what the user looks at now."""

    def update_bars(self) -> None:
        """Show the present state in the bar of the screen in sight."""

    def update_title(self) -> None:
        """Show what is going on in the terminal's title."""

    def bell(self) -> None:
        """Ring the terminal's bell."""

    def exit(self, result: int) -> None:
        """Leave the app with an exit code."""
