"""The script that writes a file on a host in one go."""

from __future__ import annotations

from sparkrun_tui.base import shell

_WRITE = """\
# sparkrun-tui: write-file
set -e
target={path}
mkdir -p -- "$(dirname -- "$target")"
part="$target.part.$$"
trap 'rm -f -- "$part"' EXIT
umask 077
cat > "$part"
chmod {mode} -- "$part"
mv -f -- "$part" "$target"
"""


def write_script(path: str, mode: int) -> shell.Text:
    """A script that makes its stdin the content of `path`, whole or not at all, with `mode` from the start."""
    return shell.script(_WRITE, path=shell.path_word(path), mode=f"{mode:o}")
