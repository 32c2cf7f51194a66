"""Which workload a person means: by the beginning of its launch id, or by the name of its recipe."""

from __future__ import annotations

from pathlib import PurePath

from sparkrun_tui.base.errors import HostError, LaunchError, UsageError
from sparkrun_tui.fleet.model import FleetView, Workload


def silent_hosts(view: FleetView) -> tuple[str, ...]:
    """Hosts whose containers are not known: they did not answer, or their Docker cannot be used."""
    return tuple(host.name for host in view.hosts if host.facts is None or host.facts.docker_access != "ok")


def matching(view: FleetView, text: str) -> tuple[Workload, ...]:
    """The workloads that `text` may mean: an id in full alone, else ids that begin so and recipes of that name."""
    exact = [item for item in view.workloads if item.launch_id and item.launch_id == text]
    if exact:
        return tuple(exact)
    names = {text, PurePath(text).stem if text.endswith((".yaml", ".yml")) else text, text.rpartition("/")[2]}
    return tuple(
        item
        for item in view.workloads
        if item.recipe in names or (text and item.launch_id.startswith(text)) or item.ranks[0].container_name == text
    )


def choose(view: FleetView, text: str) -> Workload:
    """The one workload that `text` means.

    Raises `UsageError` that lists them when it may be several, `HostError` when it is none but a host was silent,
    `LaunchError` when it is none.
    """
    found = matching(view, text)
    if len(found) == 1:
        return found[0]
    if found:
        listed = "; ".join(f"{item.launch_id or item.recipe} ({item.recipe}, {item.health})" for item in found)
        raise UsageError(f"`{text}` may be any of {len(found)} workloads: {listed}", remedy="Name one by its id.")
    silent = silent_hosts(view)
    if silent:
        what = f"nothing called `{text}` is known, and {', '.join(silent)} cannot be asked"
        raise HostError(what, remedy="`sparkrun-tui status` says why.")
    running = ", ".join(f"{item.launch_id or '-'} {item.recipe}" for item in view.workloads) or "nothing"
    raise LaunchError(f"there is no workload `{text}` on these hosts", remedy=f"There is: {running}")


def unseen_ranks(view: FleetView, workload: Workload) -> tuple[str, ...]:
    """Silent hosts that may hold ranks of a workload of which some were not seen."""
    return silent_hosts(view) if len(workload.ranks) < workload.expected_ranks else ()
