"""Leases on hosts, so that two launches do not prepare the same host at the same time.

A lease is a folder on the host that only one launch can create, with a file that names its owner. Its owner renews it
and removes it at the end. Times are those of the host's clock. A lease that was not renewed for two minutes, or whose
program was killed on this machine, is taken over: it is about preparing, not about serving. Containers that run
protect themselves by their labels (`launch/plan/preflight.py`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import HostError, LaunchError
from sparkrun_tui.base.reading import identifiers
from sparkrun_tui.base.reading.json_text import JsonError, parse_json
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.text import clean_line, shorten
from sparkrun_tui.base.units import format_duration
from sparkrun_tui.launch.run.parts import owner
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.host_work import drop
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.remote.lease import TTL, mention, release
from sparkrun_tui.remote.transport import Outcome, Result, Transport

RENEW = 30.0

_ACQUIRE = """\
# sparkrun-tui: lease-take
base="$HOME/.cache/sparkrun-tui"; lock="$base/lock"
mkdir -p "$base" || exit 3
now=$(date +%s) won=
take() {{
    said=$(mkdir "$lock" 2>&1) || {{
        # It is another's, or was until just now. A home that is full or read-only is not held by anybody.
        if [ -d "$lock" ]; then return 1; fi
        if [ ! -e "$lock" ] && mkdir "$lock.probe.$$" 2>/dev/null; then rmdir "$lock.probe.$$"; return 1; fi
        echo "$said" >&2
        exit 3
    }}
    if printf %s {owner} >"$lock/owner.json" && echo "$now" >"$lock/renewed"; then return 0; fi
    # No room for the owner's name; or somebody took the folder away meanwhile, and it may be theirs by now.
    if [ ! -d "$lock" ] || [ -s "$lock/owner.json" ]; then return 1; fi
    rm -rf "$lock"
    exit 3
}}
if take; then echo won; exit 0; fi
if grep -qF -e {launch} "$lock/owner.json" 2>/dev/null; then echo "$now" >"$lock/renewed"; echo won; exit 0; fi
renewed=$(cat "$lock/renewed" 2>/dev/null || stat -c %Y "$lock" 2>/dev/null || echo "$now")
age=$((now - renewed))
victim() {{
    if [ -n {victim} ]; then grep -qF -e {victim} "$1/owner.json" 2>/dev/null; else [ ! -s "$1/owner.json" ]; fi
}}
if [ {steal} = 1 ]; then
    # One at a time may take the lease away; a folder that is a minute old was left by a program that was killed.
    find "$base/lock.steal" -maxdepth 0 -mmin +1 -exec rmdir {{}} + 2>/dev/null
    if mkdir "$base/lock.steal" 2>/dev/null; then
        victim "$lock" && rm -rf "$lock"
        take && won=yes
        rmdir "$base/lock.steal"
        if [ "$won" = yes ]; then echo won; exit 0; fi
    else
        # Wait for the one that takes it away, so that the owner named below is the new one.
        tries=0
        while [ -d "$base/lock.steal" ] && [ "$tries" -lt 10 ]; do sleep 1; tries=$((tries + 1)); done
    fi
fi
# The one that has just taken it may not have written its name yet.
tries=0
while [ ! -s "$lock/owner.json" ] && [ "$tries" -lt 5 ]; do sleep 1; tries=$((tries + 1)); done
if [ "$age" -gt {ttl} ]; then echo "expired $age"; else echo "held $age"; fi
cat "$lock/owner.json" 2>/dev/null || :
"""
_RENEW = (
    "# sparkrun-tui: lease-renew\n"
    'lock="$HOME/.cache/sparkrun-tui/lock"; grep -qF -e {launch} "$lock/owner.json" && date +%s >"$lock/renewed"\n'
)


@dataclass(frozen=True, slots=True)
class _Answer:
    """The state of a host's lease: `won`, `held` or `expired`, its owner, and the seconds since it was renewed."""

    verdict: str
    owner: Mapping[str, object]
    age: int = 0


class Leases:
    """The leases of one launch on its hosts."""

    def __init__(self, given: Given, report: Reporter) -> None:
        self._given = given
        self._report = report
        self._held: list[str] = []
        """Hosts whose lease this launch may hold."""
        self._renewing: asyncio.Task[None] | None = None

    async def acquire(self) -> None:
        """Take the leases of all hosts or none, in an order that is the same for all launches, and keep renewing them.

        Raises `LaunchError`, which names the owner, when another launch holds one.
        """
        try:
            for host in sorted(self._given.hosts):
                # Noted before the request: a task that is cancelled during it may already hold the lease.
                self._held.append(host)
                await _acquire_one(self._given, self._report, host)
        except (HostError, LaunchError):
            await self.release()
            raise
        self._renewing = asyncio.create_task(self._renew(), name=f"lease {self._given.plan.launch_id}")

    async def release(self) -> None:
        """Give back every lease; on a host that cannot be asked it expires by itself."""
        if self._renewing is not None:
            await drop([self._renewing])
            self._renewing = None
        hosts, self._held = self._held, []

        async def one(host: str) -> None:
            await release(self._given.transport(host), self._given.plan.launch_id)

        await asyncio.gather(*(one(host) for host in hosts), return_exceptions=True)

    async def _renew(self) -> None:
        script = shell.script(_RENEW, launch=mention(self._given.plan.launch_id))

        async def one(host: str) -> None:
            await self._given.transport(host).run(script, timeout=60.0)

        while True:
            await asyncio.sleep(RENEW)
            # Failures are ignored: a lease without renewal expires by itself.
            await asyncio.gather(*(one(host) for host in self._held), return_exceptions=True)


