"""How sizes, times and counts are shown: everything is computed in bytes and shown in GiB (2^30), never in GB."""

from __future__ import annotations

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
TIB = 1 << 40


def format_gib(size: float, digits: int = 1) -> str:
    """`size` bytes as `24.3 GiB`."""
    return f"{size / GIB:,.{digits}f} GiB"


def format_bytes(size: float) -> str:
    """`size` bytes in the binary unit that keeps it between 1 and 1024: `512 B`, `1.5 MiB`, `11.2 GiB`."""
    for unit, factor in (("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if abs(size) >= factor:
            return f"{size / factor:,.1f} {unit}"
    return f"{size:.0f} B"


def format_rate(bytes_per_second: float) -> str:
    """A transfer rate, as `212.0 MiB/s`."""
    return f"{format_bytes(bytes_per_second)}/s"


def format_duration(seconds: float) -> str:
    """A length of time: `0.4 s`, `41 s`, `4:07`, `1:02:09`, `2 d 3 h`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    whole = int(seconds)
    if whole >= 86_400:
        return f"{whole // 86_400} d {whole % 86_400 // 3600} h"
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours:
        return f"{hours}:{minutes:02}:{whole % 60:02}"
    return f"{minutes}:{whole % 60:02}"


def format_count(number: int, word: str) -> str:
    """A number of things whose plural ends in `s`: `1 host`, `2 hosts`."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
