"""YAML text as a tree of nodes with positions, read under hard limits before anything is built from it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import field, replace
from functools import lru_cache
from math import isfinite
from typing import Any

import yaml

from sparkrun_tui.base.errors import RecipeError, Spot
from sparkrun_tui.base.reading import numbers
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import shorten

MAX_BYTES = 1 << 20
"""The most bytes of a recipe file."""
MAX_DEPTH = 50
"""The most levels of nested mappings and lists, through aliases too."""
MAX_KEY_DEPTH = 4
"""The most levels of a key that is a list or a mapping: its text is JSON, which each level within a key doubles."""
MAX_KEY = 1024
"""The most characters of a key, as YAML itself has it for keys without `?`: messages and checks repeat keys."""
MAX_NODES = 10_000
"""The most nodes of a file after its aliases are expanded."""
MAX_EXPANDED = 2 * MAX_BYTES
"""The most characters of all texts of a file after its aliases are expanded: a list is kept as one JSON text."""
MAX_TEXT = 1 << 17
"""The most bytes of one text in UTF-8: Linux does not pass a longer argument to a program (MAX_ARG_STRLEN)."""
MAX_NUMBER = 100
"""The most characters of a number; longer ones stay text, since converting them can take minutes."""
_MOST = 10**20
"""Whole numbers are below it (a seed may have 64 bits); larger ones stay text."""

_SHORT = 32
"""The most characters of a text whose type is kept."""
_DIGITS = frozenset("123456789")
"""How a whole number begins that YAML 1.1 reads as Python does; with a zero in front it is octal."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVERS: dict[str | None, list[tuple[str, re.Pattern[str]]]] = yaml.SafeLoader.yaml_implicit_resolvers
_CONSTRUCT = yaml.constructor.SafeConstructor()
_COMMENT = late_regex(r"\s#")
_CORE = "tag:yaml.org,2002:"
_SCALAR_TAGS = frozenset({"str", "int", "float", "bool", "null", "timestamp"})


@dataclass(slots=True, eq=False)
class Node:
    """One YAML node: `kind` is `scalar`, `list` or `map`; `tag` the type of a scalar; line and column from 1.

    `size` counts the nodes below and including this one with aliases expanded, `length` the characters of their texts,
    `height` their nesting.
    """

    kind: str
    line: int
    column: int
    tag: str = "str"
    text: str = ""
    style: str = ""
    items: list[Node] = field(default_factory=list)
    pairs: list[tuple[Node, Node]] = field(default_factory=list)
    size: int = 1
    length: int = 0
    height: int = 1
    start: int = 0
    """The index of its first character in the text."""
    end: int = 0
    """The index of its end; for a block mapping or list, that of the next node."""
    path: str = ""
    """The file that it is read from."""

    @property
    def is_null(self) -> bool:
        """Whether it is a scalar without a value."""
        return self.kind == "scalar" and self.tag == "null"


def parse_tree(text: str, path: str) -> Node:
    """The root node of a YAML text with one document.

    Raises `RecipeError` with the place for anything that is not plain YAML within the limits.
    """
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise RecipeError(f"the file is larger than {MAX_BYTES >> 20} MiB", spot=Spot(path, 1, 1))
    try:
        root = _Composer(path).compose(text)
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text, path) from error
    except yaml.reader.ReaderError as error:
        raise _character_error(error, text, path) from error
    except (yaml.YAMLError, UnicodeError, ValueError, RecursionError) as error:
        raise RecipeError(f"not valid YAML: {error}", spot=Spot(path, 1, 1)) from error
    if root is None:
        raise RecipeError("the file is empty: a recipe is a mapping of keys", spot=Spot(path, 1, 1))
    return root


