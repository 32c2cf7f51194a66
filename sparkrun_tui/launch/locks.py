"""Leases on hosts, so that two launches do not prepare the same host at once; kept by renewing, given back at the end.

A lease is a folder that only one can make, with its owner inside. It counts by the host's own clock. One that was not
renewed for two minutes is taken over, unless a container of its owner's launch is running.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import shlex
import socket
from collections.abc import Mapping

from sparkrun_tui.base.errors import HostError, LaunchError
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.launch.context import Context, drop
from sparkrun_tui.remote.transport import Outcome, Result
from sparkrun_tui.runtimes.plan import LABEL

TTL = 120
RENEW = 30.0
_RELEASE_TIMEOUT = 5.0

_ACQUIRE = """\
# sparkrun-tui: lease-take
base="$HOME/.cache/sparkrun-tui"; lock="$base/lock"
mkdir -p "$base" || exit 3
now=$(date +%s)
take() {{ mkdir "$lock" 2>/dev/null && printf %s {owner} >"$lock/owner.json" && echo "$now" >"$lock/renewed"; }}
if take; then echo won; exit 0; fi
if grep -q {launch} "$lock/owner.json" 2>/dev/null; then echo "$now" >"$lock/renewed"; echo won; exit 0; fi
renewed=$(cat "$lock/renewed" 2>/dev/null || stat -c %Y "$lock" 2>/dev/null || echo "$now")
age=$((now - renewed))
if [ "$age" -gt {ttl} ] && [ {steal} = 1 ]; then
    mv "$lock" "$lock.old.$$" 2>/dev/null && rm -rf "$lock.old.$$"
    if take; then echo won; exit 0; fi
fi
if [ "$age" -gt {ttl} ]; then echo expired; else echo held; fi
cat "$lock/owner.json" 2>/dev/null
"""
_RENEW = (
    "# sparkrun-tui: lease-renew\n"
    'lock="$HOME/.cache/sparkrun-tui/lock"; grep -q {launch} "$lock/owner.json" && date +%s >"$lock/renewed"\n'
)
_RELEASE = (
    "# sparkrun-tui: lease-release\n"
    'lock="$HOME/.cache/sparkrun-tui/lock"; grep -q {launch} "$lock/owner.json" 2>/dev/null && rm -rf "$lock"\ntrue\n'
)


async def acquire(context: Context) -> None:
    """Take the lease of every host, in one order for all launches, all or none; then keep renewing them.

    Raises `LaunchError` that names the owner when another launch holds one.
    """
    try:
        for host in sorted(context.hosts):
            # Noted before it is asked for: when we are cancelled on the way, it may be ours already.
            context.leased.append(host)
            await _acquire_one(context, host)
    except (HostError, LaunchError):
        await release(context)
        raise
    context.renewing = asyncio.create_task(_renew(context), name=f"lease {context.plan.launch_id}")


async def release(context: Context) -> None:
    """Give back every lease that is held; a host that cannot be asked keeps it until it runs out."""
    if context.renewing is not None:
        await drop([context.renewing])
        context.renewing = None
    hosts, context.leased = list(context.leased), []
    script = _RELEASE.format(launch=shlex.quote(f'"{context.plan.launch_id}"'))

    async def one(host: str) -> None:
        await context.transport(host).run(script, timeout=_RELEASE_TIMEOUT)

    await asyncio.gather(*(one(host) for host in hosts), return_exceptions=True)


async def _acquire_one(context: Context, host: str) -> None:
    verdict, owner = await _ask(context, host, steal=False)
    if verdict == "expired" and not await _alive(context, host, owner):
        context.notice("note", f"took over the lease of launch {_text(owner, 'launch')}, which was given up", host)
        verdict, owner = await _ask(context, host, steal=True)
    if verdict != "won":
        launch = _text(owner, "launch") or "unknown"
        who = _text(owner, "user") or "somebody"
        raise LaunchError(
            f"another launch is preparing this host: {launch} by {who}",
            host=host,
            remedy=f"Wait for it, or end it: sparkrun-tui stop {launch}   (or remove ~/.cache/sparkrun-tui/lock there)",
        )


async def _ask(context: Context, host: str, *, steal: bool) -> tuple[str, Mapping[str, object]]:
    owner = {"launch": context.plan.launch_id, "user": f"{_user()}@{socket.gethostname()}"}
    script = _ACQUIRE.format(
        owner=shlex.quote(json.dumps(owner)),
        launch=shlex.quote(f'"{context.plan.launch_id}"'),
        ttl=TTL,
        steal=int(steal),
    )
    result = await context.transport(host).run(script)
    if result.outcome is Outcome.LOST:
        # The folder says whether it was made: asking again tells.
        await context.transport(host).connect()
        result = await context.transport(host).run(script)
    return _read(result, host)


def _read(result: Result, host: str) -> tuple[str, Mapping[str, object]]:
    if not result.ok:
        why = clean_line(result.stderr) or str(result.outcome)
        raise HostError(
            f"cannot write to ~/.cache/sparkrun-tui: {why}", host=host, remedy="Check disk and rights there."
        )
    verdict, _, rest = result.stdout.partition("\n")
    try:
        owner = json.loads(rest) if rest.strip() else {}
    except ValueError:
        owner = {}
    return verdict.strip(), owner if isinstance(owner, dict) else {}


async def _alive(context: Context, host: str, owner: Mapping[str, object]) -> bool:
    launch = _text(owner, "launch")
    if not launch:
        return False
    found = await context.docker(host).containers(labels=(f"{LABEL}launch={launch}",))
    return any(item.running for item in found)


async def _renew(context: Context) -> None:
    script = _RENEW.format(launch=shlex.quote(f'"{context.plan.launch_id}"'))
    while True:
        await asyncio.sleep(RENEW)
        hosts = tuple(context.leased)
        await asyncio.gather(*(context.transport(host).run(script) for host in hosts), return_exceptions=True)


def _text(owner: Mapping[str, object], key: str) -> str:
    value = owner.get(key, "")
    return clean_line(value) if isinstance(value, str) else ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "somebody"
