"""Recipes made of Docker Compose files: what is carried over, what becomes a variable, and what is said."""

from __future__ import annotations

import pytest
import yaml

from sparkrun_tui.base.errors import RecipeError, UsageError
from sparkrun_tui.engines.checks.validation import validate
from sparkrun_tui.engines.compose import Converted, converted
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Recipe, Severity
from sparkrun_tui.recipe.values.overrides import render


def made(text: str, service: str = "") -> tuple[Recipe, Converted]:
    found = converted(text, "/srv/app/compose.yml", service)
    return load_text(found.text), found


def errors(recipe: Recipe) -> list[str]:
    return [problem.message for problem in validate(recipe, env={}) if problem.severity is Severity.ERROR]


VLLM = """\
x-common: &common
  restart: always
  ipc: host
services:
  web:
    image: nginx:1
  chat:
    <<: *common
    image: vllm/vllm-openai:v0.31.0
    container_name: chat
    shm_size: 16gb
    ports: ["127.0.0.1:8011:8000", "9100:9100"]
    volumes:
      - ${HOME}/.cache/huggingface:/root/.cache/huggingface
      - /srv/templates:/templates:ro
      - ./extra:/extra
    environment:
      - HF_TOKEN=${HF_TOKEN}
      - OPENAI_API_KEY=canary-in-clear-0123456789
      - VLLM_LOGGING_LEVEL=${LEVEL:-DEBUG}
      - NVIDIA_VISIBLE_DEVICES=all
      - NO_PROXY
      - MONEY=5$$
    env_file: [.env]
    depends_on: [web]
    deploy:
      resources:
        limits: {memory: 64g}
        reservations: {devices: [{driver: nvidia, count: 2, capabilities: [gpu]}]}
    command: >
      --model ${MODEL:-Qwen/Qwen3-1.7B} --port 8000 --tensor-parallel-size=2
      --api-key canary-flag-0123456789
      --chat-template /templates/a.jinja
      --speculative-config '{"method": "mtp"}' --max-model-len ${LENGTH}
"""


def test_a_service_becomes_a_recipe() -> None:
    recipe, found = made(VLLM)
    assert found.service == "chat"
    assert (recipe.model, recipe.runtime, recipe.container) == ("Qwen/Qwen3-1.7B", "vllm", "vllm/vllm-openai:v0.31.0")
    values = {key: value.data for key, value in recipe.defaults.items()}
    assert values == {"host": "127.0.0.1", "port": 8011, "tensor_parallel": 2}
    assert {key: value.text for key, value in recipe.env.items()} == {
        "API_KEY": "${API_KEY}",
        "HF_TOKEN": "${HF_TOKEN}",
        "OPENAI_API_KEY": "${OPENAI_API_KEY}",
        "VLLM_LOGGING_LEVEL": "DEBUG",
        "NO_PROXY": "${NO_PROXY}",
        "MONEY": "5$",
    }
    assert recipe.runtime_config["executor_config"] == {"shm_size": "16gb", "volumes": ["/srv/templates:/templates:ro"]}
    words = render(recipe, {"max_model_len": "4096"}).argv
    assert words[:3] == ("vllm", "serve", "Qwen/Qwen3-1.7B")
    assert words[words.index("--port") + 1] == "8011"
    assert words[words.index("--max-model-len") + 1] == "4096"
    assert words[words.index("--speculative-config") + 1] == '{"method": "mtp"}'
    assert errors(recipe) == ["`{max_model_len}` has no value"]


def test_what_is_not_carried_over_is_said() -> None:
    _, found = made(VLLM)
    said = "\n".join(found.notes)
    for words in (
        "${MODEL} is its default", "8000 of the container is published as 8011", "only 8011", "`depends_on`",
        "env_file", "OPENAI_API_KEY is a secret", "--api-key is a secret", "volume ./extra", "limits of memory",
        "2 GPUs are reserved", "`web`", "`{max_model_len}` has no value", "/root/.cache/huggingface is left out",
    ):  # fmt: skip
        assert words in said
    assert "canary" not in found.text + said


def test_only_caches_that_a_launch_keeps_are_left_out() -> None:
    targets = ("huggingface", "flashinfer/", "vllm", "torch_extensions")
    volumes = ", ".join(f"'/data/{name}:/root/.cache/{name}'" for name in targets)
    volumes += ", '/data/nv:/root/.nv'"
    text = f"services:\n  a:\n    image: vllm/vllm-openai:v0.31.0\n    command: --model a/b\n    volumes: [{volumes}]\n"
    recipe, found = made(text)
    assert recipe.runtime_config["executor_config"] == {
        "volumes": ["/data/torch_extensions:/root/.cache/torch_extensions", "/data/nv:/root/.nv"]
    }
    said = {note for note in found.notes if "left out" in note}
    assert said == {
        "the volume at /root/.cache/huggingface is left out: containers get the host's Hugging Face cache",
        "the volume at /root/.cache/flashinfer/ is left out: a launch keeps this cache of the engine on each host",
        "the volume at /root/.cache/vllm is left out: a launch keeps this cache of the engine on each host",
    }


