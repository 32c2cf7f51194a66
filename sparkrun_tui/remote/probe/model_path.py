"""Looks at a model on a path of a host in one round trip: whether it is there, and what its own files say of it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import field
from enum import StrEnum

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.reading import identifiers
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.transport import Outcome, Transport

TIMEOUT = 30.0
MOST_CONFIG = 200_000
"""Bytes of a configuration that are read; the largest has a tenth of it."""
FIRST_BYTES = 450_000
"""Bytes of a GGUF that are read: the keys of its architecture come first. An answer may have one MiB, as base64."""

_MOST_FILES = 2000

_SCRIPT = """\
# sparkrun-tui: model-path
LC_ALL=C; export LC_ALL
limit() {{ if command -v timeout >/dev/null 2>&1; then timeout "$@"; else shift; "$@"; fi; }}
path={path}
packed() {{ limit 10 head -c "$2" -- "$1" 2>/dev/null | base64 | tr -d '\\n'; }}
text() {{ [ -f "$1" ] && printf '%s\\t%s\\n' "$2" "$(packed "$1" "$3")"; }}
leads() {{ printf 'leads\t%s\n' "$(readlink -f -- "$1" 2>/dev/null)"; }}
size() {{ printf 'file\\t%s\\t%s\\n' "$(stat -L -c %s -- "$1" 2>/dev/null)" "${{1##*/}}"; }}
if [ -d "$path" ]; then kind=folder
elif [ -f "$path" ]; then kind=file
elif [ -e "$path" ] || [ -L "$path" ]; then kind=other
else kind=missing; fi
[ "$kind" = missing ] || [ -r "$path" ] || kind=denied
printf 'kind\\t%s\\n' "$kind"
printf 'real\\t%s\\n' "$(readlink -f -- "$path" 2>/dev/null)"
if [ "$kind" = folder ]; then
  count=0
  for name in "$path"/*.safetensors; do
    [ -f "$name" ] || continue
    count=$((count + 1))
    [ "$count" -le 2000 ] && size "$name"
  done
  text "$path/config.json" config {most}
  text "$path/hf_quant_config.json" companion {most}
fi
if [ "$kind" = file ]; then
  for name in {parts}; do
    if [ -f "$name" ]; then size "$name"; leads "$name"; else printf 'lacks\\t%s\\n' "${{name##*/}}"; fi
  done
  case $path in *.[Gg][Gg][Uu][Ff]) text "$path" first {first} ;; esac
fi
echo end
"""


class PathKind(StrEnum):
    """What lies at a path."""

    FOLDER = "folder"
    FILE = "file"
    OTHER = "other"
    MISSING = "missing"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class PathSeen:
    """What lies at a path of a host, as the host says; texts are unchecked.

    `real` is the path with its links followed, empty where it is not known. `lacks` are parts of a split file that are
    not there.
    """

    kind: PathKind
    real: str = ""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """The bytes of its weight files, by name."""
    lacks: tuple[str, ...] = ()
    config: bytes = field(default=b"", repr=False)
    companion: bytes = field(default=b"", repr=False)
    first: bytes = field(default=b"", repr=False)
    """The first bytes of a GGUF file."""
    leads: tuple[str, ...] = ()
    """The paths of its parts and of its projector, with their links followed."""


async def look_at(transport: Transport, path: str, parts: Sequence[str] = ()) -> PathSeen:
    """What lies at `path` (`~` is the host's home). `parts` are all parts of a split file.

    Raises `LinkLost`, and `HostError` when the host cannot be asked.
    """
    script = shell.script(
        _SCRIPT,
        path=shell.path_word(path),
        parts=shell.path_words(parts or (path,)),
        most=MOST_CONFIG,
        first=FIRST_BYTES,
    )
    result = await transport.run(script, timeout=TIMEOUT)
    if result.outcome is Outcome.LOST:
        raise LinkLost(f"the connection was lost while {clean_line(path)} was looked at", host=transport.name)
    if not result.ok or not result.stdout.rstrip().endswith("end"):
        said = clean_line(result.stderr.strip().rpartition("\n")[2]) or result.outcome.value
        raise HostError(f"{clean_line(path)} cannot be looked at: {said}", host=transport.name)
    return read(result.stdout)


def read(text: str) -> PathSeen:
    """The script's answer. What is not of its form is left out: a host may say anything."""
    kind = PathKind.MISSING
    real = ""
    sizes: dict[str, int] = {}
    lacks: list[str] = []
    leads: list[str] = []
    blobs: dict[str, bytes] = {}
    for line in text.splitlines():
        word, _, rest = line.partition("\t")
        if word == "kind" and rest in tuple(PathKind):
            kind = PathKind(rest)
        elif word == "real" and rest.startswith("/"):
            real = clean_line(rest)
        elif word == "leads" and rest.startswith("/"):
            leads.append(clean_line(rest))
        elif word == "lacks":
            lacks.append(clean_line(rest))
        elif word == "file":
            size, _, name = rest.partition("\t")
            count = identifiers.size(size)
            if count is not None and len(sizes) < _MOST_FILES:
                sizes[clean_line(name)] = count
        elif word in ("config", "companion", "first"):
            blobs[word] = _decoded(rest)
    return PathSeen(
        kind,
        real,
        sizes,
        tuple(lacks),
        blobs.get("config", b""),
        blobs.get("companion", b""),
        blobs.get("first", b""),
        tuple(leads),
    )


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
