"""The stand-in for the Hugging Face Hub as a process on this machine's loopback."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).parent.parent / "integration" / "cluster" / "hub.py"


class HubProcess:
    """Run with `async with`; `root` holds ORGANISATION/NAME/files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = 0
        self._process: asyncio.subprocess.Process | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def write(self, name: str, content: bytes) -> Path:
        """A file of a repository (`org/model/file`)."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    async def __aenter__(self) -> HubProcess:
        self.root.mkdir(parents=True, exist_ok=True)
        self.port = _two_free_ports()
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, str(PROGRAM), str(self.root), "127.0.0.1", str(self.port)
        )
        for _ in range(500):
            with suppress(OSError):
                await asyncio.to_thread(self.requests)
                return self
            await asyncio.sleep(0.02)
        raise AssertionError("the stand-in for the Hub does not start")

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    def requests(self) -> list[dict[str, Any]]:
        """What was asked since the last fault."""
        with urllib.request.urlopen(f"{self.endpoint}/_log", timeout=5) as answer:
            log: list[dict[str, Any]] = json.load(answer)
        return log

    def fault(self, **fault: Any) -> None:
        """Break: `status=503, times=2`, `drop_after=BYTES, times=1`, `rate=BYTES_PER_SECOND`; nothing heals."""
        request = urllib.request.Request(f"{self.endpoint}/_fault", data=json.dumps(fault).encode(), method="POST")
        urllib.request.urlopen(request, timeout=5).close()


def _two_free_ports() -> int:
    for _ in range(50):
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            with suppress(OSError, OverflowError):
                second.bind(("127.0.0.1", port + 1))
                return port
    raise AssertionError("no two free ports side by side")
