"""`list`, `search`, `show` and `recipe ...` on the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from sparkrun_tui.base.disk import paths
from sparkrun_tui.engines.registry import ENGINES
from sparkrun_tui.launch.sizing.sizing import digest_folder
from tests.cli.conftest import Cli
from tests.support.made_cache import hub_here, put_model

LIST_KEYS = {
    "name", "reference", "model", "runtime", "container", "description", "maintainer", "model_params",
    "model_params_from", "active_params", "model_dtype", "model_dtype_from", "context", "tensor_parallel",
    "min_nodes", "max_nodes", "source", "registry", "repository", "repository_url", "path", "error",
}  # fmt: skip

NEMOTRON = """\
model: nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-NVFP4
runtime: vllm
container: example/vllm:1
metadata:
  description: a model whose figures are all declared
  model_params: 30B
  model_dtype: nvfp4
  kv_dtype: bfloat16
  num_layers: 26
  num_kv_heads: 2
  head_dim: 256
defaults:
  port: 8000
  host: 0.0.0.0
  tensor_parallel: 1
  gpu_memory_utilization: 0.8
  max_model_len: 200000
command: |
  vllm serve {model} --port {port} --host {host} -tp {tensor_parallel} \\
      --gpu-memory-utilization {gpu_memory_utilization} --max-model-len {max_model_len}
