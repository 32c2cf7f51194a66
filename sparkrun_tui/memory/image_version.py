"""Which engine version a container image holds, as far as its tag says."""

from __future__ import annotations

import re

_NGC_VLLM = {"26.08": "0.27.1"}
"""Versions inside NVIDIA's monthly vLLM images, where a public start-up log states both."""


def version_of_image(engine: str, image: str) -> str:
    """Return the version an image's tag states (``0.32.0``, ``b11669``), empty when it states none.

    A nightly vLLM image's date (``20260927``) is returned as it stands: it tells the release that was
    current. Tags such as ``latest`` or ``nightly`` say nothing.
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
    if release or engine != "vllm":
        return release.group(1) if release else ""
    date = re.search(r"(?<!\d)20\d\d[-.]?[01]\d[-.]?[0-3]\d", tag)
    return date.group(0) if date else ""
