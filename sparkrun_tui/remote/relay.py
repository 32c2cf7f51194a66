"""The script with which one host sends a model from its cache to another host's, as a detached job of its own."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence

from sparkrun_tui.remote.ports import StoredModel
from sparkrun_tui.remote.shell import path_word

_ADDRESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*|[0-9a-fA-F:]+")
_SSH = "ssh -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=5 -o ServerAliveCountMax=3"
_REACH = """\
# sparkrun-tui: relay-reach
command -v rsync >/dev/null 2>&1 && {ssh} -- {address} command -v rsync </dev/null >/dev/null 2>&1
"""

# Blobs first, then the links to them, then the ref, so that a half-sent model never looks whole. What broke off for
# a reason that may pass (a lost link, a time limit) is taken up again.
_SEND = """\
# sparkrun-tui: relay-send
cd -- {hub} || exit 3
{ssh} -- {address} {make} </dev/null || exit 4
names() {{ cat <<'SPARKRUN_NAMES'
{names}
SPARKRUN_NAMES
}}
blobs() {{
    names | while IFS= read -r name; do
        blob=$(realpath --relative-to=. -- "$name") || exit 5
        case $blob in */blobs/*) printf '%s\\n' "$blob" ;; esac
    done | sort -u
}}
send() {{
    tries=0
    while :; do
        "$1" | tr '\\n' '\\0' | rsync {flags} -e {shell} -- ./ {target}
        code=$?
        tries=$((tries + 1))
        case $code in 10 | 12 | 30 | 35 | 255) [ $tries -lt 4 ] || return $code ;; *) return $code ;; esac
        sleep $((tries * 2))
    done
}}
refs() {{ printf '%s' {ref}; }}
send blobs && send names && {{ [ -z {ref} ] || send refs; }}
"""


def reach_script(address: str) -> str:
    """Whether a host can log in to `address` without a question and both have rsync: its exit code tells."""
    return _REACH.format(ssh=_SSH, address=shlex.quote(_checked(address)))


def send_script(model: StoredModel, hub: str, address: str, target_hub: str, flags: Sequence[str]) -> str:
    """Send the model's files from `hub` on the host that runs it to `target_hub` at `address`, rsync's way."""
    _checked(address)
    at_home = target_hub.removeprefix("~/")
    where = f"[{address}]" if ":" in address else address
    ref = f"{model.folder}/refs/{model.ref}\n" if model.ref else ""
    return _SEND.format(
        hub=path_word(hub),
        ssh=_SSH,
        address=shlex.quote(address),
        make=shlex.quote(f"mkdir -p -- {shlex.quote(at_home)}"),
        names=_lines(f"{model.snapshot}/{file.name}" for file in model.files),
        flags=shlex.join(flags),
        shell=shlex.quote(_SSH),
        target=shlex.quote(f"{where}:{at_home.rstrip('/')}/"),
        ref=shlex.quote(ref),
    )


def _lines(names: Iterable[str]) -> str:
    lines = list(names)
    if any("\n" in name or name == "SPARKRUN_NAMES" for name in lines):
        raise ValueError("a file's name holds a line break")
    return "\n".join(lines)


def _checked(address: str) -> str:
    if not _ADDRESS.fullmatch(address):
        raise ValueError(f"not an address: {address!r}")
    return address
