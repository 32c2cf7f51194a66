"""What a host says of its counters, as its script prints them."""

from __future__ import annotations

from sparkrun_tui.base.units import MIB


def counters(
    *,
    cores: float = 0.0,
    disk: float = 0.0,
    network: float = 0.0,
    gpu: float | None = 0.0,
    programs: tuple[str, ...] = (),
) -> str:
    """Two readings, two seconds apart: cores busy, MiB a second from the disks and over the network, GPU in percent."""
    lines = ["hz\t100"]
    for number in (0, 1):
        lines += [f"time\t{50 + 2 * number}.25", *(f"program\t{name}" for name in ("python3", *programs))]
        lines += [f"ticks\t{1000 + 200 * cores * number:.0f}", "processes\t4"]
        lines.append(f"sectors\t{9000 + 2 * disk * MIB / 512 * number:.0f}")
        lines += [f"bytes\t{7000 + 2 * network * MIB * number:.0f}", "words\t0"]
    if gpu is not None:
        lines.append(f"gpu\t{gpu:.0f}")
    return "\n".join([*lines, "end", ""])
