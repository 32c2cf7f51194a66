"""The list of all recipes, quickly: unchanged files from the index cache, others sketched when time runs out."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields, replace
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

from sparkrun_tui import __version__
from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.disk.files import open_regular, read_text, write_private
from sparkrun_tui.base.reading.json_text import parse_flat_json
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.recipe.model import Source
from sparkrun_tui.recipe.registry.registries import registry_folders
from sparkrun_tui.recipe.search.entry import Entry, KnownWords
from sparkrun_tui.recipe.search.files import all_files
from sparkrun_tui.recipe.search.folders import recipe_files

if TYPE_CHECKING:
    from sparkrun_tui.recipe.search.patience import Patience

_FIELDS = tuple(field.name for field in fields(Entry) if field.name != "source")
_TUPLES = tuple(_FIELDS.index(name) for name in ("tools", "has", "kinds"))
_FORMAT = hashlib.sha256(" ".join(("5", __version__, *_FIELDS)).encode()).hexdigest()[:16]
"""Changes with the fields of an entry and with the version, which may know other engines and flags."""
_SKETCH_SIZE = 64 << 10
_USUAL_BUDGET = 0.15
_FEW = 24
"""New and changed files that are parsed before the list is shown: those of a person who edits recipes."""

Stamp = tuple[int, int]
"""Modification time in nanoseconds, and size in bytes."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Entries for a list. `pending` holds the files that were only sketched; `stamps` the state of each file when read.

    A file that is not a recipe has a stamp and no entry.
    """

    by_path: Mapping[str, Entry]
    stamps: Mapping[str, Stamp]
    words: KnownWords
    pending: tuple[str, ...] = ()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The entries in the order of their sources."""
        return tuple(self.by_path.values())


def list_recipes(settings: Settings, words: KnownWords, budget: float | None = None) -> Listing:
    """The entries of all recipes. New and changed files are parsed for `budget` seconds, the rest is sketched.

    Without a budget a few files are parsed; many are all sketched, since what parses them takes longer to load than a
    sketch of them all.
    `words` are what entries need from engines (`engines.search_words`). Call `finish` on the result, in a thread, to
    parse the rest and write the cache.
    """
    with _collector_paused():
        return _list(settings, words, budget)


def first_entries(settings: Settings, count: int) -> list[Entry]:
    """The entries of the first `count` recipes, sketched: a first look while no index is there and all are read."""
    found: list[Entry] = []
    for folder, file in all_files(settings):
        with suppress(OSError):
            entry = _sketch_of(file.path, folder.source(file.path))
            if entry is not None:
                found.append(entry)
        if len(found) >= count:
            break
    return found


@contextmanager
def _collector_paused() -> Iterator[None]:
    # Ten thousand long-lived entries make the cyclic collector run again and again: a third of the time.
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _list(settings: Settings, words: KnownWords, budget: float | None) -> Listing:
    cached = _read_cache()
    files = [(folder, file.path, _stamp(file.path)) for folder, file in all_files(settings)]
    if budget is None:
        fresh = sum(not _is_known(cached.get(path), stamp) for _, path, stamp in files)
        budget = _USUAL_BUDGET if fresh <= _FEW else 0.0
    deadline = time.monotonic() + budget
    by_path: dict[str, Entry] = {}
    stamps: dict[str, Stamp] = {}
    pending: list[str] = []
    patience: Patience | None = None
    for folder, path, stamp in files:
        if stamp is None:
            continue
        stamps[path] = stamp
        source = folder.source(path)
        row = cached.get(path)
        if row is not None and _is_known(row, stamp):
            entry = None
            if row[2] is not None:
                entry = _from_row(row[2], source)
            if entry is not None and "include" in entry.has:
                # The file is the same, but one that it includes may not be.
                if time.monotonic() < deadline:
                    patience = patience or _patience()
                    entry = _parse(path, source, words, patience, entry)
                else:
                    pending.append(path)
        elif time.monotonic() < deadline:
            patience = patience or _patience()
            entry = _parse(path, source, words, patience, None)
        else:
            entry = _sketched(path, source, words)
            pending.append(path)
        if entry is not None:
            by_path[path] = entry
    listing = Listing(by_path, stamps, words, tuple(pending))
    if not pending and _has_changed(cached, stamps):
        _write_cache(listing)
    return listing


def _is_known(row: list[Any] | None, stamp: Stamp | None) -> bool:
    """Whether the index has a file as it is now."""
    return row is not None and stamp is not None and row[0] == stamp[0] and row[1] == stamp[1]


def _has_changed(cached: Mapping[str, list[Any]], stamps: Mapping[str, Stamp]) -> bool:
    """Whether files were added, removed or written since the cache was."""
    if cached.keys() != stamps.keys():
        return True
    return any(cached[path][0] != stamp[0] for path, stamp in stamps.items())


