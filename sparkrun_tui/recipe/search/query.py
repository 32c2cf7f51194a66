"""The one query line over all recipes: `qwen fp8 runtime:sglang nodes:2 params:>30b -has:pre_exec`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from sparkrun_tui.base.numbers import decimal
from sparkrun_tui.recipe.format.params import parse_params
from sparkrun_tui.recipe.search.entry import Entry

KEYS = {
    "runtime": "the engine: vllm, sglang, llama-cpp, eugr-vllm",
    "nodes": "hosts that it takes as written: 2, >1",
    "dtype": "number format of the weights: fp8, nvfp4",
    "params": "parameters: >30b, <=8b",
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
    "is": "broken, solo, cluster, moe",
}
"""Keys of the query line, each with a help for completion."""

_ALIASES = {
    "context": "ctx",
    "engine": "runtime",
    "hosts": "nodes",
    "container": "image",
    "fit": "fits",
    "reg": "registry",
}
_TOKEN = re.compile(r'(?P<negated>-?)(?:(?P<key>[A-Za-z_]+):)?(?P<value>"[^"]*"?|[^\s"]+(?:"[^"]*"?)?)?')
_NUMERIC = frozenset({"nodes", "params", "ctx", "tp"})
_NUMBER = re.compile(r"(?P<op>>=|<=|>|<|=|)(?P<number>.+)")
_RANGE = re.compile(r"(?P<low>[^.]+(?:\.\d+)?)\.\.(?P<high>.+)")
_FITS = {
    "yes": ("good", "tight"),
    "good": ("good",),
    "tight": ("tight",),
    "no": ("bad",),
    "bad": ("bad",),
    "unknown": ("unknown",),
}
FITS_VALUES = ("yes", "good", "tight", "no", "unknown")
"""What may follow `fits:`."""


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


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query line; `notes` tell what was not understood, for the line below the search box."""

    words: tuple[Word, ...] = ()
    filters: tuple[Filter, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether it asks for nothing, so that everything matches."""
        return not self.words and not self.filters


def parse_query(text: str) -> Query:
    """The query of one line; never fails: what is half typed is left out or taken as a word."""
    words: list[Word] = []
    filters: list[Filter] = []
    notes: list[str] = []
    for match in _TOKEN.finditer(text):
        if not match.group():
            continue
        negated = bool(match["negated"])
        key = (match["key"] or "").lower()
        key = _ALIASES.get(key, key)
        value = (match["value"] or "").strip('"').lower()
        if key in KEYS:
            kept = tuple(part for part in value.split(",") if part and _usable(key, part, notes))
            if kept:
                filters.append(Filter(key, kept, negated))
        else:
            word = f"{match['key'].lower()}:{value}" if match["key"] else value
            if word:
                words.append(Word(word, negated))
    return Query(tuple(words), tuple(filters), tuple(notes))


def _usable(key: str, value: str, notes: list[str]) -> bool:
    if key in _NUMERIC and _bounds(value) is None:
        if value not in (">", "<", ">=", "<=", "="):
            notes.append(f"{key}:{value} is not a number")
        return False
    if key == "fits" and not any(word.startswith(value) for word in _FITS):
        notes.append(f"fits: takes {', '.join(FITS_VALUES)}")
        return False
    return True


def parse_count(text: str) -> float | None:
    """A number with a unit as in queries: `30b`, `128k` (1,024 each for `ki`), `1.5m`; None when it is none."""
    binary = re.fullmatch(r"(\d+(?:\.\d+)?)(k|m)i", text)
    if binary:
        return (decimal(binary[1]) or 0.0) * (1024 if binary[2] == "k" else 1024**2)
    if text == "0":
        return 0
    parsed = parse_params(text)
    return None if parsed is None else 1.0 * parsed[0]


def _bounds(value: str) -> tuple[float, float, bool, bool] | None:
    """Lowest and highest, and whether each is included."""
    ranged = _RANGE.fullmatch(value)
    if ranged:
        low, high = parse_count(ranged["low"]), parse_count(ranged["high"])
        return None if low is None or high is None else (low, high, True, True)
    match = _NUMBER.fullmatch(value)
    number = parse_count(match["number"]) if match else None
    if match is None or number is None:
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
        levels = {level for word, found in _FITS.items() if word.startswith(value) for level in found}
        return lambda entry: (fits(entry) if fits else "unknown") in levels
    if key == "has":
        wanted = value.replace("-", "_")
        return lambda entry: any(name.startswith(wanted) for name in entry.has)
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
    # Context lengths are said in thousands and written in powers of two: 128k means 131,072, too.
    slack = 1.049 if key == "ctx" and value.endswith("k") and low == high else 1.0

    def test(entry: Entry) -> bool:
        number = entry.number(key)
        if number is None:
            return False
        above = number >= low if with_low else number > low
        below = number <= high * slack if with_high else number < high
        return above and below

    return test


def _textual(key: str, value: str) -> Predicate:
    if key == "runtime":
        return lambda entry: entry.runtime.startswith(value)
    if key == "registry":
        return lambda entry: any(
            name.lower().startswith(value) for name in (entry.source.registry, entry.source.repository) if name
        )
    if key == "source":
        return lambda entry: entry.source.kind.value.startswith(value)
    return lambda entry: value in entry.text_of(key)
