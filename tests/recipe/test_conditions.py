"""`overrides`: values that hold under conditions."""

from __future__ import annotations

import pytest

from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.engines.checks.validation import validate
from sparkrun_tui.launch.plan.dry_run import as_data, lines, offline_plan
from sparkrun_tui.launch.sizing.evaluation import Target, evaluate
from sparkrun_tui.memory.result import HostMemory
from sparkrun_tui.recipe.format.export import exported
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Recipe, Severity
from sparkrun_tui.recipe.values.conditional import Hardware, Surroundings, facts_of, in_force
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.recipe.values.rendered import Rendered

HEAD = """\
model: Qwen/Qwen3-8B
runtime: vllm-distributed
container: org/img:1
defaults: {port: 8000, tensor_parallel: 1, max_num_seqs: 8, draft: none, eager: true, share: 0.80}
env: {LEVEL: INFO}
command: vllm serve {model} --port {port} -tp {tensor_parallel} --max-num-seqs {max_num_seqs} --x {share}
"""
SPARK = Hardware("spark-1", "NVIDIA GB10")
RTX = Hardware("box", "NVIDIA RTX PRO 6000 Blackwell Workstation Edition", 96 << 30, 2)


def recipe(when: str, sets: str = "defaults: {max_num_seqs: 1}") -> Recipe:
    return load_text(f"{HEAD}overrides:\n  - when: {when}\n    {sets}\n")


def judged(what: Recipe, *hosts: Hardware, **overrides: str) -> Rendered:
    around = Surroundings(hosts or (SPARK,), frozenset({"vllm-distributed"}), "vllm")
    return in_force(render(what, overrides), around)


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ("{nodes: 1}", True),
        ("{nodes: 2}", False),
        ("{nodes: [1, 2]}", True),
        ("{nodes: {gte: 2}}", False),
        ("{nodes: {gte: 1, lt: 2}}", True),
        ("{nodes: {ne: 1}}", False),
        ("{nodes: {not_in: [2, 3]}}", True),
        ("{nodes: '1'}", True),
        ("{gpus_per_node: 1}", True),
        ("{tp: 1, pp: 1, dp: 1}", True),
        ("{tp: 2}", False),
        ("{runtime: vllm-distributed}", True),
        ("{runtime: [sglang, vllm-distributed]}", True),
        ("{runtime: sglang}", False),
        ("{runtime: {ne: sglang}}", True),
        ("{runtime_family: VLLM}", True),
        ("{arch: sm_121}", True),
        ("{arch: sm_121a}", True),
        ("{arch: '12.1'}", True),
        ("{arch: [sm_120, sm_90]}", False),
        ("{accelerator: gb10, vendor: nvidia, platform: dgx-spark}", True),
        ("{capability: unified-memory}", True),
        ("{capability: rocm}", False),
        ("{memory_gb: {gte: 100}}", True),
        ("{memory_gb: {lt: 100}}", False),
        ("{config: {draft: none}}", True),
        ("{config: {draft: {ne: none}}}", False),
        ("{config: {nothing: 1}}", False),
        ("{config: {nothing: {ne: 1}}}", True),
        ("{config: {eager: true}}", True),
        ("{config: {eager: 1}}", False),
        ("{config: {share: {lt: 0.9}}}", True),
        ("{config: {max_num_seqs: {gt: 8}}}", False),
        ("{nodes: 1, arch: sm_120}", False),
    ],
)
def test_conditions(when: str, holds: bool) -> None:
    result = judged(recipe(when))
    [decision] = result.decisions
    assert decision.holds is holds
    assert decision.reason
    assert ("--max-num-seqs 1" in (result.command or "")) is holds


@pytest.mark.parametrize("when", ["{colour: red}", "{node: 1}", "{nodes: {about: 1}}", "{arch: {gt: sm_90}}"])
def test_what_is_not_known_never_holds(when: str) -> None:
    result = judged(recipe(when))
    assert not result.decisions[0].holds
    [problem] = [problem for problem in result.problems if problem.code == "overrides"]
    assert problem.severity is Severity.WARNING and "never holds" in problem.message


@pytest.mark.parametrize(
    "entry",
    [
        "- {defaults: {a: 1}}",
        "- {when: {}, defaults: {a: 1}}",
        "- {when: [], defaults: {a: 1}}",
        "- {when: {nodes: 1}}",
        "- {when: {nodes: 1}, defaults: [a]}",
        "- {when: {nodes: 1}, defaults: {port: 1}}",
        "- {when: {nodes: 1}, defaults: {tensor_parallel: 2}}",
        "- {when: {nodes: 1}, env: {A: [1]}}",
        "- {when: {nodes: 1}, command: x}",
        "- {when: {nodes: 1}, defaults: {a: 1}, colour: red}",
        "- {when: {config: 1}, defaults: {a: 1}}",
        "- {when: {nodes: 1}, container: [x]}",
        "- just words",
        "{when: {nodes: 1}}",
    ],
)
def test_entries_of_a_wrong_form_are_errors_with_their_place(entry: str) -> None:
    found = validate(load_text(f"{HEAD}overrides:\n  {entry}\n"), None, {})
    errors = [problem for problem in found if problem.severity is Severity.ERROR]
    assert errors and all(problem.spot is not None and problem.spot.line == 8 for problem in errors)


