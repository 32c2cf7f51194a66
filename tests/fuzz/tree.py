"""Documents as trees that can hold what no parser returns: repeated keys, anchors, numbers written oddly."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


class Raw(str):
    """A scalar that is written as it is: `NaN`, `*anchor`, a number of 5,000 digits."""

    __slots__ = ()


@dataclass(slots=True)
class Map:
    """A mapping as pairs in their order; a key may be there twice."""

    pairs: list[tuple[Any, Any]] = field(default_factory=list)


def tree(data: Any) -> Any:
    """Plain data (JSON, YAML) as a tree."""
    if isinstance(data, Mapping):
        return Map([(str(key), tree(value)) for key, value in data.items()])
    if isinstance(data, list | tuple):
        return [tree(value) for value in data]
    if data is None or isinstance(data, bool | int | float | str):
        return data
    return str(data)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node hangs: its holder and the position in it."""

    holder: Any
    at: int

    @property
    def node(self) -> Any:
        return self.holder.pairs[self.at][1] if isinstance(self.holder, Map) else self.holder[self.at]

    @property
    def key(self) -> Any:
        return self.holder.pairs[self.at][0] if isinstance(self.holder, Map) else None

    def put(self, node: Any) -> None:
        if isinstance(self.holder, Map):
            self.holder.pairs[self.at] = (self.holder.pairs[self.at][0], node)
        else:
            self.holder[self.at] = node

    def rename(self, key: Any) -> None:
        if isinstance(self.holder, Map):
            self.holder.pairs[self.at] = (key, self.holder.pairs[self.at][1])

    def drop(self) -> None:
        del (self.holder.pairs if isinstance(self.holder, Map) else self.holder)[self.at]

    def double(self) -> None:
        items = self.holder.pairs if isinstance(self.holder, Map) else self.holder
        items.insert(self.at, items[self.at])


def places(root: Any) -> Iterator[Place]:
    """Every node below `root`, without recursion: documents are nested deeper than Python's stack."""
    waiting = [root]
    while waiting:
        holder = waiting.pop()
        count = len(holder.pairs) if isinstance(holder, Map) else len(holder) if isinstance(holder, list) else 0
        for at in range(count):
            place = Place(holder, at)
            yield place
            if isinstance(place.node, Map | list):
                waiting.append(place.node)


def to_json(node: Any) -> str:
    """A tree as JSON, or nearly: raw scalars are written as they are."""
    if isinstance(node, Map):
        return "{" + ", ".join(f"{_key(key)}: {to_json(value)}" for key, value in node.pairs) + "}"
    if isinstance(node, list):
        return "[" + ", ".join(map(to_json, node)) + "]"
    return str(node) if isinstance(node, Raw) else json.dumps(node)


def to_yaml(node: Any, depth: int = 0) -> str:
    """A tree as YAML in block style at the top and in flow style below, with long commands as literal blocks."""
    if depth > 1 or not isinstance(node, Map) or not node.pairs:
        return to_json(node) + "\n"
    lines = []
    indent = "  " * depth
    for key, value in node.pairs:
        if isinstance(value, Map) and value.pairs and depth == 0:
            lines.append(f"{indent}{_key(key)}:\n{to_yaml(value, depth + 1)}")
        elif _is_block(value):
            body = "".join(f"{indent}  {line}\n" for line in value.split("\n"))
            lines.append(f"{indent}{_key(key)}: |\n{body}")
        else:
            lines.append(f"{indent}{_key(key)}: {to_json(value)}\n")
    return "".join(lines)


def _is_block(value: Any) -> bool:
    if not isinstance(value, str) or isinstance(value, Raw) or "\n" not in value:
        return False
    return value.replace("\n", "").isprintable() and not value.startswith((" ", "\n"))


def _key(key: Any) -> str:
    return str(key) if isinstance(key, Raw) else json.dumps(str(key))
