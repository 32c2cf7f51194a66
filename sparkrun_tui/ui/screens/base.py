"""The base of every full screen of the app: the bar above, the keys below, and the screen's name."""

from __future__ import annotations

from collections.abc import Iterable

from textual import on
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widget import Widget

from sparkrun_tui.ui.actor import Actor
from sparkrun_tui.ui.widgets.footer_keys import FooterKeys
from sparkrun_tui.ui.widgets.top_bar import TopBar


def _classes(cells: int, breakpoints: list[tuple[int, str]]) -> list[str]:
    """The class of the highest breakpoint that a size reaches."""
    return [name for least, name in breakpoints if cells >= least][-1:]


class PageScreen(Screen[None], Actor):
    """A full screen. Subclasses give `body` and, when they follow the app's state, `state_changed`."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide"), (160, "-huge")]
    VERTICAL_BREAKPOINTS = [(0, "-low"), (32, "-high")]
    WHERE = ""
    WATCHES_HOSTS = False
    """Whether it shows what runs on the hosts, which is then asked more often."""

    def compose(self) -> ComposeResult:
        """Bar, body, keys."""
        # Textual sets these classes after the first paint, which would show the layout of another size.
        size = self.app.size
        self.add_class(
            *_classes(size.width, self.HORIZONTAL_BREAKPOINTS), *_classes(size.height, self.VERTICAL_BREAKPOINTS)
        )
        yield TopBar(self.WHERE)
        yield from self.body()
        yield FooterKeys()

    def body(self) -> Iterable[Widget]:
        """The widgets between the bar and the keys."""
        return ()

    def on_mount(self) -> None:
        """Show the state from the start."""
        self.update_bar()

    def on_screen_resume(self) -> None:
        """Refresh when the screen is shown again: the state may have changed."""
        self.update_bar()
        self.state_changed()
        self.sparkrun.page_shown()

    def on_unmount(self) -> None:
        """Report that the screen was left, so that its memory is freed."""
        self.sparkrun.screen_left()

    @property
    def whole(self) -> bool:
        """Whether all its widgets exist: while the app ends they are removed one by one, and events still arrive."""
        return self.is_mounted and len(self.query(TopBar)) == 1

    def update_bar(self) -> None:
        """Show the cluster, its hosts and what runs in the bar."""
        if self.whole:
            self.query_one(TopBar).show(self.sparkrun.bar_status())

    def state_changed(self) -> None:
        """The cluster, its hosts or recipes changed; for subclasses."""

    def world_changed(self) -> None:
        """Something was learned of the hosts; for subclasses."""

    def registries_changed(self) -> None:
        """A registry was read, or work on one has progressed; for subclasses."""

    @on(TopBar.ClusterClicked)
    def _cluster_clicked(self) -> None:
        self.sparkrun.action_do("cluster")

    @on(TopBar.RunningClicked)
    def _running_clicked(self) -> None:
        self.sparkrun.action_do("fleet")

    def do_back(self) -> None:
        """Leave this screen."""
        self.app.pop_screen()
