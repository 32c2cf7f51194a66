"""SGLang's data parallelism: replicas on one host, replicas of attention over several, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkrun_tui.engines.plan import ModelNeed
from sparkrun_tui.engines.registry import engine_for
from sparkrun_tui.engines.settings import read_settings
from sparkrun_tui.engines.sglang.family import SGLANG
from sparkrun_tui.launch.sizing.sizing import engine_settings
from sparkrun_tui.memory.sglang.family import attention_replicas
from sparkrun_tui.recipe.model import Severity

from .samples import plan, rendered, scripts, with_command, words_of

BASE = "model: acme/Falcon-30B\nruntime: sglang\ncontainer: {image}\ndefaults: {{max_num_seqs: 8, {defaults}}}\n{more}"


def built(defaults: str, image: str = "acme/x:1", more: str = "") -> list[str]:
    """The words of the command that is built from defaults."""
    what = rendered(BASE.format(defaults=defaults, image=image, more=more))
    return engine_for("sglang").command(what).replace("\\\n", " ").split()


def hosts_of(flags: str) -> int:
    """How many hosts with one GPU a command needs."""
    what = with_command(f"sglang serve {{model}} --max-running-requests 8 {flags}", "sglang")
    return engine_for("sglang").host_count(what, 64, 1)[0]


@pytest.mark.parametrize(
    ("flags", "hosts"),
    [
        ("--tp-size 4", 4),
        ("--tp 2 --dp 2", 4),
        ("--tp 4 --dp 4 --enable-dp-attention", 4),
        ("--tp 8 --dp 2 --pp-size 2 --enable-dp-attention", 16),
        ("--tp 4 --attn-dp-size 2", 4),
        ("--tensor-parallel-size 4 --attention-data-parallel-size 4", 4),
        ("--attn-dp-size 1 --tp 2 --dp 2", 4),
    ],
)
def test_attention_replicas_need_no_hosts_of_their_own(flags: str, hosts: int) -> None:
    assert hosts_of(flags) == hosts


def test_the_degree_of_the_recipe_does_not_multiply_either() -> None:
    command = "sglang serve {model} --tp {tensor_parallel} --attn-dp-size {data_parallel} --max-running-requests 8"
    what = with_command(command, "sglang", top="defaults: {tensor_parallel: 4, data_parallel: 2}")
    assert engine_for("sglang").host_count(what, 8, 1)[0] == 4


@pytest.mark.parametrize(
    ("defaults", "image", "more", "flags"),
    [
        ("data_parallel: 2", "acme/x:1", "", "--tp-size 2 --dp-size 2 --enable-dp-attention"),
        ("tensor_parallel: 2, data_parallel: 2", "acme/x:1", "", "--tp-size 4 --dp-size 2 --enable-dp-attention"),
        ("dp: 2", "acme/x:1", "", "--tp-size 2 --dp-size 2 --enable-dp-attention"),
        ("data_parallel: 2", "lmsysorg/sglang:v0.5.23", "", "--tp-size 2 --attn-dp-size 2"),
        ("data_parallel: 2", "lmsysorg/sglang:v0.5.9", "", "--tp-size 2 --dp-size 2 --enable-dp-attention"),
        ("data_parallel: 2", "acme/x:1", "max_nodes: 1", "--dp-size 2"),
        ("tensor_parallel: 4, data_parallel: 4, enable_dp_attention: true", "acme/x:1", "",
         "--tp-size 4 --dp-size 4 --enable-dp-attention"),
        ("tensor_parallel: 4, attn_dp_size: 2", "acme/x:1", "", "--tp-size 4 --attn-dp-size 2"),
        ("expert_parallel: 2, tensor_parallel: 2", "acme/x:1", "", "--tp-size 2 --ep-size 2"),
        ("data_parallel: 1", "acme/x:1", "", "--dp-size 1"),
    ],
)  # fmt: skip
def test_a_built_command_has_the_form_that_sglang_accepts(defaults: str, image: str, more: str, flags: str) -> None:
    words = [word for word in built(defaults, image, more) if word]
    rest = words[words.index("acme/Falcon-30B") + 1 :]
    at = rest.index("--max-running-requests")
    del rest[at : at + 2]
    assert sorted(rest) == sorted(flags.split())


def test_its_ranks_meet_over_the_hosts(tmp_path: Path) -> None:
    serve = plan(rendered(BASE.format(defaults="data_parallel: 2", image="acme/x:1", more="")), 2)
    assert [problem for problem in serve.problems if problem.severity is Severity.ERROR] == []
    for rank, script in enumerate(scripts(serve)):
        words = words_of(script, tmp_path, "python3")
        assert words[-6:] == ["--dist-init-addr", "10.0.0.1:25000", "--nnodes", "2", "--node-rank", str(rank)]
        assert "--enable-dp-attention" in words


@pytest.mark.parametrize(
    ("flags", "hosts", "code"),
    [
        ("--tp 1 --dp 2", 2, "replicas-over-hosts"),
        ("--tp 1", 2, "ranks-over-hosts"),
        ("--tp 4 --dp 3 --enable-dp-attention", 4, "attention-replicas"),
        ("--tp 2 --dp 2 --enable-dp-attention", 2, ""),
        ("--tp 2 --pp-size 2", 4, ""),
        ("--tp 2 --dp 2", 1, "too-few-gpus"),
    ],
)
def test_what_it_refuses(flags: str, hosts: int, code: str) -> None:
    what = with_command(f"sglang serve {{model}} --max-running-requests 8 {flags}", "sglang")
    errors = [problem for problem in plan(what, hosts).problems if problem.severity is Severity.ERROR]
    assert [problem.code for problem in errors] == ([code] if code else [])
    assert all(problem.remedy for problem in errors)


def test_replicas_are_a_warning_before_hosts_are_chosen() -> None:
    for flags, top, warned in (
        ("--dp 2", "", True),
        ("--dp 2", "max_nodes: 1", False),
        ("--tp 2 --dp 2 --enable-dp-attention", "", False),
    ):
        what = with_command(f"sglang serve {{model}} --max-running-requests 8 {flags}", "sglang", top=top)
        codes = [problem.code for problem in engine_for("sglang").check(what)]
        assert ("replicas-on-one-host" in codes) is warned


def test_sizes_follow_the_form() -> None:
    what = rendered(BASE.format(defaults="data_parallel: 2", image="acme/x:1", more=""))
    settings = engine_settings(what)
    assert settings.ranks == 2
    assert attention_replicas(settings) == 2


@pytest.mark.parametrize(
    ("flags", "needs"),
    [
        ("--speculative-algorithm EAGLE3 --speculative-draft-model-path acme/Eagle",
         [ModelNeed("acme/Eagle")]),
        ("--speculative-draft-model acme/Eagle --speculative-draft-model-revision v2",
         [ModelNeed("acme/Eagle", "v2")]),
        ("--speculative-draft-model-path /models/eagle", []),
        ("--speculative-draft-model-path {model}", []),
        ("--speculative-draft-model-path {model} --speculative-draft-model-revision mtp",
         [ModelNeed("acme/Falcon-30B", "mtp")]),
    ],
)  # fmt: skip
def test_drafters_are_fetched_in_their_revision(flags: str, needs: list[ModelNeed]) -> None:
    what = with_command(f"sglang serve {{model}} {flags}", "sglang")
    assert list(plan(what).models) == [ModelNeed("acme/Falcon-30B"), *needs]


def test_a_drafter_on_a_path_that_is_not_mounted() -> None:
    flags = "--speculative-draft-model-path /srv/eagle"
    for top, warned in (
        ("", True),
        ("executor_config: {volumes: ['/srv:/srv:ro']}", False),
        ("executor_config: {volumes: ['/data/eagle:/srv/eagle']}", False),
        ("executor_config: {volumes: ['/srv:/models']}", True),
    ):
        what = with_command(f"sglang serve {{model}} --max-running-requests 8 {flags}", "sglang", top=top)
        codes = [problem.code for problem in engine_for("sglang").check(what)]
        assert ("draft-path" in codes) is warned


def test_drafters_of_a_built_command() -> None:
    text = BASE.format(defaults="speculative_draft_model_path: acme/Eagle, speculative_algorithm: EAGLE3, "
                       "speculative_draft_model_revision: v2", image="acme/x:1", more="")  # fmt: skip
    words = engine_for("sglang").command(rendered(text)).split()
    assert words[words.index("--speculative-draft-model-path") + 1] == "acme/Eagle"
    assert words[words.index("--speculative-draft-model-revision") + 1] == "v2"
    assert plan(rendered(text)).models[1] == ModelNeed("acme/Eagle", "v2")


def test_the_vllm_drafter_is_fetched_in_its_revision() -> None:
    config = '{"method": "eagle3", "model": "acme/Eagle", "revision": "v2", "num_speculative_tokens": 3}'
    for flags in (f"--speculative-config '{config}'", "-sc.model acme/Eagle -sc.revision v2 -sc.method eagle3"):
        assert plan(with_command(f"vllm serve {{model}} {flags}")).models[1] == ModelNeed("acme/Eagle", "v2")


def test_a_revision_that_only_the_command_names_is_fetched() -> None:
    (need,) = plan(with_command("vllm serve {model} --revision v3 --port 1")).models
    assert need == ModelNeed("acme/Falcon-30B", "v3")
    (need,) = plan(with_command("vllm serve {model} --revision $REV")).models
    assert need == ModelNeed("acme/Falcon-30B")


def test_expert_parallel_in_vllms_form() -> None:
    base = "model: a/b\nruntime: vllm\ncontainer: x:1\ndefaults: {{expert_parallel: {value}}}\n"
    for value, there in (("2", True), ("true", True), ("1", False), ("false", False)):
        words = engine_for("vllm").command(rendered(base.format(value=value))).split()
        assert ("--enable-expert-parallel" in words) is there


def test_the_revision_of_a_drafter_is_read() -> None:
    words = ["sglang", "serve", "m", "--speculative-draft-model", "a/b", "--speculative-draft-model-revision", "r"]
    speculative = read_settings(SGLANG, words).speculative
    assert speculative is not None and speculative.revision == "r"
