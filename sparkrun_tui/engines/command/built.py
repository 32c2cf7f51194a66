"""The serve command of a recipe that has none, built from its chain of values by its engine's table of flags."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import replace

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.engines.command.shell_edit import find_serve
from sparkrun_tui.engines.dumps import EngineFlag, EngineFlags, load_flags
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.flags import Flag
from sparkrun_tui.engines.image_version import version_in_tag
from sparkrun_tui.recipe.format.yamltree import MAX_TEXT, is_too_long
from sparkrun_tui.recipe.model import Problem, Severity, Value
from sparkrun_tui.recipe.names.local_model import is_path
from sparkrun_tui.recipe.values.launch_keys import root_of
from sparkrun_tui.recipe.values.masking import join_words
from sparkrun_tui.recipe.values.rendered import ChainValue, Origin, Rendered
from sparkrun_tui.recipe.values.shellwords import serve_argv
from sparkrun_tui.recipe.values.template import TemplateError, expand


@dataclass(frozen=True, slots=True)
class Built:
    """A command built from values, as text and as words, and the keys that the engine has no flag for."""

    command: str
    words: tuple[str, ...]
    left_out: tuple[str, ...]


_KEPT = 8
_built: OrderedDict[tuple[int, str], tuple[Rendered, Built]] = OrderedDict()
"""The last built commands: checking a recipe asks several times for the same one.

