"""The models of the tests, made on the spot: a tiny llama that llama-server really runs, and a tiny checkpoint."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterable
from pathlib import Path

CHECKPOINT = "tiny-lab/tiny-chat"
"""For vLLM and SGLang: a configuration and two shards."""

GGUF = "tiny-lab/tiny-chat-GGUF"
"""For llama.cpp: two quantisations and a near namesake of one."""

GATED = "tiny-lab/gated-chat"
"""As the checkpoint, but only for those with a token."""

GGUF_CHOSEN = "tiny-chat-Q8_0.gguf"
_WIDTH, _LAYERS, _HEADS, _KV_HEADS, _CONTEXT = 64, 2, 4, 2, 4096
_WORDS = (
    "the of and to in is that it was for on are with as at be this have from or one had by word but not what all we"
)


def write_repositories(directory: Path) -> None:
    """All repositories of the Hub stand-in, below `directory`."""
    write_checkpoint(directory / CHECKPOINT)
    write_checkpoint(directory / GATED)
    (directory / GATED / ".gated").touch()
    gguf = directory / GGUF
    gguf.mkdir(parents=True)
    write_gguf(gguf / GGUF_CHOSEN, quantised=True)
    write_gguf(gguf / "tiny-chat-F16.gguf", quantised=False)
    write_gguf(gguf / "tiny-chat-UD-Q8_0.gguf", quantised=True)
    (gguf / "README.md").write_text("# Tiny chat\n")


# --- safetensors -------------------------------------------------------------------------------------------------


def write_checkpoint(directory: Path, shard_mib: int = 2) -> None:
    """A Qwen3 configuration with two shards of random numbers; big enough that a transfer takes a moment."""
    directory.mkdir(parents=True)
    config = {
        "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "torch_dtype": "bfloat16",
        "hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 64, "max_position_embeddings": 4096, "vocab_size": 4096,
    }  # fmt: skip
    weights: dict[str, str] = {}
    rows = shard_mib * 2**20 // (256 * 2)
    for number in (1, 2):
        name = f"model-{number:05d}-of-00002.safetensors"
        tensor = f"model.layers.{number - 1}.mlp.up_proj.weight"
        data = random.Random(number).randbytes(rows * 256 * 2)
        header = {tensor: {"dtype": "BF16", "shape": [rows, 256], "data_offsets": [0, len(data)]}}
        text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
        (directory / name).write_bytes(struct.pack("<Q", len(text)) + text + data)
        weights[tensor] = name
    index = {"metadata": {"total_size": 2 * rows * 256 * 2}, "weight_map": weights}
    (directory / "config.json").write_text(json.dumps(config, indent=2))
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    (directory / "tokenizer.json").write_text("{}")
    (directory / "README.md").write_text("# Tiny chat\n")


# --- GGUF (version 3, as ggml's docs/gguf.md describes it) ---------------------------------------------------------

_U32, _F32, _BOOL, _STRING, _ARRAY, _I32 = 4, 6, 7, 8, 9, 5
_TYPE_F32, _TYPE_F16, _TYPE_Q8_0 = 0, 1, 8
_ALIGNMENT = 32
_CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_gguf(path: Path, quantised: bool) -> None:
    """A llama of 200,000 random parameters, in Q8_0 or F16."""
    tokens, scores, kinds = _vocabulary()
    kind = _TYPE_Q8_0 if quantised else _TYPE_F16
    meta = b"".join(_metadata(tokens, scores, kinds, file_type=7 if quantised else 1))
    count = len(list(_metadata(tokens, scores, kinds, 1)))
    infos, data, tensors = b"", b"", list(_tensors(len(tokens)))
    noise = random.Random(0)
    for name, shape in tensors:
        vector = len(shape) == 1
        infos += _text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        infos += struct.pack("<IQ", _TYPE_F32 if vector else kind, len(data))
        values = shape[0] if vector else shape[0] * shape[1]
        packed = struct.pack(f"<{values}f", *[1.0] * values) if vector else _weights(values, kind, noise)
        data += packed + b"\0" * (-len(packed) % _ALIGNMENT)
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), count) + meta + infos
    path.write_bytes(head + b"\0" * (-len(head) % _ALIGNMENT) + data)


def _tensors(vocabulary: int) -> Iterable[tuple[str, tuple[int, ...]]]:
    """Names and shapes, innermost dimension first."""
    kv = _WIDTH * _KV_HEADS // _HEADS
    yield "token_embd.weight", (_WIDTH, vocabulary)
    yield "output_norm.weight", (_WIDTH,)
    yield "output.weight", (_WIDTH, vocabulary)
    for layer in range(_LAYERS):
        block = f"blk.{layer}."
        yield block + "attn_norm.weight", (_WIDTH,)
        yield block + "ffn_norm.weight", (_WIDTH,)
        for name, shape in (
            ("attn_q", (_WIDTH, _WIDTH)), ("attn_k", (_WIDTH, kv)), ("attn_v", (_WIDTH, kv)),
            ("attn_output", (_WIDTH, _WIDTH)), ("ffn_gate", (_WIDTH, 3 * _WIDTH)), ("ffn_up", (_WIDTH, 3 * _WIDTH)),
            ("ffn_down", (3 * _WIDTH, _WIDTH)),
        ):  # fmt: skip
            yield f"{block}{name}.weight", shape


def _weights(values: int, kind: int, noise: random.Random) -> bytes:
    """Small random weights: halves, or blocks of one half as scale and 32 bytes."""
    if kind == _TYPE_F16:
        return struct.pack(f"<{values}e", *(noise.gauss(0, 0.05) for _ in range(values)))
    return b"".join(struct.pack("<e", 0.001) + noise.randbytes(32) for _ in range(values // 32))


def _vocabulary() -> tuple[list[str], list[float], list[int]]:
    """Specials, all bytes, letters, and every beginning of some words, so that SentencePiece's merges reach them."""
    tokens = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
    kinds = [2, 3, 3, 3, 3]
    tokens += [f"<0x{byte:02X}>" for byte in range(256)]
    kinds += [6] * 256
    pieces = ["▁", *(chr(code) for code in range(33, 127))]
    for word in _WORDS.split():
        pieces += [f"▁{word[:end]}" for end in range(1, len(word) + 1)] + [
            word[:end] for end in range(2, len(word) + 1)
        ]
    pieces = list(dict.fromkeys(pieces))
    tokens += pieces
    kinds += [1] * len(pieces)
    scores = [0.0] * 261 + [-float(rank) for rank in range(len(pieces))]
    return tokens, scores, kinds