def hidden_entries(settings: Settings, words: KnownWords, place: str) -> list[Entry]:
    """The recipes of the hidden registries that `place` names in full, in lower case: `lab`, or `lab/qwen`.

    Lists leave such registries out unless they are asked for by name.
    """
    patience = _patience()
    found = []
    for folder in registry_folders(settings):
        name = folder.registry.lower()
        if folder.visible or not (place == name or place.startswith(f"{name}/")):
            continue
        for file in recipe_files(folder):
            entry = _parse(file.path, folder.source(file.path), words, patience, None)
            if entry is not None:
                found.append(entry)
    return found


def finish(listing: Listing, budget: float = 3600.0) -> Listing:
    """The listing with pending files parsed for `budget` seconds; when none is left, the cache is written."""
    if not listing.pending:
        return listing
    deadline = time.monotonic() + budget
    by_path = dict(listing.by_path)
    waiting = deque(listing.pending)
    patience = _patience()
    while waiting and time.monotonic() < deadline:
        path = waiting.popleft()
        before = by_path.get(path)
        if before is None:
            continue
        entry = _parse(path, before.source, listing.words, patience, before)
        if entry is None:
            del by_path[path]
        else:
            by_path[path] = entry
    done = replace(listing, by_path=by_path, pending=tuple(waiting))
    if not waiting:
        _write_cache(done)
    return done


def _stamp(path: str) -> Stamp | None:
    try:
        status = os.stat(path)
    except OSError:
        # It was removed since the folder was listed.
        return None
    return status.st_mtime_ns, status.st_size


def _patience() -> Patience:
    # The parser is imported here because it is not needed where all entries come from the cache.
    from sparkrun_tui.recipe.search.patience import Patience

    return Patience()


def _parse(path: str, source: Source, words: KnownWords, patience: Patience, before: Entry | None) -> Entry | None:
    """The entry of a file, None when it is not a recipe; `before`, else a sketch, when its folder has had its time."""
    from sparkrun_tui.recipe.search.sources import looks_like_recipe
    from sparkrun_tui.recipe.search.summary import entry_of

    recipe = patience.load(path, source)
    if recipe is None:
        return before or _sketched(path, source, words)
    return entry_of(recipe, words()) if looks_like_recipe(recipe) else None


def _sketched(path: str, source: Source, words: KnownWords) -> Entry | None:
    try:
        return _sketch_of(path, source)
    except OSError:
        return _parse(path, source, words, _patience(), None)


def _sketch_of(path: str, source: Source) -> Entry | None:
    """What can be seen of a recipe without parsing it; None when it is none. Raises `OSError`."""
    from sparkrun_tui.recipe.format.quick_read import sketch

    with open_regular(path) as file:
        text = file.read(_SKETCH_SIZE).decode("utf-8", "replace")
    return sketch(text, source)


def _file() -> Path:
    return paths.cache_dir() / "recipe-index.json"


def _read_cache() -> dict[str, list[Any]]:
    try:
        data = parse_flat_json(read_text(_file(), encoding="ascii"))
        rows: dict[str, list[Any]] = data["rows"]
        if data["format"] != _FORMAT or not all(map(_is_row, rows.values())):
            return {}
        return rows
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        # An unreadable cache is written again.
        return {}


_OPTIONAL = frozenset({int, NoneType})
_FORMS = tuple(
    _OPTIONAL if field.type == "int | None" else {int if field.type == "int" else str}
    for field in fields(Entry)
    if field.name != "source"
)
_known_forms: set[tuple[type, ...]] = set()
"""The types of the values of entries that were compared already: most entries have the same few."""


def _is_row(row: Any) -> bool:
    """Whether a row of the cache has the form in which it is written: the stamp, and the values of an entry or none."""
    if type(row) is not list or len(row) != 3 or type(row[0]) is not int or type(row[1]) is not int:
        return False
    if row[2] is None:
        return True
    if type(row[2]) is not list:
        return False
    form = tuple(map(type, row[2]))
    if form in _known_forms:
        return True
    if len(form) != len(_FORMS) or not all(kind in allowed for kind, allowed in zip(form, _FORMS, strict=True)):
        return False
    _known_forms.add(form)
    return True


def _from_row(row: list[Any], source: Source) -> Entry:
    values = list(row)
    for place in _TUPLES:
        values[place] = tuple(values[place].split("\n")) if values[place] else ()
    return Entry(values[0], source, *values[1:])


def _to_row(entry: Entry) -> list[Any]:
    values = [getattr(entry, name) for name in _FIELDS]
    for place in _TUPLES:
        # One text per list: many short texts would take most of the time of reading.
        values[place] = "\n".join(values[place])
    return values


def _write_cache(listing: Listing) -> None:
    rows: dict[str, list[Any]] = {}
    for path, stamp in listing.stamps.items():
        entry = listing.by_path.get(path)
        rows[path] = [*stamp, None if entry is None else _to_row(entry)]
    # Without a cache only the next start is slower.
    with suppress(OSError):
        write_private(_file(), json.dumps({"format": _FORMAT, "rows": rows}, separators=(",", ":")))
