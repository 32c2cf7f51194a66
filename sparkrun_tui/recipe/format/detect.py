"""Which engine a recipe is for, when it does not say or says it in another tool's words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sparkrun_tui.recipe.model import Runtime

_ALIASES = {"vllm-ray": Runtime.VLLM.value}
_HINTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\bsglang\.launch_server\b|(?<![\w/.-])sglang\s+serve\b"), Runtime.SGLANG.value),
    (re.compile(r"(?<![\w.-])llama-server\b"), Runtime.LLAMA_CPP.value),
    (re.compile(r"(?<![\w.-])trtllm-serve\b"), "trtllm"),
    (re.compile(r"(?<![\w.-])text-generation-launcher\b"), "tgi"),
    (re.compile(r"(?<![\w.-])lmdeploy\s+serve\b"), "lmdeploy"),
    (re.compile(r"(?<![\w.-])ollama\s+serve\b"), "ollama"),
    (re.compile(r"\bmlx_lm\.server\b"), "mlx"),
)
"""What a command starts, by the engine's word; some are engines that this program does not launch."""
_VLLM = re.compile(r"(?<![\w.-])vllm\s+serve\b|\bvllm\.entrypoints\.")
_OF_EUGR = ("build_args", "mods")


def detect_runtime(declared: str, version: str, config: Mapping[str, Any], command: str | None) -> str:
    """The engine's word.

    As declared, but for version 1, whose recipes for vLLM are eugr's. Otherwise another engine that the command
    starts, then eugr's own fields unless they are empty, then vLLM.
    """
    word = declared.strip()
    if word:
        migrated = version == "1" and word == Runtime.VLLM.value
        return Runtime.EUGR_VLLM.value if migrated else _ALIASES.get(word, word)
    if version == "1":
        return Runtime.EUGR_VLLM.value
    started = _started_by(command or "")
    if started and started != Runtime.VLLM.value:
        return started
    if any(config.get(key) for key in _OF_EUGR):
        return Runtime.EUGR_VLLM.value
    return Runtime.VLLM.value


def _started_by(command: str) -> str:
    """The engine that a command starts first, empty when it cannot be seen; comments are left out."""
    text = "\n".join(line for line in command.splitlines() if not line.lstrip().startswith("#"))
    found = [(match.start(), word) for pattern, word in _HINTS if (match := pattern.search(text))]
    vllm = _VLLM.search(text)
    if vllm:
        found.append((vllm.start(), Runtime.VLLM.value))
    return min(found)[1] if found else ""


def split_gguf(model: str) -> tuple[str, str]:
    """A model id and its GGUF quantisation: `repo:quant` is split at the last colon, else the second is empty."""
    repo, colon, quant = model.rpartition(":")
    return (repo, quant) if colon and "/" not in quant else (model, "")
