"""The part of a recipe that lists and searches use: small, comparable, and kept in the index cache.

`summary` makes it from a recipe. This module needs no parser: most lists come entirely from the cache.
"""

from __future__ import annotations

from collections.abc import Callable

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.recipe.model import BrokenRecipe, Recipe, Source, SourceKind, stem
from sparkrun_tui.recipe.names.params import format_params

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


def reference(recipe: Recipe | BrokenRecipe | Entry) -> str:
    """The text that means this recipe on the command line."""
    source = recipe.source
    name = source.below or stem(source.path)
    if source.kind is SourceKind.REGISTRY:
        return f"@{source.registry}/{name}"
    if source.kind is SourceKind.BUNDLED:
        return name
    if source.kind is SourceKind.URL:
        return source.address
    return source.path


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
