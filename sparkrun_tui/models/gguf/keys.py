"""Reads single values from a GGUF header, with or without the architecture's prefix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sparkrun_tui.base.reading.numbers import whole_of
from sparkrun_tui.models.config.values import positive, whole, word
from sparkrun_tui.models.layers import MOST_LAYERS

_MOST = 10**12
"""The largest number that is accepted from a header."""

Keys = Mapping[str, object]


def plain_keys(header: Keys) -> dict[str, object]:
    """The header's keys without the architecture's prefix, with `arch` and `vocab` (a count).

    A header that was already stripped is returned as it is. Source: gguf-py/gguf/constants.py.
    """
    arch = word(header, "general.architecture") or word(header, "arch")
    keys: dict[str, object] = {}
    for key, value in header.items():
        if key.startswith("tokenizer."):
            continue
        if arch:
            key = key.removeprefix(f"{arch}.")
        keys[key] = value
    keys["arch"] = arch
    vocab = vocabulary(header, keys)
    if vocab is not None:
        keys["vocab"] = vocab
    return keys


def vocabulary(header: Keys, keys: Keys) -> int | None:
    """The number of tokens: the length of the tokenizer's list, else what the header states."""
    tokens = header.get("tokenizer.ggml.tokens")
    if isinstance(tokens, Sequence) and not isinstance(tokens, str):
        return len(tokens) or None
    return positive(header, "tokenizer.ggml.tokens") or positive(keys, "vocab", "vocab_size")


def block_count(keys: Keys) -> int | None:
    """The number of blocks, drafting ones included; None when absent or absurd."""
    count = positive(keys, "block_count")
    return count if count is not None and count <= MOST_LAYERS else None


def draft_blocks(keys: Keys) -> int:
    """How many of the last blocks draft tokens (multi-token prediction)."""
    return max(0, whole(keys, "nextn_predict_layers") or 0)


def per_layer(keys: Keys, name: str, count: int) -> list[int] | None:
    """A value for each of `count` layers: the header has one number or a list; None when absent.

    A list shorter than `count` is continued with its last entry.
    """
    value = keys.get(name)
    if isinstance(value, Sequence) and not isinstance(value, str):
        items = []
        for item in value[:count]:
            number = _entry(item)
            if number is None:
                return None
            items.append(number)
        if not items:
            return None
        return (items + [items[-1]] * count)[:count]
    single = whole(keys, name)
    if single is None:
        return None
    return [single] * count


def widest(keys: Keys, name: str) -> int:
    """A number, or the largest entry of a list of them; 0 when absent."""
    value = keys.get(name)
    if isinstance(value, Sequence) and not isinstance(value, str):
        found = [_entry(item) for item in value]
        return max([item for item in found if item is not None], default=0)
    return max(0, whole(keys, name) or 0)


def _entry(item: object) -> int | None:
    """An entry of a list as a number; true counts as 1."""
    if isinstance(item, bool):
        return 1 if item else 0
    return whole_of(item, least=-_MOST, most=_MOST)
