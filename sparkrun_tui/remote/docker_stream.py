"""The two stream formats of the Docker Engine API: JSON lines, and frames that carry two streams in one."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from sparkrun_tui.remote.docker_types import Frame, PullProgress
from sparkrun_tui.remote.failures import LinkLost

_NAMES = {0: "stdout", 1: "stdout", 2: "stderr"}
_MAX_FRAME = 1 << 24
_MAX_LINE = 1 << 20


async def json_lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    """The JSON objects of a stream, one a line."""
    pending = b""
    async for chunk in chunks:
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield json.loads(line)
        if len(pending) > _MAX_LINE:
            raise ValueError("a line of the daemon's answer is too long")
    if pending.strip():
        yield json.loads(pending)


async def frame_batches(chunks: AsyncIterator[bytes], host: str) -> AsyncGenerator[list[Frame], None]:
    """The frames of a multiplexed stream, those that came together. One that breaks off is a `LinkLost`."""
    buffer = bytearray()
    async for chunk in chunks:
        buffer += chunk
        batch: list[Frame] = []
        at = 0
        while len(buffer) - at >= 8:
            size = int.from_bytes(buffer[at + 4 : at + 8], "big")
            if buffer[at] not in _NAMES or size > _MAX_FRAME:
                raise ValueError("the daemon's stream is not made of frames")
            if len(buffer) - at - 8 < size:
                break
            batch.append(Frame(_NAMES[buffer[at]], bytes(buffer[at + 8 : at + 8 + size])))
            at += 8 + size
        del buffer[:at]
        if batch:
            yield batch
    if buffer:
        raise LinkLost("the stream broke off in the middle of a message", host=host)


async def plain_batches(chunks: AsyncIterator[bytes]) -> AsyncGenerator[list[Frame], None]:
    """The stream of a container with a terminal, which has no frames."""
    async for chunk in chunks:
        yield [Frame("stdout", chunk)]


class PullTally:
    """Adds up what a pull tells about its layers."""

    def __init__(self) -> None:
        self._layers: dict[str, tuple[int, int]] = {}
        self._done: set[str] = set()

    def add(self, message: dict[str, Any]) -> PullProgress:
        """Take one message of `/images/create`."""
        status = str(message.get("status") or "")
        layer = str(message.get("id") or "")
        if layer and status in ("Pull complete", "Already exists"):
            self._done.add(layer)
            self._layers.setdefault(layer, (0, 0))
            done, total = self._layers[layer]
            self._layers[layer] = (max(total, done), total)
        elif layer and status == "Downloading":
            detail = message.get("progressDetail") or {}
            self._layers[layer] = (int(detail.get("current") or 0), int(detail.get("total") or 0))
        elif layer and status in ("Download complete", "Verifying Checksum", "Extracting"):
            done, total = self._layers.get(layer, (0, 0))
            self._layers[layer] = (max(total, done), total)
        elif layer and status in ("Pulling fs layer", "Waiting"):
            self._layers.setdefault(layer, (0, 0))
        return PullProgress(
            done=sum(done for done, _ in self._layers.values()),
            total=sum(total for _, total in self._layers.values()),
            layers_done=len(self._done),
            layers=len(self._layers),
            status=status,
        )
