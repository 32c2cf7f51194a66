"""Real SSH servers, in this process, for the tests of the remote layer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest

from sparkrun_tui.remote.ssh.host_key_policy import HostKeyPolicy
from sparkrun_tui.remote.ssh.link import Backoff
from sparkrun_tui.remote.ssh.pool import SshPool
from sparkrun_tui.remote.ssh.resolve import Endpoint
from tests.support.site import FixedResolver, Site
from tests.support.ssh_server import SshServer


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A server that is known and lets us in."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    key_file = tmp_path / "id_ed25519"
    key.write_private_key(str(key_file))
    async with SshServer(tmp_path / "server", key) as server:
        known = tmp_path / "known_hosts"
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
        policy = HostKeyPolicy(tmp_path / "own_known_hosts")
        pool = SshPool(resolver, policy, backoff=Backoff(base=0.05, cap=0.2), local=lambda _name: False)
        yield Site(tmp_path, server, key_file, resolver, policy, pool)
        await pool.close()
