"""Properties that hold for any settings of llama.cpp and SGLang: no surprise, ordered bands, monotone sizes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkrun_tui.memory.estimate import assumed_spark, estimate
from sparkrun_tui.memory.llama_cpp.case import work_out
from sparkrun_tui.memory.result import Estimate, Level
from sparkrun_tui.memory.sglang.cell import SglangRefusal
from sparkrun_tui.memory.sglang.plan import plan_sglang
from sparkrun_tui.models.facts import ModelFacts, WeightFacts
from tests.memory import ggufs, models
from tests.support.settings import settings_of

GIB = 1 << 30
SPARK = assumed_spark("spark-1")
HEADERS = (ggufs.DENSE, ggufs.WINDOWED, ggufs.GDN_MTP, ggufs.LATENT, ggufs.MIXED_HEADS, ggufs.COMPRESSED, ggufs.CHUNKED)
CONFIGS = (
    models.DENSE,
    models.HYBRID,
    models.WINDOWED,
    models.UNEQUAL,
    models.LATENT,
    models.SPARSE,
    models.MAMBA2,
    models.DELTA,
    models.COMPRESSED,
    models.POOLED,
)
weights = st.one_of(st.none(), st.integers(0, 160))


def flag(name: str, values: st.SearchStrategy[object]) -> st.SearchStrategy[list[str]]:
    """A flag with one of some values, or none at all."""
    return st.one_of(st.just([]), values.map(lambda value: [name, str(value)]))


def switch(name: str) -> st.SearchStrategy[list[str]]:
    """A switch that is there or not."""
    return st.sampled_from([[], [name]])


llama_args = st.tuples(
    flag("-c", st.sampled_from([0, 1, 300, 4097, 32768, 262144, 10_000_000, -5])),
    flag("-np", st.sampled_from([-1, 0, 1, 3, 16, 1000])),
    flag("-ub", st.sampled_from([1, 64, 4096])),
    flag("-ctk", st.sampled_from(["f16", "q8_0", "q4_0", "f32", "none"])),
    flag("-ctv", st.sampled_from(["f16", "q8_0"])),
    flag("-fa", st.sampled_from(["on", "off", "auto"])),
    flag("--fit", st.sampled_from(["on", "off"])),
    flag("-fitt", st.sampled_from([0, 8192, 999_999])),
    flag("--spec-type", st.sampled_from(["draft-mtp", "ngram-mod"])),
    flag("-ngl", st.sampled_from([0, 99])),
    switch("-kvu"),
    switch("--swa-full"),
    switch("--embeddings"),
).map(lambda parts: [word for part in parts for word in part])

sglang_args = st.tuples(
    flag("--tp", st.sampled_from([1, 2, 3, 4, 16])),
    flag("--pp-size", st.sampled_from([1, 2, 7])),
    flag("--attn-dp-size", st.sampled_from([2, 9])),
    flag("--context-length", st.sampled_from([1, 8192, 10_000_000])),
    flag("--mem-fraction-static", st.sampled_from([0.01, 0.5, 0.88, 1])),
    flag("--max-running-requests", st.sampled_from([1, 16, 100_000])),
    flag("--kv-cache-dtype", st.sampled_from(["auto", "fp8_e4m3", "nvfp4", "mxfp8", "other"])),
    flag("--page-size", st.sampled_from([1, 64, 1000])),
    flag("--chunked-prefill-size", st.sampled_from([-1, 2048, 16384])),
    flag("--max-total-tokens", st.sampled_from([1, 100_000])),
    flag("--mamba-full-memory-ratio", st.sampled_from([0, 0.1, 5])),
    flag("--swa-full-tokens-ratio", st.sampled_from([0, 0.001, 1])),
    flag("--speculative-algorithm", st.sampled_from(["NEXTN", "EAGLE3", "STANDALONE", "DFLASH", "NGRAM"])),
    switch("--disable-radix-cache"),
    switch("--disable-overlap-schedule"),
).map(lambda parts: [word for part in parts for word in part])


def sized(model: ModelFacts, gib: int | None) -> ModelFacts:
    """A model with weights of a size in GiB, or of an unknown one."""
    return replace(model, weights=None if gib is None else WeightFacts(gib * GIB, "headers"))


def check(found: Estimate) -> None:
    """What holds for every estimate."""
    for picture in found.hosts:
        assert all(part.low <= part.bytes <= part.high for part in picture.parts)
        assert all(part.low >= 0 for part in picture.parts)
    assert found.max_context is None or found.max_context >= 0
    assert found.kv_bytes_per_request is None or found.kv_bytes_per_request >= 0
    if found.level is Level.GOOD:
        assert {found.starts.level, found.context.level, found.headroom.level} == {Level.GOOD}
    if found.weights_bytes is None:
        assert found.level in (Level.UNKNOWN, Level.BAD)


@settings(max_examples=70, deadline=None)
@given(header=st.sampled_from(HEADERS), gib=weights, args=llama_args)
def test_any_settings_of_llama_server(header: dict[str, object], gib: int | None, args: list[str]) -> None:
    told = settings_of("llama-cpp", ["llama-server", *args])
    check(estimate(sized(ggufs.facts(header), gib), told, (SPARK,)))


@settings(max_examples=70, deadline=None)
@given(config=st.sampled_from(CONFIGS), gib=weights, args=sglang_args, hosts=st.integers(1, 3))
def test_any_settings_of_sglang(config: dict[str, object], gib: int | None, args: list[str], hosts: int) -> None:
    told = settings_of("sglang", ["sglang", "serve", *args])
    sparks = [assumed_spark(f"spark-{number}") for number in range(hosts)]
    check(estimate(sized(models.facts(config), gib), told, sparks))


@settings(max_examples=40, deadline=None)
@given(header=st.sampled_from(HEADERS), gib=st.integers(1, 115), args=llama_args)
def test_the_longest_context_fits_and_a_longer_one_does_not(
    header: dict[str, object], gib: int, args: list[str]
) -> None:
    told = settings_of("llama-cpp", ["llama-server", *args])
    case = work_out(sized(ggufs.facts(header), gib), told, SPARK)
    longest = case.longest
    if longest is None or case.wanted is None:
        return

    def left(context: int) -> int:
        options = replace(told, llama=replace(told.llama, ctx_size=context))
        found = work_out(case.facts, options, SPARK).left
        assert found is not None
        return found

    ceiling = max(case.facts.max_length or 0, case.wanted)
    if longest:
        assert left(longest) >= 0
    if longest < ceiling:
        assert left(longest + 256) < 0


@settings(max_examples=40, deadline=None)
@given(config=st.sampled_from(CONFIGS), after=st.integers(20, 100), step=st.integers(1, 8))
def test_more_memory_never_holds_fewer_tokens(config: dict[str, object], after: int, step: int) -> None:
    told = settings_of("sglang", ["sglang", "serve", "--mem-fraction-static", "0.9"])
    model, tokens = models.facts(config), []
    for more in (0, step):
        try:
            tokens.append(plan_sglang(model, told, 112 * GIB, (after + more) * GIB, SPARK.total).tokens)
        except SglangRefusal:
            tokens.append(0)
    assert tokens[1] >= tokens[0]


@pytest.mark.parametrize("header", HEADERS)
def test_more_context_never_takes_less(header: dict[str, object]) -> None:
    sizes = [ggufs.load(header, f"-c {context} -np 2").total for context in (256, 1024, 4096, 16384, 65536, 262144)]
    assert sizes == sorted(sizes)
