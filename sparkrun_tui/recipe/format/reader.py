"""Typed reading of a mapping node: each wrong type becomes a problem with its place, and reading continues."""

from __future__ import annotations

from typing import Any

from sparkrun_tui.base.errors import Spot
from sparkrun_tui.base.reading.numbers import decimal, whole
from sparkrun_tui.base.text import shorten
from sparkrun_tui.recipe.format.yamltree import Node, compact_json, entries, key_text, plain, scalar_data
from sparkrun_tui.recipe.model import Problem, Severity, Value

_KINDS = {"map": "a mapping", "list": "a list"}
_TYPES = {"str": "text", "int": "a number", "float": "a number", "bool": "a boolean", "null": "empty"}
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_MOST_SHOWN = 60
"""The most characters of a key in a message about a place within others."""
_NEAREST = 4
"""The most keys around such a place that a message names."""


class Reader:
    """Reads the keys of one mapping of a file at `path`, collecting `problems` and `spots`."""

    def __init__(self, path: str, node: Node, problems: list[Problem], spots: dict[str, Spot], at: str = "") -> None:
        self.path = path
        self.problems = problems
        self.spots = spots
        self.at = at
        self.nodes: dict[str, Node] = {}
        self._index(node)

    def _index(self, node: Node) -> None:
        for key, value in entries(node):
            name = key_text(key)
            if key.kind != "scalar":
                self.report("key", "a key must be plain text", key)
            self.nodes[name] = value
            self.spots[f"{self.at}{name}"] = self.spot(key)

    def spot(self, node: Node) -> Spot:
        """The place of a node."""
        return Spot(node.path or self.path, node.line, node.column)

    def report(
        self, code: str, message: str, node: Node, severity: Severity = Severity.ERROR, remedy: str = ""
    ) -> None:
        """Record a problem at a node."""
        self.problems.append(Problem(severity, code, message, self.spot(node), remedy))

    def _wrong(self, key: str, node: Node, wanted: str) -> None:
        remedy = ""
        if is_accidental_mapping(node):
            remedy = f'write it in quotes: {key}: "{as_braces(node)}"'
        elif node.kind != "scalar" and not node.pairs and not node.items:
            remedy = f"leave `{key}` out, it is empty"
        if node.kind == "scalar":
            what = f"{_TYPES.get(node.tag, 'text')} (`{shorten(node.text, 60)}`)"
        else:
            what = _KINDS[node.kind]
        self.report("type", f"`{self.at}{key}` must be {wanted}, not {what}", node, remedy=remedy)

    def text(self, key: str) -> str:
        """The text of `key`, numbers as written; empty when missing, empty or of a wrong type."""
        node = self.nodes.get(key)
        if node is None:
            return ""
        if node.kind != "scalar":
            self._wrong(key, node, "text")
            return ""
        return "" if node.is_null else node.text

    def whole(self, key: str, minimum: int = 1, maximum: int = 1 << 60) -> int | None:
        """The whole number of `key`, within both limits; None when missing or wrong."""
        node = self.nodes.get(key)
        if node is None or node.is_null:
            return None
        number = _whole(node)
        if number is None:
            self._wrong(key, node, "a whole number")
        elif number < minimum:
            self._out_of_range(key, node, f"at least {minimum}")
        elif number > maximum:
            self._out_of_range(key, node, f"at most {maximum:,}")
        else:
            return number
        return None

    def _out_of_range(self, key: str, node: Node, limit: str) -> None:
        self.report("range", f"`{self.at}{key}` must be {limit}, not {shorten(node.text, 40)}", node)

    def number(self, key: str, maximum: float = 1e18) -> float | None:
        """The number of `key`, from 0 to `maximum`; None when missing or wrong."""
        node = self.nodes.get(key)
        if node is None or node.is_null:
            return None
        value = None
        if node.kind == "scalar":
            value = decimal(node.text.replace("_", ""))
        if value is None:
            self._wrong(key, node, "a number")
        elif value < 0:
            self._out_of_range(key, node, "at least 0")
        elif value > maximum:
            self._out_of_range(key, node, f"at most {maximum:,.0f}")
        else:
            return value
        return None

    def flag(self, key: str) -> bool:
        """The boolean of `key`; False when missing or wrong."""
        node = self.nodes.get(key)
        if node is None or node.is_null:
            return False
        word = node.text.lower()
        if node.kind != "scalar" or word not in _BOOLEANS:
            self._wrong(key, node, "`true` or `false`")
            return False
        return _BOOLEANS[word]

    def below(self, key: str) -> Reader | None:
        """A reader of the mapping under `key`; None when missing, empty or of a wrong type."""
        node = self.nodes.get(key)
        if node is None or node.is_null:
            return None
        if node.kind != "map":
            self._wrong(key, node, "a mapping of keys")
            return None
        return Reader(self.path, node, self.problems, self.spots, f"{self.at}{key}.")

    def data(self, key: str) -> Any:
        """The plain data of `key`, None when missing."""
        node = self.nodes.get(key)
        if node is None:
            return None
        return plain(node)

    def values(self) -> dict[str, Value]:
        """Every key as a `Value`; lists and mappings have compact JSON as their text."""
        found = {}
        for key, node in self.nodes.items():
            if node.kind == "scalar":
                found[key] = Value(scalar_data(node.text, node.tag), node.text, self.spot(node))
            else:
                data = plain(node)
                found[key] = Value(data, compact_json(data), self.spot(node))
        return found


