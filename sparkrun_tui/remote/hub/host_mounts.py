"""Where the folders really lead that containers of a host mount: Docker only says what was typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.text import clean_line, shorten
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.transport import Outcome, Transport

TIMEOUT = 60.0
_MOST_WORDS = 200
MOST_PATHS = 1000
"""Mounts of one host's containers that are looked at."""

# Docker names a mount as it was typed, which may lead to the cache over a link, or be the same folder under another
# name. Folders are compared by device and number. A disk, or a folder of it, may be mounted at several places: the
# cache has a name below each of them, which /proc/self/mountinfo says (device, folder of the disk, place).
_LED = """\
# sparkrun-tui: store-mounts
LC_ALL=C; export LC_ALL
known() {{ stat -L -c %d:%i -- "$1" 2>/dev/null; }}
cd -- {hub} && hub=$(pwd -P) || exit 3
chain=
# The folders around a name of the cache, each with the name by which it is told.
around() {{
  at=$1
  while [ "$at" != / ] && [ -n "$at" ]; do
    chain="$chain$(known "$at")=${{2:-$at}}
"
    at=$(dirname -- "$at")
  done
}}
names() {{
  hub="$hub" awk '
    BEGIN {{ hub = ENVIRON["hub"] }}
    function within(place, folder) {{ return folder == "/" || place == folder || index(place, folder "/") == 1 }}
    function below(place, folder) {{ return folder == "/" ? place : substr(place, length(folder) + 1) }}
    $5 !~ /\\\\/ && $4 !~ /\\\\/ {{
      count++; disk[count] = $3; top[count] = $4; place[count] = $5
      if (within(hub, $5) && length($5) >= longest) {{ longest = length($5); mine = count }}
    }}
    END {{
      if (!mine) exit
      inside = below(hub, place[mine])
      if (top[mine] != "/") inside = top[mine] inside
      for (n = 1; n <= count; n++) if (disk[n] == disk[mine] && within(inside, top[n])) {{
        name = below(inside, top[n])
        if (place[n] != "/") name = place[n] name
        if (name != hub && shown++ < 64) print name
      }}
    }}' {root}/proc/self/mountinfo 2>/dev/null
}}
around "$hub"
while IFS= read -r name; do
  [ -z "$name" ] || around "$name" "$hub"
done <<NAMES
$(names)
NAMES
number=0
for path in {paths}; do
  number=$((number + 1))
  id=$(stat -L -c %d:%i -- "$path" 2>&1)
  case $id in
  *": No such file or directory"|*": Not a directory") continue ;;
  *[!0-9:]*) printf 'hidden\\t%s\\t\\n' "$number"; continue ;;
  esac
  real=$(printf %s "$chain" | grep -m 1 -e "^$id=")
  real=${{real#*=}}
  [ -n "$real" ] || real=$(readlink -f -- "$path")
  printf 'leads\\t%s\\t%s\\n' "$number" "$(printf %s "$real" | tr '\\n\\t' '  ')"
done
echo end
"""


@dataclass(frozen=True, slots=True)
class Led:
    """Where paths of a host lead, by path; and those of which it is not known, since the user may not look there."""

    to: Mapping[str, str] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset()


async def led_to(transport: Transport, hub: str, paths: Sequence[str], root: str = "") -> Led:
    """Where paths of a host really lead: to `hub` or a folder around it, by that folder's name, or elsewhere.

    Those that do not exist are left out. `root` is where /proc lies. Raises `LinkLost`, `HostError`.
    """
    each = list(dict.fromkeys(paths))
    asked = each[:MOST_PATHS]
    if not asked:
        return Led()
    script = shell.script(_LED, hub=hub, paths=shell.words(asked), root=root)
    result = await transport.run(script, timeout=TIMEOUT)
    if result.outcome is Outcome.LOST:
        raise LinkLost("the connection was lost while mounts were looked at", host=transport.name)
    if not result.ok or not result.stdout.rstrip().endswith("end"):
        said = clean_line(result.stderr.strip().rpartition("\n")[2]) or result.outcome.value
        raise HostError(f"what its containers mount is not known: {shorten(said, _MOST_WORDS)}", host=transport.name)
    found: dict[str, str] = {}
    unknown = set(each[MOST_PATHS:])
    for line in result.stdout.splitlines():
        word, *cells = line.split("\t")
        if word not in ("leads", "hidden") or len(cells) != 2:
            continue
        number = whole(cells[0], least=1, most=len(asked))
        if number is None:
            continue
        if word == "hidden":
            unknown.add(asked[number - 1])
        else:
            found[asked[number - 1]] = clean_line(cells[1])
    return Led(found, frozenset(unknown))
