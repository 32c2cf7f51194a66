"""What is happening in a launch: what was learned of its hosts, and what runs there because of it."""

from __future__ import annotations

import asyncio

from sparkrun_tui.launch.run.parts.follow import Followers
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.leases import Leases
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.remote.probe.facts import HostFacts


class Running:
    """What is happening in one launch. Its steps fill it, and its end cleans up by it."""

    __slots__ = (
        "containers",
        "done",
        "engine_missed",
        "executions",
        "facts",
        "followers",
        "force",
        "jobs",
        "leases",
        "served",
        "touched",
    )

    def __init__(self, given: Given, report: Reporter) -> None:
        self.facts: dict[str, HostFacts] = {}
        """The last probe of each host that has answered."""
        self.containers: dict[int, str] = {}
        """Ids of containers by rank, once they exist."""
        self.executions: dict[int | str, str] = {}
        """Ids of execs: numbered those that are the engine, by name those that are not."""
        self.jobs: list[tuple[str, str]] = []
        """Detached jobs under way, as (host, key): they survive a detach, and end when the launch is given up."""
        self.touched: set[str] = set()
        """Hosts on which a container of the launch may exist: only those are cleaned."""
        self.followers = Followers(given, report)
        self.leases = Leases(given, report)
        self.engine_missed: int | None = None
        """How often in a row the engine was missing in a delegated container; None until it was seen there."""
        self.served = False
        """Whether the endpoint has answered; from then on stopping grants grace."""
        self.done = ""
        """Why it is over though nothing failed and nobody asked for it."""
        self.force = asyncio.Event()
        """Set when the user wants the end at any price: nothing is waited for any more."""
