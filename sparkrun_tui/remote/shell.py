"""Small pieces of shell text that are right for every value: paths with `~`, and writing a file in one go."""

from __future__ import annotations

import shlex


def path_word(path: str) -> str:
    """`path` as one shell word; a leading `~/` becomes the home of whoever runs it."""
    if path == "~":
        return '"$HOME"'
    if path.startswith("~/"):
        return '"$HOME"/' + shlex.quote(path[2:]) if len(path) > 2 else '"$HOME"/'
    return shlex.quote(path)


def write_script(path: str, mode: int) -> str:
    """A script that makes its stdin the content of `path`, whole or not at all, with `mode` from the start."""
    return f"""\
# sparkrun-tui: write-file
set -e
target={path_word(path)}
mkdir -p -- "$(dirname -- "$target")"
part="$target.part.$$"
trap 'rm -f -- "$part"' EXIT
umask 077
cat > "$part"
chmod {mode:o} -- "$part"
mv -f -- "$part" "$target"
"""
