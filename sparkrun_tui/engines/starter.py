"""The text of a new recipe for a model, from what is known of it, ready to be edited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sparkrun_tui.base.errors import UsageError
from sparkrun_tui.engines.checks.fields import is_local, valid_model
from sparkrun_tui.recipe.format.detect import split_gguf
from sparkrun_tui.recipe.format.export import yaml_scalar
from sparkrun_tui.recipe.format.params import format_params
from sparkrun_tui.recipe.model import Runtime, Value


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a model; None or empty where it is not. Parameters in units, context in tokens."""

    params: int | None = None
    active: int | None = None
    dtype: str = ""
    num_layers: int | None = None
    num_kv_heads: int | None = None
    head_dim: int | None = None
    max_context: int | None = None


_COMMANDS = {
    Runtime.VLLM: (
        "vllm serve {model}",
        "--served-model-name {served_model_name}",
        "--host {host} --port {port}",
        "-tp {tensor_parallel}",
        "--gpu-memory-utilization {gpu_memory_utilization}",
        "--max-model-len {max_model_len}",
        "--max-num-seqs {max_num_seqs}",
    ),
    Runtime.SGLANG: (
        "python3 -m sglang.launch_server",
        "--model-path {model}",
        "--served-model-name {served_model_name}",
        "--host {host} --port {port}",
        "--tp-size {tensor_parallel}",
        "--mem-fraction-static {gpu_memory_utilization}",
        "--context-length {max_model_len}",
        "--max-running-requests {max_num_seqs}",
    ),
    Runtime.LLAMA_CPP: (
        "llama-server",
        "-hf {model}",
        "--alias {served_model_name}",
        "--host {host} --port {port}",
        "--n-gpu-layers {n_gpu_layers}",
        "--ctx-size {ctx_size}",
        "--flash-attn on",
        "--jinja",
        "--no-webui",
    ),
}
_START_CONTEXT = 32_768
CAREFUL = "0.5"
"""The share of a host's memory that a new recipe begins with."""
_WHY = ("as much as its weights and this context need, by the estimate", "raise it once the model loads")


def starter(
    model: str, runtime: str, container: str, known: Known | None = None, nodes: int = 1, utilisation: str = CAREFUL
) -> str:
    """A recipe for `model` on `nodes` hosts, careful with memory, with a comment where a fact is missing.

    `runtime` is `vllm`, `sglang` or `llama-cpp`, `utilisation` the share of a host's memory that the engine may take.
    Raises `UsageError` for another engine, for a text that is no model, and for several hosts with llama.cpp.
    """
    engine = next((name for name in _COMMANDS if name == runtime), None)
    if engine is None:
        raise UsageError(f"no recipe can be started for `{runtime}`", remedy="choose vllm, sglang or llama-cpp")
    if not valid_model(model):
        raise UsageError(f"`{model[:80]}` is not a model", remedy="write it as OWNER/NAME, for GGUF OWNER/NAME:QUANT")
    if engine is Runtime.LLAMA_CPP and nodes > 1:
        raise UsageError("llama.cpp serves from one host", remedy="leave out --nodes, or choose vllm or sglang")
    facts = known or Known()
    rows = _COMMANDS[engine]
    if is_local(model):
        rows = tuple(row.replace("-hf {model}", "-m {model}") for row in rows)
    command = " \\\n".join(["  " + rows[0], *(f"      {row}" for row in rows[1:])])
    parts = [
        f"# {model} with {runtime}. Check it: sparkrun-tui recipe validate FILE; try it: run FILE --dry-run.",
        f"model: {_plain(model)}",
        f"runtime: {runtime}",
        f"container: {_plain(container)}",
        *_nodes(engine, nodes),
        "",
        *_metadata(model, facts, nodes),
        "",
        "defaults:",
        *(f"  {line}" for line in _defaults(engine, model, facts, nodes, utilisation)),
        "",
        "command: |",
        command,
    ]
    return "\n".join(parts) + "\n"


def _plain(text: str) -> str:
    return yaml_scalar(Value(text, text))


def _nodes(engine: Runtime, nodes: int) -> list[str]:
    if engine is Runtime.LLAMA_CPP:
        return ["max_nodes: 1"]
    return [f"min_nodes: {nodes}"]


def _short(model: str) -> str:
    return split_gguf(model)[0].rpartition("/")[2].lower()


def _metadata(model: str, known: Known, nodes: int) -> Sequence[str]:
    where = "one Spark" if nodes == 1 else f"{nodes} Sparks"
    lines = ["metadata:", f"  description: {_plain(f'{_short(model)} on {where}')}"]
    size = format_params(known.params) if known.params else ""
    if size and known.active:
        size += f"-A{format_params(known.active)}"
    dtype = known.dtype or split_gguf(model)[1].lower()
    lines.append(f"  model_params: {size}" if size else "  # model_params: 30B  # not known: fill it in")
    lines.append(f"  model_dtype: {_plain(dtype)}" if dtype else "  # model_dtype: fp8  # not known: fill it in")
    for key in ("num_layers", "num_kv_heads", "head_dim"):
        value = getattr(known, key)
        if value:
            lines.append(f"  {key}: {value}")
    return lines


def _defaults(engine: Runtime, model: str, known: Known, nodes: int, utilisation: str) -> Sequence[str]:
    context = min(known.max_context or _START_CONTEXT, _START_CONTEXT)
    common = ["port: 8000", "host: 0.0.0.0", f"served_model_name: {_plain(_short(model))}"]
    if engine is Runtime.LLAMA_CPP:
        return [*common, "n_gpu_layers: 99", f"ctx_size: {context}"]
    return [
        *common,
        f"tensor_parallel: {nodes}",
        f"gpu_memory_utilization: {utilisation}  # {_WHY[utilisation == CAREFUL]}",
        f"max_model_len: {context}",
        "max_num_seqs: 8",
    ]
