"""Images of single hosts, options of the container, and the cache of compiled code."""

from __future__ import annotations

from typing import Any

import pytest

from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.engines.plan import HostView, PlanRequest, ServePlan
from sparkrun_tui.engines.registry import engine_for
from sparkrun_tui.launch.plan.containers import create_body, run_command
from sparkrun_tui.launch.plan.dry_run import lines, offline_plan
from sparkrun_tui.recipe.format.hooks import container_options
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Severity
from sparkrun_tui.recipe.names.images import image_on
from sparkrun_tui.recipe.values.overrides import render
from tests.engines.samples import plan, rendered

SOLO = """\
model: org/m
runtime: vllm
container: a/b:1
defaults: {port: 8000}
command: vllm serve {model} --port {port}
"""
TWO = SOLO.replace("runtime: vllm", "runtime: vllm-distributed\nmin_nodes: 2")


def body(text: str) -> dict[str, Any]:
    created: dict[str, Any] = create_body(plan(rendered(text)).ranks[0].container)
    return created


def test_options_reach_docker_and_the_command_to_paste() -> None:
    text = SOLO + (
        "executor_config: {memory_limit: 100g, restart_policy: 'on-failure:3', security_opt: [no-new-privileges],"
        " labels: {team: a b, on: true, n: 3}}\n"
    )
    made = body(text)
    host = made["HostConfig"]
    assert host["Memory"] == 100 << 30
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert {key: made["Labels"][key] for key in ("team", "on", "n")} == {"team": "a b", "on": "true", "n": "3"}
    command = run_command(plan(rendered(text)).ranks[0].container)
    for part in ("--memory 107374182400", "--restart on-failure:3", "--security-opt no-new-privileges", "'team=a b'"):
        assert part in command
    assert "HostConfig" in body(SOLO) and body(SOLO)["HostConfig"]["RestartPolicy"] == {"Name": "no"}
    assert "Memory" not in body(SOLO)["HostConfig"]


@pytest.mark.parametrize("given", ["labels: [a=1, b, a=1]", "labels: 'a=1'", "labels: {a: 1}"])
def test_labels_in_all_forms(given: str) -> None:
    options = container_options(load_text(f"{SOLO}executor_config: {{{given}}}\n"))
    assert options.labels[0] == "a=1" and not options.problems


@pytest.mark.parametrize(
    "given",
    [
        "memory_limit: many",
        "memory_limit: 1m",
        "memory_limit: [1g]",
        "restart_policy: sometimes",
        "restart_policy: 'on-failure:x'",
        "security_opt: ['a b']",
        "security_opt: ['seccomp=/etc/x.json']",
        "security_opt: {seccomp: unconfined, x: [1]}",
        "labels: ['=x']",
        "labels: ['a b=c']",
        "labels: [io.sparkrun-tui.launch=x]",
        "labels: {io.sparkrun-tui.rank: 0}",
        "labels: [sparkrun-tui.model=x]",
        "labels: [IO.SPARKRUN-TUI.x=y]",
    ],
)
def test_wrong_options_are_errors(given: str) -> None:
    found = container_options(load_text(f"{SOLO}executor_config: {{{given}}}\n")).problems
    assert found and all(problem.severity is Severity.ERROR for problem in found)


def test_no_label_of_a_recipe_replaces_our_own() -> None:
    serve = plan(rendered(SOLO + "executor_config: {labels: [io.sparkrun-tui.model=evil, x=y]}\n"))
    labels = serve.ranks[0].container.labels
    assert labels["io.sparkrun-tui.model"] == "org/m" and labels["x"] == "y"


def restarts(serve: ServePlan) -> tuple[str, list[str]]:
    said = [problem.message for problem in serve.problems if problem.code == "restart-policy"]
    return serve.ranks[0].container.restart, said


def test_docker_restarts_only_what_it_can() -> None:
    option = "executor_config: {restart_policy: unless-stopped}\n"
    serve = plan(rendered(SOLO + option))
    assert restarts(serve) == ("unless-stopped", [])
    assert any("unless-stopped" in note for note in serve.notes)
    policy, [reason] = restarts(plan(rendered(TWO + option), 2))
    assert not policy and "other hosts" in reason
    policy, [reason] = restarts(plan(rendered(SOLO + option), secret_env={"K": Secret("x" * 20)}))
    assert not policy and "secrets" in reason
    assert restarts(plan(rendered(SOLO + "executor_config: {restart_policy: 'no'}\n"))) == ("", [])


def test_scripts_that_launch_get_the_options_too() -> None:
    text = SOLO.replace("runtime: vllm", "runtime: eugr-vllm").replace("a/b:1", "vllm-node")
    serve = plan(rendered(text + "executor_config: {memory_limit: 1g, labels: [a=b], restart_policy: always}\n"))
    script = "".join(script.script for stage in serve.stages for script in stage.scripts)
    assert "--memory 1073741824" in script and "--label a=b" in script and "--restart" not in script
    assert any("restart_policy" in problem.message for problem in serve.problems)


IMAGES = TWO + "containers: [{host: spark-2, image: 'a/b:second'}, {host: spark-9, image: 'a/b:other'}]\n"


