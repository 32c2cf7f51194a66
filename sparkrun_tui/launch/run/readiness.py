"""Waits until a launch serves: its health path answers, its model is listed, and one token is generated."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from sparkrun_tui.base.decoded import decode_json
from sparkrun_tui.base.errors import HostError, LaunchError
from sparkrun_tui.base.json_text import JsonError
from sparkrun_tui.base.text import clean_line, decode, shorten
from sparkrun_tui.base.units import format_duration
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.plan.steps import token_requests
from sparkrun_tui.launch.record.events import EndpointUp, StepState
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.host_work import insist
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.launch.run.parts.running import Running
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.http.client import HttpCall, HttpReply

POLL = 1.0
WRONG_NAME_AFTER = 30.0
QUIET_NOTICE = 600.0
_MOST_MODELS = 1000
"""The most models of one server that are read."""
_LOADING = (Phase.LOAD, Phase.COMPILE, Phase.GRAPHS, Phase.READY)


async def until_ready(given: Given, running: Running, report: Reporter) -> None:
    """Wait until the launch serves, and report where.

    Raises `LaunchError` when the ranks do not find each other, when another server holds the port, and when the server
    generates no token.
    """
    host = given.plan.serve.ready.host
    patience = _Patience(given, report)
    while True:
        reply = await insist(given, report, host, Phase.READY, lambda: ask(given, given.plan.serve.ready.health_path))
        if reply is not None and reply.ok:
            break
        patience.check(answered=reply is not None)
        await asyncio.sleep(POLL)
    asking = "; asking for a token" if given.plan.serve.ready.token else ""
    report.step(host, Phase.READY, StepState.RUNNING, f"answers{asking}")
    await _named(given, report)
    if given.plan.serve.ready.token:
        await _first_token(given, report)
    _report_ready(given, running, report)


async def healthy(given: Given) -> bool:
    """Whether the health path answers with success. Raises `LinkLost` when the host cannot be asked."""
    reply = await ask(given, given.plan.serve.ready.health_path)
    return reply is not None and reply.ok


async def ask(
    given: Given, path: str, body: Mapping[str, Any] | None = None, timeout: float = 10.0
) -> HttpReply | None:
    """The answer of the launch's server, asked from its host; None when nothing answers. Raises `LinkLost`."""
    ready = given.plan.serve.ready
    data = json.dumps(body).encode() if body is not None else b""
    for address in _addresses(given):
        call = HttpCall(ready.port, path, "POST" if data else "GET", data, address=address, timeout=timeout)
        try:
            return await given.services.http.ask(given.transport(ready.host), call)
        except LinkLost:
            raise
        except HostError:
            continue
    return None


def _addresses(given: Given) -> tuple[str, ...]:
    """Where the server may listen: most listen on all addresses, some only on the one that their command names."""
    return tuple(dict.fromkeys(("127.0.0.1", serving_address(given))))


def serving_address(given: Given) -> str:
    """The address of the serving host, for users and programs on other machines."""
    host = given.plan.serve.ready.host
    for view in given.plan.hosts:
        if view.name == host:
            return view.address
    return host


async def _named(given: Given, report: Reporter) -> None:
    ready = given.plan.serve.ready
    deadline = asyncio.get_running_loop().time() + WRONG_NAME_AFTER
    names: Sequence[str] = ()
    while True:
        reply = await insist(given, report, ready.host, Phase.READY, lambda: ask(given, ready.models_path))
        names = model_names(reply.body) if reply is not None and reply.ok else ()
        if ready.served_name in names:
            return
        if names and asyncio.get_running_loop().time() > deadline:
            raise LaunchError(
                f"the server on port {ready.port} serves {shorten(', '.join(names), 200)}, not {ready.served_name}",
                host=ready.host,
                remedy="Another server may hold that port, or the command sets another model name.",
            )
        await asyncio.sleep(POLL)


def model_names(body: bytes) -> tuple[str, ...]:
    """The model ids in an answer of `/v1/models`; empty when it has another form."""
    try:
        models = decode_json(body).at("data").items()
        return tuple(clean_line(item.at("id").text()) for item in models[:_MOST_MODELS])
    except JsonError:
        return ()


