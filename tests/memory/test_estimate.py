"""The estimate as a person sees it: verdicts, pictures, inversions, proposals, and what is unknown."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from sparkrun_tui.memory.curve import context_curve
from sparkrun_tui.memory.estimate import assumed_spark, estimate
from sparkrun_tui.memory.measured import Measured
from sparkrun_tui.memory.result import Estimate, HostMemory, Level, worst
from sparkrun_tui.memory.settings import AUTO_LENGTH, EngineSettings, Speculative
from sparkrun_tui.models.facts import ModelFacts, WeightFacts, facts_from_metadata
from tests.memory import models
from tests.memory.models import facts

GIB = 1 << 30
SPARK = assumed_spark("spark-1")


def probed(available: float, name: str = "spark-1") -> HostMemory:
    """A Spark of which the available memory was probed, in GiB."""
    return replace(SPARK, name=name, available=int(available * GIB), assumed=False, source="probed 12 s ago")


def judge(model: ModelFacts, *hosts: HostMemory, **fields: object) -> Estimate:
    """The estimate of vLLM 0.32 on some hosts, by default one assumed Spark."""
    settings = EngineSettings("vllm", version="0.32", **fields)  # type: ignore[arg-type]
    return estimate(model, settings, hosts or (SPARK,))


def sized(gib: float, **changes: object) -> ModelFacts:
    """The dense model with weights of a known size."""
    return replace(facts(models.DENSE, **changes), weights=WeightFacts(int(gib * GIB), "headers"))


def test_a_recipe_that_fits_says_how_many_at_once() -> None:
    found = judge(sized(16), utilisation=0.8, max_model_len=32768)
    assert found.level is Level.GOOD
    assert found.context.text.startswith("32,768 tokens fit, ")
    assert found.concurrency is not None and found.concurrency > 10
    assert found.kv_bytes_per_request == 2048 * 2359296
    assert found.proposals == ()
    assert found.engine_version == "vLLM 0.32"


def test_the_parts_of_a_picture_add_up_to_the_host() -> None:
    picture = judge(sized(16), utilisation=0.8).hosts[0]
    assert picture.free is not None and picture.budget is not None
    assert sum(part.bytes for part in picture.parts) + picture.free == pytest.approx(SPARK.total, abs=8)
    kinds = [part.kind for part in picture.parts]
    assert kinds == ["others", "weights", "kv", "activation", "graphs", "overhead"]
    assert all(part.low <= part.bytes <= part.high for part in picture.parts)


def test_the_start_check_uses_what_is_free_on_the_host() -> None:
    model = sized(16)
    assert judge(model, probed(115), utilisation=0.8).starts.level is Level.GOOD
    assert judge(model, probed(99), utilisation=0.8).starts.level is Level.TIGHT
    refused = judge(model, probed(90), utilisation=0.8)
    assert refused.starts.level is Level.BAD
    assert "only 90.0 GiB are free" in refused.starts.detail
    first = refused.proposals[0]
    assert (first.key, first.new) == ("gpu_memory_utilization", "0.71")
    assert refused.max_utilisation == 0.71


def test_the_weakest_host_decides() -> None:
    found = judge(sized(16), probed(115, "a"), probed(85, "b"), utilisation=0.8, tensor_parallel=2)
    assert found.starts.level is Level.BAD
    assert found.starts.detail.startswith("b:")
    assert found.max_utilisation == judge(sized(16), probed(85), utilisation=0.8).max_utilisation


def test_what_stays_for_the_host_is_graded() -> None:
    levels = [judge(sized(16), probed(116), utilisation=u).headroom.level for u in (0.8, 0.86, 0.92)]
    assert levels == [Level.GOOD, Level.TIGHT, Level.BAD]


def test_a_context_that_does_not_fit_comes_with_what_would() -> None:
    found = judge(sized(91), utilisation=0.8, max_model_len=40960)
    assert found.context.level is Level.BAD
    assert found.max_context is not None and 0 < found.max_context < 40960
    by_key = {proposal.key: proposal for proposal in found.proposals}
    shorter = judge(sized(91), utilisation=0.8, max_model_len=int(by_key["max_model_len"].new))
    assert shorter.context.level in (Level.GOOD, Level.TIGHT)
    assert by_key["kv_cache_dtype"].new == "fp8"
    more = by_key["tensor_parallel"]
    assert (more.old, more.new) == ("1", "2")
    assert "on 2 hosts" in more.why


def test_a_larger_share_is_proposed_only_where_it_starts() -> None:
    model = sized(82)
    needed = judge(model, probed(115), utilisation=0.7, max_model_len=40960)
    assert needed.min_utilisation is not None
    shares = [p.new for p in needed.proposals if p.key == "gpu_memory_utilization"]
    assert shares == [f"{needed.min_utilisation:.2f}"]
    nominal = judge(model, probed(115), utilisation=float(shares[0]), max_model_len=40960)
    assert nominal.context.level in (Level.GOOD, Level.TIGHT)
    busy = judge(model, probed(88), utilisation=0.7, max_model_len=40960)
    assert not [p for p in busy.proposals if p.key == "gpu_memory_utilization" and float(p.new) > 0.7]


def test_fewer_batched_tokens_help_window_models() -> None:
    windowed = replace(facts(models.WINDOWED), weights=WeightFacts(78 * GIB, "headers"))
    found = judge(windowed, utilisation=0.8, max_model_len=131072, max_num_batched_tokens=16384)
    assert found.context.level is not Level.GOOD
    assert "max_num_batched_tokens" in {proposal.key for proposal in found.proposals}


def test_weights_beyond_the_budget_leave_no_room() -> None:
    found = judge(sized(150), utilisation=0.85)
    assert found.starts.level is Level.BAD
    assert found.starts.text == "no room for a KV cache"
    assert found.max_context == 0
    assert found.min_hosts == 2


def test_too_few_hosts_are_said_to_be() -> None:
    found = judge(sized(150), SPARK, utilisation=0.85, tensor_parallel=2)
    assert found.starts.text == "needs 2 hosts"
    enough = judge(sized(150), SPARK, assumed_spark("spark-2"), utilisation=0.85, tensor_parallel=2)
    assert [picture.host.name for picture in enough.hosts] == ["spark-1", "spark-2"]
    assert enough.starts.level is Level.GOOD


def test_what_the_engine_refuses_is_told_with_its_reason() -> None:
    found = judge(sized(16), SPARK, SPARK, SPARK, utilisation=0.8, tensor_parallel=3)
    assert found.level is Level.BAD
    assert "32 attention heads" in found.starts.detail
    assert found.kv_bytes_per_request is None


def test_the_engine_may_fit_the_length_itself() -> None:
    found = judge(sized(91), utilisation=0.8, max_model_len=AUTO_LENGTH)
    assert found.context.level in (Level.GOOD, Level.TIGHT)
    assert found.max_context is not None
    assert f"{found.max_context:,} tokens" in found.context.text


def test_a_stated_pool_needs_no_profile() -> None:
    found = judge(facts(models.DENSE), utilisation=0.5, kv_cache_memory_bytes=8 * GIB, max_model_len=40960)
    assert found.context.level is Level.GOOD
    assert found.pool_tokens == 8 * GIB // 2359296 * 16


def test_a_stated_pool_is_what_the_host_gives_whatever_the_utilisation() -> None:
    found = judge(sized(16), utilisation=0.9, kv_cache_memory_bytes=8 * GIB, max_model_len=40960)
    picture = found.hosts[0]
    assert picture.budget is None
    assert picture.free == SPARK.total - sum(part.bytes for part in picture.parts)
    assert found.headroom.level is Level.GOOD
    assert any("only decides" in note for note in found.notes)


def test_a_stated_pool_of_unknown_weights_leaves_the_headroom_unknown() -> None:
    unknown = replace(sized(16), weights=None, config={})
    found = judge(unknown, utilisation=0.9, kv_cache_memory_bytes=8 * GIB, max_model_len=40960)
    assert found.hosts[0].free is None
    assert found.headroom.level is Level.UNKNOWN


def test_a_stated_pool_beyond_the_host_ends_the_start() -> None:
    found = judge(sized(60), utilisation=0.5, kv_cache_memory_bytes=60 * GIB, max_model_len=40960)
    assert found.starts.level is Level.BAD
    assert "only" in found.starts.detail
    assert found.headroom.level is Level.BAD


def test_an_earlier_start_replaces_the_bands() -> None:
    measured = Measured(
        "measured on spark-1, 2 days ago", 0.8, SPARK.total, weights=17 * GIB, available_kv=70 * GIB, graphs=GIB // 4
    )
    settings = EngineSettings("vllm", version="0.32", utilisation=0.8, max_model_len=40960)
    found = estimate(sized(16), settings, [SPARK], {"spark-1": measured})
    cache = next(part for part in found.hosts[0].parts if part.kind == "kv")
    assert cache.bytes == pytest.approx(70 * GIB, abs=1024)
    assert cache.high - cache.low < 2 * GIB
    weights = next(part for part in found.hosts[0].parts if part.kind == "weights")
    assert weights.source == "measured on spark-1, 2 days ago"
    higher = estimate(sized(16), replace(settings, utilisation=0.9), [SPARK], {"spark-1": measured})
    grown = next(part for part in higher.hosts[0].parts if part.kind == "kv")
    assert grown.bytes == pytest.approx(70 * GIB + 0.1 * SPARK.total, rel=0.001)


def test_a_discrete_card_has_no_floor_and_its_own_memory() -> None:
    card = HostMemory("box", 80 * GIB, None, False, "nvidia-smi", gpus=2, unified=False, gpu_name="NVIDIA H100")
    found = judge(sized(16), card, utilisation=0.9, tensor_parallel=2)
    assert found.starts.level is Level.GOOD
    assert found.headroom.level is Level.GOOD
    assert len(found.hosts) == 1


_WHOLE = {
    "model_params": 30_000_000_000,
    "model_dtype": "nvfp4",
    "num_layers": 52,
    "num_kv_heads": 2,
    "head_dim": 128,
}


@pytest.mark.parametrize("present", list(product([False, True], repeat=len(_WHOLE))))
@pytest.mark.parametrize("length", [None, 200_000])
def test_an_estimate_comes_out_of_any_facts_and_never_fits_from_a_missing_one(
    present: tuple[bool, ...], length: int | None
) -> None:
    given = {key: value for (key, value), here in zip(_WHOLE.items(), present, strict=True) if here}
    found = judge(facts_from_metadata(**given), utilisation=0.8, max_model_len=length)  # type: ignore[arg-type]
    if not all(present) or length is None:
        assert found.level is Level.UNKNOWN
        assert found.context.level is Level.UNKNOWN
        assert "fit" not in found.context.text
        assert found.concurrency is None
    else:
        assert found.level is Level.GOOD
        assert any("every layer is counted as full attention" in note for note in found.notes)
    assert found.weights_bytes != 0
    assert found.kv_bytes_per_request != 0


def test_unknown_parts_are_left_out_of_the_picture() -> None:
    found = judge(ModelFacts("nothing"), utilisation=0.8)
    kinds = {part.kind for part in found.hosts[0].parts}
    assert not kinds & {"weights", "kv"}
    assert found.headroom.level is Level.GOOD


def test_a_certain_refusal_outranks_what_is_unknown() -> None:
    assert judge(ModelFacts("nothing"), probed(60), utilisation=0.8).level is Level.BAD
    assert worst(Level.GOOD, Level.UNKNOWN, Level.TIGHT) is Level.UNKNOWN
    assert worst(Level.BAD, Level.UNKNOWN) is Level.BAD
    assert worst(Level.GOOD, Level.TIGHT) is Level.TIGHT


def test_an_unknown_drafter_is_assumed_and_said_so() -> None:
    found = judge(sized(16), utilisation=0.8, speculative=Speculative("eagle3", 3, "org/draft"))
    assert any("draft model" in note for note in found.notes)
    assert found.kv_bytes_per_request == 2560 * (2359296 + 65536)


def test_an_unknown_eagle_drafter_may_have_as_many_layers_as_any() -> None:
    speculative = Speculative("eagle3", 3, "org/draft")
    levels = [judge(sized(16), utilisation=0.8, max_model_len=32_768, speculative=speculative).context.level]
    for room in (4.5, 4.7, 5.2):
        fixed = int(room * GIB)
        found = judge(
            sized(16),
            utilisation=0.8,
            kv_cache_memory_bytes=fixed,
            max_model_len=32_768,
            max_num_seqs=1,
            speculative=speculative,
        )
        levels.append(found.context.level)
    # 4.63 GiB with one layer, 5.0 GiB with four.
    assert levels == [Level.GOOD, Level.BAD, Level.TIGHT, Level.GOOD]


def test_an_unknown_eagle_drafter_of_a_latent_cache_says_nothing() -> None:
    # Keys and values in full for 64 heads are 28 times what the model keeps of a layer.
    model = replace(facts(models.LATENT), weights=WeightFacts(16 * GIB, "headers"))
    found = judge(model, utilisation=0.8, max_model_len=8192, speculative=Speculative("eagle3", 3, "org/draft"))
    assert found.context.level is Level.UNKNOWN


@pytest.mark.parametrize("length", [16_384, 2_000_000])
@pytest.mark.parametrize("method", ["dflash", "dspark", "draft_model", ""])
def test_nothing_is_said_of_a_context_beside_an_unknown_drafter_of_several_layers(method: str, length: int) -> None:
    # Published starts with DFlash drafters missed the estimate by a third in both directions.
    speculative = Speculative(method, 7, "org/draft")
    found = judge(sized(16), utilisation=0.8, max_model_len=length, speculative=speculative)
    assert found.context.level is Level.UNKNOWN
    assert "draft model" in found.context.detail
    assert not [proposal for proposal in found.proposals if proposal.key == "max_model_len"]


def test_a_length_beyond_the_models_own_may_be_refused() -> None:
    found = judge(sized(16), utilisation=0.8, max_model_len=100_000)
    assert found.starts.level is Level.TIGHT
    assert "more than the model was made for (40,960)" in found.starts.detail


def test_the_curve_of_context_against_memory() -> None:
    settings = EngineSettings("vllm", version="0.32", utilisation=0.8)
    curve = context_curve(sized(16), settings, SPARK)
    assert curve is not None
    lengths, sizes = zip(*curve.points, strict=True)
    assert lengths[-1] == 40960
    assert list(sizes) == sorted(sizes)
    assert curve.longest == 40960
    assert context_curve(ModelFacts("nothing"), settings, SPARK) is None


@pytest.mark.parametrize(
    ("available", "config", "length", "fields"),
    [
        (22.5, {**models.DENSE, "num_hidden_layers": 62, "num_attention_heads": 48}, 196608, {"tensor_parallel": 2}),
        (5.59, {**models.DENSE, "num_hidden_layers": 48, "num_key_value_heads": 4}, 221000, {"kv_cache_dtype": "fp8"}),
        (5.44, models.COMPRESSED, 30000, {"tensor_parallel": 2, "max_num_batched_tokens": 16384, "version": "0.22"}),
    ],
)
def test_launches_that_the_engine_refused_never_fit(
    available: float, config: dict[str, object], length: int, fields: dict[str, object]
) -> None:
    assert not models.plan(config, length, **fields).fits(int(available * GIB), length)


def test_the_host_that_keeps_least_speaks_for_all() -> None:
    hosts = (probed(117, "spark-1"), probed(112, "spark-2"))
    found = judge(sized(16), *hosts, utilisation=0.7, tensor_parallel=2, max_model_len=32768)
    least = min(picture.free or 0 for picture in found.hosts)
    assert found.headroom.text == f"{least / GIB:,.1f} GiB left for the host"
    assert found.headroom.detail.startswith("spark-2")
