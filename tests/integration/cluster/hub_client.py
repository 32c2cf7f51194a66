"""The tests' side of the Hub stand-in: what it holds, what it was asked, how it fails."""

from __future__ import annotations

import json
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.spec import HUB_ENDPOINT


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the Hub saw it."""

    method: str
    path: str
    status: int
    range: str | None
    token: bool


class Hub:
    """The Hub at `endpoint`, over the repositories in `directory`; for callers that joined the cluster's network."""

    def __init__(self, directory: Path, endpoint: str = HUB_ENDPOINT) -> None:
        self.directory = directory
        self.endpoint = endpoint

    def wait_until_up(self, seconds: float = 20.0) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.requests()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def requests(self) -> list[Request]:
        """What was asked since the last `fault` or `heal`."""
        return [Request(**request) for request in self._ask("/_log")]

    def fault(self, **fault: Any) -> None:
        """Break: `status=503, times=2`, or `drop_after=BYTES, times=1`, or `rate=BYTES_PER_SECOND`."""
        self._ask("/_fault", fault)

    def heal(self) -> None:
        """Work again, and forget what was asked."""
        self._ask("/_fault", {})

    def file(self, repository: str, name: str) -> Path:
        """A file of a repository on the Hub's disk: change it, and there is a new commit."""
        return self.directory / repository / name

    def _ask(self, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self.endpoint + path, data), timeout=10) as answer:
            return json.load(answer)
