"""Names that come from outside, each checked in one place: text of the wrong form is refused.

They come from a host, a label, the Hub or a recipe. Later code may put them into paths and scripts unchecked.
"""

from __future__ import annotations

import re
from typing import NewType

from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.regexes import late_regex

Commit = NewType("Commit", str)
"""Forty hexadecimal digits, in lower case."""

LaunchId = NewType("LaunchId", str)
"""Eight letters or digits, in lower case."""

LAUNCH_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
"""What new ids are made of: letters and digits that are not easily confused."""

LAUNCH_LENGTH = 8
MAX_NODES = 64
"""The most hosts that a launch may have."""

_COMMIT = late_regex(r"[0-9a-f]{40}", re.ASCII)
_LAUNCH = late_regex(rf"[a-z0-9]{{{LAUNCH_LENGTH}}}", re.ASCII)
_VARIABLE = late_regex(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_UNPRINTABLE = late_regex(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Control characters, line ends, and what UTF-8 cannot encode."""
_MAX_PATH = 4096
_URL_PATH = late_regex(r"/[A-Za-z0-9._~/%?&=+-]{0,200}", re.ASCII)


def commit(text: object) -> Commit | None:
    """A full commit; None for anything else."""
    if isinstance(text, str) and _COMMIT.fullmatch(text):
        return Commit(text)
    return None


def launch_id(text: object) -> LaunchId | None:
    """The id of a launch; None for anything else."""
    if isinstance(text, str) and _LAUNCH.fullmatch(text):
        return LaunchId(text)
    return None


def variable_name(text: str) -> str | None:
    """The name of an environment variable that a shell can set; None for anything else."""
    return text if _VARIABLE.fullmatch(text) else None


def relative_path(text: str) -> str | None:
    """A path of `/`-separated names below some root; None when it could lead out of the root or is not printable.

    Empty and absolute paths, `.`, `..` and empty names, backslashes, control characters, and what UTF-8 cannot encode
    are refused.
    """
    if not text or len(text) > _MAX_PATH or "\\" in text:
        return None
    if any(name in ("", ".", "..") for name in text.split("/")):
        return None
    if _UNPRINTABLE.search(text):
        return None
    return text


def url_path(text: str) -> str | None:
    """A path on an HTTP server, a query may follow; None for anything else."""
    return text if _URL_PATH.fullmatch(text) else None


def rank(text: str) -> int | None:
    """The number of a rank, from 0 on; None for anything else."""
    return whole(text, least=0, most=MAX_NODES - 1)


def nodes(text: str) -> int | None:
    """How many hosts a launch has; None for anything else."""
    return whole(text, least=1, most=MAX_NODES)


def port(text: str) -> int | None:
    """A TCP port; None for anything else."""
    return whole(text, least=1, most=65535)


def size(text: str) -> int | None:
    """A count of bytes, up to 18 digits; None for anything else."""
    return whole(text, least=0)
