"""The worked example of `docs/memory.md`: every figure in its table is what the estimator gives, step by step."""

from __future__ import annotations

import json
import struct
from math import prod
from pathlib import Path

from sparkrun_tui.base.units import format_gib
from sparkrun_tui.engines.registry import family_of
from sparkrun_tui.engines.settings import read_settings
from sparkrun_tui.memory.estimate import assumed_spark, estimate
from sparkrun_tui.memory.vllm.case import work_out
from sparkrun_tui.models.config.reader import facts_from_config
from sparkrun_tui.models.safetensors_header import read_header
from sparkrun_tui.models.tensor_classes import weight_facts
from tests.memory.models import DENSE

DOCUMENT = Path(__file__).parents[2] / "docs" / "memory.md"
IMAGE = "vllm/vllm-openai:v0.31.0"
COMMAND = (
    "vllm", "serve", "Qwen/Qwen3-8B", "--gpu-memory-utilization", "0.4", "--max-model-len", "32768",
    "--max-num-seqs", "16",
)  # fmt: skip
HIDDEN, WIDTH, VOCABULARY, LAYERS = 4096, 12288, 151936, 36


def header() -> bytes:
    """The header of one safetensors file with the tensors of Qwen3-8B in bf16, without the tensors."""
    shapes = {
        "model.embed_tokens.weight": [VOCABULARY, HIDDEN],
        "model.norm.weight": [HIDDEN],
        "lm_head.weight": [VOCABULARY, HIDDEN],
    }
    for layer in range(LAYERS):
        at = f"model.layers.{layer}"
        shapes[f"{at}.input_layernorm.weight"] = [HIDDEN]
        shapes[f"{at}.post_attention_layernorm.weight"] = [HIDDEN]
        shapes[f"{at}.self_attn.q_norm.weight"] = [128]
        shapes[f"{at}.self_attn.k_norm.weight"] = [128]
        shapes[f"{at}.self_attn.q_proj.weight"] = [32 * 128, HIDDEN]
        shapes[f"{at}.self_attn.k_proj.weight"] = [8 * 128, HIDDEN]
        shapes[f"{at}.self_attn.v_proj.weight"] = [8 * 128, HIDDEN]
        shapes[f"{at}.self_attn.o_proj.weight"] = [HIDDEN, 32 * 128]
        shapes[f"{at}.mlp.gate_proj.weight"] = [WIDTH, HIDDEN]
        shapes[f"{at}.mlp.up_proj.weight"] = [WIDTH, HIDDEN]
        shapes[f"{at}.mlp.down_proj.weight"] = [HIDDEN, WIDTH]
    entries = {}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * prod(shape)
        entries[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


def rows() -> list[tuple[str, str]]:
    """The steps of the example with their figures, as the table shows them."""
    data = header()
    tensors = read_header(lambda start, size: data[start : start + size])
    weights = weight_facts(((tensor.name, tensor.size) for tensor in tensors), layers=LAYERS)
    facts = facts_from_config(DENSE, weights=weights)
    family = family_of("vllm")
    assert family is not None
    settings = read_settings(family, COMMAND, IMAGE)
    host = assumed_spark("spark-1")
    case = work_out(facts, settings, host)
    found = estimate(facts, settings, [host])
    plan, pool = case.plan, case.pool
    assert plan is not None and case.weights is not None and pool.pool is not None and pool.pool_low is not None
    spec = plan.grouping.groups[0].spec
    length = settings.max_model_len or 0
    return [
        ("tensors in the header", f"{len(tensors):,}"),
        ("bytes of all tensors", f"{weights.total:,}"),
        ("of these, split over tensor-parallel ranks", f"{weights.sharded:,}"),
        ("of these, kept whole by each rank", f"{weights.replicated:,}"),
        ("rope table added on loading", f"{case.weights.rank - weights.total:,}"),
        ("weights of the one rank", f"{case.weights.rank:,}"),
        ("budget", f"{pool.budget:,}"),
        ("context and libraries, likely", f"{pool.context.likely:,}"),
        ("activations, likely", f"{pool.activation.likely:,}"),
        ("CUDA graphs, likely", f"{pool.graphs.likely:,}"),
        ("KV cache pool, likely", f"{pool.pool:,}"),
        ("KV cache pool, all bands at their upper end", f"{pool.pool_low:,}"),
        ("bytes of one block of one layer", f"{spec.page:,}"),
        ("bytes of one block of all layers", f"{plan.bytes_per_block:,}"),
        ("blocks of one request", f"{plan.blocks_per_request(length):,}"),
        ("bytes of one request", f"{plan.request_bytes(length):,}"),
        ("blocks in the pool", f"{plan.num_blocks(pool.pool):,}"),
        ("requests of full length at once", f"{found.concurrency:.2f}"),
        ("outside the budget, likely", f"{pool.outside.likely:,}"),
        ("left for the host", format_gib(found.hosts[0].free or 0)),
        ("starts", found.starts.text),
        ("context", found.context.text),
        ("headroom", found.headroom.text),
    ]


def test_the_table_of_the_document_is_what_the_estimator_gives() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    for name, value in rows():
        row = f"| {name} | {value} |"
        assert row in document, f"docs/memory.md should have the row: {row}"


def test_the_document_shows_the_command_and_the_image_that_are_worked_out() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    assert " ".join(COMMAND) in document
    assert IMAGE in document
