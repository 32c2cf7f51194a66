"""Small recipes for the tests of the demo, one an engine, with all that an estimate needs to know."""

from __future__ import annotations

from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Recipe, Source, SourceKind
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.recipe.values.rendered import Rendered

_META = """\
metadata:
  model_params: {params}
  model_dtype: {dtype}
  kv_dtype: bf16
  num_layers: 32
  num_kv_heads: 8
  head_dim: 128
"""

LLAMA = """\
model: acme/Falcon-4B-GGUF:Q8_0
runtime: llama-cpp
container: acme/llama:1
defaults: {port: 8081, ctx_size: 16384, served_model_name: falcon}
command: llama-server -hf {model} --alias {served_model_name} --port {port} --ctx-size {ctx_size} --n-gpu-layers 99
""" + _META.format(params="4B", dtype="q8_0")

_VLLM = """\
model: acme/Falcon-40B
container: acme/vllm:v0.31.0
defaults:
  port: 8001
  tensor_parallel: {tp}
  max_model_len: 32768
  gpu_memory_utilization: 0.6
  served_model_name: falcon
command: >-
  vllm serve {{model}} --served-model-name {{served_model_name}} --port {{port}}
  --tensor-parallel-size {{tensor_parallel}} --max-model-len {{max_model_len}}
  --gpu-memory-utilization {{gpu_memory_utilization}}
"""
VLLM = _VLLM.format(tp=1) + "runtime: vllm\n" + _META.format(params="20B", dtype="bf16")
VLLM_RAY = _VLLM.format(tp=2) + "runtime: vllm\nmin_nodes: 2\n" + _META.format(params="40B", dtype="bf16")
VLLM_RANKS = VLLM_RAY.replace("runtime: vllm\n", "runtime: vllm-distributed\n")

SGLANG = """\
model: acme/Falcon-40B
runtime: sglang
container: acme/sglang:1
min_nodes: 2
defaults:
  port: 30001
  tensor_parallel: 2
  max_model_len: 32768
  max_num_seqs: 8
  gpu_memory_utilization: 0.6
command: >-
  python3 -m sglang.launch_server --model-path {model} --port {port} --tp-size {tensor_parallel}
  --context-length {max_model_len} --max-running-requests {max_num_seqs} --mem-fraction-static {gpu_memory_utilization}
""" + _META.format(params="40B", dtype="bf16")

EUGR = VLLM.replace("runtime: vllm\n", "runtime: eugr-vllm\n").replace("acme/vllm:v0.31.0", "vllm-node")


def recipe(text: str) -> Recipe:
    """A recipe's text, read."""
    return load_text(text, Source(SourceKind.PATH, "sample.yaml"))


def rendered(text: str, **overrides: str) -> Rendered:
    """A recipe's text with overrides."""
    return render(recipe(text), overrides)
