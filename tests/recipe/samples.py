"""Recipes for the tests, each small and written for one purpose."""

from __future__ import annotations

from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Recipe, Source, SourceKind

FULL = """\
# A recipe with everything in it.
model: acme/Falcon-30B-A3B-NVFP4
runtime: vllm
container: registry.example/acme/vllm:1.2.3
min_nodes: 1
max_nodes: 4
description: Falcon 30B for one to four hosts

metadata:
  maintainer: Ada <ada@example.org>
  model_params: 30B-A3B
  model_dtype: nvfp4
  kv_dtype: fp8
  num_layers: 52
  num_kv_heads: 2
  head_dim: 128

defaults:
  port: 8000
  host: 0.0.0.0
  tensor_parallel: 1
  gpu_memory_utilization: 0.80   # the author's own zeros stay
  max_model_len: 200000
  served_model_name: falcon

env:
  HF_TOKEN: "${HF_TOKEN}"
  OMP_NUM_THREADS: 4

command: |
  vllm serve {model} \\
      --served-model-name {served_model_name} \\
      --max-model-len {max_model_len} \\
      --gpu-memory-utilization {gpu_memory_utilization} \\
      -tp {tensor_parallel} \\
      --host {host} --port {port}
"""


def recipe(text: str, path: str = "sample.yaml", kind: SourceKind = SourceKind.PATH) -> Recipe:
    """A recipe from its text."""
    return load_text(text, Source(kind, path))


def minimal(command: str = "vllm serve {model}", defaults: str = "{}", extra: str = "", version: str = "2") -> Recipe:
    """A recipe with a command, defaults (as flow YAML or indented lines) and other lines at top level."""
    body = f"\n{defaults}" if defaults.startswith(" ") else f" {defaults}"
    lines = "\n".join(f"  {line}" for line in command.split("\n"))
    return recipe(
        f'recipe_version: "{version}"\nmodel: a/b\nruntime: vllm\ncontainer: x/y:1\n{extra}\ndefaults:{body}\n'
        f"command: |\n{lines}\n"
    )


def codes(problems: object) -> list[str]:
    """The codes of problems, for short assertions."""
    return [problem.code for problem in problems]  # type: ignore[attr-defined]
