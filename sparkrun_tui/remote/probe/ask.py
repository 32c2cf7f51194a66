"""Reads the facts of a host in one round trip."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.probe.cached_model import Wanted
from sparkrun_tui.remote.probe.facts import HostFacts
from sparkrun_tui.remote.probe.parse import complete, parse
from sparkrun_tui.remote.probe.script import script
from sparkrun_tui.remote.transport import Outcome, Transport

TIMEOUT = 40.0


async def probe(
    transport: Transport,
    paths: Sequence[str] = (),
    ports: Sequence[int] = (),
    models: Sequence[Wanted] = (),
    *,
    clock: Callable[[], float] = time.time,
) -> HostFacts:
    """The facts of a host, with the disks of the folders `paths`, and the owner of each of `ports` that is in use.

    Of `models` that lie in the host's cache it also has what their own files say.

    Raises `HostError` when the host cannot be asked.
    """
    await transport.connect()
    taken, started = clock(), time.monotonic()
    result = await transport.run(script(paths, models=models), timeout=TIMEOUT)
    round_trip = time.monotonic() - started
    if result.outcome is Outcome.LOST:
        raise LinkLost("the connection was lost while the host was asked about itself", host=transport.name)
    if result.outcome is Outcome.TIMED_OUT:
        raise HostError(
            f"the host did not report its facts within {TIMEOUT:.0f} s",
            host=transport.name,
            remedy="It may be short of memory, or one of its file systems hangs.",
        )
    if not complete(result.stdout):
        said = clean_line(result.stderr.strip().rpartition("\n")[2])
        raise HostError(
            f"the host could not report its facts: {said or 'its answer is cut short'}", host=transport.name
        )
    return parse(result.stdout, name=transport.name, taken=taken, round_trip=round_trip, ports=ports, models=models)
