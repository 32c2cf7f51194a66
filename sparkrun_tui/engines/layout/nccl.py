"""Environment variables that bind collective communication to the right devices and interfaces of each host."""

from __future__ import annotations

from collections.abc import Mapping

from sparkrun_tui.engines.plan import HostView

_SOCKET_NAMES = (
    "NCCL_SOCKET_IFNAME",
    "GLOO_SOCKET_IFNAME",
    "TP_SOCKET_IFNAME",
    "MN_IF_NAME",
    "OMPI_MCA_btl_tcp_if_include",
)
DEVICE_VARIABLES = frozenset({*_SOCKET_NAMES, "NCCL_IB_HCA", "UCX_NET_DEVICES"})
"""The variables of `nccl_env` whose values are names of network devices."""
ADDRESS_VARIABLES = ("VLLM_HOST_IP", "SGLANG_HOST_IP", "HOST_IP")
"""Variables by which a rank gives the others its address. Source: vllm/envs.py, sglang/srt/utils/network.py."""


def nccl_env(host: HostView, nodes: int) -> Mapping[str, str]:
    """Variables for one host of `nodes`: RDMA where it was found, sockets on the management interface.

    Empty for one host. Where the interface is not known, the libraries choose it.
    """
    if nodes < 2:
        return {}
    # Without a word of NCCL's own, a connection that fails between hosts looks like a start that hangs.
    env = {"NCCL_DEBUG": "WARN"}
    if host.interface:
        env |= dict.fromkeys(_SOCKET_NAMES, host.interface)
    rdma = host.rdma
    if rdma is None or not rdma.devices:
        return env
    env |= {
        "NCCL_NET": "IB",
        "NCCL_IB_DISABLE": "0",
        "NCCL_CROSS_NIC": "1",
        "NCCL_IGNORE_CPU_AFFINITY": "1",
        "NCCL_IB_HCA": ",".join(rdma.devices),
        "UCX_NET_DEVICES": ",".join(f"{device}:1" for device in rdma.devices),
    }
    if rdma.gid_index is not None:
        env["NCCL_IB_GID_INDEX"] = str(rdma.gid_index)
    return env


def free_port(first: int, hosts: tuple[HostView, ...]) -> int:
    """The first port from `first` on that is not known to be in use on any of the hosts."""
    used: set[int] = set()
    for host in hosts:
        used |= host.used_ports
    port = first
    while port in used:
        port += 1
    return port
