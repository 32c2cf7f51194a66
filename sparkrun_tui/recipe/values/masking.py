"""Hides the secrets of a recipe: its values, and those typed for it, under the name of a secret.

There are two ways. `redactor` is the one filter for text that already contains secrets, such as the log of an engine
that prints its arguments. `concealed` is a recipe whose commands never contain them: each secret is a variable there,
which the containers get in a file. All that is planned, shown and copied is made from the latter.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from sparkrun_tui.base import shell
from sparkrun_tui.base.by_identity import ByIdentity
from sparkrun_tui.base.reading.identifiers import variable_name
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.secrets import MASK, Redactor, Secret, looks_secret, revealed, secrets_of, secrets_of_words
from sparkrun_tui.recipe.format.yamltree import compact_json, without_comment
from sparkrun_tui.recipe.model import Problem, Recipe, Value
from sparkrun_tui.recipe.values import launch_keys
from sparkrun_tui.recipe.values.env_fields import FIELD
from sparkrun_tui.recipe.values.environment import references
from sparkrun_tui.recipe.values.launch_keys import FLAGS, SECRET_PREFIX, SECRET_REFERENCE, FlagsError, Kind, PartError
from sparkrun_tui.recipe.values.overrides import from_data, render
from sparkrun_tui.recipe.values.rendered import ChainValue, Origin, Rendered
from sparkrun_tui.recipe.values.shell_scanner import quotes_at
from sparkrun_tui.recipe.values.shellwords import serve_argv

_SHOWN = late_regex(r"'\"{0}\"'|\"{0}\"|{0}".replace("{0}", SECRET_REFERENCE.pattern))
_QUOTED_HEREDOC = late_regex(r"<<-?\s*['\"\\\\]")
_LAST_WORD = late_regex(r"(?i)(^|[_-])(secret|password|passwd|passphrase|api[_-]?key|token|bearer)$")
_NAMES_FILE = late_regex(r"(?i)[_-](file|path|dir)$")
_SOURCE_LINE = late_regex(r"^(\s*(?:-\s+)?[\"']?)([\w-]+)([\"']?\s*:\s+)(\S.*)$")
_CONTINUED = late_regex(r"\\\r?\n")
_BETWEEN_COMMANDS = late_regex(r"[\n;&|()]+")
_BETWEEN_WORDS = late_regex(r"[\s'\"\\]+")
_ASSIGNED = late_regex(
    r"(?<![A-Za-z0-9_-])(?P<name>[A-Za-z_][A-Za-z0-9_]{0,99})="
    r"(?:'(?P<single>[^'\n]{1,4096})'|\"(?P<double>[^\"\n]{1,4096})\"|(?P<plain>[^\s'\"`;&|()<>{}]{1,4096}))"
)
_SET_APART = late_regex(r"(?<![A-Za-z0-9])\$[A-Z_][A-Z0-9_]*(?![A-Za-z0-9_])", re.ASCII)
_ONLY_NAME = late_regex(r"\$\w+|\$\{\w+\}", re.ASCII)
_MOST = 256
"""The most references whose surroundings are examined; no person writes a command with more of them."""


# Which values are secrets.


def is_private(key: str, value: Value) -> bool:
    """Whether a value is a secret itself; a reference to a variable that holds one is not."""
    return _is_secret(key, value.data)


_DIGITS = late_regex(r"[0-9]+")


def _is_secret(key: str, data: Any) -> bool:
    if not looks_secret(key) or data is None or isinstance(data, bool):
        return False
    # The items of lists and mappings are examined separately.
    if isinstance(data, (list, tuple, Mapping)):
        return False
    text = str(data)
    if not isinstance(data, str) or _DIGITS.fullmatch(text):
        # `token_budget` is a number of tokens; `api_key` may be digits all the same.
        return _LAST_WORD.search(key) is not None
    return bool(text) and not _refers(text) and not _is_field(text)


def _is_field(text: str) -> bool:
    """Whether a text only refers to a value of the recipe or of the launch (`{config.api_key}`)."""
    return re.fullmatch(FIELD, text) is not None


def _refers(text: str) -> bool:
    """Whether a text takes a secret from a variable, rather than being one with a dollar sign in it (`pa$word`).

    `${NAME}` is meant as a reference wherever it stands, `$NAME` alone or beside a sign when it has capital letters.
    """
    names = references(text)
    if not names:
        return False
    if _ONLY_NAME.fullmatch(text) is not None:
        return True
    return any(f"${{{name}}}" in text for name in names) or _SET_APART.search(text) is not None


def _key_inside(key: str, name: object) -> str:
    """The key by which an item of a mapping is judged: all items of a mapping that is called a secret are secrets."""
    return key if looks_secret(key) else str(name)


def _secret_leaves(key: str, data: Any) -> Iterator[str]:
    """The texts of the secrets in a value, those within lists and mappings too."""
    if isinstance(data, Mapping):
        for name, item in data.items():
            yield from _secret_leaves(_key_inside(key, name), item)
    elif isinstance(data, (list, tuple)):
        for item in data:
            yield from _secret_leaves(key, item)
    elif _is_secret(key, data):
        yield str(data)


def private_texts(values: Mapping[str, Any]) -> list[str]:
    """The secrets among plain values by key, such as typed overrides or the user's defaults."""
    found = [text for key, data in values.items() for text in _secret_leaves(key, data)]
    for key, data in values.items():
        if key == FLAGS and isinstance(data, str):
            found += secrets_of_words(_words(data))
    return found


