"""A recipe once it is read: frozen values, each with its place in the file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Any

from sparkrun_tui.base.errors import Spot
from sparkrun_tui.base.records import dataclass


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
    """Where a recipe comes from; recipes from registries and from the web are not trusted without a question."""

    PATH = "path"
    BUNDLED = "bundled"
    USER = "user"
    REGISTRY = "registry"
    URL = "url"


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
    """The address of that registry's repository; for a recipe from the web its own address."""
    stranger: bool = False
    """Whether it was named by a path outside the user's own recipe folders."""

    @property
    def foreign(self) -> bool:
        """Whether it may be another person's: from elsewhere, or from outside the user's folders."""
        return self.from_elsewhere or self.stranger

    @property
    def from_elsewhere(self) -> bool:
        """Whether it certainly is another person's: from a registry, or from the web."""
        return self.kind in (SourceKind.REGISTRY, SourceKind.URL)

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


ENDINGS = (".yaml", ".yml")
"""The endings of recipe files, in lower case."""


def stem(path: str) -> str:
    """The name of a recipe file without `.yaml` or `.yml`."""
    name = os.path.basename(path)
    for ending in ENDINGS:
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
class Layer:
    """One entry of `overrides`: values that hold where `when` is met. `number` counts from 1."""

    number: int
    when: Mapping[str, Any]
    defaults: Mapping[str, Value] = field(default_factory=dict)
    env: Mapping[str, Value] = field(default_factory=dict)
    container: str = ""
    spot: Spot | None = None

    @property
    def when_text(self) -> str:
        """The conditions on one line: `nodes 2, arch sm_120`."""
        return ", ".join(f"{name} {_condition(test)}" for name, test in self.when.items())

    @property
    def sets_text(self) -> str:
        """The names of what it sets: `max_num_seqs, env HF_HOME, container`."""
        names = [*self.defaults, *(f"env {name}" for name in self.env)]
        if self.container:
            names.append("container")
        return ", ".join(names)


def _condition(test: object) -> str:
    """A condition in words, as short as it can be."""
    if isinstance(test, dict):
        return "{" + ", ".join(f"{name}: {_condition(value)}" for name, value in test.items()) + "}"
    if isinstance(test, list):
        return " or ".join(str(item) for item in test)
    if isinstance(test, bool):
        return "true" if test else "false"
    return str(test)


@dataclass(frozen=True, slots=True)
class HostImage:
    """One entry of `containers`: the image for one host."""

    host: str
    image: str
    spot: Spot | None = None


@dataclass(frozen=True, slots=True)
class Readiness:
    """How a launch decides that its server serves (`readiness`); seconds. None where the recipe says nothing.

    A limit of 0 means that there is none.
    """

    port_timeout: float | None = None
    """From the start until something answers at the port."""
    health_timeout: float | None = None
    """From the first answer until the health path answers with success."""
    timeout: float | None = None
    """Both together."""
    inference: bool = True
    """Whether one answer of the model is asked for."""
    style: str = "auto"
    """The API that is asked for it."""
    inference_timeout: float | None = None
    prompt: str = ""
    path: str = ""
    """The health path, empty for the engine's own."""


@dataclass(frozen=True, slots=True)
class RuntimeCache:
    """What is kept of an engine's compiled code on the hosts (`runtime_cache`)."""

    enabled: bool = True
    key_by_image: bool = False
    key_by_model: bool = False


@dataclass(frozen=True, slots=True)
class Included:
    """A file that a recipe builds on (`include`): its path, its text, and the SHA-256 of its bytes in hex."""

    path: str
    text: str
    digest: str


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
    given_env: frozenset[str] = frozenset()
    """The names in `env` that the user set for one launch: what they refer to may be read without a question."""
    metadata: Metadata = Metadata()
    runtime_config: Mapping[str, Any] = field(default_factory=dict)
    spots: Mapping[str, Spot] = field(default_factory=dict)
    """The place of each top-level key, each `defaults.KEY`, `env.KEY` and `metadata.KEY`, and each entry of a list of
    commands or mods (`pre_exec[1]`)."""
    problems: tuple[Problem, ...] = ()
    runtime_word: str = ""
    """The engine's word as the file has it (`vllm-ray`); empty where it has none."""
    digest: str = ""
    """SHA-256 of the file's bytes, in hex; with `include`, of the digests of all its files."""
    text: str = ""
    """The text of the file."""
    included: tuple[Included, ...] = ()
    """The files that it builds on, the one that it names first."""
    layers: tuple[Layer, ...] = ()
    """The entries of `overrides`."""
    images: tuple[HostImage, ...] = ()
    """The images of single hosts (`containers`)."""
    readiness: Readiness = Readiness()
    runtime_cache: RuntimeCache = RuntimeCache()
    declared: Recipe | None = None
    """The recipe without the layers that are in force here; None where there are none."""

    @property
    def original(self) -> Recipe:
        """The recipe as its file declares it."""
        return self.declared or self

    def place_of(self, key: str) -> Spot | None:
        """The place of a key that the file may have at its top or in `runtime_config`; None where it has none."""
        return self.spots.get(key) or self.spots.get(f"runtime_config.{key}")

    def text_of(self, path: str) -> str:
        """The text of one of its files, without a byte order mark; that of the recipe itself for another path."""
        for file in self.included:
            if file.path == path:
                return file.text.removeprefix("\ufeff")
        return self.text.removeprefix("\ufeff")


@dataclass(frozen=True, slots=True)
class BrokenRecipe:
    """A recipe file that could not be loaded; it stays visible with its error."""

    name: str
    source: Source
    error: Problem
    text: str = ""