def _metadata(tokens: list[str], scores: list[float], kinds: list[int], file_type: int) -> Iterable[bytes]:
    """Key-value pairs, encoded."""
    numbers = {
        "llama.context_length": _CONTEXT, "llama.embedding_length": _WIDTH, "llama.block_count": _LAYERS,
        "llama.feed_forward_length": 3 * _WIDTH, "llama.attention.head_count": _HEADS,
        "llama.attention.head_count_kv": _KV_HEADS, "llama.rope.dimension_count": _WIDTH // _HEADS,
        "llama.vocab_size": len(tokens), "general.file_type": file_type, "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 4, "tokenizer.ggml.unknown_token_id": 0,
    }  # fmt: skip
    texts = {
        "general.architecture": "llama",
        "general.name": "tiny-chat",
        "tokenizer.ggml.model": "llama",
        "tokenizer.chat_template": _CHAT_TEMPLATE,
    }
    for key, text in texts.items():
        yield _text(key) + struct.pack("<I", _STRING) + _text(text)
    for key, number in numbers.items():
        yield _text(key) + struct.pack("<II", _U32, number)
    for key, value in (("llama.attention.layer_norm_rms_epsilon", 1e-5), ("llama.rope.freq_base", 10000.0)):
        yield _text(key) + struct.pack("<If", _F32, value)
    for key in ("tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_space_prefix"):
        yield _text(key) + struct.pack("<I?", _BOOL, True)
    yield _array("tokenizer.ggml.tokens", _STRING, [_text(token) for token in tokens])
    yield _array("tokenizer.ggml.scores", _F32, [struct.pack("<f", score) for score in scores])
    yield _array("tokenizer.ggml.token_type", _I32, [struct.pack("<i", kind) for kind in kinds])


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _array(key: str, kind: int, items: list[bytes]) -> bytes:
    return _text(key) + struct.pack("<IIQ", _ARRAY, kind, len(items)) + b"".join(items)
