"""The API key that a server wants of its clients: found in a serve command, in variables, or in running processes.

Requests for readiness, test prompts and metrics must send it. It is never shown: it is a `Secret` from here on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.secrets import MOST_LETTERS, Secret
from sparkrun_tui.engines.command.arguments import flag_of, is_flag, plain_spelling
from sparkrun_tui.engines.command.serving import ServeCommand
from sparkrun_tui.engines.command.shell_edit import variable_in
from sparkrun_tui.engines.family import Family, KeyPlaces
from sparkrun_tui.engines.plan import NO_KEY, ServerKey

_SHORTEST = 4
"""The fewest characters of an abbreviated flag."""
_MOST_GIVEN = 64
"""The most flags of one kind that are read."""
_MOST_VALUES = 8


def key_of_command(said: ServeCommand, secret_env: Mapping[str, Secret], family: Family) -> ServerKey:
    """The key of the server that a command starts, as far as it can be known before the start.

    What only a shell or a file of the container knows is asked of the running server's processes, see `KeyFinder`.
    """
    if not said.words:
        return NO_KEY
    variables = dict(secret_env)
    for name, value in said.variables.items():
        # A value that only a shell works out is empty there.
        if value or name not in variables:
            variables[name] = Secret(value)
    return _key([word.text for word in said.words], variables, family, shell=True)


@dataclass(frozen=True, slots=True)
class KeyFinder:
    """Finds the key of a running server of one of `families` in what its processes were given."""

    families: tuple[Family, ...]

    def find(self, variables: Iterable[str], words: Sequence[str]) -> ServerKey:
        """The key in variables (`NAME=value` each) and arguments; those of several processes may follow each other."""
        named: dict[str, Secret] = {}
        for entry in variables:
            name, _, value = entry.partition("=")
            named[name] = Secret(value)
        found = NO_KEY
        for family in self.families:
            key = _key(words, named, family, shell=False)
            if key.secret is not None:
                return key
            if key.wanted and not found.wanted:
                found = key
        return found

    def first(self, text: str) -> Secret | None:
        """The first key of a file that has one on each line; None where it has none."""
        for line in text.split("\n"):
            key = line.strip("\r")
            if key.strip():
                return _fitting(key)
        return None


def _key(words: Sequence[str], variables: Mapping[str, Secret], family: Family, *, shell: bool) -> ServerKey:
    """The key that words and variables give; with `shell`, a shell still fills variables into the words."""
    places = family.keys
    wanted = False
    file = ""
    for flag, values in islice(_given(words, family), _MOST_GIVEN):
        if flag in places.files:
            file = file or next(iter(values), "")
            continue
        wanted = True
        for value in values:
            key = ServerKey(wanted=True, secret=_one(value, places))
            if shell:
                key = _filled(value, variables, places)
            if key.secret is not None:
                return key
    if file:
        return ServerKey(wanted=True, file=file)
    if wanted:
        return ServerKey(wanted=True)
    for name in places.variables:
        secret = variables.get(name)
        if secret is not None and secret.reveal():
            return ServerKey(wanted=True, secret=_one(secret.reveal(), places), variable=name)
    return NO_KEY


def _given(words: Sequence[str], family: Family) -> Iterator[tuple[str, list[str]]]:
    """The flags of a command line that give keys or files of keys, and their first values.

    A container may have hundreds of thousands of words, so only those that begin like such a flag are looked up.
    """
    dialect, names = family.dialect, (*family.keys.flags, *family.keys.files)
    for at in range(dialect.first_argument(words) or 0, len(words)):
        name, equals, value = words[at].partition("=")
        spelling = plain_spelling(name, dialect)
        if len(spelling) < _SHORTEST or not any(flag.startswith(spelling) for flag in names):
            continue
        flag = flag_of(name, family)
        if flag not in names:
            continue
        if equals:
            yield flag, [value]
            continue
        values: list[str] = []
        for word in words[at + 1 : at + 1 + _MOST_VALUES]:
            if is_flag(word):
                break
            values.append(word)
        yield flag, values


def _filled(word: str, variables: Mapping[str, Secret], places: KeyPlaces) -> ServerKey:
    """The key that a word of a script gives, with the variable that it comes from."""
    name = variable_in(word)
    if name:
        secret = None
        if name in variables:
            secret = _one(variables[name].reveal(), places)
        return ServerKey(wanted=True, secret=secret, variable=name)
    if any(sign in word for sign in "$`"):
        return ServerKey(wanted=True)
    return ServerKey(wanted=True, secret=_one(word, places))


def _one(text: str, places: KeyPlaces) -> Secret | None:
    """The first of the keys in a text."""
    if places.separator:
        text = next((part for part in text.split(places.separator) if part), "")
    return _fitting(text)


def _fitting(text: str) -> Secret | None:
    """A text as a key; None where it cannot be sent in a header."""
    if not text or len(text) > MOST_LETTERS or not text.isprintable():
        return None
    return Secret(text)
