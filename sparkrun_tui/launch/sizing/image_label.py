"""The engine version in an image, read from the image's labels and environment."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.registry import family_of

if TYPE_CHECKING:
    from sparkrun_tui.remote.docker.types import ImageInfo

_OCI = "org.opencontainers.image."
_ABOUT = ("title", "source", "url", "ref.name", "description")
_RELEASE = late_regex(r"v?(\d{1,9}\.\d{1,9}(?:\.\d{1,9})?)(?![\d])")
_BUILD = late_regex(r"(?:^|[^0-9a-z])(b\d{3,6})\b")


def version_of(engine: str, image: ImageInfo) -> str:
    """The version of the engine (`0.32.0`, `b11669`) in an image; empty when the image does not say.

    A label or variable counts when its name contains both the engine's name and `version` (`ai.example.vllm.version`,
    `VLLM_VERSION`). The general `org.opencontainers.image.version` only counts when the image's other general labels
    mention the engine: images inherit it from their base image, whose version it then is.
    """
    family = family_of(engine)
    if family is None:
        return ""
    word = re.compile(family.image_words, re.IGNORECASE)
    pairs = list(image.labels.items())
    for item in image.env:
        name, _, value = item.partition("=")
        pairs.append((name, value))
    versions = [value for name, value in pairs if word.search(name) and "version" in name.lower()]
    for key in _ABOUT:
        if word.search(image.labels.get(f"{_OCI}{key}", "")):
            versions.append(image.labels.get(f"{_OCI}version", ""))
            break
    return _first(family, versions)


def digest_of(image: ImageInfo) -> str:
    """The digest of an image's content, without its repository; empty for an image that was built on its host."""
    return min((digest.rpartition("@")[2] for digest in image.digests), default="")


def _first(family: Family, texts: Iterable[str]) -> str:
    pattern = _BUILD if family.build_numbers else _RELEASE
    for text in texts:
        match = pattern.search(text) if family.build_numbers else pattern.match(text.strip())
        if match is not None:
            return match[1]
    return ""