def _words(flags: str) -> tuple[str, ...]:
    """The words of extra flags; of flags that cannot be read, what stands between blanks."""
    try:
        return launch_keys.flag_words(flags)
    except FlagsError:
        return tuple(flags.split())


def _words_without_secrets(words: Sequence[str], instead: Callable[[str, str], str]) -> list[str]:
    """The words of flags with each secret replaced by what `instead` gives for its flag and its value."""
    hidden = frozenset(secrets_of_words(words))
    changed = []
    flag = ""
    for word in words:
        name, equals, value = word.partition("=")
        if word.startswith("-"):
            flag = name.lstrip("-")
        if word in hidden and not word.startswith("-"):
            word = instead(flag, word)
        elif equals and value in hidden:
            word = f"{name}={instead(flag, value)}"
        changed.append(word)
    return changed


def flags_without_secrets(flags: str, instead: Callable[[str, str], str]) -> str:
    """Extra flags with each secret replaced by what `instead` gives for its flag and its value."""
    words = _words(flags)
    if not secrets_of_words(words):
        return flags
    return launch_keys.flags_text(_words_without_secrets(words, instead))


def private_flags(flags: str) -> list[str]:
    """The names of those extra flags that give a secret."""
    names: list[str] = []

    def note(flag: str, value: str) -> str:
        names.append(flag)
        return value

    _words_without_secrets(_words(flags), note)
    return names


def gives_secret(name: str, text: str) -> bool:
    """Whether a flag called `name` gives a secret, by itself or by a variable; one that names a file gives none."""
    if not text or not looks_secret(name) or names_file(name):
        return False
    return _LAST_WORD.search(name) is not None


def names_file(name: str) -> bool:
    """Whether a flag or a variable called `name` names a file, such as the one that holds a secret."""
    return _NAMES_FILE.search(name) is not None


# The filter.


def redactor(
    recipe: Recipe | None = None,
    rendered: Rendered | None = None,
    typed: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    known: Iterable[Secret | str] = (),
) -> Redactor:
    """The one filter: it hides the secrets of a recipe, of its effective values and of typed values in any text.

    The secrets of `environ` (None: of this process) and those of `known` are hidden, too.
    """
    # A variable that is not set is passed on as it is written, and its name is no secret.
    found: list[Secret | str] = [text for text in known if _ONLY_NAME.fullmatch(revealed(text)) is None]
    found += secrets_of(os.environ if environ is None else environ)
    if recipe is None and rendered is not None:
        recipe = rendered.recipe
    if recipe is not None:
        found += _OF_RECIPE.get((recipe,), (), lambda: secrets_of_recipe(recipe))
    if rendered is not None:
        found += _OF_VALUES.get((rendered,), (), lambda: _secrets_of_values(rendered))
    return Redactor([*found, *private_texts(typed or {})])


# The panes of one screen ask for the same recipe at each keystroke.
_OF_RECIPE: ByIdentity[Sequence[str]] = ByIdentity(8)
_OF_VALUES: ByIdentity[Sequence[str]] = ByIdentity(8)


def _secrets_of_values(rendered: Rendered) -> list[str]:
    """The secrets in the effective values of a recipe, in its overrides and in its command."""
    found: list[str] = []
    for key, link in rendered.chain.items():
        found += _secret_leaves(key, link.value.data)
        if is_private(key, link.value):
            found.append(link.value.text)
    found += private_texts(rendered.overrides)
    found += secrets_of_words(rendered.argv)
    found += secrets_of_script(rendered.command or "")
    return found


