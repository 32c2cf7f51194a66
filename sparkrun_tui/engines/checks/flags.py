"""The rendered command read as its engine would read it: unknown flags, missing values, wrong types, repetitions.

Everything here is a warning, since the image may hold another version than the one whose flags are known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from sparkrun_tui.base.json_text import JsonError, parse_json
from sparkrun_tui.engines.fields.declared import FIELDS, engine_of
from sparkrun_tui.engines.flag_dumps.dumps import EngineFlag, EngineFlags, load_flags
from sparkrun_tui.recipe.format.spots import command_spot
from sparkrun_tui.recipe.model import Problem, Severity
from sparkrun_tui.recipe.suggestions import did_you_mean, listed
from sparkrun_tui.recipe.values.overrides import value_text
from sparkrun_tui.recipe.values.rendered import Rendered
from sparkrun_tui.recipe.values.template import scan

_STARTS = ("serve", "sglang.launch_server", "vllm.entrypoints.openai.api_server", "launch_server")
_NUMBER = re.compile(r"[+-]?(\d[\d_]*)(\.\d*)?([eE][+-]?\d+)?|[+-]?\.\d+")
_HUMAN = re.compile(r"\d+(\.\d+)?[kKmMgGtT]i?")
_INT_WORDS = frozenset({"auto", "none", "None"})
_UNREAD = re.compile(r"[$`{]|^@")
_JSON_KEYS = re.compile(r"^(--?[A-Za-z][\w-]*)\.[\w.+-]+$")
_OPTIMISATION = re.compile(r"^-O(=?\d|\.|$)")
_MAX_TOLD = 30
_GONE = {
    ("llama-cpp", "--no-mmap"): "write `-lm none`",
    ("llama-cpp", "--mlock"): "write `-lm mlock`",
    ("llama-cpp", "--draft-max"): "write `--spec-draft-n-max`",
    ("llama-cpp", "--draft"): "write `--spec-draft-n-max`",
    ("vllm", "--disable-log-requests"): "leave it out: requests are logged only with `--enable-log-requests`",
    ("vllm", "--gpu-memory-utilization-gb"): "only an image with a patch for it does; else give "
    "`--gpu-memory-utilization` a share of the memory",
}
_LLAMA_SWITCH = frozenset({"on", "enabled", "true", "1", "off", "disabled", "false", "0", "auto", "-1"})
"""What llama.cpp's common/arg.cpp takes for a value that its help writes as `on|off|auto`."""


@dataclass(frozen=True, slots=True)
class Given:
    """A flag as a command gives it: the word as written, the flag it means (None when unknown), and its values."""

    word: str
    flag: EngineFlag | None
    values: tuple[str, ...]
    attached: bool = False
    """Whether the value stands behind an equals sign."""
    nested: bool = False
    """Whether it sets one key of a JSON flag (`--flag.key value`)."""
    candidates: tuple[EngineFlag, ...] = ()
    """More than one when an abbreviation is ambiguous."""


def read_flags(argv: Sequence[str], flags: EngineFlags) -> tuple[list[Given], list[str]]:
    """The flags of an engine's argument list in order, and the words that belong to none of them."""
    given: list[Given] = []
    loose: list[str] = []
    at = _first_argument(argv, flags.engine)
    while at < len(argv):
        word = argv[at]
        at += 1
        if not _is_flag(word):
            loose.append(word)
            continue
        entry = _lookup(word, flags)
        if entry.attached:
            given.append(entry)
            continue
        count = _value_count(entry, argv, at)
        given.append(Given(entry.word, entry.flag, tuple(argv[at : at + count]), False, entry.nested, entry.candidates))
        at += count
    return given, loose


def check_flags(rendered: Rendered) -> tuple[Problem, ...]:
    """What the engine would refuse or misread in the rendered command; empty without a command of a known engine."""
    flags = load_flags(engine_of(rendered.recipe.runtime))
    if flags is None or not rendered.argv or not _is_engine(rendered.argv, flags.engine):
        return ()
    given, loose = read_flags(rendered.argv, flags)
    # One by one: a command of tens of thousands of wrong flags is looked through only for those that are told.
    return tuple(islice(_findings(given, loose, flags, rendered), _MAX_TOLD))


def _findings(
    given: Sequence[Given], loose: Sequence[str], flags: EngineFlags, rendered: Rendered
) -> Iterator[Problem]:
    for entry in given:
        yield from _check(entry, flags, rendered)
    yield from _repeated(given, rendered)
    if flags.engine != "llama-cpp":
        yield from _loose_words(loose, _loose_allowed(rendered.argv, given, flags.engine), flags, rendered)


