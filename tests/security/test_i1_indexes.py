"""I1: an index of weights that its author made to be searched for long is read in time in proportion to it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sparkrun_tui.remote.hub.cache import whole
from tests.security.test_h1_caches import PART
from tests.security.test_h1_caches import whole as whole_on_disk

COUNT = 200_000
SECONDS = 3.0
"""The time of the processor for files that took minutes."""


@pytest.mark.parametrize(
    "inside",
    [
        '"' + '\\"' * COUNT,
        '"' + '\\"' * 9_000 + "a" * COUNT,
        ('"' + "a" * 2_000 + '\\"') * 2_000,
        '"' * COUNT,
        '"a": ' * COUNT,
        '"a":' + " " * COUNT + "1",
        '"a":"' * COUNT,
        "\\" * COUNT,
    ],
)
def test_an_index_takes_time_in_proportion_to_its_length(inside: str, tmp_path: Path) -> None:
    text = '{"weight_map": {' + inside + "}}"
    began = time.process_time()
    assert not whole_on_disk(tmp_path, text)
    assert not whole({PART: 9}, {"model.safetensors.index.json": text}, partial=False)
    assert time.process_time() - began < SECONDS
