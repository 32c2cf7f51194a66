"""Whether an engine looks for the fetched model where its container has it."""

from __future__ import annotations

import pytest

from sparkrun_tui.engines.checks.validation import validate
from sparkrun_tui.engines.registry import engine_for
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Problem
from sparkrun_tui.recipe.values.overrides import render

RECIPE = """\
model: {model}
runtime: {runtime}
container: acme/engine:1
{more}
defaults: {{port: 8000}}
command: {command}
"""
VLLM = "vllm serve {model} --port {port}"
SGLANG = "python3 -m sglang.launch_server --model-path {model} --port {port}"


def found(more: str = "", command: str = VLLM, runtime: str = "vllm", model: str = "acme/falcon") -> list[Problem]:
    recipe = load_text(RECIPE.format(model=model, runtime=runtime, more=more, command=command))
    return [problem for problem in validate(recipe, env={}) if problem.code == "cache-elsewhere"]


@pytest.mark.parametrize(
    ("more", "named", "place"),
    [
        ("env: {HF_HOME: /models/hf}", "HF_HOME", "/models/hf"),
        ("env: {HF_HOME: ~/hf}", "HF_HOME", "/root/hf"),
        ("env: {HF_HUB_CACHE: /data/hub/}", "HF_HUB_CACHE", "/data/hub"),
        ("env: {HUGGINGFACE_HUB_CACHE: /data/hub}", "HUGGINGFACE_HUB_CACHE", "/data/hub"),
        ("env: {HF_HOME: /root/.cache/huggingface, HF_HUB_CACHE: /data/hub}", "HF_HUB_CACHE", "/data/hub"),
        ("env: {HF_HOME: /a}\nexecutor_config: {volumes: ['/srv/b:/b']}", "HF_HOME", "/a"),
    ],
)
def test_a_cache_outside_of_all_mounts_is_pointed_out(more: str, named: str, place: str) -> None:
    (problem,) = found(more)
    assert problem.message.startswith(f"`{named}` leads to {place}, where nothing is mounted")
    assert problem.message.endswith("vLLM downloads it again into the container")
    assert f"leave `{named}` out" in problem.remedy
    assert problem.spot is not None
    assert problem.spot.line == 4


@pytest.mark.parametrize("runtime, command", [("vllm", VLLM), ("sglang", SGLANG)])
@pytest.mark.parametrize("flag", ["--download-dir /models", "--download-dir=/models"])
def test_a_folder_for_downloads_counts_before_the_variables(runtime: str, command: str, flag: str) -> None:
    (problem,) = found("env: {HF_HOME: /root/.cache/huggingface}", f"{command} {flag}", runtime)
    assert problem.message.startswith("`--download-dir` leads to /models")
    assert problem.spot is not None
    assert problem.spot.line == 6


@pytest.mark.parametrize(
    "more",
    [
        "",
        "env: {HF_HOME: /root/.cache/huggingface}",
        "env: {HF_HOME: /root/.cache/huggingface/}",
        "env: {HF_HOME: ~/.cache/huggingface}",
        "env: {HF_HOME: /cache/huggingface}",
        "env: {HF_HUB_CACHE: /cache/huggingface/hub, HF_HOME: /elsewhere}",
        "env: {HF_HOME: '${HF_HOME}'}",
        "env: {HF_HOME: /models/hf}\nexecutor_config: {volumes: ['/srv/models:/models']}",
    ],
)
def test_a_cache_that_is_mounted_or_not_known_is_not(more: str) -> None:
    assert found(more) == []


def test_what_is_served_from_a_path_needs_no_cache() -> None:
    assert found("env: {HF_HOME: /models/hf}", "vllm serve /model --port {port}") == []
    assert found("env: {HF_HOME: /models/hf}", model="/srv/models/falcon") == []
    command = "llama-server -hf {model} --port {port}"
    assert found("env: {HF_HOME: /models/hf}", command, "llama-cpp", "acme/falcon:Q4_K_M") == []


@pytest.mark.parametrize(
    "volume", ["/home/ada/.cache/huggingface:/root/.cache/huggingface", "/srv/hub:/root/.cache/huggingface/hub/:ro"]
)
def test_a_volume_in_place_of_the_hosts_cache_is_pointed_out(volume: str) -> None:
    (problem,) = found(f"executor_config: {{volumes: ['{volume}']}}")
    assert problem.message.startswith(
        f"the volume {volume.partition(':')[0]} takes the place of the host's Hugging Face"
    )
    assert "leave it out" in problem.remedy
    assert problem.spot is not None
    assert problem.spot.line == 4


@pytest.mark.parametrize(
    "volume",
    [
        "~/.cache/huggingface:/root/.cache/huggingface",
        "~/.cache/huggingface/hub:/root/.cache/huggingface/hub",
        "/srv/data:/root/.cache/vllm",
        "/srv/models:/models",
    ],
)
def test_other_volumes_are_not(volume: str) -> None:
    assert found(f"executor_config: {{volumes: ['{volume}']}}") == []


def inside(command: str, more: str = "", runtime: str = "vllm", model: str = "acme/falcon") -> list[Problem]:
    text = RECIPE.format(model=model, runtime=runtime, more=more, command=f"|\n  {command}")
    problems = engine_for(runtime).check(render(load_text(text), {}))
    return [problem for problem in problems if problem.code in ("model-inside", "draft-path")]


@pytest.mark.parametrize(
    ("runtime", "command"),
    [
        ("vllm", "vllm serve /model --port {port}"),
        ("vllm", "python3 -m vllm.entrypoints.openai.api_server --model=/model/ --port {port}"),
        ("sglang", "python3 -m sglang.launch_server --model-path /model --port {port}"),
        ("llama-cpp", "llama-server -m /model/falcon.gguf --port {port}"),
    ],
)
def test_a_model_on_a_path_that_is_not_mounted(runtime: str, command: str) -> None:
    (problem,) = inside(command, runtime=runtime)
    assert problem.message.startswith("the model /model")
    assert "executor_config: {volumes: ['/model" in problem.remedy
    assert inside(command, "executor_config: {volumes: ['/srv/falcon:/model:ro']}", runtime) == []


def test_volumes_beside_executor_config_are_to_be_moved_into_it() -> None:
    """As in recipes that follow Compose: a model and its drafter in `volumes` at the top of the file."""
    drafter = """--speculative-config '{"model": "/drafter", "method": "dflash", "num_speculative_tokens": 7}'"""
    volumes = "volumes: ['~/models/falcon:/model:ro', '~/models/falcon-dflash:/drafter:ro', 7]"
    model, draft = inside(f"vllm serve /model --port {{port}} {drafter}", volumes)
    assert (model.code, draft.code) == ("model-inside", "draft-path")
    for problem in (model, draft):
        assert problem.remedy == "move `volumes` into `executor_config`, which mounts them"


@pytest.mark.parametrize(
    ("model", "command"),
    [
        ("/srv/models/falcon", "vllm serve {model} --port {port}"),
        ("acme/falcon", "vllm serve {model} --port {port}"),
        ("acme/falcon", "vllm serve /root/.cache/huggingface/hub/falcon --port {port}"),
        ("acme/falcon", "echo no engine"),
    ],
)
def test_models_that_are_mounted_or_fetched(model: str, command: str) -> None:
    assert inside(command, model=model) == []
