"""Facts of a GGUF header: prefixed keys, tensors by class, types and file mixes, damaged headers."""

from __future__ import annotations

import pytest

from sparkrun_tui.memory.llama_cpp.weights import model_buffers
from sparkrun_tui.models.gguf.reader import GgufTensor, facts_from_gguf, gguf_weights
from sparkrun_tui.models.gguf.types import block_length, element_size, file_bits, tensor_bytes, type_name
from sparkrun_tui.models.layers import AttentionKind
from tests.memory import ggufs
from tests.memory.ggufs import facts, told


def prefixed(keys: dict[str, object]) -> dict[str, object]:
    """A header as it stands in the file: the architecture before each key, tokens as a list."""
    arch = keys["arch"]
    header: dict[str, object] = {"general.architecture": arch, "tokenizer.ggml.tokens": ["x"] * int(str(keys["vocab"]))}
    return header | {f"{arch}.{key}": value for key, value in keys.items() if key not in ("arch", "vocab")}


@pytest.mark.parametrize("keys", [ggufs.DENSE, ggufs.GDN_MTP, ggufs.MIXED_HEADS, ggufs.SHORT_CONV])
def test_keys_are_read_with_and_without_their_prefix(keys: dict[str, object]) -> None:
    stripped, whole = facts_from_gguf(keys), facts_from_gguf(prefixed(keys))
    assert whole.layers == stripped.layers and whole.layers
    assert (whole.vocab, whole.max_length, whole.mtp) == (stripped.vocab, stripped.max_length, stripped.mtp)


def test_what_a_header_tells_of_a_model() -> None:
    found = facts(ggufs.GPT_OSS)
    assert (found.heads, found.kv_heads, found.head_dim, found.hidden) == (64, 8, 64, 2880)
    assert (found.experts, found.experts_per_token, found.expert_width) == (32, 4, 2880)
    assert found.layers is not None
    assert [layer.attention.kind for layer in found.layers if layer.attention][:2] == [
        AttentionKind.WINDOW,
        AttentionKind.FULL,
    ]


def test_drafting_blocks_are_no_decoder_layers() -> None:
    found = facts(ggufs.GDN_MTP)
    assert found.layers is not None and len(found.layers) == 64
    assert len(found.mtp) == 1 and found.mtp[0].attention is not None and found.mtp[0].state is None


def test_windows_without_a_size_in_the_header_are_none() -> None:
    header = {key: value for key, value in ggufs.WINDOWED.items() if "window" not in key}
    found = facts(header)
    assert found.layers is not None
    assert all(layer.attention is not None and layer.attention.window is None for layer in found.layers)


@pytest.mark.parametrize(
    ("arch", "window", "full"),
    [("cohere2", 4096, 3), ("gemma2", 4096, 1), ("smallthinker", 4096, 0), ("phi3", 2047, 0), ("exaone4", 4096, 0)],
)
def test_the_first_full_layer_by_architecture(arch: str, window: int, full: int) -> None:
    header = ggufs.DENSE | {"arch": arch, "attention.sliding_window": window}
    found = facts(header)
    assert found.layers is not None
    kinds = [layer.attention.window is None for layer in found.layers if layer.attention]
    assert kinds.index(True) == full


def test_a_pattern_in_the_header_rules() -> None:
    every_third = ggufs.WINDOWED | {"attention.sliding_window_pattern": 3}
    found = facts(every_third)
    assert found.layers is not None
    assert sum(layer.attention is not None and layer.attention.window is None for layer in found.layers) == 20


@pytest.mark.parametrize(
    "damaged",
    [
        {},
        {"arch": "llama"},
        {"arch": "llama", "block_count": 10**9, "embedding_length": 4096},
        {"arch": "llama", "block_count": "many", "embedding_length": None},
        ggufs.DENSE | {"attention.head_count": 0, "attention.head_count_kv": 0},
        ggufs.DENSE | {"attention.head_count_kv": ["a", "b"], "attention.head_count": None},
        ggufs.GDN | {"ssm.state_size": None},
    ],
)
def test_damaged_headers_are_unknown_and_not_an_error(damaged: dict[str, object]) -> None:
    found = facts_from_gguf(damaged)
    assert found.layers is None
    assert found.notes


