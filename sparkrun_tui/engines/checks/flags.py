"""Checks of the rendered command's flags, read as the engine's parser would read them: names, values, types, repeats.

Everything here is a warning, since the image may hold another version than the one whose flags are known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import islice

from sparkrun_tui.base.json_text import JsonError, parse_json
from sparkrun_tui.engines.command.arguments import NUMBER, Arguments, Given, plain_spelling, read_arguments
from sparkrun_tui.engines.command.built import serve_words
from sparkrun_tui.engines.dumps import EngineFlag, load_flags
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.image_version import is_older, version_in_tag
from sparkrun_tui.engines.registry import FAMILIES, counterpart, family_of
from sparkrun_tui.recipe.format.spots import command_spot
from sparkrun_tui.recipe.model import Problem, Severity
from sparkrun_tui.recipe.suggestions import did_you_mean, listed, nearest
from sparkrun_tui.recipe.values.overrides import value_text
from sparkrun_tui.recipe.values.rendered import Rendered
from sparkrun_tui.recipe.values.template import scan

_HUMAN = re.compile(r"[0-9]+(\.[0-9]+)?[kKmMgGtT]i?")
_DIGITS = re.compile(r"[+-]?\d[\d_]*")
_INT_WORDS = frozenset({"auto", "none", "None"})
_UNREAD = re.compile(r"[$`{]|^@")
_FIELDS_IN_JSON = frozenset({"--speculative-config", "--compilation-config", "--kv-transfer-config"})
"""Flags whose JSON is an object of one of vLLM's configuration classes (vllm/config), which refuse other keys."""
_MOST_SHOWN = 30
_TYPO = 0.9
"""Likeness above which one flag is taken as a typing error of another: one or two letters differ."""


def check_flags(rendered: Rendered, version: str = "") -> tuple[Problem, ...]:
    """What the engine would refuse or misread in the rendered command; empty without a command of a known engine.

    A command that is built from the values is only checked where the user added flags to it.

    `version` is the engine's in the image, where it is known from another source than the image's tag: flags that this
    version does not have yet, or no longer has, are reported as such. Versions are not judged where none is known.
    """
    family = family_of(rendered.recipe.runtime)
    is_built = rendered.command is None and not rendered.extra
    if family is None or is_built:
        return ()
    words = serve_words(rendered, family)
    if not words or not family.dialect.starts(words):
        return ()
    if not load_flags(family).by_spelling:
        return ()
    fork = family.fork_in(rendered.recipe.container)
    if fork:
        message = f"the flags of `{fork}` are not known here, so they are not checked"
        spot = rendered.recipe.spots.get("container") or rendered.recipe.command_spot
        return (Problem(Severity.NOTE, "fork", message, spot),)
    # Findings are produced one by one: in a command of tens of thousands of wrong flags only the first are searched.
    known = version or version_in_tag(family, rendered.recipe.container)
    return tuple(islice(_findings(words, rendered, family, known), _MOST_SHOWN))


def check_revision(rendered: Rendered) -> tuple[Problem, ...]:
    """A warning where the recipe pins a revision of the model that its command does not pass to the engine.

    llama-server gets the path of the fetched file, so it needs no revision.
    """
    recipe = rendered.recipe
    family = family_of(recipe.runtime)
    if family is None or not recipe.model_revision or rendered.command is None:
        return ()
    row = family.flags.by_key.get("model_revision")
    if row is None:
        return ()
    words = serve_words(rendered, family)
    if not family.dialect.starts(words):
        return ()
    for entry in read_arguments(words, family).given:
        if entry.row is row:
            return ()
    message = f"`model_revision` is fetched, but the command does not pass it: {family.title} asks the Hub for `main`"
    remedy = f"add `{row.name} {{model_revision}}` to the command"
    spot = recipe.spots.get("model_revision") or recipe.command_spot
    return (Problem(Severity.WARNING, "revision-unused", message, spot, remedy),)


def _findings(words: Sequence[str], rendered: Rendered, family: Family, version: str) -> Iterator[Problem]:
    arguments = read_arguments(words, family)
    for entry in arguments.given:
        yield from _check(entry, family, rendered, version)
    yield from _repeated(arguments.given, rendered)
    yield from _loose_words(words, arguments, family, rendered)


