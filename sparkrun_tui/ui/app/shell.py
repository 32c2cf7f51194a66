"""What the app's own helpers use of it: besides what screens use, timers, the title, the bell and the exit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from sparkrun_tui.ui.app_port import AppPort

if TYPE_CHECKING:
    from textual.timer import Timer

    from sparkrun_tui.ui.model.ports import LaunchPort


class Timers(Protocol):
    """What can call a function later: the app."""

    def set_interval(self, interval: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` every `interval` seconds."""

    def set_timer(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` once, after `delay` seconds."""


class AppShell(AppPort, Timers, Protocol):
    """The app as its helpers see it."""

    def recipes_in_sight(self) -> set[str]:
        """Keys of the recipes that a screen shows now."""

    def shows(self, launch: LaunchPort) -> bool:
        """Whether the current screen shows this launch."""

    def world_changed(self) -> None:
        """Show what was learned of the hosts; verdicts only when they may have changed."""

    def watches_hosts(self) -> bool:
        """Whether the page in sight shows what runs on the hosts."""

    def hosts_settled(self, launch_id: str) -> None:
        """A launch serves, or has ended: its hosts have other memory now."""

    def launch_heard(self, launch: LaunchPort) -> None:
        """A launch has reported something of its hosts."""

    def update_bars(self) -> None:
        """Refresh the bar of the visible page."""

    def update_title(self) -> None:
        """Show the state of the launches in the terminal's title."""

    def bell(self) -> None:
        """Ring the terminal's bell."""

    def exit(self, result: int) -> None:
        """Quit the app with an exit code."""
