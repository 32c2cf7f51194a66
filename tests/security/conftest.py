"""What the security tests share."""

from __future__ import annotations

import pytest

from tests.launch.fakes import FakeCluster


@pytest.fixture
def cluster() -> FakeCluster:
    """Two hosts, nothing on them."""
    return FakeCluster("spark-1", "spark-2")
