"""Runs the estimator over a file of observations and prints the errors per row and in sum."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.memory_llama import score_llama
from benchmarks.memory_rows import ABSOLUTE, METRICS, UNCOMPUTED, Row, RowScore
from benchmarks.memory_sglang import score_sglang
from benchmarks.memory_vllm import default_configs, score_vllm

Scorer = Callable[[Row, Mapping[str, Any]], RowScore]

SCORERS: Mapping[str, Scorer] = {"vllm": score_vllm, "llama": score_llama, "sglang": score_sglang}
"""The scorer of each engine, by how the runtime's name begins."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Score the file named on the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--observations",
        required=True,
        type=Path,
        help="file of observations, plans or default configurations (YAML or JSON)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    options = parser.parse_args(arguments)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    data = yaml.load(options.observations.read_text(encoding="utf-8"), Loader=loader)
    scores = score_file(data)
    for score in scores:
        print(row_line(score))
    summary = summarise(scores)
    print()
    for line in summary_lines(summary):
        print(line)
    if options.json:
        print(json.dumps(summary))
    return 0


def score_file(data: Mapping[str, Any]) -> list[RowScore]:
    """Score every row of a loaded file; ``configs``, ``draft_configs`` and ``models`` hold the models' facts.

    A file with ``rows`` holds what vLLM needs for one request of each default configuration.
    """
    if "rows" in data:
        data = default_configs(data)
    configs: dict[str, Any] = {}
    for key in ("configs", "draft_configs", "models"):
        configs.update(data.get(key) or {})
    scores = []
    for row in data["observations"]:
        runtime = str(row.get("runtime", "")).lower()
        scorer = next((score for name, score in SCORERS.items() if runtime.startswith(name)), None)
        if scorer is not None:
            scores.append(scorer(row, configs))
    return scores


def row_line(score: RowScore) -> str:
    """Return one row of the report: each metric's error, and whether the verdict was right."""
    cells = []
    for metric, pair in score.pairs.items():
        error = pair.error(metric)
        unit = " GiB" if metric in ABSOLUTE else " %"
        cells.append(f"{metric} {'not computed' if error == UNCOMPUTED else f'{error:.3f}{unit}'}")
    if score.fits_right is not None:
        cells.append("fits right" if score.fits_right else "fits WRONG")
    if score.error:
        cells.append(f"refused: {score.error}")
    return f"{score.name:8} " + ", ".join(cells)


def summarise(scores: Sequence[RowScore]) -> dict[str, dict[str, float]]:
    """Return count, median, 90th percentile, worst and rows within 0.1 and 1 (per cent, or GiB) by metric."""
    summary: dict[str, dict[str, float]] = {}
    for metric in METRICS:
        errors = sorted(s.pairs[metric].error(metric) for s in scores if metric in s.pairs)
        summary[metric] = {
            "rows": len(errors),
            "median_pct": round(statistics.median(errors), 4) if errors else 0.0,
            "p90_pct": round(errors[max(0, -(-len(errors) * 9 // 10) - 1)], 4) if errors else 0.0,
            "worst_pct": round(errors[-1], 4) if errors else 0.0,
            "within_01pct": sum(error <= 0.1 for error in errors),
            "within_1pct": sum(error <= 1.0 for error in errors),
        }
    judged = [score.fits_right for score in scores if score.fits_right is not None]
    summary["fits"] = {"rows": len(judged), "right": sum(judged)}
    return summary


def summary_lines(summary: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return the table of sums."""
    lines = [f"{'':14}{'rows':>6}{'median':>11}{'p90':>11}{'worst':>11}{'<= 0.1':>8}{'<= 1':>8}"]
    for metric in METRICS:
        found = summary[metric]
        unit = " GiB" if metric in ABSOLUTE else " %"
        figures = "".join(f"{found[key]:>11.3f}" for key in ("median_pct", "p90_pct", "worst_pct"))
        counts = f"{found['within_01pct']:>8}{found['within_1pct']:>8}"
        lines.append(f"{metric + unit:14}{found['rows']:>6}{figures}{counts}")
    lines.append(f"{'fits':14}{summary['fits']['rows']:>6}  right {summary['fits']['right']}")
    return lines
