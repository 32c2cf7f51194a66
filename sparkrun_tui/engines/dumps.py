"""Every flag of an engine as its own parser knows them: data files in its folder, made from dumps of that parser."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from sparkrun_tui.base.reading.json_text import parse_flat_json
from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.fields.declared import FIELDS

_RELEASE = late_regex(r"v?([0-9]{1,6}(?:\.[0-9]{1,6}){1,3})(?:\.?post[0-9]{1,3})?(?:\+cu[0-9]{2,4})?")
_BUILD = late_regex(r"b([0-9]{3,6})")
_BOOLEAN_WORDS = frozenset({"true", "false", "enabled", "disabled"})


@dataclass(frozen=True, eq=False)
class EngineFlag:
    """One flag: its spellings, and what it takes.

    `kind` is `flag` (no value), `bool` (no value, with a `--no-` form), `value`, or `open` (a value may follow). `type`
    is `int`, `float`, `json`, `object` (JSON where it stands in braces), `str` or empty; `many` says that several
    values may follow.
    """

    spellings: tuple[str, ...]
    kind: str
    type: str = ""
    many: bool = False
    choices: tuple[str, ...] = ()
    default: Any = None

    @cached_property
    def name(self) -> str:
        """The spelling to show: the first long one."""
        return next((word for word in self.spellings if word.startswith("--")), self.spellings[0])


@dataclass(frozen=True, slots=True)
class Change:
    """Something was added or removed: `before` is the last version known from before it, `after` the first one after.

    Nothing is known about versions between the two.
    """

    before: str
    after: str

    def not_yet(self, version: str) -> bool:
        """Whether a version is from before it; False where that is not known."""
        release = release_numbers(version)
        return _alike(version, self.before) and release <= release_numbers(self.before)

    def done(self, version: str) -> bool:
        """Whether a version is from after it; False where that is not known."""
        release = release_numbers(version)
        return _alike(version, self.after) and release >= release_numbers(self.after)


@lru_cache(maxsize=1024)
def release_numbers(version: str) -> tuple[int, ...]:
    """The numbers of a release such as `0.32.0` or of a build such as `b11669`, with which versions are compared.

    Empty for a version between releases, a date, or no version.
    """
    build = _BUILD.fullmatch(version)
    if build is not None:
        return (whole(build[1]) or 0,)
    release = _RELEASE.fullmatch(version)
    if release is None:
        return ()
    return tuple(whole(part) or 0 for part in release[1].split("."))


def _alike(version: str, known: str) -> bool:
    """Whether a version can be compared with a known one: releases with releases, and builds with builds."""
    if not release_numbers(version):
        return False
    return version.startswith("b") == known.startswith("b")


class History:
    """What came and went with the releases of an engine, as a table of changes by flag, or by flag and value.

    A value stands behind an equals sign: `--kv-cache-dtype=nvfp4`. The table is kept as it is in the file, since of
    its thousand rows a check reads a few.
    """

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.releases: tuple[str, ...] = tuple(table.get("releases", ()))
        """The releases whose flags are known, oldest first."""
        self._came: Mapping[str, list[str]] = table.get("came", {})
        self._gone: Mapping[str, list[str]] = table.get("gone", {})
        self._as_now: Mapping[str, list[str]] = table.get("as_now", {})

    def came(self, word: str) -> Change | None:
        """When a spelling or a value was added; None where the oldest known release has it."""
        return _change(self._came.get(word))

    def gone(self, word: str) -> Change | None:
        """When a spelling or a value was removed; None where no known release had it, or all have it."""
        return _change(self._gone.get(word))

    def as_now(self, name: str) -> Change | None:
        """Since when a flag's values are read as in the newest release; None where they always were."""
        return _change(self._as_now.get(name))

    def holds(self, version: str) -> bool:
        """Whether a version is one of those between the oldest and the newest known release."""
        if not self.releases or not _alike(version, self.releases[0]):
            return False
        numbers = release_numbers(version)
        return release_numbers(self.releases[0]) <= numbers <= release_numbers(self.releases[-1])

    def words(self) -> tuple[set[str], set[str]]:
        """Everything that came, and everything that went."""
        return set(self._came), set(self._gone)


def _change(pair: list[str] | None) -> Change | None:
    if pair is None:
        return None
    return Change(*pair)


