"""Leases on hosts, so that two launches do not prepare the same host at once; kept by renewing, given back at the end.

A lease is a folder that only one can make, with its owner inside. It counts by the host's own clock. One that was not
renewed for two minutes, or whose program was killed on this machine, is taken over, unless a container of its
owner's launch is running.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sparkrun_tui.base import identifiers, shell
from sparkrun_tui.base.errors import HostError, LaunchError
from sparkrun_tui.base.json_text import JsonError, parse_json
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.base.units import format_duration
from sparkrun_tui.engines.plan import LABEL
from sparkrun_tui.launch.run.parts import owner
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.host_work import drop
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.remote.transport import Outcome, Result

TTL = 120
RENEW = 30.0
_RELEASE_TIMEOUT = 5.0

_ACQUIRE = """\
# sparkrun-tui: lease-take
base="$HOME/.cache/sparkrun-tui"; lock="$base/lock"
mkdir -p "$base" || exit 3
now=$(date +%s) won=
take() {{ mkdir "$lock" 2>/dev/null && printf %s {owner} >"$lock/owner.json" && echo "$now" >"$lock/renewed"; }}
if take; then echo won; exit 0; fi
if grep -qF -e {launch} "$lock/owner.json" 2>/dev/null; then echo "$now" >"$lock/renewed"; echo won; exit 0; fi
renewed=$(cat "$lock/renewed" 2>/dev/null || stat -c %Y "$lock" 2>/dev/null || echo "$now")
age=$((now - renewed))
victim() {{
    if [ -n {victim} ]; then grep -qF -e {victim} "$1/owner.json" 2>/dev/null; else [ ! -s "$1/owner.json" ]; fi
}}
if [ {steal} = 1 ]; then
    # Taking it away is for one at a time; a folder left by one that was killed at it is a minute old.
    find "$base/lock.steal" -maxdepth 0 -mmin +1 -exec rmdir {{}} + 2>/dev/null
    if mkdir "$base/lock.steal" 2>/dev/null; then
        victim "$lock" && rm -rf "$lock"
        take && won=yes
        rmdir "$base/lock.steal"
        if [ "$won" = yes ]; then echo won; exit 0; fi
    else
        # Whoever is at it is waited for, so that the owner named below is the new one.
        tries=0
        while [ -d "$base/lock.steal" ] && [ "$tries" -lt 10 ]; do sleep 1; tries=$((tries + 1)); done
    fi
fi
# Whoever has just taken it may not have written its name yet.
tries=0
while [ ! -s "$lock/owner.json" ] && [ "$tries" -lt 5 ]; do sleep 1; tries=$((tries + 1)); done
if [ "$age" -gt {ttl} ]; then echo "expired $age"; else echo "held $age"; fi
cat "$lock/owner.json" 2>/dev/null || :
"""
_RENEW = (
    "# sparkrun-tui: lease-renew\n"
    'lock="$HOME/.cache/sparkrun-tui/lock"; grep -qF -e {launch} "$lock/owner.json" && date +%s >"$lock/renewed"\n'
)
_RELEASE = """\
# sparkrun-tui: lease-release
lock="$HOME/.cache/sparkrun-tui/lock"
grep -qF -e {launch} "$lock/owner.json" 2>/dev/null && rm -rf "$lock"
true
"""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a host says of its lease: won, held or expired; whose it is, and seconds since it was renewed."""

    verdict: str
    owner: Mapping[str, object]
    age: int = 0