def _is_engine(argv: Sequence[str], engine: str) -> bool:
    words = argv[:8]
    if engine == "llama-cpp":
        return any(word.rpartition("/")[2] in ("llama-server", "server") for word in words)
    return any(word in _STARTS for word in words) and any(engine in word for word in words)


def _first_argument(argv: Sequence[str], engine: str) -> int:
    for index, word in enumerate(argv[:8]):
        if word in _STARTS or (engine == "llama-cpp" and word.rpartition("/")[2] in ("llama-server", "server")):
            return index + 1
    return 1


def _is_flag(word: str) -> bool:
    return (
        len(word) > 1
        and word[0] == "-"
        and _NUMBER.fullmatch(word) is None
        and not any(c.isspace() for c in word.partition("=")[0])
    )


def _normal(word: str, engine: str) -> str:
    return "--" + word[2:].replace("_", "-") if word.startswith("--") and engine != "sglang" else word


def _lookup(word: str, flags: EngineFlags) -> Given:
    name, equals, value = word.partition("=")
    if flags.engine == "llama-cpp":
        name, equals, value = word, "", ""
    values = (value,) if equals else ()
    attached = bool(equals)
    if flags.engine == "vllm" and word == "-O":
        return Given(word, flags.by_spelling.get("--optimization-level"), ())
    if flags.engine == "vllm" and _OPTIMISATION.match(word):
        attached = "=" in word or not word.startswith("-O.")
        return Given(word, flags.by_spelling.get("--optimization-level"), (), attached, True)
    dotted = _JSON_KEYS.match(name) if flags.engine == "vllm" else None
    plain_name = _normal(dotted[1] if dotted else name, flags.engine)
    known = flags.by_spelling.get(plain_name)
    if known is not None:
        return Given(name, known, values, attached, dotted is not None)
    near = flags.starting_with(plain_name) if flags.engine != "llama-cpp" else ()
    flag = near[0] if len(near) == 1 else None
    return Given(name, flag, values, attached, dotted is not None, near)


def _value_count(entry: Given, argv: Sequence[str], at: int) -> int:
    """How many of the words from `at` on are values of the flag."""
    flag = entry.flag
    free = 0
    while at + free < len(argv) and not _is_flag(argv[at + free]):
        free += 1
    if entry.nested:
        return min(free, 1)
    if flag is None:
        # Nobody knows what it takes: all that follows and is no flag.
        return free
    if flag.kind == "open":
        return min(free, 1)
    if flag.kind != "value":
        return 0
    return free if flag.many else min(free, 1)


def _check(entry: Given, flags: EngineFlags, rendered: Rendered) -> Iterator[Problem]:
    flag = entry.flag
    if flag is None:
        yield _unknown(entry, flags, rendered)
        return
    if entry.candidates:
        message = f"`{entry.word}` is short for `{flag.name}`; short forms break when a longer flag appears"
        yield _problem(rendered, entry.word, "flag-abbreviation", message, f"write `{flag.name}`", Severity.NOTE)
    if entry.nested:
        return
    if flag.kind in ("flag", "bool"):
        if entry.attached:
            yield _problem(rendered, entry.word, "flag-value", f"`{entry.word}` takes no value in {flags.title}")
        return
    if not entry.values and flag.kind == "value":
        message = f"`{entry.word}` has no value"
        if flags.engine == "llama-cpp":
            message += f": {flags.title} takes the next word for it"
        remedy = f"write `{entry.word} {flag.choices[0]}`" if flag.choices else ""
        yield _problem(rendered, entry.word, "flag-value", message, remedy)
    for value in entry.values:
        switch = flags.engine == "llama-cpp" and "on" in flag.choices and value in _LLAMA_SWITCH
        wrong = "" if switch else _wrong_value(flag, value)
        if wrong:
            message = f"`{entry.word}` of {flags.title} {wrong}"
            yield _problem(rendered, entry.word, "flag-type", message)


def _unknown(entry: Given, flags: EngineFlags, rendered: Rendered) -> Problem:
    if len(entry.candidates) > 1:
        names = listed(flag.name for flag in entry.candidates[:4])
        message = f"`{entry.word}` may mean {names} in {flags.title}: it is refused as ambiguous"
        return _problem(rendered, entry.word, "flag-ambiguous", message, "write the flag in full")
    remedy = _GONE.get((flags.engine, entry.word)) or _nearest_flag(flags.engine, entry.word)
    return _problem(rendered, entry.word, "unknown-flag", f"{flags.title} does not know `{entry.word}`", remedy)