def _check(entry: Given, family: Family, rendered: Rendered, version: str) -> Iterator[Problem]:
    flag, title, flags = entry.flag, family.known_title, load_flags(family)
    gone = flags.gone.get(plain_spelling(entry.word, family.dialect))
    if gone is not None and gone.not_yet(version):
        return
    if flag is None:
        yield _unknown(entry, family, rendered, version)
        return
    came = flags.came.get(flag.name)
    if came is not None and came.not_yet(version):
        message = f"`{entry.word}` was added in {family.program} {came.after}, and the image holds {version}"
        yield _problem(rendered, entry.word, "flag-version", message, "leave it out, or use a newer image")
    if entry.candidates:
        message = f"`{entry.word}` is short for `{flag.name}`; short forms break when a longer flag appears"
        yield _problem(rendered, entry.word, "flag-abbreviation", message, f"write `{flag.name}`", Severity.NOTE)
    if entry.nested:
        return
    if flag.kind in ("flag", "bool"):
        if entry.attached:
            yield _problem(rendered, entry.word, "flag-value", f"`{entry.word}` takes no value in {title}")
        return
    if not entry.values and flag.kind == "value":
        message = f"`{entry.word}` has no value"
        if not family.dialect.equals:
            message += f": {title} takes the next word for it"
        remedy = ""
        if flag.choices:
            remedy = f"write `{entry.word} {flag.choices[0]}`"
        yield _problem(rendered, entry.word, "flag-value", message, remedy)
    for value in entry.values:
        if "on" in flag.choices and value in family.dialect.switch_words:
            continue
        wrong = _wrong_value(flag, value)
        if wrong:
            message = f"`{entry.word}` of {title} {wrong}"
            yield _problem(rendered, entry.word, "flag-type", message)


def _unknown(entry: Given, family: Family, rendered: Rendered, version: str) -> Problem:
    title = family.known_title
    if len(entry.candidates) > 1:
        names = listed(flag.name for flag in entry.candidates[:4])
        message = f"`{entry.word}` may mean {names} in {title}: it is refused as ambiguous"
        return _problem(rendered, entry.word, "flag-ambiguous", message, "write the flag in full")
    spelling = plain_spelling(entry.word, family.dialect)
    gone = load_flags(family).gone.get(spelling)
    if gone is not None and gone.done(version):
        message = f"{family.program} has no `{entry.word}` since {gone.after}, and the image holds {version}"
    else:
        first_without = family.dialect.gone_since.get(spelling, family.known_version)
        if is_older(version, first_without):
            return _unknown_to_later(entry, family, rendered, version)
        message = f"{title} does not know `{entry.word}`"
    remedy = family.dialect.gone.get(spelling) or _nearest_flag(family.name, entry.word)
    return _problem(rendered, entry.word, "unknown-flag", message, remedy)


def _unknown_to_later(entry: Given, family: Family, rendered: Rendered, older: str) -> Problem:
    """The problem of a flag that a later version does not know: the image's version may have it."""
    message = f"{family.known_title} does not know `{entry.word}`; {older}, which the image holds, may"
    instead = family.dialect.gone.get(entry.word, "")
    if instead:
        message = f"`{entry.word}` is gone in later versions ({family.known_title})"
        return _problem(rendered, entry.word, "unknown-flag", message, f"with these, {instead}", Severity.NOTE)
    near = nearest(entry.word, load_flags(family).by_spelling)
    if near and SequenceMatcher(None, entry.word, near).ratio() >= _TYPO:
        return _problem(rendered, entry.word, "unknown-flag", message, f"did you mean `{near}`?")
    return _problem(rendered, entry.word, "unknown-flag", message, severity=Severity.NOTE)


@lru_cache(maxsize=1024)
def _nearest_flag(name: str, word: str) -> str:
    """What to write instead of an unknown flag of the engine `name`; empty where no flag is close.

    Cached: comparing with hundreds of names takes milliseconds, and a form asks again with each keystroke.
    """
    family = FAMILIES[name]
    same = counterpart(word, family)
    if same is not None:
        return f"another engine's flag: write `{same[1].name}`"
    # `--enable-x` is never meant by `--disable-x`, nor the other way round.
    if word.startswith("--disable-"):
        opposite = "--enable-" + word.removeprefix("--disable-")
    else:
        opposite = "--disable-" + word.removeprefix("--enable-")
    return did_you_mean(word, [known for known in load_flags(family).by_spelling if known != opposite])