def secrets_of_recipe(recipe: Recipe) -> list[str]:
    """The secrets in a recipe's file: in its values, its environment and its command's flags."""
    values = [*recipe.env.items(), *recipe.defaults.items()]
    for layer in recipe.original.layers:
        values += [*layer.env.items(), *layer.defaults.items()]
    found = [value.text for key, value in values if is_private(key, value)]
    found += private_texts({key: value.data for key, value in values})
    command = recipe.command or ""
    found += private_texts(recipe.runtime_config)
    return [*found, *secrets_of_words(serve_argv(command)), *secrets_of_script(command)]


def secrets_of_script(script: str) -> list[str]:
    """The secrets that a shell script has in clear anywhere: given by flags, or assigned to variables.

    Quotes are not followed, so that those within the script of a `bash -c` are found too.
    """
    found: list[str] = []
    for command in _BETWEEN_COMMANDS.split(_CONTINUED.sub(" ", script)):
        if not command.lstrip().startswith("#"):
            found += secrets_of_words(_BETWEEN_WORDS.split(command))
    for match in _ASSIGNED.finditer(script):
        value = match["single"] or match["double"] or match["plain"]
        if gives_secret(match["name"], value) and not references(value):
            found.append(value)
    return found


# What may be shown of a value, a setting, a file.


def shown(key: str, value: Value) -> str:
    """A value's text as it may be shown."""
    if isinstance(value.data, (list, dict)):
        return compact_json(_shown_item(key, value.data))
    return MASK if is_private(key, value) else Redactor()(value.text)


def holds_secret(key: str, value: Value | None) -> bool:
    """Whether a value must not be shown as it is: it is a secret, or has one within it."""
    if value is None:
        return False
    return is_private(key, value) or MASK in shown(key, value)


def shown_data(key: str, value: Value) -> Any:
    """A value's data as it may be shown."""
    return _shown_item(key, value.data)


def _shown_item(key: str, data: Any) -> Any:
    if isinstance(data, Mapping):
        return {name: _shown_item(_key_inside(key, name), item) for name, item in data.items()}
    if isinstance(data, (list, tuple)):
        return [_shown_item(key, item) for item in data]
    if _is_secret(key, data):
        return MASK
    return Redactor()(data) if isinstance(data, str) else data


def shown_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by key as they may be shown and kept: those that are called a secret are dots, however short."""
    shown: dict[str, Any] = {}
    for key, data in settings.items():
        if key == FLAGS and isinstance(data, str):
            data = flags_without_secrets(data, lambda flag, value: MASK)
        shown[key] = _shown_item(key, data)
    return shown


def shown_source(text: str, redact: Redactor) -> str:
    """A recipe file's text as it may be shown."""

    def line(row: str) -> str:
        match = _SOURCE_LINE.match(row)
        if match is None:
            return row
        value = without_comment(match[4])
        if not _is_secret(match[2], value.strip("'\"")) or value[0] in "[{|>&*!":
            return row
        return f"{match[1]}{match[2]}{match[3]}{MASK}{match[4][len(value) :]}"

    return redact("\n".join(map(line, text.split("\n"))))


def problem_shown(problem: Problem, redact: Redactor) -> Problem:
    """A problem without secrets in its texts."""
    message, remedy = dotted(redact(problem.message)), dotted(redact(problem.remedy))
    if message == problem.message and remedy == problem.remedy:
        return problem
    return replace(problem, message=message, remedy=remedy)


def dotted(text: str) -> str:
    """A command with its secrets as dots instead of as variables."""
    return _SHOWN.sub(MASK, text)


# Commands without secrets.


class Concealed(NamedTuple):
    """A recipe whose secret values are references to variables, and what those variables are to be set to."""

    rendered: Rendered
    secrets: Mapping[str, Secret]


