"""Follows a container's log over lost links, rotations and daemon restarts, without losing or doubling a line."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.text import decode, log_line
from sparkrun_tui.remote.docker.client import DockerClient
from sparkrun_tui.remote.docker.types import ContainerInfo, DockerError, Frame, unix_time
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.transport import Transport

OVERLAP = 2_000_000_000
"""Nanoseconds asked for again after a break: stamps of both streams are out of order by less than this."""
STALL = 120.0
"""Seconds of silence after which the stream is opened anew; following can hang after a rotation of the log."""
_REMEMBER = 2 * OVERLAP
MOST_REMEMBERED = 100_000
"""Most frames that are remembered, independent of their stamps."""
_MAX_LINE = 32_768
_FRUITLESS = 6
"""Streams in a row that break before anything came of them, after which a log that is not followed is given up."""
_PAUSE = 0.3
_MAX_PAUSE = 5.0
_GONE = (404, 409)
_FINAL = (*_GONE, 400, 401, 403, 501)
"""Refusals that will not pass, such as a log driver that cannot be read."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One line: Unix time by the host's clock, `stdout` or `stderr`, and the text, safe to draw."""

    time: float
    stream: str
    text: str


class Unrepeated:
    """Turns frames with time stamps into lines, and drops frames that an earlier stream has delivered.

    A frame is identified by stream, stamp and text; identical ones are counted, so that true repetitions are kept. In
    a flood the oldest frames are forgotten: then less is requested again, and of the frames with the first requested
    stamp, as many are skipped as were forgotten. A log gives frames in the same order each time.
    """

    def __init__(self) -> None:
        self.newest = 0
        """The newest stamp seen, nanoseconds."""
        self._recent: deque[tuple[int, int, str]] = deque()
        self._expected: Counter[int] = Counter()
        self._forgotten_stamp = 0
        """The newest stamp of a frame that was forgotten, and of each stream how many of that stamp were."""
        self._forgotten: Counter[str] = Counter()
        self._passed_over: Counter[str] = Counter()
        self._pending: dict[str, tuple[int, bytes]] = {}

    def resume(self) -> str:
        """A new stream is about to begin: the `since` to ask for, in seconds; empty at the very first."""
        if not self.newest:
            return ""
        start = max(self.newest - OVERLAP, self._forgotten_stamp, 1)
        self._expected = Counter(key for stamp, key, _ in self._recent if stamp >= start)
        self._passed_over = Counter()
        if start == self._forgotten_stamp:
            self._passed_over.update(self._forgotten)
        return f"{start // 10**9}.{start % 10**9:09d}"

    def add(self, frames: Sequence[Frame]) -> list[LogRecord]:
        """The lines that these frames complete."""
        lines = []
        for frame in frames:
            head, _, text = frame.data.partition(b" ")
            stamp = nanoseconds(head)
            if stamp is None:
                stamp, text = self.newest, frame.data
            if self._passed_over and stamp == self._forgotten_stamp and self._passed_over[frame.stream] > 0:
                self._passed_over[frame.stream] -= 1
                continue
            key = hash((frame.stream, head, text))
            if self._expected and self._expected[key] > 0:
                self._expected[key] -= 1
                continue
            self._remember(stamp, key, frame.stream)
            record = self._join(frame.stream, stamp, text)
            if record is not None:
                lines.append(record)
        return lines

    def rest(self) -> list[LogRecord]:
        """Lines that never got their end, when the container is over."""
        left = [_record(stream, stamp, data) for stream, (stamp, data) in self._pending.items() if data]
        self._pending.clear()
        return left

    def _remember(self, stamp: int, key: int, stream: str) -> None:
        # A clock that was set back is followed back, or later lines would lie before every `since`.
        if stamp < self.newest - OVERLAP:
            self._forgotten_stamp = 0
            self._forgotten.clear()
            self.newest = stamp
        self.newest = max(self.newest, stamp)
        self._recent.append((stamp, key, stream))
        while self._recent and self._recent[0][0] < self.newest - _REMEMBER:
            self._recent.popleft()
        if len(self._recent) > MOST_REMEMBERED:
            self._forget(*self._recent.popleft())

    def _forget(self, stamp: int, _: int, stream: str) -> None:
        """Keep in mind that a frame was there which is not remembered any more."""
        if stamp > self.newest:
            # From before the clock was set back: it can only be doubled, never hide a later line.
            return
        if stamp > self._forgotten_stamp:
            self._forgotten_stamp = stamp
            self._forgotten.clear()
        if stamp == self._forgotten_stamp:
            self._forgotten[stream] += 1

    def _join(self, stream: str, stamp: int, text: bytes) -> LogRecord | None:
        """A message over 16 KiB comes in several frames, each with a stamp of its own; only the last ends the line."""
        first, data = self._pending.pop(stream, (stamp, b""))
        if len(data) < _MAX_LINE:
            data += text
        elif text.endswith(b"\n"):
            data += b"\n"
        if data.endswith(b"\n"):
            return _record(stream, first, data)
        self._pending[stream] = (first, data)
        return None