def _wrong_value(flag: EngineFlag, value: str) -> str:
    """Why a value does not fit, in words; empty when it fits or cannot be judged."""
    is_json = flag.type == "json" or flag.name in _FIELDS_IN_JSON
    if _UNREAD.search(value) and not is_json:
        return ""
    # Some flags of llama-server take several of their words, joined by commas (ggml-org/llama.cpp#27839).
    if flag.choices and not set(value.split(",")).issubset(flag.choices):
        shown = listed(flag.choices[:8])
        if len(flag.choices) > 8:
            shown += " ..."
        return f"does not take `{value[:40]}`; known values are {shown}"
    if flag.type == "int" and not _is_whole_number(value):
        return f"takes a whole number, not `{value[:40]}`"
    if flag.type == "float" and NUMBER.fullmatch(value) is None:
        return f"takes a number, not `{value[:40]}`"
    if is_json and value[:1] in ("{", "["):
        try:
            data = parse_json(value)
        except JsonError as error:
            return f"has a value that is not valid JSON: {error}"
        if flag.name in _FIELDS_IN_JSON and isinstance(data, dict):
            return _hyphens_in(data)
    return ""


def _is_whole_number(value: str) -> bool:
    if value in _INT_WORDS:
        return True
    return _HUMAN.fullmatch(value) is not None or _DIGITS.fullmatch(value) is not None


def _hyphens_in(data: Mapping[str, object]) -> str:
    """What is wrong where a key is written with hyphens, like a flag; empty when none is.

    The engine reads the keys as fields of a Python class.
    """
    for key in data:
        if "-" in key:
            shown = key[:60]
            return f"has no key `{shown}`: its keys are written with underscores, `{shown.replace('-', '_')}`"
    return ""


def _repeated(given: Sequence[Given], rendered: Rendered) -> Iterator[Problem]:
    seen: dict[EngineFlag, Given] = {}
    for entry in given:
        if entry.flag is None or entry.nested:
            continue
        before = seen.get(entry.flag)
        if before is not None:
            message = f"`{entry.word}` is given again"
            if before.values != entry.values:
                message += ", with another value: the last one counts"
            yield _problem(rendered, entry.word, "flag-twice", message, last=True)
        seen[entry.flag] = entry


def _loose_words(argv: Sequence[str], arguments: Arguments, family: Family, rendered: Rendered) -> Iterator[Problem]:
    """A problem for each positional word beyond those that the engine takes, at most five."""
    count = family.dialect.loose
    if count is None:
        return
    model_by_flag = False
    for entry in arguments.given:
        if entry.flag is not None and family.dialect.model_flag in entry.flag.spellings:
            model_by_flag = True
    allowed = count(argv, model_by_flag)
    # A blank comes from a broken line continuation, which has a finding of its own.
    words = [word for word in arguments.loose if word.strip()]
    for word in words[allowed:][:5]:
        message = f"`{word[:60]}` stands where {family.known_title} expects a flag"
        yield _problem(rendered, word, "loose-word", message)


def _problem(
    rendered: Rendered,
    word: str,
    code: str,
    message: str,
    remedy: str = "",
    severity: Severity = Severity.WARNING,
    last: bool = False,
) -> Problem:
    recipe = rendered.recipe
    command = recipe.command or ""
    pattern = re.compile(rf"(?<!\S){re.escape(word)}(?![\w-])")
    match = pattern.search(command)
    if match is not None and last:
        *_, match = pattern.finditer(command)
    if match is not None:
        places = [match.start()]
    else:
        places = _slots_with(rendered, word)
    if not places:
        spot = recipe.command_spot
    elif last:
        spot = command_spot(recipe, places[-1])
    else:
        spot = command_spot(recipe, places[0])
    return Problem(severity, code, message, spot, remedy)


def _slots_with(rendered: Rendered, word: str) -> list[int]:
    """The offsets of the command's placeholders whose values contain `word`, values of several words first."""
    recipe = rendered.recipe
    slots = scan(recipe.command or "", recipe.version == "1").slots
    counts: dict[str, int] = {}
    for slot in slots:
        if slot.key not in counts:
            counts[slot.key] = _count_with(word, rendered, slot.key)
    of_several_words = [slot.offset for slot in slots if counts[slot.key] > 1]
    of_one_word = [slot.offset for slot in slots if counts[slot.key] == 1]
    return sorted(of_several_words) + sorted(of_one_word)


def _count_with(word: str, rendered: Rendered, key: str) -> int:
    """The number of words in the value of a key if `word` is one of them, else 0."""
    if key not in rendered.chain:
        return 0
    text = value_text(rendered.chain[key].value)
    if word not in text:
        return 0
    words = text.split()
    if word not in words:
        return 0
    return len(words)
