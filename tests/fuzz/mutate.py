"""Mutators: of bytes, of text, of documents and of binary headers; each takes its chance from a seeded `Random`."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from tests.fuzz.tree import Map, Raw, places, to_json, tree

MOST = 400_000
"""Bytes of an input that is made."""

DEEPEST = 3000

_LONGEST = 100_000
"""Characters of one scalar."""

NUMBERS: tuple[str, ...] = (
    "0", "-0", "1", "-1", "2", "7", "64", "65", "1024", "4294967296", "9223372036854775807", "18446744073709551616",
    "999999999999999999", "1000000000000000000", "9" * 40, "9" * 400, "9" * 5000, "1e400", "-1e400", "1e308", "1e-308",
    "1e999999999", "0.0", "-0.0", ".5", "1.", "1.2.3", "1_000", "0x10", "0b1", "017", "1e3", "NaN", "-NaN", "Infinity",
    "-Infinity", ".inf", ".nan", "inf", "nan", "²", "٣", "１", "½", "1 000", "1,000", "+1", "--5", "1-", "12:30:45",
    "1.10", "8B", "30B-A3B", "1e400B", "99999999999999B", "10gb", "²g", "-1m", "8080:80", "nofile=1:2",
)  # fmt: skip
"""Numbers as people and attackers write them."""

TEXTS: tuple[str, ...] = (
    "", " ", "\t", "\n", "a b", "null", "~", "true", "no", "yes", "-", "--", "-x", "--flag=value", "{", "}", "{}",
    "{a}", "{model}", "{port}", "{{port}}", "{a}{a}", "{port:>10}", "{0}", "%s", "$HOME", "${HOME}", "$HF_TOKEN",
    "$(id)", "`id`", "'", '"', "\\", "\\\n", ";", "&&", "|", ">", "<", "#", " #", "*", "?", "[", "]", "!", "=", ",",
    ":", "@", "a'b\"c", "'; id; '", '"; id; "', "a\nb", "a\r; id; #", "\r", "\x00", "\x07", "\x1b[31m", "\x1b]0;t\x07",
    "\x1b]", "\x9b31m", "\x9d0;t\x9c", "\u202e", "\u2028", "\u200b", "\ufeff", "\ud800", "\U0001f600",
    "e\u0301" * 9, "ﬀ", "İ", "/", "//", "..", "../..", "/etc", "~", "~/.ssh", "/var/run/docker.sock", "a/../../b",
    "host:port", "[::1]", "::", "//:/host", "/a:/b:ro", "/a:/b:ro;id", "http://u:p@h/x", "x" * 200, "Exited (--5)",
    "Exited (²)", "0001-01-01", "2026-01-02T03:04:05.678901234Z", "9999-12-31T23:59:59+99:99", "[[meminfo", "]]",
    "end=yes", "commit\tx", "org/m",
)  # fmt: skip
"""Texts that mean something to a shell, a template, a terminal, a path, or a parser."""


def rare(chance: Random, one_in: int) -> bool:
    """True once in so many times."""
    return chance.randrange(one_in) == 0


def scalar(chance: Random) -> Any:
    """A scalar that a document may hold where another was expected."""
    kind = chance.randrange(12)
    if kind < 4:
        return Raw(chance.choice(NUMBERS))
    if kind < 6:
        return chance.choice(NUMBERS)
    if kind < 9:
        return chance.choice(TEXTS)
    if kind == 9:
        return chance.choice([None, True, False])
    if kind == 10:
        return (chance.choice(TEXTS) * chance.choice([2, 50, 4000] if rare(chance, 4) else [2, 3]))[:_LONGEST]
    return chance.choice(TEXTS) + chance.choice(TEXTS)


def value(chance: Random, words: Sequence[str]) -> Any:
    """A node of any type."""
    kind = chance.randrange(14)
    if kind < 8:
        return scalar(chance)
    if kind < 10:
        return chance.choice(words) if words else ""
    if kind == 10:
        return [scalar(chance) for _ in range(chance.choice([0, 1, 3]))]
    if kind == 11:
        return Map([(chance.choice(words or TEXTS), scalar(chance)) for _ in range(chance.choice([0, 1, 3]))])
    if kind == 12 and rare(chance, 6):
        return [chance.choice([Raw("1"), "a", None, "", Raw("[]"), Raw("{}")])] * chance.choice([100, 2000, 20_000])
    if kind == 13 and rare(chance, 6):
        depth = chance.choice([10, 100, 900, DEEPEST])
        left, right = chance.choice([("[", "]"), ('{"a":', "}")])
        return Raw(left * depth + "1" + right * depth)
    return [[scalar(chance)], Map([("a", [Map()])])]


def document(chance: Random, root: Any, words: Sequence[str]) -> Any:
    """A copy of a tree with one to six changes."""
    root = copy.deepcopy(root)
    for _ in range(chance.choice([1, 1, 1, 2, 3, 6])):
        found = list(places(root))
        if not found or rare(chance, 80):
            root = value(chance, words)
            continue
        _change(chance, root, found, words)
    return root


def _change(chance: Random, root: Any, found: Sequence[Any], words: Sequence[str]) -> None:
    place = chance.choice(found)
    kind = chance.randrange(16)
    if kind < 6:
        place.put(value(chance, words))
    elif kind < 9 and isinstance(place.node, str):
        place.put(text(chance, place.node, words))
    elif kind == 9:
        place.drop()
    elif kind == 10:
        place.double()
    elif kind == 11:
        place.rename(chance.choice(words) if words and not rare(chance, 3) else chance.choice(TEXTS))
    elif kind == 12:
        place.put(copy.deepcopy(chance.choice(found).node))
    elif kind == 13 and isinstance(root, Map):
        root.pairs.append((chance.choice(words or TEXTS), value(chance, words)))
    elif kind == 14 and isinstance(place.node, Map):
        place.node.pairs.append((chance.choice(words or TEXTS), value(chance, words)))
    else:
        place.put(scalar(chance))


def figures(chance: Random, root: Any, numbers: Sequence[str] = NUMBERS) -> Any:
    """A copy of a tree with other numbers in it, and nothing else changed."""
    root = copy.deepcopy(root)
    found = [place for place in places(root) if isinstance(place.node, int | float)]
    for place in chance.sample(found, min(len(found), chance.choice([1, 2, 5, 20]))):
        written = chance.choice(numbers)
        place.put(written if rare(chance, 5) else Raw(written))
    return root


def anchors(chance: Random, root: Any) -> Any:
    """A copy of a tree whose nodes are anchors and aliases, circles and bombs among them."""
    root = copy.deepcopy(root)
    found = list(places(root))
    if not found:
        return root
    if rare(chance, 3):
        layers = [Raw('&a0 ["x", "x"]')] + [
            Raw(f"&a{n} [{', '.join([f'*a{n - 1}'] * chance.choice([2, 9]))}]") for n in range(1, chance.choice([3, 9]))
        ]
        chance.choice(found).put(layers)
        return root
    first, second = chance.choice(found), chance.choice(found)
    if not isinstance(first.node, Map | list):
        first.put(Raw(f"&x {to_json(first.node)}"))
    second.put(
        Raw(chance.choice(["*x", "*y", "&x *x", "&x [*x]", "{<<: *x}", "!!int x", "!!python/name:os.system ''"]))
    )
    return root


def text(chance: Random, found: str, words: Sequence[str] = ()) -> str:
    """A text with one to four changes."""
    for _ in range(chance.choice([1, 1, 2, 4])):
        found = _text_change(chance, found, words)
        if len(found) > MOST:
            found = found[:MOST]
    return found


def _text_change(chance: Random, found: str, words: Sequence[str]) -> str:
    kind = chance.randrange(14)
    at = chance.randrange(len(found) + 1)
    end = min(len(found), at + chance.choice([0, 1, 1, 2, 8, 40]))
    if kind < 3:
        return found[:at] + chance.choice(TEXTS) + found[end:]
    if kind < 6:
        return _number_change(chance, found)
    if kind == 6 and words:
        return found[:at] + chance.choice(words) + found[end:]
    if kind == 7:
        return found[:at] + found[end:]
    if kind == 8:
        return (
            found[:at]
            + chr(chance.choice([0, 7, 8, 9, 10, 11, 13, 27, 127, 133, 155, 157, 0x2028, 0xFEFF]))
            + found[at:]
        )
    if kind == 9:
        return found[:at] + found[at:end] * chance.choice([2, 3, 100]) + found[end:]
    if kind == 10:
        return found[:at]
    if kind == 11:
        return _line_change(chance, found)
    if kind == 12 and rare(chance, 5):
        piece = found[at:end] or chance.choice(["{a} ", "[", "(", "a", ".", " ", "1", "-", "\n", "'", '"', "9"])
        return found[:at] + piece * min(chance.choice([500, 4000, 30_000]), MOST // len(piece)) + found[at:]
    return found[:at] + chance.choice(NUMBERS) + found[end:]


def _number_change(chance: Random, found: str) -> str:
    """Another number in the place of one, so that the rest of a line still fits its pattern."""
    spans = []
    start = -1
    for at, char in enumerate(found + " "):
        if char.isdigit() or (start >= 0 and char == "."):
            start = at if start < 0 else start
        elif start >= 0:
            spans.append((start, at))
            start = -1
    if not spans:
        return found
    start, end = chance.choice(spans)
    return found[:start] + chance.choice(NUMBERS) + found[end:]


def _line_change(chance: Random, found: str) -> str:
    lines = found.split("\n")
    at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    kind = chance.randrange(5)
    if kind == 0:
        del lines[at]
    elif kind == 4:
        # In YAML, keys that are mappings themselves.
        lines[at] = "? " * chance.choice([1, 2, 4, 20, 45]) + lines[at].strip()
    elif kind == 1:
        lines.insert(at, lines[other])
    elif kind == 2:
        lines[at], lines[other] = lines[other], lines[at]
    else:
        lines[at] = lines[at] + lines[other]
    return "\n".join(lines)


def raw(chance: Random, found: bytes) -> bytes:
    """Bytes with one to eight changes."""
    data = bytearray(found)
    for _ in range(chance.choice([1, 1, 2, 4, 8])):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(8)
        if kind < 3 and at < len(data):
            data[at] = chance.choice(
                [0, 1, 0x7F, 0x80, 0xFF, data[at] ^ (1 << chance.randrange(8)), chance.randrange(256)]
            )
        elif kind == 3:
            data[at:at] = bytes(chance.randrange(256) for _ in range(chance.choice([1, 4, 16])))
        elif kind == 4:
            del data[at : at + chance.choice([1, 2, 8, 64])]
        elif kind == 5:
            width = chance.choice([4, 8])
            number = chance.choice([0, 1, 255, 4096, 65_535, 1 << 24, 1 << 31, (1 << 32) - 1, 1 << 40, (1 << 63) - 1])
            order = "little" if chance.random() < 0.7 else "big"
            data[at : at + width] = (number & ((1 << (8 * width)) - 1)).to_bytes(width, order)
        elif kind == 6:
            end = min(len(data), at + chance.choice([8, 64, 512]))
            data[at:at] = data[at:end] * chance.choice([1, 2, 20])
        else:
            del data[at:]
    return bytes(data[:MOST])


def json_bytes(chance: Random, seeds: Sequence[Any], words: Sequence[str]) -> bytes:
    """A JSON text made of one of some documents; now and then broken as text or as bytes."""
    made = encoded(to_json(document(chance, tree(chance.choice(seeds)), words)))
    if rare(chance, 8):
        made = encoded(text(chance, made.decode("utf-8", "replace"), words))
    return raw(chance, made) if rare(chance, 12) else made[:MOST]


def encoded(found: str) -> bytes:
    """Text as bytes, lone surrogates included."""
    return found.encode("utf-8", "surrogatepass")


def words_of(seeds: Sequence[Any]) -> tuple[str, ...]:
    """The keys and short texts of some documents: what a mutation may put in another place."""
    found: dict[str, None] = {}
    for seed in seeds:
        for place in places(tree(seed)):
            for word in (place.key, place.node):
                if isinstance(word, str) and 0 < len(word) <= 80:
                    found[word] = None
    return tuple(found)


Made = Callable[[Random], bytes]


def short(data: bytes, width: int = 90) -> str:
    """The beginning of an input, to be read by a person."""
    shown = json.dumps(data[: width * 2].decode("utf-8", "replace"))
    return shown if len(data) <= width and len(shown) <= width else f"{shown[:width]}… ({len(data):,} bytes)"
