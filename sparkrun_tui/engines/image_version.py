"""The engine version in a container image, read from its tag."""

from __future__ import annotations

import re
from functools import lru_cache

from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.engines.family import Family

_A_YEAR = 2000


def is_older(stated: str, known: str) -> bool:
    """Whether the version stated by an image is older than `known`; False where they cannot be compared.

    Releases are compared with releases and build numbers with build numbers. A date says nothing about a release.
    """
    left, right = _parts(stated), _parts(known)
    if not left or not right:
        return False
    if stated.startswith("b") != known.startswith("b"):
        return False
    date_beside_release = left[0] >= _A_YEAR > right[0]
    if date_beside_release:
        return False
    return left < right


@lru_cache(maxsize=256)
def _parts(version: str) -> tuple[int, ...]:
    """The numbers of a version; empty where it has none."""
    numbers = []
    for part in re.findall(r"[0-9]{1,9}", version)[:3]:
        number = whole(part)
        if number is not None:
            numbers.append(number)
    return tuple(numbers)


def repository_of(image: str) -> str:
    """An image's name without its tag, its digest and the registry that Docker takes by itself."""
    name = image.partition("@")[0]
    head, _, tag = name.rpartition(":")
    if head and "/" not in tag:
        name = head
    return name.removeprefix("docker.io/")


def version_in_tag(family: Family, image: str) -> str:
    """The version that an image's tag states (`0.32.0`, `b11669`); empty when it states none.

    The date of a nightly image (`20260927`) is returned unchanged where the engine's images have one: it says which
    release was current. So does the month of NVIDIA's images (`26.10-py3` is `2026-10`), where their release is not
    known. Tags such as `latest` or `nightly` state no version, nor does a number too low for the engine,
    which numbers the image itself.
    """
    name, _, tag = image.partition("@")[0].rpartition(":")
    if not name or "/" in tag:
        return ""
    if family.build_numbers:
        build = re.search(r"(?:^|[-_])(b[0-9]{3,6})(?:$|[-_])", tag)
        if build is None:
            return ""
        return build.group(1)
    month = re.match(r"([0-9]{2})\.([0-9]{2})-py3", tag)
    if month:
        return _version_of_month(family, month.group(1), month.group(2))
    release = re.match(r"v?([0-9]+\.[0-9]+(?:\.[0-9]+)?)(?![0-9])", tag)
    if release is None and repository_of(image) in family.official_images:
        # Behind other words stand the versions of CUDA and Python, too, but none of those begins with 0.
        release = re.search(r"(?<=[-_])v?(0\.[0-9]+\.[0-9]+)(?![0-9.])", tag)
    if release:
        if is_older(release.group(1), family.first_version):
            return ""
        return release.group(1)
    if not family.dated_tags:
        return ""
    date = re.search(r"(?<![0-9])20[0-9]{2}[-.]?[01][0-9][-.]?[0-3][0-9]", tag)
    if date is None:
        return ""
    return date.group(0)


def _version_of_month(family: Family, year: str, month: str) -> str:
    """The release in NVIDIA's image of a month, else the month itself where the engine's dates say something."""
    known = family.tag_versions.get(f"{year}.{month}", "")
    if known or not family.dated_tags or not "01" <= month <= "12":
        return known
    return f"20{year}-{month}"
