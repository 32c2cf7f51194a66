"""A cluster of real hosts on this machine: each with its own network, sshd, dockerd and faults, and no hardware.

Start reading at `cluster.py`. Needs root and Linux; nothing is created in the machine's own network namespace,
mount table or user database, and everything ends with the process that made it.
"""

from __future__ import annotations

from cluster.cluster import Cluster
from cluster.host import Host
from cluster.spec import Daemon, HostSpec

__all__ = ["Cluster", "Daemon", "Host", "HostSpec"]
