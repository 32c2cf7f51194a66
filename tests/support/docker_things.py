"""Images, containers and commands as a pretended Docker daemon holds and describes them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]
NEVER = "0001-01-01T00:00:00Z"


def stamp(nanoseconds: int) -> str:
    """A time as Docker writes it."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def image_json(name: str, *, digest: str = "a" * 64, arch: str = "arm64", size: int = 1000) -> Json:
    """What `docker image inspect` says of an image."""
    return {
        "Id": f"sha256:{digest}",
        "RepoTags": [name],
        "RepoDigests": [f"{name.partition('@')[0].rpartition(':')[0] or name}@sha256:{digest}"],
        "RootFS": {"Type": "layers", "Layers": [f"sha256:{digest}"]},
        "Os": "linux",
        "Architecture": arch,
        "Size": size,
        "Config": {"Env": ["CUDA_VERSION=13.0"], "Labels": {}},
    }


@dataclass(slots=True)
class FakeContainer:
    """One container; `log` holds (nanoseconds, stream number, bytes)."""

    id: str
    name: str
    body: Json
    state: str = "created"
    exit_code: int = 0
    oom_killed: bool = False
    started: str = NEVER
    files: dict[str, bytes] = field(default_factory=dict)
    log: list[tuple[int, int, bytes]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def say(self, text: str, *, stderr: bool = False, at: int | None = None) -> None:
        """Print a line (without its end) at a time in nanoseconds, by default now."""
        self.log.append((at if at is not None else time.time_ns(), 2 if stderr else 1, text.encode() + b"\n"))
        self.wake()

    def wake(self) -> None:
        """Let waiters look again."""
        self.changed.set()
        self.changed = asyncio.Event()

    def inspect(self) -> Json:
        """What `docker inspect` says."""
        return {
            "Id": self.id,
            "Name": f"/{self.name}",
            "Created": stamp(time.time_ns()),
            "State": {
                "Status": self.state,
                "Running": self.state == "running",
                "ExitCode": self.exit_code,
                "OOMKilled": self.oom_killed,
                "StartedAt": self.started,
                "FinishedAt": NEVER,
                "Error": "",
            },
            "Config": {"Image": self.body.get("Image", ""), "Labels": self.body.get("Labels", {}), "Tty": False},
            "HostConfig": {"LogConfig": {"Type": "json-file"}},
        }


@dataclass(slots=True)
class FakeExec:
    """A command prepared in a container."""

    container: FakeContainer
    argv: list[str]
    code: int | None = None
