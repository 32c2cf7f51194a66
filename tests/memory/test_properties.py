"""What holds for every model and setting: more context never costs less, more memory never holds less."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sparkrun_tui.memory.estimate import assumed_spark, estimate
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.memory.vllm.plan import VllmPlan
from sparkrun_tui.models.config.reader import facts_from_config
from sparkrun_tui.models.facts import WeightFacts
from tests.memory import models
from tests.support.settings import settings_of

CONFIGS = st.sampled_from(
    [models.DENSE, models.HYBRID, models.WINDOWED, models.UNEQUAL, models.LATENT, models.MAMBA2, models.COMPRESSED]
)
LENGTHS = st.integers(1, 1 << 20)
POOLS = st.integers(0, 120 << 30)


@st.composite
def plans(draw: st.DrawFn) -> VllmPlan:
    """Plans of every family with a few settings varied."""
    config: dict[str, Any] = draw(CONFIGS)
    return models.plan(
        config,
        131072,
        kv_cache_dtype=draw(st.sampled_from(["auto", "fp8"])),
        max_num_batched_tokens=draw(st.sampled_from([512, 2048, 8192])),
        pipeline_parallel=draw(st.integers(1, 3)),
        prefix_caching=draw(st.booleans()),
        version=draw(st.sampled_from(["", "0.19", "0.27", "0.32"])),
    )


@settings(max_examples=40, deadline=None)
@given(plans(), LENGTHS, LENGTHS)
def test_a_longer_request_takes_no_fewer_blocks(plan: VllmPlan, first: int, second: int) -> None:
    low, high = sorted((first, second))
    assert plan.blocks_per_request(low) <= plan.blocks_per_request(high)


@settings(max_examples=40, deadline=None)
@given(plans(), POOLS, POOLS, LENGTHS)
def test_a_larger_pool_holds_no_less(plan: VllmPlan, first: int, second: int, length: int) -> None:
    low, high = sorted((first, second))
    assert plan.num_blocks(low) <= plan.num_blocks(high)
    assert plan.longest(low, length) <= plan.longest(high, length)
    assert not plan.fits(low, length) or plan.fits(high, length)


@settings(max_examples=40, deadline=None)
@given(plans(), POOLS, LENGTHS)
def test_the_longest_request_fits_and_one_token_more_does_not(plan: VllmPlan, pool: int, ceiling: int) -> None:
    longest = plan.longest(pool, ceiling)
    assert 0 <= longest <= ceiling
    assert longest == 0 or plan.fits(pool, longest)
    assert longest == ceiling or not plan.fits(pool, longest + 1)


@settings(max_examples=40, deadline=None)
@given(plans(), LENGTHS)
def test_the_needed_pool_is_the_smallest_that_passes(plan: VllmPlan, length: int) -> None:
    needed = plan.needed(length)
    assert plan.fits(needed, length)
    assert not plan.fits(needed - 1, length)


@settings(max_examples=40, deadline=None)
@given(CONFIGS, st.floats(0.1, 0.95), st.floats(0.1, 0.95))
def test_a_larger_share_never_shortens_the_context(config: dict[str, Any], first: float, second: float) -> None:
    low, high = sorted((first, second))
    model = facts_from_config(config, WeightFacts(8 << 30, "headers"))
    found = [
        estimate(model, EngineSettings("vllm", utilisation=share), [assumed_spark("a")]).max_context
        for share in (low, high)
    ]
    assert found[0] is not None and found[1] is not None
    assert found[0] <= found[1]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**7) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_KEYS = sorted({*models.DENSE, *models.HYBRID, *models.LATENT, *models.MAMBA2, *models.COMPRESSED, "text_config"})


@settings(max_examples=100, deadline=None)
@given(CONFIGS, st.dictionaries(st.sampled_from(_KEYS), _JSON, max_size=4))
def test_damaged_configurations_give_an_estimate_all_the_same(config: dict[str, Any], damage: dict[str, Any]) -> None:
    model = facts_from_config({**config, **damage})
    found = estimate(model, EngineSettings("vllm", utilisation=0.8, max_model_len=4096), [assumed_spark("a")])
    assert found.hosts


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.text(max_size=12) | st.sampled_from(["vllm", "serve", "--max-model-len", "-tp", "-sc", "="]), max_size=8
    )
)
def test_any_words_make_settings(words: list[str]) -> None:
    assert settings_of("vllm", words).engine == "vllm"