def concealed(rendered: Rendered) -> Concealed:
    """The recipe with every secret value as a variable (`"${SPARKRUN_SECRET_API_KEY}"`), command and hooks included.

    A value at a place where the shell fills in no variable (a quoted heredoc) stays unchanged.
    """
    names = _Names()
    chain = {key: _conceal(key, link.value, names) for key, link in rendered.chain.items()}
    overrides = _concealed_overrides(rendered, chain, names)
    if not names.secrets and not any(SECRET_REFERENCE.search(value.text) for value in chain.values()):
        return Concealed(rendered, {})
    defaults = {key: _conceal(key, value, names) for key, value in rendered.recipe.defaults.items()}
    recipe = replace(rendered.recipe, defaults=defaults)
    used = {key: ChainValue(chain[key], link.origin) for key, link in rendered.chain.items()}
    again = render(recipe, overrides, _concealed_user_defaults(rendered, names))
    command = again.command
    argv = rendered.argv
    if command is not None:
        if _in_vain(command):
            return Concealed(rendered, {})
        command = quote_references(command)
        if argv:
            argv = serve_argv(command)
    hidden = replace(again, chain=used, command=command, argv=argv, problems=rendered.problems)
    return Concealed(hidden, names.secrets)


def _concealed_overrides(rendered: Rendered, chain: Mapping[str, Value], names: _Names) -> dict[str, str]:
    """The overrides with their secrets as references; `chain` has the concealed values."""
    overrides = dict(rendered.overrides)
    for key, text in overrides.items():
        kind = launch_keys.kind_of(rendered.original, key)
        if kind is Kind.FLAGS:
            overrides[key] = flags_without_secrets(text, names.reference)
        elif kind is Kind.VALUE and key in chain and chain[key] is not rendered.chain[key].value:
            overrides[key] = chain[key].text
        elif kind is Kind.PART and _is_secret(key, text):
            try:
                part = launch_keys.part_of(chain.get(launch_keys.root_of(key)), key)
            except PartError:
                # The recipe's problems say that this key leads nowhere.
                part = None
            if part is not None:
                overrides[key] = part.text
    return overrides


def _concealed_user_defaults(rendered: Rendered, names: _Names) -> dict[str, object]:
    """The per-user defaults with their secrets as references; one that an override replaces as a whole is left out."""
    found: dict[str, object] = {}
    for key, data in rendered.user_defaults.items():
        is_replaced = rendered.chain[key].origin is Origin.OVERRIDE and key in rendered.overrides
        if not is_replaced:
            value = from_data(data, rendered.recipe.defaults.get(key))
            found[key] = _conceal(key, value, names).data
    return found


class _Names:
    """Gives each secret value a variable of its own, called after its key."""

    def __init__(self) -> None:
        self.secrets: dict[str, Secret] = {}
        self._given: dict[tuple[str, str], str] = {}
        self._last: dict[str, int] = {}
        """How many variables have been called after a key."""

    def reference(self, key: str, value: str) -> str:
        stem = SECRET_PREFIX + (re.sub(r"[^A-Z0-9]+", "_", key.upper()).strip("_") or "VALUE")
        name = self._given.get((stem, value))
        if name is None:
            name = self._new_name(stem)
            self._given[stem, value] = name
            self.secrets[name] = Secret(value)
        return f"${{{name}}}"

    def _new_name(self, stem: str) -> str:
        # The count goes on from the last one: a list may hold thousands of secrets under one key.
        while True:
            number = self._last.get(stem, 0) + 1
            self._last[stem] = number
            name = stem if number == 1 else f"{stem}_{number}"
            if name not in self.secrets:
                return name


def _conceal(key: str, value: Value, names: _Names) -> Value:
    if is_private(key, value):
        text = names.reference(key, value.text if not isinstance(value.data, str) else value.data)
        return Value(text, text, value.spot)
    if isinstance(value.data, (list, dict)) and next(_secret_leaves(key, value.data), None) is not None:
        data = _conceal_item(key, key, value.data, names)
        return Value(data, compact_json(data), value.spot)
    return value


def _conceal_item(path: str, key: str, data: Any, names: _Names) -> Any:
    if isinstance(data, Mapping):
        return {
            name: _conceal_item(f"{path}_{name}", _key_inside(key, name), item, names) for name, item in data.items()
        }
    if isinstance(data, (list, tuple)):
        return [_conceal_item(path, key, item, names) for item in data]
    return names.reference(path, str(data)) if _is_secret(key, data) else data


def _in_vain(command: str) -> bool:
    """Whether a reference is in a heredoc whose text the shell leaves unchanged."""
    if _QUOTED_HEREDOC.search(command) is None:
        return False
    places = [match.start() for match in SECRET_REFERENCE.finditer(command)]
    return "<" in quotes_at(command, places[:_MOST]).values()


