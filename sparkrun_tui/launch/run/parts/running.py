"""The running state of a launch: the facts of its hosts, and what it has started there."""

from __future__ import annotations

import asyncio

from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.launch.run.parts.follow import Followers
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.guarded import Guarded
from sparkrun_tui.launch.run.parts.leases import Leases
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.remote.probe.facts import HostFacts


class Running:
    """The running state of one launch. Its steps fill it, and the cleanup uses it."""

    __slots__ = (
        "containers",
        "done",
        "engine_missed",
        "executions",
        "facts",
        "followers",
        "force",
        "guards",
        "jobs",
        "key",
        "key_sought",
        "leases",
        "note",
        "served",
        "taken",
        "touched",
    )

    def __init__(self, given: Given, report: Reporter) -> None:
        self.facts: dict[str, HostFacts] = {}
        """The last probe of each host that has answered."""
        self.containers: dict[int, str] = {}
        """Ids of containers by rank, once they exist."""
        self.executions: dict[int | str, str] = {}
        """Ids of execs: by number those of the engine, by name those of hooks."""
        self.jobs: list[tuple[str, str]] = []
        """Running detached jobs as (host, key). They survive a detach and are ended when the launch is given up."""
        self.guards: dict[str, Guarded] = {}
        """The hosts with a memory guard; of an attached launch, those that may have one."""
        self.touched: set[str] = set()
        """Hosts on which a container of the launch may exist: only these are cleaned up."""
        self.taken: set[str] = set()
        """Addresses at which another program was found in the place of its server, which was reported."""
        self.followers = Followers(given, report)
        self.leases = Leases(given, report)
        self.engine_missed: int | None = None
        """How often in a row the engine was missing in a delegated container; None before it was first seen there."""
        self.served = False
        """Whether the endpoint has answered; from then on, a stop has a grace period."""
        self.done = ""
        """Why the launch has ended without a failure or a request of the user; empty otherwise."""
        self.key: Secret | None = given.plan.serve.ready.key.secret
        """The API key of its server; None where it wants none, or where none is known."""
        self.key_sought = False
        """Whether the processes of its server were searched for the key."""
        self.note = ""
        """What there is to say of a launch that serves: that it wants a key that is not known; empty otherwise."""
        self.force = asyncio.Event()
        """Set when the user forces the end: nothing is waited for any more."""