def _record(stream: str, stamp: int, data: bytes) -> LogRecord:
    return LogRecord(stamp / 1e9, stream, log_line(decode(data.rstrip(b"\r\n"))))


_day: tuple[bytes, int] = (b"", 0)


def nanoseconds(stamp: bytes) -> int | None:
    """Docker's time stamp (`2026-01-02T03:04:05.678901234Z`) as Unix nanoseconds; None when it is none."""
    global _day
    if len(stamp) < 20 or stamp[4:5] != b"-" or stamp[10:11] != b"T":
        return None
    whole, _, part = stamp[:-1].partition(b".")
    if not stamp.endswith(b"Z") or (part and not part.isdigit()):
        seconds = unix_time(stamp.decode("ascii", errors="replace"))
        if seconds is None:
            return None
        return int(seconds * 1e9)
    # Thousands of lines share a second: its date is worked out once.
    if whole != _day[0]:
        seconds = unix_time(whole.decode("ascii", errors="replace") + "Z")
        if seconds is None:
            return None
        _day = (whole, int(seconds) * 10**9)
    return _day[1] + int(part.ljust(9, b"0")[:9] or b"0")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a log is wanted: the last `tail` lines (None: all) from Unix time `since` on; `keep` on following."""

    tail: int | None = None
    since: float | None = None
    keep: bool = True
    stall: float = STALL


async def follow(
    client: DockerClient,
    container: str,
    *,
    tail: int | None = None,
    since: float | None = None,
    keep: bool = True,
    stall: float = STALL,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> AsyncGenerator[list[LogRecord], None]:
    """Batches of lines: the last `tail` (None: all) from Unix time `since` on, then new ones until the container ends.

    With `keep` false it ends when what is there has been read, and raises `HostError` when streams of it break again
    and again. Lost links and daemon restarts are waited out; an empty batch means that the stream was opened again.
    Besides that it raises `HostError` only for what the person must repair.
    """
    wanted, lines = Wanted(tail, since, keep, stall), Unrepeated()
    pause, over, fruitless = _PAUSE, False, 0
    while not over:
        try:
            info = await client.inspect(container)
            if info is None:
                break
            # What is read of a container that does not run any more is all there will be.
            over = not keep or not info.running
            async with aclosing(_stream(client, info, lines, wanted, to_the_end=over)) as batches:
                async for batch in batches:
                    pause, fruitless = _PAUSE, 0
                    yield batch
        except (LinkLost, DockerError, ValueError) as error:
            if isinstance(error, DockerError) and (not keep or error.status in _FINAL):
                if error.status in _GONE:
                    break
                raise
            fruitless += 1
            if not keep and fruitless >= _FRUITLESS:
                raise LinkLost(f"the log of {container[:12]} breaks off again and again", host=client.host) from error
            over = False
            yield []
        if not over:
            await sleep(pause)
            pause = min(pause * 2, _MAX_PAUSE)
    if rest := lines.rest():
        yield rest


async def _stream(
    client: DockerClient, info: ContainerInfo, lines: Unrepeated, wanted: Wanted, *, to_the_end: bool
) -> AsyncGenerator[list[LogRecord], None]:
    """One stream of the log, joined to those before it; ends where it ends or falls silent."""
    resume = lines.resume()
    batches = client.log_batches(
        info.id,
        follow=not to_the_end,
        since=resume or wanted.since or 0.0,
        tail=None if resume else wanted.tail,
        timestamps=True,
        tty=info.tty,
    )
    async with aclosing(batches):
        while (batch := await _next(batches, wanted.stall)) is not None:
            if found := lines.add(batch):
                yield found


async def _next(batches: AsyncIterator[list[Frame]], stall: float) -> list[Frame] | None:
    """The next batch; None at the end of the stream, or when it has been silent for too long."""
    try:
        async with asyncio.timeout(stall):
            return await anext(batches, None)
    except TimeoutError:
        return None


class DockerLogs:
    """Follows logs on any host; `client` gives the Docker client of a transport."""

    def __init__(self, client: Callable[[Transport], DockerClient]) -> None:
        self._client = client

    def follow(
        self,
        transport: Transport,
        container: str,
        *,
        tail: int | None = None,
        since: float | None = None,
        keep: bool = True,
    ) -> AsyncIterator[Sequence[LogRecord]]:
        """See `follow`."""
        return follow(self._client(transport), container, tail=tail, since=since, keep=keep)
