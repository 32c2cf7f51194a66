"""The known facts of a model, for a new recipe that starts with only its name."""

from __future__ import annotations

from sparkrun_tui.engines.starter import Known
from sparkrun_tui.launch.sizing.sizing import FactsStore, known_models
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.layers import AttentionKind
from sparkrun_tui.models.parameters import count_parameters
from sparkrun_tui.recipe.names.dtypes import known_dtype, normal_dtype

_SHORT = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}


def known_of(model: str, store: FactsStore | None = None) -> Known:
    """The figures of `model` from the local caches and the shipped table; empty when unknown."""
    facts = (store or known_models()).find(model)
    if facts is None:
        return Known()
    layers = _layers(facts)
    return Known(
        params=_params(facts),
        dtype=_dtype(facts),
        num_layers=layers,
        num_kv_heads=facts.kv_heads if layers else None,
        head_dim=facts.head_dim if layers else None,
        max_context=facts.max_length,
    )


def _params(facts: ModelFacts) -> int | None:
    """The number of parameters, rounded to three significant digits; None when unknown."""
    counted = count_parameters(facts)
    total = facts.params or (counted.total if counted else None)
    if not total:
        return None
    step = int(10 ** max(len(str(total)) - 3, 0))
    return round(total / step) * step


def _dtype(facts: ModelFacts) -> str:
    if facts.quant is None:
        return _SHORT.get(facts.dtype, facts.dtype)
    word = normal_dtype(facts.quant.method.removeprefix("gguf "))
    return word if known_dtype(word) and word not in ("modelopt", "compressed_tensors") else ""


def _layers(facts: ModelFacts) -> int | None:
    """The number of layers when all have full attention; else None: the recipe's three figures describe no other."""
    layers = facts.layers or ()
    for layer in layers:
        attention = layer.attention
        if attention is None or attention.kind is not AttentionKind.FULL or layer.state is not None:
            return None
    return len(layers) or None