def test_a_volume_over_all_caches_is_left_out() -> None:
    text = (
        "services: {a: {image: 'vllm/vllm-openai:v0.31.0', command: --model a/b, volumes: ['~/.cache:/root/.cache']}}"
    )
    recipe, found = made(text)
    assert "executor_config" not in recipe.runtime_config
    assert "the volume at /root/.cache is left out: containers get the host's Hugging Face cache" in found.notes


@pytest.mark.parametrize(
    ("service", "runtime", "model", "argv"),
    [
        (
            "image: lmsysorg/sglang:v0.5.10\nentrypoint: python3 -m sglang.launch_server\n"
            "command: --model-path a/b --host 0.0.0.0 --tp 2",
            "sglang", "a/b",
            "python3 -m sglang.launch_server --model-path a/b --host 0.0.0.0 --tp 2 --port 8000",
        ),
        (
            "image: ghcr.io/ggml-org/llama.cpp:server-cuda\ncommand: [-hf, 'a/b:Q4_K_M', -c, '4096', --jinja]",
            "llama-cpp", "a/b:Q4_K_M", "llama-server -hf a/b:Q4_K_M -c 4096 --jinja --host 0.0.0.0 --port 8000",
        ),
        (
            "image: ghcr.io/ggml-org/llama.cpp:server\nvolumes: ['/data/gguf:/models']\n"
            "command: -m /models/x/y.gguf --port 8080\nports: ['9001:8080']",
            "llama-cpp", "/data/gguf/x/y.gguf", "llama-server -m /data/gguf/x/y.gguf --port 9001 --host 0.0.0.0",
        ),
        (
            "image: own/image:1\ncommand: [vllm, serve, a/b, --port, '8001']\nnetwork_mode: host",
            "vllm", "a/b", "vllm serve a/b --port 8001 --host 0.0.0.0",
        ),
        (
            "image: vllm/vllm-openai:v0.31.0\nvolumes: [{type: bind, source: ./m, target: /models}]\n"
            "command: --model=/models/z\nports: [{target: 8000, published: 8005, host_ip: 10.0.0.1}]",
            "vllm", "/srv/app/m/z", "vllm serve /srv/app/m/z --host 10.0.0.1 --port 8005",
        ),
        (
            "image: vllm/vllm-openai:v0.31.0\nentrypoint: [/bin/bash, -c]\n"
            "command: ['pip install x && exec vllm serve a/b --port 8000 --api-key canary-0123456789']",
            "vllm", "a/b", None,
        ),
    ],
)  # fmt: skip
def test_services_in_their_forms(service: str, runtime: str, model: str, argv: str | None) -> None:
    body = "\n".join(f"    {line}" for line in service.split("\n"))
    recipe, found = made(f"services:\n  one:\n{body}\n")
    assert (recipe.runtime, recipe.model) == (runtime, model)
    assert errors(recipe) == []
    assert "canary" not in found.text
    command = render(recipe, {})
    if argv is not None:
        assert " ".join(command.argv) == argv
    else:
        assert command.command == ('pip install x && exec vllm serve a/b --port 8000 --api-key "${API_KEY}"\n')


def test_values_in_a_script_are_replaced_behind_their_own_flags() -> None:
    script = "vllm serve 8192 --port 8192 --max-model-len 8192 --api-key canary-0123456789 --api-key canary-0123456789"
    service = f"image: vllm/vllm-openai:v0.31.0, entrypoint: [bash, -c], command: ['{script}']"
    recipe, _ = made(f"services: {{one: {{{service}}}}}")
    assert recipe.command == (
        'vllm serve {model} --port {port} --max-model-len 8192 --api-key "${API_KEY}" --api-key "${API_KEY}"\n'
    )


def test_one_of_several_engines_must_be_named() -> None:
    text = "services: {a: {image: vllm/vllm-openai:v1}, b: {image: lmsysorg/sglang:v1, command: --model-path x/y}}"
    with pytest.raises(UsageError, match="several"):
        made(text)
    assert made(text, "b")[0].model == "x/y"
    with pytest.raises(UsageError, match="no service `c`"):
        made(text, "c")


@pytest.mark.parametrize(
    "text",
    [
        "model: a/b",
        "services: 5",
        "services: {}",
        "services: {web: {image: nginx}}",
        "services: {a: {image: vllm/vllm-openai:v1, command: ['bash', '-c', 'sleep 1']}}",
        "services: {a: {image: vllm/vllm-openai:v1, command: ['bash', '-c', 'vllm serve \"a']}}",
    ],
)
def test_what_runs_no_engine_is_refused(text: str) -> None:
    with pytest.raises(RecipeError):
        made(text)


