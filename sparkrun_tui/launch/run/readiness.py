"""Whether it serves: health answers, the models name ours, and one token of a completion comes back."""

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
from sparkrun_tui.launch.record.events import EndpointUp, StepState
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.host_work import insist
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.launch.run.parts.running import Running
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.http.client import HttpCall, HttpReply

POLL = 1.0
TOKEN_TIMEOUT = 900.0
"""Seconds that the first token may take: over several hosts it compiles first, and slow is not failed."""

WRONG_NAME_AFTER = 30.0
QUIET_NOTICE = 600.0
_MOST_MODELS = 1000
"""Models of one server that are read."""
_LOADING = (Phase.LOAD, Phase.COMPILE, Phase.GRAPHS, Phase.READY)


async def until_ready(given: Given, running: Running, report: Reporter) -> None:
    """Wait until it serves, and report where. Raises `LaunchError` when ranks never meet or the port is another's."""
    host = given.plan.serve.ready.host
    patience = _Patience(given, report)
    while not await insist(given, report, host, Phase.READY, lambda: healthy(given)):
        patience.check()
        await asyncio.sleep(POLL)
    report.step(host, Phase.READY, StepState.RUNNING, "answers; asking for a token")
    await _named(given, report)
    await _first_token(given, report)
    _report_ready(given, running, report)


async def healthy(given: Given) -> bool:
    """Whether the health path answers with success now. Raises `LinkLost` when the host cannot be asked."""
    reply = await ask(given, given.plan.serve.ready.health_path)
    return reply is not None and reply.ok


async def ask(
    given: Given, path: str, body: Mapping[str, Any] | None = None, timeout: float = 10.0
) -> HttpReply | None:
    """The answer of our server on its host; None when nothing answers there."""
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
    """Where the server may listen: most listen everywhere, some only on the address they were given."""
    return tuple(dict.fromkeys(("127.0.0.1", serving_address(given))))


def serving_address(given: Given) -> str:
    """The address of the serving host, for people and programs elsewhere."""
    host = given.plan.serve.ready.host
    return next((view.address for view in given.plan.hosts if view.name == host), host)


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
                remedy="Another server may hold that port, or the command names the model otherwise.",
            )
        await asyncio.sleep(POLL)


def model_names(body: bytes) -> tuple[str, ...]:
    """The ids in an answer of `/v1/models`; empty when it is not one."""
    try:
        models = decode_json(body).at("data").items()
        return tuple(clean_line(item.at("id").text()) for item in models[:_MOST_MODELS])
    except JsonError:
        return ()


async def _first_token(given: Given, report: Reporter) -> None:
    ready = given.plan.serve.ready
    text = {"model": ready.served_name, "prompt": "Hi", "max_tokens": 1}
    chat = {"model": ready.served_name, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    vector = {"model": ready.served_name, "input": "Hi"}
    score = {"model": ready.served_name, "text_1": "Hi", "text_2": "Hello"}
    # A server for embeddings or scores has no path for tokens.
    ways: tuple[tuple[str, Mapping[str, Any]], ...] = (
        ("/v1/completions", text),
        ("/v1/chat/completions", chat),
        ("/v1/embeddings", vector),
        ("/v1/score", score),
        ("/v1/completions", text),
    )
    last = ""
    for path, body in ways:
        completion = partial(ask, given, path, body, TOKEN_TIMEOUT)
        reply = await insist(given, report, ready.host, Phase.READY, completion)
        if reply is not None and reply.ok:
            return
        last = f"{reply.status}: {clean_line(decode(reply.body[:500]))}" if reply is not None else "no answer"
        await asyncio.sleep(POLL)
    raise LaunchError(f"it is healthy, but gives no token ({last})", host=ready.host, remedy="Its log says why.")


def _report_ready(given: Given, running: Running, report: Reporter) -> None:
    ready = given.plan.serve.ready
    running.served = True
    for host in given.hosts:
        row = report.bus.state.hosts.get(host)
        for phase in _LOADING:
            cell = row.cells.get(phase) if row is not None else None
            if cell is not None and cell.state is StepState.RUNNING and phase is not Phase.READY:
                report.step(host, phase, StepState.OK)
    for host in given.hosts:
        report.step(host, Phase.READY, StepState.OK)
    url = f"http://{serving_address(given)}:{ready.port}/v1"
    report.bus.emit(EndpointUp(url=url, model=ready.served_name))


class _Patience:
    """Ranks that wait for each other in silence are given up after the plan's deadline; other stalls only warn."""

    def __init__(self, given: Given, report: Reporter) -> None:
        self._given = given
        self._report = report
        self._since = asyncio.get_running_loop().time()
        self._lines = self._count()
        self._warned = False

    def check(self) -> None:
        """Raises `LaunchError` when several ranks have been silent for too long before loading began."""
        now = asyncio.get_running_loop().time()
        lines = self._count()
        if lines != self._lines:
            self._lines, self._since, self._warned = lines, now, False
            return
        quiet = now - self._since
        serve = self._given.plan.serve
        if len(serve.ranks) > 1 and not self._loading() and quiet > serve.ready.meet_timeout:
            raise LaunchError(
                f"the ranks have not met: no line from any host for {format_duration(quiet)}",
                host=serve.ready.host,
                remedy="Open the hosts' firewalls to each other, and check that their addresses reach each other.",
            )
        if quiet > QUIET_NOTICE and not self._warned:
            self._warned = True
            self._report.notice("warning", f"no log line from any host for {format_duration(quiet)}")

    def _count(self) -> int:
        return sum(buffer.end for buffer in self._report.bus.logs.values())

    def _loading(self) -> bool:
        rows = self._report.bus.state.hosts.values()
        return any(phase in row.cells for row in rows for phase in _LOADING)