@dataclass(frozen=True)
class EngineFlags:
    """All flags of one version of an engine, by spelling, and what earlier versions had."""

    title: str
    """The program and its version, as shown to a person: `vLLM 0.32.0`."""
    by_spelling: Mapping[str, EngineFlag]
    history: History = field(default_factory=lambda: History({}))

    @cached_property
    def _long(self) -> list[str]:
        """The long spellings, sorted."""
        return sorted(word for word in self.by_spelling if word.startswith("--"))

    def starting_with(self, text: str) -> tuple[EngineFlag, ...]:
        """The flags with a long spelling that begins so, each once."""
        if not text.startswith("--"):
            return ()
        found: dict[EngineFlag, None] = {}
        for at in range(bisect_left(self._long, text), len(self._long)):
            if not self._long[at].startswith(text):
                break
            found[self.by_spelling[self._long[at]]] = None
        return tuple(found)


@lru_cache(maxsize=8)
def load_flags(family: Family) -> EngineFlags:
    """The flags of the known version of an engine; empty where no dump of it is shipped."""
    folder, title = _folder(family.folder), family.known_title
    file = folder / f"flags-{family.known_version}.json"
    if not file.is_file():
        return EngineFlags(title, {})
    rows = parse_flat_json(file.read_text(encoding="utf-8"))
    by_spelling = {}
    for row in rows:
        flag = EngineFlag(
            tuple(row["f"]),
            row["k"],
            row.get("t", ""),
            row.get("n", False),
            tuple(row.get("c", ())),
            row.get("d"),
        )
        for word in flag.spellings:
            by_spelling[word] = flag
    history = folder / "history.json"
    if not history.is_file():
        return EngineFlags(title, by_spelling)
    return EngineFlags(title, by_spelling, History(parse_flat_json(history.read_text(encoding="utf-8"))))


def compact(dump: Iterable[Mapping[str, Any]], *, from_help: bool) -> str:
    """A data file made from a dump: entries with `flags`, `kind`, and if known `type`, `nargs`, `choices`, `default`.

    A dump that comes from a program's help (`from_help`, as llama-server's does) does not say of every flag whether a
    value follows; such flags become `open`.
    """
    rows = []
    for entry in dump:
        row: dict[str, Any] = {"f": list(entry["flags"]), "k": entry["kind"]}
        if from_help and entry["kind"] == "flag" and not _surely_a_switch(entry):
            row["k"] = "open"
        if entry.get("type"):
            row["t"] = entry["type"]
        if entry.get("nargs"):
            row["n"] = True
        if entry.get("choices"):
            row["c"] = [str(choice) for choice in entry["choices"]]
        if entry.get("default") not in (None, ""):
            row["d"] = entry["default"]
        rows.append(json.dumps(row, ensure_ascii=False, separators=(",", ":")))
    return "[\n" + ",\n".join(rows) + "\n]\n"


def _surely_a_switch(entry: Mapping[str, Any]) -> bool:
    """Whether a flag that the help lists without a value takes none: it has a `--no-` form or a boolean default.

    Flags of one plain word are switches too; in longer names the help is not to be relied on.
    """
    names = [str(name) for name in entry["flags"]]
    if str(entry.get("default", "")) in _BOOLEAN_WORDS:
        return True
    several_words = False
    for name in names:
        if name.startswith("--no-"):
            return True
        if "draft" in name or "-" in name[2:]:
            several_words = True
    return not several_words


@lru_cache(maxsize=8)
def _extra_helps(folder: str) -> dict[str, str]:
    file = _folder(folder) / "help.json"
    if not file.is_file():
        return {}
    found: dict[str, str] = parse_flat_json(file.read_text(encoding="utf-8"))
    return found


def _folder(name: str) -> Path:
    return Path(__file__).with_name(name)


def flag_help(family: Family, spelling: str) -> str:
    """What a flag does, in a sentence; empty where no help is written."""
    extra = _extra_helps(family.folder)
    words = [spelling]
    known = load_flags(family).by_spelling.get(spelling.partition("=")[0])
    if known is not None:
        words.extend(known.spellings)
    for word in words:
        if word in extra:
            return extra[word]
        row = family.flags.by_spelling.get(word)
        if row is None or not row.key:
            continue
        described = row.field or FIELDS.get(row.key)
        if described is None:
            return ""
        return described.help
    return ""
