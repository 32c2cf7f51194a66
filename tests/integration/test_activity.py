"""What a real container does is seen from the counters of its host: busy, idle, compiling."""

from __future__ import annotations

import asyncio

from cluster import Host

from sparkrun_tui.remote.probe.activity import activity_of
from sparkrun_tui.remote.ssh.pool import SshPool

IMAGE = "spark-tests/vllm:1"
BUSY = "while :; do :; done"
COMPILING = "cp /bin/sleep /tmp/ptxas; /tmp/ptxas 60"


async def test_busy_idle_and_compiling_containers_are_told_apart(pool: SshPool, hosts: list[Host]) -> None:
    head = hosts[0]
    await asyncio.to_thread(head.docker, "pull", "-q", IMAGE)
    transport = pool.transport(head.name)
    found = {}
    for name, command in (("busy", BUSY), ("idle", "sleep 60"), ("compiling", COMPILING)):
        words = ("run", "-d", "--name", name, "--entrypoint", "sh", IMAGE, "-c", command)
        container = (await asyncio.to_thread(head.docker, *words)).strip()
        await asyncio.sleep(1.0)
        found[name] = await activity_of(transport, container)
        await asyncio.to_thread(head.docker, "rm", "-f", name)
    busy, idle, compiling = found["busy"], found["idle"], found["compiling"]
    assert busy.cores is not None and busy.cores > 0.2
    assert idle.cores is not None and idle.cores < 0.05
    assert compiling.compilers == ("ptxas",) and busy.compilers == ()
    assert busy.disk is not None and busy.network is not None
