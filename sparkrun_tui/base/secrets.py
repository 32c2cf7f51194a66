"""Secrets that cannot be printed by accident, and the filter that keeps known ones out of any text."""

from __future__ import annotations

import base64
import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, quote_plus

from sparkrun_tui.base import shell
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import log_line, visible_line

MASK = "•••"

LONG = 8
"""A secret of this many characters is hidden wherever it stands, in the middle of a word too."""

_FEW = 100
"""The most words that are searched one by one; a recipe has a handful of secrets, in several encodings each."""

_SHORT = 4
"""A shorter secret is left alone in running text: it would be found in half of all words."""

_PATTERNS = late_regex(
    r"hf_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}"
    r"|glpat-[A-Za-z0-9_-]{16,}|nvapi-[A-Za-z0-9_-]{20,}|AKIA[0-9A-Z]{16}"
    r"|(?<=://)[^/\s:@\"'<>]*:[^/\s\"'<>]+(?=@)"
)
_HINTS = ("hf_", "sk-", "://", "AKIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "nvapi-")
"""A text without any of these has no match of `_PATTERNS`."""

_SECRET_NAME = late_regex(
    r"(?i)(^|[_-])(token|secrets?|passwords?|passwd|passphrase|key|api[_-]?keys?|credentials?|bearer)($|[_-])"
)
_URL_PASSWORD = late_regex(r"://[^/\s:@]*:[^/\s]+@")


MOST_GIVEN = 64
"""The most secrets of one process that are hidden."""

MOST_LETTERS = 4096

_NAME_OF_SECRET = (
    r"(?i:api[_-]?keys?|secret(?:[_-]key)?|password|passwd|passphrase|(?:hf|hub|auth|access|api|admin)[_-]token)"
)
_NAMED = late_regex(
    rf"""{_NAME_OF_SECRET}["']?\s{{0,4}}[=:]\s{{0,4}}[\[(]?["'](?P<quoted>(?!\$)[^"'\s]{{4,4096}})["']"""
    rf"""|{_NAME_OF_SECRET}=(?P<assigned>[^\s"'$<,;)\]}}]{{4,4096}})"""
    rf"""|-{_NAME_OF_SECRET}["']?,?\s["']?(?P<argument>[^\s"'$<•,;)\]}}-][^\s"'$<,;)\]}}]{{3,4096}})"""
    r"|Bearer\s(?P<bearer>[A-Za-z0-9._~+/=-]{8,4096})"
)
_NAMED_HINTS = (
    "api", "Api", "API", "ecret", "ECRET", "assw", "ASSW", "assphrase", "_token", "_TOKEN", "-token", "Bearer ",
)  # fmt: skip
"""Every text with a match of `_NAMED` contains one of these, except for odd mixtures of small and capital letters."""

_KEPT = "!~*'()"
"""What JavaScript leaves as it is in an address."""

_BASE64_WIDTHS = (76, 64)
"""The letters of a line of base64: of MIME and `base64`, and of PEM and `openssl`."""

_ESCAPED_BYTE = late_regex(r"%[0-9A-F]{2}")

_CUT = "…"
"""The mark of a text that was cut: a secret may have been cut with it."""

_BEGUN = 6
"""The fewest characters of a cut secret that are hidden."""

_MOST_CUTS = 8
"""Marks of one text before which the beginning of a secret is searched."""

_NO_SECRETS = frozenset({"None", "none", "null", "True", "true", "False", "false", "EMPTY", MASK})


class Secret:
    """A value that prints as dots; `reveal` is the only access to it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one place that must send it."""
        return self._value

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return MASK

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        return (Secret, (MASK,))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


def revealed(text: Secret | str) -> str:
    """The value of a secret, or a plain text."""
    return text.reveal() if isinstance(text, Secret) else text


def looks_secret(name: str) -> bool:
    """Whether a variable, key or flag called `name` is treated as a secret (`HF_TOKEN`, `api_key`, ...)."""
    return bool(_SECRET_NAME.search(name))


_SECRET_FLAGS = (
    ("ap", "api-key"), ("ad", "admin-api-key"), ("hf-t", "hf-token"), ("hft", "hft"),
    ("ssl-keyfile-", "ssl-keyfile-password"),
)  # fmt: skip
"""Flags of engines that give a secret: the shortest abbreviation that an engine takes for it, and the whole name."""


def flag_gives_secret(flag: str) -> bool:
    """Whether a flag as written on a command line gives a secret, also when it is abbreviated (`--api-k`, `-hft`)."""
    name = flag.lstrip("-").replace("_", "-")
    if looks_secret(name):
        return True
    return any(whole.startswith(name) and name.startswith(least) for least, whole in _SECRET_FLAGS)


def holds_password(text: str) -> bool:
    """Whether a text has an address with a password in it (`https://user:password@host`)."""
    return "://" in text and _URL_PASSWORD.search(text) is not None


def secrets_of(environ: Mapping[str, str]) -> list[Secret]:
    """The secrets among the variables of an environment, by their names."""
    found = []
    for name, value in environ.items():
        if value and looks_secret(name):
            found.append(Secret(value))
    return found


def secrets_of_words(words: Sequence[str]) -> list[str]:
    """The secrets that a command line gives by flags (`--api-key x`, `--api-key=x`, `--api-key x y`)."""
    found: list[str] = []
    for number, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if not flag.startswith("-") or not flag_gives_secret(flag):
            continue
        values = [value] if equals else _values_after(words, number)
        for text in values:
            is_reference = "$" in text or "{" in text
            if text and not is_reference:
                found.append(text)
    return found


def _values_after(words: Sequence[str], flag: int) -> list[str]:
    """The values of the flag at an index: the words up to the next flag.

    More than one may be keys; after the first, a word with a slash is rather the model.
    """
    values: list[str] = []
    # A slice would copy the rest of the words at each flag.
    for at in range(flag + 1, len(words)):
        word = words[at]
        if word.startswith("-"):
            break
        if not values or "/" not in word:
            values.append(word)
    return values


def secrets_given(variables: Iterable[str], words: Sequence[str]) -> tuple[Secret, ...]:
    """The secrets that a process was given by its variables (`NAME=value`) and by its arguments.

    At most `MOST_GIVEN`, none longer than `MOST_LETTERS`: the owner of the process may have made them up.
    """
    found: list[str] = []
    for entry in variables:
        name, _, value = entry.partition("=")
        if looks_secret(name) or holds_password(value):
            found.append(value)
    found += secrets_of_words(words)
    fitting = [text for text in dict.fromkeys(found) if 0 < len(text) <= MOST_LETTERS]
    return tuple(Secret(text) for text in fitting[:MOST_GIVEN])


def without_named(line: str) -> str:
    """A log line without the values that it calls secrets itself: `api_key='x'`, `"password": "x"`, `Bearer x`.

    Only for logs, where an engine may print a key that this program does not know. `token` alone is not a secret name:
    engines print the tokens of their models.
    """
    if names_none(line):
        return line
    return _NAMED.sub(_masked, line)


def names_none(text: str) -> bool:
    """Whether `without_named` leaves every line of a text as it is, as far as plain searches can tell."""
    for hint in _NAMED_HINTS:  # noqa: SIM110 - twice as fast as `any`, and every line of every log passes here
        if hint in text:
            return False
    return True


def _masked(match: re.Match[str]) -> str:
    group = match.lastgroup or 0
    if match[group] in _NO_SECRETS:
        return match.group()
    start, end = match.span(group)
    begin = match.start()
    return match.group()[: start - begin] + MASK + match.group()[end - begin :]


class Redactor:
    """Replaces secrets by dots in any text: literal values in their usual encodings, and well-known token forms.

    Values of 8 characters and more are hidden everywhere. Shorter ones are hidden where they are a whole word, and
    only when they do not look like an ordinary word or number; code that knows the key hides those by the key.
    """

    def __init__(self, secrets: Iterable[Secret | str] = ()) -> None:
        self._values = frozenset(map(revealed, secrets))
        literals: set[str] = set()
        short: set[str] = set()
        for value in self._values:
            if len(value) >= LONG:
                literals |= _forms(value)
            elif _stands_out(value):
                short.add(value)
        self._words = tuple(sorted(literals | short, key=len, reverse=True))
        self._sorted = sorted(literals)
        self._begins = frozenset(word[:_BEGUN] for word in literals)
        """The first `_BEGUN` characters of the long words."""
        self._longest = max(map(len, literals), default=0)
        self._masks = ManyWords(literals, short)

    def __call__(self, text: str) -> str:
        """`text` without secrets."""
        # Every line of every log passes here: plain searches rule nearly all of them out.
        if self.finds_none(text):
            return text
        if len(self._words) > _FEW or any(word in text for word in self._words):
            text = self._masks.masked(text)
        if _CUT in text:
            text = self._without_cut(text)
        for hint in _HINTS:
            if hint in text:
                return _PATTERNS.sub(MASK, text)
        return text

    def each(self, texts: list[str]) -> list[str]:
        """The texts without secrets; the same list when none of them has any.

        Texts that come together are searched together: a search takes longer to begin than to pass over a line.
        """
        if self.finds_none("\n".join(texts)):
            return texts
        return [self(text) for text in texts]

    def finds_none(self, text: str) -> bool:
        """Whether a text, or any part of it, is left as it is, as far as plain searches can tell."""
        if len(self._words) > _FEW or _CUT in text:
            return False
        for word in self._words:
            if word in text:
                return False
        for hint in _HINTS:  # noqa: SIM110 - twice as fast as `any`
            if hint in text:
                return False
        return True

    def _without_cut(self, text: str) -> str:
        """`text` without the beginning of a secret right before a mark that says that it was cut there."""
        parts = text.rsplit(_CUT, _MOST_CUTS)
        for number, part in enumerate(parts[:-1]):
            shown = part.rstrip()
            for at in range(max(len(shown) - self._longest, 0), len(shown) - _BEGUN + 1):
                if shown[at : at + _BEGUN] in self._begins and self._begun(shown[at:]):
                    parts[number] = shown[:at] + MASK + part[len(shown) :]
                    break
        return _CUT.join(parts)

    def _begun(self, text: str) -> bool:
        """Whether a long word begins with a text. Whoever made up the words may have made up many that nearly do."""
        at = bisect_left(self._sorted, text)
        return at < len(self._sorted) and self._sorted[at].startswith(text)

    def plus(self, secrets: Iterable[Secret | str]) -> Redactor:
        """A redactor that hides these secrets, too."""
        return Redactor([*self._values, *secrets])

    def data(self, value: Any) -> Any:
        """Plain data (as JSON has it) without secrets in any of its texts; other objects are returned unchanged."""
        if type(value) is str:
            return self(value)
        if isinstance(value, Mapping):
            return {self.data(key): self.data(item) for key, item in value.items()}
        if type(value) in (list, tuple):
            return type(value)(self.data(item) for item in value)
        return value


class ManyWords:
    """Hides any of thousands of secrets in a text in one pass.

    A pattern would try each of them at each place: a recipe with ten thousand secrets would take minutes to show, and
    so would a line of a container that made up long secrets which differ only at their ends.
    `long` words have `LONG` characters or more and are hidden everywhere, `short` ones where they are a whole word.
    """

    def __init__(self, long: Iterable[str], short: Iterable[str]) -> None:
        self._long: dict[str, list[str]] = {}
        """The long words by their first `LONG` characters, sorted."""
        self._inner: dict[str, list[str]] = {}
        """The words that a long word begins with, itself included, from the shortest to the longest."""
        open_: list[str] = []
        for word in sorted(set(long)):
            self._long.setdefault(word[:LONG], []).append(word)
            # In this order, a word comes after those that it begins with, and only such ones stay open.
            while open_ and not word.startswith(open_[-1]):
                open_.pop()
            open_.append(word)
            self._inner[word] = list(open_)
        self._longest = {begin: max(map(len, words)) for begin, words in self._long.items()}
        self._short = frozenset(short)

    def masked(self, text: str) -> str:
        """`text` with `MASK` in place of each secret."""
        parts: list[str] = []
        kept = at = 0
        while at < len(text):
            size = self._long_at(text, at) or self._short_at(text, at)
            if size:
                parts += [text[kept:at], MASK]
                at += size
                kept = at
            else:
                at += 1
        return "".join([*parts, text[kept:]])

    def _long_at(self, text: str, at: int) -> int:
        """The length of the longest long secret that begins at a place; 0 when none does."""
        begin = text[at : at + LONG]
        words = self._long.get(begin)
        if words is None:
            return 0
        rest = text[at : at + self._longest[begin]]
        place = bisect_right(words, rest)
        if not place:
            return 0
        # What the rest begins with is the word before it in the order, or one that this word begins with.
        inner = self._inner[words[place - 1]]
        fitting = bisect_left(inner, True, key=lambda word: not rest.startswith(word))
        return len(inner[fitting - 1]) if fitting else 0

    def _short_at(self, text: str, at: int) -> int:
        if not self._short:
            return 0
        if at > 0 and _is_word(text[at - 1]):
            return 0
        for size in range(LONG - 1, _SHORT - 1, -1):
            if text[at : at + size] in self._short and not _is_word(text[at + size : at + size + 1]):
                return size
        return 0


def _is_word(letter: str) -> bool:
    return letter.isalnum() or letter == "_"


def _forms(value: str) -> set[str]:
    """A value as it is written in addresses, JSON, HTML, Python, a shell, base64 and hex digits, and each of its lines.

    Programs remove blanks from the ends of a key, and print a key of several lines as several lines.
    """
    import html  # a command without secrets does not need it

    plains = {value}
    for line in (value, *value.splitlines()):
        if len(line.strip()) >= LONG:
            plains.add(line.strip())
    forms: set[str] = set()
    for plain in plains:
        forms |= {
            plain,
            json.dumps(plain)[1:-1],
            json.dumps(plain, ensure_ascii=False)[1:-1],
            repr(plain)[1:-1],
            shell.word(plain).strip("'"),
            plain.replace("'", "'\\''"),
            # What is shown has passed the gate before it comes here.
            visible_line(plain),
            log_line(plain),
        }
        data = plain.encode("utf-8", "surrogateescape")
        # Some programs write `/` as `\/` in JSON, and print bytes as Python does, or as digits.
        forms |= {json.dumps(plain)[1:-1].replace("/", "\\/"), repr(data)[2:-1], data.hex(), data.hex().upper()}
        forms.add(html.escape(plain))
        # A program may print a text that was printed before: a request in JSON as a text in JSON.
        for once in (plain, json.dumps(plain)[1:-1], repr(plain)[1:-1]):
            # Python escapes an apostrophe only in a text that has the other quotes, too.
            forms |= {json.dumps(once)[1:-1], repr(once)[1:-1], repr('"' + once)[2:-1], html.escape(once)}
        for escaped in (quote(data, safe=""), quote(data), quote(data, safe=_KEPT), quote_plus(data)):
            forms |= {escaped, _ESCAPED_BYTE.sub(lambda found: found.group().lower(), escaped)}
        forms |= _in_base64(data)
    return forms


def _in_base64(data: bytes) -> set[str]:
    """Base64 of the data alone, and what it contributes to that of a longer text, such as `user:password`."""
    whole = base64.b64encode(data).decode()
    forms = {whole, whole.rstrip("=")}
    for before in (0, 1, 2):
        # Three bytes make four letters; those that a byte beside the data has a part in are left out.
        letters = base64.b64encode(bytes(before) + data).decode()
        first = (before * 8 + 5) // 6
        last = (before + len(data)) * 8 // 6
        inner = letters[first:last]
        if len(inner) >= LONG:
            forms.add(inner)
        if before == 0:
            forms |= _wrapped(inner)
    forms |= _wrapped(whole)
    return forms | {form.replace("+", "-").replace("/", "_") for form in forms}


def _wrapped(letters: str) -> set[str]:
    """The lines of a base64 text that is longer than a line, as `base64` and `openssl` write it."""
    lines: set[str] = set()
    for width in _BASE64_WIDTHS:
        if len(letters) > width:
            lines.update(letters[at : at + width] for at in range(0, len(letters), width))
    return {line for line in lines if len(line) >= LONG}


def _stands_out(value: str) -> bool:
    """Whether a short value differs from ordinary words and numbers."""
    return len(value) >= _SHORT and not value.isdecimal() and not value.isalpha()
