"""A recipe once it is read: frozen values, each with its place in the file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sparkrun_tui.base.errors import Spot


class Severity(StrEnum):
    """How bad a problem is; errors stop a launch, warnings and notes do not."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding about a recipe. `code` is a stable word for scripts, such as `unknown-placeholder`."""

    severity: Severity
    code: str
    message: str
    spot: Spot | None = None
    remedy: str = ""


class Runtime(StrEnum):
    """Runtime words with a meaning in the format; `engines.registry` says which can be launched."""

    VLLM = "vllm"
    VLLM_DISTRIBUTED = "vllm-distributed"
    SGLANG = "sglang"
    LLAMA_CPP = "llama-cpp"
    EUGR_VLLM = "eugr-vllm"


class Mode(StrEnum):
    """Whether a recipe runs on one host, on several, or either way."""

    AUTO = "auto"
    SOLO = "solo"
    CLUSTER = "cluster"


class SourceKind(StrEnum):
    """Where a recipe comes from; recipes from registries are not trusted without a question."""

    PATH = "path"
    BUNDLED = "bundled"
    USER = "user"
    REGISTRY = "registry"


@dataclass(frozen=True, slots=True)
class Source:
    """The origin of a recipe file: kind, the registry's name (else empty), and the path of the file."""

    kind: SourceKind
    path: str
    registry: str = ""
    root: str = ""
    """The folder of recipes in which it was found, empty when it was named by its path."""
    repository: str = ""
    """The name of the configured registry, whose repository may contain several; `registry` is one of those."""
    address: str = ""
    """The address of that registry's repository."""
    stranger: bool = False
    """Whether it was named by a path outside the user's own recipe folders."""

    @property
    def foreign(self) -> bool:
        """Whether it may be another person's: from a registry, or from outside the user's folders."""
        return self.kind is SourceKind.REGISTRY or self.stranger

    @property
    def registry_text(self) -> str:
        """The registry by its configured name and address, with the part of it; empty for other recipes."""
        if self.kind is not SourceKind.REGISTRY:
            return ""
        name = self.repository or self.registry
        part = self.registry.removeprefix(f"{name}/")
        words = []
        if self.address:
            words.append(self.address)
        if part != name:
            words.append(f"its part {part}")
        if not words:
            return name
        return f"{name} ({', '.join(words)})"

    @property
    def below(self) -> str:
        """Its path below `root`, without `.yaml`: its name within its registry."""
        return self.path[len(self.root) + 1 :].removesuffix(".yaml") if self.root else ""


def stem(path: str) -> str:
    """The name of a recipe file without `.yaml` or `.yml`."""
    name = os.path.basename(path)
    for ending in (".yaml", ".yml"):
        if name.lower().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return name


@dataclass(frozen=True, slots=True)
class Value:
    """One value of `defaults` or of an override: `data` as YAML types it, `text` as the author wrote it (`0.80`)."""

    data: Any
    text: str
    spot: Spot | None = None


@dataclass(frozen=True, slots=True)
class Metadata:
    """Descriptive fields and declared facts of the model. Counts in units, sizes in bytes; None where not given."""

    description: str = ""
    maintainer: str = ""
    model_params: int | None = None
    active_params: int | None = None
    model_dtype: str = ""
    kv_dtype: str = ""
    num_layers: int | None = None
    num_kv_heads: int | None = None
    head_dim: int | None = None
    model_vram: int | None = None
    """Bytes (the number in the file is in GiB)."""
    kv_vram_per_token: float | None = None
    """Bytes per token."""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe as written in its file, with the `problems` found while reading."""

    name: str
    source: Source
    model: str
    runtime: str
    """The engine's word; it may be an engine that this program cannot launch."""
    container: str = ""
    command: str | None = None
    command_spot: Spot | None = None
    """The place of the first line of the command's text."""
    version: str = "2"
    """The format: `1` (eugr) or `2`."""
    mode: Mode = Mode.AUTO
    min_nodes: int = 1
    max_nodes: int | None = None
    model_revision: str = ""
    defaults: Mapping[str, Value] = field(default_factory=dict)
    env: Mapping[str, Value] = field(default_factory=dict)
    """As written: `${VAR}` is expanded when a launch is prepared, not here."""
    metadata: Metadata = Metadata()
    runtime_config: Mapping[str, Any] = field(default_factory=dict)
    spots: Mapping[str, Spot] = field(default_factory=dict)
    """The place of each top-level key, each `defaults.KEY`, `env.KEY` and `metadata.KEY`, and each entry of a list of
    commands or mods (`pre_exec[1]`)."""
    problems: tuple[Problem, ...] = ()
    digest: str = ""
    """SHA-256 of the file's bytes, in hex."""
    text: str = ""
    """The text of the file."""


@dataclass(frozen=True, slots=True)
class BrokenRecipe:
    """A recipe file that could not be loaded; it stays visible with its error."""

    name: str
    source: Source
    error: Problem
    text: str = ""