def _whole(node: Node) -> int | None:
    """A scalar as a whole number, None for anything else."""
    if node.kind != "scalar":
        return None
    data = scalar_data(node.text, node.tag)
    if isinstance(data, str):
        return whole(data)
    if isinstance(data, float) and data.is_integer():
        return round(data)
    if isinstance(data, int) and not isinstance(data, bool):
        return data
    return None


def is_accidental_mapping(node: Node) -> bool:
    """Whether a node is what YAML makes of an unquoted `{key}`: a mapping of keys without values."""
    if node.kind != "map" or not node.pairs:
        return False
    return all(value.is_null and not value.text for _, value in node.pairs)


def as_braces(node: Node) -> str:
    """An accidental mapping as its author wrote it, on one line: `{key}`, `{{key}}`."""
    inner = []
    for key, _ in node.pairs:
        inner.append(as_braces(key) if is_accidental_mapping(key) else key_text(key))
    return "{" + ", ".join(inner) + "}"


def repeated_keys(root: Node, path: str) -> list[Problem]:
    """A warning for each key that a mapping of the file has twice, with both lines; as in PyYAML the last one wins."""
    found: list[Problem] = []
    seen: set[int] = set()
    # The keys around a node are joined for a message only: a key may be long, and stand around thousands of nodes.
    waiting: list[tuple[Node, tuple[str, ...]]] = [(root, ())]
    while waiting:
        node, at = waiting.pop()
        # An alias shares the pairs of its anchor: they are reported once.
        if node.kind == "list":
            waiting.extend((item, at) for item in reversed(node.items))
        if node.kind != "map" or id(node.pairs) in seen:
            continue
        seen.add(id(node.pairs))
        first: dict[str, Node] = {}
        below: list[tuple[Node, tuple[str, ...]]] = []
        for key, value in node.pairs:
            name = key_text(key)
            if name in first and key.tag != "merge":
                lines = f"in line {first[name].line} and again in line {key.line}"
                shown = ".".join(shorten(part, _MOST_SHOWN) for part in (*at, name)[-_NEAREST:])
                message = f"`{shown}` is given {lines}; the last one wins"
                spot = Spot(path, key.line, key.column)
                found.append(Problem(Severity.WARNING, "duplicate-key", message, spot))
            first[name] = key
            below.append((value, (*at, name)))
        waiting.extend(reversed(below))
    return found
