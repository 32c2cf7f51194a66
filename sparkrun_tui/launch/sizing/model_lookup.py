"""Learns in the background what the Hub says of models: each once a run, what is fresh or refused not again."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.engines.checks.fields import valid_model
from sparkrun_tui.models.digest import Digest
from sparkrun_tui.models.digest_cache import digest_path
from sparkrun_tui.remote.hub.token import hub_token

FRESH = 30 * 86400.0
"""Seconds for which a digest of a moving revision is not read anew."""

_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


class FactsReader(Protocol):
    """Reads what a model's files say of it, and keeps it where the store finds it."""

    async def read(self, model: str, revision: str = "", token: Secret | None = None) -> Digest:
        """The digest. Cancellable; raises `SparkrunError` with the remedy (gated, missing, offline, and so on)."""


@dataclass(frozen=True, slots=True)
class LookedUp:
    """What came of it: whether the store now knows more than before, else why not (None: nothing was to do)."""

    new: bool
    problem: SparkrunError | None = None


class ModelLookup:
    """Asks about models one after the other; used from one event loop."""

    def __init__(
        self,
        reader: FactsReader,
        digests: Path,
        environ: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._reader = reader
        self._digests = digests
        self._environ = dict(os.environ if environ is None else environ)
        self._clock = clock
        self._known: dict[tuple[str, str], LookedUp] = {}
        self._turn = asyncio.Lock()

    def wanted(self, model: str, revision: str = "") -> bool:
        """Whether asking may bring something new; takes one look at the disk."""
        if (model, revision) in self._known or not _on_the_hub(model):
            return False
        if any(self._environ.get(name, "").upper() in ("1", "TRUE", "YES", "ON") for name in _OFFLINE):
            return False
        try:
            age = self._clock() - digest_path(self._digests, model, revision).stat().st_mtime
        except OSError:
            return True
        return age > FRESH

    def problem(self, model: str, revision: str = "") -> SparkrunError | None:
        """Why the model could not be asked about in this run; None when it could, or was not asked about."""
        known = self._known.get((model, revision))
        return known.problem if known is not None else None

    async def look_up(self, model: str, revision: str = "") -> LookedUp:
        """Ask about a model where that may bring something new. Cancelling stops the look-up, which may be tried again.

        Never raises for what the Hub refuses: the reason is in the result, and `problem` gives it from then on.
        """
        async with self._turn:
            if not self.wanted(model, revision):
                return LookedUp(new=False, problem=self.problem(model, revision))
            try:
                await self._reader.read(model, revision, hub_token(self._environ))
                found = LookedUp(new=True)
            except SparkrunError as error:
                found = LookedUp(new=False, problem=error)
            self._known[(model, revision)] = found
            return found


def _on_the_hub(model: str) -> bool:
    """Whether a model's name is one of a repository on the Hub."""
    return model.count("/") == 1 and not model.startswith(("/", ".", "~")) and valid_model(model)
