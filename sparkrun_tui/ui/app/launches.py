"""The launches of this session as the app follows them: counts, messages, questions, and the lines at exit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sparkrun_tui.ui.model.launch_status import COMING, OVER, SERVING

if TYPE_CHECKING:
    from sparkrun_tui.launch.record.events import LaunchStatus
    from sparkrun_tui.launch.record.state import LaunchState
    from sparkrun_tui.ui.app.shell import AppShell
    from sparkrun_tui.ui.model.ports import KeyQuestion, LaunchPort, PassphraseAsked

_KEPT_OVER = 8
"""How many launches that ended are kept in memory with recipe and logs; the journal has all of them."""


class Launches:
    """Follows every launch that was started or opened in this session, on any screen."""

    def __init__(self, app: AppShell) -> None:
        self._app = app
        self._followed: dict[str, LaunchPort] = {}
        self._demo: set[str] = set()
        self._reported: dict[str, LaunchStatus] = {}
        self._ends: dict[str, Callable[[], None]] = {}
        self._heard: dict[str, str] = {}
        """What each host has said at the login: it says the same at every one."""
        self._offered: dict[str, int] = {}
        """The number of the notice of each launch whose offer was shown last."""

    def follow(self, launch: LaunchPort) -> None:
        """Count this launch, and say when it is ready or has failed."""
        if launch.launch_id not in self._followed:
            self._followed[launch.launch_id] = launch
            cluster = self._app.state.cluster
            if cluster is not None and cluster.is_demo:
                self._demo.add(launch.launch_id)
            self._reported[launch.launch_id] = launch.state.status
            self._ends[launch.launch_id] = self._app.watch_launch(
                launch, lambda state_changed, _: self._changed(launch) if state_changed else None
            )
            self._forget_oldest()
        self._app.update_bars()

    def _forget_oldest(self) -> None:
        """Drop the oldest launches that ended, with their logs."""
        over = [launch_id for launch_id, launch in self._followed.items() if launch.state.status in OVER]
        for launch_id in over[:-_KEPT_OVER]:
            self._ends.pop(launch_id)()
            del self._followed[launch_id], self._reported[launch_id]
            self._offered.pop(launch_id, None)

    def find(self, launch_id: str) -> LaunchPort | None:
        """A launch of this session."""
        return self._followed.get(launch_id)

    def running(self) -> tuple[list[str], list[str]]:
        """The names of what is starting, and of what serves: launches of this session, and what the hosts report."""
        starting: list[str] = []
        serving: list[str] = []
        for launch in self._followed.values():
            state = launch.state
            if state.status in COMING:
                starting.append(state.recipe)
            elif state.status in SERVING:
                serving.append(state.recipe)
        world = self._app.state.known_world
        for workload in world.running if world is not None else ():
            if workload.launch_id in self._followed:
                continue
            names = starting if workload.health.value == "starting" else serving
            names.append(workload.recipe or workload.model or "?")
        return starting, serving

    def states(self) -> list[LaunchState]:
        """The states of all of them, oldest first."""
        return [launch.state for launch in self._followed.values()]

    def _changed(self, launch: LaunchPort) -> None:
        state = launch.state
        self._app.update_title()
        self._show_offer(launch)
        self._app.launch_heard(launch)
        if self._reported.get(launch.launch_id) is state.status:
            return
        self._reported[launch.launch_id] = state.status
        self._app.update_bars()
        if state.status not in COMING:
            self._app.hosts_settled(launch.launch_id)
        if self._app.shows(launch):
            if state.status in ("ready", "failed"):
                self._app.bell()
            return
        if state.status == "ready" and state.endpoint:
            self._app.say(f"{state.recipe} is serving at {state.endpoint.url}")
            self._app.bell()
        elif state.status == "failed":
            cause = state.diagnosis.title if state.diagnosis else state.detail
            self._app.say(f"{state.recipe} failed: {cause}", "error")
            self._app.bell()

    def _show_offer(self, launch: LaunchPort) -> None:
        """Say what the newest notice of a launch offers, once: to stop a start that hangs."""
        state = launch.state
        notice = state.notices[-1] if state.notices else None
        if notice is None or notice.offers != "stop" or state.status not in COMING:
            return
        if self._offered.get(launch.launch_id) == notice.seq:
            return
        self._offered[launch.launch_id] = notice.seq
        how = "Press x to stop it." if self._app.shows(launch) else "It is among what runs: press f."
        self._app.say(f"{state.recipe}: {notice.text}\n{how}", "warning")

    def host_says(self, host: str, text: str, link: str) -> None:
        """Show what a host says at the login; what asks for something stays for longer."""
        if link:
            self._app.say(f"{host} waits for a login in the browser: {link}\n{text}", "error")
        elif text and self._heard.get(host) != text:
            self._app.say(f"{host} says: {text}")
        self._heard[host] = text

    async def host_key(self, question: KeyQuestion) -> bool:
        """Ask whether to trust an unknown host key."""
        from sparkrun_tui.ui.screens.dialogs.dialog import Confirm

        lines = [
            f"{question.host} is not known yet. Its {question.key_type} key is",
            "",
            f"  {question.fingerprint}",
            "",
            question.detail or "Is this the key of your host? If you trust it, it is saved in known_hosts.",
        ]
        return await self._app.ask(Confirm("Unknown host key", lines, "Trust it", "Refuse"))

    async def passphrase(self, question: PassphraseAsked) -> str | None:
        """Ask for the passphrase of a key file."""
        from sparkrun_tui.ui.screens.dialogs.passphrase import PassphraseScreen

        return await self._app.answer(PassphraseScreen(question))

    async def leave(self) -> None:
        """Quit the app. Asks first when a launch is still starting, since its preparation ends with the app."""
        from sparkrun_tui.ui.screens.dialogs.dialog import Confirm

        lines: list[str] = []
        for launch in self._followed.values():
            if launch.launch_id not in self._demo and launch.state.status in COMING:
                lines.append(f"{launch.state.recipe} is still starting.")
        if lines:
            lines += ["", "Pulls, downloads and copies stop when the app quits.", "Containers keep running."]
            if not await self._app.ask(Confirm("Quit now?", lines, "Quit", "Stay")):
                return
        self._app.exit(0)

    def farewell(self) -> list[str]:
        """The lines printed after the app has closed: what keeps running, and where."""
        lines = []
        for launch in self._followed.values():
            state = launch.state
            if state.status in OVER or launch.launch_id in self._demo:
                continue  # the demo cluster ends with the app
            if state.endpoint and state.status in SERVING:
                from sparkrun_tui.base import shell

                stop = shell.words(["sparkrun-tui", "stop", launch.launch_id])
                lines.append(f"{state.recipe} keeps serving at {state.endpoint.url} (to stop it: {stop})")
            else:
                lines.append(f"{state.recipe} was still starting on {', '.join(state.hosts)}")
        return lines
