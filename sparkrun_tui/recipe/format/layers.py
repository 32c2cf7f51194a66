"""The list `overrides` of a recipe: values that hold only under conditions, read and checked entry by entry."""

from __future__ import annotations

from sparkrun_tui.base.text import shorten
from sparkrun_tui.recipe.format.keys import below
from sparkrun_tui.recipe.format.reader import Reader, is_accidental_mapping
from sparkrun_tui.recipe.format.yamltree import Node, key_text
from sparkrun_tui.recipe.model import Layer, Severity, Value

MAX_LAYERS = 200
"""The most entries of `overrides`."""
FIXED = frozenset(
    ["port", "served_model_name", "tensor_parallel", "pipeline_parallel", "data_parallel", "expert_parallel",
     "context_parallel", "model", "model_revision"]
)  # fmt: skip
"""Keys that no condition may set: they identify the workload, or conditions read them."""
ENTRY_KEYS = below("overrides[]")
_LATER = frozenset({"mods", "builder_config", "executor_config", "command"})
_CODE = "overrides"


def read_layers(top: Reader) -> tuple[Layer, ...]:
    """The entries of `overrides` in their order; one with an error is reported and left out."""
    node = top.nodes.get("overrides")
    if node is None or node.is_null:
        return ()
    if node.kind != "list":
        top.report(_CODE, "`overrides` must be a list of entries with `when`", node, remedy="begin each with `- when:`")
        return ()
    found = []
    for number, item in enumerate(node.items, 1):
        if number > MAX_LAYERS:
            top.report(_CODE, f"`overrides` may have at most {MAX_LAYERS} entries", item)
            break
        layer = _read(top, number, item)
        if layer is not None:
            found.append(layer)
    return tuple(found)


def _read(top: Reader, number: int, item: Node) -> Layer | None:
    name = f"overrides[{number}]"
    top.spots[name] = top.spot(item)
    if item.kind != "map":
        top.report(_CODE, f"entry {number} of `overrides` must be a mapping with `when`", item)
        return None
    before = len(top.problems)
    entry = Reader(top.path, item, top.problems, top.spots, f"{name}.")
    when = _when(entry, name, item)
    _check_keys(entry, name)
    defaults = _values(entry, "defaults")
    for key in defaults:
        if key in FIXED:
            message = f"`{name}` may not set `{key}`: it identifies the workload, or conditions depend on it"
            entry.report(_CODE, message, entry.nodes["defaults"])
    env = _texts(_values(entry, "env"))
    container = entry.text("container").strip()
    if not (defaults or env or container) and len(top.problems) == before:
        entry.report(_CODE, f"`{name}` sets nothing", item, remedy="give it `defaults`, `env` or `container`")
    if len(top.problems) > before:
        return None
    return Layer(number, when, defaults, env, container, top.spot(item))


def _when(entry: Reader, name: str, item: Node) -> dict[str, object]:
    node = entry.nodes.get("when")
    if node is None or node.is_null or (node.kind == "map" and not node.pairs):
        remedy = "name a condition (`when: {nodes: 1}`), or move the values to the recipe's own `defaults`"
        entry.report(_CODE, f"`{name}` has no condition", node or item, remedy=remedy)
        return {}
    if node.kind != "map":
        entry.report(_CODE, f"`{name}.when` must be a mapping of conditions", node, remedy="write `when: {nodes: 1}`")
        return {}
    when: dict[str, object] = entry.data("when")
    config = when.get("config")
    if "config" in when and (not isinstance(config, dict) or not config):
        entry.report(_CODE, f"`{name}.when.config` must be a mapping of keys of `defaults`", node)
    return when


def _check_keys(entry: Reader, name: str) -> None:
    for key, node in entry.nodes.items():
        if key in ENTRY_KEYS:
            continue
        remedy = f"its keys are {', '.join(f'`{known}`' for known in sorted(ENTRY_KEYS))}"
        message = f"`{name}` has a key `{shorten(key, 40)}`, which conditions cannot set"
        if key in _LATER:
            message = f"`{name}`: `{key}` cannot depend on a condition"
        entry.report(_CODE, message, node, remedy=remedy)


def _values(entry: Reader, key: str) -> dict[str, Value]:
    below = entry.below(key)
    if below is None:
        return {}
    for name, node in below.nodes.items():
        if key == "env" and node.kind != "scalar":
            remedy = "write the value in quotes"
            below.report("env-type", f"`{below.at}{name}` must be text", node, remedy=remedy)
        elif is_accidental_mapping(node):
            remedy = f'write it in quotes: {name}: "{{{key_text(node.pairs[0][0])}}}"'
            below.report("type", f"`{below.at}{name}` is a mapping", node, Severity.WARNING, remedy)
    return below.values()


def _texts(values: dict[str, Value]) -> dict[str, Value]:
    return {key: Value(value.text, value.text, value.spot) for key, value in values.items()}
