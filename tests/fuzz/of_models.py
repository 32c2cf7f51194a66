"""Targets: what model repositories say of themselves, from the file to the estimate."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

from sparkrun_tui.base.reading.json_text import JsonError, parse_json
from sparkrun_tui.cli.text.recipes import estimate_lines
from sparkrun_tui.memory.estimate import assumed_spark, estimate
from sparkrun_tui.models.config.reader import facts_from_config
from sparkrun_tui.models.digest import digest_config, facts_of, from_data, to_data
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.gguf.header import GgufError
from sparkrun_tui.models.safetensors_header import SafetensorsError
from sparkrun_tui.models.shipped_table import find_digest, known_models
from sparkrun_tui.remote.hub.facts_worker import Refused, digest_of
from tests.fuzz import headers, mutate
from tests.fuzz.target import Target, handled
from tests.fuzz.tree import Raw, to_json, tree
from tests.support.settings import settings_of

_COMMANDS: Mapping[str, tuple[str, ...]] = {
    "vllm": ("vllm", "serve", "m", "--max-model-len", "32768", "--gpu-memory-utilization", "0.8", "-tp", "2"),
    "sglang": ("sglang", "serve", "m", "--context-length", "32768", "--mem-fraction-static", "0.8", "--tp", "2"),
}
_SMALL = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16", "hidden_size": 1024,
    "intermediate_size": 4096, "num_hidden_layers": 4, "num_attention_heads": 16, "num_key_value_heads": 4,
    "head_dim": 64, "vocab_size": 32000, "max_position_embeddings": 131072, "sliding_window": 1024,
    "layer_types": ["sliding_attention", "full_attention"] * 2, "tie_word_embeddings": True,
    "rope_scaling": {"factor": 8.0, "original_max_position_embeddings": 8192},
    "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128], "ignore": ["lm_head"]},
}  # fmt: skip


_SIZES = (
    "0", "-1", "1", "3", "1024", "65536", "99999999", "300000000", "999999999999", "999999999999999999", "9" * 40,
    "9" * 300, "9" * 400, "1e30", "1e308", "1e400", "0.5", "1e-300", "NaN", "-Infinity", "true", "null", '"8"', "[8]",
)  # fmt: skip
"""What may stand where a configuration has a number."""


def config(folders: tuple[Path, ...]) -> Target:
    """A `config.json`: facts, digest, and the estimates of vLLM and SGLang."""
    seeds = [dict(item) for item in _known("config")] + [_SMALL]
    words = mutate.words_of([*seeds[:20], _SMALL])

    def make(chance: Random) -> bytes:
        if mutate.rare(chance, 2):
            return mutate.json_bytes(chance, seeds, words)
        return mutate.encoded(to_json(mutate.figures(chance, tree(chance.choice(seeds)), _SIZES)))

    return Target(make, _read_config, tuple(json.dumps(seed).encode() for seed in seeds))


def _known(part: str) -> Iterator[Mapping[str, Any]]:
    for name in known_models():
        digest = find_digest(name)
        if digest is not None and getattr(digest, part):
            yield getattr(digest, part)


def _read_config(data: bytes) -> None:
    with handled(Refused):
        request = {"files": ["config.json"], "model": "org/m", "source": "here", "commit": ""}
        found = facts_of(digest_of(request, lambda _name, start, length: data[start : start + length]))
        for engine in ("vllm", "sglang"):
            _judge(found, engine)
    try:
        said = parse_json(data)
    except JsonError:
        return
    if not isinstance(said, dict):
        return
    for facts in (facts_from_config(said), facts_from_config(digest_config(said))):
        for engine in ("vllm", "sglang"):
            _judge(facts, engine)


def _judge(facts: ModelFacts, engine: str) -> None:
    settings = settings_of(engine, _COMMANDS[engine])
    "\n".join(estimate_lines(estimate(facts, settings, [assumed_spark("a"), assumed_spark("b")])))


def gguf(folders: tuple[Path, ...]) -> Target:
    """The header of a GGUF: keys, tensors, facts, and the estimate of llama.cpp."""
    shipped = [{str(k): v for k, v in keys.items() if _writable(v)} for keys in _known("gguf")]
    seeds = [(headers.LLAMA_KEYS, headers.LLAMA_TENSORS), (headers.HYBRID_KEYS, headers.LLAMA_TENSORS)]
    seeds += [({**headers.LLAMA_KEYS, **keys}, headers.LLAMA_TENSORS[:3]) for keys in shipped[:12]]
    files = [headers.gguf(keys, tensors) for keys, tensors in seeds]

    def make(chance: Random) -> bytes:
        if mutate.rare(chance, 2):
            return mutate.raw(chance, chance.choice(files))
        keys, tensors = chance.choice(seeds)
        changed = dict(keys)
        for name in chance.sample(sorted(changed), chance.choice([1, 2, 4])):
            changed[name] = chance.choice([0, 1, 3, 65_536, 4_294_967_295, "x", "", 1e30, -1.0, True, [0], [1] * 5000])
        sized = [(name, [chance.choice([size, 0, 1 << 40, (1 << 64) - 1]) for size in sizes], chance.choice([kind, 99]))
                 for name, sizes, kind in tensors]  # fmt: skip
        return headers.gguf(changed, sized)

    return Target(make, _read_gguf, tuple(files))


def _writable(value: object) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, int) and 0 <= item < 1 << 32 for item in value)
    return isinstance(value, bool | str) or (isinstance(value, int) and 0 <= value < 1 << 32)


def _read_gguf(data: bytes) -> None:
    with handled(Refused, GgufError, JsonError):
        request = {"files": ["m.gguf"], "model": "org/m:Q4", "source": "here", "commit": "", "quant": "Q4"}
        digest = digest_of(request, lambda _name, start, length: data[start : start + length])
        again = from_data(parse_json(json.dumps(to_data(digest))))
        for found in (digest, again):
            if found is not None:
                settings = settings_of("llama-cpp", ("llama-server", "--ctx-size", "32768", "--parallel", "2"))
                "\n".join(estimate_lines(estimate(facts_of(found), settings, [assumed_spark("a")])))


def safetensors(folders: tuple[Path, ...]) -> Target:
    """The header of a safetensors file beside a configuration: tensors, weights, and an estimate."""
    seeds = [headers.TENSORS]
    words = mutate.words_of(seeds)

    def make(chance: Random) -> bytes:
        if mutate.rare(chance, 4):
            return mutate.raw(chance, headers.safetensors(headers.TENSORS))
        if mutate.rare(chance, 20):
            root = tree(headers.TENSORS)
            root.pairs[1][1].pairs[1] = ("shape", Raw("[" + ", ".join(["9"] * chance.choice([1000, 50_000])) + "]"))
            return headers.framed(to_json(root).encode())
        return headers.framed(mutate.json_bytes(chance, seeds, words))

    return Target(make, _read_safetensors, (headers.safetensors(headers.TENSORS),))


def _read_safetensors(data: bytes) -> None:
    files = {"config.json": json.dumps(_SMALL).encode(), "model.safetensors": data}
    with handled(Refused, SafetensorsError):
        request = {"files": list(files), "model": "org/m", "source": "here", "commit": ""}
        digest = digest_of(request, lambda name, start, length: files[name][start : start + length])
        json.dumps(to_data(digest))
        for engine in ("vllm", "sglang"):
            _judge(facts_of(digest), engine)
