"""Which hosts are proposed for a launch, and what a plan says of their memory."""

from __future__ import annotations

from sparkrun_tui.base.units import GIB
from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.launch.sizing.evaluation import Target, evaluate
from sparkrun_tui.launch.sizing.memory_problems import memory_problems
from sparkrun_tui.launch.sizing.placing import SLACK, preferred, propose
from sparkrun_tui.memory.hosts import SPARK_TOTAL
from sparkrun_tui.memory.result import HostMemory
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Recipe, Severity

NAMES = ("one", "two", "three")
RECIPE = """\
name: small
model: acme/small-8b
runtime: vllm
container: vllm/vllm-openai:v0.14.0
metadata: {model_params: 8B, model_dtype: bf16, num_layers: 32, num_kv_heads: 8, head_dim: 128}
defaults: {port: 8000, tensor_parallel: 1, gpu_memory_utilization: 0.8, max_model_len: 32768}
command: |
  vllm serve {model} --max-model-len {max_model_len} --gpu-memory-utilization {gpu_memory_utilization} \\
    -tp {tensor_parallel} --port {port}
"""


def host(name: str, free: float) -> HostMemory:
    return HostMemory(name, SPARK_TOTAL, int(free * GIB), False, "probed")


def memory(**free: float) -> dict[str, HostMemory]:
    return {name: host(name, left) for name, left in free.items()}


def recipe() -> Recipe:
    found = load_text(RECIPE)
    assert isinstance(found, Recipe)
    return found


def test_hosts_that_are_about_as_empty_stay_in_the_order_of_the_cluster() -> None:
    assert propose(NAMES, memory(one=114.0, two=117.0, three=116.0), 1) == ("one",)
    assert propose(NAMES, memory(one=114.0, two=117.0, three=116.0), 2) == ("one", "two")


def test_the_emptiest_hosts_are_proposed_in_the_order_of_the_cluster() -> None:
    known = memory(one=33.0, two=117.0, three=116.0)
    assert propose(NAMES, known, 1) == ("two",)
    assert propose(NAMES, known, 2) == ("two", "three")
    assert propose(NAMES, known, 3) == NAMES
    assert propose(NAMES, known, 9) == NAMES
    busier = memory(one=60.0, two=33.0, three=116.0)
    assert propose(NAMES, busier, 2) == ("one", "three")
    assert preferred(NAMES, busier) == ("three", "one", "two")


def test_hosts_that_have_not_answered_come_last() -> None:
    assert propose(NAMES, {}, 1) == ("one",)
    assert propose(NAMES, memory(three=20.0), 1) == ("three",)
    assert propose(NAMES, memory(three=20.0), 2) == ("one", "three")


def test_the_slack_is_wider_than_what_idle_hosts_differ_by() -> None:
    almost = (117 * GIB - SLACK) / GIB
    assert propose(NAMES, memory(one=almost, two=117.0), 1) == ("one",)
    assert propose(NAMES, memory(one=almost - 0.1, two=117.0), 1) == ("two",)


def test_a_recipe_is_judged_on_the_hosts_that_a_launch_would_use() -> None:
    cluster = Cluster("lab", NAMES)
    found = evaluate(recipe(), {}, Target(cluster, memory(one=33.0, two=117.0, three=116.0)))
    assert found.places == ("two",) and not found.supposed
    assert [picture.host.name for picture in found.estimate.hosts] == ["two"]
    assert found.level != "bad"
    picked = evaluate(recipe(), {}, Target(cluster, memory(one=33.0, two=117.0, three=116.0), ("one",)))
    assert picked.places == ("one",) and picked.level == "bad"


def test_a_host_that_was_not_asked_is_supposed_to_be_idle() -> None:
    found = evaluate(recipe(), {}, Target(Cluster("lab", NAMES), {}))
    assert found.supposed and found.places == ("one",)


def test_a_plan_says_of_memory_what_the_estimate_says() -> None:
    cluster = Cluster("lab", ("one",))
    for free in range(2, 122, 3):
        estimate = evaluate(recipe(), {}, Target(cluster, memory(one=float(free)))).estimate
        problems = memory_problems(estimate)
        worst = {problem.severity for problem in problems}
        assert (Severity.ERROR in worst) == (estimate.level == "bad"), free
        assert {problem.code for problem in problems} <= {"memory"}
        if estimate.level == "good":
            assert not problems