def test_compressed_layers_have_the_ratios_of_the_header() -> None:
    found = facts(ggufs.COMPRESSED)
    assert found.layers is not None
    assert [layer.attention.compress for layer in found.layers[:4] if layer.attention] == [0, 0, 4, 128]
    without = {key: value for key, value in ggufs.COMPRESSED.items() if "ratios" not in key}
    assert facts(without).layers is None


def test_a_list_of_recurrent_layers_rules() -> None:
    header = ggufs.GDN | {"attention.recurrent_layers": [True] * 60 + [False] * 4}
    found = facts(header)
    assert found.layers is not None
    assert [layer.state is not None for layer in found.layers] == [True] * 60 + [False] * 4


def test_tensors_by_class() -> None:
    tensors = [
        GgufTensor("token_embd.weight", "q8_0", 32000),
        GgufTensor("output.weight", 14, 25600),
        GgufTensor("blk.0.ffn_down_exps.weight", 12, 25600),
        GgufTensor("blk.0.attn_q.weight", "f16", 1000),
        GgufTensor("blk.64.attn_q.weight", "f32", 100),
    ]
    found = gguf_weights(tensors, ggufs.GDN_MTP)
    assert found is not None
    assert (found.embedding, found.head, found.experts, found.drafter) == (34000, 21000, 14400, 400)
    assert found.total == 34000 + 21000 + 14400 + 2000 + 400
    assert gguf_weights([GgufTensor("x", 999, 32)], ggufs.GDN_MTP) is None


def test_drafting_tensors_are_loaded_only_when_they_are_used() -> None:
    tensors = [GgufTensor("output.weight", "f16", 1000), GgufTensor("blk.64.attn_q.weight", "f32", 100)]
    model = facts_from_gguf(ggufs.GDN_MTP, tensors)
    without = model_buffers(model, told("-c 4096"), device=True)
    drafting = model_buffers(model, told("-c 4096 --spec-type draft-mtp"), device=True)
    assert without is not None and drafting is not None
    assert (without.likely, drafting.likely) == (2000, 2400)


def test_a_tied_embedding_exists_twice_with_a_device() -> None:
    model = facts_from_gguf(ggufs.DENSE, [GgufTensor("token_embd.weight", "f16", 1000)])
    on_gpu, on_cpu = (model_buffers(model, told("-c 4096"), device=device) for device in (True, False))
    assert on_gpu is not None and on_cpu is not None
    assert (on_gpu.likely, on_cpu.likely) == (4000, 2000)


@pytest.mark.parametrize(
    ("kind", "elements", "size"),
    [
        ("q4_K", 256, 144),
        ("q6_k", 512, 420),
        (8, 64, 68),
        ("mxfp4", 32, 17),
        ("bf16", 3, 6),
        ("iq1_s", 256, 50),
        (41, 256, 36),
    ],
)
def test_sizes_of_tensor_types(kind: int | str, elements: int, size: int) -> None:
    assert tensor_bytes(kind, elements) == size


def test_unknown_types_are_unknown() -> None:
    assert type_name(12345) is None and tensor_bytes("q9_9", 256) is None and element_size("x") is None
    assert block_length("x") == 1 and file_bits("nonsense") is None


def test_file_mixes_are_wider_than_their_base_type() -> None:
    q4, base = file_bits("Q4_K_M"), element_size("q4_k")
    assert q4 is not None and base is not None and q4 > base * 8
    assert file_bits("UD-Q4_K_XL") == file_bits("q4_k_xl") == 5.24
    assert file_bits("BF16") == 16.0


def test_files_of_mxfp4_experts_keep_the_rest_at_q8_0() -> None:
    model = facts_from_gguf(ggufs.GPT_OSS, quant="MXFP4")
    found = model_buffers(model, told("-c 4096"), device=False)
    assert found is not None
    assert found.likely == pytest.approx(12.1e9, rel=0.03)