async def _first_token(given: Given, report: Reporter) -> None:
    ready = given.plan.serve.ready
    last = ""
    for path, body in token_requests(ready):
        completion = partial(ask, given, path, body, ready.token_timeout)
        reply = await insist(given, report, ready.host, Phase.READY, completion)
        if reply is not None and reply.ok:
            return
        last = "no answer"
        if reply is not None:
            last = f"{reply.status}: {shorten(clean_line(decode(reply.body[:1000])), 500)}"
        await asyncio.sleep(POLL)
    raise LaunchError(
        f"the server is healthy, but generates no token ({last})",
        host=ready.host,
        remedy="See its log for the reason.",
    )


def _report_ready(given: Given, running: Running, report: Reporter) -> None:
    ready = given.plan.serve.ready
    running.served = True
    for host in given.hosts:
        row = report.bus.state.hosts.get(host)
        cells = {} if row is None else row.cells
        for phase in (Phase.LOAD, Phase.COMPILE, Phase.GRAPHS):
            cell = cells.get(phase)
            if cell is not None and cell.state is StepState.RUNNING:
                report.step(host, phase, StepState.OK)
    for host in given.hosts:
        report.step(host, Phase.READY, StepState.OK)
    url = f"http://{serving_address(given)}:{ready.port}/v1"
    report.bus.emit(EndpointUp(url=url, model=ready.served_name))


class _Patience:
    """Gives up when ranks wait for each other without log lines beyond the plan's deadline; other stalls only warn."""

    def __init__(self, given: Given, report: Reporter) -> None:
        self._given = given
        self._report = report
        self._since = asyncio.get_running_loop().time()
        self._began = self._since
        self._answered: float | None = None
        self._lines = self._count()
        self._warned = False

    def check(self, *, answered: bool) -> None:
        """Raises `LaunchError` when a limit of the recipe is over, or several ranks never began to load.

        `answered` says whether something answers at the port. Ranks that print nothing for too long before they load
        wait for each other.
        """
        now = asyncio.get_running_loop().time()
        self._limits(now, answered)
        lines = self._count()
        if lines != self._lines:
            self._lines, self._since, self._warned = lines, now, False
            return
        quiet = now - self._since
        serve = self._given.plan.serve
        waiting_for_ranks = len(serve.ranks) > 1 and not self._loading()
        if waiting_for_ranks and quiet > serve.ready.meet_timeout:
            raise LaunchError(
                f"the ranks did not find each other: no log line from any host for {format_duration(quiet)}",
                host=serve.ready.host,
                remedy="Check that the hosts reach each other's addresses and that no firewall blocks them.",
            )
        if quiet > QUIET_NOTICE and not self._warned:
            self._warned = True
            self._report.notice("warning", f"no log line from any host for {format_duration(quiet)}")

    def _limits(self, now: float, answered: bool) -> None:
        ready = self._given.plan.serve.ready
        if not answered:
            self._answered = None
        elif self._answered is None:
            self._answered = now
        self._enough(now - self._began, ready.timeout, "the server is not healthy", "timeout")
        if self._answered is None:
            what = f"nothing answers on port {ready.port}"
            self._enough(now - self._began, ready.port_timeout, what, "port_timeout_s")
        else:
            what = f"{ready.health_path} does not answer with success"
            self._enough(now - self._answered, ready.health_timeout, what, "health_timeout_s")

    def _enough(self, passed: float, limit: float, what: str, key: str) -> None:
        if limit and passed > limit:
            raise LaunchError(
                f"{what} after {format_duration(limit)}, the recipe's own limit (`readiness.{key}`)",
                host=self._given.plan.serve.ready.host,
                remedy="See its log for what it is doing, or raise the limit in the recipe.",
            )

    def _count(self) -> int:
        return sum(buffer.end for buffer in self._report.bus.logs.values())

    def _loading(self) -> bool:
        rows = self._report.bus.state.hosts.values()
        return any(phase in row.cells for row in rows for phase in _LOADING)
