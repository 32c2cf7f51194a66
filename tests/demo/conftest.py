"""What the tests of the demo share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.demo.cluster import DemoCluster
from sparkrun_tui.launch.launcher import Launcher
from tests.demo import samples

SPEED = 50.0


@pytest.fixture
async def demo() -> AsyncIterator[DemoCluster]:
    """A demo cluster in a hurry."""
    texts = (samples.LLAMA, samples.VLLM, samples.VLLM_RAY, samples.VLLM_RANKS, samples.SGLANG, samples.EUGR)
    async with DemoCluster(SPEED, Settings(), [samples.recipe(text) for text in texts], visitors=False) as cluster:
        yield cluster


@pytest.fixture
async def launcher(demo: DemoCluster) -> AsyncIterator[Launcher]:
    """A launcher for it."""
    launcher = Launcher(Settings(), demo.services, {})
    yield launcher
    await launcher.close()
