"""Log lines in the engines' forms: vLLM's records on stdout, progress bars, warnings and uvicorn's words on stderr."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable

from engine_standin import mode


def out(text: str) -> None:
    """A line on stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def err(text: str) -> None:
    """A line on stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


class Record:
    """vLLM's records of one process: `(Who pid=N) LEVEL MM-DD HH:MM:SS [file.py:LINE] text`."""

    def __init__(self, who: str, write: Callable[[str], None] = out) -> None:
        self.who = who
        self.write = write

    def info(self, text: str, place: str = "core.py:133") -> None:
        """An ordinary record."""
        self.record("INFO", text, place)

    def warning(self, text: str, place: str = "utils.py:648") -> None:
        """A warning."""
        self.record("WARNING", text, place)

    def error(self, text: str, place: str = "core.py:1512") -> None:
        """An error."""
        self.record("ERROR", text, place)

    def failure(self, cause: str, place: str = "core.py:1512") -> None:
        """A traceback as a record, shortened: every line is prefixed, the cause is the last."""
        self.error(f'Traceback (most recent call last):\n  File "vllm/v1/engine.py", line 1, in run\n{cause}', place)

    def record(self, level: str, text: str, place: str) -> None:
        """One record; inside one of several lines each line has the prefix, and all but the last end with CR LF."""
        stamp = time.strftime("%m-%d %H:%M:%S")
        prefix = f"({self.who} pid={os.getpid()}) {level} {stamp} [{place}] "
        self.write("\r\n".join(prefix + line for line in text.split("\n")))


def traceback(cause: str, module: str = "vllm/entrypoints/cli/main.py") -> None:
    """A traceback of the main process, shortened, on stderr."""
    err(f'Traceback (most recent call last):\n  File "{module}", line 1, in main\n{cause}')


def begin_numbered() -> None:
    """Where STANDIN_LINES asks for it, print numbered lines beside all else: RATE:SECONDS:DELAY.

    RATE lines a second, a tenth of a second's lines in each write.
    """
    rate, _, rest = os.environ.get("STANDIN_LINES", "").partition(":")
    if rate:
        seconds, _, delay = rest.partition(":")
        threading.Thread(target=_numbered, args=(int(rate), float(seconds), float(delay or 0)), daemon=True).start()


def _numbered(rate: int, seconds: float, delay: float) -> None:
    time.sleep(delay)
    part, began = rate // 10, time.monotonic()
    for step in range(round(seconds * 10)):
        numbers = range(step * part, (step + 1) * part)
        os.write(1, "".join(f"numbered line {number:08}\n" for number in numbers).encode())
        time.sleep(max(began + (step + 1) / 10 - time.monotonic(), 0.0))


def bar(title: str, total: int, duration: float, write: Callable[[str], None] = err) -> None:
    """A progress bar without a terminal: a line for every update, each begun by a carriage return."""
    for done in range(total + 1):
        rate = f"{total / max(duration, 0.01):.2f}it/s" if done else "?it/s"
        write(f"\r{title}: {100 * done // total:3d}% Completed | {done}/{total} [00:00<00:00, {rate}]")
        if done < total:
            mode.nap(duration / total)


def ray(kind: str, place: str, text: str) -> str:
    """A line of Ray's own: time with milliseconds, tab, level, place."""
    now = time.time()
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
    return f"{stamp},{int(now * 1000) % 1000:03d}\t{kind} {place} -- {text}"


def sglang(text: str, rank: str = "") -> None:
    """A line of SGLang's: time, and the rank where one speaks."""
    out(f"[{time.strftime('%Y-%m-%d %H:%M:%S')}{' ' + rank if rank else ''}] {text}")