Each is kept with the `Rendered` that it was built from: while that exists, no other has its id.
"""


def command_of(rendered: Rendered, family: Family) -> str:
    """The command that will run: the recipe's own, else one built from the chain.

    Raises `LaunchError` for a value that the engine is known to refuse.
    """
    if rendered.command is not None:
        return rendered.command
    return build_command(rendered, family).command


def serve_words(rendered: Rendered, family: Family) -> tuple[str, ...]:
    """The words of the command that starts the server; empty where the script cannot be read as shell.

    In a script with several commands it is the one that starts this engine; in a script without such a command, the
    words found when the recipe was rendered. Raises `LaunchError` for a value that the engine is known to refuse.
    """
    if rendered.command is None:
        return build_command(rendered, family).words
    starts = family.dialect.starts
    if not rendered.argv or starts(rendered.argv):
        return rendered.argv
    try:
        found = find_serve(rendered.command, starts)
    except ValueError:
        return rendered.argv
    if not found:
        return rendered.argv
    return tuple(word.text for word in found)


def build_command(rendered: Rendered, family: Family) -> Built:
    """The command of the engine's start, the model, and a flag for each key of the chain that has one, one per line.

    Raises `LaunchError` for a value that the engine is known to refuse.
    """
    place = (id(rendered), family.name)
    kept = _built.get(place)
    if kept is not None and kept[0] is rendered:
        return kept[1]
    model = value_text("model", rendered, rendered.recipe.model)
    flags, left = _flags(family.prepared(rendered), family)
    start = family.start
    if family.start_with_path and is_path(model):
        start = family.start_with_path
    lines = [(*start, model), *flags]
    if rendered.extra:
        lines.append(rendered.extra)
    command = shell.script("{command}\n", command=shell.joined(map(join_words, lines), " \\\n    "))
    if is_too_long(command):
        raise LaunchError(f"the command that is built from the defaults is longer than {MAX_TEXT:,} bytes")
    built = Built(command, serve_argv(command), left)
    _built[place] = (rendered, built)
    while len(_built) > _KEPT:
        _built.popitem(last=False)
    return built


def left_out(rendered: Rendered, family: Family) -> tuple[Problem, ...]:
    """A warning for each default or override that a command built from the chain has no flag for."""
    if rendered.command is not None:
        return ()
    own = {*rendered.recipe.defaults, *map(root_of, rendered.overrides)}
    problems = []
    for key in build_command(rendered, family).left_out:
        if key not in own:
            continue
        message = f"`{key}` is not used: the command that is built from the defaults has no flag for it"
        spot = rendered.recipe.spots.get(f"defaults.{key}")
        remedy = "write a `command` that uses it"
        problems.append(Problem(Severity.WARNING, "unused-default", message, spot, remedy))
    return tuple(problems)


def words_for(rendered: Rendered, family: Family, key: str, value: Value) -> tuple[str, ...]:
    """The words that pass a value of a key to the engine in the image's version; empty where no words do.

    Raises `LaunchError` for a value that the engine is known to refuse.
    """
    flags = load_flags(family)
    version = version_in_tag(family, rendered.recipe.container)
    link = ChainValue(value, Origin.OVERRIDE)
    one = replace(rendered, chain={**rendered.chain, key: link})
    row = family.flags.by_key.get(key)
    if row is not None:
        words = tuple(_row_words(row, key, link, one))
        if not words and value.data is False and row.off:
            words = (row.off[0],)
        return _in_version(row, words, flags, version)
    spelling = f"--{key.replace('_', '-')}"
    flag = flags.by_spelling.get(spelling)
    if flag is None or flag.kind == "open":
        return ()
    words = tuple(_other_words(_oldest(spelling, flag, flags), flag, value.data, value_text(key, one)))
    return words if _has(flags, words, version) else ()


def _flags(rendered: Rendered, family: Family) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """The words of each flag, as the version in the image takes them, and the keys without one.

    Rows of the table come first, in its order; then keys that are spelt like another flag of the engine.
    """
    flags = load_flags(family)
    known = flags.by_spelling
    version = version_in_tag(family, rendered.recipe.container)
    chain = rendered.chain
    words: list[tuple[str, ...]] = []
    done = {"model"}
    if is_path(value_text("model", rendered, rendered.recipe.model)):
        # A folder of the hosts has one state.
        done.add("model_revision")
    used: set[EngineFlag] = set()
    for word in family.start:
        if word in known:
            used.add(known[word])
    for row in family.flags:
        key = _key_in_chain(row, chain)
        if not key or key in done:
            continue
        done.add(key)
        for word in row.spellings:
            if word in known:
                used.add(known[word])
        words.append(_in_version(row, tuple(_row_words(row, key, chain[key], rendered)), flags, version))
    missing: list[str] = []
    for key, link in chain.items():
        if key in done or link.value.data is None:
            continue
        spelling = f"--{key.replace('_', '-')}"
        opposite = _opposite(spelling, family, chain)
        if opposite is not None:
            words.append(_in_version(opposite, tuple(_opposite_words(opposite, key, link)), flags, version))
            continue
        flag = known.get(spelling)
        if flag is None or flag in used:
            missing.append(key)
            continue
        used.add(flag)
        spelling = _oldest(spelling, flag, flags)
        more = tuple(_other_words(spelling, flag, link.value.data, value_text(key, rendered)))
        if link.value.data is False and not _has(flags, more, version):
            # Without a word for it, a switch of an older version was off unless it was given.
            continue
        words.append(more)
    return [flag for flag in words if flag], tuple(missing)


def _opposite(spelling: str, family: Family, chain: Mapping[str, ChainValue]) -> Flag | None:
    """The row of the switch that is off where this flag is on: `no_mmap` for `--mmap`; None where its key is given."""
    row = family.flags.by_spelling.get(spelling)
    if row is None or not row.key or row.on_by_default or spelling not in row.off or row.key in chain:
        return None
    return row


def _opposite_words(row: Flag, key: str, found: ChainValue) -> Iterator[str]:
    """The words of a key that means the opposite of a row's: none where it is true, which the engine does by itself."""
    if not isinstance(found.value.data, bool):
        raise _not_a_switch(key, found, f"{key}: false", row.in_command)
    if not found.value.data:
        yield row.in_command


