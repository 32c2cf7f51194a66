"""The lease of a host as every part of the program reads it, and its release. It is taken in `launch/run/parts`.

A lease is the folder `~/.cache/sparkrun-tui/lock` on a host: `owner.json` names the launch that prepares the host,
`renewed` the time of the host's clock at which its program last said that it still does.
"""

from __future__ import annotations

from collections.abc import Mapping

from sparkrun_tui.base import shell
from sparkrun_tui.base.reading import identifiers
from sparkrun_tui.base.reading.identifiers import LaunchId
from sparkrun_tui.base.reading.json_text import JsonError, parse_json
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.text import clean_line, shorten
from sparkrun_tui.remote.transport import Transport

TTL = 120
"""Seconds without renewal after which a lease has expired."""

_RELEASE_TIMEOUT = 5.0
_MOST_SHOWN = 80
_RELEASE = """\
# sparkrun-tui: lease-release
lock="$HOME/.cache/sparkrun-tui/lock"
grep -qF -e {launch} "$lock/owner.json" 2>/dev/null && rm -rf "$lock"
true
"""


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that a host has: the launch that prepares the host, its user, and seconds since it was renewed."""

    launch: LaunchId | None
    """None where the owner's file has no valid id, such as one that was never written."""
    user: str
    age: float

    @property
    def in_force(self) -> bool:
        """Whether it was renewed lately."""
        return self.age <= TTL


def lease_of(owner: str, age: float) -> Lease:
    """The lease with this text of `owner.json`, which anybody on the host may have written."""
    try:
        found = parse_json(owner)
    except JsonError:
        found = None
    whose: Mapping[str, object] = found if isinstance(found, dict) else {}
    user = whose.get("user")
    return Lease(
        launch=identifiers.launch_id(whose.get("launch")),
        user=shorten(clean_line(user), _MOST_SHOWN) if isinstance(user, str) else "",
        age=max(age, 0.0),
    )


def mention(launch: str) -> str:
    """The launch id as it is quoted in the owner's file, so that it matches no longer id."""
    return f'"{launch}"'


async def release(transport: Transport, launch: str) -> bool:
    """Remove the lease of a launch from a host, if that launch still holds it; whether the host has answered."""
    script = shell.script(_RELEASE, launch=mention(launch))
    return (await transport.run(script, timeout=_RELEASE_TIMEOUT)).ok
