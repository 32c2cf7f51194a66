"""The memory figures that a simulated engine prints: those of its recipe's estimate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.units import GIB
from sparkrun_tui.launch.sizing.sizing import FactsStore, declared_facts, engine_settings, size
from sparkrun_tui.memory.engines import model_of
from sparkrun_tui.memory.llama_cpp.cache import Shape, shape_of
from sparkrun_tui.memory.model import EngineModel
from sparkrun_tui.memory.result import Estimate, HostMemory, Level
from sparkrun_tui.recipe.values.rendered import Rendered

_LENGTH = 32_768
_CONTAINER = int(2.7 * GIB)
"""Bytes that the container and its CUDA context use before weights are loaded."""

_BITS = ((r"fp4|int4|awq|gptq|w4|q4|iq4|mxfp4|4bit", 4.5), (r"q5", 5.7), (r"q6", 6.6), (r"fp8|int8|w8|q8|8bit", 8.5))


class Fault(StrEnum):
    """Why an engine does not start."""

    START = "less memory is free than it wants"
    ROOM = "weights and activations leave no room for a KV cache"
    CONTEXT = "the KV cache is too small for one request"
    REFUSED = "the settings are refused"
    HOST = "the host runs out of memory"


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one start of an engine. Bytes are per host; `fault` is why it fails, None when it starts."""

    engine: str
    """The name of the engine's family, or the recipe's runtime when it is unknown."""
    model: str
    ranks: int
    length: int
    utilisation: float
    total: int
    free: int
    base: int
    weights: int
    kv: int
    kv_tokens: int
    graphs: int
    activation: int
    request: int
    """Bytes of KV cache of one request of full length."""
    longest: int
    shape: Shape
    """How llama-server lays out its context; without meaning for other engines."""
    served: str = ""
    port: int = 8000
    eager: bool = False
    layers: int = 48
    fault: Fault | None = None
    why: str = ""
    version: str = ""
    """The engine's version by the tag of the image, such as `0.31.0`; empty when the tag states none."""

    @property
    def concurrency(self) -> float:
        """How many requests of full length run at the same time."""
        return self.kv_tokens / self.length if self.length else 0.0

    @property
    def whole(self) -> int:
        """All bytes that it uses of a host once it serves."""
        return self.base + self.weights + self.kv + self.graphs + self.activation


def weights_of(rendered: Rendered, store: FactsStore | None = None) -> int:
    """Bytes of a recipe's whole model: estimated, else by the declared number of parameters, else by its name."""
    found = size(rendered, (), store).weights_bytes
    if found:
        return found
    model = rendered.recipe.model
    declared = declared_facts(rendered).declared
    if declared is None or not declared.params:
        return weights_by_name(model)
    return int(declared.params * _bits(declared.model_dtype or model) / 8)


def weights_by_name(model: str) -> int:
    """Bytes of a model by its name: the billions of parameters in it, at the width of the data type in it."""
    billions = [float(text) for text in re.findall(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)[bB](?![a-z])", model)]
    return int(max(billions, default=8.0) * 1e9 * _bits(model) / 8)


def figures(rendered: Rendered, hosts: Sequence[HostMemory], store: FactsStore | None = None) -> Figures:
    """The figures of a start on these hosts, the first being the head."""
    settings = engine_settings(rendered)
    found = size(rendered, hosts, store)
    model = model_of(settings.engine)
    parts: dict[str, int] = {}
    if found.hosts:
        parts = {part.kind: part.bytes for part in found.hosts[0].parts}
    ranks = max(len(hosts), 1)
    head = hosts[0]
    weights = parts.get("weights") or weights_of(rendered, store) // ranks
    length = _length(rendered, settings.max_model_len)
    per_token = _per_token(rendered) // ranks
    share = settings.utilisation or 0.9
    if model.cache_by_length:
        pool = length * per_token
    else:
        pool = int(share * head.total) - weights - 6 * GIB
    kv = max(parts.get("kv", pool), 0)
    free = max((head.available or head.total) - _CONTAINER, 0)
    fault, why = _fault(found, model, weights + kv, free)
    return Figures(
        engine=settings.engine,
        model=rendered.recipe.model,
        ranks=ranks,
        length=length,
        utilisation=share,
        total=head.total,
        free=free,
        base=_CONTAINER,
        weights=weights,
        kv=kv,
        kv_tokens=found.pool_tokens or kv // max(per_token, 1),
        graphs=parts.get("graphs", int(0.3 * GIB)),
        activation=parts.get("activation", int(1.0 * GIB)),
        request=found.kv_bytes_per_request or length * per_token,
        longest=found.max_context or 0,
        shape=shape_of(length, settings),
        eager=settings.enforce_eager,
        layers=rendered.recipe.metadata.num_layers or 48,
        fault=fault,
        why=why,
        version=settings.version,
    )


def _fault(found: Estimate, model: EngineModel, wanted: int, free: int) -> tuple[Fault | None, str]:
    """Why the engine fails by its estimate, and the estimate's words; None when it starts."""
    if found.starts.level is Level.BAD:
        fault = Fault.REFUSED
        if found.starts.text == "will not start":
            fault = Fault.START
        elif "room" in found.starts.text:
            fault = Fault.ROOM
        return fault, found.starts.detail
    if found.context.level is Level.BAD:
        fault = Fault.CONTEXT
        if "refused" in found.context.text:
            fault = Fault.REFUSED
        elif "no room" in found.context.text:
            fault = Fault.ROOM
        return fault, found.context.detail
    if found.headroom.level is Level.BAD:
        return Fault.HOST, found.headroom.detail
    if found.level is Level.UNKNOWN and wanted > free:
        fault = Fault.START if model.cache_by_length else Fault.ROOM
        return fault, ""
    return None, ""


def _length(rendered: Rendered, given: int | None) -> int:
    if given is not None and given > 0:
        return given
    for key in ("max_model_len", "ctx_size", "context_length"):
        link = rendered.chain.get(key)
        if link is not None and str(link.value.data).isdecimal():
            return int(str(link.value.data))
    return _LENGTH


def _per_token(rendered: Rendered) -> int:
    """Bytes of KV cache per token over all layers, from the recipe's own metadata, else a usual figure."""
    meta = rendered.recipe.metadata
    if not meta.num_layers or not meta.num_kv_heads or not meta.head_dim:
        return 98_304
    width = 2
    if "8" in str(meta.kv_dtype or ""):
        width = 1
    return int(2 * meta.num_layers * meta.num_kv_heads * meta.head_dim * width)


def _bits(text: str) -> float:
    return next((bits for pattern, bits in _BITS if re.search(pattern, text, re.IGNORECASE)), 16.0)
