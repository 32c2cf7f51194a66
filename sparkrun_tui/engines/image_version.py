"""Which engine version a container image holds, as far as its tag says."""

from __future__ import annotations

import re

from sparkrun_tui.base.numbers import whole
from sparkrun_tui.engines.family import Family

_A_YEAR = 2000


def is_older(stated: str, known: str) -> bool:
    """Whether a version that an image states is older than another; False where they cannot be compared.

    Releases and build numbers are compared with their own kind. A date says nothing about a release.
    """
    left, right = _parts(stated), _parts(known)
    if not left or not right or stated.startswith("b") != known.startswith("b") or left[0] >= _A_YEAR > right[0]:
        return False
    return left < right


def _parts(version: str) -> tuple[int, ...]:
    """The numbers of a version; empty where it has none."""
    numbers = (whole(part) for part in re.findall(r"[0-9]{1,9}", version)[:3])
    return tuple(number for number in numbers if number is not None)


def version_in_tag(family: Family, image: str) -> str:
    """The version that an image's tag states (`0.32.0`, `b11669`), empty when it states none.

    The date of a nightly image (`20260927`) is returned as it stands where the engine's images have one: it tells the
    release that was current. Tags such as `latest` or `nightly` say nothing, nor does a number too low for the engine,
    which is the image's own.
    """
    name, _, tag = image.partition("@")[0].rpartition(":")
    if not name or "/" in tag:
        return ""
    if family.build_numbers:
        build = re.search(r"(?:^|[-_])(b[0-9]{3,6})(?:$|[-_])", tag)
        return build.group(1) if build else ""
    month = re.match(r"([0-9]{2}\.[0-9]{2})-py3", tag)
    if month:
        return family.tag_versions.get(month.group(1), "")
    release = re.match(r"v?([0-9]+\.[0-9]+(?:\.[0-9]+)?)(?![0-9])", tag)
    if release:
        return "" if is_older(release.group(1), family.first_version) else release.group(1)
    if not family.dated_tags:
        return ""
    date = re.search(r"(?<![0-9])20[0-9]{2}[-.]?[01][0-9][-.]?[0-3][0-9]", tag)
    return date.group(0) if date else ""