"""


@pytest.fixture
def declared(tmp_path: Path) -> str:
    path = tmp_path / "declared.yaml"
    path.write_text(NEMOTRON)
    return str(path)


def test_every_bundled_recipe_is_listed(cli: Cli) -> None:
    done = cli("list", "--json")
    assert done.code == 0
    names = {entry["reference"] for entry in done.json}
    assert names == {path.stem for path in paths.bundled_recipes().glob("*.yaml")}
    assert all(set(entry) == LIST_KEYS for entry in done.json)
    table = cli("list").out.splitlines()
    assert table[0].split()[:3] == ["NAME", "ENGINE", "SIZE"]
    assert len(table) == len(names) + 1


def test_words_narrow_the_list_and_search_says_when_nothing_is_found(cli: Cli) -> None:
    found = cli("list", "--json", "qwen3", "runtime:llama-cpp").json
    assert found
    assert all(entry["runtime"] == "llama-cpp" and "qwen3" in entry["name"] for entry in found)
    assert cli("search", "qwen3").code == 0
    nothing = cli("search", "--json", "no-such-recipe-at-all")
    assert (nothing.code, nothing.json) == (1, [])


def test_what_fits_depends_on_the_hosts(cli: Cli, no_hosts: None) -> None:
    anywhere = {entry["name"] for entry in cli("list", "--json", "fits:yes").json}
    on_one = {entry["name"] for entry in cli("list", "--json", "-H", "spark-1", "fits:yes").json}
    assert on_one < anywhere
    assert all(entry["min_nodes"] == 1 for entry in cli("list", "--json", "-H", "spark-1", "fits:yes").json)


def test_a_query_that_is_not_understood_is_told(cli: Cli) -> None:
    assert "params:much is not a number" in cli("search", "qwen3", "params:much").err


def test_a_broken_file_is_listed_with_its_error(cli: Cli, tmp_path: Path) -> None:
    paths.config_dir().mkdir(parents=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "bad.yaml").write_text("model: [")
    (paths.config_dir() / "config.yaml").write_text(f"recipe_dirs: [{tmp_path / 'mine'}]\n")
    (bad,) = cli("list", "--json", "is:broken").json
    assert bad["name"] == "bad"
    assert bad["error"]
    assert "(broken)" in cli("list", "is:broken").out


def test_show_renders_the_command_with_overrides_and_sizes_it(cli: Cli, declared: str) -> None:
    done = cli("show", declared, "--port", "9000", "-o", "max_model_len=4096")
    assert done.code == 0
    assert "--port 9000" in done.out
    assert "  max_model_len: 4096   (override)" in done.out
    assert "VRAM Estimation:" in done.out
    body = cli("show", declared, "--port", "9000", "--json").json
    assert body["values"]["port"] == 9000
    assert "--port 9000" in body["command"]
    assert body["memory"]["hosts"][0]["assumed"] is True


def test_the_declared_figures_come_in_the_block_of_the_format(cli: Cli, declared: str) -> None:
    lines = cli("recipe", "vram", declared).out.splitlines()
    assert lines[:6] == [
        "VRAM Estimation:",
        "  Model weights:    19.56 GB",
        "  KV cache:         9.92 GB (max_model_len=200,000)",
        "  Tensor parallel:  1",
        "  Per-GPU total:    29.48 GB",
        "  DGX Spark fit:    YES",
    ]
    half = cli("recipe", "vram", declared, "--tp", "2").out.splitlines()
    assert half[3:5] == ["  Tensor parallel:  2", "  Per-GPU total:    14.74 GB"]


def test_metadata_that_hangs_on_a_value_follows_its_override(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "linked.yaml"
    text = NEMOTRON.replace("kv_dtype: bfloat16", 'kv_dtype: "{kv_cache_dtype}"')
    path.write_text(text.replace("  port: 8000\n", "  port: 8000\n  kv_cache_dtype: auto\n"))
    assert "9.92 GB" in cli("recipe", "vram", str(path)).out
    assert "4.96 GB" in cli("recipe", "vram", str(path), "-o", "kv_cache_dtype=fp8").out


def test_the_declared_figures_follow_the_command(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "shared.yaml"
    text = NEMOTRON.replace("  kv_dtype: bfloat16\n", "").replace(
        "-tp {tensor_parallel}", "-tp 1 -pp 2 --kv-cache-dtype fp8"
    )
    path.write_text(text)
    out = cli("recipe", "vram", str(path)).out
    assert "KV cache:         4.96 GB" in out
    assert "Pipeline stages:  2" in out
    assert "Per-GPU total:    12.26 GB" in out


def test_findings_are_told_as_compilers_do(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(NEMOTRON.replace("-tp {tensor_parallel}", "-tp {tensor_paralel}"))
    done = cli("recipe", "validate", str(path))
    assert done.code == 1
    assert f"{path}:19:54:" in done.out
    assert "error: `{tensor_paralel}` has no value [unknown-placeholder]" in done.out
    assert "1 error" in done.err
    findings = cli("recipe", "validate", str(path), "--json").json
    error = next(finding for finding in findings if finding["severity"] == "error")
    assert (error["file"], error["line"], error["code"]) == (str(path), 19, "unknown-placeholder")


def test_warnings_count_where_validation_is_strict(cli: Cli, tmp_path: Path) -> None:
    good = "model: a/b\nruntime: vllm\ncontainer: x:1\ncommand: vllm serve {model}\n"
    for text, code in ((good, 0), (f"{good}defaults: {{unused: 1}}\n", 1)):
        path = tmp_path / "one.yaml"
        path.write_text(text)
        assert cli("recipe", "validate", str(path)).code == 0
        assert cli("recipe", "validate", str(path), "--strict").code == code


def test_a_folder_is_validated_file_by_file(cli: Cli, tmp_path: Path, declared: str) -> None:
    (tmp_path / "broken.yml").write_text("model: [")
    done = cli("recipe", "validate", str(tmp_path))
    assert done.code == 1
    assert "broken.yml" in done.out
    (tmp_path / "empty").mkdir()
    assert cli("recipe", "validate", str(tmp_path / "empty")).code == 2


def test_bundled_recipes_validate_without_errors(cli: Cli) -> None:
    done = cli("recipe", "validate", str(paths.bundled_recipes()))
    assert done.code == 0, done.out


def test_a_started_recipe_is_valid_and_never_overwrites(cli: Cli, tmp_path: Path) -> None:
    target = tmp_path / "new.yaml"
    assert cli("recipe", "new", "--offline", "Qwen/Qwen3-4B", "--output", str(target)).code == 0
    assert cli("recipe", "validate", str(target)).code == 0
    assert cli("recipe", "new", "--offline", "Qwen/Qwen3-4B", "--output", str(target)).code == 2
    gguf = cli("recipe", "new", "--offline", "Qwen/Qwen3-4B-GGUF:Q8_0").out
    assert "runtime: llama-cpp" in gguf
    assert cli("recipe", "new", "--offline", "not a model").code == 2
    assert cli("recipe", "new", "--offline", "a/b", "--runtime", "atlas").code == 2


def test_what_is_known_of_a_model_is_used(cli: Cli) -> None:
    dense = cli("recipe", "new", "--offline", "Qwen/Qwen3-1.7B").out
    assert "model_params: 1.7B" in dense
    assert "model_dtype: bf16" in dense
    assert "num_layers: 28" in dense
    mixed = cli("recipe", "new", "--offline", "Qwen/Qwen3.6-35B-A3B-FP8").out
    assert "model_dtype: fp8" in mixed
    assert "num_layers" not in mixed
    assert "not known: fill it in" in cli("recipe", "new", "--offline", "nobody/knows-this").out


def test_a_new_recipe_has_room_for_its_weights(cli: Cli, tmp_path: Path) -> None:
    target = tmp_path / "new.yaml"
    assert "gpu_memory_utilization: 0.5 " in cli("recipe", "new", "--offline", "Qwen/Qwen3-1.7B").out
    done = cli("recipe", "new", "--offline", "openai/gpt-oss-120b", "--output", str(target))
    assert done.code == 0 and "to fit" not in done.err
    verdicts = cli("recipe", "vram", str(target), "--json").json["verdicts"]
    assert "bad" not in (verdicts["starts"]["level"], verdicts["context"]["level"])
    large = cli("recipe", "new", "--offline", "Qwen/Qwen3-235B-A22B-FP8")
    assert large.code == 0 and "is not estimated to fit on one host" in large.err
    assert "gpu_memory_utilization: 0.5 " in large.out
    assert cli("recipe", "new", "--offline", "a/b:Q4_0", "--nodes", "2").code == 2


def test_an_exported_recipe_has_the_overrides_and_the_comments(cli: Cli, tmp_path: Path, declared: str) -> None:
    Path(declared).write_text(f"# kept\n{NEMOTRON}")
    target = tmp_path / "copy.yaml"
    done = cli("recipe", "export", declared, "-o", "port=9000", "--output", str(target))
    assert done.code == 0, done.err
    assert target.read_text().startswith("# kept\n")
    assert cli("show", str(target), "--json").json["values"]["port"] == 9000


def test_what_cannot_be_found_is_told_with_what_is_near(cli: Cli) -> None:
    done = cli("show", "qwen3-1.7b-vlm")
    assert done.code == 1
    assert "did you mean `qwen3-1.7b-vllm`?" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-o", "port"), "is not an override"),
        (("-o", "port=1", "--port", "2"), "`port` is given twice"),
        (("-o", "=1"), "is not an override"),
    ],
)
def test_overrides_that_cannot_be_are_refused(cli: Cli, declared: str, arguments: tuple[str, ...], said: str) -> None:
    done = cli("show", declared, *arguments)
    assert done.code == 2
    assert said in done.err


def test_json_is_one_document_whatever_the_recipe_holds(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(NEMOTRON.replace("a model whose figures are all declared", '"\\e[31mred\\u202e"'))
    done = cli("show", str(path), "--json")
    assert json.loads(done.out)["model"].startswith("nvidia/")
    assert "\x1b" not in cli("show", str(path)).out


def test_secrets_that_stand_in_a_recipe_are_not_shown(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "open.yaml"
    path.write_text(
        "model: a/b\nruntime: vllm\ncontainer: x:1\ndefaults: {api_key: open-sesame-1, port: 80}\n"
        "env: {MY_SECRET: hunter2hunter2, HF_TOKEN: '${HF_TOKEN}', MODE: fast}\n"
        "command: vllm serve {model} --api-key {api_key} --port {port} --x hunter2hunter2\n"
    )
    for words in ((), ("--json",)):
        done = cli("show", str(path), *words)
        assert done.code == 0
        assert "hunter2" not in done.out and "sesame" not in done.out
        assert "${HF_TOKEN}" in done.out and "fast" in done.out and "--port 80" in done.out


def test_ranks_that_do_not_share_out_the_heads_are_an_error(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "three.yaml"
    path.write_text(
        "model: Qwen/Qwen3-1.7B\nruntime: vllm\ncontainer: x:1\ndefaults: {tensor_parallel: 3}\n"
        "command: vllm serve {model} -tp {tensor_parallel}\n"
    )
    done = cli("recipe", "validate", str(path))
    assert done.code == 1
    assert f"{path}:4:12: error: tensor_parallel 3 does not divide the model's 16 attention heads" in done.out
    assert cli("show", str(path), "--tp", "2").out.count("attention heads") == 0


def test_another_model_is_shown_sized_and_downloaded(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text("model: Qwen/Qwen3-1.7B\nruntime: vllm\ncontainer: x:1\ncommand: vllm serve {model}\n")
    body = cli("show", str(path), "-o", "model=Qwen/Qwen3-8B", "--json").json
    assert (body["model"], body["command"]) == ("Qwen/Qwen3-8B", "vllm serve Qwen/Qwen3-8B")
    plan = cli("run", str(path), "-o", "model=Qwen/Qwen3-8B", "--dry-run").out
    assert "hf download Qwen/Qwen3-8B" in plan and "1.7B" not in plan


def test_validate_and_run_name_the_same_engines(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text("model: a/b\nruntime: tgi\ncontainer: a/b:1\ncommand: text-generation-launcher --model-id a/b\n")
    validated = cli("recipe", "validate", str(path))
    launched = cli("run", str(path), "-H", "spark-1", "--dry-run", "--yes")
    assert validated.code == 1 and launched.code == 1
    for said in (validated.out + validated.err, launched.out + launched.err):
        words = set(re.findall(r"[a-z][a-z-]+", said))
        assert words >= set(ENGINES)


COMPOSE = """\
services:
  chat:
    image: vllm/vllm-openai:v0.31.0
    command: --model Qwen/Qwen3-1.7B --api-key canary-0123456789
    ports: ["8011:8000"]
