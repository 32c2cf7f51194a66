"""GPUs are known by the names that nvidia-smi prints."""

from __future__ import annotations

import pytest

from sparkrun_tui.base.gpus import compute_capability


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("NVIDIA GB10", (12, 1)),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", (12, 0)),
        ("NVIDIA GeForce RTX 5060 Ti", (12, 0)),
        ("NVIDIA Thor", (11, 0)),
        ("NVIDIA B300 SXM6 AC", (10, 3)),
        ("NVIDIA GB200", (10, 0)),
        ("NVIDIA GH200 144G HBM3e", (9, 0)),
        ("NVIDIA H20", (9, 0)),
        ("NVIDIA RTX 5000 Ada Generation", (8, 9)),
        ("NVIDIA L40S", (8, 9)),
        ("Orin (nvgpu)", (8, 7)),
        ("NVIDIA RTX A6000", (8, 6)),
        ("NVIDIA A10G", (8, 6)),
        ("NVIDIA A100-SXM4-80GB", (8, 0)),
        ("Tesla T4", (7, 5)),
        ("Tesla V100-SXM2-32GB", (7, 0)),
        ("AMD Instinct MI300X", None),
        ("", None),
    ],
)
def test_capabilities_by_name(name: str, expected: tuple[int, int] | None) -> None:
    assert compute_capability(name) == expected