async def _acquire_one(given: Given, report: Reporter, host: str) -> None:
    note = await _take(given.transport(host), given.plan.launch_id)
    if note:
        report.notice("note", note, host)


async def _take(transport: Transport, launch_id: str, doing: str = "") -> str:
    """Take the lease of a host; what there is to say of it, empty when nothing is. Raises `LaunchError`.

    `doing` says what it is taken for, where that is no launch.
    """
    answer = await _ask(transport, launch_id, doing=doing)
    why = _given_up(answer)
    note = ""
    if why:
        note = f"took over the lease of launch {owner.field(answer.owner, 'launch')}, {why}"
        answer = await _ask(transport, launch_id, steal=answer.owner, doing=doing)
    if answer.verdict != "won":
        raise _held(answer, transport.name)
    return note


@asynccontextmanager
async def lease_of(transport: Transport, name: str, doing: str) -> AsyncIterator[None]:
    """Hold the lease of one host under an id, so that no launch prepares it meanwhile; `doing` is shown to others.

    Raises `LaunchError`, which names the owner, when a launch holds it, and `HostError`.
    """

    async def renew() -> None:
        script = shell.script(_RENEW, launch=mention(name))
        while True:
            await asyncio.sleep(RENEW)
            with suppress(HostError):
                await transport.run(script)

    await _take(transport, name, doing)
    renewing = asyncio.create_task(renew(), name=f"lease {name}")
    try:
        yield
    finally:
        await drop([renewing])
        with suppress(HostError):
            # Without an answer it expires by itself.
            await release(transport, name)


def holder_of(text: bytes, age: int) -> str:
    """Who holds a host and what for, by the file of its lease and the seconds since it was renewed.

    Empty where the lease has expired, or its owner has ended.

    The file on the host may hold anything.
    """
    if age > TTL:
        return ""
    found: Any = None
    with suppress(JsonError):
        found = parse_json(text)
    whose: dict[str, object] = {}
    if isinstance(found, dict):
        whose = found
    if owner.is_gone(whose):
        return ""
    who = owner.field(whose, "user") or "somebody"
    doing = owner.field(whose, "doing")
    if doing:
        return f"{who} is {shorten(doing, 80)} on this host"
    launch = identifiers.launch_id(owner.field(whose, "launch")) or "unknown"
    return f"launch {launch} by {who} prepares this host"


def _given_up(answer: _Answer) -> str:
    """The reason why a lease may be taken over, in words; empty when it may not."""
    if answer.verdict == "held" and owner.is_gone(answer.owner):
        return "whose program was killed on this machine"
    if answer.verdict == "expired":
        return "which has expired"
    return ""


def _held(answer: _Answer, host: str) -> LaunchError:
    # The file on the host may hold anything; a command to paste only gets a valid launch id.
    launch = identifiers.launch_id(owner.field(answer.owner, "launch"))
    remedy = "Wait for it"
    if launch is not None:
        remedy += f", or end it: {shell.words(['sparkrun-tui', 'stop', launch])}"
    remedy += "   (or remove ~/.cache/sparkrun-tui/lock on that host)"
    left = max(TTL - answer.age, 0)
    until = f"its lease ends in {format_duration(left)} unless it is renewed"
    who = owner.field(answer.owner, "user") or "somebody"
    doing = owner.field(answer.owner, "doing")
    if doing:
        remedy = "Wait for it   (or remove ~/.cache/sparkrun-tui/lock on that host)"
        return LaunchError(f"{who} is {shorten(doing, 80)} on this host ({until})", host=host, remedy=remedy)
    what = f"another launch is preparing this host: {launch or 'unknown'} by {who} ({until})"
    return LaunchError(what, host=host, remedy=remedy)


async def _ask(
    transport: Transport, launch_id: str, *, steal: Mapping[str, object] | None = None, doing: str = ""
) -> _Answer:
    """Ask for the lease. `steal` is the owner whose lease is taken away, if that owner still holds it."""
    victim = owner.field(steal, "launch") if steal is not None else ""
    script = shell.script(
        _ACQUIRE,
        owner=json.dumps({**owner.describe(launch_id), **({"doing": doing} if doing else {})}),
        launch=mention(launch_id),
        victim=mention(victim) if victim else "",
        ttl=TTL,
        steal=int(steal is not None),
    )
    result = await transport.run(script)
    if result.outcome is Outcome.LOST:
        # It is unknown whether the folder was created: a second request finds out.
        await transport.connect()
        result = await transport.run(script)
    return _read(result, transport.name)


def _read(result: Result, host: str) -> _Answer:
    if not result.ok:
        why = clean_line(result.stderr) or str(result.outcome)
        raise HostError(
            f"cannot write to ~/.cache/sparkrun-tui: {why}",
            host=host,
            remedy="Check the free disk space and the permissions of that folder.",
        )
    first, _, rest = result.stdout.partition("\n")
    verdict, _, age = first.strip().partition(" ")
    found: Any = None
    if rest.strip():
        # An unreadable file of the owner is the same as none.
        with suppress(JsonError):
            found = parse_json(rest)
    whose: dict[str, object] = {}
    if isinstance(found, dict):
        whose = found
    return _Answer(verdict, whose, identifiers.size(age) or 0)
