"""Finds the engine of a recipe that does not name it, or names it in another tool's words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.recipe.model import Runtime

_ALIASES = {"vllm-ray": Runtime.VLLM.value}
_HINTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (late_regex(r"\bsglang\.launch_server\b|(?<![\w/.-])sglang\s+serve\b"), Runtime.SGLANG.value),
    (late_regex(r"(?<![\w.-])llama-server\b"), Runtime.LLAMA_CPP.value),
    (late_regex(r"(?<![\w.-])trtllm-serve\b"), "trtllm"),
    (late_regex(r"(?<![\w.-])text-generation-launcher\b"), "tgi"),
    (late_regex(r"(?<![\w.-])lmdeploy\s+serve\b"), "lmdeploy"),
    (late_regex(r"(?<![\w.-])ollama\s+serve\b"), "ollama"),
    (late_regex(r"\bmlx_lm\.server\b"), "mlx"),
)
"""How commands start engines, with the word of each engine; this program cannot launch all of them."""
_VLLM = late_regex(r"(?<![\w.-])vllm\s+serve\b|\bvllm\.entrypoints\.")
_OF_EUGR = ("build_args", "mods")
_REVISION = late_regex(r"[A-Za-z0-9_][A-Za-z0-9._/+-]{0,254}")
_REPOSITORY = late_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9_][A-Za-z0-9._-]{0,95})?")


def detect_runtime(declared: str, version: str, config: Mapping[str, Any], command: str | None) -> str:
    """The engine's word.

    The declared word counts, except that recipes of version 1 for vLLM are eugr's. Without one, another engine that the
    command starts counts, then eugr's own fields unless they are empty, then vLLM.
    """
    word = declared.strip()
    if word:
        if version == "1" and word == Runtime.VLLM.value:
            return Runtime.EUGR_VLLM.value
        return _ALIASES.get(word, word)
    if version == "1":
        return Runtime.EUGR_VLLM.value
    started = _started_by(command or "")
    if started and started != Runtime.VLLM.value:
        return started
    if any(_has_entries(config.get(key)) for key in _OF_EUGR):
        return Runtime.EUGR_VLLM.value
    return Runtime.VLLM.value


def _has_entries(data: Any) -> bool:
    """Whether a field of a list has anything in it; entries without a text are none."""
    if isinstance(data, (list, tuple)):
        return any(item is not None and str(item).strip() for item in data)
    return bool(data)


def _started_by(command: str) -> str:
    """The engine that a command starts first, empty when none is recognised; comments are left out."""
    lines = [line for line in command.splitlines() if not line.lstrip().startswith("#")]
    text = "\n".join(lines)
    found = []
    for pattern, word in (*_HINTS, (_VLLM, Runtime.VLLM.value)):
        match = pattern.search(text)
        if match is not None:
            found.append((match.start(), word))
    if not found:
        return ""
    return min(found)[1]


def is_revision(text: str) -> bool:
    """Whether a text is a revision of a repository: a branch, a tag or a commit."""
    return _REVISION.fullmatch(text) is not None and ".." not in text


def is_repository(model: str) -> bool:
    """Whether a text is the name of a repository on the Hugging Face Hub, and not a path, an option or a variable."""
    if ".." in model or "--" in model:
        return False
    return _REPOSITORY.fullmatch(model) is not None


def split_gguf(model: str) -> tuple[str, str]:
    """A model id and its GGUF quantisation: `repo:quant` is split at the last colon, else the second is empty."""
    repo, colon, quant = model.rpartition(":")
    if not colon or "/" in quant:
        return model, ""
    return repo, quant
