"""The two stream formats of the Docker Engine API: JSON lines, and frames that carry two streams in one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TypeVar

from sparkrun_tui.base.reading.decoded import Decoded, decode_json
from sparkrun_tui.base.reading.json_text import JsonError
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.remote.aio import Turns
from sparkrun_tui.remote.docker.types import DockerError, Frame, PullProgress
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.script.lines import ByteLines

_NAMES = {0: "stdout", 1: "stdout", 2: "stderr"}
_MAX_FRAME = 1 << 24
MOST_TOGETHER = 100
"""Frames of one batch: less than a millisecond of work."""
_MAX_LINE = 1 << 20
_MAX_LAYERS = 1000
"""Layers of one image that are counted; Docker itself allows 127."""

T = TypeVar("T")


async def json_lines(chunks: AsyncIterator[bytes], read: Callable[[Decoded], T]) -> AsyncGenerator[T, None]:
    """What `read` makes of each JSON value of a stream, one a line.

    A line that is damaged, too long or of another shape is passed over: these streams carry progress and events,
    and what came of it all is asked for at the end. Raises what `read` raises beyond `JsonError`.
    """
    lines = ByteLines(_MAX_LINE)
    turns = Turns()
    async for chunk in chunks:
        for line in lines.feed(chunk):
            for value in _values(line, read):
                yield value
            await turns.rest()
    for value in _values(lines.rest(), read):
        yield value


def _values(line: bytes, read: Callable[[Decoded], T]) -> list[T]:
    """The value of a line; none for an empty or unreadable one."""
    if not line.strip():
        return []
    try:
        return [read(decode_json(line))]
    except JsonError:
        return []


async def frame_batches(chunks: AsyncIterator[bytes], host: str) -> AsyncGenerator[list[Frame], None]:
    """The frames of a multiplexed stream, at most `MOST_TOGETHER` of those that came together.

    One that breaks off is a `LinkLost`.
    """
    buffer = bytearray()
    turns = Turns()
    async for chunk in chunks:
        buffer += chunk
        batch: list[Frame] = []
        at = 0
        while len(buffer) - at >= 8:
            size = int.from_bytes(buffer[at + 4 : at + 8], "big")
            if buffer[at] not in _NAMES or size > _MAX_FRAME:
                raise DockerError("its Docker sends output that is not made of frames", host=host)
            if len(buffer) - at - 8 < size:
                break
            batch.append(Frame(_NAMES[buffer[at]], bytes(buffer[at + 8 : at + 8 + size])))
            at += 8 + size
            if len(batch) == MOST_TOGETHER:
                yield batch
                batch = []
                await turns.rest()
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
    """Adds up what a pull reports about its layers."""

    def __init__(self) -> None:
        self._layers: dict[str, tuple[int, int]] = {}
        self._done: set[str] = set()
        self._bytes = 0
        self._total = 0
        """The sums over all layers, kept up as they change: a daemon may send very many messages."""

    def add(self, message: Decoded) -> PullProgress:
        """Take one message of `/images/create`. Raises `ShapeError` for one of another shape."""
        status = clean_line(message.at("status").text())
        layer = message.at("id").text()
        if layer and (layer in self._layers or len(self._layers) < _MAX_LAYERS):
            self._note(layer, status, message)
        return PullProgress(
            done=self._bytes,
            total=self._total,
            layers_done=len(self._done),
            layers=len(self._layers),
            status=status,
        )

    def _note(self, layer: str, status: str, message: Decoded) -> None:
        """Keep what a message reports about a layer."""
        done, total = self._layers.get(layer, (0, 0))
        if status in ("Pull complete", "Already exists"):
            self._done.add(layer)
            self._set(layer, max(total, done), total)
        elif status == "Downloading":
            detail = message.at("progressDetail")
            self._set(layer, detail.at("current").whole() or 0, detail.at("total").whole() or 0)
        elif status in ("Download complete", "Verifying Checksum", "Extracting"):
            self._set(layer, max(total, done), total)
        elif status in ("Pulling fs layer", "Waiting"):
            self._set(layer, done, total)

    def _set(self, layer: str, done: int, total: int) -> None:
        before_done, before_total = self._layers.get(layer, (0, 0))
        self._bytes += done - before_done
        self._total += total - before_total
        self._layers[layer] = (done, total)
