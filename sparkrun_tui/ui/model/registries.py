"""Registries as the app sees them: listed, added, removed and updated in the background, with their progress."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from sparkrun_tui.ui.daemon_thread import call_in_loop, in_daemon

if TYPE_CHECKING:
    from sparkrun_tui.recipe.registry.registries import RegistryStatus, UpdateResult


class Registries:
    """Does one thing at a time, since registries share a file, and continues when the screen is left.

    `changed` is called after every step, on the app's loop. All methods raise `SparkrunError`.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._turn = asyncio.Lock()
        self.rows: Sequence[RegistryStatus] = ()
        self.notes: Sequence[str] = ()
        self.known = False
        self.busy: dict[str, tuple[str, float | None]] = {}
        """By registry: what is being done, in words, and its progress from 0 to 1 (None when unknown)."""
        self.failed: dict[str, str] = {}
        """By registry: why its last update failed."""

    async def read(self) -> None:
        """Read which registries there are, and what is cached of each."""
        from sparkrun_tui.recipe.registry.config import configured
        from sparkrun_tui.recipe.registry.registries import registry_list

        self.rows, self.notes = await in_daemon(lambda: (registry_list(), configured()[1]))
        self.known = True
        self._changed()

    async def add(self, url: str, name: str = "", subpath: str = "") -> RegistryStatus:
        """Fetch a repository and add it."""
        from sparkrun_tui.recipe.registry.registries import add_registry

        label = name or url
        async with self._turn:
            self._begin([label], "connecting")
            try:
                progress = self._progress(label)
                return await in_daemon(partial(add_registry, url, name, subpath, progress))
            finally:
                self.busy.pop(label, None)
                await self.read()

    async def remove(self, name: str) -> None:
        """Remove a registry and its cache."""
        from sparkrun_tui.recipe.registry.registries import remove_registry

        async with self._turn:
            await in_daemon(partial(remove_registry, name))
            self.failed.pop(name, None)
            await self.read()

    async def set_enabled(self, name: str, enabled: bool) -> None:
        """Switch a registry on or off."""
        from sparkrun_tui.recipe.registry.config import set_enabled

        async with self._turn:
            await in_daemon(partial(set_enabled, name, enabled))
            await self.read()

    async def update(self, names: Sequence[str]) -> Sequence[UpdateResult]:
        """Fetch what is new in these registries; each succeeds or fails on its own."""
        from sparkrun_tui.recipe.registry.registries import update_registries

        async with self._turn:
            self._begin(names, "waiting")
            try:
                results = await in_daemon(partial(update_registries, tuple(names), self._progress()))
            finally:
                for name in names:
                    self.busy.pop(name, None)
                self._changed()
            for result in results:
                self.failed.pop(result.registry.name, None)
                if result.error is not None:
                    self.failed[result.registry.name] = result.error.what
            await self.read()
            return results

    async def update_stale(self) -> bool:
        """Update the old ones that were fetched before; whether any had something new."""
        await self.read()
        old = [row.registry.name for row in self.rows if row.stale and row.snapshot is not None]
        results = await self.update(old) if old else ()
        return any(result.update and result.update.anything for result in results)

    def _begin(self, names: Sequence[str], word: str) -> None:
        self.busy |= dict.fromkeys(names, (word, None))
        self._changed()

    def _progress(self, label: str = "") -> Callable[[str, str, float | None], None]:
        """The callback for the thread; `label` is used in place of the name when that is not known yet."""
        loop = asyncio.get_running_loop()

        def note(name: str, phase: str, share: float | None) -> None:
            if (label or name) in self.busy:
                self.busy[label or name] = (phase, share)
                self._changed()

        return lambda name, phase, share: call_in_loop(loop, partial(note, name, phase, share))
