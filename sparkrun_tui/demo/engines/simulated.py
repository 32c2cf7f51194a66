"""The simulation of one engine: its log, and what its server answers differently from others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Protocol

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.demo.engines.figures import Figures
from sparkrun_tui.demo.engines.log_script import LogStep, Stamp
from sparkrun_tui.engines.plan import Role


class StartLog(Protocol):
    """One start of an engine on one rank, as a log."""

    @property
    def fails(self) -> bool:
        """Whether the start fails."""

    def steps(self) -> Iterator[LogStep]:
        """The steps from the first line to the start of the server, or to the failure."""

    def up(self) -> list[tuple[str, str]]:
        """The lines that it prints when it is ready, each with its stream."""

    def down(self) -> list[tuple[str, str]]:
        """The lines that it prints when it ends, each with its stream."""

    def load(self, prompted: float, generated: float, running: int, usage: float) -> str:
        """The line about the last seconds: tokens per second, requests, and the fraction of the KV cache in use."""


@dataclass(frozen=True, slots=True)
class Start:
    """One start on one rank; `ray` when Ray runs the ranks, which connect to `head_ip`."""

    figures: Figures
    role: Role
    rank: int
    ray: bool
    head_ip: str


def plain_stamp(now: float, _: float) -> str:
    """The date and time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))


@dataclass(frozen=True, slots=True)
class Simulated:
    """The simulation of an engine, which `demo.engines.registry` lists by name.

    `stamp` formats the time of a line, `health` is the body of the answer to `/health`, `model_label` says whether
    the samples of its metrics name the model, and `answered` is the line about a request, with `{path}` and stream.
    """

    log: Callable[[Start], StartLog]
    stamp: Stamp = plain_stamp
    health: bytes = b""
    model_label: bool = True
    answered: tuple[str, str] = ('INFO:     127.0.0.1:52114 - "POST {path} HTTP/1.1" 200 OK', "stdout")
