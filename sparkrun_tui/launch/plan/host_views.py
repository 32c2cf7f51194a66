"""Hosts as a plan needs them: guessed from the cluster alone, or known from a probe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.engines.plan import HostView, Rdma

if TYPE_CHECKING:
    from sparkrun_tui.remote.probe.facts import HostFacts

DEFAULT_HF_CACHE = "~/.cache/huggingface"


def unprobed(name: str, cluster: Cluster) -> HostView:
    """A host that has not been probed: its address is taken from its name, and paths start with `~`."""
    return HostView(
        name=name,
        address=_address(name),
        hf_cache=cluster.hf_cache or DEFAULT_HF_CACHE,
        gpus=cluster.gpus_per_host,
        relays=cluster.host_to_host,
    )


def view_of(facts: HostFacts, cluster: Cluster, name: str) -> HostView:
    """A host as its probe reports it, with absolute paths."""
    gpu_name = ""
    memory = facts.memory_total
    if facts.gpus:
        gpu_name = facts.gpus[0].name
        memory = facts.gpus[0].memory_total or memory
    return HostView(
        name=name,
        address=facts.default_address or _address(name),
        home=facts.home,
        hf_cache=_at_home(cluster.hf_cache, facts.home) or facts.hf_cache or f"{facts.home}/.cache/huggingface",
        app_cache=f"{facts.home}/.cache/sparkrun-tui",
        gpus=len(facts.gpus) or cluster.gpus_per_host,
        interface=facts.default_interface,
        rdma=_rdma(facts),
        has_infiniband=facts.infiniband,
        used_ports=facts.used_ports,
        gpu_name=gpu_name,
        memory=memory,
        unified=facts.unified_memory,
        probed=True,
        boot_id=facts.boot_id,
        relays=cluster.host_to_host,
    )


def views_of(names: Sequence[str], cluster: Cluster, facts: Mapping[str, HostFacts]) -> list[HostView]:
    """The named hosts in their order: by their probe where they are in `facts`, else guessed."""
    views = []
    for name in names:
        known = facts.get(name)
        views.append(unprobed(name, cluster) if known is None else view_of(known, cluster, name))
    return views


def fast_address(view: HostView, source: HostView) -> str:
    """The address at which `source` reaches a host fastest: that of an RDMA network of both, where they have one.

    Without a switch each link is a network of its own, and an address on the link to a third host is not reached.
    Where networks are not known, it is the first RDMA address.
    """
    if view.rdma is None:
        return view.address
    theirs = set(source.rdma.networks) if source.rdma is not None else set()
    is_known = any(theirs) and any(view.rdma.networks)
    for address, network in zip(view.rdma.addresses, view.rdma.network_of_each, strict=True):
        if address and (not is_known or (network and network in theirs)):
            return address
    return view.address


def probe_paths(cluster: Cluster) -> tuple[str, ...]:
    """The folders whose disks a probe measures."""
    return (cluster.hf_cache or DEFAULT_HF_CACHE,)


def _address(name: str) -> str:
    return name.rpartition("@")[2]


def _at_home(path: str, home: str) -> str:
    return f"{home}{path[1:]}" if path == "~" or path.startswith("~/") else path


def _rdma(facts: HostFacts) -> Rdma | None:
    ports = facts.rdma
    if not ports:
        return None
    indices = {port.gid_index for port in ports}
    # NCCL takes one index for all devices, and finds the index of each by itself when it is given none (2.21).
    gid_index = indices.pop() if len(indices) == 1 else None
    return Rdma(
        devices=tuple(port.device for port in ports),
        interfaces=tuple(port.interface for port in ports),
        addresses=tuple(port.address for port in ports),
        gid_index=gid_index,
        networks=tuple(port.network for port in ports),
    )
