"""Recipes, their problems and their memory as JSON."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypedDict

from sparkrun_tui.base.quantities import (
    Average,
    Bytes,
    Count,
    Number,
    Parameters,
    Share,
    Tokens,
    TokensPerSecond,
)
from sparkrun_tui.memory.result import Level
from sparkrun_tui.recipe.model import Mode, Severity, SourceKind

Origin = Literal["recipe", "table", "name"]


class RecipeRow(TypedDict):
    """A recipe that was found; figures of one that cannot be read are null."""

    name: str
    reference: Annotated[str, "What run and show take for it."]
    model: str | None
    runtime: Annotated[str | None, "The engine, as the recipe names it."]
    container: Annotated[str | None, "The image."]
    description: str
    maintainer: str
    model_params: Parameters | None
    model_params_from: Annotated[Origin | None, "Who states them."]
    active_params: Annotated[Parameters | None, "What one token uses, of models with experts."]
    model_dtype: Annotated[str | None, "Format of the weights."]
    model_dtype_from: Origin | None
    context: Tokens | None
    tensor_parallel: Count
    min_nodes: Count
    max_nodes: Count | None
    source: Annotated[SourceKind, "Where it comes from."]
    registry: str | None
    repository: str | None
    repository_url: str | None
    path: str
    error: Annotated[str | None, "Why it cannot be read."]


class ProblemJson(TypedDict):
    """A finding about a recipe."""

    severity: Severity
    code: str
    message: str
    path: str | None
    line: Number | None
    column: Number | None
    remedy: str


class FindingJson(ProblemJson):
    """A finding about a recipe of the given names, files and folders."""

    file: Annotated[str, "The recipe's file, or what was given in its place."]


class LayerJson(TypedDict):
    """One of the recipe's own `overrides`, and whether it holds."""

    number: Number
    when: dict[str, Any]
    holds: Annotated[bool | None, "null where that is not known."]
    reason: str
    sets: list[str]


class VerdictJson(TypedDict):
    """A level, a short text and a sentence with the numbers."""

    level: Level
    text: str
    detail: str


class VerdictsJson(TypedDict):
    """Does it start, does a request of full length fit, what stays for the host."""

    starts: VerdictJson
    context: VerdictJson
    headroom: VerdictJson


class PartJson(TypedDict):
    """One term of a host's memory, with its band."""

    kind: Literal["others", "weights", "kv", "activation", "graphs", "overhead"]
    bytes: Bytes
    low: Bytes
    high: Bytes
    source: Annotated[str, "Where the figure comes from."]


class HostPictureJson(TypedDict):
    """One host, and what its memory is used for."""

    name: str
    total: Bytes
    available: Annotated[Bytes | None, "Free when the host was last asked."]
    assumed: Annotated[bool, "Whether the host was not asked."]
    source: str
    gpus: Count
    unified: Annotated[bool, "Whether the GPU shares the host's memory."]
    gpu_name: str
    parts: list[PartJson]
    budget: Annotated[Bytes | None, "What the engine may take."]
    free: Annotated[Bytes | None, "What stays for the host; null when a part is not known."]
    floor_red: Annotated[Bytes, "Below it the host is in danger."]
    floor_green: Annotated[Bytes, "From it on the host is comfortable."]


class RateJson(TypedDict):
    """The likely figure, and its band."""

    likely: TokensPerSecond
    low: TokensPerSecond
    high: TokensPerSecond


class SpeedJson(TypedDict):
    """How fast one request is served alone."""

    decode: RateJson
    prefill: Annotated[RateJson | None, "null for GPUs for which nothing was published."]
    drafts: Annotated[bool, "Whether a drafter is configured, which raises the decode rate."]
    read: Annotated[Bytes, "What one token reads of the weights on a rank."]


class ChangeJson(TypedDict):
    """One value of a suggestion."""

    key: str
    old: str
    new: str
    flag: Annotated[str, "The flag to append, where the command has no place for the key."]


class SuggestionJson(TypedDict):
    """Changes that would help, tried together."""

    why: str
    changes: list[ChangeJson]


class EstimateJson(TypedDict):
    """The memory estimate; null is what is not known."""

    level: Level
    verdicts: VerdictsJson
    hosts: list[HostPictureJson]
    notes: list[str]
    engine_version: str
    facts_source: str
    max_context: Annotated[Tokens | None, "The longest context that fits."]
    concurrency: Annotated[Average | None, "Requests of full length at a time."]
    min_hosts: Count | None
    max_utilisation: Share | None
    min_utilisation: Share | None
    proposals: list[SuggestionJson]
    kv_bytes_per_request: Bytes | None
    pool_tokens: Tokens | None
    weights_bytes: Bytes | None
    speed: SpeedJson | None
    hosts_needed: Count | None


class RecipeJson(TypedDict):
    """A recipe as its file has it."""

    name: str
    reference: Annotated[str, "What run and show take for it."]
    source: SourceKind
    registry: str | None
    repository: str | None
    repository_url: str | None
    path: str
    address: str | None
    sha256: Annotated[str, "Of the recipe's text."]
    model: str
    runtime: Annotated[str, "The engine, as the recipe names it."]
    container: Annotated[str, "The image."]
    description: str
    maintainer: str
    model_params: Parameters | None
    model_dtype: str
    mode: Mode
    min_nodes: Count
    max_nodes: Count | None
    launchable: bool
    included: Annotated[list[str], "Files that it includes."]
    containers: Annotated[dict[str, str], "Images of single hosts."]
    defaults: Annotated[dict[str, Any], "Values of any type by their key; secrets are masked."]


class ShownRecipe(RecipeJson):
    """A recipe with its values, command, problems and memory."""

    command: Annotated[str | None, "The rendered command; null when there is none."]
    values: Annotated[dict[str, Any], "The values that count: defaults, settings and overrides together."]
    env: dict[str, str]
    overrides: Annotated[list[LayerJson], "The recipe's own `overrides`."]
    problems: list[ProblemJson]
    memory: EstimateJson


class WrittenJson(TypedDict):
    """What was written, or what would be: the text of each file by its name."""

    files: Annotated[dict[str, str], "Secrets are masked here; the files themselves hold those of a recipe."]
    written: Annotated[list[str], "The paths of new files; empty where none was asked for."]
    notes: Annotated[list[str], "What cannot be carried over, or is to be set."]
