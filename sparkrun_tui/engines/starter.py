"""The text of a new recipe for a model, from what is known of it, ready to be edited."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sparkrun_tui.base.errors import UsageError
from sparkrun_tui.engines.checks.fields import is_local, valid_model
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.registry import FAMILIES
from sparkrun_tui.recipe.format.detect import split_gguf
from sparkrun_tui.recipe.format.export import yaml_scalar
from sparkrun_tui.recipe.format.params import format_params
from sparkrun_tui.recipe.model import Value
from sparkrun_tui.recipe.suggestions import listed


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a model; None or empty where it is not. Parameters in units, context in tokens."""

    params: int | None = None
    active: int | None = None
    dtype: str = ""
    num_layers: int | None = None
    num_kv_heads: int | None = None
    head_dim: int | None = None
    max_context: int | None = None


_START_CONTEXT = 32_768
CAREFUL = "0.5"
"""The share of a host's memory that a new recipe begins with."""
_WHY = ("as much as its weights and this context need, by the estimate", "raise it once the model loads")


def starter(
    model: str, runtime: str, container: str, known: Known | None = None, nodes: int = 1, utilisation: str = CAREFUL
) -> str:
    """A recipe for `model` on `nodes` hosts, careful with memory, with a comment where a fact is missing.

    `runtime` is the name of a family, `utilisation` the share of a host's memory that the engine may take. Raises
    `UsageError` for another engine, for a text that is no model, and for several hosts with one that serves from one.
    """
    family = FAMILIES.get(runtime)
    if family is None:
        raise UsageError(f"no recipe can be started for `{runtime}`", remedy=f"choose {listed(FAMILIES, 'or')}")
    if not valid_model(model):
        raise UsageError(f"`{model[:80]}` is not a model", remedy="write it as OWNER/NAME, for GGUF OWNER/NAME:QUANT")
    if family.starter.one_host and nodes > 1:
        others = listed((name for name, other in FAMILIES.items() if not other.starter.one_host), "or")
        raise UsageError(f"{family.title} serves from one host", remedy=f"leave out --nodes, or choose {others}")
    facts = known or Known()
    command = " \\\n      ".join(_command(family, is_local(model)))
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
        *(f"  {line}" for line in _defaults(family, model, facts, nodes, utilisation)),
        "",
        "command: |",
        f"  {command}",
    ]
    return "\n".join(parts) + "\n"


def usual_family(model: str) -> str:
    """The engine of a new recipe where none is named: by the model, one for GGUF files or the first there is."""
    gguf = bool(split_gguf(model)[1]) or model.lower().endswith("gguf")
    return next(name for name, family in FAMILIES.items() if family.gguf == gguf)


def _command(family: Family, local: bool) -> Iterator[str]:
    """The lines of the command of a new recipe, a placeholder for each key."""
    starter = family.starter
    yield starter.begin
    for keys in starter.lines:
        line = " ".join(f"{_spelling(family, key)} {{{key}}}" for key in keys)
        yield line.replace(*starter.local) if local and starter.local[0] else line
    yield from starter.more


def _spelling(family: Family, key: str) -> str:
    return family.start[-1] if key == "model" else family.flags.spelling_for(key)


def _plain(text: str) -> str:
    return yaml_scalar(Value(text, text))


def _nodes(family: Family, nodes: int) -> list[str]:
    if family.starter.one_host:
        return ["max_nodes: 1"]
    return [f"min_nodes: {nodes}"]


def _short(model: str) -> str:
    return split_gguf(model)[0].rpartition("/")[2].lower()


def _metadata(model: str, known: Known, nodes: int) -> Sequence[str]:
    where = "one Spark" if nodes == 1 else f"{nodes} Sparks"
    lines = ["metadata:", f"  description: {_plain(f'{_short(model)} on {where}')}"]
    size = format_params(known.params) if known.params else ""
    if size and known.active:
        size += f"-A{format_params(known.active)}"
    dtype = known.dtype or split_gguf(model)[1].lower()
    lines.append(f"  model_params: {size}" if size else "  # model_params: 30B  # not known: fill it in")
    lines.append(f"  model_dtype: {_plain(dtype)}" if dtype else "  # model_dtype: fp8  # not known: fill it in")
    for key in ("num_layers", "num_kv_heads", "head_dim"):
        value = getattr(known, key)
        if value:
            lines.append(f"  {key}: {value}")
    return lines


def _defaults(family: Family, model: str, known: Known, nodes: int, utilisation: str) -> Sequence[str]:
    values = {
        "nodes": str(nodes),
        "utilisation": f"{utilisation}  # {_WHY[utilisation == CAREFUL]}",
        "context": str(min(known.max_context or _START_CONTEXT, _START_CONTEXT)),
    }
    common = ["port: 8000", "host: 0.0.0.0"]
    if family.flags.by_key.get("served_model_name") is not None:
        common.append(f"served_model_name: {_plain(_short(model))}")
    return [*common, *(line.format(**values) for line in family.starter.defaults)]
