"""Small helps for messages: nearest names, lists of words, places inside a text."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_MAX_WORD = 80
_MAX_WORDS = 20_000
_MAX_COMPARED = 400


def nearest(word: str, known: Iterable[str]) -> str:
    """The one of `known` that `word` is most likely a misspelling of, or an empty string.

    Words that share their first parts count as near (`gpu_memory_usage` and `gpu_memory_utilization`), and so does a
    word that lacks its beginning (`model_name` for `served_model_name`).
    """
    if len(word) > _MAX_WORD:
        return ""
    words = sorted(name for name in set(known) - {word} if len(name) <= _MAX_WORD)[:_MAX_WORDS]
    folded = {_folded(name): name for name in reversed(words)}
    target = _folded(word)
    if target in folded:
        return folded[target]
    longer = [name for name in folded if "_" in target and name.endswith(f"_{target}")]
    if longer:
        return folded[min(longer, key=len)]
    alike = [name for name in folded if _may_be_close(name, target)][:_MAX_COMPARED]
    close = difflib.get_close_matches(target, alike, n=1, cutoff=0.72)
    if close:
        return folded[close[0]]
    parts = target.split("_")
    best = ("", 0)
    for name in folded:
        shared = 0
        for ours, theirs in zip(parts, name.split("_"), strict=False):
            if ours != theirs:
                break
            shared += 1
        if shared >= 2 and shared >= len(parts) - 1 and shared > best[1]:
            best = (folded[name], shared)
    return best[0]


def _folded(name: str) -> str:
    """A name without what spellings differ in: case, hyphens, and the hyphens that lead a flag."""
    return name.lower().replace("-", "_").lstrip("_")


def _may_be_close(name: str, target: str) -> bool:
    return abs(len(name) - len(target)) <= 5 and (name[:1] == target[:1] or len(set(name) & set(target)) > 2)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence that names the nearest known word, or an empty string."""
    near = nearest(word, known)
    return f"did you mean `{near}`?" if near else ""


def listed(words: Iterable[str], last: str = "or") -> str:
    """`a`, `b` or `c`, each in backquotes."""
    quoted = [f"`{word}`" for word in words]
    if len(quoted) < 2:
        return "".join(quoted)
    return f"{', '.join(quoted[:-1])} {last} {quoted[-1]}"
