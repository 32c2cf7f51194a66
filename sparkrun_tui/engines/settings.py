"""The engine's settings for the memory estimator, read from the command line that will run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sparkrun_tui.base.by_identity import ByIdentity
from sparkrun_tui.base.reading.numbers import whole_of
from sparkrun_tui.engines.command.arguments import Arguments, Given, read_arguments
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.flags import NOTHING
from sparkrun_tui.engines.image_version import version_in_tag
from sparkrun_tui.memory.settings import MAX_DEGREE, EngineSettings, Speculative

DEGREES = ("tensor_parallel", "pipeline_parallel", "data_parallel")
"""The fields of the settings that give a number of ranks along one axis."""
_MOST_DRAFTED = 10_000
"""Most tokens that are drafted per step; a larger figure is not counted."""
_SPECULATIVE = "spec"
"""The group of the parts of a speculative configuration."""
NOT_STARTED = "the command does not start {title} in a way that is known here: only the flags in it are counted"


def read_settings(
    family: Family, argv: Sequence[str], image: str = "", env: Mapping[str, str] | None = None
) -> EngineSettings:
    """The settings of a serve command for the estimator.

    `argv` is the command that will run, as words. A value that the engine would refuse becomes a note, and the field
    keeps the engine's default. The version comes from the tag of `image`, where it states one.
    """
    arguments = read_arguments(argv, family)
    found, unread = _fields(arguments)
    notes = list(unread)
    if argv and not family.dialect.starts(argv):
        notes.insert(0, NOT_STARTED.format(title=family.title))
    groups: dict[str, dict[str, object]] = defaultdict(dict)
    for name, value in found.items():
        group, _, leaf = name.rpartition(".")
        groups[group][leaf] = value
    fields = groups.pop("", {})
    speculative = groups.pop(_SPECULATIVE, {})
    for name in DEGREES:
        degree = fields.get(name)
        if isinstance(degree, int) and degree > MAX_DEGREE:
            notes.append(f"{name} {degree} is more than any cluster has: it is not counted")
            del fields[name]
    for variable in family.variables:
        text = (env or {}).get(variable.name)
        if text:
            fields[variable.sets] = variable.read(text)
    settings = EngineSettings(
        family.name,
        version=version_in_tag(family, image),
        notes=tuple(notes),
        speculative=_speculative(speculative),
    )
    # The remaining groups are the records of options that only one engine has, by the name of their field.
    for group, options in groups.items():
        fields[group] = replace(getattr(settings, group), **options)
    return replace(settings, **fields)  # type: ignore[arg-type]


def degrees(arguments: Arguments, family: Family) -> dict[str, int]:
    """The parallel sizes that a command line gives, by the name of the setting; others are left out.

    Data parallelism that divides the tensor-parallel ranks needs no ranks of its own and counts as 1.
    """
    found, _ = _fields(arguments)
    given: dict[str, int] = {}
    for name in DEGREES:
        degree = found.get(name)
        if isinstance(degree, int) and degree <= MAX_DEGREE:
            given[name] = degree
    if any(found.get(name, 1) != 1 or found.get(name) is True for name in family.divides_ranks):
        given["data_parallel"] = 1
    return given


def attention_replicas(arguments: Arguments, family: Family) -> int:
    """Into how many replicas attention is divided among the tensor-parallel ranks; 1 where it is not."""
    found, _ = _fields(arguments)
    for name in family.divides_ranks:
        value = found.get(name)
        if value is True:
            value = found.get("data_parallel")
        if isinstance(value, int) and 1 < value <= MAX_DEGREE:
            return value
    return 1


_READ: ByIdentity[tuple[Mapping[str, object], Sequence[str]]] = ByIdentity(64)


def _fields(arguments: Arguments) -> tuple[Mapping[str, object], Sequence[str]]:
    """The values of the settings that a command line gives, and notes; read once, asked for several times."""
    return _READ.get((arguments,), (), lambda: _read_fields(arguments))


def _read_fields(arguments: Arguments) -> tuple[Mapping[str, object], Sequence[str]]:
    found: dict[str, object] = {}
    notes: list[str] = []
    for entry in arguments.given:
        row = entry.row
        if row is None or row.sets in ("", NOTHING):
            continue
        try:
            found[row.sets] = _value(entry)
        except ValueError:
            given = " ".join(entry.values)[:60]
            notes.append(f"{entry.word} {given} cannot be read; the engine's default is assumed")
    return found, notes


def _value(entry: Given) -> object:
    row = entry.row
    assert row is not None
    if row.read is None:
        return row.value is not entry.negative
    if not entry.values:
        return row.read("")
    return row.read(entry.values[0])


def _speculative(found: Mapping[str, object]) -> Speculative | None:
    """The parts of a speculative configuration as one record; single flags win over the JSON."""
    merged = dict(found)
    whole = merged.pop("json", None)
    if isinstance(whole, Mapping):
        merged.setdefault("method", whole.get("method"))
        merged.setdefault("model", whole.get("model"))
        merged.setdefault("revision", whole.get("revision"))
        merged.setdefault("tokens", whole.get("num_speculative_tokens"))
        merged.setdefault("cache_dtype", whole.get("kv_cache_dtype"))
        merged.setdefault("backend", whole.get("attention_backend"))
    method = str(merged.get("method") or "").lower()
    model = str(merged.get("model") or "")
    tokens = whole_of(merged.get("tokens"), most=_MOST_DRAFTED) or 0
    if method in ("none", "(none given)"):
        return None
    if not method and not model:
        return None
    return Speculative(
        method=method,
        tokens=tokens,
        model=model,
        revision=str(merged.get("revision") or ""),
        cache_dtype=str(merged.get("cache_dtype") or "").lower(),
        backend=str(merged.get("backend") or "").lower(),
    )
