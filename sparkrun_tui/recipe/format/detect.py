"""Which engine a recipe is for, when it does not say or says it in another tool's words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sparkrun_tui.recipe.model import Runtime

_ALIASES = {"vllm-ray": Runtime.VLLM.value}
_HINTS = (
    (re.compile(r"\bsglang\.launch_server\b|(?<![\w/.-])sglang\s+serve\b"), Runtime.SGLANG),
    (re.compile(r"(?<![\w.-])llama-server\b"), Runtime.LLAMA_CPP),
)
_REPOSITORY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9_][A-Za-z0-9._-]{0,95})?")


def detect_runtime(declared: str, version: str, config: Mapping[str, Any], command: str | None) -> str:
    """The engine's word: as declared, else from the version, from eugr's own fields, or from the command."""
    word = declared.strip()
    if word:
        return _ALIASES.get(word, word)
    if version == "1" or "build_args" in config or "mods" in config:
        return Runtime.EUGR_VLLM.value
    first = "\n".join(line for line in (command or "").splitlines() if not line.lstrip().startswith("#"))
    found = [(match.start(), runtime) for pattern, runtime in _HINTS if (match := pattern.search(first))]
    return min(found)[1].value if found else Runtime.VLLM.value


def is_repository(model: str) -> bool:
    """Whether a text is the name of a repository on the Hugging Face Hub, and not a path, an option or a variable."""
    return _REPOSITORY.fullmatch(model) is not None and ".." not in model and "--" not in model


def split_gguf(model: str) -> tuple[str, str]:
    """A model id and its GGUF quantisation: `repo:quant` is split at the last colon, else the second is empty."""
    repo, colon, quant = model.rpartition(":")
    return (repo, quant) if colon and "/" not in quant else (model, "")
