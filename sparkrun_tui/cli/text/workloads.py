"""What runs on a cluster as plain tables and as JSON."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sparkrun_tui.base.units import format_duration, format_gib
from sparkrun_tui.fleet.model import FleetView, HostStatus, Workload
from sparkrun_tui.remote.lease import Lease
from sparkrun_tui.remote.transport import LinkState

if TYPE_CHECKING:
    from sparkrun_tui.cli.shapes.hosts import FleetJson, HostJson, StoppedJson, WorkloadJson
    from sparkrun_tui.fleet.stop import StopReport

HOST_HEAD = ("HOST", "LINK", "MEMORY FREE", "GPU", "LOAD")
WORKLOAD_HEAD = ("ID", "RECIPE", "ENGINE", "HEALTH", "HOSTS", "PORT", "UP", "MODEL")


def host_row(status: HostStatus) -> tuple[str, ...]:
    """The cells of one host."""
    facts = status.facts
    if facts is None:
        return (status.name, str(status.link.state), "", "", status.link.detail)
    name, load = "none", ""
    if facts.gpus:
        gpu = facts.gpus[0]
        name = gpu.name
        if gpu.utilisation is not None:
            load = f"{gpu.utilisation:.0f} %"
    if facts.docker_access != "ok":
        load = f"Docker: {facts.docker_access}"
    free = f"{format_gib(facts.memory_available)} of {format_gib(facts.memory_total)}"
    return (status.name, str(status.link.state), free, name, load)


def workload_row(item: Workload) -> tuple[str, ...]:
    """The cells of one workload."""
    hosts = ", ".join(rank.host for rank in item.ranks)
    return (
        item.launch_id or "-",
        item.recipe,
        item.engine or "(another tool)",
        str(item.health),
        hosts,
        str(item.port or ""),
        _up(item),
        item.served_name or item.model,
    )


def _up(item: Workload) -> str:
    """How long the oldest running rank has been up; empty when none is running."""
    started: list[float] = []
    for rank in item.ranks:
        if rank.started and rank.state == "running":
            started.append(rank.started)
    if not started:
        return ""
    # A host's clock may be ahead.
    return format_duration(max(time.time() - min(started), 0.0))


def details(view: FleetView) -> Iterator[str]:
    """What is wrong with workloads and hosts, one line each."""
    for item in view.workloads:
        if item.detail:
            yield f"{item.launch_id or item.recipe}: {item.detail}"
    for status in view.hosts:
        if status.note:
            yield f"{status.name}: {status.note}"
        if status.facts is not None and status.facts.lease is not None:
            yield f"{status.name}: {lease_text(status.facts.lease)}"
        if status.facts is None and status.link.state is not LinkState.UP:
            remedy = f"\n  {status.link.remedy}" if status.link.remedy else ""
            yield f"{status.name}: {status.link.detail or status.link.state}{remedy}"


def lease_text(lease: Lease) -> str:
    """Who prepares a host, or has left it half prepared."""
    launch = lease.launch or "a launch"
    who = f"{launch} by {lease.user}" if lease.user else launch
    if lease.in_force:
        return f"{who} is being prepared here"
    return f"{who} was being prepared here, and has not been heard of for {format_duration(lease.age)}"


def fleet_json(view: FleetView) -> FleetJson:
    """The state of a cluster as one JSON object; sizes in bytes, times as Unix seconds."""
    return {
        "cluster": view.cluster,
        "taken": view.taken,
        "hosts": [_host_json(status) for status in view.hosts],
        "workloads": [workload_json(item) for item in view.workloads],
    }


def _host_json(status: HostStatus) -> HostJson:
    facts = status.facts
    shown: HostJson = {
        "name": status.name,
        "link": status.link.state,
        "detail": status.link.detail or None,
        "note": status.note or None,
        "docker": None,
        "memory_total": None,
        "memory_available": None,
        "gpus": None,
        "preparing": None,
    }
    if facts is not None:
        shown["docker"] = facts.docker_access
        shown["memory_total"] = facts.memory_total
        shown["memory_available"] = facts.memory_available
        if facts.lease is not None:
            shown["preparing"] = {"launch_id": facts.lease.launch, "user": facts.lease.user, "age": facts.lease.age}
        shown["gpus"] = [gpu.name for gpu in facts.gpus]
    return shown


def workload_json(item: Workload) -> WorkloadJson:
    """One workload as a JSON object; `launch_id` is null for workloads of other tools."""
    return {
        "launch_id": item.launch_id or None,
        "recipe": item.recipe,
        "engine": item.engine or None,
        "model": item.model or None,
        "served_name": item.served_name or None,
        "port": item.port,
        "health": item.health,
        "detail": item.detail or None,
        "ours": item.ours,
        "expected_ranks": item.expected_ranks,
        "ranks": [
            {
                "rank": rank.rank,
                "role": rank.role,
                "host": rank.host,
                "container": rank.container_name,
                "container_id": rank.container_id,
                "state": rank.state,
                "started": rank.started,
                "exit_code": rank.exit_code,
                "oom_killed": rank.oom_killed,
            }
            for rank in item.ranks
        ],
    }


def stopped_json(item: Workload, report: StopReport) -> StoppedJson:
    """What became of a workload that was stopped."""
    return {
        "launch_id": item.launch_id or None,
        "recipe": item.recipe,
        "complete": report.complete,
        "ranks": [
            {
                "host": rank.host,
                "rank": rank.rank,
                "outcome": rank.outcome,
                "detail": rank.detail or None,
                "note": rank.note or None,
            }
            for rank in report.ranks
        ],
        "unseen": list(report.unseen),
    }
