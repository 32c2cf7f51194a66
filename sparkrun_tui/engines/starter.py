"""The text of a new recipe for a model, from what is known of it, ready for editing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sparkrun_tui.base.errors import UsageError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.text import shorten
from sparkrun_tui.engines.checks.fields import valid_model
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.registry import FAMILIES
from sparkrun_tui.recipe.format.export import yaml_scalar
from sparkrun_tui.recipe.model import Value
from sparkrun_tui.recipe.names.detect import split_gguf
from sparkrun_tui.recipe.names.local_model import is_path
from sparkrun_tui.recipe.names.params import format_params
from sparkrun_tui.recipe.suggestions import listed


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a model; None or empty where it is not known. Parameters in units, context in tokens."""

    params: int | None = None
    active: int | None = None
    dtype: str = ""
    num_layers: int | None = None
    num_kv_heads: int | None = None
    head_dim: int | None = None
    max_context: int | None = None


_START_CONTEXT = 32_768
CAREFUL = "0.5"
"""The share of a host's memory in a new recipe where no estimate is known."""
_WHY_ESTIMATED = "as much as its weights and this context need, by the estimate"
_WHY_CAREFUL = "raise it once the model loads"


def starter(
    model: str, runtime: str, container: str, known: Known | None = None, nodes: int = 1, utilisation: str = CAREFUL
) -> str:
    """The text of a recipe for `model` on `nodes` hosts, careful with memory, with a comment where a fact is missing.

    `runtime` is the name of a family, `utilisation` the share of a host's memory that the engine may take. Raises
    `UsageError` for another engine, for a text that is not a model, and for several hosts with an engine that serves
    from one.
    """
    family = FAMILIES.get(runtime)
    if family is None:
        raise UsageError(f"no recipe can be written for `{runtime}`", remedy=f"choose {listed(FAMILIES, 'or')}")
    if not valid_model(model):
        raise UsageError(
            f"`{shorten(model, 80)}` is not a model", remedy="write it as OWNER/NAME, for GGUF OWNER/NAME:QUANT"
        )
    if family.starter.one_host and nodes > 1:
        others = listed((name for name, other in FAMILIES.items() if not other.starter.one_host), "or")
        raise UsageError(f"{family.title} serves from one host", remedy=f"leave out --nodes, or choose {others}")
    facts = known or Known()
    command = " \\\n      ".join(_command(family, is_path(model)))
    defaults = _defaults(family, model, facts, nodes, utilisation)
    parts = [
        f"# {model} with {runtime}. Check it: sparkrun-tui recipe validate FILE; try it: run FILE --dry-run.",
        f"model: {_plain(model)}",
        f"runtime: {runtime}",
        f"container: {_plain(container)}",
        *_nodes(family, nodes),
        "",
        *_metadata(model, facts, nodes),
        "",
        "defaults:",
        *(f"  {line}" for line in defaults),
        "",
        "command: |",
        f"  {command}",
    ]
    return "\n".join(parts) + "\n"


def usual_family(model: str) -> str:
    """The engine of a new recipe where none is named: the one for GGUF files where the model is one, else the first."""
    gguf = bool(split_gguf(model)[1]) or model.lower().endswith("gguf")
    return next(name for name, family in FAMILIES.items() if family.gguf == gguf)


def _command(family: Family, local: bool) -> Iterator[str]:
    """The lines of the command of a new recipe, with a placeholder for each key."""
    starter = family.starter
    yield starter.begin
    for keys in starter.lines:
        line = " ".join(f"{_spelling(family, key)} {{{key}}}" for key in keys)
        if local and starter.local[0]:
            line = line.replace(*starter.local)
        yield line
    yield from starter.more


def _spelling(family: Family, key: str) -> str:
    if key == "model":
        return family.start[-1]
    return family.flags.spelling_for(key)


def _plain(text: str) -> str:
    return yaml_scalar(Value(text, text))


def _nodes(family: Family, nodes: int) -> list[str]:
    if family.starter.one_host:
        return ["max_nodes: 1"]
    return [f"min_nodes: {nodes}"]


def _short(model: str) -> str:
    return split_gguf(model)[0].rpartition("/")[2].lower()


def _metadata(model: str, known: Known, nodes: int) -> Sequence[str]:
    where = f"{nodes} Sparks"
    if nodes == 1:
        where = "one Spark"
    lines = ["metadata:", f"  description: {_plain(f'{_short(model)} on {where}')}"]
    size = ""
    if known.params:
        size = format_params(known.params)
    if size and known.active:
        size += f"-A{format_params(known.active)}"
    if size:
        lines.append(f"  model_params: {size}")
    else:
        lines.append("  # model_params: 30B  # not known: fill it in")
    dtype = known.dtype or split_gguf(model)[1].lower()
    if dtype:
        lines.append(f"  model_dtype: {_plain(dtype)}")
    else:
        lines.append("  # model_dtype: fp8  # not known: fill it in")
    for key in ("num_layers", "num_kv_heads", "head_dim"):
        value = getattr(known, key)
        if value:
            lines.append(f"  {key}: {value}")
    return lines


def _defaults(family: Family, model: str, known: Known, nodes: int, utilisation: str) -> Sequence[str]:
    why = _WHY_ESTIMATED
    if utilisation == CAREFUL:
        why = _WHY_CAREFUL
    values = {
        "nodes": str(nodes),
        "utilisation": f"{utilisation}  # {why}",
        "context": str(min(known.max_context or _START_CONTEXT, _START_CONTEXT)),
    }
    common = ["port: 8000", "host: 0.0.0.0"]
    if family.flags.by_key.get("served_model_name") is not None:
        common.append(f"served_model_name: {_plain(_short(model))}")
    return [*common, *(line.format(**values) for line in family.starter.defaults)]
