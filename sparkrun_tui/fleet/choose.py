"""Which workload the user means: by the beginning of its launch id, or by the name of its recipe."""

from __future__ import annotations

from pathlib import PurePath

from sparkrun_tui.base.errors import HostError, LaunchError, UsageError
from sparkrun_tui.fleet.model import FleetView, Health, Workload


def silent_hosts(view: FleetView) -> tuple[str, ...]:
    """Hosts whose containers are not known: they did not answer, or their Docker cannot be used."""
    return tuple(host.name for host in view.hosts if host.facts is None or host.facts.docker_access != "ok")


def matching(view: FleetView, text: str) -> tuple[Workload, ...]:
    """The workloads that `text` may mean: a launch id or its beginning, or the name of a recipe.

    An exact id comes before ids that begin with it. It does not come before recipes of that name: an id is a label, and
    whoever may create containers on a host can choose one that is the name of somebody's recipe.
    """
    if not text:
        return ()
    exact = any(item.launch_id == text for item in view.workloads)
    names = {text, text.rpartition("/")[2]}
    if text.endswith((".yaml", ".yml")):
        names.add(PurePath(text).stem)
    found = []
    for item in view.workloads:
        named = item.recipe in names or item.ranks[0].container_name == text
        called = item.launch_id == text if exact else item.launch_id.startswith(text)
        if named or called:
            found.append(item)
    return tuple(found)


def prepared_by(view: FleetView, launch_id: str) -> tuple[str, ...]:
    """The hosts that a launch prepares by their leases, also when it has no container yet."""
    found = []
    for host in view.hosts:
        lease = host.facts.lease if host.facts is not None else None
        if lease is not None and lease.launch is not None and lease.launch == launch_id:
            found.append(host.name)
    return tuple(found)


def choose(view: FleetView, text: str) -> Workload:
    """The one workload that `text` means.

    Raises `UsageError`, which lists them, when several match; `HostError` when none matches but a host could not
    be asked; `LaunchError` when none matches and all hosts were asked.
    """
    found = matching(view, text)
    alive = [item for item in found if item.health is not Health.EXITED]
    if len(alive) == 1:
        # Earlier launches of the recipe that have ended are not meant.
        return alive[0]
    if len(found) == 1:
        return found[0]
    if found:
        listed = "; ".join(f"{item.launch_id or item.recipe} ({item.recipe}, {item.health})" for item in found)
        raise UsageError(f"`{text}` matches {len(found)} workloads: {listed}", remedy="Give the id of one of them.")
    silent = silent_hosts(view)
    if silent:
        what = f"no workload `{text}` was found, and {', '.join(silent)} cannot be asked"
        raise HostError(what, remedy="Run `sparkrun-tui status` to see why.")
    running = ", ".join(f"{item.launch_id or '-'} {item.recipe}" for item in view.workloads)
    raise LaunchError(f"there is no workload `{text}` on these hosts", remedy=f"Running now: {running or 'nothing'}")


def unseen_ranks(view: FleetView, workload: Workload) -> tuple[str, ...]:
    """Silent hosts that may hold the ranks of a workload that were not seen; empty when all its ranks were."""
    return silent_hosts(view) if len(workload.ranks) < workload.expected_ranks else ()
