"""The part of a recipe that lists and searches use: small, comparable, and kept in the index cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from sparkrun_tui.base.defects import defect
from sparkrun_tui.base.numbers import whole_of
from sparkrun_tui.models.known_sizes import KnownSize, known_size
from sparkrun_tui.recipe.format.dtypes import normal_dtype
from sparkrun_tui.recipe.format.loader import stem
from sparkrun_tui.recipe.format.params import format_params, parse_params
from sparkrun_tui.recipe.model import BrokenRecipe, Mode, Recipe, Source
from sparkrun_tui.recipe.values.shellwords import flag_value, serve_argv

CONTEXT_KEYS = ("max_model_len", "ctx_size", "context_length")
"""The recipe keys for the length of a context."""
TOOL_KEYS = ("tool_call_parser",)
"""The recipe keys for the parser of tool calls."""


RECIPE = "recipe"
"""The origin of what a recipe states itself."""


@dataclass(frozen=True, slots=True)
class EngineWords:
    """What entries need from engines: the runtime words that can be launched, and the flags for context and tool calls.

    They come from the engines' own tables (`engines.search_words`), which this package does not know.
    """

    launchable: frozenset[str]
    context: tuple[str, ...]
    tools: tuple[str, ...]


KnownWords = Callable[[], EngineWords]
"""Returns them when a file is read; a list that comes entirely from the cache does not need them."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the recipe list. `error` is the error of a broken file, whose other fields are empty.

    `params_from` and `dtype_from` say where these figures come from: `recipe`, or where it states none, `table` (the
    shipped sizes of known models) or `name` (the model's name); empty where they are not known.
    `nodes` is the number of hosts it needs as written; `has` names its top-level fields, defaults and `env` keys
    in lower case; `kinds` are words such as `solo`, `cluster`, `moe`, `broken`.
    """

    name: str
    source: Source
    model: str = ""
    runtime: str = ""
    description: str = ""
    maintainer: str = ""
    container: str = ""
    dtype: str = ""
    params: int | None = None
    active: int | None = None
    context: int | None = None
    tp: int = 1
    nodes: int = 1
    min_nodes: int = 1
    max_nodes: int | None = None
    tools: tuple[str, ...] = ()
    has: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    error: str = ""
    digest: str = ""
    params_from: str = ""
    dtype_from: str = ""

    @property
    def stated_params(self) -> int | None:
        """The parameters that the recipe itself states."""
        return self.params if self.params_from == RECIPE else None

    @property
    def stated_dtype(self) -> str:
        """The format of the weights that the recipe itself states."""
        return self.dtype if self.dtype_from == RECIPE else ""

    def number(self, key: str) -> float | None:
        """The number for a numeric query key (`nodes`, `params`, `ctx`, `tp`)."""
        if key == "nodes":
            return None if self.error else self.nodes
        if key == "tp":
            return None if self.error else self.tp
        return self.params if key == "params" else self.context

    @property
    def file_name(self) -> str:
        """The path of its file below its folder, without ending."""
        return self.source.below or stem(self.source.path)

    def text_of(self, key: str) -> str:
        """The text, in lower case, for a textual query key (`name`, `model`, `image`, `maintainer`)."""
        if key == "name":
            return f"{self.name}\n{self.file_name}".lower()
        return str(getattr(self, "container" if key == "image" else key)).lower()


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


def figures_of(model: str, params: int | None, active: int | None, dtype: str) -> KnownSize:
    """What is known of a recipe's model: what the recipe states, and for the rest what is known by the model's name."""
    if params and dtype:
        return KnownSize(params, active, dtype, RECIPE, RECIPE)
    known = known_size(model)
    if params:
        known = replace(known, params=params, active=active, params_from=RECIPE)
    if dtype:
        known = replace(known, dtype=dtype, dtype_from=RECIPE)
    return known


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


def hosts_text(recipe: Recipe | Entry) -> str:
    """The range of hosts in words: `1`, `2+`, `1-4`."""
    low, high = recipe.min_nodes, recipe.max_nodes
    if high is None:
        return f"{low}+"
    if low == high:
        return str(low)
    return f"{low}-{high}"


def params_text(recipe: Recipe | Entry) -> str:
    """The parameters in words: `30B`, `35B-A3B`, `~35B` where the recipe does not state them, empty when unknown."""
    mark = ""
    if isinstance(recipe, Entry):
        total, active = recipe.params, recipe.active
        if recipe.params_from != RECIPE:
            mark = "~"
    else:
        total, active = recipe.metadata.model_params, recipe.metadata.active_params
    if total is None:
        return ""
    if not active:
        return mark + format_params(total)
    return f"{mark}{format_params(total)}-A{format_params(active)}"


def dtype_text(entry: Entry) -> str:
    """The format of the weights: `fp8`, `~fp8` where the recipe does not state it, empty when unknown."""
    if entry.dtype and entry.dtype_from != RECIPE:
        return f"~{entry.dtype}"
    return entry.dtype