def _in_version(row: Flag, words: tuple[str, ...], flags: EngineFlags, version: str) -> tuple[str, ...]:
    """The words of a row for a version of the engine, which is taken as the newest where it is not known."""
    if not words or words[0] != row.in_command:
        return words
    gone = flags.history.gone(words[0])
    if row.later and gone is not None and not gone.not_yet(version):
        return row.later
    came = flags.history.came(words[0])
    if came is None or not came.not_yet(version):
        return words
    for other in row.spellings:
        earlier = flags.history.came(other)
        if earlier is None or not earlier.not_yet(version):
            return (other, *words[1:])
    return words


def _has(flags: EngineFlags, words: tuple[str, ...], version: str) -> bool:
    """Whether a version has the flag that some words begin with; taken as so where that is not known."""
    came = flags.history.came(words[0]) if words else None
    return came is None or not came.not_yet(version)


def _oldest(spelling: str, flag: EngineFlag, flags: EngineFlags) -> str:
    """The spelling of a flag with a value that most versions have; of other flags, a spelling may be the opposite."""
    if flag.kind != "value" or flags.history.came(spelling) is None:
        return spelling
    for other in flag.spellings:
        if other.startswith("--") and flags.history.came(other) is None:
            return other
    return spelling


def _key_in_chain(row: Flag, chain: Mapping[str, ChainValue]) -> str:
    """The key or alias of a row that has a value; empty where none has."""
    for key in (row.key, *row.aliases):
        if key in chain:
            return key
    return ""


def _row_words(row: Flag, key: str, found: ChainValue, rendered: Rendered) -> Iterator[str]:
    data = found.value.data
    if data is None:
        return
    if row.switch:
        yield from _switch_words(row, key, found)
        return
    if data is False and not row.words:
        return
    text = value_text(key, rendered)
    text = row.words.get(text.lower(), text)
    if row.only and text not in row.only:
        raise LaunchError(
            f"`{key}: {text}` is not a value of {row.in_command}",
            spot=found.value.spot,
            remedy=f"use one of {', '.join(row.only)}",
        )
    yield from (row.in_command, text)


def _switch_words(row: Flag, key: str, found: ChainValue) -> Iterator[str]:
    data = found.value.data
    if not isinstance(data, bool):
        raise _not_a_switch(key, found, f"{key}: true", row.in_command)
    if data:
        yield row.in_command
    elif row.on_by_default:
        yield row.off[0]


def _not_a_switch(key: str, found: ChainValue, line: str, flag: str) -> LaunchError:
    return LaunchError(
        f"`{key}` is a switch: true or false, not `{found.value.text}`",
        spot=found.value.spot,
        remedy=f"write `{line}` to pass {flag}",
    )


def _other_words(spelling: str, flag: EngineFlag, data: object, text: str) -> Iterator[str]:
    """The words of a flag that has no row in the table, by what the engine's own parser knows of it."""
    takes_value = flag.kind == "value"
    if data is True and not takes_value:
        yield spelling
    elif data is False and not takes_value:
        opposite = f"--no-{spelling[2:]}"
        if opposite in flag.spellings:
            yield opposite
    elif flag.many and isinstance(data, list):
        yield from (spelling, *map(str, data))
    else:
        yield from (spelling, text)


def value_text(key: str, rendered: Rendered, default: str = "") -> str:
    """The text of a chain value with the placeholders inside it filled; mappings and lists become JSON."""
    found = rendered.chain.get(key)
    if found is None or found.value.data is None:
        return default
    data = found.value.data
    if isinstance(data, (dict, list, tuple)):
        return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    if isinstance(data, bool):
        return str(data).lower()
    text = found.value.text
    is_json = text.lstrip().startswith("{") and not text.lstrip().startswith("{{")
    if "{" not in text or is_json:
        return text
    values = {name: link.value.text for name, link in rendered.chain.items()}
    try:
        return expand(text, values, doubled=False).text
    except TemplateError as error:
        raise LaunchError(str(error), spot=found.value.spot) from error
