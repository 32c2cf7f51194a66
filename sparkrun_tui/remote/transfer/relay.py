"""The script with which one host sends a model from its cache to another host's, as a detached job of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sparkrun_tui.base import shell
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.remote.ports.models import StoredModel

_ADDRESS = late_regex(r"[A-Za-z0-9][A-Za-z0-9._-]*|[0-9a-fA-F:]+")
_SSH = shell.script("ssh -a -x -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=5 -o ServerAliveCountMax=3")
# The other host may print without end, which would fill the memory of this one.
_REACH = """\
# sparkrun-tui: relay-reach
command -v rsync >/dev/null 2>&1 || exit 1
boot={boot}
there=$({ssh} -- {address} 'command -v rsync >/dev/null && cat /proc/sys/kernel/random/boot_id' </dev/null 2>/dev/null |
    head -c 100)
[ -n "$boot" ] && [ "$there" = "$boot" ]
"""

# Blobs first, then the links to them, then the ref, so that a half-sent model never looks whole. What broke off for
# a reason that may pass (a lost link, a time limit) is taken up again.
_SEND = """\
# sparkrun-tui: relay-send
cd -- {hub} || exit 3
{ssh} -- {address} {make} </dev/null || exit 4
names() {{ printf '%s\\n' {names}; }}
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
refs() {{ printf '%s\\n' {ref}; }}
send blobs && send names && {{ [ -z {ref} ] || send refs; }}
"""


def reach_script(address: str, boot_id: str) -> shell.Text:
    """A script whose exit code is 0 where a host can log in to `address` without a question and both have rsync.

    It fails where the machine there is in another boot than `boot_id`, hence another machine; also when that is empty.
    """
    return shell.script(_REACH, ssh=_SSH, address=_checked(address), boot=boot_id)


def send_script(model: StoredModel, hub: str, address: str, target_hub: str, flags: Sequence[str]) -> shell.Text:
    """Send the model's files from `hub` on the host that runs it to `target_hub` at `address`, rsync's way."""
    _checked(address)
    at_home = target_hub.removeprefix("~/")
    where = f"[{address}]" if ":" in address else address
    return shell.script(
        _SEND,
        hub=shell.path_word(hub),
        ssh=_SSH,
        address=address,
        make=shell.word(shell.script("mkdir -p -- {folder}", folder=at_home)),
        names=shell.words(_lines(f"{model.snapshot}/{file.name}" for file in model.files)),
        flags=shell.words(flags),
        shell=shell.word(_SSH),
        target=f"{where}:{at_home.rstrip('/')}/",
        ref=f"{model.folder}/refs/{model.ref}" if model.ref else "",
    )


def _lines(names: Iterable[str]) -> list[str]:
    """Names that stand one a line, as the script reads them."""
    lines = list(names)
    if any("\n" in name for name in lines):
        raise ValueError("a file's name holds a line break")
    return lines


def is_address(text: str) -> bool:
    """Whether this can be the address of another host: a name or an IP address, with no port."""
    return _ADDRESS.fullmatch(text) is not None


def _checked(address: str) -> str:
    if not is_address(address):
        raise ValueError(f"not an address: {address!r}")
    return address
