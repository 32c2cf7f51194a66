"""Which engine version an image holds by what it says of itself: its labels and its environment."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.registry import family_of
from sparkrun_tui.remote.docker.types import ImageInfo

_OCI = "org.opencontainers.image."
_ABOUT = ("title", "source", "url", "ref.name", "description")
_RELEASE = re.compile(r"v?(\d{1,9}\.\d{1,9}(?:\.\d{1,9})?)(?![\d])")
_BUILD = re.compile(r"(?:^|[^0-9a-z])(b\d{3,6})\b")


def version_of(engine: str, image: ImageInfo) -> str:
    """The version of the engine (`0.32.0`, `b11669`) in an image, empty when it does not say.

    A label or variable that names both the engine and a version counts (`ai.example.vllm.version`, `VLLM_VERSION`).
    The general `org.opencontainers.image.version` only where the image's other general labels are about the engine:
    images inherit it from the system they were built on, whose version it then is.
    """
    family = family_of(engine)
    if family is None:
        return ""
    word = re.compile(family.image_words, re.IGNORECASE)
    pairs = [*image.labels.items(), *(item.partition("=")[::2] for item in image.env)]
    own = [value for name, value in pairs if word.search(name) and "version" in name.lower()]
    about = [image.labels.get(f"{_OCI}{key}", "") for key in _ABOUT]
    if any(word.search(text) for text in about):
        own.append(image.labels.get(f"{_OCI}version", ""))
    return _first(family, own)


def digest_of(image: ImageInfo) -> str:
    """What distinguishes one content of an image's name from another; empty for one that was only built on its host."""
    return min((digest.rpartition("@")[2] for digest in image.digests), default="")


def _first(family: Family, texts: Iterable[str]) -> str:
    pattern = _BUILD if family.build_numbers else _RELEASE
    for text in texts:
        match = pattern.search(text) if family.build_numbers else pattern.match(text.strip())
        if match is not None:
            return match[1]
    return ""
