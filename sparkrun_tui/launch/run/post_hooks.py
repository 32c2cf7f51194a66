"""What a recipe runs once it serves: in the head's container, then on the head host; a failure is only told."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.units import format_duration
from sparkrun_tui.engines.plan import ContainerExec, Hook, Phase
from sparkrun_tui.launch.record.events import StepState
from sparkrun_tui.launch.run.parts.context import Context
from sparkrun_tui.launch.run.parts.host_work import insist
from sparkrun_tui.launch.run.steps.start import exec_once
from sparkrun_tui.launch.run.watch import exec_code
from sparkrun_tui.recipe.values.masking import given_to
from sparkrun_tui.remote.transport import Outcome

TIME_LIMIT = 900.0
"""Seconds that one hook may take; the launch is not held up longer."""

WORK_LIMIT = 24 * 3600.0
"""Seconds that one hook may take where the server is only started for them."""

HOOK_MARK = shell.comment("sparkrun-tui: hook")
"""The first line of a recipe's own script on a host."""

_POLL = 1.0


async def run_after(context: Context) -> bool:
    """Run the hooks in order, up to the first that fails; whether all went well. The server goes on in any case."""
    serve = context.plan.serve
    hooks = [(hook, True) for hook in serve.after] + [(hook, False) for hook in serve.host_after]
    for number, (hook, inside) in enumerate(hooks, 1):
        running = _in_container(context, number, hook) if inside else _on_head(context, hook)
        if not await _told(context, hook, running):
            left = len(hooks) - number
            if left:
                context.notice("warning", f"not run after that: {', '.join(hook.title for hook, _ in hooks[number:])}")
            if serve.stop_after:
                context.notice("warning", "stop_after_post: it is not stopped, so that what failed can be looked at")
            return False
    return True


async def _told(context: Context, hook: Hook, running: Coroutine[Any, Any, str]) -> bool:
    """Await a hook and tell how it went; whether it went well."""
    host, limit = context.plan.serve.ready.host, _limit(context)
    context.notice("note", f"{hook.title}: {hook.command}", host)
    try:
        async with asyncio.timeout(limit):
            wrong = await running
    except TimeoutError:
        wrong = f"is not done after {format_duration(limit)}"
    except HostError as error:
        wrong = f"could not be run: {error.what}"
    row = context.bus.state.hosts.get(host)
    if row is not None and row.cells[Phase.READY].state is not StepState.OK:
        # A link that was lost meanwhile left it open whether the hook has ended; that it serves was known before.
        context.step(host, Phase.READY, StepState.OK)
    if wrong:
        context.notice("warning", f"{hook.title} {wrong}; the server goes on", host)
    return not wrong


def _limit(context: Context) -> float:
    return WORK_LIMIT if context.plan.serve.stop_after else TIME_LIMIT


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


async def _on_head(context: Context, hook: Hook) -> str:
    """Run a hook on the head host, its output in that log; what went wrong, empty when nothing did.

    It is run once: a link that is lost meanwhile leaves open how it ended.
    """
    host = context.plan.serve.ready.host
    command = given_to(hook.command, context.plan.env.secret)
    script = shell.script("{mark}{command}\n", mark=HOOK_MARK, command=command)
    result = await context.services.connector(host).run(script, timeout=_limit(context))
    for line in (*result.stdout.splitlines(), *result.stderr.splitlines()):
        context.bus.note(host, line)
    if result.outcome is Outcome.EXITED:
        return f"ended with exit code {result.code}" if result.code else ""
    if result.outcome is Outcome.LOST:
        return "lost its link: how it ended is not known"
    return "is not done in time" if result.outcome is Outcome.TIMED_OUT else "was ended"
