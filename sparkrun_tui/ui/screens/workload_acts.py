"""What can be done with a workload, on every page that shows one: its logs, a chat, its URL, its end."""

from __future__ import annotations

from sparkrun_tui.engines.offers import TEXT
from sparkrun_tui.fleet.model import Workload
from sparkrun_tui.ui.actor import Actor
from sparkrun_tui.ui.paint.hosts.fleet_lines import ranks_of
from sparkrun_tui.ui.paint.hosts.load_lines import endpoint
from sparkrun_tui.ui.screens.dialogs.dialog import Confirm

ACTS = ("logs", "chat", "snippets", "bench", "copy", "stop")
"""The actions that need a workload."""


class WorkloadActs(Actor):
    """A page with a workload, or without one at the moment."""

    @property
    def workload(self) -> Workload | None:
        """What the actions are for."""
        return None

    def why_not_with_workload(self, name: str) -> str:
        """Why an action that needs a workload cannot run now; empty when it can."""
        workload = self.workload
        if workload is None:
            return "This is a host: choose a workload."
        if not workload.ours and name in ("logs", "stop", "chat", "snippets"):
            return "This was not started by sparkrun-tui and can only be shown."
        if name == "bench" and workload.offers and workload.offers not in TEXT:
            return "It writes no text, which is what is measured."
        if name in ("copy", "chat", "snippets", "bench") and workload.port is None:
            return "Its port is not known."
        return ""

    async def do_logs(self) -> None:
        """Attach to the workload, and show its phases and logs."""
        workload, cluster = self.workload, self.sparkrun.state.cluster
        if workload is not None and cluster is not None:
            self.sparkrun.open_launch(await self.sparkrun.backend.attach(workload, cluster))

    async def do_chat(self) -> None:
        """Talk to its model."""
        if self.workload is not None:
            await self.sparkrun.chat_with(self.workload)

    async def do_snippets(self) -> None:
        """Show code that calls its endpoint."""
        workload, cluster = self.workload, self.sparkrun.state.cluster
        if workload is not None and cluster is not None:
            launch = await self.sparkrun.backend.attach(workload, cluster)
            self.sparkrun.follow(launch)
            self.sparkrun.open_snippets(launch)

    def do_bench(self) -> None:
        """Measure how fast it answers."""
        from sparkrun_tui.ui.screens.bench import BenchScreen

        if self.workload is not None:
            self.app.push_screen(BenchScreen(self.workload))

    def do_copy(self) -> None:
        """Copy its URL."""
        workload = self.workload
        if workload is not None:
            self.sparkrun.copy(endpoint(workload), "URL")

    async def do_stop(self) -> None:
        """Stop it, after a confirmation that names every container."""
        world = self.sparkrun.state.known_world
        view = world.view if world is not None else None
        workload, cluster = self.workload, self.sparkrun.state.cluster
        if workload is None or view is None or cluster is None:
            return
        lines = [f"Stop {workload.recipe}?", *ranks_of(workload)]
        if await self.sparkrun.ask(Confirm("Stop", lines, "Stop it", "Keep it")):
            report = await self.sparkrun.backend.stop_workload(workload, view, cluster)
            self.sparkrun.say(f"{workload.recipe}: {report.text}", "note" if report.complete else "error")
            if report.complete:
                self.sparkrun.state.world.stopped(workload.launch_id)
                self.sparkrun.world_changed()
            self.action_do("refresh")
