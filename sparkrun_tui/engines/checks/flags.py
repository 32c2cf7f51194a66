"""Checks of the rendered command's flags, read as the engine's parser would read them: names, values, types, repeats.

A command is judged for the version that the image is known to hold, and for the engine itself: of a fork, of a build
between releases and of an image that says nothing of its version, nothing is said. What is wrong is a warning, since
an image may be patched; an error is what the engine's parser refuses whatever is built upon it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice

from sparkrun_tui.base.errors import Spot
from sparkrun_tui.base.reading.json_text import JsonError, parse_json
from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import shorten
from sparkrun_tui.engines.checks.build import Build, build_in
from sparkrun_tui.engines.command.arguments import NUMBER, Arguments, Given, given_model, plain_spelling, read_arguments
from sparkrun_tui.engines.command.built import serve_words
from sparkrun_tui.engines.dumps import EngineFlag, load_flags
from sparkrun_tui.engines.family import Dialect, Family
from sparkrun_tui.engines.image_version import is_older
from sparkrun_tui.engines.registry import ENGINES, FAMILIES, counterpart, family_of
from sparkrun_tui.engines.settings import read_settings
from sparkrun_tui.engines.values import Numbers
from sparkrun_tui.recipe.format.spots import command_spot
from sparkrun_tui.recipe.model import Problem, Recipe, Severity
from sparkrun_tui.recipe.names.local_model import is_path
from sparkrun_tui.recipe.suggestions import did_you_mean, listed, nearest
from sparkrun_tui.recipe.values.rendered import Rendered, value_text
from sparkrun_tui.recipe.values.template import scan

_INT_WORDS = frozenset({"auto", "none", "None"})
_UNREAD = late_regex(r"[$`{]|^@")
_FIELDS_IN_JSON = frozenset({"--speculative-config", "--compilation-config", "--kv-transfer-config"})
"""Flags whose JSON is an object of one of vLLM's configuration classes (vllm/config), which refuse other keys."""
_MOST_SHOWN = 30
_TYPO = 0.9
"""Likeness above which one flag is taken as a typing error of another: one or two letters differ."""


def check_flags(rendered: Rendered, version: str = "") -> tuple[Problem, ...]:
    """What the engine would refuse or misread in the rendered command; empty without a command of a known engine.

    `version` is the engine's in the image, where it is known from another source than the image's tag.
    """
    family = family_of(rendered.recipe.runtime)
    if family is None:
        return ()
    words = serve_words(rendered, family)
    if not words or not family.dialect.starts(words):
        return ()
    if not load_flags(family).by_spelling:
        return ()
    image = ENGINES[rendered.recipe.runtime].image(rendered.recipe)
    other = _fork_flag(words, family)
    fork = family.fork_in(image)
    if other or fork:
        message = f"the flags of `{fork}` are not known here, so they are not checked"
        if other:
            message = f"`{other}` starts another program, whose flags are not known here and not checked"
        spot = rendered.recipe.spots.get("container") or rendered.recipe.command_spot
        return (Problem(Severity.NOTE, "fork", message, spot),)
    build = build_in(family, image, version)
    if build is None:
        return ()
    # Findings are produced one by one: in a command of tens of thousands of wrong flags only the first are searched.
    return tuple(islice(_findings(words, rendered, family, build), _MOST_SHOWN))


def _fork_flag(words: Sequence[str], family: Family) -> str:
    """The flag that hands the command over to another program; empty where there is none."""
    for word in words:
        flag = word.partition("=")[0]
        if flag in family.fork_flags:
            return flag
    return ""