def test_the_later_entry_wins_and_none_sees_another() -> None:
    what = load_text(
        f"{HEAD}overrides:\n"
        "  - {when: {nodes: 1}, defaults: {max_num_seqs: 2, share: 0.70}, env: {A: '1', LEVEL: DEBUG}}\n"
        "  - {when: {config: {max_num_seqs: 8}}, defaults: {max_num_seqs: 3}, container: 'org/img:3'}\n"
        "  - {when: {config: {max_num_seqs: 3}}, defaults: {max_num_seqs: 4}}\n"
    )
    result = judged(what)
    assert [decision.holds for decision in result.decisions] == [True, True, False]
    assert result.recipe.container == "org/img:3"
    assert result.command is not None and "--max-num-seqs 3 --x 0.70" in result.command
    assert {key: value.text for key, value in result.recipe.env.items()} == {"LEVEL": "DEBUG", "A": "1"}
    assert result.recipe.original.env.keys() == {"LEVEL"}


def test_typed_values_win_and_conditions_read_them() -> None:
    result = judged(
        recipe("{config: {draft: mtp}}", "defaults: {max_num_seqs: 1, share: 0.5}"), draft="mtp", share="0.9"
    )
    assert result.command is not None and "--max-num-seqs 1 --x 0.9" in result.command


def test_judging_again_starts_from_the_file() -> None:
    what = recipe("{arch: sm_121}")
    first = judged(what)
    again = in_force(first, Surroundings((RTX,)))
    assert first.decisions[0].holds and not again.decisions[0].holds
    assert again.command is not None and "--max-num-seqs 8" in again.command
    assert again.recipe.declared is None


def test_hosts_that_differ_are_an_error() -> None:
    result = judged(recipe("{arch: sm_121}"), SPARK, RTX)
    [problem] = [problem for problem in result.problems if problem.code == "overrides-split"]
    assert problem.severity is Severity.ERROR
    assert "spark-1" in problem.message and "box" in problem.message


@pytest.mark.parametrize(
    ("gpu", "accelerator", "arch"),
    [
        ("NVIDIA GB10", "gb10", "sm_121"),
        ("NVIDIA H200", "h200", "sm_90"),
        ("NVIDIA H100 80GB HBM3", "h100-80gb-hbm3", "sm_90"),
        ("NVIDIA A100-SXM4-80GB", "a100-sxm4-80gb", "sm_80"),
        ("NVIDIA GeForce RTX 5090", "geforce-rtx-5090", "sm_120"),
        ("NVIDIA GeForce RTX 4090", "geforce-rtx-4090", "sm_89"),
        ("NVIDIA RTX 6000 Ada Generation", "rtx-6000-ada-generation", "sm_89"),
        ("Tesla T4", "t4", "sm_75"),
        ("NVIDIA Thing 9000", "thing-9000", None),
    ],
)
def test_gpus_by_their_names(gpu: str, accelerator: str, arch: str | None) -> None:
    facts = facts_of(Hardware("h", gpu, 80 << 30))
    assert (facts["accelerator"], facts["arch"], facts["vendor"]) == (accelerator, arch, "nvidia")


def test_a_host_without_a_gpu_meets_no_condition_about_one() -> None:
    for when in ("{arch: sm_121}", "{vendor: {ne: amd}}", "{memory_gb: {lt: 1000}}"):
        assert not judged(recipe(when), Hardware("h", "")).decisions[0].holds


TWO = """\
overrides:
  - {when: {nodes: 1}, defaults: {max_num_seqs: 1}}
  - {when: {nodes: 2}, defaults: {max_num_seqs: 2}, env: {TWO: "yes"}, container: "org/img:two"}
"""


@pytest.mark.parametrize(("tp", "seqs", "image"), [("1", "1", "org/img:1"), ("2", "2", "org/img:two")])
def test_evaluation_plan_and_dry_run_agree(tp: str, seqs: str, image: str) -> None:
    what = load_text(HEAD + TWO)
    cluster = Cluster("lab", ("a", "b"))
    overrides = {"tensor_parallel": tp}
    evaluation = evaluate(what, overrides, Target(cluster))
    assert f"--max-num-seqs {seqs}" in evaluation.command
    assert evaluation.recipe.container == image
    plan = offline_plan(render(what, overrides), cluster, "abcd2345", {})
    assert f"--max-num-seqs {seqs}" in plan.serve.ranks[0].container.script
    assert plan.serve.images == (image,)
    assert ("TWO" in plan.serve.ranks[0].container.env) is (tp == "2")
    shown = "\n".join(lines(plan))
    assert f"nodes {tp}) holds" in shown and f"nodes is {tp}" in shown
    assert any("holds: sets max_num_seqs" in note for note in as_data(plan)["notes"])


def test_solo_is_one_host() -> None:
    what = load_text(HEAD + TWO)
    plan = offline_plan(render(what, {}), Cluster("lab", ("a", "b")), "abcd2345", {}, solo=True)
    assert "--max-num-seqs 1" in plan.serve.ranks[0].container.script


def test_probed_hosts_are_judged_by_what_they_are() -> None:
    what = recipe("{memory_gb: {lt: 100}}")
    small = HostMemory("a", 48 << 30, None, False, "probed", 1, False, "NVIDIA L40S")
    cluster = Cluster("lab", ("a",))
    assert evaluate(what, {}, Target(cluster, {"a": small})).rendered.decisions[0].holds
    assert not evaluate(what, {}, Target(cluster)).rendered.decisions[0].holds


def test_an_exported_value_is_the_same_under_all_conditions() -> None:
    what = load_text(HEAD + TWO)
    text = exported(what, {"max_num_seqs": "8"})
    again = load_text(text)
    for hosts in ((SPARK,), (SPARK, SPARK)):
        command = judged(again, *hosts).command
        assert command is not None and "--max-num-seqs 8" in command
    assert exported(what, {}) == what.text


def test_a_key_that_only_a_condition_reads_is_used() -> None:
    codes = [problem.message for problem in validate(recipe("{config: {draft: none}}"), None, {})]
    assert not any("`draft` is not used" in message for message in codes)