class Leases:
    """The leases of one launch on its hosts."""

    def __init__(self, given: Given, report: Reporter) -> None:
        self._given = given
        self._report = report
        self._held: list[str] = []
        """Hosts whose lease may be held."""
        self._renewing: asyncio.Task[None] | None = None

    async def acquire(self) -> None:
        """Take the lease of every host, in one order for all launches, all or none; then keep renewing them.

        Raises `LaunchError` that names the owner when another launch holds one.
        """
        try:
            for host in sorted(self._given.hosts):
                # Noted before it is asked for: a task that is cancelled on the way may hold it already.
                self._held.append(host)
                await _acquire_one(self._given, self._report, host)
        except (HostError, LaunchError):
            await self.release()
            raise
        self._renewing = asyncio.create_task(self._renew(), name=f"lease {self._given.plan.launch_id}")

    async def release(self) -> None:
        """Give back every lease that is held; a host that cannot be asked keeps it until it runs out."""
        if self._renewing is not None:
            await drop([self._renewing])
            self._renewing = None
        hosts, self._held = self._held, []
        script = shell.script(_RELEASE, launch=_mention(self._given.plan.launch_id))
        await self._run_on(hosts, script, timeout=_RELEASE_TIMEOUT)

    async def _renew(self) -> None:
        script = shell.script(_RENEW, launch=_mention(self._given.plan.launch_id))
        while True:
            await asyncio.sleep(RENEW)
            await self._run_on(self._held, script)

    async def _run_on(self, hosts: Sequence[str], script: shell.Text, timeout: float = 60.0) -> None:
        """Run a script on all hosts at once; the lease of one that cannot be asked runs out by itself."""

        async def one(host: str) -> None:
            await self._given.transport(host).run(script, timeout=timeout)

        await asyncio.gather(*(one(host) for host in hosts), return_exceptions=True)


async def _acquire_one(given: Given, report: Reporter, host: str) -> None:
    answer = await _ask(given, host)
    why = _given_up(answer)
    if why and not await _alive(given, host, answer.owner):
        report.notice("note", f"took over the lease of launch {owner.field(answer.owner, 'launch')}, {why}", host)
        answer = await _ask(given, host, steal=answer.owner)
    if answer.verdict != "won":
        raise _held(answer, host)


def _given_up(answer: _Answer) -> str:
    """Why a lease may be taken over; empty when it may not."""
    if answer.verdict == "held" and owner.is_gone(answer.owner):
        return "whose program was killed here"
    return "which was given up" if answer.verdict == "expired" else ""


def _held(answer: _Answer, host: str) -> LaunchError:
    # A host may write anything there; only what is the id of a launch is put into a command to paste.
    launch = identifiers.launch_id(owner.field(answer.owner, "launch"))
    end = f", or end it: {shell.words(['sparkrun-tui', 'stop', launch])}" if launch else ""
    who = owner.field(answer.owner, "user") or "somebody"
    left = max(TTL - answer.age, 0)
    until = f"it ends in {format_duration(left)} unless it is renewed" if left else "its containers still run"
    return LaunchError(
        f"another launch is preparing this host: {launch or 'unknown'} by {who} ({until})",
        host=host,
        remedy=f"Wait for it{end}   (or remove ~/.cache/sparkrun-tui/lock there)",
    )


async def _ask(given: Given, host: str, *, steal: Mapping[str, object] | None = None) -> _Answer:
    """Ask for the lease; `steal` is the owner whose lease may be taken away, when it is still that one's."""
    victim = owner.field(steal, "launch") if steal is not None else ""
    script = shell.script(
        _ACQUIRE,
        owner=json.dumps(owner.describe(given.plan.launch_id)),
        launch=_mention(given.plan.launch_id),
        victim=_mention(victim) if victim else "",
        ttl=TTL,
        steal=int(steal is not None),
    )
    result = await given.transport(host).run(script)
    if result.outcome is Outcome.LOST:
        # The folder says whether it was made, so ask again.
        await given.transport(host).connect()
        result = await given.transport(host).run(script)
    return _read(result, host)


def _mention(launch: str) -> str:
    """What the owner's file says of a launch, and of no other whose id begins so."""
    return f'"{launch}"'


def _read(result: Result, host: str) -> _Answer:
    if not result.ok:
        why = clean_line(result.stderr) or str(result.outcome)
        raise HostError(
            f"cannot write to ~/.cache/sparkrun-tui: {why}", host=host, remedy="Check disk and rights there."
        )
    first, _, rest = result.stdout.partition("\n")
    verdict, _, age = first.strip().partition(" ")
    try:
        found = parse_json(rest) if rest.strip() else {}
    except JsonError:
        found = {}
    return _Answer(verdict, found if isinstance(found, dict) else {}, identifiers.size(age) or 0)


async def _alive(given: Given, host: str, whose: Mapping[str, object]) -> bool:
    launch = owner.field(whose, "launch")
    if not launch:
        return False
    found = await given.docker(host).containers(labels=(f"{LABEL}launch={launch}",))
    return any(item.running for item in found)
