"""Ray in the demo: nodes that start and join, and the output of `ray status`."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterator

from sparkrun_tui.demo.container import Container
from sparkrun_tui.demo.engines.log_script import RAY_NOW, filled
from sparkrun_tui.demo.engines.simulated import plain_stamp
from sparkrun_tui.demo.host import Host, Site
from sparkrun_tui.demo.http import Reader, Writer
from sparkrun_tui.engines.plan import LABEL

_JOINED = "/tmp/ray"


class Ray:
    """The Ray nodes of all launches of a site."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def node(self, host: Host, container: Container, script: str) -> int:
        """Act as a node until the container is asked to end; the exit code."""
        head = "--head" in script
        port = re.search(r"--port (\d+)", script)
        container.say(_said(host, f"INFO usage_lib.py:448 -- Local node IP: {host.address}"), "stderr")
        await host.clock.sleep(1.6)
        if head:
            host.listen(container, int(port[1]) if port else 6379, hang_up)
        await host.clock.sleep(0.6)
        container.folders.add(_JOINED)
        container.say(_said(host, "SUCC scripts.py:1085 -- Ray runtime started."), "stderr")
        if not head:
            container.say(_said(host, "INFO scripts.py:1262 -- Joined the cluster of the head node."), "stderr")
        container.say(_said(host, "INFO scripts.py:1266 -- This command will now block forever."), "stderr")
        await container.term.wait()
        await host.clock.sleep(0.5)
        return 0

    def status(self, container: Container) -> str:
        """The output of `ray status` in a container of a launch."""
        nodes = [hashlib.sha256(each.id.encode()).hexdigest()[:56] for each in self._nodes(container)]
        active = "\n".join(f" 1 node_{node}" for node in nodes)
        rule = "-" * 63
        total = f"Total Usage:\n 0.0/{len(nodes) * 20:.1f} CPU\n 0.0/{len(nodes)}.0 GPU"
        parts = (
            "======== Autoscaler status ========",
            "Node status",
            rule,
            "Active:",
            active,
            "Pending:",
            " (no pending nodes)",
        )
        return "\n".join((*parts, "Recent failures:", " (no failures)", "", "Resources", rule, total, ""))

    def _nodes(self, container: Container) -> Iterator[Container]:
        launch = container.labels.get(f"{LABEL}launch")
        for each in itertools.chain.from_iterable(host.containers.values() for host in self._site.hosts):
            if each.running and _JOINED in each.folders and each.labels.get(f"{LABEL}launch") == launch:
                yield each


def _said(host: Host, text: str) -> str:
    return filled(f"{RAY_NOW}\t{text}", plain_stamp, host.clock, 0.0)


async def hang_up(reader: Reader, writer: Writer) -> None:
    """Close a connection without an answer: the port is open, but simulates no protocol."""
    writer.close()
