"""How long the files of a model must be: by their own headers, and by the listing that the Hub's client keeps.

A full disk or a copy that broke off leaves a file under its right name that is shorter than it was. Without the Hub
only the file itself, and a listing of its repository, can show that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import BinaryIO

from sparkrun_tui.base.disk.files import open_regular, read_text
from sparkrun_tui.base.reading.decoded import decode_json
from sparkrun_tui.base.reading.json_text import JsonError
from sparkrun_tui.models import safetensors_header
from sparkrun_tui.models.gguf import header as gguf_header

MOST_LISTING = 4 << 20
"""Bytes of a listing; one of 10,000 files has half of it. No other thread has a turn while it is parsed."""
_MOST_READ = 128 << 20
"""Bytes that are read of all headers of a model; the largest models have less than half of it."""


class _Reading:
    """Reads parts of files as long as the budget of all together lasts."""

    def __init__(self, most: int) -> None:
        self._left = most

    @property
    def is_spent(self) -> bool:
        """Whether nothing more is read."""
        return self._left <= 0

    def part(self, file: BinaryIO, start: int, size: int) -> bytes:
        """A part of a file; empty once the budget is spent."""
        if self.is_spent:
            return b""
        file.seek(start)
        data = file.read(size)
        self._left -= len(data)
        return data


def any_cut(snapshot: Path, sizes: Mapping[str, int], listed: Mapping[str, int]) -> bool:
    """Whether one of these files of a snapshot (bytes by name) is shorter than its header or the listing says.

    A file whose header cannot be read counts as long enough: what it should be is not known.
    """
    reading = _Reading(_MOST_READ)
    for name, size in sizes.items():
        if size < listed.get(name, 0):
            return True
        least = _least(snapshot / name, reading)
        if least is not None and size < least and not reading.is_spent:
            return True
    return False


def _least(path: Path, reading: _Reading) -> int | None:
    """The bytes that a file of weights must have by its header; None where that cannot be said."""
    if path.suffix == ".safetensors":
        least_size = safetensors_header.least_size
    elif path.suffix == ".gguf":
        least_size = gguf_header.least_size
    else:
        return None
    try:
        with open_regular(path) as file:
            return least_size(partial(reading.part, file))
    except OSError:
        return None


def listed_sizes(text: str) -> dict[str, int]:
    """The bytes of a repository's files by name, from a kept listing (`trees/COMMIT.json`); empty for another form.

    Source: huggingface_hub 2.4, `_tree_cache.py`, format version 1.
    """
    found = {}
    try:
        data = decode_json(text)
        if data.at("format_version").whole() != 1:
            return {}
        for name, entry in data.at("files").present().fields().items():
            size = entry.at("lfs_size").whole() or entry.at("size").whole()
            if size is not None:
                found[name] = size
    except JsonError:
        return {}
    return found


def kept_listing(folder: Path, commit: str) -> dict[str, int]:
    """The same for the model's folder of a cache on this machine; empty where it keeps none that can be read."""
    try:
        return listed_sizes(read_text(folder / "trees" / f"{commit}.json", MOST_LISTING))
    except (OSError, UnicodeDecodeError):
        return {}


def cut_by(sizes: Iterable[tuple[str, int]], least: Mapping[str, int]) -> frozenset[str]:
    """The names of the files that have fewer bytes than they must have."""
    return frozenset(name for name, size in sizes if size < least.get(name, 0))
