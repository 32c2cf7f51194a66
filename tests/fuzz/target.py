"""What a target is: how its inputs are made, what reads them, and which errors the reader may answer with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import ParamSpec, TypeVar

from sparkrun_tui.base.errors import SparkrunError

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE = 10.0
"""Seconds that a reader may wait for something that will not come."""


class Broken(AssertionError):
    """A reader ended well, but what it gave out breaks a promise."""


class NeverEnds(Exception):
    """A reader waited for something that will not come."""


@dataclass(frozen=True, slots=True)
class Target:
    """`make` gives an input (bytes, so that it can be kept and cut); `read` reads it, and raises what it finds."""

    make: Callable[[Random], bytes]
    read: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    """Inputs that are read as they are before any other."""


Build = Callable[[tuple[Path, ...]], Target]
"""Makes a target; the folders hold more seeds."""


@contextmanager
def handled(*declared: type[BaseException]) -> Iterator[None]:
    """A step of a reader that may answer with an error for the person, or with one of its own declared types."""
    try:
        yield
    except (SparkrunError, *declared):
        return


_longest = 0.0


def timed(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call one step of a reader that takes many: the time of an input is then that of its longest step."""
    global _longest
    began = time.process_time()
    try:
        return call(*args, **kwargs)
    finally:
        _longest = max(_longest, time.process_time() - began)


def longest_step() -> float:
    """Seconds of processor time of the longest step since the last question; 0 when no step was timed."""
    global _longest
    found, _longest = _longest, 0.0
    return found


_runner: asyncio.Runner | None = None


def wait(work: Callable[[], Awaitable[None]]) -> None:
    """Run a coroutine to its end, on one event loop for all inputs."""
    global _runner
    if _runner is None:
        _runner = asyncio.Runner()

    async def bounded() -> None:
        try:
            async with asyncio.timeout(PATIENCE) as limit:
                await work()
        except TimeoutError:
            if limit.expired():
                raise NeverEnds(f"nothing came of it within {PATIENCE:.0f} s") from None
            raise

    _runner.run(bounded())


def insist(holds: bool, promise: str) -> None:
    """Raise `Broken` unless a promise holds."""
    if not holds:
        raise Broken(promise)