"""


def test_a_compose_file_is_recognised_and_converted(cli: Cli, tmp_path: Path) -> None:
    source, target = tmp_path / "compose.yml", tmp_path / "chat.yaml"
    source.write_text(COMPOSE)
    for command in (("run", "--dry-run"), ("show",), ("recipe", "vram")):
        done = cli(*command, str(source))
        assert done.code == 1
        assert "Docker Compose file" in done.err
        assert f"recipe new --from {source}" in done.err
    assert "Docker Compose file" in cli("recipe", "validate", str(source)).out
    assert "Docker Compose file" in cli("recipe", "validate", str(tmp_path)).out
    done = cli("recipe", "new", "--from", str(source), "--output", str(target))
    assert done.code == 0, done.err
    assert "--api-key is a secret" in done.err
    assert "canary" not in target.read_text()
    assert cli("recipe", "validate", str(target)).code == 0
    assert cli("recipe", "new", "--from", str(source), "--output", str(target)).code == 2
    assert cli("recipe", "new", "--from", str(source), "--service", "chta").code == 2
    assert cli("recipe", "new", "a/b", "--from", str(source)).code == 2
    assert cli("recipe", "new").code == 2


def test_an_engine_that_is_not_modelled_is_said_once(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text("model: org/m\nruntime: zebra\ncontainer: zebra:1\nmax_nodes: 1\ncommand: zebra {model}\n")
    out = cli("recipe", "vram", str(path)).out
    assert "engine: not known)" in out and out.count("is not modelled") == 1


def test_headers_in_this_machine_s_cache_are_read_without_asking_the_hub(cli: Cli, tmp_path: Path) -> None:
    put_model(hub_here(), "acme/tiny")
    path = tmp_path / "tiny.yaml"
    path.write_text("model: acme/tiny\nruntime: vllm\ncontainer: x:1\ncommand: vllm serve {model}\n")
    for command in (("recipe", "vram"), ("show",)):
        assert "headers of the files in the Hugging Face cache" in cli(*command, str(path)).out
    assert [file.name for file in digest_folder().iterdir()] == ["acme--tiny.json"]


def test_validate_says_what_a_known_version_refuses_at_its_start(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    text = (
        "model: Qwen/Qwen3-8B\nruntime: vllm\ncontainer: vllm/vllm-openai:v0.33.0\n"
        "defaults: {kv_cache_dtype: float16}\ncommand: vllm serve {model} --kv-cache-dtype {kv_cache_dtype}\n"
    )
    path.write_text(text)
    done = cli("recipe", "validate", str(path), "--json")
    [problem] = [item for item in done.json if item["code"] == "refused-settings"]
    assert done.code == 1 and problem["severity"] == "error"
    assert "a KV cache of float16 does not go with a model in bfloat16" in problem["message"]
    assert (problem["line"], problem["column"]) == (4, 12)
    path.write_text(text.replace("float16}", "bfloat16}"))
    assert cli("recipe", "validate", str(path)).code == 0
    # The version in this image is not known, and so is what it refuses.
    path.write_text(text.replace("vllm/vllm-openai:v0.33.0", "example/vllm:latest"))
    assert cli("recipe", "validate", str(path)).code == 0


def test_what_only_the_assumed_gpu_refuses_is_a_warning(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    text = (
        "model: nvidia/Gemma-4-26B-A4B-NVFP4\nruntime: vllm\ncontainer: vllm/vllm-openai:v0.33.0\n"
        "command: vllm serve {model} -tp 2\n"
    )
    path.write_text(text)
    found = cli("recipe", "validate", str(path), "--json").json
    [problem] = [item for item in found if item["code"] == "refused-settings"]
    assert problem["severity"] == "warning"
    assert "--moe-backend marlin (on a DGX Spark, which is assumed)" in problem["message"]
    path.write_text(text.replace("-tp 2", "-tp 2 --moe-backend marlin"))
    assert not [item for item in cli("recipe", "validate", str(path), "--json").json if item["severity"] != "note"]
