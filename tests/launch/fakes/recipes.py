"""Recipes for launch tests, one for each way of starting."""

from __future__ import annotations

from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Source, SourceKind
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.recipe.values.rendered import Rendered

IMAGE = "registry.test/engine:1"

SOLO = f"""\
name: solo
model: org/tiny
runtime: vllm
container: {IMAGE}
mode: solo
defaults: {{port: 8000, served_model_name: tiny}}
command: vllm serve {{model}} --port {{port}} --served-model-name {{served_model_name}}
"""
SGLANG_TWO = f"""\
name: pair
model: org/tiny
runtime: sglang
container: {IMAGE}
min_nodes: 2
defaults: {{port: 30000, tensor_parallel: 2, served_model_name: tiny}}
command: >-
  python3 -m sglang.launch_server --model-path {{model}} --tp-size {{tensor_parallel}} --port {{port}}
  --served-model-name {{served_model_name}} --max-running-requests 4
"""
RAY_TWO = f"""\
name: ray-pair
model: org/tiny
runtime: vllm
container: {IMAGE}
min_nodes: 2
defaults: {{port: 8000, tensor_parallel: 2, served_model_name: tiny}}
command: vllm serve {{model}} --port {{port}} -tp {{tensor_parallel}} --served-model-name {{served_model_name}}
"""
LLAMA = """\
name: gguf
model: org/tiny:Q8_0
runtime: llama-cpp
container: registry.test/engine:1
defaults: {port: 8080}
command: llama-server -hf {model} --port {port}
"""


def rendered(text: str, **overrides: str) -> Rendered:
    """A recipe's text with overrides."""
    return render(load_text(text, Source(SourceKind.USER, "test.yaml")), overrides)
