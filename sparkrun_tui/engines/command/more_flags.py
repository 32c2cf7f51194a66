"""Values of a recipe without a command that name a flag of its engine, beyond those that every engine shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from sparkrun_tui.engines.fields.declared import engine_of
from sparkrun_tui.engines.flag_dumps.dumps import EngineFlag, load_flags
from sparkrun_tui.recipe.values.rendered import Rendered


@dataclass(frozen=True, slots=True)
class MoreFlags:
    """The words of each such flag, and the keys for which the engine has no flag, or whose flag is taken."""

    words: tuple[tuple[str, ...], ...]
    left_out: tuple[str, ...]


def more_flags(rendered: Rendered, keys: Iterable[str], taken: Iterable[str], text: Callable[[str], str]) -> MoreFlags:
    """Flags for the values of the chain whose key, with hyphens, is a flag that the engine is known to have.

    `keys` are seen to already, `taken` are the flags in use, and `text` gives the text of a key's value.
    """
    known = load_flags(engine_of(rendered.recipe.runtime))
    by_spelling = known.by_spelling if known is not None else {}
    used = {by_spelling[word] for word in taken if word in by_spelling}
    done = {"model", *keys}
    words: list[tuple[str, ...]] = []
    left_out: list[str] = []
    for key, link in rendered.chain.items():
        if key in done or link.value.data is None:
            continue
        spelling = f"--{key.replace('_', '-')}"
        flag = by_spelling.get(spelling)
        if flag is None or flag in used:
            left_out.append(key)
            continue
        used.add(flag)
        found = tuple(_words(spelling, flag, link.value.data, text(key)))
        words += [found] if found else []
    return MoreFlags(tuple(words), tuple(left_out))


def _words(spelling: str, flag: EngineFlag, data: object, text: str) -> Iterator[str]:
    if data is True and flag.kind != "value":
        yield spelling
    elif data is False and flag.kind != "value":
        yield from [word for word in flag.spellings if word == f"--no-{spelling[2:]}"]
    elif flag.many and isinstance(data, list):
        yield from (spelling, *map(str, data))
    else:
        yield from (spelling, text)
