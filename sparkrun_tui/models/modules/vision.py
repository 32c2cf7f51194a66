"""The modules of a vision tower, from the `vision_config` of a model."""

from __future__ import annotations

from dataclasses import replace

from sparkrun_tui.models.config.values import Config, largest, mapping, positive, sequence, word
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.modules.module import Kind, Module, Split, small

_WHOLE = ("gemma4", "pixtral", "llama4")
"""Towers that each rank keeps whole (vllm/model_executor/models/gemma4_mm.py uses ReplicatedLinear)."""

_GATED = ("gemma4", "pixtral", "mistral3", "qwen2_5_vl")
"""Towers whose feed-forward has a gate."""

_ROTARY_POSITIONS = 8192
"""Positions of Qwen's table for images (models/qwen3_vl.py)."""


def vision_modules(facts: ModelFacts) -> tuple[Module, ...] | None:
    """The modules of the vision tower: empty without one, None when its shape is not known.

    Blocks of attention and feed-forward, the patches' projection, positions, and what leads to the text model.
    Source: vllm/model_executor/models/qwen3_vl.py, siglip.py, gemma3_mm.py, gemma4_mm.py, pixtral.py.
    """
    config = mapping(facts.config, "vision_config")
    if not config:
        return ()
    family = word(config, "model_type") or facts.model_type
    # In Qwen2-VL's file `hidden_size` is the text model's.
    hidden = positive(config, "embed_dim", "hidden_size", "width")
    depth = positive(config, "depth", "num_hidden_layers", "layers")
    width = largest(config, "intermediate_size") or positive(config, "mlp_hidden_dim")
    if width is None and hidden is not None and config.get("mlp_ratio") is not None:
        width = 4 * hidden
    if hidden is None or depth is None or width is None:
        return None
    is_qwen = family.startswith(("qwen2", "qwen3"))
    place = "visual.blocks" if is_qwen else "vision_tower.encoder.layers"
    if family.startswith("siglip"):
        place = "vision_tower.vision_model.encoder.layers"
    split = not family.startswith(_WHOLE)
    gated = family.startswith(_GATED)
    found: list[Module] = []
    for index in range(depth):
        found += _block(f"{place}.{index}", family, hidden, width, gated)
    found += _patches(config, family, hidden)
    if is_qwen:
        found += _mergers(config, hidden, facts.hidden or 0)
        found.append(small(_ROTARY_POSITIONS * (hidden // (positive(config, "num_heads") or 16) // 2)))
    else:
        found.append(Module(_projector(family), Kind.VISION, facts.hidden or 0, hidden, Split.WHOLE, linear=False))
        found.append(small(2 * hidden))
    if split:
        return tuple(found)
    return tuple(_whole(module) for module in found)


def _whole(module: Module) -> Module:
    """The module as each rank keeps it when nothing of the tower is split; no format quantises such a tower."""
    return replace(module, split=Split.WHOLE, linear=False)


def _projector(family: str) -> str:
    """What leads to the text model, by the name that its family gives it."""
    return "embed_vision.embedding_projection" if family.startswith("gemma4") else "multi_modal_projector.linear_1"


def _block(at: str, family: str, hidden: int, width: int, gated: bool) -> list[Module]:
    """Attention and feed-forward of one block with their biases and norms."""
    is_qwen = family.startswith("qwen")
    attention = "attn" if is_qwen else "self_attn"
    # Siglip's feed-forward is quantised only where both widths are multiples of 64 (models/siglip.py SiglipMLP).
    fits = not family.startswith("siglip") or (hidden % 64 == 0 and width % 64 == 0)
    query = f"{at}.{attention}.qkv" if is_qwen else f"{at}.{attention}.q_proj"
    first, second = ("linear_fc1", "linear_fc2") if family.startswith("qwen3") else ("fc1", "fc2")
    if gated:
        first, second = "up_proj", "down_proj"
    output = f"{at}.{attention}.proj" if is_qwen else f"{at}.{attention}.o_proj"
    found = [
        Module(query, Kind.VISION, 3 * hidden, hidden),
        Module(output, Kind.VISION, hidden, hidden, Split.COLUMNS),
        Module(f"{at}.mlp.{first}", Kind.VISION, 2 * width if gated else width, hidden, linear=fits),
        Module(f"{at}.mlp.{second}", Kind.VISION, hidden, width, Split.COLUMNS, linear=fits),
    ]
    if gated:
        return [*found, small(4 * hidden)]
    return [*found, small(3 * hidden + width, Split.ROWS), small(6 * hidden)]


def _patches(config: Config, family: str, hidden: int) -> list[Module]:
    """The projection of patches and the table of their positions."""
    patch = positive(config, "patch_size", "spatial_patch_size") or 14
    channels = positive(config, "in_channels", "in_chans", "num_channels") or 3
    frames = positive(config, "temporal_patch_size") or 1
    positions = positive(config, "num_position_embeddings") or 0
    if family.startswith("gemma4"):
        positions = 2 * (positive(config, "position_embedding_size") or 10240)
    elif not positions and not family.startswith(("qwen", "pixtral")):
        side = (positive(config, "image_size") or 0) // patch
        positions = side * side
    return [small(hidden * channels * frames * patch * patch + hidden), small(positions * hidden)]


def _mergers(config: Config, hidden: int, text: int) -> list[Module]:
    """Qwen's mergers of neighbouring patches: one, and one for each level that is fed to deeper text layers."""
    merged = hidden * (positive(config, "spatial_merge_size") or 2) ** 2
    out = positive(config, "out_hidden_size") or text
    levels = len(sequence(config, "deepstack_visual_indexes") or ())
    found: list[Module] = []
    for name in ("visual.merger", *(f"visual.deepstack_merger_list.{level}" for level in range(levels))):
        found += [
            Module(f"{name}.linear_fc1", Kind.VISION, merged, merged),
            Module(f"{name}.linear_fc2", Kind.VISION, out, merged, Split.COLUMNS),
            small(merged, Split.ROWS),
            small(out + 2 * hidden),
        ]
    return found
