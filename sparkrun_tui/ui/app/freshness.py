"""Keeps what is shown fresh: files that change on disk are read again, registries fetched long ago are asked again."""

from __future__ import annotations

from sparkrun_tui.ui.app.file_watch import Scan, compare, scan
from sparkrun_tui.ui.app.shell import AppShell
from sparkrun_tui.ui.daemon_thread import in_daemon

PERIOD = 2.0
"""Seconds between two looks at the files of recipes."""


class Freshness:
    """Works beside the screen; overrides and selection stay whatever is read again."""

    def __init__(self, app: AppShell) -> None:
        self._app = app
        self._seen = Scan()

    def start(self) -> None:
        """Begin, after the first paint."""
        self._app.background(self._update_registries(), "registries")
        self._app.set_interval(PERIOD, self._scan_soon)

    def _scan_soon(self) -> None:
        if self._app.loaded:
            self._app.background(self.scan(), "files")

    async def scan(self) -> None:
        """Read again what changed since the last look, of the recipes in sight."""
        app, catalog = self._app, self._app.state.catalog
        files = {app.state.selected, *app.recipes_in_sight()}
        now = await in_daemon(lambda: scan(files - {""}, catalog.folders))
        found = compare(self._seen, now)
        # What was in sight before is remembered: it may change while it is not.
        self._seen = Scan({**self._seen.files, **now.files}, now.folders)
        for key in found.changed:
            catalog.reread(key)
            app.state.forget_verdict(key)
        if found.listing:
            app.read_recipes()
        elif found.changed:
            app.state_changed()

    async def _update_registries(self) -> None:
        """Once a session; the registries' screen shows how it went."""
        await self._app.opened.wait()
        if await self._app.registries.update_stale():
            self._app.read_recipes()
