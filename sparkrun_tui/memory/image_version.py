"""Which engine version a container image holds, as far as its tag says."""

from __future__ import annotations

import re

_NGC_VLLM = {"26.08": "0.27.1"}
"""Versions inside NVIDIA's monthly vLLM images, where a public start-up log states both."""


def version_of_image(engine: str, image: str) -> str:
    """Return the version an image's tag states (``0.32.0``, ``b11669``), empty when it states none.

    Tags such as ``latest``, ``nightly`` or a date say nothing about the version.
    """
    name, _, tag = image.partition("@")[0].rpartition(":")
    if not name or "/" in tag:
        return ""
    if engine == "llama-cpp":
        build = re.search(r"(?:^|[-_])(b\d{3,6})(?:$|[-_])", tag)
        return build.group(1) if build else ""
    month = re.match(r"(\d\d\.\d\d)-py3", tag)
    if month:
        return _NGC_VLLM.get(month.group(1), "") if engine == "vllm" else ""
    release = re.match(r"v?(\d+\.\d+(?:\.\d+)?)(?!\d)", tag)
    return release.group(1) if release else ""
