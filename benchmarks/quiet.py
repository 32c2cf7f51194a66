"""An engine that knows no host: for measuring the screens alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.engines.plan import HostView
from sparkrun_tui.fleet.model import FleetView
from sparkrun_tui.launch.plan.plan import LaunchPlan, build_plan
from sparkrun_tui.recipe.values.rendered import Rendered


class QuietBackend:
    """Opens at once, finds nothing, launches nothing."""

    facts = None

    async def open(self, ask: Any) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def probe(self, cluster: Cluster, seen: Callable[[Any], None]) -> None:
        """Nobody answers."""

    def history(self) -> Sequence[Any]:
        """Nothing was launched."""
        return ()

    async def survey(self, cluster: Cluster) -> FleetView:
        """Nothing runs."""
        return FleetView(cluster.name, 0.0, (), ())

    async def plan(self, rendered: Rendered, cluster: Cluster) -> LaunchPlan:
        """The plan for hosts that were not asked."""
        views = [HostView(host, host) for host in cluster.hosts]
        return build_plan(rendered, cluster, views, launch_id="bench123")

    async def look(self, plan: LaunchPlan) -> LaunchPlan:
        """Nothing is found."""
        return plan

    def dry_run(self, plan: LaunchPlan) -> Sequence[str]:
        """Not asked for."""
        return ()
