"""The shell text around a script: it shields the script from the login shell and ends it when we are gone.

The remote command is always `sh -s`; everything else travels on stdin. There the script and its own stdin lie in
heredocs, so that no shell has to quote them. The script runs in a session of its own; a watcher reads what is left
of stdin and, at its end (cancelled, closed or lost), asks the script's whole process group to stop, and makes it.
"""

from __future__ import annotations

import base64
import secrets

from sparkrun_tui.base.records import dataclass

COMMAND = "sh -s"
"""The one command line that is ever sent to a host's shell."""

_KILL_AFTER = 3

# `kill -TERM -- -PGID` is refused by dash; `kill -s TERM -- -PGID` is understood by every sh.
# The watcher must not hold stdout or stderr, or the session would stay open after the script's end.
_TEMPLATE = """\
sparkrun_main() {{
umask 077
printf '%s\\n' '{mark}'
printf '%s\\n' '{mark}' >&2
exec 9<&0
if command -v setsid >/dev/null 2>&1; then own=setsid; else own=; fi
$own sh /dev/fd/3 3<<'{mark}S' 9<&- </dev/null &
{script}
{mark}S
job=$!
{{
while read -r _ <&9; do :; done
if [ -n "$own" ]; then group="-$job"; else group=$job; fi
kill -s TERM -- "$group"
sleep {grace}
kill -s KILL -- "$group"
}} </dev/null >/dev/null 2>&1 &
watcher=$!
wait "$job"
code=$?
kill "$watcher" >/dev/null 2>&1
exit "$code"
}}
sparkrun_main
"""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What to send on stdin, and the line that both streams print before anything of the script's own."""

    text: bytes
    mark: bytes


def envelope(script: str, stdin: bytes = b"") -> Envelope:
    """Wrap `script` and its `stdin` for `COMMAND`."""
    mark = f"sparkrun-{secrets.token_hex(12)}"
    if stdin:
        body = _with_stdin(script, base64.encodebytes(stdin).decode("ascii"), mark)
    else:
        body = f"exec 3<&-\n{script}"
    text = _TEMPLATE.format(mark=mark, script=body, grace=_KILL_AFTER)
    return Envelope(text.encode("utf-8", errors="surrogateescape"), mark.encode())


def _with_stdin(script: str, encoded: str, mark: str) -> str:
    # The script is itself in a heredoc of the outer script, hence lines are literal and nothing is expanded.
    pipe = f"base64 -d <<'{mark}I' | sh /dev/fd/4 4<<'{mark}P'"
    return f"exec 3<&-\n{pipe}\n{encoded}{mark}I\nexec 4<&-\n{script}\n{mark}P\n"
