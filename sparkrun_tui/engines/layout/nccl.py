"""Environment variables that bind collective communication to the right devices and interfaces of each host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
_SWITCHLESS: Mapping[str, str] = {
    "NCCL_NET_PLUGIN": "none",
    "NCCL_IB_SUBNET_AWARE_ROUTING": "1",
    "NCCL_IB_MERGE_NICS": "0",
}
"""What NCCL needs where each link leads to another host: ports are not merged, and the port to a peer is the one in its
network. Sources: NVIDIA's playbook for three Sparks in a ring; NCCL 2.30, which brought subnet-aware routing."""
ADDRESS_VARIABLES = ("VLLM_HOST_IP", "SGLANG_HOST_IP", "HOST_IP")
"""Variables by which a rank gives the others its address. Source: vllm/envs.py, sglang/srt/utils/network.py."""


def nccl_env(host: HostView, hosts: Sequence[HostView]) -> Mapping[str, str]:
    """Variables for one of some hosts: RDMA where it was found, sockets on the management interface.

    Empty for one host. Where the interface is not known, the libraries choose it. `NODE_IP` is the host's own address,
    which the sparkrun CLI gives to commands of recipes (sparkrun/orchestration/infiniband.py).
    """
    if len(hosts) < 2:
        return {}
    # Without a word of NCCL's own, a connection that fails between hosts looks like a start that hangs.
    env = {"NCCL_DEBUG": "WARN", "NODE_IP": host.address}
    if host.interface:
        env |= dict.fromkeys(_SOCKET_NAMES, host.interface)
    rdma = host.rdma
    if rdma is None or not rdma.devices:
        return env
    devices = linked_devices(host, hosts)
    env |= {
        "NCCL_NET": "IB",
        "NCCL_IB_DISABLE": "0",
        "NCCL_CROSS_NIC": "1",
        "NCCL_IGNORE_CPU_AFFINITY": "1",
        "NCCL_IB_HCA": ",".join(devices),
        "UCX_NET_DEVICES": ",".join(f"{device}:1" for device in devices),
    }
    if is_switchless(hosts):
        return {**env, **_SWITCHLESS}
    if rdma.gid_index is not None:
        env["NCCL_IB_GID_INDEX"] = str(rdma.gid_index)
    return env


def linked_devices(host: HostView, hosts: Sequence[HostView]) -> tuple[str, ...]:
    """The RDMA devices of a host that lead to another of the hosts; all of them where no network is known in common.

    NCCL connects the devices of two ranks by their places in the lists, so they are in the order of their networks.
    One that is cabled to something else, such as a PC or a host that takes no part, ends the start with
    `ibv_modify_qp` and a timeout. A device without an IPv4 network stays: it may be the second half of a port whose
    first half has the address.
    """
    rdma = host.rdma
    if rdma is None:
        return ()
    others: set[str] = set()
    for other in hosts:
        if other.name != host.name:
            others |= networks_of(other)
    if not others & networks_of(host):
        return rdma.devices
    linked = [
        (network, device)
        for device, network in zip(rdma.devices, rdma.network_of_each, strict=True)
        if not network or network in others
    ]
    if all(network for network, _ in linked):
        linked.sort()
    return tuple(device for _, device in linked)


def is_switchless(hosts: Sequence[HostView]) -> bool:
    """Whether three or more hosts are cabled to each other without a switch: no RDMA network is common to all.

    False where the networks of a host are not known, and where a host shares none with any other.
    """
    if len(hosts) < 3:
        return False
    networks = [networks_of(host) for host in hosts]
    if not all(networks) or frozenset.intersection(*networks):
        return False
    return not any(is_alone(number, networks) for number in range(len(hosts)))


def networks_of(host: HostView) -> frozenset[str]:
    """The IPv4 networks of a host's RDMA devices, as far as they are known."""
    if host.rdma is None:
        return frozenset()
    return frozenset(network for network in host.rdma.networks if network)


def is_alone(number: int, networks: Sequence[frozenset[str]]) -> bool:
    """Whether a host shares no network with any of the others."""
    return not any(networks[number] & other for place, other in enumerate(networks) if place != number)


def free_port(first: int, hosts: tuple[HostView, ...]) -> int:
    """The first port from `first` on that is not known to be in use on any of the hosts."""
    used: set[int] = set()
    for host in hosts:
        used |= host.used_ports
    port = first
    while port in used:
        port += 1
    return port
