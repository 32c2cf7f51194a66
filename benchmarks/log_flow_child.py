"""Eight logs from their Docker daemons to disk, buffer and stdout: `python log_flow_child.py LINES_PER_HOST`.

Prints the processor seconds of a plain reader of the same bytes, those of the program, and its peak of memory, once
every line was found on disk in order. Needs nothing of this folder, so that it can be run with the program of another
commit in PYTHONPATH. The daemons are simulated inside this process by bytes that are made beforehand: what SSH costs is
not in it (`tests/integration/test_limits.py` prints the whole).
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h11

HOSTS = tuple(f"spark-{number}" for number in range(1, 9))
_TOGETHER = 20
"""Lines that an SSH packet holds when a host prints 2,000 lines a second: measured on real hosts."""

_LINES = (
    'INFO:     127.0.0.1:{n} - "POST /v1/chat/completions HTTP/1.1" 200 OK',
    "(EngineCore pid=77) INFO 12-01 04:01:{s:02} [loggers.py:{n}] Avg prompt throughput: {n} tokens/s, Running: 3 reqs",
    "numbered line {n:08}",
    "\x1b[1;36m(APIServer pid=1)\x1b[0;0m INFO 12-01 04:01:{s:02} [launcher.py:{n}] Route: /v1/models, Methods: GET",
    "  File worker.py, line {n}, in execute_model  # größer",
)
_HEAD = "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\n"


def _frame(number: int) -> bytes:
    """One line as a daemon sends it: a chunk that holds a frame, with a stamp."""
    second, part = divmod(number * 500_000, 10**9)
    text = _LINES[number % len(_LINES)].format(n=number, s=second % 60)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(1_790_000_000 + second))
    data = f"{stamp}.{part:09}Z {text}\n".encode()
    framed = bytes([1, 0, 0, 0]) + len(data).to_bytes(4, "big") + data
    return b"%x\r\n%s\r\n" % (len(framed), framed)


def _pieces(lines: int) -> list[bytes]:
    frames = [_frame(number) for number in range(lines)]
    return [b"".join(frames[at : at + _TOGETHER]) for at in range(0, lines, _TOGETHER)]


class _Wire:
    """A stream to a simulated daemon."""

    def __init__(self, pieces: list[bytes], asked: list[str]) -> None:
        self._pieces = pieces
        self._asked = asked
        self._answer: list[bytes] = []
        self._at = 0

    async def write(self, data: bytes) -> None:
        path = data.split(b" ", 2)[1].decode()
        if "/_ping" in path:
            self._answer = [f"{_HEAD}Content-Length: 2\r\n\r\nOK".encode()]
        elif "/json" in path:
            self._asked.append(path)
            running = len(self._asked) == 1
            body = json.dumps(
                {"Id": "a" * 64, "State": {"Status": "running" if running else "exited"}, "Config": {"Image": "a"}}
            )
            self._answer = [f"{_HEAD}Content-Length: {len(body)}\r\n\r\n{body}".encode()]
        else:
            self._answer = [f"{_HEAD}Transfer-Encoding: chunked\r\n\r\n".encode()]
            if "since=0" not in path and "since=1" in path:
                self._answer.append(b"0\r\n\r\n")
            else:
                self._answer += [*self._pieces, b"0\r\n\r\n"]
        self._at = 0

    async def read(self, size: int) -> bytes:
        await asyncio.sleep(0)
        if self._at == len(self._answer):
            return b""
        piece = self._answer[self._at]
        self._at += 1
        if len(piece) > size:
            self._at -= 1
            self._answer[self._at] = piece[size:]
        return piece[:size]

    async def close(self) -> None:
        """Nothing to close."""


async def _measure(folder: Path, lines: int) -> float:
    """Processor seconds."""
    from sparkrun_tui.base.secrets import Redactor
    from sparkrun_tui.cli.following import LogPrinter
    from sparkrun_tui.launch.record.bus import Bus
    from sparkrun_tui.launch.record.journal import Journal
    from sparkrun_tui.launch.run.parts.follow import Followers
    from sparkrun_tui.launch.run.parts.reporter import Reporter
    from sparkrun_tui.remote.docker.client import DockerClient
    from sparkrun_tui.remote.docker.logs import DockerLogs

    pieces = _pieces(lines)
    clients: dict[str, Any] = {}
    for host in HOSTS:
        asked: list[str] = []

        async def dial(_path: str, asked: list[str] = asked) -> Any:
            return _Wire(list(pieces), asked)

        transport: Any = SimpleNamespace(name=host, open_socket=dial)
        clients[host] = (transport, DockerClient(transport))
    redact = Redactor(["hf_" + "x" * 34, "a-password-of-a-person"])
    bus = Bus(time.time, redact, Journal(folder / "launches" / "bench123", redact, len(HOSTS)))
    services = SimpleNamespace(
        logs=DockerLogs(lambda transport: clients[transport.name][1]), connector=lambda host: clients[host][0]
    )
    plan = SimpleNamespace(serve=SimpleNamespace(engine="vllm"), host_names=HOSTS)
    given: Any = SimpleNamespace(plan=plan, services=services, transport=services.connector)
    followers = Followers(given, Reporter(bus))
    launch: Any = SimpleNamespace(logs=bus.logs, plan=plan)
    printer = LogPrinter(launch)
    began = time.process_time()
    for rank, host in enumerate(HOSTS):
        followers.follow(rank, host, "abc")
    for rank in range(len(HOSTS)):
        if not await followers.drained_one(rank, 100.0):
            raise RuntimeError(f"the log of {HOSTS[rank]} did not end")
    await printer.finish()
    bus.close()
    took = time.process_time() - began
    await followers.close()
    return took


def main() -> None:
    """Measure, and check what is on disk."""
    lines = int(sys.argv[1])
    out = sys.stdout
    with tempfile.TemporaryDirectory() as name, open(os.devnull, "w", encoding="utf-8") as nowhere:
        os.environ["XDG_STATE_HOME"] = name
        sys.stdout = nowhere
        took = asyncio.run(_measure(Path(name), lines))
        sys.stdout = out
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        for host in HOSTS:
            _check(Path(name), host, lines)
        plain = _plain(Path(name) / "plain", lines)
    print(plain, took, peak)


def _plain(path: Path, lines: int) -> float:
    """Processor seconds of a reader that does nothing but take HTTP and frames apart and write the lines."""
    pieces = _pieces(lines)
    began = time.process_time()
    with path.open("wb") as file:
        for _ in HOSTS:
            http = h11.Connection(h11.CLIENT)
            http.send(h11.Request(method="GET", target="/", headers=[("Host", "docker")]))
            http.send(h11.EndOfMessage())
            http.receive_data(f"{_HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
            for piece in pieces:
                http.receive_data(piece)
                while isinstance(event := http.next_event(), h11.Response | h11.Data):
                    if isinstance(event, h11.Data):
                        file.write(bytes(event.data)[8:])
    return time.process_time() - began


def _check(folder: Path, host: str, lines: int) -> None:
    """Raise `RuntimeError` unless all lines of a host are on disk, once and in order."""
    from sparkrun_tui.launch.record.journal import log_lines

    kept = [line.text for line in log_lines(folder / "launches" / "bench123", host)]
    numbered = [int(text.rpartition(" ")[2]) for text in kept if text.startswith("numbered line ")]
    if len(kept) != lines or numbered != [number for number in range(lines) if number % len(_LINES) == 2]:
        raise RuntimeError(f"{len(kept)} of {lines} lines of {host} are on disk, or not in order")


if __name__ == "__main__":
    main()
