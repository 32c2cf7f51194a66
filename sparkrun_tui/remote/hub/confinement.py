"""Confines what a download writes to the folders of its own model in the Hugging Face cache.

huggingface_hub names the files of its cache after headers of the answers (`ETag`, `X-Repo-Commit`) and after listings.
A mirror of the Hub may put `../` into any of them. Python reports each opening, link and renaming to audit hooks before
it happens, so what leads out is refused whatever it was made from.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_ONE_PATH = frozenset({"os.mkdir", "os.truncate"})
_TWO_PATHS = frozenset({"os.rename", "os.link"})
_OF_A_REPOSITORY = ("models--", "datasets--", "spaces--", "kernels--")


class OutsideCacheError(Exception):
    """A file was to be written outside the folders of the model; no `OSError`, which the library might pass over."""


def confine_writes(hub: Path, folder: str) -> None:
    """Let this process write only what belongs to one model of a cache; for the rest of its life.

    `hub` holds the folders of models, `folder` is the name of this one. Writing anywhere else raises
    `OutsideCacheError`.
    """
    # A compiled module that cannot be written is no reason to stop.
    sys.dont_write_bytecode = True
    belongs = _judge(os.path.realpath(hub), os.path.realpath(hub / folder), folder)

    def hook(event: str, values: tuple[Any, ...]) -> None:
        for path, follows in _written(event, values):
            place = _real(path, follows)
            if not belongs(place):
                raise OutsideCacheError(f"{place} is outside the model's folder in {hub}")

    sys.addaudithook(hook)


def _written(event: str, values: tuple[Any, ...]) -> list[tuple[Any, bool]]:
    """The paths that an event is about to change, and whether a link at its end is followed."""
    if event == "open":
        path, _, flags = values
        if isinstance(flags, int) and flags & _WRITING:
            return [(path, True)]
        return []
    if event in _ONE_PATH:
        return [(values[0], True)]
    if event in _TWO_PATHS:
        return [(values[0], False), (values[1], False)]
    if event == "os.symlink":
        # What the link leads to is sent to hosts as a part of the model.
        target = os.path.join(os.path.dirname(os.fsdecode(values[1])), os.fsdecode(values[0]))
        return [(target, True), (values[1], False)]
    return []


def _real(path: Any, follows: bool) -> str:
    """The place of a path with its links followed; empty for a file that is open already."""
    if isinstance(path, int):
        return ""
    text = os.fsdecode(path)
    if follows:
        return os.path.realpath(text)
    return os.path.join(os.path.realpath(os.path.dirname(text)), os.path.basename(text))


def _judge(hub: str, own: str, folder: str) -> Callable[[str], bool]:
    def belongs(place: str) -> bool:
        if place in ("", os.devnull) or place == own or place.startswith(f"{own}/"):
            return True
        if place == hub:
            return True
        if not place.startswith(f"{hub}/"):
            return False
        # The rest of the cache has locks, files that models share, and what the library tries out.
        parts = place[len(hub) + 1 :].split("/")
        if parts[0] == ".locks":
            parts = parts[1:]
        if not parts or parts[0] == folder:
            return True
        return not parts[0].startswith(_OF_A_REPOSITORY)

    return belongs
