"""What tests of the remote layer share: a server with a pool that knows it, and waiting for a condition."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from sparkrun_tui.remote.ssh.host_key_policy import HostKeyPolicy
from sparkrun_tui.remote.ssh.pool import SshPool
from sparkrun_tui.remote.ssh.resolve import Endpoint
from tests.support.ssh_server import SshServer


async def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until `condition` holds; the test fails after `seconds`."""
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)
    assert condition()


@dataclass(slots=True)
class FixedResolver:
    """A resolver that knows its endpoints by heart."""

    endpoints: dict[str, Endpoint] = field(default_factory=dict)

    async def resolve(self, name: str) -> Endpoint:
        return self.endpoints[name]


@dataclass(slots=True)
class Site:
    """One server called `spark`, the key that opens it, and a pool that knows both."""

    folder: Path
    server: SshServer
    key_file: Path
    resolver: FixedResolver
    policy: HostKeyPolicy
    pool: SshPool

    def change(self, **fields: object) -> None:
        """Change the endpoint of `spark`."""
        self.resolver.endpoints["spark"] = replace(self.resolver.endpoints["spark"], **fields)  # type: ignore[arg-type]
