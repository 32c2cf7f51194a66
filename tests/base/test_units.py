"""Sizes and times read as people expect, in binary units only."""

from __future__ import annotations

import pytest

from sparkrun_tui.base.units import GIB, format_bytes, format_count, format_duration, format_gib


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1536, "1.5 KiB"), (5 << 20, "5.0 MiB"), (11 * GIB, "11.0 GiB"), (3 << 40, "3.0 TiB")],
)
def test_bytes(size: int, text: str) -> None:
    assert format_bytes(size) == text


def test_gib_never_says_gb() -> None:
    assert format_gib(130_596_048_896, 2) == "121.63 GiB"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0.4 s"), (41, "41 s"), (247, "4:07"), (3729, "1:02:09"), (183_600, "2 d 3 h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_only_one_thing_is_singular() -> None:
    assert [format_count(number, "host") for number in (0, 1, 2)] == ["0 hosts", "1 host", "2 hosts"]
