"""Where the folders really lead that containers of a host mount: Docker only says what was typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.numbers import whole
from sparkrun_tui.base.text import clean_line, shorten
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.transport import Outcome, Transport

TIMEOUT = 60.0
_MOST_WORDS = 200
MOST_PATHS = 1000
"""Mounts of one host's containers that are looked at."""

# Docker names a mount as it was typed, which may lead to the cache over a link, or be the same folder under another
# name. Folders are compared by device and number.
_LED = """\
# sparkrun-tui: store-mounts
LC_ALL=C; export LC_ALL
known() {{ stat -L -c %d:%i -- "$1" 2>/dev/null; }}
chain=
cd -- {hub} && at=$(pwd -P) || exit 3
while [ "$at" != / ] && [ -n "$at" ]; do
  chain="$chain$(known "$at")=$at
"
  at=$(dirname -- "$at")
done
number=0
for path in {paths}; do
  number=$((number + 1))
  id=$(known "$path")
  [ -n "$id" ] || continue
  real=$(printf %s "$chain" | grep -m 1 -e "^$id=")
  real=${{real#*=}}
  [ -n "$real" ] || real=$(readlink -f -- "$path" | tr '\\n\\t' '  ')
  printf 'leads\\t%s\\t%s\\n' "$number" "$real"
done
echo end
"""


async def led_to(transport: Transport, hub: str, paths: Sequence[str]) -> Mapping[str, str]:
    """Where paths of a host really lead: to `hub` or a folder around it, by that folder's name, or elsewhere.

    Those that the user may not look into are left out. Raises `LinkLost`, `HostError`.
    """
    asked = list(dict.fromkeys(paths))[:MOST_PATHS]
    if not asked:
        return {}
    script = shell.script(_LED, hub=hub, paths=shell.words(asked))
    result = await transport.run(script, timeout=TIMEOUT)
    if result.outcome is Outcome.LOST:
        raise LinkLost("the connection was lost while mounts were looked at", host=transport.name)
    if not result.ok or not result.stdout.rstrip().endswith("end"):
        said = clean_line(result.stderr.strip().rpartition("\n")[2]) or result.outcome.value
        raise HostError(f"what its containers mount is not known: {shorten(said, _MOST_WORDS)}", host=transport.name)
    found = {}
    for line in result.stdout.splitlines():
        word, *cells = line.split("\t")
        if word != "leads" or len(cells) != 2:
            continue
        number = whole(cells[0], least=1, most=len(asked))
        if number is not None:
            found[asked[number - 1]] = clean_line(cells[1])
    return found
