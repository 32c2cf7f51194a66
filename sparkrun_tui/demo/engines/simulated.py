"""What the demo has of one engine: its log, and what its server says otherwise than others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from sparkrun_tui.demo.engines.figures import Figures
from sparkrun_tui.demo.engines.log_script import LogStep, Stamp
from sparkrun_tui.engines.plan import Role


class StartLog(Protocol):
    """One start of an engine on one rank, as a log."""

    @property
    def fails(self) -> bool:
        """Whether it does not come up."""

    def steps(self) -> Iterator[LogStep]:
        """From the first line to the server's start, or to the failure."""

    def up(self) -> list[tuple[str, str]]:
        """The lines with which the server is there, each with its stream."""

    def down(self) -> list[tuple[str, str]]:
        """The lines with which it goes, each with its stream."""

    def load(self, prompted: float, generated: float, running: int, usage: float) -> str:
        """The line about the last seconds: tokens per second, requests, and the cache in use (a fraction)."""


@dataclass(frozen=True, slots=True)
class Start:
    """One start on one rank; `ray` when the ranks are Ray's, `head_ip` where they meet."""

    figures: Figures
    role: Role
    rank: int
    ray: bool
    head_ip: str


def plain_stamp(now: float, _: float) -> str:
    """A date and a time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))


@dataclass(frozen=True, slots=True)
class Simulated:
    """An engine in the demo; its line in `demo.engines.registry` says which one.

    `stamp` writes the moment of a line, `health` is the body that `/health` answers, `model_label` says whether the
    samples of its metrics name the model, and `answered` is the line about a request, with its path filled in.
    """

    log: Callable[[Start], StartLog]
    stamp: Stamp = plain_stamp
    health: bytes = b""
    model_label: bool = True
    answered: tuple[str, str] = ('INFO:     127.0.0.1:52114 - "POST {path} HTTP/1.1" 200 OK', "stdout")
