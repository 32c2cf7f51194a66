"""Headers of models whose files lie in this machine's Hugging Face cache: read once, without the network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.launch.sizing.sizing import digest_folder, engine_settings
from sparkrun_tui.models.digest import Digest
from sparkrun_tui.models.digest_cache import digest_path, read_digest
from sparkrun_tui.models.snapshot import find_snapshot
from sparkrun_tui.models.store import is_repository
from sparkrun_tui.recipe.values.rendered import Rendered
from sparkrun_tui.remote.hub.place import hub_folder


class Reader(Protocol):
    """Reads the headers of files that lie here, and keeps what they say where the facts store finds it."""

    async def read_here(self, model: str, revision: str = "") -> Digest | None:
        """The digest of a model; None where its files do not lie here whole. Raises `SparkrunError`."""


class HeadersHere:
    """The models of recipes that lie in this machine's cache; each is tried once in a process for each commit."""

    def __init__(self, reader: Reader | None = None, hub: Path | None = None, digests: Path | None = None) -> None:
        self._reader = reader
        self._hub = hub or hub_folder()
        self._digests = digests or digest_folder()
        self._tried: set[tuple[str, str, str]] = set()

    def unread(self, rendered: Rendered) -> Mapping[tuple[str, str], str]:
        """Models and revisions of a recipe that lie here with headers that were not read, with their commits.

        Reads a few small files.
        """
        recipe = rendered.recipe
        named = [(recipe.model, recipe.model_revision)]
        try:
            speculative = engine_settings(rendered).speculative
        except SparkrunError:
            # A command that cannot be built is a problem of the recipe; its model may lie here all the same.
            speculative = None
        if speculative is not None and speculative.model:
            named.append((speculative.model, speculative.revision))
        found = {}
        for model, revision in named:
            commit = self._unread_commit(model, revision)
            if commit and (model, revision, commit) not in self._tried:
                found[model, revision] = commit
        return found

    def _unread_commit(self, model: str, revision: str) -> str:
        """The commit of a model that lies here and has no digest; empty where there is nothing to read."""
        if not is_repository(model, revision):
            return ""
        snapshot = find_snapshot(self._hub, model.partition(":")[0], revision)
        if snapshot is None:
            return ""
        known = read_digest(digest_path(self._digests, model, revision))
        if known is not None and known.commit == snapshot.commit:
            return ""
        return snapshot.commit

    async def read(self, rendered: Rendered) -> bool:
        """Read what `unread` names, in a child process; whether estimates have new facts.

        What cannot be read is not tried again in this process: the estimate then goes by the sizes of the files, and
        says so.
        """
        is_new = False
        import asyncio

        for (model, revision), commit in (await asyncio.to_thread(self.unread, rendered)).items():
            self._tried.add((model, revision, commit))
            try:
                digest = await self._reading.read_here(model, revision)
            except SparkrunError:
                continue
            is_new = is_new or digest is not None
        return is_new

    @property
    def _reading(self) -> Reader:
        if self._reader is None:
            from sparkrun_tui.launch.services import choose_gguf
            from sparkrun_tui.remote.hub.model_facts import HubFacts  # not before there is something to read

            self._reader = HubFacts(self._digests, choose_gguf, hub=self._hub)
        return self._reader
