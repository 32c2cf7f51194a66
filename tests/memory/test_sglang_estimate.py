"""The estimate for SGLang as a person sees it: verdicts, pictures, inversions, proposals, and what is unknown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sparkrun_tui.memory.estimate import assumed_spark, estimate
from sparkrun_tui.memory.measured import Measured
from sparkrun_tui.memory.result import Estimate, HostMemory, Level
from sparkrun_tui.memory.sglang.case import work_out
from sparkrun_tui.models.facts import ModelFacts, WeightFacts, facts_from_metadata
from tests.memory import models
from tests.memory.models import facts
from tests.memory.test_weights_modules import AWQ, BLOCKS, EXPERTS
from tests.support.settings import settings_of

GIB = 1 << 30
SPARK = assumed_spark("spark-1")


def sized(gib: float, config: dict[str, Any] | None = None, **changes: Any) -> ModelFacts:
    """A model (the dense one) with weights of a known size."""
    return replace(facts(config or models.DENSE, **changes), weights=WeightFacts(int(gib * GIB), "headers"))


def judge(
    model: ModelFacts, args: str = "", *hosts: HostMemory, measured: dict[str, Measured] | None = None
) -> Estimate:
    """The estimate of a server started with a line of arguments, by default on one assumed Spark."""
    settings = settings_of("sglang", ["sglang", "serve", "m", *args.split()], "x/sglang:v0.5.23")
    return estimate(model, settings, hosts or (SPARK,), measured)


def keys_of(found: Estimate) -> list[str]:
    """The keys of the proposals, in order."""
    return [proposal.key for proposal in found.proposals]


def test_a_recipe_that_fits_says_how_many_at_once() -> None:
    found = judge(sized(16), "--mem-fraction-static 0.8 --context-length 32768")
    assert found.level is Level.GOOD
    assert found.context.text.startswith("32,768 tokens fit, ")
    assert found.kv_bytes_per_request == 32768 * 147456
    assert found.engine_version == "SGLang 0.5.23"
    assert found.proposals == ()


def test_the_parts_of_a_picture_add_up_to_the_host() -> None:
    picture = judge(sized(16), "--mem-fraction-static 0.8").hosts[0]
    assert picture.free is not None and picture.budget is not None
    assert sum(part.bytes for part in picture.parts) + picture.free == SPARK.total
    assert [part.kind for part in picture.parts] == ["others", "weights", "kv", "activation", "graphs", "overhead"]
    assert all(part.low <= part.bytes <= part.high for part in picture.parts)


def test_the_fraction_is_of_what_is_available_at_start() -> None:
    busy = replace(SPARK, available=80 * GIB, assumed=False)
    assert (judge(sized(16), "--mem-fraction-static 0.8", busy).pool_tokens or 0) < (
        judge(sized(16), "--mem-fraction-static 0.8").pool_tokens or 0
    )
    budget = judge(sized(16), "--mem-fraction-static 0.8", busy).hosts[0].budget
    assert budget is not None and budget < 0.8 * 80 * GIB


def test_a_short_pool_is_a_warning_and_no_refusal() -> None:
    found = judge(sized(61, num_hidden_layers=64), "--mem-fraction-static 0.62")
    assert found.starts.level is Level.GOOD
    assert found.context.level is Level.TIGHT
    assert "the server starts" in found.context.detail
    assert found.max_context == found.pool_tokens
    assert found.pool_tokens is not None and found.pool_tokens < 40960
    assert {"gpu_memory_utilization", "kv_cache_dtype", "max_model_len"} <= set(keys_of(found))


def test_proposals_for_a_short_pool_work() -> None:
    model = sized(61, num_hidden_layers=64)
    found = judge(model, "--mem-fraction-static 0.62")
    by_key = {proposal.key: proposal.new for proposal in found.proposals}
    larger = judge(model, f"--mem-fraction-static {by_key['gpu_memory_utilization']}")
    assert larger.pool_tokens is not None and larger.pool_tokens >= 40960
    smaller = judge(model, f"--mem-fraction-static 0.62 --kv-cache-dtype {by_key['kv_cache_dtype']}")
    assert smaller.pool_tokens is not None and smaller.pool_tokens >= 40960
    shorter = judge(model, f"--mem-fraction-static 0.62 --context-length {by_key['max_model_len']}")
    assert "may just fit" in shorter.context.text or shorter.context.level is Level.GOOD


def test_the_smallest_fraction_is_the_smallest_that_holds_a_request() -> None:
    model = sized(61, num_hidden_layers=64)
    least = judge(model, "--mem-fraction-static 0.7").min_utilisation
    assert least is not None
    assert (judge(model, f"--mem-fraction-static {least}").pool_tokens or 0) >= 40960
    assert (judge(model, f"--mem-fraction-static {least - 0.01:.2f}").pool_tokens or 0) < 40960


def test_a_request_table_that_outgrows_the_slack_is_told() -> None:
    model = sized(40, max_position_embeddings=1048576)
    found = judge(model, "--mem-fraction-static 0.93")
    assert found.starts.level in (Level.TIGHT, Level.BAD)
    assert "request table" in found.starts.detail
    assert found.proposals[0].key == "max_num_seqs" and found.proposals[0].new == "16"
    fewer = judge(model, "--mem-fraction-static 0.93 --max-running-requests 16")
    assert (fewer.hosts[0].free or 0) > (found.hosts[0].free or 0) + 7 * GIB


def test_a_fraction_that_leaves_too_little_is_lowered() -> None:
    found = judge(sized(40), "--mem-fraction-static 0.99 --max-running-requests 16")
    assert found.starts.level is Level.TIGHT
    assert judge(sized(40), "--mem-fraction-static 1 --max-running-requests 16").starts.level is Level.BAD
    assert "gpu_memory_utilization" in keys_of(found)
    assert found.max_utilisation is not None and found.max_utilisation < 0.99
    lower = judge(sized(40), f"--mem-fraction-static {found.max_utilisation} --max-running-requests 16")
    assert lower.starts.level is Level.GOOD


def test_weights_too_large_for_the_fraction_do_not_start() -> None:
    found = judge(sized(95), "--mem-fraction-static 0.5")
    assert found.starts.level is Level.BAD and "is needed" in found.starts.detail
    assert found.level is Level.BAD
    assert found.hosts[0].free is None


def test_hybrids_tell_their_slots() -> None:
    found = judge(sized(52, models.HYBRID), "--mem-fraction-static 0.8")
    assert "recurrent slots, 5 for each request" in found.context.detail
    assert found.kv_bytes_per_request is not None
    assert found.kv_bytes_per_request == 262144 * 65536 + 5 * 153944064


def test_a_drafter_beside_the_budget_is_told() -> None:
    drafting = "--speculative-algorithm NEXTN --speculative-num-draft-tokens 4"
    found = judge(sized(52, models.HYBRID), f"--mem-fraction-static 0.7 {drafting}")
    assert any("comes on top of the fraction" in note for note in found.notes)


def test_an_absent_fraction_is_said_to_be_the_servers_choice() -> None:
    notes = judge(sized(16)).notes
    assert any("the server chooses 0.888" in note for note in notes)


def test_more_hosts_than_chosen_are_told() -> None:
    found = judge(sized(150), "--tp 2")
    assert found.starts.level is Level.BAD and found.starts.text == "needs 2 hosts"
    both = judge(sized(150), "--tp 2", SPARK, assumed_spark("spark-2"))
    assert both.starts.level is not Level.BAD and len(both.hosts) == 2
    assert judge(sized(150)).min_hosts == 2


def test_unknown_weights_leave_the_verdict_open() -> None:
    found = judge(replace(facts({**models.DENSE, "quantization_config": {"quant_method": "new"}}), params=None))
    assert found.level is Level.UNKNOWN
    assert found.pool_tokens is None and found.hosts[0].free is None


def test_unknown_layers_leave_the_verdict_open() -> None:
    found = judge(replace(facts({"model_type": "x"}), weights=WeightFacts(GIB, "headers")))
    assert found.level is Level.UNKNOWN
    assert found.starts.level is Level.UNKNOWN


def test_a_recipe_alone_gives_an_estimate() -> None:
    declared = facts_from_metadata(
        model_params=8_000_000_000, model_dtype="bf16", num_layers=36, num_kv_heads=8, head_dim=128
    )
    found = judge(declared, "--context-length 32768")
    assert found.context.level is Level.GOOD
    assert any("only the recipe's metadata is known" in note for note in found.notes)


@pytest.mark.parametrize("gib", [17, 20])
def test_an_earlier_start_replaces_the_weights(gib: int) -> None:
    earlier = Measured("measured on spark-1, 2 days ago", 0.8, SPARK.total, weights=gib * GIB)
    found = judge(sized(16), "--mem-fraction-static 0.8", measured={"spark-1": earlier})
    weights = next(part for part in found.hosts[0].parts if part.kind == "weights")
    assert (weights.bytes, weights.source) == (gib * GIB, "measured on spark-1, 2 days ago")


@pytest.mark.parametrize(
    ("image", "note"),
    [
        ("x/sglang:v0.5.9", "those of 0.5.10 are counted"),
        ("x/sglang:v0.5.24", "by the rules of 0.5.23"),
        ("x/sglang:latest", "does not state its version"),
    ],
)
def test_another_version_is_sized_by_known_rules(image: str, note: str) -> None:
    settings = settings_of("sglang", ["sglang", "serve", "m"], image)
    assert any(note in said for said in estimate(sized(16), settings, (SPARK,)).notes)
    own = settings_of("sglang", ["sglang", "serve", "m"], "x/sglang:v0.5.20")
    assert not any("by the rules" in said for said in estimate(sized(16), own, (SPARK,)).notes)


@pytest.mark.parametrize(("version", "known"), [("0.4.6", False), ("0.5.9", False), ("0.5.10", True), ("0.5.23", True)])
def test_nothing_is_promised_of_releases_older_than_any_known_rule(version: str, known: bool) -> None:
    settings = settings_of("sglang", ["sglang", "serve", "m"], f"x/sglang:v{version}")
    found = estimate(sized(16), settings, (SPARK,))
    assert (found.context.level is Level.GOOD, found.starts.level is Level.GOOD) == (known, known)
    assert (found.context.level is Level.UNKNOWN) is not known
    figures = (found.pool_tokens, found.max_context, found.concurrency)
    assert all((figure is not None) is known for figure in figures)
    assert ("since 0.5.10" in found.context.detail) is not known


def test_pools_of_releases_with_unknown_rules_may_be_smaller() -> None:
    pools = {}
    for version in ("0.5.16", "0.5.17"):
        settings = settings_of(
            "sglang", ["sglang", "serve", "m", "--mem-fraction-static", "0.8"], f"x/sglang:v{version}"
        )
        case = work_out(sized(16), settings, SPARK)
        assert case.plan is not None and case.fewest is not None
        pools[version] = (case.plan.tokens, case.fewest.tokens)
    (likely, fewest), exact = pools["0.5.16"], pools["0.5.17"]
    assert likely == exact[0]
    assert 0.949 < fewest / exact[1] < 0.951


@pytest.mark.parametrize(("version", "known"), [("0.5.16", False), ("0.5.17", True)])
def test_pools_of_deepseek_v4_are_not_known_before_0_5_17(version: str, known: bool) -> None:
    settings = settings_of("sglang", ["sglang", "serve", "m", "--mem-fraction-static", "0.8"], f"x/sglang:v{version}")
    model = replace(facts(models.COMPRESSED), weights=WeightFacts(16 << 30, "headers"))
    found = estimate(model, settings, (SPARK,))
    assert (found.context.level is not Level.UNKNOWN) is known


def test_weights_that_no_host_has_room_for_are_refused_in_any_release() -> None:
    settings = settings_of("sglang", ["sglang", "serve", "m"], "x/sglang:v0.4.6")
    assert estimate(sized(200), settings, (SPARK,)).starts.level is Level.BAD


@pytest.mark.parametrize(
    ("config", "ranks", "reason"),
    [
        # Qwen3-Next-like experts of 640 over two ranks; fp8.py asks for whole blocks of gate, up and down.
        ({**EXPERTS, "moe_intermediate_size": 640, "quantization_config": BLOCKS}, 2, "width 320"),
        ({**models.DENSE, "intermediate_size": 11008, "quantization_config": BLOCKS}, 4, "2,752 inputs"),
        ({**models.DENSE, "intermediate_size": 11008, "quantization_config": AWQ}, 4, "2,752 inputs"),
    ],
)
def test_what_no_kernel_takes_is_refused_before_the_launch(config: dict[str, Any], ranks: int, reason: str) -> None:
    hosts = tuple(assumed_spark(f"spark-{number}") for number in range(ranks))
    found = judge(facts(config), f"--tp {ranks} --context-length 4096", *hosts)
    assert found.starts.level is Level.BAD and found.context.level is Level.BAD
    assert found.starts.text == found.context.text == "refused by the engine"
    assert reason in found.starts.detail
    alone = judge(facts(config), "--context-length 4096")
    assert alone.starts.text != "refused by the engine"


def test_replicas_of_attention_are_not_refused_for_what_is_not_known_of_them() -> None:
    config = {**models.DENSE, "intermediate_size": 11008, "quantization_config": BLOCKS}
    hosts = tuple(assumed_spark(f"spark-{number}") for number in range(4))
    found = judge(facts(config), "--tp 4 --dp 4 --enable-dp-attention --context-length 4096", *hosts)
    assert found.starts.text != "refused by the engine"
