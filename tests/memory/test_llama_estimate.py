"""The estimate for llama.cpp as a person sees it: verdicts, pictures, proposals, and what is unknown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sparkrun_tui.memory.estimate import assumed_spark, estimate
from sparkrun_tui.memory.llama_cpp.case import LlamaCase, work_out
from sparkrun_tui.memory.measured import Measured
from sparkrun_tui.memory.result import Estimate, HostMemory, Level
from sparkrun_tui.models.facts import ModelFacts, WeightFacts, facts_from_metadata, merge
from tests.memory import ggufs
from tests.memory.ggufs import facts, told

GIB = 1 << 30
SPARK = assumed_spark("spark-1")


def judge(model: ModelFacts, args: str, *hosts: HostMemory) -> Estimate:
    """The estimate of llama-server on some hosts, by default one assumed Spark."""
    return estimate(model, told(args), hosts or (SPARK,))


def case(model: ModelFacts, args: str) -> LlamaCase:
    """The same, worked out but not put into words."""
    return work_out(model, told(args), SPARK)


def keys_of(found: Estimate) -> list[str]:
    """The keys of the proposals, in order."""
    return [proposal.key for proposal in found.proposals]


def test_a_recipe_that_fits_says_what_each_slot_gets() -> None:
    found = judge(facts(ggufs.DENSE, 16), "-c 32768 -np 4")
    assert found.level is Level.GOOD
    assert found.context.text == "8,192 tokens fit, 4.0 at once"
    assert found.pool_tokens == 32768
    assert found.kv_bytes_per_request == GIB
    assert found.max_context == 131072
    assert found.min_hosts == 1
    assert found.proposals == ()
    assert found.engine_version == "llama.cpp b11669"


def test_slots_of_a_shared_cache_share_its_cells() -> None:
    found = judge(facts(ggufs.DENSE, 16), "-c 32768")
    assert found.context.text == "32,768 tokens fit, 1.0 at once"
    assert "shared by 4 slots" in found.context.detail


def test_slots_never_get_more_than_the_model_was_trained_on() -> None:
    found = judge(facts(ggufs.DENSE, 16), "-c 262144 -np 1")
    assert found.context.text.startswith("131,072 tokens fit")
    assert found.pool_tokens == 262144
    assert any("slots get at most 131,072 tokens" in note for note in found.notes)


def test_the_parts_of_a_picture_add_up_to_the_host() -> None:
    picture = judge(facts(ggufs.GDN, 16), "-c 32768").hosts[0]
    assert picture.free is not None and picture.budget is None
    assert sum(part.bytes for part in picture.parts) + picture.free == SPARK.total
    assert [part.kind for part in picture.parts] == ["others", "weights", "kv", "activation", "overhead"]
    assert all(part.low <= part.bytes <= part.high for part in picture.parts)


def test_a_context_too_large_for_the_host_does_not_start() -> None:
    found = judge(facts(ggufs.DENSE, 110), "-c 131072 -np 1")
    assert found.starts.level is Level.BAD
    assert found.level is Level.BAD
    assert found.context.text.startswith("only ")
    assert found.max_context is not None and 0 < found.max_context < 131072


def test_the_largest_context_is_the_largest_that_fits() -> None:
    worked = case(facts(ggufs.DENSE, 110), "-c 131072 -np 1")
    longest = worked.longest
    assert longest is not None and longest % 256 == 0
    model = facts(ggufs.DENSE, 110)
    assert case(model, f"-c {longest} -np 1").left is not None
    assert (case(model, f"-c {longest} -np 1").left or -1) >= 0
    assert (case(model, f"-c {longest + 256} -np 1").left or 0) < 0


def test_proposals_shorten_quantise_and_take_slots_away() -> None:
    found = judge(facts(ggufs.DENSE, 100), "-c 131072 -np 4")
    assert keys_of(found)[:3] == ["ctx_size", "cache_type_k", "cache_type_v"]
    shorter = found.proposals[0]
    assert shorter.old == "131072"
    assert judge(facts(ggufs.DENSE, 100), f"-c {shorter.new} -np 4").level is not Level.BAD
    many = judge(facts(ggufs.GDN, 102), "-c 65536 -np 32")
    assert "n_parallel" in keys_of(many)


def test_quantised_caches_are_not_proposed_where_flash_attention_is_off() -> None:
    found = judge(facts(ggufs.DENSE, 100), "-c 131072 -np 4 -fa off")
    assert "cache_type_k" not in keys_of(found)


def test_a_refusal_is_told_with_what_to_set() -> None:
    found = judge(facts(ggufs.LATENT, 30), "-c 8192 -ctk q8_0")
    assert found.starts.level is Level.BAD and "set both" in found.starts.detail
    assert [(p.key, p.new) for p in found.proposals] == [("cache_type_v", "q8_0")]
    plain = judge(facts(ggufs.DENSE, 30), "-c 8192 -fa off -ctk q8_0 -ctv q8_0")
    assert [(p.key, p.new) for p in plain.proposals] == [("cache_type_v", "f16")]


def test_fit_is_said_when_it_cuts_the_context() -> None:
    model = facts(ggufs.DENSE, 101)
    cut = judge(model, "-np 1")
    assert cut.context.text.startswith("--fit cuts the context to ")
    assert cut.context.level is Level.TIGHT
    given = judge(model, "-c 131072 -np 1")
    assert given.context.level is Level.BAD


def test_a_model_too_large_ends_at_the_floor_of_fit() -> None:
    found = judge(facts(ggufs.DENSE, 130), "-np 1")
    assert found.level is Level.BAD
    assert any("floor of 4,096 tokens" in note for note in found.notes)


def test_four_default_slots_of_a_hybrid_are_told() -> None:
    notes = judge(facts(ggufs.GDN, 16), "-c 32768").notes
    assert any("4 slots are the default" in note for note in notes)
    assert not any("slots are the default" in note for note in judge(facts(ggufs.GDN, 16), "-c 32768 -np 1").notes)


def test_what_grows_after_the_start_is_told() -> None:
    assert any("--cache-ram" in note for note in judge(facts(ggufs.DENSE, 16), "-c 8192").notes)


def test_unknown_weights_leave_the_verdict_open() -> None:
    found = judge(facts(ggufs.DENSE), "-c 8192")
    assert found.level is Level.UNKNOWN
    assert found.starts.level is Level.UNKNOWN
    assert found.weights_bytes is None
    assert found.hosts[0].free is None


def test_unknown_architectures_stay_unknown() -> None:
    found = judge(facts({"arch": "something-new", "context_length": 4096}, 10), "-c 4096")
    assert found.level is Level.UNKNOWN
    assert found.kv_bytes_per_request is None and found.pool_tokens is None
    assert any("something-new" in note for note in found.notes)


@pytest.mark.parametrize(("dtype", "gib"), [("Q4_K_M", 4.52), ("q8_0", 7.92), ("UD-Q4_K_XL", 4.88), ("f16", 14.9)])
def test_a_recipe_alone_tells_weights_by_the_files_quantisation(dtype: str, gib: float) -> None:
    declared = facts_from_metadata(
        model_params=8_000_000_000, model_dtype=dtype, num_layers=32, num_kv_heads=8, head_dim=128
    )
    found = estimate(declared, told("-c 8192 -np 1"), (SPARK,))
    assert found.weights_bytes == pytest.approx(gib * GIB, rel=0.01)
    assert found.kv_bytes_per_request == GIB


def test_what_the_recipe_declares_wins_over_the_file() -> None:
    declared = facts_from_metadata(model_vram_bytes=20 * GIB)
    found = estimate(merge(declared, facts(ggufs.DENSE, 16)), told("-c 8192"), (SPARK,))
    assert found.weights_bytes == 20 * GIB


def test_an_earlier_start_replaces_the_weights() -> None:
    earlier = Measured("measured on spark-1, 2 days ago", 1.0, SPARK.total, weights=17 * GIB)
    found = estimate(facts(ggufs.DENSE, 16), told("-c 8192"), (SPARK,), {"spark-1": earlier})
    weights = next(part for part in found.hosts[0].parts if part.kind == "weights")
    assert (weights.bytes, weights.source) == (17 * GIB, "measured on spark-1, 2 days ago")


def test_hosts_that_lend_their_memory_share_the_model() -> None:
    settings = replace(told("-c 8192 -np 1"), tensor_parallel=2)
    two = estimate(facts(ggufs.DENSE, 150), settings, (SPARK, assumed_spark("spark-2")))
    assert len(two.hosts) == 2
    assert two.starts.level is Level.GOOD
    assert two.weights_bytes == 150 * GIB
    assert judge(facts(ggufs.DENSE, 150), "-c 8192 -np 1").starts.level is Level.BAD


def test_an_image_projector_is_counted() -> None:
    plain = judge(facts(ggufs.DENSE, 16), "-c 8192").hosts[0].free
    seeing = judge(facts(ggufs.DENSE, 16), "-c 8192 --mmproj mmproj.gguf").hosts[0].free
    assert plain is not None and seeing is not None and plain - seeing > GIB


@pytest.mark.parametrize(
    ("args", "counted"),
    [
        ("-hf a/b:Q4_K_M -c 8192", True),
        ("-hf a/b:Q4_K_M --no-mmproj -c 8192", False),
        ("-hf a/b:Q4_K_M --mmproj none -c 8192", False),
        ("-m /m/f.gguf -c 8192", False),
        ("-m /m/f.gguf --mmproj F16 -c 8192", True),
    ],
)
def test_the_projector_of_a_repository_is_counted_where_it_is_taken(args: str, counted: bool) -> None:
    model = facts(ggufs.DENSE, 16)
    weights = replace(model.weights, vision=GIB) if model.weights else WeightFacts(16 * GIB, "headers", vision=GIB)
    plain = judge(replace(model, weights=replace(weights, vision=0)), "-c 8192").hosts[0].free
    seeing = judge(replace(model, weights=weights), args).hosts[0].free
    assert plain is not None and seeing is not None
    assert (plain - seeing > GIB) is counted


@pytest.mark.parametrize(("build", "note"), [("b10107", "by the rules of b11669"), ("", "does not state its build")])
def test_another_build_is_sized_by_known_rules(build: str, note: str) -> None:
    found = estimate(facts(ggufs.DENSE, 16), told("-c 8192", build), (SPARK,))
    assert any(note in said for said in found.notes)
