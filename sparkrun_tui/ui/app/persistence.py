"""Saves overrides and the session for the next run, and restores the session."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sparkrun_tui.base.user.remembered import Remembered, recall, remember
from sparkrun_tui.ui.model.first_rows import FirstRows, keep_first_rows

if TYPE_CHECKING:
    from textual.app import App
    from textual.theme import Theme
    from textual.timer import Timer

    from sparkrun_tui.base.user.settings import Cluster
    from sparkrun_tui.ui.app.session import Session
    from sparkrun_tui.ui.model.state import AppState

_REST = 1.0
"""Seconds without a change before overrides are saved."""

_EVERY = 5.0
"""Seconds between two saves of the session, so that little is lost when the terminal is closed."""


def few_colours(app: App[int]) -> bool:
    """Whether the terminal has 16 colours."""
    return not app.is_headless and app.console.color_system in ("standard", "windows")


class Persistence:
    """Writes once typing has stopped, from time to time, and when the app ends."""

    def __init__(
        self,
        app: App[int],
        session: Session,
        state: AppState,
        say: Callable[[str, str], None],
        first_rows: Callable[[], FirstRows | None],
        is_preview: Callable[[], bool],
    ) -> None:
        """`app` gives the themes and timers; `say` shows a message with its level.

        `first_rows` gives the rows of recipes in sight, None when they are not to be kept now. `is_preview` says
        whether the theme is only shown, not chosen.
        """
        self._is_preview = is_preview
        self._app = app
        self._opened_with = session
        self._state = state
        self._say = say
        self._first_rows = first_rows
        self._rows_before: tuple[str, FirstRows] | None = None
        self._timer: Timer | None = None
        self._before = recall()
        self._chosen = self._before.theme if self._before.theme_then == session.settings.theme else ""
        self._first = ""
        self._warned = False

    def restore(self) -> None:
        """Restore the query, the recipe, the cluster and the theme, except what the command line gives."""
        state, session, before = self._state, self._opened_with, self._before
        state.order.read(before.sorting, before.columns, before.sizes)
        state.layout.read(before.layout)
        if not session.query:
            state.query = before.query
            state.wanted = before.recipe
        last = None
        if before.cluster and not session.cluster and not session.demo:
            last = session.settings.cluster(before.cluster)
        state.choose(last or session.settings.cluster(session.cluster) or self._first_cluster())
        self._app.theme = self._first = self._first_theme()

    def _first_cluster(self) -> Cluster | None:
        """Of several clusters without a default, the first: the title shows it, and nothing is launched unseen."""
        session = self._opened_with
        if session.cluster or session.settings.default_cluster or not session.settings.clusters:
            return None
        return session.settings.clusters[0]

    def watch(self) -> None:
        """Start saving what changes."""
        app = self._app
        app.theme_changed_signal.subscribe(app, self._theme_changed)
        app.set_interval(_EVERY, self.keep)

    def _first_theme(self) -> str:
        """The theme last chosen, else that of the settings; with 16 colours, one that uses the terminal's own.

        With NO_COLOR as well, the greys of another theme are not kept apart.
        """
        app, wanted = self._app, self._opened_with.settings.theme
        few = few_colours(app)
        chosen = app.get_theme(self._chosen) if self._chosen else None
        if chosen is not None and (chosen.ansi or not few):
            return self._chosen
        configured = app.get_theme(wanted)
        if configured is not None and (configured.ansi or not (few and app.no_color)):
            return wanted
        return "ansi-dark" if few else app.theme

    def _theme_changed(self, theme: Theme) -> None:
        if self._is_preview():
            return
        if theme.name != self._first or self._chosen:
            self._chosen = theme.name
            self.soon()

    def soon(self) -> None:
        """Save once typing has stopped."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self._app.set_timer(_REST, self.keep)

    def keep(self) -> None:
        """Save now; a failure is shown once."""
        try:
            self._state.save_edits()
            now = self._session()
            if now != self._before:
                remember(now)
                self._before = now
            self._warned = False
            self._keep_first_rows()
        except OSError as error:
            if not self._warned:
                self._say(f"overrides and this session cannot be saved: {error}", "warning")
            self._warned = True

    def _keep_first_rows(self) -> None:
        rows = self._first_rows()
        if rows is None:
            return
        now = (self._state.listed, rows)
        if now != self._rows_before:
            keep_first_rows(*now)
            self._rows_before = now

    def _session(self) -> Remembered:
        state, cluster = self._state, self._state.cluster
        recipe = state.wanted
        entry = state.catalog.entry(state.selected) if state.selected else None
        if entry is not None:
            from sparkrun_tui.recipe.values.saved_overrides import lasting_place  # not before the first paint

            recipe = lasting_place(entry.source)
        name = self._before.cluster
        if cluster is not None and not cluster.is_demo:
            name = cluster.name
        theme_then = self._opened_with.settings.theme if self._chosen else ""
        order = state.order
        return Remembered(
            query=state.query,
            recipe=recipe,
            cluster=name,
            theme=self._chosen,
            theme_then=theme_then,
            sorting=order.sorting.text,
            columns=order.columns_text,
            sizes=order.sizes_text,
            layout=state.layout.text,
        )
