"""Reads the memory-moving flags of a serve command, or of the chain when there is no command, as the engine would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sparkrun_tui.memory.flagtables import Flag

_SEPARATORS = frozenset({"&&", "||", ";", "|", "&"})
_DASHES = str.maketrans("_", "-")


@dataclass(frozen=True, slots=True)
class Found:
    """Fields that flags or chain values set, the pieces of a speculative configuration, and what was refused."""

    fields: Mapping[str, object]
    speculative: Mapping[str, object]
    notes: tuple[str, ...]


def serve_arguments(engine: str, argv: Sequence[str]) -> tuple[str, ...] | None:
    """Return what follows the engine's own program in a command, up to the next shell command; None if absent."""
    start = _start(engine, argv)
    if start is None:
        return None
    arguments: list[str] = []
    for token in argv[start:]:
        if token in _SEPARATORS:
            break
        arguments.append(token.removesuffix(";"))
        if token.endswith(";"):
            break
    return tuple(arguments)


def _start(engine: str, argv: Sequence[str]) -> int | None:
    """Return the index behind the last word of the program that starts ``engine``."""
    for i, token in enumerate(argv):
        name = token.rsplit("/", 1)[-1]
        following = argv[i + 1] if i + 1 < len(argv) else ""
        if engine == "llama-cpp":
            if name in ("llama-server", "llama-cli"):
                return i + 1
        elif engine == "sglang":
            if name == "sglang" and following == "serve":
                return i + 2
            if token in ("sglang.launch_server", "sglang.launch_server_deterministic"):
                return i + 1
        elif name == "vllm" and following == "serve":
            return i + 2
        elif token == "vllm.entrypoints.openai.api_server":
            return i + 1
    return None


def read_flags(engine: str, table: Sequence[Flag], values: Mapping[str, object], argv: Sequence[str]) -> Found:
    """Read ``values`` (unless the command is the engine's own) and then the flags of ``argv``, which win."""
    found: dict[str, object] = {}
    notes: list[str] = []
    arguments = serve_arguments(engine, argv)
    if arguments is None:
        for flag, raw in _chain_values(table, values):
            _store(found, notes, flag, raw)
        arguments = tuple(argv)
    for flag, text in _command_flags(table, arguments, underscores=engine == "vllm"):
        _store(found, notes, flag, text)
    spec = {name.removeprefix("spec."): value for name, value in found.items() if name.startswith("spec.")}
    fields = {name: value for name, value in found.items() if not name.startswith("spec.")}
    return Found(fields, _expand(spec), tuple(notes))


def _store(found: dict[str, object], notes: list[str], flag: Flag, raw: object) -> None:
    """Convert one value into its field; what cannot be read becomes a note."""
    try:
        found[flag.field] = flag.read(raw)
    except (TypeError, ValueError):
        notes.append(f"{flag.name} {raw!s:.60} cannot be read; the engine's default is assumed")


def _chain_values(table: Sequence[Flag], values: Mapping[str, object]) -> Iterator[tuple[Flag, object]]:
    """Yield the flags that the chain's keys stand for, in the order of the table; the table's order wins."""
    keys = {str(key).translate(str.maketrans("-", "_")): value for key, value in values.items()}
    for flag in table:
        for key in flag.chain_keys:
            if keys.get(key) is not None:
                yield flag, keys[key]
                break


def _command_flags(table: Sequence[Flag], arguments: Sequence[str], underscores: bool) -> Iterator[tuple[Flag, object]]:
    """Yield the known flags of a command with their values, in order, so that the last one wins."""
    on = {spelling: flag for flag in table for spelling in flag.on}
    off = {spelling: flag for flag in table for spelling in flag.off}
    tokens = iter(arguments)
    for token in tokens:
        if not token.startswith("-"):
            continue
        name, equals, inline = token.partition("=")
        if underscores and name.startswith("--"):
            head, dot, tail = name.partition(".")
            name = head.translate(_DASHES) + dot + tail
        if name in off:
            yield off[name], False
        elif name in on:
            flag = on[name]
            if flag.convert is None:
                yield flag, True
            else:
                yield flag, inline if equals else next(tokens, "")


def _expand(spec: Mapping[str, object]) -> Mapping[str, object]:
    """Unfold a speculative configuration given as one mapping; single flags win over it."""
    whole = spec.get("json")
    merged: dict[str, object] = {}
    if isinstance(whole, Mapping):
        merged = {
            "method": whole.get("method"),
            "model": whole.get("model"),
            "tokens": whole.get("num_speculative_tokens"),
        }
    merged.update({name: value for name, value in spec.items() if name != "json"})
    return merged