def check_revision(rendered: Rendered) -> tuple[Problem, ...]:
    """Warnings where the recipe pins a revision of the model that its command does not pass to the engine.

    Also where it passes another one, and where a drafter in the same repository is loaded without it. llama-server gets
    the path of the fetched file, so it needs no revision.
    """
    recipe = rendered.recipe
    family = family_of(recipe.runtime)
    if family is None or not recipe.model_revision or is_path(recipe.model):
        # A model on the hosts is not fetched, so it has no revision to pass.
        return ()
    row = family.flags.by_key.get("model_revision")
    if row is None:
        return ()
    words = serve_words(rendered, family)
    if not family.dialect.starts(words):
        return ()
    pin = recipe.model_revision
    arguments = read_arguments(words, family)
    given = arguments.last("model_revision")
    spot = recipe.spots.get("model_revision") or recipe.command_spot
    found = []
    if given is None:
        message = (
            f"`model_revision` is fetched, but the command does not pass it: {family.title} asks the Hub for `main`"
        )
        remedy = f"add `{row.name} {{model_revision}}` to the command"
        found.append(Problem(Severity.WARNING, "revision-unused", message, spot, remedy))
    elif given.values and given.values[0] != pin and "$" not in given.values[0]:
        message = f"`model_revision` is fetched, but the command asks for another revision: {given.values[0][:60]}"
        remedy = f"write `{given.word} {{model_revision}}`"
        found.append(Problem(Severity.WARNING, "revision-differs", message, spot, remedy))
    speculative = read_settings(family, words).speculative
    if speculative is not None and speculative.model == recipe.model and not speculative.revision:
        message = (
            f"the draft model is in the pinned repository, but without its revision {family.title} asks for `main`"
        )
        found.append(Problem(Severity.WARNING, "revision-unused", message, spot, _draft_remedy(family)))
    return tuple(found)


def _draft_remedy(family: Family) -> str:
    """How the revision of a draft model is passed."""
    for row in family.flags:
        if row.sets == "spec.revision" and "." not in row.name:
            return f"add `{row.name} {{model_revision}}` to the command"
    return 'add `"revision": "{model_revision}"` to the speculative configuration'


def _findings(words: Sequence[str], rendered: Rendered, family: Family, build: Build) -> Iterator[Problem]:
    arguments = read_arguments(words, family)
    for entry in arguments.given:
        yield from _check(entry, family, rendered, build)
    yield from _repeated(arguments.given, rendered)
    yield from _model_flag(words, arguments, family, rendered, build)
    yield from _loose_words(words, arguments, family, rendered, build)


def _check(entry: Given, family: Family, rendered: Rendered, build: Build) -> Iterator[Problem]:
    """What is wrong with one flag."""
    history = load_flags(family).history
    spelling = plain_spelling(entry.word, family.dialect)
    gone = history.gone(spelling)
    if gone is not None and gone.not_yet(build.version):
        return
    if gone is not None and gone.done(build.version) and build.lacks(history, spelling):
        # It came again with a later version.
        yield _went(entry, gone.after, family, rendered, build)
        return
    flag = entry.flag
    if flag is None:
        yield from _unknown(entry, family, rendered, build)
        return
    # An older spelling may be there where the name that the flag has now is not.
    written = flag.name if entry.candidates else spelling
    if build.lacks(history, written):
        change = history.came(written)
        after = change.after if change is not None else family.known_version
        message = f"`{entry.word}` was added in {family.program} {after}, and the image holds {build.version}"
        yield _problem(rendered, entry.word, "flag-version", message, "leave it out, or use a newer image")
        return
    if not build.reads_as_now(history, flag):
        return
    if entry.candidates and build.exact:
        message = f"`{entry.word}` is short for `{flag.name}`; short forms break when a longer flag appears"
        yield _problem(rendered, entry.word, "flag-abbreviation", message, f"write `{flag.name}`", Severity.NOTE)
    if not entry.nested:
        yield from _check_value(entry, flag, family, rendered, build)


def _check_value(entry: Given, flag: EngineFlag, family: Family, rendered: Rendered, build: Build) -> Iterator[Problem]:
    """What is wrong with the values of a flag that the image's version reads as the newest one does."""
    title = _title(family, build)
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
        if _is_json(flag) and _not_json(value):
            message = f"`{entry.word}` of {title} takes JSON, not `{shorten(value, 40)}`: the engine ends at once"
            yield _problem(rendered, entry.word, "flag-type", message, _as_json(value), Severity.ERROR)
            continue
        wrong = _wrong_value(flag, value, family.dialect)
        if not wrong and build.exact:
            wrong = _wrong_choice(flag, value, family, build)
        if wrong:
            yield _problem(rendered, entry.word, "flag-type", f"`{entry.word}` of {title} {wrong}")


def _title(family: Family, build: Build) -> str:
    """The program and the version in the image, as shown to a person."""
    if not build.exact:
        return family.program
    return f"{family.program} {build.version}"


