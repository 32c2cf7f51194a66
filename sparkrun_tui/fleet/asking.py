"""Questions to the server of a workload, at the address where the survey found it."""

from __future__ import annotations

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.engines.offers import NO_ENTRY
from sparkrun_tui.fleet.model import Workload
from sparkrun_tui.fleet.server_keys import key_of
from sparkrun_tui.remote.http.client import HttpCall, HttpReply
from sparkrun_tui.remote.ports.services import HostServices

_TIMEOUT = 5.0


async def ask_head(workload: Workload, services: HostServices, path: str, most: int) -> HttpReply | None:
    """What the head's server answers at a path; None where it gives no whole answer. Never raises `HostError`.

    Its API key is sent only where it asks for one. An answer of `most` bytes was cut off, and counts as none.
    """
    if workload.port is None:
        return None
    reply = await _once(workload, workload.port, services, path, most, None)
    if reply is not None and reply.status in NO_ENTRY:
        key = await key_of(workload, services)
        if key is not None:
            reply = await _once(workload, workload.port, services, path, most, key)
    if reply is None or not reply.ok or len(reply.body) >= most:
        return None
    return reply


async def _once(
    workload: Workload, port: int, services: HostServices, path: str, most: int, key: Secret | None
) -> HttpReply | None:
    call = HttpCall(port, path, address=workload.address, timeout=_TIMEOUT, most=most, key=key)
    try:
        return await services.http.ask(services.connector(workload.head_host), call)
    except HostError:
        return None