def is_variable(name: str) -> bool:
    """Whether this is a variable that stands for a secret value in commands."""
    return name.startswith(SECRET_PREFIX)


def quote_references(command: str) -> str:
    """`command` with each reference to a secret's variable so that the shell fills it in, as one word, where it is."""
    found = list(SECRET_REFERENCE.finditer(command))[:_MOST]
    surroundings = quotes_at(command, [match.start() for match in found])
    for match in reversed(found):
        around = surroundings[match.start()]
        if around in ("'", "$'"):
            # The quotes are closed before it, and opened again behind it.
            text = f'\'"{match.group()}"{around}'
        elif around:
            text = match.group()
        else:
            text = f'"{match.group()}"'
        command = command[: match.start()] + text + command[match.end() :]
    return command


def join_words(words: Iterable[str]) -> shell.Text:
    """Words as a shell command, each quoted, save that references to secrets' variables are filled in."""
    return shell.joined(map(_word, words), " ")


def _word(word: str) -> shell.Text:
    found = list(SECRET_REFERENCE.finditer(word))
    if not found:
        return shell.word(word)
    parts: list[shell.Text] = []
    at = 0
    for match in found:
        before = word[at : match.start()]
        if before:
            parts.append(shell.word(before))
        parts.append(shell.variable(match.group()[2:-1]))
        at = match.end()
    if word[at:]:
        parts.append(shell.word(word[at:]))
    return shell.joined(parts)


def given_to(script: str, secrets: Mapping[str, Secret]) -> shell.Text:
    """`script` after lines that set those variables which it refers to, for a shell that has no such environment.

    `script` is what a recipe's author wrote.
    """
    wanted = {match.group()[2:-1] for match in SECRET_REFERENCE.finditer(script)}
    lines = []
    for name, value in secrets.items():
        if name in wanted:
            # A command with a time limit runs in a shell of its own.
            lines.append(shell.script("export {line}", line=shell.assignment(name, value.reveal())))
    return shell.joined([*lines, shell.authored(script)])


def reference_to(key: str) -> tuple[str, str]:
    """The variable that stands for a secret key in commands, and the reference to it."""
    reference = _Names().reference(key, "")
    return reference[2:-1], reference


def new_variable(key: str, secret: Secret, taken: Mapping[str, Secret]) -> str:
    """The variable for a secret called `key` among those that are `taken`; the one that holds it already, if any."""
    names = _Names()
    names.secrets.update(taken)
    for name, held in taken.items():
        if held == secret and is_variable(name):
            return name
    return names.reference(key, secret.reveal())[2:-1]


# Overrides as they are written on a command line, and in a file that is given away.


def variable_of(key: str) -> str:
    """The variable that a person sets to give the value of a secret key (`api_key` is `API_KEY`)."""
    name = re.sub(r"[^A-Z0-9]+", "_", key.upper()).strip("_")
    return name if variable_name(name) else f"SECRET_{name}"


def override_words(settings: Mapping[str, str]) -> shell.Text:
    """`-o key=value` for each setting, quoted for a shell; a secret is asked of a variable: `-o api_key="$API_KEY"`.

    Extra flags come last, behind `--`.
    """
    words: list[shell.Text] = []
    for key, text in settings.items():
        if key == FLAGS:
            continue
        if _is_secret(key, text):
            named = shell.joined([shell.word(f"{key}="), shell.variable(variable_of(key))])
            words += [shell.word("-o"), named]
        else:
            words += [shell.word("-o"), shell.word(f"{key}={text}")]
    if settings.get(FLAGS):
        words += [shell.word("--"), *_flag_words(settings[FLAGS])]
    return shell.joined(words, " ")


def _flag_words(flags: str) -> Iterator[shell.Text]:
    """The words of extra flags for a shell, with a secret asked of a variable."""
    asked: dict[str, str] = {}

    def reference(flag: str, value: str) -> str:
        mark = f"\0{len(asked)}\0"
        asked[mark] = variable_of(flag)
        return mark

    # A mark holds a character that no argument can have.
    for word in _words_without_secrets(_words(flags), reference):
        before, _, number = word.rstrip("\0").partition("\0")
        mark = f"\0{number}\0"
        if mark not in asked:
            yield shell.word(word)
        elif before:
            yield shell.joined([shell.word(before), shell.variable(asked[mark])])
        else:
            yield shell.variable(asked[mark])
