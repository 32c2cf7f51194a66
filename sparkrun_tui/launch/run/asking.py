"""Requests to the server of a launch, made from its host, with the API key that it wants."""

from __future__ import annotations

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.engines.command.server_key import KeyFinder
from sparkrun_tui.engines.offers import JSON, NO_ENTRY
from sparkrun_tui.engines.registry import families_of
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.launch.run.parts.running import Running
from sparkrun_tui.remote.docker.listening import Listener, Place, taken_text
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.http.client import HttpCall, HttpReply, addresses_of_server

_MOST = 1 << 20
"""Bytes that are read of an answer. More would take long to read, and a server is asked once a second."""


async def ask(
    given: Given,
    running: Running,
    report: Reporter,
    path: str,
    body: bytes = b"",
    *,
    kind: str = JSON,
    timeout: float = 10.0,
) -> HttpReply | None:
    """The answer of the launch's server, asked from its host; None when nothing answers. Raises `LinkLost`.

    Where the server wants a key that is not known, or another one, its processes are searched for it, once.
    """
    reply = await _asked(given, running, report, running.key, path, body, kind, timeout)
    if reply is None or reply.status not in NO_ENTRY or running.key_sought:
        return reply
    tried = running.key
    running.key_sought = True
    found = await sought(given, running)
    if found is None or found == tried:
        return reply
    report.bus.hide([found])
    running.key = found
    return await _asked(given, running, report, found, path, body, kind, timeout)


async def _asked(
    given: Given,
    running: Running,
    report: Reporter,
    key: Secret | None,
    path: str,
    body: bytes,
    kind: str,
    timeout: float,
) -> HttpReply | None:
    ready = given.plan.serve.ready
    method = "GET"
    headers: dict[str, str] = {}
    if body:
        method = "POST"
        headers["Content-Type"] = kind
    for address in addresses_of_server(serving_address(given)):
        if not await _may_be_asked(given, running, report, address):
            continue
        call = HttpCall(ready.port, path, method, body, headers, address, timeout, _MOST, key=key)
        try:
            return await given.services.http.ask(given.transport(ready.host), call)
        except LinkLost:
            raise
        except HostError:
            continue
    return None


async def _may_be_asked(given: Given, running: Running, report: Reporter, address: str) -> bool:
    """Whether what answers at an address is the server in the launch's container, as far as that can tell.

    A program of another user of the host may answer there: it is not taken for the server, and gets no key.
    """
    listener = await _listener(given, running, address)
    if listener is Listener.OTHER and address not in running.taken:
        running.taken.add(address)
        report.notice("warning", taken_text(address, given.plan.serve.ready.port), given.plan.serve.ready.host)
    return listener.may_be_asked


async def own_address(given: Given, running: Running) -> str:
    """The address at which the server of the launch answers, as seen from its host.

    Raises `HostError` where another program answers in its place, or nothing does.
    """
    ready = given.plan.serve.ready
    wrong = f"nothing answers on port {ready.port}"
    for address in addresses_of_server(serving_address(given)):
        listener = await _listener(given, running, address)
        if listener.may_be_asked:
            return address
        if listener is Listener.OTHER:
            wrong = taken_text(address, ready.port)
    raise HostError(wrong, host=ready.host)


async def _listener(given: Given, running: Running, address: str) -> Listener:
    """Who answers at an address in the place of the launch's server. Raises `LinkLost`."""
    ready, listeners = given.plan.serve.ready, given.services.listeners
    container = running.containers.get(0)
    if container is None:
        return Listener.UNKNOWN
    place = Place(ready.host, container, ready.port, address)
    known = listeners.known(place)
    if known is not None:
        return known
    call = HttpCall(ready.port, ready.health_path, address=address, key=None)
    try:
        # While nothing answers, the container need not be asked.
        await given.services.http.ask(given.transport(ready.host), call)
    except LinkLost:
        raise
    except HostError:
        return Listener.NOBODY
    return await listeners.at(place, given.docker(ready.host))


async def sought(given: Given, running: Running) -> Secret | None:
    """The key in the processes of the first rank; None where it is not found. Raises `LinkLost`."""
    container = running.containers.get(0)
    if container is None:
        return None
    host = given.plan.serve.ready.host
    finder = KeyFinder(families_of(given.plan.serve.engine))
    try:
        return await given.services.keys.of(host, given.docker(host), container, finder)
    except LinkLost:
        running.key_sought = False
        raise
    except HostError:
        # It has ended meanwhile, which the watch reports, or has no shell: the key stays unknown.
        return None


def serving_address(given: Given) -> str:
    """The address of the serving host, for users and programs on other machines."""
    host = given.plan.serve.ready.host
    for view in given.plan.hosts:
        if view.name == host:
            return view.address
    return host
