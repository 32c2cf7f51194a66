"""Which release of vLLM an image or a log names."""

from __future__ import annotations

import re

from sparkrun_tui.base.numbers import whole

NEWEST = (0, 33)
"""The version assumed when an image does not state one."""

_RELEASES = (
    ((2024, 1), (0, 3)),
    ((2024, 7), (0, 5)),
    ((2025, 1), (0, 7)),
    ((2025, 5), (0, 9)),
    ((2025, 8), (0, 10)),
    ((2025, 10), (0, 11)),
    ((2025, 12), (0, 12)),
    ((2026, 1), (0, 14)),
    ((2026, 2), (0, 15)),
    ((2026, 3), (0, 17)),
    ((2026, 4), (0, 19)),
    ((2026, 5), (0, 21)),
    ((2026, 6), (0, 23)),
    ((2026, 7), (0, 25)),
    ((2026, 8), (0, 27)),
    ((2026, 9), (0, 29)),
    ((2026, 10), (0, 31)),
    ((2026, 11), (0, 32)),
)
"""The release that was current in a month, for images and logs that state only a date."""


def release_of(text: str) -> tuple[int, int] | None:
    """Read a release number such as `v0.32.0` out of free text."""
    found = re.search(r"(?<![\d.])v?0\.([0-9]{1,3})(?=[.\s\-+_a-z]|$)", text)
    return (0, whole(found.group(1)) or 0) if found else None


def parse_version(text: str) -> tuple[int, int] | None:
    """Read a version out of free text: `0.23.1rc1.dev531`, or a year and month; None when neither is there."""
    release = release_of(text)
    if release is not None:
        return release
    date = re.search(r"(?<!\d)(20[0-9]{2})[-.]?(0[1-9]|1[0-2])(?:[-.]?\d\d){0,2}(?!\d)", text)
    if date is None:
        return None
    month = whole(date.group(1)) or 0, whole(date.group(2)) or 0
    earlier = [version for since, version in _RELEASES if since <= month]
    return earlier[-1] if earlier else None


def release_or_newest(version: str) -> tuple[int, int]:
    """The release that an image or a log states, the newest when it states none."""
    return parse_version(version) or NEWEST
