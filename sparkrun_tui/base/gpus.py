"""What a GPU is by the product name that nvidia-smi prints."""

from __future__ import annotations

import re

from sparkrun_tui.base.regexes import late_regex

_CAPABILITIES = tuple(
    (late_regex(pattern, re.IGNORECASE), capability)
    for pattern, capability in (
        (r"\bGB10\b", (12, 1)),
        (r"\bBlackwell\b|\bRTX PRO\b|\b50[5-9]0\b", (12, 0)),
        (r"\bThor\b", (11, 0)),
        (r"\bG?B300\b", (10, 3)),
        (r"\bG?B[12]00\b", (10, 0)),
        (r"\b(?:GH200|H100|H200|H800|H20)\b", (9, 0)),
        (r"\bAda\b|\b(?:L2|L4|L20|L40S?)\b|\b40[5-9]0\b", (8, 9)),
        (r"\bOrin\b", (8, 7)),
        (r"\b(?:A10G?|A16|A2|A40|A2000|A4000|A4500|A5000|A5500|A6000)\b|\b30[5-9]0\b", (8, 6)),
        (r"\b(?:A100|A800|A30)\b", (8, 0)),
        (r"\bT4\b|\b20[6-8]0\b", (7, 5)),
        (r"\bV100\b", (7, 0)),
    )
)
"""Compute capabilities, from NVIDIA's list (developer.nvidia.com/cuda-gpus)."""


def compute_capability(name: str) -> tuple[int, int] | None:
    """The compute capability of a GPU, such as (12, 1) for a GB10; None for one that is not known here."""
    for pattern, capability in _CAPABILITIES:
        if pattern.search(name):
            return capability
    return None
