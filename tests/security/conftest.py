"""What the security tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.launch.fakes import FakeCluster
from tests.support.site import Site, opened_site


@pytest.fixture
def cluster() -> FakeCluster:
    """Two hosts, nothing on them."""
    return FakeCluster("spark-1", "spark-2")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """An SSH server that is known and lets us in."""
    async with opened_site(tmp_path) as opened:
        yield opened
