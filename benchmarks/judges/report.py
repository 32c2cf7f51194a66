"""What moved between two releases, and how near our estimate is to the newer one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.judges.rows import Rows
from benchmarks.memory_rows import RowScore
from benchmarks.memory_score import row_line, score_file, summarise, summary_lines

COMPARED = (
    "weights_bytes",
    "bytes_per_block",
    "blocks_per_request",
    "needed_gib_at_max_len",
    "num_blocks",
    "kv_tokens",
    "estimated_max_len",
    "mem_fraction_static",
    "attention_backend",
    "resolved_kv_dtype",
    "page_size",
    "available_bytes",
    "kv_gib",
    "k_gib",
    "swa_tokens",
    "mamba_slots",
    "max_running_requests",
    "fits",
    "outcome",
    "n_ctx",
    "cells",
    "streams",
    "kv_mib",
    "cells_swa",
    "kv_swa_mib",
    "kv_indexer_mib",
    "rs_mib",
    "compute_mib",
    "output_mib",
    "model_mib",
    "model_mib_all_models",
)
TOLERANCE = 2e-4
"""Relative: what rounding in a file may differ."""

NEAR = 0.1
"""Per cent within which an estimate counts as right."""


def moved(before: Sequence[Mapping[str, Any]], now: Rows) -> list[str]:
    """A line for each row whose figures are others than before."""
    old = {row["id"]: row.get("observed") or {} for row in before}
    lines = []
    for row in now.observations:
        changes = []
        for key in COMPARED:
            was, is_now = old.get(row["id"], {}).get(key), row["observed"].get(key)
            if was is not None and is_now is not None and _differs(was, is_now):
                changes.append(f"{key} {was} -> {is_now}")
        if changes:
            lines.append(f"{row['id']:28} {_what(row)}: " + ", ".join(changes))
    return lines


def _what(row: Mapping[str, Any]) -> str:
    """The model of a row, and the arguments where it has any."""
    inputs = row["inputs"]
    return str(inputs.get("hf_config") or f"{row.get('model', '')} {inputs.get('args', '')}".strip())


def _differs(was: Any, is_now: Any) -> bool:
    if isinstance(was, bool):
        return bool(is_now) != was
    if isinstance(was, str):
        return bool(is_now != was)
    if isinstance(was, Mapping):
        was, is_now = sum(was.values()), sum(is_now.values())
    return abs(float(is_now) - float(was)) > TOLERANCE * max(1.0, abs(float(was)))


def estimate(rows: Rows) -> tuple[list[str], list[RowScore]]:
    """The lines of our own estimates beside the judge's figures, and their scores; only rows that are off are named."""
    scores = score_file({"configs": rows.configs, "observations": rows.observations})
    off = [row_line(score) for score in scores if is_off(score)]
    return [*off, "", *summary_lines(summarise(scores))], scores


def is_off(score: RowScore) -> bool:
    """Whether one of our figures errs by more than `NEAR`, or the verdict is wrong."""
    return score.fits_right is False or any(pair.error(metric) > NEAR for metric, pair in score.pairs.items())


def share(scores: Sequence[RowScore]) -> float:
    """Per cent of the rows on which every figure is near."""
    return 100 * sum(not is_off(score) for score in scores) / max(1, len(scores))
