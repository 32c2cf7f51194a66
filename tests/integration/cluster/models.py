"""The models of the tests, made on the spot: a tiny llama that llama-server really runs, and a tiny checkpoint."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterable
from pathlib import Path

from cluster import gguf

CHECKPOINT = "tiny-lab/tiny-chat"
"""For vLLM and SGLang: a configuration and two shards."""

GGUF = "tiny-lab/tiny-chat-GGUF"
"""For llama.cpp: two quantisations and a near namesake of one."""

GATED = "tiny-lab/gated-chat"
"""As the checkpoint, but only for those with a token."""

GGUF_CHOSEN = "tiny-chat-Q8_0.gguf"
WIDTH = 64
"""Numbers per token inside the llama."""

_LAYERS, _HEADS, _KV_HEADS, _CONTEXT = 2, 4, 2, 4096
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


# --- GGUF --------------------------------------------------------------------------------------------------------

_CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_gguf(path: Path, quantised: bool) -> None:
    """A llama of 200,000 random parameters, in Q8_0 or F16."""
    tokens, scores, kinds = _vocabulary()
    metadata: dict[str, gguf.Value] = {
        "general.architecture": "llama",
        "general.name": "tiny-chat",
        "general.file_type": 7 if quantised else 1,
        "llama.context_length": _CONTEXT,
        "llama.embedding_length": WIDTH,
        "llama.block_count": _LAYERS,
        "llama.feed_forward_length": 3 * WIDTH,
        "llama.attention.head_count": _HEADS,
        "llama.attention.head_count_kv": _KV_HEADS,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": WIDTH // _HEADS,
        "llama.rope.freq_base": 10000.0,
        "llama.vocab_size": len(tokens),
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": scores,
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 4,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.ggml.add_space_prefix": True,
        "tokenizer.chat_template": _CHAT_TEMPLATE,
    }
    gguf.write(path, metadata, _tensors(len(tokens)), gguf.Q8_0 if quantised else gguf.F16)


def _tensors(vocabulary: int) -> Iterable[tuple[str, gguf.Shape]]:
    kv = WIDTH * _KV_HEADS // _HEADS
    yield "token_embd.weight", (WIDTH, vocabulary)
    yield "output_norm.weight", (WIDTH,)
    yield "output.weight", (WIDTH, vocabulary)
    for layer in range(_LAYERS):
        block = f"blk.{layer}."
        yield block + "attn_norm.weight", (WIDTH,)
        yield block + "ffn_norm.weight", (WIDTH,)
        for name, shape in (
            ("attn_q", (WIDTH, WIDTH)), ("attn_k", (WIDTH, kv)), ("attn_v", (WIDTH, kv)),
            ("attn_output", (WIDTH, WIDTH)), ("ffn_gate", (WIDTH, 3 * WIDTH)), ("ffn_up", (WIDTH, 3 * WIDTH)),
            ("ffn_down", (3 * WIDTH, WIDTH)),
        ):  # fmt: skip
            yield f"{block}{name}.weight", shape


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


# --- the projector of images -------------------------------------------------------------------------------------

_SIDE, _PATCH = 56, 14
"""Pixels of an image's side, and of a patch's: sixteen patches, each of which becomes one token."""

_EYE_LAYERS = 2


def write_projector(path: Path) -> None:
    """LLaVA's kind of projector for the llama above: a small CLIP, whose states two matrices turn into tokens."""
    metadata: dict[str, gguf.Value] = {
        "general.architecture": "clip",
        "general.name": "tiny-eye",
        "general.type": "mmproj",
        "general.file_type": 1,
        "clip.has_vision_encoder": True,
        "clip.projector_type": "mlp",
        "clip.use_gelu": True,
        "clip.vision.image_size": _SIDE,
        "clip.vision.patch_size": _PATCH,
        "clip.vision.embedding_length": WIDTH,
        "clip.vision.feed_forward_length": 2 * WIDTH,
        "clip.vision.projection_dim": WIDTH,
        "clip.vision.attention.head_count": _HEADS,
        "clip.vision.attention.layer_norm_epsilon": 1e-5,
        "clip.vision.block_count": _EYE_LAYERS,
        "clip.vision.image_mean": [0.5, 0.5, 0.5],
        "clip.vision.image_std": [0.5, 0.5, 0.5],
    }
    gguf.write(path, metadata, _projector_tensors(), gguf.F16)


def _projector_tensors() -> Iterable[tuple[str, gguf.Shape]]:
    patches = (_SIDE // _PATCH) ** 2
    yield "v.class_embd", (WIDTH,)
    yield "v.patch_embd.weight", (_PATCH, _PATCH, 3, WIDTH)
    yield "v.position_embd.weight", (WIDTH, patches + 1)
    square, up = (WIDTH, WIDTH), (WIDTH, 2 * WIDTH)
    matrices = {"attn_q": square, "attn_k": square, "attn_v": square, "attn_out": square, "ffn_up": up}
    matrices["ffn_down"] = (2 * WIDTH, WIDTH)
    for layer in range(_EYE_LAYERS):
        block = f"v.blk.{layer}."
        for name in ("ln1", "ln2"):
            yield f"{block}{name}.weight", (WIDTH,)
            yield f"{block}{name}.bias", (WIDTH,)
        for name, shape in matrices.items():
            yield f"{block}{name}.weight", shape
            yield f"{block}{name}.bias", (shape[1],)
    for number in (0, 2):
        yield f"mm.{number}.weight", square
        yield f"mm.{number}.bias", (WIDTH,)
