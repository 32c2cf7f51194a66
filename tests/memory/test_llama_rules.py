"""The rules by which llama-server lays out its context: a case per rule, with figures that the server printed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sparkrun_tui.memory.llama_cpp.cache import LlamaRefusal
from sparkrun_tui.memory.llama_cpp.compute import limits_outputs
from sparkrun_tui.memory.llama_cpp.plan import fitted_context, plan_llama
from tests.memory import ggufs, models
from tests.memory.ggufs import MIB, facts, load, told


@pytest.mark.parametrize(
    ("args", "n_ctx", "sequence", "streams"),
    [
        ("-c 8192", 8192, 8192, 1),
        ("-c 4097 -np 2", 4352, 2304, 2),
        ("-c 300 -np 8", 512, 256, 8),
        ("-c 10000 -np 3", 10240, 3584, 3),
        ("-c 10001 -np 4 -kvu", 10240, 10240, 1),
        ("-c 1 -np 2", 256, 256, 2),
        ("-c 0 -np 1", 131072, 131072, 1),
        ("-c 8192 -no-kvu", 8192, 8192, 1),
    ],
)
def test_contexts_are_padded_twice_and_shared(args: str, n_ctx: int, sequence: int, streams: int) -> None:
    shape = load(ggufs.DENSE, args).shape
    assert (shape.n_ctx, shape.sequence, shape.streams) == (n_ctx, sequence, streams)


def test_four_slots_are_the_default() -> None:
    assert load(ggufs.DENSE, "-c 8192").shape.slots == 4
    assert load(ggufs.DENSE, "-c 8192 -np -1").shape.slots == 4
    assert load(ggufs.DENSE, "-c 8192 -np 16").shape.slots == 16


def test_a_limit_of_each_slot_sizes_the_context_that_was_not_given() -> None:
    assert load(ggufs.DENSE, "-np 8 --kv-unified-per-slot 8192").shape.n_ctx == 65536
    assert load(ggufs.DENSE, "--kv-unified-per-slot 8192").shape.n_ctx == 32768
    assert load(ggufs.DENSE, "-c 16384 --kv-unified-per-slot 8192").shape.n_ctx == 16384
    assert load(ggufs.DENSE, "-c 0 --kv-unified-per-slot 8192").shape.n_ctx == 131072
    settings = told("-np 8 --kv-unified-per-slot 8192")
    assert fitted_context(facts(ggufs.DENSE), settings, 0, 1 << 30) == 65536


def test_a_full_cache_holds_every_cell_of_every_stream() -> None:
    assert load(ggufs.DENSE, "-c 8192").cache.kv == 1024 * MIB
    assert load(ggufs.DENSE, "-c 300 -np 8").cache.kv == 256 * MIB


@pytest.mark.parametrize(
    ("kinds", "mib"),
    [
        ("f32", 4096),
        ("f16", 2048),
        ("q8_0", 1088),
        ("q5_1", 768),
        ("q5_0", 704),
        ("q4_1", 640),
        ("q4_0", 576),
        ("iq4_nl", 576),
    ],
)
def test_quantised_caches_have_the_size_of_their_blocks(kinds: str, mib: int) -> None:
    assert load(ggufs.DENSE, f"-c 16384 -np 1 -ctk {kinds} -ctv {kinds}").cache.kv == mib * MIB


@pytest.mark.parametrize(
    ("args", "cells"),
    [
        ("-c 8192", 4608),
        ("-c 8192 -np 1", 1536),
        ("-c 32768 -np 4", 1536),
        ("-c 1000 -np 1", 1024),
        ("-c 32768 -np 2 --swa-full", 16384),
    ],
)
def test_windows_grow_with_the_slots_of_a_shared_cache_only(args: str, cells: int) -> None:
    plan = load(ggufs.WINDOWED, args)
    token = 16 * (128 + 128) * 2
    assert plan.cache.window == plan.shape.streams * cells * 52 * token
    assert plan.cache.full == plan.shape.allocated * 10 * token


def test_windows_of_a_small_micro_batch() -> None:
    plan = load(ggufs.GPT_OSS, "-c 10000 -np 3 -ub 256")
    assert plan.cache.window == 3 * 512 * 12 * 8 * 128 * 2


def test_llama4_has_chunks_of_8192_whatever_its_header_says() -> None:
    plan = load(ggufs.CHUNKED, "-c 32768 -np 4 -kvu")
    assert plan.cache.full == 12 * 32768 * 4096
    assert plan.cache.window == 36 * 32768 * 4096
    assert load(ggufs.CHUNKED, "-c 32768 -np 1").cache.window == 36 * 8704 * 4096


def test_shared_layers_keep_no_cache_of_their_own() -> None:
    plan = load(ggufs.SHARED, "-c 8192")
    assert plan.cache.full == 64 * MIB
    assert plan.cache.window == 80 * MIB


def test_layers_with_other_heads_are_counted_apart() -> None:
    plan = load(ggufs.MIXED_HEADS, "-c 8192")
    assert (plan.cache.full, plan.cache.window) == (128 * MIB, 1440 * MIB)


def test_without_flash_attention_values_are_as_wide_as_the_widest_layer() -> None:
    plan = load(ggufs.MIXED_HEADS, "-c 8192 -np 1 -fa off")
    assert plan.cache.full == (64 + 256) * MIB


def test_latent_models_keep_keys_only() -> None:
    assert load(ggufs.LATENT, "-c 8192 -np 1").cache.kv == 27 * 8192 * 576 * 2


def test_old_latent_files_keep_every_head() -> None:
    old = {key: value for key, value in ggufs.LATENT.items() if not key.endswith("_mla")}
    old |= {"attention.head_count_kv": 16, "attention.key_length": 192, "attention.value_length": 128}
    assert load(old, "-c 8192").cache.kv == 2160 * MIB


def test_index_keys_of_sparse_attention_come_on_top() -> None:
    sparse = ggufs.LATENT | {"arch": "deepseek32", "attention.indexer.key_length": 128}
    assert load(sparse, "-c 8192 -np 1").cache.indexer == 27 * 8192 * 128 * 2
    fewer = sparse | {"arch": "glm-dsa", "context_length": 1048576}
    assert load(fewer, "-c 8192 -np 1").cache.indexer == 9 * 8192 * 128 * 2
    listed = sparse | {"attention.indexer.types": [1] + [0] * 26}
    assert load(listed, "-c 8192 -np 1").cache.indexer == 8192 * 128 * 2


def test_compressed_caches() -> None:
    whole = load(ggufs.COMPRESSED, "-c 8448 -np 1 --swa-full")
    assert whole.cache.window == 354.75 * MIB
    assert whole.cache.full == (21 * 2304 + 20 * 256) * 512 * 2
    assert whole.cache.indexer == 21 * 2304 * 128 * 2
    assert whole.cache.state == (21 * 2 * 8 * 2 * (512 + 128) + 20 * 2 * 128 * 512) * 4
    assert load(ggufs.COMPRESSED, "-c 8448 -np 1").cache.window == 43 * 768 * 512 * 2
    assert load(ggufs.COMPRESSED, "-c 8448").cache.window == 4 * 43 * 768 * 512 * 2
    printed = load(ggufs.COMPRESSED, "-c 8192").cache
    assert (printed.full, printed.indexer, printed.window) == (188 * MIB, 42 * MIB, 129 * MIB)
    assert round(printed.state / MIB, 2) == 46.56


@pytest.mark.parametrize(("args", "mib"), [("-c 8192", 598.5), ("-c 8192 -np 1", 149.625), ("-c 8192 -np 32", 4788)])
def test_each_slot_has_a_recurrent_state(args: str, mib: float) -> None:
    plan = load(ggufs.GDN, args)
    assert plan.cache.state == mib * MIB
    assert plan.cache.full == 16 * plan.shape.allocated * 4 * 512 * 2


def test_short_convolutions_keep_columns_only() -> None:
    assert load(ggufs.SHORT_CONV, "-c 8192 -np 1").cache.state == 10 * 2 * 2048 * 4


def test_mamba1_has_no_groups() -> None:
    header = ggufs.keys(
        "jamba",
        262144,
        4096,
        32,
        32,
        [0, 0, 0, 0, 8, 0, 0, 0] * 4,
        65536,
        feed_forward_length=14336,
        ssm__conv_kernel=4,
        ssm__inner_size=8192,
        ssm__state_size=16,
        ssm__time_step_rank=256,
    )
    plan = load(header, "-c 4096 -np 1")
    assert plan.cache.state == 28 * (3 * 8192 + 16 * 8192) * 4
    assert plan.cache.kv == 4 * 4096 * 8 * 256 * 2


def test_blocks_may_have_attention_and_a_state() -> None:
    header = ggufs.keys(
        "falcon-h1",
        262144,
        3072,
        44,
        12,
        2,
        130048,
        feed_forward_length=12288,
        attention__key_length=128,
        attention__value_length=128,
        ssm__conv_kernel=4,
        ssm__inner_size=3072,
        ssm__state_size=256,
        ssm__group_count=1,
        ssm__time_step_rank=24,
    )
    plan = load(header, "-c 4096 -np 1")
    assert plan.cache.kv == 44 * 4096 * 2 * 256 * 2
    assert plan.cache.state == 44 * (3 * (3072 + 512) + 256 * 3072) * 4


def test_feed_forward_blocks_keep_nothing() -> None:
    header = ggufs.keys(
        "nemotron_h",
        131072,
        4480,
        4,
        40,
        [0, 0, 8, 0],
        131072,
        feed_forward_length=[0, 15680, 0, 15680],
        attention__key_length=128,
        attention__value_length=128,
        ssm__conv_kernel=4,
        ssm__inner_size=10240,
        ssm__state_size=128,
        ssm__group_count=8,
        ssm__time_step_rank=128,
    )
    plan = load(header, "-c 4096 -np 1")
    assert plan.cache.state == (3 * (10240 + 2048) + 128 * 10240) * 4
    assert plan.cache.kv == 4096 * 8 * 256 * 2


def test_delta_attention_keeps_square_states() -> None:
    header = ggufs.LATENT | {
        "arch": "kimi-linear",
        "kda.head_dim": 128,
        "ssm.conv_kernel": 4,
        "attention.head_count": 32,
        "attention.head_count_kv": [0, 0, 1] * 9,
    }
    plan = load(header, "-c 4096 -np 1")
    assert plan.cache.state == 18 * (3 * 3 * 32 * 128 + 32 * 128 * 128) * 4
    assert plan.cache.kv == 9 * 4096 * 576 * 2


def test_mtp_multiplies_the_states_and_brings_a_context_of_its_own() -> None:
    plan = load(ggufs.GDN_MTP, "-c 8192 --spec-type draft-mtp -np 1")
    assert plan.cache.state == 598.5 * MIB
    assert plan.cache.kv == 512 * MIB
    assert plan.draft is not None and plan.draft.kv == 32 * MIB
    assert load(ggufs.GDN_MTP, "-c 8192 --spec-type draft-mtp").cache.state == 2394 * MIB
    assert load(ggufs.GDN_MTP, "-c 8192 --spec-type draft-mtp --spec-draft-n-max 1 -np 1").cache.state == 299.25 * MIB


def test_without_mtp_its_blocks_are_left_alone() -> None:
    plan = load(ggufs.GDN_MTP, "-c 8192 -np 1")
    assert (plan.cache.kv, plan.cache.state, plan.draft) == (512 * MIB, 149.625 * MIB, None)


def test_the_drafter_keeps_f16_whatever_the_target_has() -> None:
    plan = load(ggufs.GDN_MTP, "-c 8192 --spec-type draft-mtp -np 1 -ctk q8_0 -ctv q8_0")
    assert plan.draft is not None and plan.draft.kv == 32 * MIB
    smaller = load(ggufs.GDN_MTP, "-c 8192 --spec-type draft-mtp -np 1 -ctkd q8_0 -ctvd q8_0")
    assert smaller.draft is not None and smaller.draft.kv == 17 * MIB


def test_a_draft_model_has_a_full_cache_at_the_targets_context() -> None:
    model = replace(facts(ggufs.DENSE), drafter=facts(ggufs.GPT_OSS))
    plan = plan_llama(model, told("-c 8192 -np 4 -md small.gguf"), 8192)
    assert plan.draft is not None
    assert plan.draft.full == 12 * 8192 * 8 * 128 * 2
    assert plan.draft_compute.likely > 0


def test_outputs_are_one_row_per_slot() -> None:
    assert load(ggufs.DENSE, "-c 8192").cache.output == 4 * 128256 * 4
    assert load(ggufs.DENSE, "-c 8192 --spec-type ngram-mod -np 2").shape.outputs == 2 * 65


@pytest.mark.parametrize(
    ("args", "batch", "ubatch"),
    [
        ("-c 8192", 2048, 512),
        ("-c 100", 100, 100),
        ("-c 16384 -ub 512 -b 256", 256, 256),
        ("-c 16384 -ub 4096 -b 4096", 4096, 4096),
    ],
)
def test_batches_are_bounded_by_the_wanted_context(args: str, batch: int, ubatch: int) -> None:
    shape = load(ggufs.DENSE, args).shape
    assert (shape.batch, shape.ubatch) == (batch, ubatch)


@pytest.mark.parametrize(
    ("header", "args", "mib"),
    [
        (ggufs.DENSE, "-c 0 -np 1", 252.02),
        (ggufs.GDN, "-c 8192 -np 1", 160.02),
        (ggufs.GDN, "-c 0", 408.02),
        (ggufs.GPT_OSS, "-c 0", 224.65),
        (ggufs.WINDOWED, "-c 8192 -np 1", 188.03),
    ],
)
def test_the_compute_buffer_is_near_what_was_printed(header: dict[str, object], args: str, mib: float) -> None:
    found = load(header, args).compute
    assert found is not None
    assert found.likely == pytest.approx(mib * MIB, rel=0.02)
    assert found.low <= mib * MIB <= found.high


def test_older_builds_hold_logits_of_a_whole_micro_batch() -> None:
    model = facts(ggufs.DENSE)
    old = plan_llama(model, told("-c 8192", build="b6000"), 8192, device=False).compute
    assert old is not None and old.likely == 512 * (128256 + 4096) * 4
    assert not limits_outputs("b6000") and limits_outputs("b11669") and limits_outputs("")
    embedding = load(ggufs.DENSE, "-c 8192 --embeddings").compute
    assert embedding is not None and embedding.likely == old.likely


@pytest.mark.parametrize(
    ("header", "args", "why"),
    [
        (ggufs.DENSE, "-c 8192 -fa off -ctv q8_0", "flash attention"),
        (ggufs.DENSE | {"arch": "grok"}, "-c 8192 -ctv q8_0", "this architecture has not"),
        (ggufs.LATENT, "-c 8192 -ctk q8_0", "set both"),
        (ggufs.COMPRESSED, "-c 8192 -ctk q8_0", "set both"),
        (ggufs.DENSE, "-c 8192 -ctk q3_0", "unsupported cache type q3_0"),
        (
            ggufs.DENSE | {"attention.key_length": 80, "attention.value_length": 80},
            "-c 8192 -ctk q8_0",
            "do not divide",
        ),
        (ggufs.DENSE | {"arch": "phi3"}, "-c 8192 -np 4 -ctk q8_0 -ctv q8_0", "aborts"),
    ],
)
def test_settings_that_the_server_refuses(header: dict[str, object], args: str, why: str) -> None:
    with pytest.raises(LlamaRefusal, match=why):
        load(header, args)


@pytest.mark.parametrize(
    ("header", "args"),
    [
        (ggufs.DENSE, "-c 8192 -fa off -ctk q8_0"),
        (
            ggufs.DENSE | {"attention.key_length": 80, "attention.value_length": 80},
            "-c 8192 -fa off -ctk q8_0",
        ),
        (ggufs.LATENT, "-c 8192 -ctk q8_0 -ctv q8_0"),
        (ggufs.DENSE | {"arch": "phi3"}, "-c 8192 -np 1 -ctk q8_0 -ctv q8_0"),
    ],
)
def test_neighbours_of_refused_settings_load(header: dict[str, object], args: str) -> None:
    assert load(header, args).cache.kv > 0


@pytest.mark.parametrize(
    ("args", "context"),
    [
        ("-np 1", 68352),
        ("-np 1 -fitt 8192", 11520),
        ("-np 1 -fitt 20000", 4096),
        ("-np 1 -fitt 20000 -fitc 8192", 8192),
        ("-c 0 -np 1", 131072),
        ("-np 1 --fit off", 131072),
        ("-c 200000 -np 1", 200000),
    ],
)
def test_fit_cuts_the_context_only_when_none_was_given(args: str, context: int) -> None:
    weights, free = int(14315.02 * MIB), 24105 * MIB
    assert fitted_context(facts(ggufs.DENSE), told(args), weights, free, device=False) == context


def test_fit_leaves_everything_on_a_large_machine() -> None:
    assert fitted_context(facts(ggufs.DENSE), told("-np 1"), 14315 * MIB, 100_000 * MIB) == 131072


def test_windows_that_llama_cpp_does_not_use_are_full_attention() -> None:
    model = models.facts(models.DENSE, model_type="mistral", sliding_window=4096)
    plan = plan_llama(model, told("-c 16384 -np 1"), 16384)
    assert plan.cache.window == 0
    assert plan.cache.full == 36 * 16384 * 8 * 256 * 2
