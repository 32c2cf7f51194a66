"""Helpers for messages: nearest names, and lists of words."""

from __future__ import annotations

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
    others = set(known) - {word}
    words = sorted(name for name in others if len(name) <= _MAX_WORD)
    folded = {_folded(name): name for name in reversed(words[:_MAX_WORDS])}
    target = _folded(word)
    if target in folded:
        return folded[target]
    if "_" in target:
        longer = [name for name in folded if name.endswith(f"_{target}")]
        if longer:
            return folded[min(longer, key=len)]
    alike = [name for name in folded if _may_be_close(name, target)][:_MAX_COMPARED]
    import difflib

    close = difflib.get_close_matches(target, alike, n=1, cutoff=0.72)
    if close:
        return folded[close[0]]
    parts = target.split("_")
    best, most = "", max(2, len(parts) - 1) - 1
    for name in folded:
        shared = _shared_parts(parts, name.split("_"))
        if shared > most:
            best, most = folded[name], shared
    return best


def _shared_parts(one: list[str], other: list[str]) -> int:
    """How many parts two names have in common at their beginnings."""
    shared = 0
    for part, other_part in zip(one, other, strict=False):
        if part != other_part:
            break
        shared += 1
    return shared


def _folded(name: str) -> str:
    """A name without the differences between spellings: case, hyphens, and the hyphens of a flag."""
    return name.lower().replace("-", "_").lstrip("_")


def _may_be_close(name: str, target: str) -> bool:
    if abs(len(name) - len(target)) > 5:
        return False
    return name[:1] == target[:1] or len(set(name) & set(target)) > 2


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence that names the nearest known word, or an empty string."""
    near = nearest(word, known)
    if not near:
        return ""
    return f"did you mean `{near}`?"


def listed(words: Iterable[str], last: str = "or") -> str:
    """`a`, `b` or `c`, each in backquotes."""
    quoted = [f"`{word}`" for word in words]
    if len(quoted) < 2:
        return "".join(quoted)
    return f"{', '.join(quoted[:-1])} {last} {quoted[-1]}"
