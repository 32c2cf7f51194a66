"""How fast the memory of a GPU is read, by its product name."""

from __future__ import annotations

import re

from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.memory.hosts import is_blackwell_spark
from sparkrun_tui.memory.result import HostMemory

SPARK = 273e9
"""Bytes a second of a DGX Spark's memory (LPDDR5X, 256 bits; NVIDIA's DGX Spark data sheet)."""

_KNOWN = tuple(
    (late_regex(pattern, re.IGNORECASE), rate)
    for pattern, rate in (
        (r"\bThor\b", 273e9),
        (r"\bOrin\b", 204.8e9),
        (r"\bB300\b", 8e12),
        (r"\bG?B200\b", 8e12),
        (r"\bH200\b", 4.8e12),
        (r"\bGH200\b.*\b144", 4.9e12),
        (r"\bGH200\b", 4e12),
        (r"\bH20\b", 4e12),
        (r"\bH100\b.*\bPCIe\b", 2e12),
        (r"\bH100\b.*\bNVL\b", 3.9e12),
        (r"\bH[18]00\b", 3.35e12),
        (r"\bA[18]00\b.*\b80\s?GB", 2.039e12),
        (r"\bA[18]00\b", 1.555e12),
        (r"\bRTX PRO 6000\b", 1.792e12),
        (r"\bRTX 5090\b", 1.792e12),
        (r"\bRTX 4090\b", 1.008e12),
        (r"\bRTX 3090 Ti\b", 1.008e12),
        (r"\bRTX 3090\b", 936e9),
        (r"\bRTX 6000 Ada\b", 960e9),
        (r"\bL40S?\b", 864e9),
        (r"\bA40\b", 696e9),
        (r"\bL4\b", 300e9),
        (r"\bT4\b", 320e9),
    )
)
"""Bytes a second by the data sheets of NVIDIA and its card makers."""


def bandwidth_of(host: HostMemory) -> float | None:
    """Bytes a second that a host's GPU reads, None for one that is not known here."""
    if is_blackwell_spark(host):
        return SPARK
    for pattern, rate in _KNOWN:
        if pattern.search(host.gpu_name):
            return rate
    return None
