"""What a recipe runs once it serves: in the head's container, then on this machine; a failure is only told."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.units import format_duration
from sparkrun_tui.launch.context import Context, insist
from sparkrun_tui.launch.events import StepState
from sparkrun_tui.launch.steps_start import exec_once
from sparkrun_tui.launch.watch import exec_code
from sparkrun_tui.remote.transport import Outcome
from sparkrun_tui.runtimes.plan import ContainerExec, Hook, Phase

TIME_LIMIT = 900.0
"""Seconds that one hook may take; the launch is not held up longer."""

_POLL = 1.0


async def run_after(context: Context) -> None:
    """Run the hooks in order, up to the first that fails; the server goes on whatever becomes of them."""
    serve = context.plan.serve
    hooks = [(hook, True) for hook in serve.after] + [(hook, False) for hook in serve.local_after]
    for number, (hook, inside) in enumerate(hooks, 1):
        running = _in_container(context, number, hook) if inside else _on_workstation(context, hook)
        if not await _told(context, hook, running):
            left = len(hooks) - number
            if left:
                context.notice("warning", f"not run after that: {', '.join(hook.title for hook, _ in hooks[number:])}")
            return


async def _told(context: Context, hook: Hook, running: Coroutine[Any, Any, str]) -> bool:
    """Await a hook and tell how it went; whether it went well."""
    host = context.plan.serve.ready.host
    context.notice("note", f"{hook.title}: {hook.command}", host)
    try:
        async with asyncio.timeout(TIME_LIMIT):
            wrong = await running
    except TimeoutError:
        wrong = f"is not done after {format_duration(TIME_LIMIT)}"
    except HostError as error:
        wrong = f"could not be run: {error.what}"
    row = context.bus.state.hosts.get(host)
    if row is not None and row.cells[Phase.READY].state is not StepState.OK:
        # A link that was lost meanwhile left it open whether the hook has ended; that it serves was known before.
        context.step(host, Phase.READY, StepState.OK)
    if wrong:
        context.notice("warning", f"{hook.title} {wrong}; the server goes on", host)
    return not wrong


async def _in_container(context: Context, number: int, hook: Hook) -> str:
    """Run a hook in the head's container, its output in that log; what went wrong, empty when nothing did."""
    rank = context.ranks[0]
    key = f"after-{number}"
    execution = ContainerExec(rank.rank, hook.title, hook.command)
    context.executions[key] = await insist(
        context, rank.host, Phase.READY, lambda: exec_once(context, key, execution, rank)
    )
    while True:
        code = await insist(context, rank.host, Phase.READY, lambda: exec_code(context, rank, key))
        if code is not None:
            return f"ended with exit code {code}" if code else ""
        await asyncio.sleep(_POLL)


async def _on_workstation(context: Context, hook: Hook) -> str:
    """Run a hook on this machine, its output in the head's log; what went wrong, empty when nothing did."""
    host = context.plan.serve.ready.host
    if context.plan.cluster.is_demo:
        context.bus.note(host, f"{hook.title} is not run: the demo changes nothing on this machine")
        return ""
    result = await context.services.workstation.run(hook.command, timeout=TIME_LIMIT)
    for line in (*result.stdout.splitlines(), *result.stderr.splitlines()):
        context.bus.note(host, line)
    if result.outcome is Outcome.EXITED:
        return f"ended with exit code {result.code}" if result.code else ""
    return "is not done in time" if result.outcome is Outcome.TIMED_OUT else "was ended"
