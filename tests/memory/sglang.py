"""What the tests of SGLang ask: settings, the plan of a rank and its default fraction on a GB10."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sparkrun_tui.memory.settings import EngineSettings, SglangOptions, Speculative
from sparkrun_tui.memory.sglang.fraction import default_fraction
from sparkrun_tui.memory.sglang.plan import SglangPlan, plan_sglang
from sparkrun_tui.models.facts import ModelFacts
from tests.memory.models import facts

GIB = 1 << 30
SPARK_MIB = 124546
GPT_OSS: dict[str, Any] = {
    "architectures": ["GptOssForCausalLM"],
    "model_type": "gpt_oss",
    "torch_dtype": "bfloat16",
    "hidden_size": 2880,
    "num_hidden_layers": 24,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "vocab_size": 201088,
    "max_position_embeddings": 131072,
    "sliding_window": 128,
    "layer_types": ["sliding_attention", "full_attention"] * 12,
}


def told(**fields: Any) -> EngineSettings:
    """SGLang's settings; fields that only it knows go where they belong."""
    known = SglangOptions.__dataclass_fields__
    own = {name: fields.pop(name) for name in list(fields) if name in known}
    version = fields.pop("version", "0.5.23")
    return EngineSettings("sglang", version=version, sglang=replace(SglangOptions(), **own), **fields)


def plan(model: dict[str, Any] | ModelFacts, before: float, after: float, **fields: Any) -> SglangPlan:
    """The plan of a rank that sees so many GiB before and after it loads."""
    known = model if isinstance(model, ModelFacts) else facts(model)
    return plan_sglang(known, told(**fields), int(before * GIB), int(after * GIB), SPARK_MIB << 20)


def fraction(model: dict[str, Any], **fields: Any) -> float:
    """The default fraction on a GB10."""
    return default_fraction(facts(model), told(**fields), SPARK_MIB)


MTP4 = Speculative("nextn")
DRAFT4: dict[str, Any] = {
    "speculative_num_draft_tokens": 4,
    "speculative_num_steps": 3,
    "speculative_eagle_topk": 1,
    "speculative": MTP4,
}
