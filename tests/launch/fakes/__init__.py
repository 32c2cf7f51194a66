"""A cluster without hosts for launch tests: daemons, logs, ports and models in memory, with faults a test can call."""

from __future__ import annotations

from tests.launch.fakes.cluster import FakeCluster, journal_text
from tests.launch.fakes.docker import FakeDocker
from tests.launch.fakes.host import EPOCH, FakeContainer, FakeHost, end_well, facts, serve_well
from tests.launch.fakes.recipes import IMAGE, LLAMA, RAY_TWO, SGLANG_TWO, SOLO, rendered
from tests.launch.fakes.transport import FakeTransport

__all__ = [
    "EPOCH", "IMAGE", "LLAMA", "RAY_TWO", "SGLANG_TWO", "SOLO",
    "FakeCluster", "FakeContainer", "FakeDocker", "FakeHost", "FakeTransport",
    "end_well", "facts", "journal_text", "rendered", "serve_well",
]  # fmt: skip
