"""The one query line over all recipes: `qwen fp8 runtime:sglang nodes:2 params:>30b -has:pre_exec`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import field

from sparkrun_tui.base.reading.numbers import decimal
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.recipe.names.params import parse_params
from sparkrun_tui.recipe.search.entry import Entry
from sparkrun_tui.recipe.suggestions import did_you_mean
from sparkrun_tui.recipe.values.favourites import favourites
from sparkrun_tui.recipe.values.saved_overrides import lasting_place

KEYS = {
    "runtime": "the engine: vllm, sglang, llama-cpp, eugr-vllm",
    "nodes": "hosts that it needs as written: 2, >1",
    "dtype": "number format of the weights, by the recipe or its model: fp8, nvfp4",
    "params": "parameters, by the recipe or its model: >30b, <=8b",
    "ctx": "context in tokens: >=128k",
    "tool": "tool call parser",
    "fits": "on the chosen cluster: yes, tight, no, unknown",
    "has": "a field or key that it has: pre_exec, mods, env",
    "registry": "the registry it comes from",
    "source": "bundled, user, registry",
    "model": "model id",
    "name": "recipe name",
    "image": "container image",
    "maintainer": "maintainer",
    "tp": "tensor parallel degree",
    "is": "fav (a favourite), broken, solo, cluster, moe",
}
"""Keys of the query line, each with its help text for completion."""

PLACE = "@"
"""The key of the condition that a word such as `@community` or `@community/qwen` makes."""

_ALIASES = {
    "context": "ctx",
    "engine": "runtime",
    "host": "nodes",
    "hosts": "nodes",
    "size": "params",
    "quant": "dtype",
    "author": "maintainer",
    "container": "image",
    "fit": "fits",
    "reg": "registry",
}
_TOKEN = late_regex(r'(?P<negated>-?)(?:(?P<key>[A-Za-z_]+):)?(?P<value>"[^"]*"?|[^\s"]+(?:"[^"]*"?)?)?')
_SIGNED = late_regex(r"(?P<negated>-?)(?P<key>[A-Za-z_]{1,20})(?P<value>(?:>=|<=|>|<|=).+)")
"""A condition without the colon: `params>30b`."""
_NUMERIC = frozenset({"nodes", "params", "ctx", "tp"})
_NUMBER = late_regex(r"(?P<op>>=|<=|>|<|=|)(?P<number>.+)")
_RANGE = late_regex(r"(?P<low>[^.]+(?:\.\d+)?)\.\.(?P<high>.+)")
_FITS = {
    "yes": ("good", "tight"),
    "good": ("good",),
    "tight": ("tight",),
    "no": ("bad",),
    "bad": ("bad",),
    "unknown": ("unknown",),
}
FAVOURITE = "favourite"
"""The value of `is:` for the recipes that the user has marked, which may be cut: `is:fav`."""
FITS_VALUES = ("yes", "good", "tight", "no", "unknown")
"""The values of `fits:`."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word that must (or, negated, must not) be found; in lower case."""

    text: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on one key; any one of `values` is enough."""

    key: str
    values: tuple[str, ...]
    negated: bool = False
    text: str = field(default="", compare=False)
    """The words of the query line that it was read from."""

    @property
    def shown(self) -> str:
        """The condition in words for a chip: `params >30b`, `not fits no`."""
        sign = "not " if self.negated else ""
        return f"{sign}{self.key} {','.join(self.values)}"


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query line; `notes` say what was not understood, for the line below the search box.

    `hints` are about words that look like a filter and are searched as words.
    """

    words: tuple[Word, ...] = ()
    filters: tuple[Filter, ...] = ()
    notes: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether it has no conditions, so that everything matches."""
        return not self.words and not self.filters


def parse_query(text: str) -> Query:
    """The query of one line; never fails: half-typed conditions are left out or become words."""
    words: list[Word] = []
    filters: list[Filter] = []
    notes: list[str] = []
    hints: list[str] = []
    for match in _TOKEN.finditer(text):
        if not match.group():
            continue
        negated = bool(match["negated"])
        typed = (match["key"] or "").lower()
        value = (match["value"] or "").strip('"').lower()
        signed = None if typed else _SIGNED.fullmatch(match.group())
        if signed is not None and _meant(signed["key"].lower()) in KEYS:
            typed, value = signed["key"].lower(), signed["value"].lower()
        key = _meant(typed)
        if key in KEYS:
            kept = tuple(part for part in value.split(",") if part and _usable(key, part, notes))
            if kept:
                filters.append(Filter(key, kept, negated, match.group()))
            continue
        if match["key"]:
            near = did_you_mean(key, {*KEYS, *_ALIASES})
            if near and not value.startswith("//"):
                notes.append(f"no such filter: {key}: {near}")
                continue
            # Words with a colon are searched as they are: `repo:tag`, `https://...`.
            if value and not value.startswith("//"):
                hints.append(f"{key}: is not a filter and is searched as a word; tab lists the filters")
            value = f"{match['key'].lower()}:{value}"
        if value.startswith(PLACE) and value != PLACE:
            filters.append(Filter(PLACE, (value.removeprefix(PLACE).rstrip("/"),), negated, match.group()))
        elif value:
            words.append(Word(value, negated))
    return Query(tuple(words), tuple(filters), tuple(notes), tuple(hints))


def _meant(key: str) -> str:
    """A key by any of its names."""
    return _ALIASES.get(key, key)


def half_typed_key(text: str) -> str:
    """The last word of a query line if it may become the key of a filter, else empty: `fi` of `qwen fi`."""
    word = text[text.rfind(" ") + 1 :].removeprefix("-").lower()
    if word and any(name.startswith(word) for name in (*KEYS, *_ALIASES)):
        return text[text.rfind(" ") + 1 :]
    return ""


def without_word(text: str, word: str) -> str:
    """A query line without one of its words."""
    kept = text.split(" ")
    if word in kept:
        kept.remove(word)
    return " ".join(part for part in kept if part)


def _usable(key: str, value: str, notes: list[str]) -> bool:
    if key in _NUMERIC and _bounds(value) is None:
        if value not in (">", "<", ">=", "<=", "="):
            notes.append(f"{key}:{value} is not a number: {KEYS[key]}")
        return False
    if key == "fits" and not any(word.startswith(value) for word in _FITS):
        hint = did_you_mean(value, FITS_VALUES) or f"use {', '.join(FITS_VALUES)}"
        notes.append(f"fits:{value} is unknown; {hint}")
        return False
    return True


def parse_count(text: str) -> float | None:
    """A number with a unit as in queries: `30b`, `128k` (1,024 each for `ki`), `1.5m`; None for anything else."""
    binary = re.fullmatch(r"(\d+(?:\.\d+)?)(k|m)i", text)
    if binary:
        unit = 1024 if binary[2] == "k" else 1024**2
        return (decimal(binary[1]) or 0.0) * unit
    if text == "0":
        return 0
    parsed = parse_params(text)
    if parsed is None:
        return None
    return 1.0 * parsed[0]


def _bounds(value: str) -> tuple[float, float, bool, bool] | None:
    """The lowest and the highest number, and whether each is included; None when it is not a condition on numbers."""
    ranged = _RANGE.fullmatch(value)
    if ranged:
        low, high = parse_count(ranged["low"]), parse_count(ranged["high"])
        if low is None or high is None:
            return None
        return low, high, True, True
    match = _NUMBER.fullmatch(value)
    if match is None:
        return None
    number = parse_count(match["number"])
    if number is None:
        return None
    infinite = math.inf
    return {
        ">": (number, infinite, False, True),
        ">=": (number, infinite, True, True),
        "<": (-infinite, number, True, False),
        "<=": (-infinite, number, True, True),
    }.get(match["op"], (number, number, True, True))


Predicate = Callable[[Entry], bool]
"""A test of one entry."""


def predicate(condition: Filter, fits: Callable[[Entry], str] | None = None) -> Predicate:
    """The test for a condition. `fits` maps an entry to `good`, `tight`, `bad` or `unknown`."""
    tests = [_test(condition.key, value, fits) for value in condition.values]
    if len(tests) == 1 and not condition.negated:
        return tests[0]
    return lambda entry: any(test(entry) for test in tests) != condition.negated


def _test(key: str, value: str, fits: Callable[[Entry], str] | None) -> Predicate:
    if key in _NUMERIC:
        return _numeric(key, value)
    if key == "fits":
        levels: set[str] = set()
        for word, found in _FITS.items():
            if word.startswith(value):
                levels.update(found)
        return lambda entry: (fits(entry) if fits else "unknown") in levels
    if key == "has":
        wanted = value.replace("-", "_")
        return lambda entry: any(name.startswith(wanted) for name in entry.has)
    if key == "is" and FAVOURITE.startswith(value):
        kept = favourites()
        return lambda entry: lasting_place(entry.source) in kept
    if key == "is":
        return lambda entry: any(name.startswith(value) for name in entry.kinds)
    if key == "tool":
        return lambda entry: any(value in tool for tool in entry.tools)
    if key == "dtype":
        normal = value.replace("-", "_")
        return lambda entry: normal in entry.dtype
    return _textual(key, value)


def _numeric(key: str, value: str) -> Predicate:
    bounds = _bounds(value)
    if bounds is None:
        return lambda entry: False
    low, high, with_low, with_high = bounds
    is_exact = low == high
    if key == "ctx" and is_exact and value.endswith("k"):
        # Context lengths are named in thousands and written in powers of two: 128k also means 131,072.
        high *= 1.049

    def test(entry: Entry) -> bool:
        number = entry.number(key)
        if number is None or not low <= number <= high:
            return False
        if number == low and not with_low:
            return False
        return with_high or number != high

    return test


def _textual(key: str, value: str) -> Predicate:
    if key == "runtime":
        return lambda entry: entry.runtime.startswith(value)
    if key == "registry":
        return lambda entry: _is_of_registry(entry, value)
    if key == PLACE:
        return lambda entry: _is_at(entry, value)
    if key == "source":
        return lambda entry: entry.source.kind.value.startswith(value)
    return lambda entry: value in entry.text_of(key)


def _is_of_registry(entry: Entry, value: str) -> bool:
    return any(name.startswith(value) for name in registry_names(entry))


def _is_at(entry: Entry, value: str) -> bool:
    """Whether an entry is of the registry `value`, or where more stands behind the registry, has that in its name."""
    for name in registry_names(entry):
        if name.startswith(value):
            return True
        if value.startswith(f"{name}/") and value[len(name) + 1 :] in f"{entry.text_of('name')}\n{entry.model.lower()}":
            return True
    return False


def registry_names(entry: Entry) -> tuple[str, ...]:
    """The names, in lower case, that an entry's registry goes by; empty where it is of none."""
    return tuple(name.lower() for name in (entry.source.registry, entry.source.repository) if name)
