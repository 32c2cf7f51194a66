"""The base of screens that show the hosts as they were last asked, and can ask them again."""

from __future__ import annotations

import time

from sparkrun_tui.ui.paint.hosts.world_lines import age_words
from sparkrun_tui.ui.screens.base import PageScreen


class WorldPage(PageScreen):
    """A full screen of what runs on the hosts; subclasses draw it in `world_changed`."""

    WATCHES_HOSTS = True

    def __init__(self) -> None:
        super().__init__()
        self._asking = False

    @property
    def age(self) -> str:
        """How old what is shown is, in words, or that the hosts are asked at the moment."""
        if self._asking:
            return "querying …"
        return age_words(self.sparkrun.state.known_world, None, time.time())

    def do_refresh(self) -> None:
        """Ask all hosts now."""
        if not self._asking and self.sparkrun.state.cluster is not None:
            self._asking = True
            self.world_changed()
            self.background(self._survey(), "survey")

    async def _survey(self) -> None:
        try:
            await self.sparkrun.opened.wait()
            await self.sparkrun.refresh_hosts()
        finally:
            self._asking = False
        self.world_changed()
