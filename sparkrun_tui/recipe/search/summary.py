"""The entry of a recipe: what lists and searches use of it."""

from __future__ import annotations

from sparkrun_tui.base.defects import defect
from sparkrun_tui.base.reading.numbers import whole_of
from sparkrun_tui.recipe.model import BrokenRecipe, Mode, Recipe
from sparkrun_tui.recipe.names.dtypes import normal_dtype
from sparkrun_tui.recipe.names.params import parse_params
from sparkrun_tui.recipe.search.entry import CONTEXT_KEYS, TOOL_KEYS, EngineWords, Entry
from sparkrun_tui.recipe.search.figures import figures_of
from sparkrun_tui.recipe.values.shellwords import flag_value, serve_argv


def entry_of(recipe: Recipe | BrokenRecipe, words: EngineWords) -> Entry:
    """The entry of a loaded or broken recipe; a recipe that cannot be summarised counts as broken, with the reason."""
    if isinstance(recipe, BrokenRecipe):
        return Entry(recipe.name, recipe.source, error=recipe.error.message, kinds=("broken",))
    try:
        return _entry(recipe, words)
    except Exception as error:
        return Entry(recipe.name, recipe.source, error=defect("listing the recipe", error), kinds=("broken",))


def _entry(recipe: Recipe, words: EngineWords) -> Entry:
    metadata = recipe.metadata
    argv = serve_argv(recipe.command) if recipe.command else ()
    figures = figures_of(recipe.model, metadata.model_params, metadata.active_params, _dtype(recipe))
    tp = _degree(recipe, "tensor_parallel")
    nodes = max(recipe.min_nodes, tp * _degree(recipe, "pipeline_parallel"))
    if recipe.mode is Mode.SOLO:
        nodes = 1
    elif recipe.max_nodes is not None:
        nodes = max(recipe.min_nodes, min(nodes, recipe.max_nodes))
    return Entry(
        name=recipe.name,
        source=recipe.source,
        model=recipe.model,
        runtime=recipe.runtime,
        description=metadata.description,
        maintainer=metadata.maintainer,
        container=recipe.container,
        dtype=figures.dtype,
        params=figures.params,
        active=figures.active,
        context=_context(recipe, argv, words),
        tp=tp,
        nodes=nodes,
        min_nodes=recipe.min_nodes,
        max_nodes=recipe.max_nodes,
        tools=_tools(recipe, argv, words),
        has=_has(recipe),
        kinds=_kinds(recipe, words, figures.active),
        digest=recipe.digest,
        params_from=figures.params_from,
        dtype_from=figures.dtype_from,
    )


def _degree(recipe: Recipe, key: str) -> int:
    """A parallel degree of the defaults; 1 when absent or invalid."""
    value = recipe.defaults.get(key)
    if value is None:
        return 1
    return whole_of(value.data, least=1, most=9_999) or 1


def _dtype(recipe: Recipe) -> str:
    word = normal_dtype(recipe.metadata.model_dtype)
    return "" if word.startswith("{") else word


def _count(text: str) -> int | None:
    parsed = parse_params(text)
    return parsed[0] if parsed else None


def _context(recipe: Recipe, argv: tuple[str, ...], words: EngineWords) -> int | None:
    for key in CONTEXT_KEYS:
        value = recipe.defaults.get(key)
        if value is None:
            continue
        number = _count(value.text)
        if number is not None:
            return number
    literal = flag_value(argv, words.context)
    return _count(literal) if literal else None


def _tools(recipe: Recipe, argv: tuple[str, ...], words: EngineWords) -> tuple[str, ...]:
    found = [recipe.defaults[key].text for key in TOOL_KEYS if key in recipe.defaults]
    literal = flag_value(argv, words.tools)
    if literal and "{" not in literal:
        found.append(literal)
    return tuple(dict.fromkeys(word.lower() for word in found))


def _has(recipe: Recipe) -> tuple[str, ...]:
    names = [*recipe.runtime_config, *recipe.defaults]
    names += [key for key in recipe.spots if "." not in key]
    names += [key.partition(".")[2] for key in recipe.spots if key.startswith("env.")]
    return tuple(dict.fromkeys(name.lower() for name in names))


def _kinds(recipe: Recipe, words: EngineWords, active: int | None) -> tuple[str, ...]:
    kinds = [recipe.mode.value]
    if active:
        kinds.append("moe")
    if recipe.runtime not in words.launchable:
        kinds.append("unlaunchable")
    return tuple(kinds)
