"""Runs a recipe's hooks once it serves, in the head's container, then on the head host. Failures are only reported."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.units import format_duration
from sparkrun_tui.engines.layout.common import limited
from sparkrun_tui.engines.plan import ContainerExec, Hook, Phase
from sparkrun_tui.launch.record.events import StepState
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.host_work import insist
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.launch.run.parts.running import Running
from sparkrun_tui.launch.run.steps.start import exec_once
from sparkrun_tui.launch.run.watch import exec_code
from sparkrun_tui.recipe.format.pre_exec import MAX_TIMEOUT
from sparkrun_tui.recipe.values.masking import given_to
from sparkrun_tui.remote.aio import Turns
from sparkrun_tui.remote.transport import Outcome

TIME_LIMIT = 3600.0
"""Seconds that one hook may take, where the recipe does not say: a first run may download a lot."""

GRACE = 30.0
"""Seconds that a hook has to end once its own time is over."""

WORK_LIMIT = 24 * 3600.0
"""Seconds that one hook may take when the server is only started for the hooks."""

HOOK_MARK = shell.comment("sparkrun-tui: hook")
"""The first line of a recipe's own script on a host."""

_POLL = 1.0
_SLICE = 50
"""Lines that are kept in one go."""
_TIMED_OUT, _KILLED = 124, 137
"""What `timeout` ends with when the time is over, and when the command had to be killed."""


async def run_after(given: Given, running: Running, report: Reporter) -> bool:
    """Run the hooks in order up to the first that fails; whether all succeeded. The server goes on in any case."""
    serve = given.plan.serve
    hooks = [*serve.after, *serve.host_after]
    for number, hook in enumerate(hooks, 1):
        if number <= len(serve.after):
            work = _in_container(given, running, report, number, hook)
        else:
            work = _on_head(given, report, hook)
        if await _reported(given, report, hook, work):
            continue
        skipped = ", ".join(hook.title for hook in hooks[number:])
        if skipped:
            report.notice("warning", f"not run because of that: {skipped}")
        if serve.stop_after:
            report.notice("warning", "stop_after_post: the server is not stopped, so that you can find the cause")
        return False
    return True


async def _reported(given: Given, report: Reporter, hook: Hook, work: Coroutine[Any, Any, str]) -> bool:
    """Wait for the work of a hook and report its result; whether it succeeded."""
    host, limit = given.plan.serve.ready.host, _limit(given, hook)
    report.notice("note", f"{hook.title}: {hook.command}", host)
    try:
        async with asyncio.timeout(limit):
            wrong = await work
    except TimeoutError:
        wrong = f"did not end within {format_duration(limit)}"
    except HostError as error:
        wrong = f"could not be run: {error.what}"
    row = report.bus.state.hosts.get(host)
    if row is not None and row.cells[Phase.READY].state is not StepState.OK:
        # A link that was lost meanwhile has set the phase to unknown, but it is known that the launch serves.
        report.step(host, Phase.READY, StepState.OK)
    if wrong:
        report.notice("warning", f"{hook.title} {wrong}; the server goes on", host)
    return not wrong


def _limit(given: Given, hook: Hook) -> float:
    """Seconds to wait for a hook: its own limit with time to end, else the usual one."""
    if hook.timeout is not None:
        return hook.timeout + GRACE if hook.timeout else MAX_TIMEOUT
    return WORK_LIMIT if given.plan.serve.stop_after else TIME_LIMIT


async def _in_container(given: Given, running: Running, report: Reporter, number: int, hook: Hook) -> str:
    """Run a hook in the head's container, its output in that log; the failure in words, empty when it succeeded."""
    rank = given.ranks[0]
    key = f"after-{number}"
    execution = ContainerExec(rank.rank, hook.title, limited(hook))
    running.executions[key] = await insist(
        given, report, rank.host, Phase.READY, lambda: exec_once(given, running, key, execution, rank)
    )
    while True:
        code = await insist(given, report, rank.host, Phase.READY, lambda: exec_code(given, running, rank, key))
        if code is not None:
            return _ended(hook, code)
        await asyncio.sleep(_POLL)


def _ended(hook: Hook, code: int | None) -> str:
    """What an exit code means, in words; empty for success."""
    if not code:
        return ""
    if hook.timeout and code in (_TIMED_OUT, _KILLED):
        return f"did not end within {format_duration(hook.timeout)}"
    return f"ended with exit code {code}"


async def _on_head(given: Given, report: Reporter, hook: Hook) -> str:
    """Run a hook on the head host, its output in that log; the failure in words, empty when it succeeded.

    It is run only once: when the link is lost meanwhile, its result is unknown.
    """
    host = given.plan.serve.ready.host
    command = given_to(limited(hook), given.plan.env.secret)
    script = shell.script("{mark}{command}\n", mark=HOOK_MARK, command=command)
    result = await given.services.connector(host).run(script, timeout=_limit(given, hook))
    # A host may print millions of lines.
    turns = Turns()
    lines = [*result.stdout.splitlines(), *result.stderr.splitlines()]
    for start in range(0, len(lines), _SLICE):
        for line in lines[start : start + _SLICE]:
            report.bus.note(host, line)
        await turns.rest()
    if result.outcome is Outcome.EXITED:
        return _ended(hook, result.code)
    if result.outcome is Outcome.LOST:
        return "lost its link, so its result is unknown"
    if result.outcome is Outcome.TIMED_OUT:
        return "did not end in time"
    return "was ended"