class _Composer:
    """Builds nodes from the stream of events without recursion, counting as it goes."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.anchors: dict[str, Node] = {}
        self.open: list[tuple[Node, str | None, list[Node]]] = []
        self.total = 0
        self.length = 0
        self.root: Node | None = None

    def compose(self, text: str) -> Node | None:
        documents = 0
        for event in yaml.parse(text, Loader=_LOADER):
            if isinstance(event, yaml.ScalarEvent):
                self._add(self._scalar(event), event.anchor)
            elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                self._start(event)
            elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                self._end(event)
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event)
            elif isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._error("the file has several YAML documents; a recipe is one document", event)
        return self.root

    def _error(self, what: str, event: Any, remedy: str = "") -> RecipeError:
        mark = event.start_mark
        return RecipeError(what, spot=Spot(self.path, mark.line + 1, mark.column + 1), remedy=remedy)

    def _tag(self, event: Any, allowed: frozenset[str]) -> str:
        tag = str(event.tag)
        short = tag.removeprefix(_CORE)
        if short == tag or short not in allowed:
            raise self._error(f"the YAML tag `{tag}` is not allowed in a recipe", event)
        return short

    def _scalar(self, event: Any) -> Node:
        text: str = event.value
        if is_too_long(text):
            size = len(text.encode("utf-8", "surrogatepass"))
            remedy = "put it into a file beside the recipe"
            raise self._error(
                f"a text has {size:,} bytes: at most {MAX_TEXT:,} can be passed to a program", event, remedy
            )
        if event.tag is not None and event.tag != "!":
            tag = self._tag(event, _SCALAR_TAGS)
            fitting = {tag, "int"} if tag == "float" else {tag}
            if tag != "str" and resolve(text) not in fitting:
                raise self._error(f"`{shorten(text, 40)}` is not what its tag `!!{tag}` says", event)
        elif event.implicit[0] and event.tag is None:
            tag = resolve(text)
        else:
            tag = "str"
        mark = event.start_mark
        node = Node("scalar", mark.line + 1, mark.column + 1, tag, text, event.style or "")
        node.start, node.end = mark.index, event.end_mark.index
        node.path = self.path
        node.length = len(text)
        self.length += node.length
        return node

    def _start(self, event: Any) -> None:
        if len(self.open) >= MAX_DEPTH:
            raise self._error(f"the file is nested more than {MAX_DEPTH} levels deep", event)
        kind, tag = "list", "seq"
        if isinstance(event, yaml.MappingStartEvent):
            kind, tag = "map", "map"
        if event.tag is not None and event.tag != "!":
            self._tag(event, frozenset({tag}))
        style = "flow" if event.flow_style else ""
        mark = event.start_mark
        node = Node(kind, mark.line + 1, mark.column + 1, style=style, start=mark.index, path=self.path)
        self.open.append((node, event.anchor, []))

    def _end(self, event: Any) -> None:
        node, anchor, children = self.open.pop()
        if node.kind == "map":
            node.pairs = list(zip(children[::2], children[1::2], strict=True))
            self._check_keys(node)
        else:
            node.items = children
        node.end = event.end_mark.index
        node.size = 1 + sum(child.size for child in children)
        node.length = sum(child.length for child in children)
        node.height = 1 + max((child.height for child in children), default=0)
        self._add(node, anchor)

    def _check_keys(self, node: Node) -> None:
        for key, _ in node.pairs:
            what = ""
            if key.height > MAX_KEY_DEPTH:
                what = f"the key of a mapping is nested more than {MAX_KEY_DEPTH} levels deep"
            elif key.length > MAX_KEY:
                what = f"the key of a mapping has {key.length:,} characters, more than {MAX_KEY:,}"
            if what:
                raise RecipeError(what, spot=Spot(self.path, key.line, key.column))

    def _alias(self, event: Any) -> None:
        target = self.anchors.get(event.anchor)
        if target is None:
            inside = any(anchor == event.anchor for _, anchor, _ in self.open)
            why = "refers to itself" if inside else "has no anchor before it"
            raise self._error(f"the alias `*{event.anchor}` {why}", event)
        if len(self.open) + target.height > MAX_DEPTH:
            raise self._error(f"the file is nested more than {MAX_DEPTH} levels deep through `*{event.anchor}`", event)
        self.total += target.size
        self.length += target.length
        self._check(event.start_mark.line + 1, event.start_mark.column + 1)
        mark = event.start_mark
        here = replace(target, line=mark.line + 1, column=mark.column + 1, start=mark.index, end=event.end_mark.index)
        self.open[-1][2].append(here)

    def _add(self, node: Node, anchor: str | None) -> None:
        self.total += 1
        if self.total > MAX_NODES or self.length > MAX_EXPANDED:
            self._check(node.line, node.column)
        if anchor:
            self.anchors[anchor] = node
        if self.open:
            self.open[-1][2].append(node)
        else:
            self.root = node

    def _check(self, line: int, column: int) -> None:
        if self.total > MAX_NODES:
            raise RecipeError(
                f"the file has more than {MAX_NODES:,} values after aliases are expanded",
                spot=Spot(self.path, line, column),
            )
        if self.length > MAX_EXPANDED:
            raise RecipeError(
                f"the file has more than {MAX_EXPANDED >> 20} MiB of text after aliases are expanded",
                spot=Spot(self.path, line, column),
            )


def is_too_long(text: str) -> bool:
    """Whether a text is longer than `MAX_TEXT`."""
    # Characters are counted first: most texts are too short to need encoding.
    if len(text) * 4 <= MAX_TEXT:
        return False
    return len(text) > MAX_TEXT or len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT


def without_comment(text: str) -> str:
    """The rest of a line without a comment at its end."""
    if "#" not in text:
        return text
    # The pattern has one blank, not several: a line may have a hundred thousand, and each is searched only once.
    found = _COMMENT.search(text)
    if found is None:
        return text
    return text[: found.start()].rstrip()


def resolve(text: str) -> str:
    """The type that YAML 1.1 gives a plain scalar: `str`, `int`, `float`, `bool`, `null`, `timestamp`, `merge`."""
    if len(text) <= _SHORT:
        return _resolved(text)
    return _resolve(text)


@lru_cache(maxsize=4096)
def _resolved(text: str) -> str:
    """The same for a short text: most are keys and values that many recipes share."""
    return _resolve(text)


def _resolve(text: str) -> str:
    for tag, pattern in (*_RESOLVERS.get(text[:1], ()), *_RESOLVERS.get(None, ())):
        if pattern.match(text):
            return str(tag).removeprefix(_CORE)
    return "str"


def scalar_data(text: str, tag: str) -> Any:
    """The value of a scalar of type `tag`; dates, and numbers that are infinite or too large, stay strings."""
    if tag in ("int", "float"):
        number = _number(text, tag)
        return text if number is None else number
    if tag == "bool":
        return {"yes": True, "true": True, "on": True}.get(text.lower(), False)
    return None if tag == "null" else text


def _number(text: str, tag: str) -> int | float | None:
    """A scalar as a number, None when it is not a usable one."""
    if len(text) > MAX_NUMBER:
        return None
    if tag == "int" and text[:1] in _DIGITS:
        plain_number = numbers.whole(text)
        if plain_number is not None:
            return plain_number
    try:
        if tag == "int":
            whole: int = _CONSTRUCT.construct_yaml_int(yaml.ScalarNode(tag, text))
            return whole if abs(whole) < _MOST else None
        number: float = _CONSTRUCT.construct_yaml_float(yaml.ScalarNode(tag, text))
        return number if isfinite(number) else None
    except (ValueError, OverflowError, IndexError):
        return None


def entries(node: Node) -> Iterator[tuple[Node, Node]]:
    """The pairs of a mapping with merge keys (`<<`) resolved: merged pairs first, so that the node's own win."""
    own = []
    for key, value in node.pairs:
        is_merge = key.kind == "scalar" and key.tag == "merge"
        if not is_merge:
            own.append((key, value))
        elif value.kind == "list":
            for part in reversed(value.items):
                yield from entries(part)
        else:
            yield from entries(value)
    yield from own


