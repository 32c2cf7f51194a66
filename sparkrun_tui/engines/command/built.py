"""The serve command of a recipe that has none, built from its chain of values, one table of flags per engine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.engines.command.more_flags import MoreFlags, more_flags
from sparkrun_tui.recipe.format.yamltree import MAX_TEXT, is_too_long
from sparkrun_tui.recipe.model import Problem, Severity
from sparkrun_tui.recipe.values.masking import join_words
from sparkrun_tui.recipe.values.rendered import ChainValue, Rendered
from sparkrun_tui.recipe.values.template import TemplateError, expand


@dataclass(frozen=True, slots=True)
class FlagRow:
    """A key of the chain and its flag; `negative` is the flag for false, `words` replaces values by engine words.

    `switch` flags take no value: true sets them, false leaves them out.
    """

    key: str
    flag: str
    switch: bool = False
    negative: str = ""
    words: Mapping[str, str] | None = None
    refuse_others: tuple[str, ...] = ()
    """When given, the only values (after `words`) that the engine takes."""


VLLM_ROWS = (
    FlagRow("tensor_parallel", "-tp"),
    FlagRow("port", "--port"),
    FlagRow("host", "--host"),
    FlagRow("gpu_memory_utilization", "--gpu-memory-utilization"),
    FlagRow("max_model_len", "--max-model-len"),
    FlagRow("max_num_batched_tokens", "--max-num-batched-tokens"),
    FlagRow("max_num_seqs", "--max-num-seqs"),
    FlagRow("served_model_name", "--served-model-name"),
    FlagRow("dtype", "--dtype"),
    FlagRow("quantization", "--quantization"),
    FlagRow("enforce_eager", "--enforce-eager", switch=True),
    FlagRow("enable_prefix_caching", "--enable-prefix-caching", switch=True, negative="--no-enable-prefix-caching"),
    FlagRow("trust_remote_code", "--trust-remote-code", switch=True),
    FlagRow("distributed_executor_backend", "--distributed-executor-backend"),
    FlagRow("pipeline_parallel", "-pp"),
    FlagRow("data_parallel", "-dp"),
    FlagRow("kv_cache_dtype", "--kv-cache-dtype"),
    FlagRow("block_size", "--block-size"),
    FlagRow("tool_call_parser", "--tool-call-parser"),
    FlagRow("enable_auto_tool_choice", "--enable-auto-tool-choice", switch=True),
    FlagRow("reasoning_parser", "--reasoning-parser"),
    FlagRow("load_format", "--load-format"),
    FlagRow("attention_backend", "--attention-backend"),
    FlagRow("speculative_config", "--speculative-config"),
    FlagRow("max_cudagraph_capture_size", "--max-cudagraph-capture-size"),
)

SGLANG_KV_WORDS = ("auto", "fp8_e5m2", "fp8_e4m3", "mxfp8", "bf16", "bfloat16", "nvfp4", "fp4_mx_block16")

SGLANG_ROWS = (
    FlagRow("tensor_parallel", "--tp-size"),
    FlagRow("port", "--port"),
    FlagRow("host", "--host"),
    FlagRow("gpu_memory_utilization", "--mem-fraction-static"),
    FlagRow("max_model_len", "--context-length"),
    FlagRow("max_num_seqs", "--max-running-requests"),
    FlagRow("served_model_name", "--served-model-name"),
    FlagRow("dtype", "--dtype"),
    FlagRow("quantization", "--quantization"),
    FlagRow("trust_remote_code", "--trust-remote-code", switch=True),
    FlagRow("chunked_prefill_size", "--chunked-prefill-size"),
    FlagRow("kv_cache_dtype", "--kv-cache-dtype", words={"fp8": "fp8_e4m3"}, refuse_others=SGLANG_KV_WORDS),
    FlagRow("pipeline_parallel", "--pp-size"),
    FlagRow("attention_backend", "--attention-backend"),
    FlagRow("tool_call_parser", "--tool-call-parser"),
    FlagRow("reasoning_parser", "--reasoning-parser"),
    FlagRow("load_format", "--load-format"),
)

LLAMA_ROWS = (
    FlagRow("port", "--port"),
    FlagRow("host", "--host"),
    FlagRow("ctx_size", "--ctx-size"),
    FlagRow("n_gpu_layers", "--n-gpu-layers"),
    FlagRow("parallel", "--parallel"),
    FlagRow("threads", "--threads"),
    FlagRow("chat_template", "--chat-template"),
    FlagRow("reasoning_format", "--reasoning-format"),
    FlagRow("served_model_name", "--alias"),
    FlagRow("flash_attn", "--flash-attn", words={"true": "on", "false": "off"}, refuse_others=("on", "off", "auto")),
    FlagRow("jinja", "--jinja", switch=True, negative="--no-jinja"),
    FlagRow("no_webui", "--no-webui", switch=True),
    FlagRow("cont_batching", "--cont-batching", switch=True, negative="--no-cont-batching"),
    FlagRow("cache_type_k", "--cache-type-k"),
    FlagRow("cache_type_v", "--cache-type-v"),
    FlagRow("batch_size", "--batch-size"),
    FlagRow("ubatch_size", "--ubatch-size"),
)


def build_command(rendered: Rendered, start: Sequence[str], rows: Sequence[FlagRow]) -> str:
    """A command that begins with `start` and has a flag for each row whose key is in the chain, one a line.

    Other keys follow where the engine is known to have a flag of their name.
    Raises `LaunchError` for a value that the engine is known to refuse.
    """
    lines = [join_words(start)]
    for row in rows:
        found = rendered.chain.get(row.key)
        words = _flag_words(row, found, rendered) if found is not None else []
        if words:
            lines.append(join_words(words))
    lines += map(join_words, _more(rendered, start, rows).words)
    command = shell.script("{command}\n", command=shell.joined(lines, " \\\n    "))
    if is_too_long(command):
        raise LaunchError(f"the command that is built from the defaults is longer than {MAX_TEXT:,} bytes")
    return command


def left_out(rendered: Rendered, start: Sequence[str], rows: Sequence[FlagRow]) -> tuple[Problem, ...]:
    """A warning for each default or override that a command built from the chain has no flag for."""
    if rendered.command is not None:
        return ()
    ours = {*rendered.recipe.defaults, *rendered.overrides}
    return tuple(
        Problem(
            Severity.WARNING,
            "unused-default",
            f"`{key}` is not used: the command that is built from the defaults has no flag for it",
            rendered.recipe.spots.get(f"defaults.{key}"),
            "write a `command` that uses it",
        )
        for key in _more(rendered, start, rows).left_out
        if key in ours
    )


def _more(rendered: Rendered, start: Sequence[str], rows: Sequence[FlagRow]) -> MoreFlags:
    taken = [row.flag for row in rows if row.key in rendered.chain]
    return more_flags(rendered, [row.key for row in rows], [*start, *taken], lambda key: value_text(key, rendered))


def _flag_words(row: FlagRow, found: ChainValue, rendered: Rendered) -> list[str]:
    data = found.value.data
    if data is None:
        return []
    if row.switch:
        if isinstance(data, bool):
            return [row.flag] if data else [row.negative] * bool(row.negative)
        raise LaunchError(
            f"`{row.key}` is a switch: true or false, not `{found.value.text}`",
            spot=found.value.spot,
            remedy=f"write `{row.key}: true` to pass {row.flag}",
        )
    if data is False and row.words is None:
        return []
    text = value_text(row.key, rendered)
    if row.words is not None:
        text = row.words.get(text.lower(), text)
    if row.refuse_others and text not in row.refuse_others:
        raise LaunchError(
            f"`{row.key}: {text}` is not a word for {row.flag}",
            spot=found.value.spot,
            remedy=f"one of {', '.join(row.refuse_others)}",
        )
    return [row.flag, text]


def value_text(key: str, rendered: Rendered, default: str = "") -> str:
    """The text of a chain value with the placeholders inside it filled; mappings and lists become JSON."""
    found = rendered.chain.get(key)
    if found is None or found.value.data is None:
        return default
    data = found.value.data
    if isinstance(data, (dict, list, tuple)):
        return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    if isinstance(data, bool):
        return "true" if data else "false"
    text = found.value.text
    if "{" not in text or text.lstrip().startswith("{"):
        return text
    values = {name: link.value.text for name, link in rendered.chain.items()}
    try:
        return expand(text, values, doubled=False).text
    except TemplateError as error:
        raise LaunchError(str(error), spot=found.value.spot) from error
