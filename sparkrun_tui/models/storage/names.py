"""Lists of module names, wildcards and expressions, as checkpoints write them, and the names they are compared with."""

from __future__ import annotations

from collections.abc import Sequence

from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.reading.wildcards import LONGEST_PATTERN, globs_of, like_glob
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.models.modules.module import Kind, Module

_MOST_NAMES = 20_000
"""Entries of a list that are read; the longest published ones name each module of each layer."""

_MOST_WILDCARDS = 256
"""Wildcards that each module is compared with."""

_WHOLE_LAYERS = late_regex(r"layers\.[*.]+")
"""What becomes of an entry for one layer when its number is replaced: a digest of older making says all layers."""

_LATER_EXPERT = late_regex(r"\.experts\.[1-9]")
"""Entries for other experts than the first are left out: all of a layer are stored alike."""

_PLACES = (
    "model.language_model.model.",
    "model.language_model.",
    "language_model.model.",
    "language_model.",
    "backbone.",
    "model.",
)
"""What makers write before the part of a name that all have in common."""

_FULL = "model.language_model."
"""The place that is tried for entries which name the place itself."""


def names_of(module: Module) -> tuple[str, ...]:
    """The names under which checkpoints list a module.

    Routed experts are listed together or by number, and without their matrices.
    """
    found = [module.name]
    if module.kind is Kind.EXPERTS:
        found.append(module.name.partition(".experts.")[0] + ".experts")
    return (*found, *(_FULL + name for name in found))


def _bare(entry: str) -> str:
    """An entry without the words that its maker writes before a module's name."""
    for place in _PLACES:
        if entry.startswith(place):
            return entry.removeprefix(place)
    return entry


class NameList:
    """A list of module names, wildcards and regular expressions (`re:` before them).

    A plain entry matches a module and what lies inside of it: `gate` is `mlp.gate` but not `mlp.gate_proj`. With
    `inside` any part of a name is enough (AWQ, `is_layer_skipped` with `skip_with_substr` in
    vllm/model_executor/layers/quantization/utils/quant_utils.py). `unread` says that entries are not understood,
    `numbered` that some hold for single layers only.
    """

    def __init__(self, entries: Sequence[object], *, inside: bool = False) -> None:
        self._plain: set[str] = set()
        self._numbered: set[str] = set()
        self._globs: dict[str, None] = {}
        self._inside = inside
        self._answers: dict[str, bool] = {}
        self.numbered = False
        self.unread = False
        names = 0
        for entry in entries:
            if not isinstance(entry, str) or _LATER_EXPERT.search(entry):
                continue
            for name in _spelled_out(entry):
                names += 1
                self._add(name)
            if names > _MOST_NAMES:
                self.unread = True
                break
        if len(self._globs) > _MOST_WILDCARDS:
            self.unread = True
            self._globs = dict.fromkeys(list(self._globs)[:_MOST_WILDCARDS])

    @property
    def wildcards(self) -> int:
        """How many wildcards each name is compared with."""
        return len(self._globs)

    def _add(self, entry: str) -> None:
        """Take one entry up."""
        if len(entry) > LONGEST_PATTERN - 2 or _WHOLE_LAYERS.fullmatch(_bare(entry)):
            self.unread = True
            return
        self.numbered = self.numbered or _LAYER_NUMBER.search(entry) is not None
        if entry.startswith("re:"):
            globs = globs_of(entry.removeprefix("re:"))
            if globs is None:
                self.unread = True
            for glob in globs or ():
                self._globs.update(dict.fromkeys((glob, _bare(glob))))
        elif self._inside:
            self._globs.update(dict.fromkeys((f"*{entry}*", f"*{_bare(entry)}*")))
        elif "*" in entry:
            for glob in (entry, _bare(entry)):
                self._globs.update(dict.fromkeys((glob, f"{glob}.*")))
        else:
            name = _bare(entry).rstrip(".")
            (self._numbered if _LAYER_NUMBER.search(name) else self._plain).add(name)

    def __bool__(self) -> bool:
        return bool(self._plain or self._numbered or self._globs)

    def has(self, names: Sequence[str]) -> bool:
        """Whether the list holds one of a module's names."""
        if self._inside:
            # Experts are asked for together, so that `gate` does not mean their gate projections.
            names = names[1::2] if len(names) > 2 else names
        own = names[:-1] if len(names) == 2 else names[:2]
        if self._numbered and any(part in self._numbered for name in own for part in _beginnings(name)):
            return True
        if self._plain and self._has_plain(own[0]):
            return True
        return any(like_glob(glob, name) for name in names for glob in self._globs)

    def _has_plain(self, name: str) -> bool:
        """Whether an entry without a number is a part of a name; the same for all layers."""
        words = [word for word in name.split(".") if not _LAYER_NUMBER.match(word)]
        key = ".".join(words)
        found = self._answers.get(key)
        if found is None:
            found = any(part in self._plain for part in _runs(words))
            self._answers[key] = found
        return found


def _beginnings(name: str) -> list[str]:
    """A name and what it lies inside of."""
    words = name.split(".")
    return [".".join(words[:end]) for end in range(len(words), 0, -1)]


def _runs(words: Sequence[str]) -> list[str]:
    """The runs of whole words of a name."""
    return [".".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1)]


def _spelled_out(entry: str) -> list[str]:
    """The names that an entry with ranges of numbers stands for (`layers.{0,3-5}.mlp`), as digests write them.

    All routed experts of a layer are stored alike, so the first one stands for them.
    """
    if not entry:
        return []
    if entry.startswith("re:") or "{" not in entry:
        return [entry]
    entry = entry.replace(".experts.*.", ".experts.0.")
    before, _, rest = entry.partition("{")
    inside, closed, after = rest.partition("}")
    numbers: list[int] = []
    for part in inside.split(",", _MOST_NUMBER) if closed else []:
        first, _, last = part.partition("-")
        begin = whole(first, most=_MOST_NUMBER)
        end = whole(last or first, most=_MOST_NUMBER)
        if begin is None or end is None:
            return []
        numbers += range(begin, end + 1)
        if len(numbers) > _MOST_NUMBER:
            return []
    return [f"{before}{number}{after}" for number in numbers if "{" not in after]


_MOST_NUMBER = 1024
"""More than the number of any layer or expert."""

_LAYER_NUMBER = late_regex(r"[0-9]")