def plain(node: Node) -> Any:
    """The node as plain data: dictionaries with text keys, lists, and scalars."""
    if node.kind == "map":
        return {key_text(key): plain(value) for key, value in entries(node)}
    if node.kind == "list":
        return [plain(item) for item in node.items]
    return scalar_data(node.text, node.tag)


def unmerged(node: Node) -> dict[str, tuple[Node, Node]]:
    """The pairs of a mapping by the text of their keys: merge keys resolved, and of repeated keys the last one."""
    found: dict[str, tuple[Node, Node]] = {}
    for key, value in entries(node):
        found[key_text(key)] = (key, value)
    return found


def written(node: Node) -> str:
    """The node as YAML text: numbers, quotes and block texts as they were written, without comments and anchors."""
    text: str = yaml.serialize(_written(node), allow_unicode=True, width=1 << 20)
    return text


def _written(node: Node) -> yaml.Node:
    if node.kind == "map":
        pairs = [(_written(key), _written(value)) for key, value in unmerged(node).values()]
        return yaml.MappingNode(f"{_CORE}map", pairs, flow_style=node.style == "flow")
    if node.kind == "list":
        items = [_written(item) for item in node.items]
        return yaml.SequenceNode(f"{_CORE}seq", items, flow_style=node.style == "flow")
    return yaml.ScalarNode(f"{_CORE}{node.tag}", node.text, style=node.style or None)


def key_text(node: Node) -> str:
    """The text of a mapping's key; a key that is itself a list or mapping becomes JSON."""
    if node.kind == "scalar":
        return node.text
    return compact_json(plain(node))


def compact_json(data: Any) -> str:
    """`data` as JSON on one line without spaces."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), default=str)


def _syntax_error(error: yaml.MarkedYAMLError, text: str, path: str) -> RecipeError:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    lines = text.split("\n")
    shown = lines[line][:300] if line < len(lines) else ""
    spot = Spot(path, line + 1, column + 1)
    for number in (line, line - 1):
        if 0 <= number < len(lines) and re.match(r" *\t", lines[number]):
            where = Spot(path, number + 1, lines[number].index("\t") + 1)
            return RecipeError("a tab is used as indentation", spot=where, remedy="indent with spaces only")
    if re.search(r":\s+[^\s'\"|>#][^'\"#]*:\s", shown):
        return RecipeError(
            f"not valid YAML: {error.problem}",
            spot=spot,
            remedy="put a value that contains `: ` in quotes",
        )
    if error.problem == "exceeded maximum nesting depth":
        return RecipeError(f"the file is nested more than {MAX_DEPTH} levels deep", spot=spot)
    context = f" ({error.context})" if error.context else ""
    return RecipeError(f"not valid YAML: {error.problem}{context}", spot=spot)


def _character_error(error: yaml.reader.ReaderError, text: str, path: str) -> RecipeError:
    bad = yaml.reader.Reader.NON_PRINTABLE.search(text)
    start = bad.start() if bad else 0
    before = text[:start]
    spot = Spot(path, before.count("\n") + 1, start - (before.rfind("\n") + 1) + 1)
    code = f"U+{ord(bad.group()):04X}" if bad else str(error.reason)
    return RecipeError(f"the character {code} is not allowed in YAML", spot=spot)
