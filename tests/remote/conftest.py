"""Real SSH servers, in this process, for the tests of the remote layer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.site import Site, opened_site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A server that is known and lets us in."""
    async with opened_site(tmp_path) as opened:
        yield opened