@pytest.mark.parametrize(
    "service",
    [
        "command: /start.sh",
        "command: [/opt/start.py, --model, a/b]",
        "command: sleep infinity",
        "command: python3 serve.py",
        "entrypoint: [/bin/bash, /start.sh]",
        "entrypoint: [python3, serve.py]",
    ],
)
def test_a_script_in_an_image_of_the_engine_is_no_model(service: str) -> None:
    with pytest.raises(RecipeError, match="no service of"):
        made(f"services:\n  a:\n    image: acme/vllm:1\n    {service}\n")


@pytest.mark.parametrize(
    "service",
    [
        "entrypoint: /opt/nvidia/nvidia_entrypoint.sh\n    command: vllm serve a/b",
        "command: a/b",
        "command: /models/b",
        "command: gpt2",
        "command: --model a/b",
    ],
)
def test_what_starts_the_engine_in_any_form_does(service: str) -> None:
    recipe, _ = made(f"services:\n  a:\n    image: acme/vllm:1\n    {service}\n")
    assert recipe.model in ("a/b", "/models/b", "gpt2")


def test_arguments_that_are_given_by_variables() -> None:
    recipe, found = made(
        "services:\n  a:\n    image: ghcr.io/ggml-org/llama.cpp:server-cuda\n    ports: ['9001:8080']\n"
        "    volumes: ['/srv/models:/app/models']\n    command: --ctx-size 8192\n    environment:\n"
        "      LLAMA_ARG_MODEL: /app/models/b-Q4_K_M.gguf\n      LLAMA_ARG_CTX_SIZE: 4096\n"
        "      LLAMA_ARG_PORT: 8080\n      LLAMA_ARG_N_PARALLEL: 1\n      OTHER: x\n"
    )
    assert recipe.model == "/srv/models/b-Q4_K_M.gguf"
    assert " ".join(render(recipe, {}).argv) == (
        "llama-server --ctx-size 8192 --model /srv/models/b-Q4_K_M.gguf --port 9001 --host 0.0.0.0"
    )
    assert {key: value.text for key, value in recipe.env.items()} == {"LLAMA_ARG_N_PARALLEL": "1", "OTHER": "x"}
    assert "no model is named in the file: fill in `model`" not in found.notes


def test_a_model_of_the_hub_may_be_given_by_a_variable() -> None:
    recipe, _ = made("services: {a: {image: 'acme/llama.cpp:server', environment: ['LLAMA_ARG_HF_REPO=a/b:Q4_K_M']}}")
    assert recipe.model == "a/b:Q4_K_M"
    assert render(recipe, {}).argv[1:3] == ("--hf-repo", "a/b:Q4_K_M")


def test_a_folder_for_downloads_is_left_out() -> None:
    recipe, found = made(
        "services: {a: {image: 'acme/vllm:1', command: --model a/b --download-dir /models, volumes: ['./m:/models']}}"
    )
    assert "/models" not in (recipe.command or "")
    assert "--download-dir is left out: models are fetched into the host's Hugging Face cache" in found.notes
    assert [problem for problem in validate(recipe, env={}) if problem.code == "cache-elsewhere"] == []


@pytest.mark.parametrize("value", ["5", "[]", "{a: b}", "[[x]]", "'{{{'", "null", "true", "['a', {b: [c]}]", '"$$$"'])
@pytest.mark.parametrize(
    "key", ["command", "ports", "volumes", "environment", "deploy", "entrypoint", "devices", "image"]
)
def test_no_form_of_a_value_ends_in_a_defect(key: str, value: str) -> None:
    body = {"image": "vllm/vllm-openai:v1", "command": "--model a/b", key: yaml.safe_load(value)}
    text = yaml.safe_dump({"services": {"a": body}})
    try:
        recipe, _ = made(text)
    except (RecipeError, UsageError):
        return
    assert recipe.runtime


@pytest.mark.parametrize(
    "started",
    [
        "command: serve Qwen/Qwen3-1.7B --port 8000",
        "command: [serve, Qwen/Qwen3-1.7B, --port, '8000']",
        "entrypoint: /start.sh\n    command: serve Qwen/Qwen3-1.7B --port 8000",
    ],
)
def test_the_image_may_start_the_program_that_the_command_tells_to_serve(started: str) -> None:
    # Images with `ENTRYPOINT ["vllm"]`: github.com/gyohng/spark-vllm-compose, as of 2026-02.
    recipe, _ = made(f"services:\n  chat:\n    image: spark-vllm:1\n    {started}\n")
    assert recipe.model == "Qwen/Qwen3-1.7B"
    assert render(recipe, {}).command.split()[:3] == ["vllm", "serve", "Qwen/Qwen3-1.7B"]
