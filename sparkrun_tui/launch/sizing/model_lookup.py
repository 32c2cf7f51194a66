"""Reads facts of models from the Hub in the background, each model at most once per process."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.engines.checks.fields import valid_model
from sparkrun_tui.models.digest import Digest
from sparkrun_tui.models.digest_cache import digest_path
from sparkrun_tui.remote.hub.token import hub_token

FRESH = 30 * 86400.0
"""Seconds for which a stored digest is not read again; a branch may have moved after that."""

_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


class FactsReader(Protocol):
    """Reads the facts in a model's files, and stores them where the facts store finds them."""

    async def read(self, model: str, revision: str = "", token: Secret | None = None) -> Digest:
        """The digest of a model. Cancellable; raises `SparkrunError` with a remedy (gated, missing, offline, ...)."""


@dataclass(frozen=True, slots=True)
class LookedUp:
    """The result of a look-up: whether there are new facts, and the reason why not (None: no look-up was needed)."""

    new: bool
    problem: SparkrunError | None = None


class ModelLookup:
    """Looks up models one after the other; used from one event loop."""

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
        """Whether a look-up may give new facts; reads the time of one file."""
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
        """Why the look-up of a model failed in this process; None when it succeeded or was not tried."""
        known = self._known.get((model, revision))
        return known.problem if known is not None else None

    async def look_up(self, model: str, revision: str = "") -> LookedUp:
        """Look up a model when that may give new facts. A cancelled look-up may be tried again.

        Never raises for a refusal of the Hub: the reason is in the result, and `problem` returns it from then on.
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
    """Whether a model's name is that of a repository on the Hub."""
    return model.count("/") == 1 and not model.startswith(("/", ".", "~")) and valid_model(model)
