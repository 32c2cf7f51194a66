"""Headers of weights: read piece by piece, no further than needed; damaged ones are told, never a hang."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkrun_tui.models import safetensors_header
from sparkrun_tui.models.gguf import header as gguf_header
from sparkrun_tui.models.gguf.reader import GgufTensor, facts_from_gguf
from sparkrun_tui.models.safetensors_header import Tensor


def reader(data: bytes, asked: list[tuple[int, int]] | None = None) -> Callable[[int, int], bytes]:
    def fetch(start: int, size: int) -> bytes:
        if asked is not None:
            asked.append((start, size))
        return data[start : start + size]

    return fetch


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def scalar(kind: int, form: str, value: float) -> bytes:
    return struct.pack("<I", kind) + struct.pack(form, value)


def strings(values: list[str]) -> bytes:
    return struct.pack("<IIQ", 9, 8, len(values)) + b"".join(text(value) for value in values)


def gguf(keys: dict[str, bytes], tensors: list[tuple[str, list[int], int]], version: int = 3) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys))
    body = b"".join(text(key) + value for key, value in keys.items())
    rows = b"".join(
        text(name)
        + struct.pack("<I", len(sizes))
        + struct.pack(f"<{len(sizes)}Q", *sizes)
        + struct.pack("<IQ", kind, 0)
        for name, sizes, kind in tensors
    )
    return head + body + rows


KEYS = {
    "general.architecture": struct.pack("<I", 8) + text("qwen3"),
    "qwen3.block_count": scalar(4, "<I", 2),
    "qwen3.context_length": scalar(4, "<I", 40960),
    "qwen3.embedding_length": scalar(4, "<I", 64),
    "qwen3.feed_forward_length": scalar(4, "<I", 128),
    "qwen3.attention.head_count": scalar(4, "<I", 4),
    "qwen3.attention.head_count_kv": struct.pack("<IIQ", 9, 4, 2) + struct.pack("<II", 2, 2),
    "qwen3.attention.key_length": scalar(4, "<I", 16),
    "qwen3.attention.value_length": scalar(4, "<I", 16),
    "qwen3.rope.freq_base": scalar(6, "<f", 1e6),
    "general.finetuned": scalar(7, "<?", True),
    "tokenizer.ggml.tokens": strings([f"word {number}" for number in range(6000)]),
    "tokenizer.ggml.scores": struct.pack("<IIQ", 9, 6, 5000) + bytes(4 * 5000),
}
TENSORS = [("token_embd.weight", [64, 6000], 8), ("blk.0.attn_q.weight", [64, 64], 12)]


def test_a_gguf_header_tells_keys_and_tensors() -> None:
    asked: list[tuple[int, int]] = []
    header = gguf_header.read_header(reader(gguf(KEYS, TENSORS) + bytes(3 << 20), asked))
    assert asked == [(0, 1 << 20)]
    assert header.keys["general.architecture"] == "qwen3"
    assert header.keys["qwen3.attention.head_count_kv"] == [2, 2]
    assert header.keys["general.finetuned"] is True
    assert header.keys["tokenizer.ggml.tokens"] == 6000
    assert header.keys["tokenizer.ggml.scores"] == 5000
    assert header.tensors == (
        GgufTensor("token_embd.weight", 8, 64 * 6000),
        GgufTensor("blk.0.attn_q.weight", 12, 64 * 64),
    )
    facts = facts_from_gguf(header.keys, header.tensors, "Q8_0")
    assert facts.vocab == 6000
    assert facts.layers is not None and len(facts.layers) == 2
    assert facts.weights is not None and facts.weights.embedding == 64 * 6000 * 34 // 32


def test_a_long_header_is_fetched_in_growing_pieces() -> None:
    words = [f"a rather long word of a tokenizer, number {number}" for number in range(60_000)]
    data = gguf({**KEYS, "tokenizer.ggml.merges": strings(words)}, TENSORS)
    asked: list[tuple[int, int]] = []
    header = gguf_header.read_header(reader(data, asked))
    assert header.keys["tokenizer.ggml.merges"] == 60_000
    assert len(header.tensors) == 2
    assert [size for _, size in asked] == sorted(size for _, size in asked)
    assert all(start <= len(data) for start, _ in asked)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "ends within"),
        (b"PK\x03\x04" + bytes(40), "does not begin"),
        (gguf(KEYS, TENSORS, version=1), "version 1"),
        (gguf(KEYS, TENSORS)[:200], "ends within"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 0), "tensors"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 2**40), "string"),
        (gguf({"x": struct.pack("<I", 77)}, []), "unknown type 77"),
        (gguf({"x": struct.pack("<IIQ", 9, 4, 2**61)}, []), "larger than"),
        (gguf({"x": struct.pack("<IIQ", 9, 9, 5000)}, []), "long list"),
        (gguf({}, [("x", [1] * 9, 0)]), "9 dimensions"),
    ],
)
def test_damaged_gguf_headers_are_told(data: bytes, words: str) -> None:
    with pytest.raises(gguf_header.GgufError, match=words):
        gguf_header.read_header(reader(data))


@given(st.binary(max_size=300), st.integers(0, 200))
def test_any_damage_is_an_error_of_ours(noise: bytes, at: int) -> None:
    data = gguf(KEYS, TENSORS)[:3000]
    for damaged in (data[:at] + noise, noise, b"GGUF" + noise, data[:at] + noise + data[at + len(noise) :]):
        try:
            gguf_header.read_header(reader(damaged))
        except gguf_header.GgufError as error:
            assert str(error)
        try:
            safetensors_header.read_header(reader(damaged))
        except safetensors_header.SafetensorsError as error:
            assert str(error)


def safetensors(entries: dict[str, object]) -> bytes:
    raw = json.dumps(entries).encode()
    return struct.pack("<Q", len(raw)) + raw


def test_a_safetensors_header_tells_names_bytes_and_elements() -> None:
    asked: list[tuple[int, int]] = []
    entries = {
        "__metadata__": {"format": "pt"},
        "model.embed_tokens.weight": {"dtype": "BF16", "shape": [100, 8], "data_offsets": [0, 1600]},
        "scale": {"dtype": "F32", "shape": [], "data_offsets": [1600, 1604]},
    }
    found = safetensors_header.read_header(reader(safetensors(entries) + bytes(200_000), asked))
    assert found == (Tensor("model.embed_tokens.weight", "BF16", 1600, 800), Tensor("scale", "F32", 4, 1))
    assert asked == [(0, safetensors_header.FIRST)]


def test_a_long_safetensors_header_takes_a_second_request() -> None:
    entries = {
        f"layer.{number}": {"dtype": "U8", "shape": [2, 2], "data_offsets": [4 * number, 4 * number + 4]}
        for number in range(3000)
    }
    data = safetensors(entries)
    asked: list[tuple[int, int]] = []
    assert len(safetensors_header.read_header(reader(data, asked))) == 3000
    assert asked == [(0, 100_000), (100_000, len(data) - 100_000)]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"1234",
        struct.pack("<Q", 0) + b"{}",
        struct.pack("<Q", 2**50) + b"{}",
        struct.pack("<Q", 50) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 200_000) + b"[" * 200_000,
        safetensors({"x": {"dtype": "F32", "shape": [1]}}),
        safetensors({"x": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}),
        safetensors({"x": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}),
        safetensors({"x": {"dtype": "F32", "shape": "wide", "data_offsets": [0, 4]}}),
        safetensors({"x": 7}),
    ],
)
def test_damaged_safetensors_headers_are_told(data: bytes) -> None:
    with pytest.raises(safetensors_header.SafetensorsError):
        safetensors_header.read_header(reader(data))
