"""What tests of the remote layer share: a server with a pool that knows it, and waiting for a condition."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import asyncssh

from sparkrun_tui.remote.ssh.host_key_policy import HostKeyPolicy
from sparkrun_tui.remote.ssh.link import Backoff
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


@asynccontextmanager
async def opened_site(folder: Path) -> AsyncIterator[Site]:
    """A server that is known and lets us in."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    key_file = folder / "id_ed25519"
    key.write_private_key(str(key_file))
    async with SshServer(folder / "server", key) as server:
        known = folder / "known_hosts"
        known.write_text(server.known_hosts_line)
        endpoint = Endpoint(
            name="spark",
            host="127.0.0.1",
            port=server.port,
            user="tester",
            identity_files=(key_file,),
            known_hosts_files=(known,),
        )
        resolver = FixedResolver({"spark": endpoint})
        policy = HostKeyPolicy(folder / "own_known_hosts")
        pool = SshPool(resolver, policy, backoff=Backoff(base=0.05, cap=0.2), local=lambda _name: False)
        yield Site(folder, server, key_file, resolver, policy, pool)
        await pool.close()
