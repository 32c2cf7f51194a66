"""Search over many recipes: words as substrings first, fuzzy matches after them, best first."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from sparkrun_tui.recipe.search.entry import Entry
from sparkrun_tui.recipe.search.query import Query, parse_query, predicate

_MIN_FUZZY = 3
_LONGEST_FUZZY = 100
"""Letters of the longest word that is also looked for with other letters between its own."""
_MOST_LETTERS = 300
"""Letters of a name, a file's name or a model in which such a word is looked for: authors write any number of them."""
_KEPT_WORDS = 64


class Index:
    """A searchable list of entries. Results with equal rank keep the order of the entries."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries: Sequence[Entry] = tuple(entries)
        self._texts: list[str] = []
        self._names: list[str] = []
        self._masks: list[int] = []
        for entry in self.entries:
            file = entry.file_name
            if file == entry.name:
                file = ""
            fields = (entry.name, file, entry.model)
            text = "\n".join((*fields, entry.description, entry.maintainer)).lower()
            short = "\n".join(field[:_MOST_LETTERS] for field in fields).lower()
            self._texts.append(text)
            self._names.append(short)
            self._masks.append(_mask(short))
        self._found: OrderedDict[str, list[int]] = OrderedDict()

    def search(self, query: Query | str, fits: Callable[[Entry], str] | None = None) -> list[Entry]:
        """The entries that match, best first. `fits` maps an entry to `good`, `tight`, `bad` or `unknown`."""
        asked = parse_query(query) if isinstance(query, str) else query
        if asked.empty:
            return list(self.entries)
        numbers = list(range(len(self.entries)))
        words = [word.text for word in asked.words if not word.negated]
        if words:
            numbers = self._ranked(words)
        texts = self._texts
        for word in asked.words:
            if word.negated:
                numbers = [number for number in numbers if word.text not in texts[number]]
        entries = [self.entries[number] for number in numbers]
        for condition in sorted(asked.filters, key=lambda condition: condition.key == "fits"):
            test = predicate(condition, fits)
            entries = [entry for entry in entries if test(entry)]
        return entries

    def _ranked(self, words: Sequence[str]) -> list[int]:
        exact = set(self._substring(words[0]))
        for word in words[1:]:
            exact.intersection_update(self._substring(word))
        chosen = sorted(exact)
        scored = sorted(zip(self._scores(words, chosen), chosen, strict=True))
        result = [number for _, number in scored]
        return result + self._fuzzy(words, exact)

    def _substring(self, word: str) -> list[int]:
        """The numbers of the entries that contain `word`, narrowed from an earlier, shorter word where there is one."""
        found = self._found.get(word)
        if found is not None:
            return found
        texts = self._texts
        base = self._shorter(word)
        if base is None:
            found = [number for number, text in enumerate(texts) if word in text]
        else:
            found = [number for number in base if word in texts[number]]
        self._found[word] = found
        if len(self._found) > _KEPT_WORDS:
            self._found.popitem(last=False)
        return found

    def _shorter(self, word: str) -> list[int] | None:
        """The result of the longest earlier word that `word` begins with, None without one."""
        longest = ""
        for known in self._found:
            if len(longest) < len(known) < len(word) and word.startswith(known):
                longest = known
        return self._found[longest] if longest else None

    def _scores(self, words: Sequence[str], numbers: Sequence[int]) -> list[int]:
        """Lower is better: the name itself, its start, a word of it, inside it, then the file's name, then the rest."""
        texts = self._texts
        total = [0] * len(numbers)
        for word in words:
            for place, number in enumerate(numbers):
                text = texts[number]
                at = text.find(word)
                if at == 0:
                    total[place] -= text[len(word)] == "\n"
                    continue
                line = text.count("\n", 0, at)
                total[place] += 2 + line * 4 - (not text[at - 1].isalnum())
        return total

    def _fuzzy(self, words: Sequence[str], taken: set[int]) -> list[int]:
        if not any(map(_may_be_fuzzy, words)):
            return []
        needs = 0
        for word in words:
            needs |= _mask(word)
        names, texts = self._names, self._texts
        tests = []
        for word in words:
            # Others must be found as they are.
            test = _subsequence(word).search if _may_be_fuzzy(word) else None
            tests.append((word, test, _widest(word)))
        scored: list[tuple[int, int]] = []
        for number, mask in enumerate(self._masks):
            if mask & needs != needs or number in taken:
                continue
            score = 0
            for word, test, widest in tests:
                if word in texts[number]:
                    continue
                if test is None:
                    break
                match = test(names[number])
                if match is None:
                    break
                width = match.end() - match.start()
                if width > widest:
                    break
                score += width - len(word)
            else:
                scored.append((score, number))
        scored.sort()
        return [number for _, number in scored]


def light(text: str, query: Query | str) -> tuple[int, ...]:
    """The positions of the letters of `text` to highlight for the words of a query, in rising order."""
    asked = parse_query(query) if isinstance(query, str) else query
    lowered = text.lower()
    if len(lowered) != len(text):
        return ()
    lit: set[int] = set()
    for word in asked.words:
        if word.negated:
            continue
        at = lowered.find(word.text)
        if at >= 0:
            lit.update(range(at, at + len(word.text)))
            continue
        if not _may_be_fuzzy(word.text):
            continue
        match = _subsequence(word.text).search(lowered[:_MOST_LETTERS])
        if match is not None and match.end() - match.start() <= _widest(word.text):
            lit.update(match.start(group + 1) for group in range(len(word.text)))
    return tuple(sorted(lit))


def _may_be_fuzzy(word: str) -> bool:
    """Whether a word is also looked for with other letters between its own."""
    return _MIN_FUZZY <= len(word) <= _LONGEST_FUZZY


@lru_cache(maxsize=256)
def _subsequence(word: str) -> re.Pattern[str]:
    # Each gap excludes the next letter and line ends, so that a match stays in one field. A gap has no more letters
    # than a match may have in all: else each beginning of a word would be followed to the end of the text.
    # A fuzzy match begins at the beginning of a word, else every short word matches nearly everything.
    most = _widest(word) - len(word)
    parts = [f"(?<![a-z0-9])({re.escape(word[0])})"]
    parts += [rf"[^\n{re.escape(letter)}]{{0,{most}}}({re.escape(letter)})" for letter in word[1:]]
    return re.compile("".join(parts))


def _widest(word: str) -> int:
    return len(word) * 2 + 2


def _mask(text: str) -> int:
    mask = 0
    for letter in set(text):
        mask |= 1 << (ord(letter) & 63)
    return mask
