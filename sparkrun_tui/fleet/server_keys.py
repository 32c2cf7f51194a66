"""The API key of a workload's server, read from the processes of its first container."""

from __future__ import annotations

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.engines.command.server_key import KeyFinder
from sparkrun_tui.engines.registry import families_of
from sparkrun_tui.fleet.model import Workload
from sparkrun_tui.remote.ports.services import HostServices


async def key_of(workload: Workload, services: HostServices) -> Secret | None:
    """The API key that the server of a workload wants; None where it is not found, or its host cannot be asked.

    Only the container of rank 0 is asked, so that no container can get hold of another one's key.
    """
    if not workload.ranks or workload.ranks[0].rank != 0:
        return None
    head = workload.ranks[0]
    finder = KeyFinder(families_of(workload.engine))
    try:
        docker = services.docker(services.connector(head.host))
        return await services.keys.of(head.host, docker, head.container_id, finder)
    except HostError:
        # It has ended, has no shell, or its host does not answer: what was asked for then stays unknown.
        return None
