"""A plugin that lets vLLM use Ray on CPUs, one pretended GPU for each host."""

from __future__ import annotations


def register() -> str:
    """The platform that vLLM uses in place of its own for CPUs."""
    return f"{__name__}.platform.CpuWithRay"
