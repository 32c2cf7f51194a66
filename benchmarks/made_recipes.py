"""Recipe files made for benchmarks: as many as wanted, of several engines and sizes, the same every time."""

from __future__ import annotations

import os
from pathlib import Path

_FAMILIES = ("qwen3", "llama-4", "gemma4", "nemotron", "deepseek", "glm", "minimax", "mistral", "gpt-oss", "kimi")
_KINDS = ("coder", "chat", "vl", "reasoning", "instruct")
_DTYPES = ("fp8", "nvfp4", "bf16", "awq")
_ENGINES = {"vllm": "vllm serve {model}", "sglang": "python3 -m sglang.launch_server --model-path {model}"}


def recipe(number: int) -> tuple[str, str]:
    """Name and text of the recipe with this number."""
    family, kind = _FAMILIES[number % 10], _KINDS[number // 10 % 5]
    dtype, size = _DTYPES[number // 50 % 4], (8, 27, 35, 70, 122)[number // 200 % 5]
    engine = ("vllm", "vllm", "sglang")[number % 3]
    name = f"{family}-{kind}-{size}b-{dtype}-{number}"
    text = f"""recipe_version: "2"
name: {name}
model: makers/{family}-{kind}-{size}B-{dtype}
runtime: {engine}
container: example.org/{engine}:v1.{number % 7}
max_nodes: {1 + number % 4}
metadata:
  description: Made for measuring, number {number}, a {kind} model of {size} billion parameters
  model_params: {size}B
  model_dtype: {dtype}
  num_layers: 48
  num_kv_heads: 8
  head_dim: 128
defaults:
  port: 8000
  host: 0.0.0.0
  tensor_parallel: 1
  gpu_memory_utilization: 0.8
  max_model_len: 32768
command: |
  {_ENGINES[engine]} \\
    --max-model-len {{max_model_len}} \\
    --tensor-parallel-size {{tensor_parallel}} \\
    --host {{host}} --port {{port}}
"""
    return name, text


def write_recipes(folder: Path, count: int) -> None:
    """Write `count` recipes into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        name, text = recipe(number)
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def home_with(folder: Path, count: int) -> dict[str, str]:
    """An environment whose settings name `count` recipes and one cluster that is this machine."""
    write_recipes(folder / "recipes", count)
    config = folder / "config" / "sparkrun-tui"
    config.mkdir(parents=True)
    (config / "config.yaml").write_text(f"recipe_dirs: [{folder / 'recipes'}]\nclusters: {{here: [localhost]}}\n")
    kept = {key: os.environ[key] for key in ("PATH", "LANG", "PYTHONPATH") if key in os.environ}
    home = {f"XDG_{kind}_HOME": str(folder / kind.lower()) for kind in ("CONFIG", "CACHE", "STATE", "DATA")}
    return {**kept, **home, "HOME": str(folder), "TEXTUAL_ANIMATIONS": "none"}
