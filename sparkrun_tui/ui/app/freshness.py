"""Keeps what is shown up to date: reads files again that change on disk, and updates old registries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparkrun_tui.ui.daemon_thread import in_daemon

if TYPE_CHECKING:
    from sparkrun_tui.ui.app.file_watch import Scan
    from sparkrun_tui.ui.app.shell import AppShell

PERIOD = 2.0
"""Seconds between two checks of the recipe files."""


class Freshness:
    """Works in the background; overrides and selection are kept when something is read again."""

    def __init__(self, app: AppShell) -> None:
        self._app = app
        self._seen: Scan | None = None

    def start(self) -> None:
        """Start, after the first paint."""
        self._app.background(self._update_registries(), "registries")
        self._app.set_interval(PERIOD, self._scan_soon)

    def _scan_soon(self) -> None:
        if self._app.loaded:
            self._app.background(self.scan(), "files")

    async def scan(self) -> None:
        """Read again the visible recipes that changed since the last check."""
        from sparkrun_tui.ui.app.file_watch import Scan, compare, scan  # not before the first paint

        app, catalog = self._app, self._app.state.catalog
        visible = {app.state.selected, *app.recipes_in_sight()} - {""}
        including = catalog.including(visible)
        files = {*visible, *including}
        now = await in_daemon(lambda: scan(files, catalog.folders))
        seen = self._seen or Scan()
        found = compare(seen, now)
        # Recipes that were visible before are remembered: they may change while they are not.
        self._seen = Scan({**seen.files, **now.files}, now.folders)
        changed: dict[str, None] = {}
        for path in found.changed:
            if path in visible or path not in including:
                changed[path] = None
            changed.update(dict.fromkeys(including.get(path, ())))
        for key in changed:
            catalog.reread(key)
            app.state.forget_verdict(key)
        if found.listing:
            app.read_recipes()
        elif found.changed:
            app.state_changed()

    async def _update_registries(self) -> None:
        """Update old registries, once a session; the registries' screen shows the result."""
        await self._app.opened.wait()
        if await self._app.registries.update_stale():
            self._app.read_recipes()
