"""A child process that passes stdin on to stdout and reports the bytes so far on stderr, one number per line.

Run as `python -m sparkrun_tui.remote.docker.pump`, between `docker save` and `ssh`: bulk data stays out of the app.
"""

from __future__ import annotations

import os
import sys
import time

_CHUNK = 1 << 20
_REPORT_EVERY = 0.25


def main() -> int:
    """Pump until the end of stdin; exit code 1 when the other side has gone."""
    done, reported = 0, time.monotonic()
    try:
        while data := os.read(0, _CHUNK):
            view = memoryview(data)
            while view:
                view = view[os.write(1, view) :]
            done += len(data)
            if time.monotonic() - reported >= _REPORT_EVERY:
                reported = time.monotonic()
                os.write(2, b"%d\n" % done)
        os.write(2, b"%d\n" % done)
    except BrokenPipeError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
