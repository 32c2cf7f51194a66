"""Figures that engines printed in earlier launches, and facts of images, in small files of the state directory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, field, fields
from pathlib import Path
from typing import Any

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.disk.kept_json import keep_newest, read_kept, update_kept
from sparkrun_tui.base.reading.numbers import decimal_of, whole_of
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex

MAX_RECORDS = 16
"""How many records are kept of one recipe, newest first."""

MAX_RECIPES = 300
MAX_IMAGES = 200
_DIGEST = late_regex(r"[0-9a-f]{16,64}")


@dataclass(frozen=True, slots=True)
class Record:
    """The figures that one engine printed on one host, by name (bytes, tokens, requests), at Unix time `time`.

    `total` is the device memory in bytes that the engine multiplies with its fraction `utilisation` (None when the
    engine has none); `settings` are those that change these figures. `image_digest` is empty when the image has none.
    """

    host: str
    time: float
    image: str
    total: int
    utilisation: float | None
    settings: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)
    image_digest: str = ""

    @property
    def _case(self) -> tuple[str, str, str]:
        return self.host, self.image, json.dumps(self.settings, sort_keys=True)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What a host reported about an image: its digest and the engine's version in it; empty when unknown."""

    digest: str = ""
    version: str = ""


def records(recipe_digest: str) -> tuple[Record, ...]:
    """The records of a recipe with this digest of its file, newest first; none when the store's file is damaged."""
    path = _recipe_file(recipe_digest)
    return _records(read_kept(path)) if path is not None else ()


def _records(data: Any) -> tuple[Record, ...]:
    if not isinstance(data, list):
        return ()
    found = []
    for item in data:
        record = _record(item)
        if record is not None:
            found.append(record)
    return tuple(found)


def remember(recipe_digest: str, new: Sequence[Record]) -> None:
    """Keep new records, of each host with the same image and settings only the newest. Raises `OSError`."""
    path = _recipe_file(recipe_digest)
    if path is None or not new:
        return

    def add(data: Any) -> list[dict[str, Any]]:
        kept: dict[tuple[str, str, str], Record] = {}
        for record in sorted((*new, *_records(data)), key=lambda record: -record.time):
            kept.setdefault(record._case, record)
        return [asdict(record) for record in list(kept.values())[:MAX_RECORDS]]

    update_kept(path, add)
    _prune(path.parent)


def image_facts(image: str) -> ImageFacts:
    """The known facts of an image by its name; empty when no host has reported it."""
    data = read_kept(_images_file())
    if not isinstance(data, dict) or not isinstance(data.get(image), dict):
        return ImageFacts()
    entry = data[image]
    return ImageFacts(str(entry.get("digest") or ""), str(entry.get("version") or ""))


def learn_image(image: str, facts: ImageFacts) -> None:
    """Keep what a host reported about an image. Raises `OSError`."""
    if not image or image_facts(image) == facts:
        return
    update_kept(_images_file(), lambda data: keep_newest(data, image, asdict(facts), MAX_IMAGES))


def _folder() -> Path:
    return paths.state_dir() / "measured"


def _images_file() -> Path:
    return _folder() / "images.json"


def _recipe_file(digest: str) -> Path | None:
    return _folder() / f"{digest[:32]}.json" if _DIGEST.fullmatch(digest) else None


def _record(item: Any) -> Record | None:
    """The record in `item`, as `remember` writes it; None for anything else."""
    if not isinstance(item, dict):
        return None
    names = {entry.name for entry in fields(Record)}
    try:
        record = Record(**{key: value for key, value in item.items() if key in names})
    except TypeError:
        return None
    texts: tuple[object, ...] = (record.host, record.image, record.image_digest)
    for text in texts:
        if not isinstance(text, str):
            return None
    mappings: tuple[object, ...] = (record.settings, record.figures)
    for mapping in mappings:
        if not isinstance(mapping, dict):
            return None
    if decimal_of(record.time, least=0.0) is None:
        return None
    if whole_of(record.total) is None:
        return None
    if record.utilisation is not None and decimal_of(record.utilisation, least=0.0) is None:
        return None
    for value in record.figures.values():
        if decimal_of(value) is None:
            return None
    return record


def _prune(folder: Path) -> None:
    """Remove the files that were written longest ago."""
    files = [path for path in folder.glob("*.json") if path != _images_file()]
    for path in sorted(files, key=lambda path: path.stat().st_mtime)[:-MAX_RECIPES]:
        path.unlink(missing_ok=True)
