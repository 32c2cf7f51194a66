"""A5: headers of models that claim too much are refused soon, and sizes that cannot be are unknown."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Callable

import pytest

from sparkrun_tui.memory.estimate import assumed_spark, estimate
from sparkrun_tui.models import safetensors_header
from sparkrun_tui.models.config.reader import facts_from_config
from sparkrun_tui.models.config.values import sequence
from sparkrun_tui.models.facts import facts_from_metadata
from sparkrun_tui.models.gguf import header as gguf_header
from tests.support.settings import settings_of

_COMMANDS = {
    "vllm": ("vllm", "serve", "m", "--max-model-len", "4096"),
    "sglang": ("sglang", "serve", "m", "--context-length", "4096"),
    "llama-cpp": ("llama-server", "--ctx-size", "4096"),
}


def _reader(data: bytes) -> Callable[[int, int], bytes]:
    return lambda start, size: data[start : start + size]


def _gguf(keys: bytes, count: int) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, 0, count) + keys


def test_a_gguf_of_many_lists_is_refused() -> None:
    entry = struct.pack("<Q", 1) + b"k" + struct.pack("<IIQ", 9, 0, 4096) + bytes(4096)
    before = time.process_time()
    with pytest.raises(gguf_header.GgufError, match="values are larger than 2 MiB"):
        gguf_header.read_header(_reader(_gguf(entry * 9_000, 9_000)))
    assert time.process_time() - before < 5


def test_a_gguf_of_many_keys_is_refused() -> None:
    with pytest.raises(gguf_header.GgufError, match="keys"):
        gguf_header.read_header(_reader(_gguf(b"", 16_000)))


def _safetensors(header: object) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


def test_a_shape_of_many_numbers_is_refused() -> None:
    data = _safetensors({"w": {"dtype": "F16", "shape": [9] * 2_000_000, "data_offsets": [0, 2]}})
    before = time.process_time()
    with pytest.raises(safetensors_header.SafetensorsError):
        safetensors_header.read_header(_reader(data))
    assert time.process_time() - before < 5


def test_a_header_of_95_megabytes_is_not_fetched() -> None:
    asked: list[int] = []

    def fetch(_start: int, size: int) -> bytes:
        asked.append(size)
        return struct.pack("<Q", 95_000_000) + b"{"

    with pytest.raises(safetensors_header.SafetensorsError, match="95,000,000"):
        safetensors_header.read_header(fetch)
    assert asked == [safetensors_header.FIRST]


CONFIG: dict[str, object] = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "hidden_size": 2048,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "intermediate_size": 6144,
    "vocab_size": 151936,
    "max_position_embeddings": 40960,
    "rope_scaling": {"rope_type": "linear", "factor": 2.0},
    "partial_rotary_factor": 0.5,
    "sliding_window": 4096,
    "quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 128},
}
ABSURD = (float("inf"), float("-inf"), float("nan"), 10**400, -(10**400), -1, 0, 1e300, "9" * 5000, [], {}, True)


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
@pytest.mark.parametrize("key", sorted(CONFIG))
def test_absurd_numbers_of_a_configuration_do_not_raise(key: str, engine: str) -> None:
    settings = settings_of(engine, _COMMANDS[engine])
    for value in ABSURD:
        nested = {"rope_scaling": {"rope_type": "yarn", "factor": value, "original_max_position_embeddings": value}}
        quant = {"quantization_config": {"quant_method": "gptq", "bits": value, "group_size": value}}
        for config in ({**CONFIG, key: value}, {**CONFIG, **nested}, {**CONFIG, **quant}):
            facts = facts_from_config(config)
            estimate(facts, settings, [assumed_spark("spark")])


def test_more_layers_than_any_model_has_are_unknown() -> None:
    assert facts_from_metadata(num_layers=300_000_000, num_kv_heads=8, head_dim=128).layers is None
    assert facts_from_config({**CONFIG, "num_hidden_layers": 10**9}).layers is None
    listed = {key: value for key, value in CONFIG.items() if key != "num_hidden_layers"}
    assert facts_from_config({**listed, "layer_types": ["full_attention"] * 50_000}).layers is None


def test_lists_that_are_written_as_text() -> None:
    assert sequence({"a": "['x', \"y\", 3]"}, "a") == ["x", "y", 3]
    assert sequence({"a": "[" * 50_000}, "a") is None
    assert sequence({"a": "[1, [2]]"}, "a") is None
