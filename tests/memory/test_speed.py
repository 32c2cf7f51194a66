"""The speed of one request before a download: what it follows from, and how near it is to published ones."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.decode import score, summary
from sparkrun_tui.memory.estimate import estimate
from sparkrun_tui.memory.hosts import assumed_spark
from sparkrun_tui.memory.result import HostMemory, Rate, Speed
from sparkrun_tui.memory.settings import EngineSettings, LlamaOptions, Speculative
from sparkrun_tui.memory.speed.reads import reads_of
from sparkrun_tui.memory.speed.roofline import speed_of
from sparkrun_tui.memory.speed.words import sentence, short
from sparkrun_tui.models.facts import DeclaredFacts, ModelFacts, WeightFacts
from tests.memory import models
from tests.memory.models import facts

SPARK = assumed_spark("spark-1")
VLLM = EngineSettings("vllm")


def decode(model: ModelFacts, settings: EngineSettings = VLLM, *hosts: HostMemory) -> float:
    """The likely tokens a second."""
    speed = speed_of(model, settings, hosts or (SPARK,))
    assert speed is not None
    return speed.decode.likely


def test_published_speeds_are_met_also_where_nothing_was_fitted() -> None:
    scores = score()
    assert len(scores) >= 40
    kept = summary([item for item in scores if item.kept])
    assert kept["rows"] >= 20
    assert kept["median"] < 0.10
    assert kept["in_band"] >= 0.85


def test_a_dense_model_is_read_whole_but_for_the_rows_of_its_embedding() -> None:
    dense = facts(models.DENSE)
    reads = reads_of(dense, VLLM)
    assert reads is not None and not reads.has_experts
    untied = dense.hidden and dense.vocab and dense.hidden * dense.vocab
    assert reads.weights == pytest.approx(8190735360 - (untied or 0), rel=0.001)
    assert reads.size == pytest.approx(2 * reads.weights, rel=0.001)


def test_ranks_divide_what_is_read_and_hosts_cost_time_for_exchange() -> None:
    dense = facts(models.DENSE)
    alone = decode(dense)
    two = decode(dense, replace(VLLM, tensor_parallel=2), SPARK, assumed_spark("spark-2"))
    assert alone < two < 2 * alone
    stages = decode(dense, replace(VLLM, pipeline_parallel=2), SPARK, assumed_spark("spark-2"))
    assert stages == pytest.approx(alone), "a token passes one stage after the other"


def test_fewer_bits_and_chosen_experts_are_faster() -> None:
    dense = facts(models.DENSE)
    four = replace(dense, declared=DeclaredFacts(model_dtype="q4_k_m"))
    assert decode(four) > 2.5 * decode(dense)
    sparse = facts(
        models.DENSE, num_experts=128, num_experts_per_tok=8, moe_intermediate_size=768, model_type="qwen3_moe"
    )
    whole, active = reads_of(replace(sparse, experts_per_token=128), VLLM), reads_of(sparse, VLLM)
    assert whole is not None and active is not None and active.has_experts
    assert active.size < whole.size / 4


def test_the_bytes_of_headers_count_before_those_of_modules() -> None:
    dense = facts(models.DENSE)
    known = replace(dense, weights=WeightFacts(total=12 * 10**9, source="headers"))
    assert decode(known) > decode(dense)
    absurd = replace(dense, weights=WeightFacts(total=10**9, source="headers"))
    assert decode(absurd) == decode(dense), "a total that cannot be this model's changes nothing"


def test_what_is_not_known_has_no_speed() -> None:
    dense = facts(models.DENSE)
    strange = HostMemory("x", SPARK.total, None, True, "probed", unified=False, gpu_name="Some Card 9")
    assert speed_of(dense, VLLM, [strange]) is None
    assert speed_of(dense, VLLM, [SPARK, strange]) is None
    assert speed_of(replace(dense, layers=None), VLLM, [SPARK]) is None
    assert speed_of(dense, replace(VLLM, cpu_offload_gib=4.0), [SPARK]) is None
    half = EngineSettings("llama-cpp", llama=LlamaOptions(n_gpu_layers="10"))
    assert speed_of(dense, half, [SPARK]) is None
    assert speed_of(dense, replace(half, llama=LlamaOptions(n_gpu_layers="99")), [SPARK]) is not None
    assert speed_of(dense, VLLM, []) is None


def test_other_gpus_read_at_their_own_rate_and_have_no_prefill() -> None:
    dense = facts(models.DENSE)
    card = HostMemory("x", SPARK.total, None, False, "probed", unified=False, gpu_name="NVIDIA H100 80GB HBM3")
    speed = speed_of(dense, VLLM, [card])
    assert speed is not None and speed.prefill is None
    assert speed.decode.likely > 5 * decode(dense)


def test_without_graphs_each_layer_takes_longer() -> None:
    dense = facts(models.DENSE)
    assert decode(dense, replace(VLLM, enforce_eager=True)) < decode(dense)


def test_an_estimate_has_the_speed_of_the_hosts_that_it_uses() -> None:
    found = estimate(facts(models.DENSE), replace(VLLM, max_model_len=8192), [SPARK, assumed_spark("spark-2")])
    assert found.speed is not None
    assert found.speed.decode.likely == pytest.approx(decode(facts(models.DENSE)))


def test_a_speed_in_words_promises_two_digits() -> None:
    speed = Speed(Rate(12.34, 9.26, 15.43), Rate(1951.0, 975.5, 3316.7), drafts=False, read=1)
    assert short(speed) == "about 12 tokens/s"
    assert sentence(speed) == (
        "about 12 tokens/s for one request alone (9.3 to 15), its prompt at about 2,000 (980 to 3,300)"
    )
    drafted = speed_of(facts(models.DENSE), replace(VLLM, speculative=Speculative("ngram", 4)), [SPARK])
    assert drafted is not None and sentence(drafted).endswith("more with the drafts that are accepted")
