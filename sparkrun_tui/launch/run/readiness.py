"""Waits until a launch serves: its health path answers, its model is listed, and one answer of its kind comes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.reading.decoded import decode_json
from sparkrun_tui.base.reading.json_text import JsonError
from sparkrun_tui.base.text import beginning, clean_line, shorten
from sparkrun_tui.base.units import format_duration
from sparkrun_tui.engines.offers import (
    NO_ENTRY,
    NOT_OFFERED,
    SCHEMA_PATH,
    Offer,
    Request,
    offer_at,
    paths_of_schema,
    ways,
)
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.record.events import EndpointUp, StepState
from sparkrun_tui.launch.run.asking import ask, serving_address
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.host_work import insist
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.launch.run.parts.running import Running
from sparkrun_tui.remote.http.client import HttpReply

POLL = 1.0
WANTS_KEY = "serves, wants a key: its API key is not known here"
WANTS_OTHER_KEY = "serves, wants a key: it refuses the one that is known here"

WRONG_NAME_AFTER = 30.0
_MOST_MODELS = 1000
"""The most models of one server that are read."""
_MOST_WORDS = 500
"""The most characters that are shown of an answer."""
_LOADING = (Phase.LOAD, Phase.COMPILE, Phase.GRAPHS, Phase.READY)


async def until_ready(given: Given, running: Running, report: Reporter) -> None:
    """Wait until the launch serves, and report where.

    It serves once one answer of the kind that it offers has come. A server that wants an API key that is not known
    serves as well. Raises `LaunchError` when the ranks do not find each other, when another server holds the port, and
    when the server answers nothing.
    """
    await _Wait(given, running, report).serve()


class _Wait:
    """The wait of one launch for its server."""

    def __init__(self, given: Given, running: Running, report: Reporter) -> None:
        self._given = given
        self._running = running
        self._report = report
        self._ready = given.plan.serve.ready
        self._clock = asyncio.get_running_loop().time

    async def serve(self) -> None:
        patience = _Patience(self._given, self._report)
        while True:
            reply = await self._asked(Request(self._ready.health_path, b""))
            if reply is not None and (reply.ok or reply.status in NO_ENTRY):
                break
            patience.check(answered=reply is not None)
            await asyncio.sleep(POLL)
        self._step("answers; asking for its name")
        offer: Offer | None = None
        named = await self._named()
        if named and self._ready.token:
            offer = await self._first_answer()
        _report_ready(self._given, self._running, self._report, offer)

    def _step(self, detail: str) -> None:
        self._report.step(self._ready.host, Phase.READY, StepState.RUNNING, detail)

    async def _asked(self, request: Request, timeout: float = 10.0) -> HttpReply | None:
        def ask_it() -> Awaitable[HttpReply | None]:
            return ask(
                self._given,
                self._running,
                self._report,
                request.path,
                request.body,
                kind=request.kind,
                timeout=timeout,
            )

        return await insist(self._given, self._report, self._ready.host, Phase.READY, ask_it)

    async def _named(self) -> bool:
        """Wait until the model is listed under its name; False when a key is wanted first.

        Raises `LaunchError` when another name is listed.
        """
        ready = self._ready
        began = self._clock()
        warned = False
        while True:
            reply = await self._asked(Request(ready.models_path, b""))
            late = self._clock() - began > WRONG_NAME_AFTER
            if reply is not None and reply.status in NO_ENTRY:
                self._wants_key(reply)
                return False
            if reply is not None and reply.status in NOT_OFFERED:
                # A server of another kind, which lists no models.
                return True
            names: Sequence[str] = ()
            if reply is not None and reply.ok:
                names = model_names(reply.body)
            if ready.served_name in names:
                return True
            if names and late:
                raise LaunchError(
                    f"the server on port {ready.port} serves {shorten(', '.join(names), 200)}, not {ready.served_name}",
                    host=ready.host,
                    remedy="Another server may hold that port, or the command sets another model name.",
                )
            if late and reply is not None and reply.ok:
                # Its list has another form: one answer under this name says as much.
                return True
            if late and not warned:
                warned = True
                self._report.notice("warning", f"{ready.models_path} gives no name yet: {_words(reply)}", ready.host)
            await asyncio.sleep(POLL)

    def _wants_key(self, reply: HttpReply) -> None:
        self._running.note = WANTS_KEY
        if self._running.key is not None:
            self._running.note = WANTS_OTHER_KEY
        self._report.notice("warning", f"{self._running.note} (it answered {reply.status})", self._ready.host)

    async def _first_answer(self) -> Offer | None:
        """The first kind that gives an answer; None where no request that is known here fits the server.

        Raises `LaunchError` when a path that it has fails.
        """
        failing: list[tuple[Offer, str]] = []
        last = ""
        began = self._clock()
        for offer, path in await self._ways():
            reply = await self._tried(offer, path)
            if reply is not None and reply.ok:
                return offer
            if reply is not None and reply.status in NO_ENTRY:
                self._wants_key(reply)
                return None
            if reply is None and self._clock() - began >= self._ready.token_timeout:
                # It hangs: the other paths would take as long again.
                raise self._answers_nothing("no answer")
            if reply is None or (reply.status >= 500 and reply.status not in NOT_OFFERED):
                failing.append((offer, path))
            if reply is None or reply.status not in NOT_OFFERED:
                last = _words(reply)
            await asyncio.sleep(POLL)
        for offer, path in failing:
            # The first request may have come too early.
            reply = await self._tried(offer, path)
            if reply is not None and reply.ok:
                return offer
            last = _words(reply)
            await asyncio.sleep(POLL)
        if failing:
            raise self._answers_nothing(last)
        text = "ready by its health and its name: no request that is known here fits it"
        self._report.notice("note", f"{text} ({last})" if last else text, self._ready.host)
        return None

    def _answers_nothing(self, last: str) -> LaunchError:
        return LaunchError(
            f"the server is healthy, but generates no token ({last})",
            host=self._ready.host,
            remedy="See its log for the reason.",
        )

    async def _tried(self, offer: Offer, path: str) -> HttpReply | None:
        self._step(f"answers; asking for {offer.one}")
        ready = self._ready
        return await self._asked(offer.request(path, ready.served_name, ready.prompt), ready.token_timeout)

    async def _ways(self) -> Sequence[tuple[Offer, str]]:
        """What to ask for and where, in this order: what the recipe says, else what the server offers."""
        ready = self._ready
        asked = offer_at(ready.token_path)
        if asked is not None:
            return [(asked, ready.token_path)]
        return list(ways(await self._listed(), ready.offers))

    async def _listed(self) -> frozenset[str]:
        """The paths that the server says it has; empty where it does not say."""
        reply = await self._asked(Request(SCHEMA_PATH, b""))
        if reply is None or not reply.ok:
            return frozenset()
        return paths_of_schema(reply.body)


def _words(reply: HttpReply | None) -> str:
    """An answer that is not one of success, in words."""
    if reply is None:
        return "no answer"
    return f"{reply.status}: {beginning(reply.body, _MOST_WORDS)}"


def model_names(body: bytes) -> tuple[str, ...]:
    """The model ids in an answer of `/v1/models`; empty when it has another form."""
    try:
        models = decode_json(body).at("data").items(_MOST_MODELS)
        return tuple(clean_line(item.at("id").text()) for item in models)
    except JsonError:
        return ()


def _report_ready(given: Given, running: Running, report: Reporter, offer: Offer | None) -> None:
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
    wants_key = running.key is not None or bool(running.note)
    offers = ready.offers
    if offer is not None:
        offers = offer.name
    report.bus.emit(EndpointUp(url=url, model=ready.served_name, offers=offers, wants_key=wants_key))


class _Patience:
    """Gives up when ranks wait for each other without log lines beyond the plan's deadline, or at a recipe's limit.

    What else a silent start does is said by `silence`.
    """

    def __init__(self, given: Given, report: Reporter) -> None:
        self._given = given
        self._report = report
        self._since = asyncio.get_running_loop().time()
        self._began = self._since
        self._answered: float | None = None
        self._lines = self._count()

    def check(self, *, answered: bool) -> None:
        """Raises `LaunchError` when a limit of the recipe is over, or several ranks never began to load.

        `answered` says whether something answers at the port. Ranks that print nothing for too long before they load
        wait for each other.
        """
        now = asyncio.get_running_loop().time()
        self._limits(now, answered)
        lines = self._count()
        if lines != self._lines:
            self._lines, self._since = lines, now
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
