"""A plan inspected on its hosts: what is there, what moves, what prevents a launch; nothing is changed by it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.plan.plan import LaunchPlan
from sparkrun_tui.launch.plan.shapes import PlanStep
from tests.launch.fakes import SGLANG_TWO, SOLO, FakeCluster, rendered
from tests.launch.virtual import virtual_time


def step(plan: LaunchPlan, phase: Phase) -> PlanStep:
    return next(step for step in plan.steps if step.phase is phase)


@virtual_time
async def test_steps_name_the_hosts_that_still_need_something(cluster: FakeCluster) -> None:
    cluster[2].images.clear()
    cluster[1].models.add("org/tiny")
    launcher = cluster.launcher()
    plan = await launcher.inspect(launcher.plan(rendered(SGLANG_TWO), cluster.cluster))
    image, model = step(plan, Phase.IMAGE), step(plan, Phase.MODEL)
    assert image.hosts == ("spark-2",)
    assert "spark-1 has it" in image.detail
    assert [command.host for command in image.commands] == ["spark-2"]
    assert model.hosts == ("spark-2",) and model.size == 200
    assert [command.text.split()[0] for command in model.commands] == ["rsync"], "this machine has it"
    assert "spark-2:" in model.commands[0].text
    assert "Docker 28.5" in step(plan, Phase.CHECK).detail
    assert plan.problems == ()
    assert [host.actions for host in cluster.hosts.values()] == [[], []]


@virtual_time
async def test_a_host_whose_name_ends_like_anothers_keeps_its_transfer() -> None:
    cluster = FakeCluster("spark", "lab-spark")
    cluster[1].models.add("org/tiny")
    launcher = cluster.launcher()
    plan = await launcher.inspect(launcher.plan(rendered(SGLANG_TWO), cluster.cluster))
    model = step(plan, Phase.MODEL)
    assert model.hosts == ("lab-spark",)
    assert [command.target for command in model.commands] == ["lab-spark"]


@virtual_time
async def test_what_all_hosts_have_needs_nothing(cluster: FakeCluster) -> None:
    cluster[1].models.add("org/tiny")
    launcher = cluster.launcher()
    plan = await launcher.inspect(launcher.plan(rendered(SOLO), cluster.cluster))
    assert step(plan, Phase.IMAGE).commands == () and step(plan, Phase.MODEL).commands == ()
    assert "on all hosts already" in step(plan, Phase.MODEL).detail


@virtual_time
async def test_a_download_is_reported_with_its_size(cluster: FakeCluster) -> None:
    cluster.local_models.clear()
    launcher = cluster.launcher()
    plan = await launcher.inspect(launcher.plan(rendered(SGLANG_TWO), cluster.cluster))
    assert "then send" in step(plan, Phase.MODEL).detail
    assert step(plan, Phase.MODEL).size == 400
    words = [command.text.split()[0] for command in step(plan, Phase.MODEL).commands]
    assert words == ["hf", "rsync", "rsync"]


GGUF = """\
name: gguf
model: org/tiny-GGUF:Q8_0
runtime: llama-cpp
container: registry.test/engine:1
defaults: {port: 8080}
command: llama-server -hf {model} --port {port}
"""


@virtual_time
async def test_the_download_of_a_quantisation_names_its_files_once_they_are_known(cluster: FakeCluster) -> None:
    launcher = cluster.launcher()
    plan = launcher.plan(rendered(GGUF), cluster.cluster)
    before = step(plan, Phase.MODEL)
    assert before.commands[0].text == "hf download org/tiny-GGUF --include '*Q8_0*.gguf' --include '*mmproj*.gguf'"
    assert "takes only the files of Q8_0" in before.detail
    seen = step(await launcher.inspect(plan), Phase.MODEL)
    assert seen.commands[0].text == "hf download org/tiny-GGUF --include tiny-Q8_0.gguf"
    assert "pattern" not in seen.detail


@virtual_time
async def test_without_the_hub_sizes_are_open(cluster: FakeCluster) -> None:
    cluster.local_models.clear()
    cluster.hub_error = "the Hub does not answer"
    launcher = cluster.launcher()
    plan = await launcher.inspect(launcher.plan(rendered(SGLANG_TWO), cluster.cluster))
    assert step(plan, Phase.MODEL).size is None


@virtual_time
async def test_what_stands_in_the_way_is_a_problem_that_can_be_waved_through(cluster: FakeCluster) -> None:
    cluster[2].facts = replace(cluster[2].facts, gpu_runtime=False)
    launcher = cluster.launcher()
    plan = await launcher.inspect(launcher.plan(rendered(SGLANG_TWO), cluster.cluster))
    assert [problem.code for problem in plan.errors] == ["gpu-runtime"]
    with pytest.raises(LaunchError, match="spark-2"):
        launcher.launch(plan)
    launch = launcher.launch(plan, ignored=frozenset({"gpu-runtime"}))
    await launch.wait_ready()
    await launch.stop()


@virtual_time
async def test_a_silent_host_is_a_problem_and_no_exception(cluster: FakeCluster) -> None:
    cluster[2].unreachable = True
    launcher = cluster.launcher()
    plan = await launcher.inspect(launcher.plan(rendered(SGLANG_TWO), cluster.cluster))
    assert [problem.code for problem in plan.errors] == ["unreachable"]
    assert plan.errors[0].remedy == "Is it switched on?"