def _went(entry: Given, after: str, family: Family, rendered: Rendered, build: Build) -> Problem:
    """The problem of a flag that the image's version no longer has."""
    message = f"{family.program} has no `{entry.word}` since {after}, and the image holds {build.version}"
    spelling = plain_spelling(entry.word, family.dialect)
    remedy = family.dialect.gone.get(spelling) or _nearest_flag(family.name, entry.word)
    return _problem(rendered, entry.word, "unknown-flag", message, remedy)


def _unknown(entry: Given, family: Family, rendered: Rendered, build: Build) -> Iterator[Problem]:
    """The problem of a flag that the newest version does not know, if the image's version does not know it either."""
    flags = load_flags(family)
    title = _title(family, build)
    there = [flag for flag in entry.candidates if not build.lacks(flags.history, flag.name)]
    if len(there) > 1 and build.exact:
        names = listed(flag.name for flag in there[:4])
        message = f"`{entry.word}` may mean {names} in {title}: it is refused as ambiguous"
        yield _problem(rendered, entry.word, "flag-ambiguous", message, "write the flag in full")
        return
    spelling = plain_spelling(entry.word, family.dialect)
    gone = flags.history.gone(spelling)
    if gone is not None:
        instead = family.dialect.gone.get(spelling, "")
        if gone.done(build.version):
            yield _went(entry, gone.after, family, rendered, build)
        elif not build.version and instead:
            message = f"`{entry.word}` is gone from {family.program} since {gone.after}"
            yield _problem(rendered, entry.word, "unknown-flag", message, f"with these, {instead}", Severity.NOTE)
        return
    if not build.exact:
        near = _misspelt(family.name, spelling)
        if near:
            oldest, newest = flags.history.releases[0], flags.history.releases[-1]
            message = f"no {family.program} from {oldest} to {newest} knows `{entry.word}`"
            yield _problem(rendered, entry.word, "unknown-flag", message, f"did you mean `{near}`?")
        return
    if not there:
        message = f"{title} does not know `{entry.word}`"
        remedy = family.dialect.gone.get(spelling) or _nearest_flag(family.name, entry.word)
        yield _problem(rendered, entry.word, "unknown-flag", message, remedy)


@lru_cache(maxsize=1024)
def _misspelt(name: str, spelling: str) -> str:
    """The flag of the engine `name` that an unknown one differs from by a letter or two; empty where there is none.

    Cached, as `_nearest_flag` is.
    """
    from difflib import SequenceMatcher

    near = nearest(spelling, load_flags(FAMILIES[name]).by_spelling)
    if near and SequenceMatcher(None, spelling, near).ratio() >= _TYPO:
        return near
    return ""


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


def _wrong_choice(flag: EngineFlag, value: str, family: Family, build: Build) -> str:
    """Why a value is none of those that the image's version knows, in words; empty when it is one."""
    if not flag.choices or _UNREAD.search(value):
        return ""
    history = load_flags(family).history
    # Some flags of llama-server take several of their words, joined by commas (ggml-org/llama.cpp#27839), and some of
    # vLLM take them with hyphens and capitals.
    for word in value.split(","):
        plain = word
        if plain not in flag.choices:
            plain = word.lower().replace("-", "_")
        change = history.came(f"{flag.name}={plain}")
        if plain in flag.choices:
            if change is not None and change.not_yet(build.version):
                return f"does not take `{shorten(word, 40)}`, which came with {change.after}"
            continue
        gone = history.gone(f"{flag.name}={plain}")
        if gone is not None and not gone.done(build.version):
            continue
        known = [choice for choice in flag.choices if not build.lacks(history, f"{flag.name}={choice}")]
        shown = listed(known[:8])
        if len(known) > 8:
            shown += " ..."
        return f"does not take `{shorten(value, 40)}`; known values are {shown}"
    return ""


def _wrong_value(flag: EngineFlag, value: str, dialect: Dialect) -> str:
    """Why a value has not the type of a flag, in words; empty when it has, or cannot be judged."""
    if _is_json(flag) or flag.type == "object":
        # What a shell fills in is not known yet.
        if value[:1] not in ("{", "[") or "$" in value:
            return ""
        try:
            data = parse_json(value)
        except JsonError as error:
            return f"has a value that is not valid JSON: {error}"
        if flag.name in _FIELDS_IN_JSON and isinstance(data, dict):
            return _hyphens_in(data)
        return ""
    if _UNREAD.search(value):
        return ""
    if flag.type == "int" and not _is_whole_number(value, dialect.numbers_of(flag.name)):
        return f"takes {dialect.numbers_of(flag.name).written}, not `{shorten(value, 40)}`"
    if flag.type == "float" and NUMBER.fullmatch(value) is None:
        return f"takes a number, not `{shorten(value, 40)}`"
    return ""