def test_hosts_have_images_of_their_own() -> None:
    serve = plan(rendered(IMAGES), 2)
    assert [rank.container.image for rank in serve.ranks] == ["a/b:1", "a/b:second"]
    assert serve.image == "a/b:1" and serve.images == ("a/b:1", "a/b:second")
    assert serve.image_on("spark-2") == "a/b:second"
    assert [rank.container.labels["io.sparkrun-tui.image"] for rank in serve.ranks] == ["a/b:1", "a/b:second"]
    assert any("spark-2 a/b:second" in note for note in serve.notes)


def test_of_two_entries_that_mean_one_host_the_first_counts_everywhere() -> None:
    twice = "containers: [{host: spark-2, image: 'a/b:first'}, {host: me@spark-2, image: 'a/b:later'}]\n"
    hosts = (HostView("me@spark-1", "10.0.0.1"), HostView("me@spark-2", "10.0.0.2"))
    recipe = rendered(TWO + twice + "runtime_cache: {key_by_image: true}\n")
    spec = engine_for("vllm").plan(PlanRequest(recipe, hosts, "abcd2345")).ranks[1].container
    assert spec.image == image_on(recipe.recipe, "me@spark-2") == "a/b:first"
    assert any("/b-first-" in mount.source for mount in spec.mounts)


def test_the_plan_pulls_each_image_where_it_runs() -> None:
    made = offline_plan(render(load_text(IMAGES), {}), Cluster("x", ("me@spark-1", "me@spark-2")), "abcd2345", {})
    text = "\n".join(lines(made))
    assert text.count("docker pull a/b:1\n") == 1 and text.count("docker pull a/b:second\n") == 1


def test_a_host_that_the_cluster_does_not_have_is_an_error() -> None:
    what = render(load_text(IMAGES), {})
    saved = offline_plan(what, Cluster("lab", ("spark-1", "spark-2")), "abcd2345", {})
    [error] = saved.errors
    assert error.code == "containers-host" and "spark-9" in error.message
    given = Cluster("spark-1,spark-2", ("spark-1", "spark-2"), source="command line")
    assert not offline_plan(what, given, "abcd2345", {}).errors
    assert not offline_plan(what, None, "abcd2345", {}).errors


def test_scripts_that_run_one_image_refuse_several() -> None:
    text = IMAGES.replace("vllm-distributed", "eugr-vllm")
    assert any(problem.code == "containers" for problem in plan(rendered(text), 2).problems)


def test_ray_needs_one_image() -> None:
    text = IMAGES.replace("vllm-distributed", "vllm")
    assert any(problem.code == "containers" for problem in plan(rendered(text), 2).problems)
    same = text.replace("a/b:second", "a/b:1")
    assert not any(problem.code == "containers" for problem in plan(rendered(same), 2).problems)


@pytest.mark.parametrize(
    "given",
    [
        "containers: {spark-1: x/y:1}",
        "containers: [x/y:1]",
        "containers: [{host: a}]",
        "containers: [{image: x/y:1}]",
        "containers: [{host: a, image: x/y:1}, {host: a, image: x/y:2}]",
        "containers: [{host: a, image: [x]}]",
        "containers: [{host: a, image: 'Not An Image'}]",
    ],
)
def test_wrong_images_of_hosts_are_errors(given: str) -> None:
    made = offline_plan(render(load_text(f"{SOLO}{given}\n"), {}), None, "abcd2345", {})
    assert made.broken
    assert all(error.spot is not None and error.spot.line == 6 for error in made.errors)


def targets(text: str) -> list[tuple[str, str]]:
    return [(mount.source, mount.target) for mount in plan(rendered(text)).ranks[0].container.mounts]


def test_compiled_code_is_kept_as_the_recipe_asks() -> None:
    assert ("/home/ada/.cache/sparkrun-tui/engine/vllm/vllm", "/root/.cache/vllm") in targets(SOLO)
    none = [target for _, target in targets(SOLO + "runtime_cache: false\n")]
    assert none == ["/root/.cache/huggingface"]
    assert targets(SOLO + "runtime_cache: {enabled: false}\n") == targets(SOLO + "runtime_cache: false\n")
    keyed = targets(SOLO + "runtime_cache: {key_by_image: true, key_by_model: true}\n")
    folder = keyed[1][0]
    assert folder.startswith("/home/ada/.cache/sparkrun-tui/engine/vllm/b-1-") and "/org-m-" in folder
    assert targets(SOLO.replace("a/b:1", "c/b:1") + "runtime_cache: {key_by_image: true}\n") != targets(
        SOLO + "runtime_cache: {key_by_image: true}\n"
    )


def test_a_recipe_that_names_the_kept_folder_has_it() -> None:
    named = SOLO.replace("vllm serve", "TRITON_CACHE_DIR=/cache/runtime/triton vllm serve")
    assert any(target == "/cache/runtime" for _, target in targets(named))
    assert not any(target == "/cache/runtime" for _, target in targets(SOLO))
    assert not any(target == "/cache/runtime" for _, target in targets(named + "runtime_cache: false\n"))
    assert any(target == "/cache/runtime" for _, target in targets(SOLO + "pre_exec: [ls]\n"))
