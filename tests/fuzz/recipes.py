# ruff: noqa: E501 - recipes are written as their authors write them
"""Recipes to begin from: the bundled ones, handwritten odd ones, and whatever folders are named."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

BUNDLED = Path(__file__).resolve().parents[2] / "recipes"
_LARGEST = 100_000
"""Bytes of a file that is taken as a seed."""

ODD: tuple[str, ...] = (
    # Everything that a recipe can ask for, at once.
    """\
recipe_version: "2"
name: all of it
description: every field of the format
maintainer: somebody <a@b.c>
model: org/model
model_revision: 0123456789abcdef0123456789abcdef01234567
runtime: vllm
container: registry.example/image:1
mode: cluster
min_nodes: 2
max_nodes: 4
defaults: {port: 8000, host: 0.0.0.0, tensor_parallel: 2, pipeline_parallel: 1, max_model_len: 32768, gpu_memory_utilization: 0.8, served_model_name: it, kv_cache_dtype: fp8, lists: [1, 2], table: {a: {b: c}}, extra: "--max-num-seqs 8"}
env: {A: "1", HF_TOKEN: "${HF_TOKEN}", MY_API_KEY: $MY_API_KEY, PLAIN: $EDITOR, NCCL_DEBUG: INFO}
metadata: {description: d, model_params: 35B-A3B, model_dtype: fp8, kv_dtype: bf16, num_layers: 32, num_kv_heads: 8, head_dim: 128, model_vram: 17.5, kv_vram_per_token: 0.0001, family: x}
executor_config:
  volumes: ["/data:/data:ro", "~/.cache/x:/root/.cache/x", "named:/v"]
  shm_size: 16gb
  ulimit: ["nofile=1024:2048", "memlock=-1"]
  cap_add: [SYS_PTRACE]
  devices: ["/dev/infiniband"]
  privileged: false
  user: "1000:1000"
  entrypoint: "bash -c"
  network: host
  ipc: host
pre_exec: ["pip install x", "echo {port}", {copy: files, dest: /tmp}]
post_exec: ["curl http://127.0.0.1:{port}/health"]
post_commands: ["echo done"]
stop_after_post: false
command: |
  vllm serve {model} --port {port} --host {host} \\
    --tensor-parallel-size {tensor_parallel} --pipeline-parallel-size {pipeline_parallel} \\
    --max-model-len {max_model_len} --gpu-memory-utilization {gpu_memory_utilization} \\
    --served-model-name {served_model_name} --kv-cache-dtype {kv_cache_dtype} {extra} \\
    --speculative-config '{{"method": "mtp", "num_speculative_tokens": 2}}' --compilation-config {table}
""",
    # No command: the engine's own.
    "model: org/model\nruntime: sglang\nmin_nodes: 2\ndefaults: {tensor_parallel: 2, port: 30000, mem_fraction_static: 0.8}\n",
    """\
model: org/model-GGUF:Q4_K_M
runtime: llama-cpp
container: ghcr.io/x/llama:1
defaults: {port: 8080, ctx_size: 32768, n_gpu_layers: 99, parallel: 2, cache_type_k: q8_0}
mmproj: mmproj-F16.gguf
command: llama-server -hf {model} --port {port} -c {ctx_size} -ngl {n_gpu_layers} -np {parallel} -ctk {cache_type_k}
""",
    """\
recipe_version: "1"
name: eugr
model: org/model
container: vllm-node
build_args: ["--pre-tf"]
mods: [mods/fix-x, mods/fix-y]
cluster_only: true
defaults: {port: 8000, tensor_parallel: 2, gpu_memory_utilization: 0.7, max_model_len: 262144}
env: {VLLM_X: 1}
command: |
  vllm serve {model} --port {port} -tp {tensor_parallel} --gpu-memory-utilization {gpu_memory_utilization} --max-model-len {max_model_len} \\
    --override-generation-config '{{"temperature": 0.7}}' --distributed-executor-backend ray
""",
    "model: org/model\nruntime: vllm-ray\nsolo_only: true\ncommand: >-\n  bash -c \"FOO=1 vllm serve {model} && echo 'it ended'\"\n",
    "model: org/m\nruntime: vllm-distributed\nmin_nodes: 3\ncommand: 'python -m vllm.entrypoints.openai.api_server --model org/m -tp=3'\n",
    "model: org/m\nruntime: trtllm\ncommand: trtllm-serve org/m\n",
    "model: &m org/m\ndefaults: &d {port: 1, a: *m}\nenv: {<<: *d}\ncommand: vllm serve {model} --port {port} # {a}\n",
    "model: org/m\ndefaults: {a: '{b}', b: '{c}', c: '{a}'}\ncommand: vllm serve {a}\n",
    "model: org/m\ncommand: |\n  cat <<EOF >f\n  {port}\n  EOF\n  exec vllm serve org/m --port ${PORT:-8000} `true` $(true) \"{model}\" '{model}'\n",
    "model: org/m\nruntime: vllm\ndefaults: {1: 2, true: 3, null: 4, 1.5: [a]}\n? [a, b]\n: c\ncommand: vllm serve org/m\n",
    "---\n- a list\n",
    "just text",
    "",
)  # fmt: skip


_NINES = "9" * 5000
_BARE = "model: org/m\nruntime: vllm\ncommand: vllm serve org/m\n"

HEAVY: tuple[str, ...] = (
    _BARE + 'defaults: {tensor_parallel: "²"}\n',
    _BARE + f"defaults: {{tensor_parallel: {_NINES}, pipeline_parallel: '{_NINES}'}}\n",
    _BARE + f"defaults: {{port: {_NINES}, max_model_len: '{_NINES}', gpu_memory_utilization: 1e400}}\n",
    _BARE + "metadata: {model_params: 8B, num_layers: 300000000, num_kv_heads: 8, head_dim: 128}\n",
    _BARE
    + f"metadata: {{model_params: {_NINES}B, num_layers: {_NINES}, model_vram: 1e308, kv_vram_per_token: .inf}}\n",
    _BARE + f"executor_config: {{shm_size: {'9' * 400}}}\n",
    _BARE + f"executor_config: {{ulimit: [nofile={_NINES}]}}\n",
    "model: org/m\nruntime: vllm\ndefaults: {a: [1]}\ncommand: vllm serve " + "{a} " * 5000 + "\n",
    f"model: org/m\nruntime: vllm\ndefaults: {{a: {'x' * 50_000}}}\ncommand: vllm serve " + "{a} " * 20_000 + "\n",
    "recipe_version: '1'\nmodel: org/m\ndefaults: {port: 8000}\ncommand: vllm serve org/m "
    + "{port:>1000000000}" * 6
    + "\n",
    _BARE + "? " * 40 + "a\n",
    _BARE + "pre_exec:\n" + "- x\n" * 4000,
    _BARE
    + "defaults:\n"
    + "".join(f"  k{n}: {'v' * 40_000}\n" for n in range(4))
    + "overrides:\n"
    + "- when: {config: {k0: no, k1: no, k2: no, k3: no}}\n  defaults: {x: 1}\n" * 200,
)
"""Small files that once took all memory, minutes, or the whole program with them."""


def texts(folders: Iterable[Path] = ()) -> Sequence[str]:
    """The texts of all recipes to begin from; `folders` are searched below for more."""
    found = list(ODD)
    for folder in (BUNDLED, *folders):
        for path in sorted(folder.rglob("*.y*ml")):
            if path.is_file() and path.stat().st_size <= _LARGEST:
                found.append(path.read_text(encoding="utf-8", errors="replace"))
    return found
