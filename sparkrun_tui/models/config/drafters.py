"""Recognises draft models that draft a whole block at once (DFlash, DFlash2, DSpark) by their `config.json`."""

from __future__ import annotations

from sparkrun_tui.models.config.values import Config, flag, mapping, positive, sequence, word

_ARCHITECTURES = (
    "DFlash",
    "LiLiCorr",
    "MuseGlimmerAssistant",
    "Qwen3DSpark",
    "Qwen3OmniDSpark",
    "Qwen3XPress",
)
"""Beginnings of the architectures that have DFlash's layers (vllm/model_executor/models/registry.py)."""

_SPECULATORS = frozenset({"dflash", "dflash2", "dspark"})
"""The same in files of the `speculators` library (vllm/transformers_utils/configs/speculators/algos.py)."""


def is_block_drafter(config: Config) -> bool:
    """Whether a file is of a draft model that keeps keys and values of the target's hidden states, and drafts a block.

    Its layers have ordinary attention, but say in their own way which of them look through a window.
    """
    if word(config, "speculators_model_type") in _SPECULATORS or mapping(config, "dflash_config"):
        return True
    names = sequence(config, "architectures") or [""]
    name = str(names[0])
    if name == "DSparkDraftModel":
        # DeepSeek-V4's drafter, which is part of the target's checkpoint, has the same name.
        return word(config, "model_type") == "qwen3"
    return name.startswith(_ARCHITECTURES) or name.endswith("DFlash")


def draft_window(config: Config) -> int | None:
    """The window in tokens of a block drafter's layers, None when the file states none."""
    return positive(mapping(config, "dflash_config"), "swa_window_size") or positive(config, "sliding_window")


def windowed_drafts(config: Config, layers: int) -> list[bool]:
    """Which of a block drafter's layers look through a window.

    The list of kinds decides; without a window in it `use_swa` gives every layer one. Source:
    vllm/model_executor/models/qwen3_dflash.py (_resolve_layer_attention).
    """
    if draft_window(config) is None:
        return [False] * layers
    listed = sequence(config, "layer_types") or []
    marks = [str(kind) == "sliding_attention" for kind in listed[:layers]]
    if any(marks) and len(marks) == layers:
        return marks
    return [flag(mapping(config, "dflash_config"), "use_swa")] * layers


def keeps_every_token(config: Config) -> bool:
    """Whether vLLM keeps a block drafter's windowed layers in full (model_executor/models/laguna_dflash.py)."""
    names = sequence(config, "architectures") or [""]
    return str(names[0]).startswith("DFlashLaguna")


def has_sinks(config: Config) -> bool:
    """Whether a block drafter's attention has sinks (vllm/model_executor/models/qwen3_dflash.py)."""
    return flag(mapping(config, "dflash_config"), "attention_sink_bias", flag(config, "add_swa_attention_sink_bias"))


def draft_block(config: Config) -> int | None:
    """The tokens of one drafted block with the bonus token before them, None when the file does not say.

    Source: sglang/srt/speculative/dflash_utils.py (parse_dflash_draft_config).
    """
    return positive(mapping(config, "dflash_config"), "block_size") or positive(config, "block_size")
