"""Runs a launch for the command line: probes hosts, prints events, handles signals, reports the outcome."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.user.settings import Cluster, Settings
from sparkrun_tui.cli import output
from sparkrun_tui.cli.context import Target, open_services
from sparkrun_tui.cli.exits import Exit, report, say
from sparkrun_tui.cli.following import LogPrinter
from sparkrun_tui.launch.launcher import Launcher
from sparkrun_tui.launch.plan.plan import LaunchPlan
from sparkrun_tui.launch.record.codec import to_json
from sparkrun_tui.launch.record.events import AnyEvent, LaunchStatus, StepState
from sparkrun_tui.launch.record.narration import Narrator, diagnosis_lines
from sparkrun_tui.launch.record.state import LaunchState
from sparkrun_tui.launch.run.cleanup import unconfirmed
from sparkrun_tui.launch.run.launch import Launch
from sparkrun_tui.launch.sizing.evaluation import judged_size
from sparkrun_tui.launch.sizing.placing import propose
from sparkrun_tui.launch.sizing.sizing import host_memory, needed_bytes
from sparkrun_tui.memory.result import Estimate, Level
from sparkrun_tui.recipe.model import Severity
from sparkrun_tui.recipe.trust import consented_variables
from sparkrun_tui.recipe.values.rendered import Rendered
from sparkrun_tui.remote.probe.facts import HostFacts

SERVING = frozenset({LaunchStatus.READY, LaunchStatus.DEGRADED})
_DOWN = frozenset({"reconnecting", "unreachable", "needs user"})


@dataclass(frozen=True, slots=True)
class RunRequest:
    """The arguments of `run`, resolved."""

    settings: Settings
    rendered: Rendered
    target: Target
    solo: bool
    follow: bool
    as_json: bool
    ignored: frozenset[str]


async def carry_out(request: RunRequest) -> int:
    """Launch and print what happens; returns the exit code."""
    async with open_services(request.settings, request.target) as (cluster, services):
        launcher = Launcher(request.settings, services)
        try:
            plan = await _plan(launcher, request, cluster)
            _warn(plan)
            estimate = _estimate(launcher, plan)
            for text in _memory_lines(estimate):
                say(text)
            launch = launcher.launch(plan, memory_needed=needed_bytes(estimate), ignored=request.ignored)
            return await _watch(launch, request)
        finally:
            await launcher.close()


async def _plan(launcher: Launcher, request: RunRequest, cluster: Cluster) -> LaunchPlan:
    """The plan with real paths and addresses, for which the hosts that it needs are probed first.

    Raises the first `HostError` when hosts do not answer; the others are printed.
    """
    consented = consented_variables(request.rendered.recipe)
    first = launcher.plan(request.rendered, cluster, solo=request.solo, consented=consented)
    names = first.host_names
    found = dict(await launcher.probe(cluster, names, plan=first))
    others = [name for name in cluster.hosts if name not in names]
    # Hosts that the user names are taken as they are named.
    may_choose = bool(others) and not request.target.hosts and not request.solo
    if may_choose and not _has_room(launcher, first, found):
        found |= await launcher.probe(cluster, others)
        names = _emptiest(cluster, names, found)
    silent = [error for name, error in found.items() if isinstance(error, HostError) and name in names]
    for error in silent[1:]:
        report(error)
    if silent:
        raise silent[0]
    plan = launcher.plan(request.rendered, cluster, names, solo=request.solo, consented=consented)
    not_kept = await launcher.learn(plan)
    if not_kept:
        say(f"warning: {not_kept}")
    return launcher.plan(request.rendered, cluster, names, solo=request.solo, consented=consented)


def _has_room(launcher: Launcher, plan: LaunchPlan, found: Mapping[str, HostFacts | HostError]) -> bool:
    """Whether the hosts of a plan answer, and the estimate does not say that they have too little memory."""
    if any(isinstance(answer, HostError) for answer in found.values()):
        return False
    return _estimate(launcher, plan).level is not Level.BAD


def _emptiest(cluster: Cluster, first: Sequence[str], found: Mapping[str, HostFacts | HostError]) -> tuple[str, ...]:
    """The hosts that the app would propose, too; they are named when they are not the first ones."""
    memory = {name: host_memory(facts) for name, facts in found.items() if isinstance(facts, HostFacts)}
    names = propose(cluster.hosts, memory, len(first))
    reasons = []
    for name in first:
        if name not in names:
            reasons.append(f"{name} has less free memory" if name in memory else f"{name} does not answer")
    if reasons:
        say(f"launching on {', '.join(names)}: {', '.join(reasons)} (-H chooses the hosts)")
    return names


def _warn(plan: LaunchPlan) -> None:
    """Print the warnings about the recipe before anything is done. Errors are raised later, by the launch itself."""
    for problem in plan.problems:
        if problem.severity is not Severity.WARNING:
            continue
        where = f"{problem.spot}: " if problem.spot else ""
        say(f"{where}warning: {problem.message}")
        if problem.remedy:
            say(f"  {problem.remedy}")


def _estimate(launcher: Launcher, plan: LaunchPlan) -> Estimate:
    return judged_size(plan.rendered, [host_memory(launcher.facts[name]) for name in plan.host_names])


def _memory_lines(estimate: Estimate) -> Sequence[str]:
    from sparkrun_tui.cli.text.recipes import MARKS

    verdicts = (estimate.starts, estimate.context, estimate.headroom)
    if all(verdict.level is Level.UNKNOWN for verdict in verdicts):
        return [f"memory: ? the memory use of this recipe is unknown: {estimate.starts.detail}"]
    return ["memory: " + "; ".join(f"{MARKS[verdict.level]} {verdict.text}" for verdict in verdicts)]


async def _watch(launch: Launch, request: RunRequest) -> int:
    events = _EventPrinter(request.as_json)
    signals = Signals(launch)
    printer = LogPrinter(launch, as_json=request.as_json) if request.follow else None
    try:
        async for event in launch.events():
            events.show(event)
            if not request.follow and launch.state.status in SERVING and launch.state.endpoint is not None:
                break
        if printer is not None:
            await printer.finish()
    finally:
        signals.close()
        if printer is not None:
            printer.close()
    if launch.state.status in SERVING or signals.detached:
        await launch.detach()
    else:
        await launch.wait_ended()
    return ending(launch, signals.detached, request.as_json)


class _EventPrinter:
    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._narrator = Narrator()

    def show(self, event: AnyEvent) -> None:
        if self._as_json:
            output.as_json_line(to_json(event))
            return
        for text in self._narrator.lines(event):
            output.line(text)


def ending(launch: Launch, detached: bool, as_json: bool) -> Exit:
    """Print the outcome of a launch; returns the exit code."""
    state = launch.state
    name = launch.launch_id
    serving = state.status in SERVING
    if serving or (detached and state.endpoint is not None):
        if not as_json:
            _say_endpoint(launch)
        if serving and launch.plan.serve.stop_after:
            say("not stopped, because its post commands failed (stop_after_post)")
            return Exit.FAILED
        return Exit.OK
    if state.status is LaunchStatus.FAILED:
        _say_failure(state)
        say(f"to see its logs: sparkrun-tui logs {name}")
        return Exit.HOST if host_is_lost(state) else Exit.FAILED
    if state.status is LaunchStatus.CANCELLED:
        say("cancelled; images and models that were sent to the hosts stay there")
        return Exit.INTERRUPTED
    if state.status is LaunchStatus.STOPPED:
        return Exit.HOST if unconfirmed(state.detail) else Exit.OK
    if detached:
        say(f"detached before it was ready; to see it: sparkrun-tui status, to stop it: sparkrun-tui stop {name}")
        return Exit.INTERRUPTED
    say(f"the outcome is unknown: {state.detail}")
    return Exit.HOST


def _say_endpoint(launch: Launch) -> None:
    """Print where the launch serves, and that it keeps running."""
    endpoint = launch.state.endpoint
    if endpoint is None:
        return
    name = launch.launch_id
    output.line(f"ready: {endpoint.url} (model {endpoint.model})")
    if launch.plan.cluster.is_demo:
        say("the demo cluster ends with this command; on real hosts it would keep running")
    else:
        say(f"it keeps running; to see its logs: sparkrun-tui logs {name} -f, to stop it: sparkrun-tui stop {name}")


def _say_failure(state: LaunchState) -> None:
    if state.diagnosis is None:
        say(state.detail)
        return
    for text in diagnosis_lines(state.diagnosis):
        say(text)


def host_is_lost(state: LaunchState) -> bool:
    """Whether a host could not be reached at the end, so that its part of the result is unknown."""
    rows = state.hosts.values()
    unknown = any(cell.state is StepState.UNKNOWN for row in rows for cell in row.cells.values())
    return unknown or any(row.link in _DOWN for row in rows)


def _finished_steps(state: LaunchState) -> int:
    done = 0
    for row in state.hosts.values():
        for cell in row.cells.values():
            if cell.state in (StepState.OK, StepState.SKIPPED):
                done += 1
    return done


class Signals:
    """ctrl+c cancels the launch, a second one forces it; a closed terminal or SIGTERM detaches from it.

    While the launch serves, or is only watched, ctrl+c detaches as well.
    """

    def __init__(self, launch: Launch, *, watching: bool = False) -> None:
        self._launch = launch
        self._watching = watching
        self._cancelled = False
        self._leaving: asyncio.Task[None] | None = None
        self.detached = False
        self._loop = asyncio.get_running_loop()
        self._loop.add_signal_handler(signal.SIGINT, self._interrupt)
        self._loop.add_signal_handler(signal.SIGTERM, self._detach)
        self._loop.add_signal_handler(signal.SIGHUP, self._hang_up)

    def close(self) -> None:
        """Remove the signal handlers."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._loop.remove_signal_handler(number)

    def _interrupt(self) -> None:
        if self._cancelled:
            say("forcing: not waiting for hosts that do not answer")
            self._launch.force()
        elif self._watching or self._launch.state.endpoint is not None:
            self._detach()
        else:
            self._cancelled = True
            done = _finished_steps(self._launch.state)
            say(f"cancelling after {done} finished steps: containers are removed, their logs are kept")
            say("press ctrl+c again to force it")
            self._launch.cancel()

    def _detach(self) -> None:
        if self._leaving is None:
            self.detached = True
            self._leaving = self._loop.create_task(self._launch.detach())

    def _hang_up(self) -> None:
        # The terminal is gone: discard any further output.
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
        self._detach()