@lru_cache(maxsize=1024)
def _nearest_flag(engine: str, word: str) -> str:
    """Comparing with hundreds of names takes milliseconds, and a form asks again with each keystroke."""
    flags = load_flags(engine)
    if flags is None:
        return ""
    same = next((field for field in FIELDS.values() if word in field.flags.values() and engine in field.flags), None)
    if same is not None:
        return f"another engine's flag: write `{same.flags[engine]}`"
    # `--enable-x` is never meant by `--disable-x`, nor the other way round.
    pair = ("--disable-", "--enable-") if word.startswith("--disable-") else ("--enable-", "--disable-")
    opposite = pair[1] + word.removeprefix(pair[0])
    return did_you_mean(word, [known for known in flags.by_spelling if known != opposite])


def _wrong_value(flag: EngineFlag, value: str) -> str:
    """Why a value does not fit, in words; empty when it does or cannot be judged."""
    if _UNREAD.search(value) and flag.type != "json":
        return ""
    if flag.choices and value not in flag.choices:
        shown = listed(flag.choices[:8]) + (" ..." if len(flag.choices) > 8 else "")
        return f"does not take `{value[:40]}`: {shown}"
    if flag.type == "int" and not (value in _INT_WORDS or _HUMAN.fullmatch(value)):
        return "" if re.fullmatch(r"[+-]?\d[\d_]*", value) else f"wants a whole number, not `{value[:40]}`"
    if flag.type == "float" and _NUMBER.fullmatch(value) is None:
        return f"wants a number, not `{value[:40]}`"
    if flag.type == "json" and value[:1] in ("{", "["):
        try:
            parse_json(value)
        except JsonError as error:
            return f"has a value that is no valid JSON: {error}"
    return ""


def _repeated(given: Sequence[Given], rendered: Rendered) -> Iterator[Problem]:
    seen: dict[EngineFlag, Given] = {}
    for entry in given:
        if entry.flag is None or entry.nested:
            continue
        before = seen.get(entry.flag)
        if before is not None:
            told = "again" if before.values == entry.values else "again, with another value: the last one counts"
            message = f"`{entry.word}` is given {told}"
            yield _problem(rendered, entry.word, "flag-twice", message, last=True)
        seen[entry.flag] = entry


def _loose_allowed(argv: Sequence[str], given: Sequence[Given], engine: str) -> int:
    """How many words may stand without a flag: the model of `vllm serve MODEL` and of `sglang serve MODEL`."""
    if engine == "vllm":
        return 1
    short = any(
        word.rpartition("/")[2] == "sglang" and argv[at + 1 : at + 2] == ("serve",) for at, word in enumerate(argv)
    )
    named = any(entry.flag is not None and entry.flag.name == "--model-path" for entry in given)
    return 1 if short and not named else 0


def _loose_words(loose: Sequence[str], allowed: int, flags: EngineFlags, rendered: Rendered) -> Iterator[Problem]:
    # A blank comes from a broken line continuation, which has a finding of its own.
    for word in [word for word in loose if word.strip()][allowed:][:5]:
        message = f"`{word[:60]}` stands where {flags.title} expects a flag"
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
    places = _slots_with(rendered, word) if match is None else [match.start()]
    spot = command_spot(recipe, places[-1 if last else 0]) if places else recipe.command_spot
    return Problem(severity, code, message, spot, remedy)


def _slots_with(rendered: Rendered, word: str) -> list[int]:
    """Where the command has the placeholders whose values bring `word` into it, those of several words first."""
    recipe = rendered.recipe
    slots = scan(recipe.command or "", recipe.version == "1").slots
    counts = {key: _count_with(word, rendered, key) for key in {slot.key for slot in slots}}
    found = [(counts[slot.key] == 1, slot.offset) for slot in slots if counts[slot.key]]
    return [offset for _, offset in sorted(found)]


def _count_with(word: str, rendered: Rendered, key: str) -> int:
    """How many words the value of a key has if `word` is one of them, else 0."""
    text = value_text(rendered.chain[key].value) if key in rendered.chain else ""
    words = text.split() if word in text else []
    return len(words) if word in words else 0