def _is_json(flag: EngineFlag) -> bool:
    """Whether a flag reads nothing but JSON."""
    return flag.type == "json"


def _not_json(value: str) -> bool:
    """Whether a value is surely no JSON; what stands in braces is judged by its own message."""
    if value in ("", "None") or value[:1] in ("{", "[") or "$" in value or "`" in value:
        return False
    try:
        parse_json(value)
    except JsonError:
        return True
    return False


def _as_json(value: str) -> str:
    """How to write a list of `key=number` as JSON; empty for any other text."""
    data: dict[str, int] = {}
    for item in value.split(","):
        name, _, text = item.partition("=")
        number = whole(text)
        if not name or number is None:
            return ""
        data[name] = number
    return f"write `'{json.dumps(data)}'`"


def _is_whole_number(value: str, numbers: Numbers) -> bool:
    if value in _INT_WORDS:
        return True
    try:
        numbers.read(value)
    except ValueError:
        return False
    return True


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


def _model_flag(
    argv: Sequence[str], arguments: Arguments, family: Family, rendered: Rendered, build: Build
) -> Iterator[Problem]:
    """The problem of a flag for the model where the image's version takes the model only as a word, or once."""
    dialect = family.dialect
    flagged = given_model(arguments, family)
    if flagged is None or dialect.loose is None or not build.exact or not dialect.model_once:
        return
    if dialect.loose(argv, True) > 0:
        return
    model = listed(flagged.values[:1]) or "the model"
    if dialect.model_flag_since and is_older(build.version, dialect.model_flag_since):
        message = f"{_title(family, build)} takes the model as the first word, not by `{flagged.word}`: it ends at once"
        remedy = f"write it without `{flagged.word}`, right after the words that start the server"
        yield _problem(rendered, flagged.word, "model-twice", message, remedy, Severity.ERROR)
    elif arguments.loose:
        word = arguments.loose[0][:60]
        message = (
            f"the model is given twice, as `{word}` and by `{flagged.word}`: {_title(family, build)} takes {model}"
        )
        message += ", and refuses the other word"
        yield _problem(rendered, flagged.word, "model-twice", message, "name the model once", Severity.ERROR)


def _loose_words(
    argv: Sequence[str], arguments: Arguments, family: Family, rendered: Rendered, build: Build
) -> Iterator[Problem]:
    """A problem for each positional word beyond those that the engine takes, at most five."""
    count = family.dialect.loose
    if count is None:
        return
    model_by_flag = given_model(arguments, family) is not None
    allowed = count(argv, model_by_flag)
    # A blank comes from a broken line continuation, which has a finding of its own.
    words = [word for word in arguments.loose if word.strip()]
    if model_by_flag and family.dialect.model_once:
        # The first of them is the model, which has a finding of its own.
        allowed = max(allowed, 1)
    for word in words[allowed:][:5]:
        message = f"`{shorten(word, 60)}` stands where {_title(family, build)} expects a flag"
        yield _problem(rendered, word, "loose-word", message)


def _default_spot(recipe: Recipe, word: str) -> Spot | None:
    """The place of the default from which a flag of a built command comes; None for a flag of another origin."""
    family = family_of(recipe.runtime)
    if family is None:
        return None
    keys = [plain_spelling(word, family.dialect).lstrip("-").replace("-", "_")]
    row = family.flags.by_spelling.get(word)
    if row is not None:
        keys += [row.key, *row.aliases]
    flag = load_flags(family).by_spelling.get(word)
    if flag is not None:
        keys += [name.lstrip("-").replace("-", "_") for name in flag.spellings]
    for key in keys:
        spot = recipe.spots.get(f"defaults.{key}")
        if spot is not None:
            return spot
    return None


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
    if recipe.command is None:
        spot = _default_spot(recipe, word)
    elif not places:
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
