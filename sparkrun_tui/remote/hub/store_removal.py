"""Removes models, or what broken transfers left of them, from a host's model cache.

A script is only given names of folders, never a path. It works in the cache that was listed before, follows no link,
and leaves alone what has grown in the last ten minutes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.text import clean_line, shorten
from sparkrun_tui.models.snapshot import folder_name
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.hub.host_store import FRESH, HostStore
from sparkrun_tui.remote.transport import Outcome, Transport

TIMEOUT = 600.0
"""Seconds for removing models: a disk may take a minute for a terabyte."""

_MOST_WORDS = 200

# `find` follows no link on its way, and rm removes links and not what they lead to.
_REMOVE = """\
# sparkrun-tui: store-remove
LC_ALL=C; export LC_ALL
cd -- {hub} || exit 3
[ "$(stat -c %d:%i .)" = {place} ] || {{ echo 'it is another folder now' >&2; exit 4; }}
parts() {{
  find "./$1" -type f '(' -name '*.incomplete' -o -path '*/.sparkrun-partial/*' -o -path "./$1/blobs/.*" ')' \\
    "$2" "$3" "$4"
}}
kind() {{
  if [ -L "$1" ]; then echo link; elif [ -d "$1" ]; then echo folder; else echo none; fi
}}
for name in {parts}; do
  if [ "$(kind "$name")" != folder ]; then printf 'skipped\\t%s\\tit is no folder\\n' "$name"; continue; fi
  parts "$name" -mmin +{minutes} -delete
done
for name in {models}; do
  if [ "$(kind "$name")" != folder ]; then printf 'skipped\\t%s\\tit is no folder\\n' "$name"; continue; fi
  if [ -n "$(parts "$name" -mmin -{minutes} -print | head -n 1)" ]; then
    printf 'skipped\\t%s\\tit is being downloaded\\n' "$name"
    continue
  fi
  rm -rf -- "./$name" 2>&1 | tail -n 1 | sed "s|^|failed\t$name\t|"
  [ -L .locks ] || rm -rf -- "./.locks/$name"
done
echo end
"""


async def remove(
    transport: Transport, store: HostStore, *, models: Sequence[str] = (), parts: Sequence[str] = ()
) -> Mapping[str, str]:
    """Remove these models of a listed cache, and the left parts of others; both are given as repositories.

    Gives why some were left, by repository; what is gone is seen by listing the cache again. Raises `LinkLost`, after
    which that is not known, and `HostError`.
    """
    script = shell.script(
        _REMOVE,
        hub=store.hub,
        place=store.place,
        models=shell.words(map(folder_name, models)),
        parts=shell.words(map(folder_name, parts)),
        minutes=FRESH // 60,
    )
    result = await transport.run(script, timeout=TIMEOUT)
    if result.outcome is Outcome.LOST:
        raise LinkLost("the connection was lost while models were removed", host=transport.name)
    if not result.ok:
        said = clean_line(result.stderr.strip().rpartition("\n")[2]) or result.outcome.value
        raise HostError(f"nothing was removed from {store.hub}: {shorten(said, _MOST_WORDS)}", host=transport.name)
    return _left(result.stdout, (*models, *parts))


def _left(text: str, repos: Sequence[str]) -> Mapping[str, str]:
    """Why models were left, by repository, from the script's answer; other lines are not of its form."""
    by_folder = {folder_name(repo): repo for repo in repos}
    left: dict[str, str] = {}
    for line in text.splitlines():
        word, _, rest = line.partition("\t")
        name, _, why = rest.partition("\t")
        if word in ("skipped", "failed") and name in by_folder:
            left[by_folder[name]] = shorten(clean_line(why), _MOST_WORDS)
    return left
