"""Scores the estimated decode speeds on published ones: `python -m benchmarks.decode [--json] [FILE]`."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from sparkrun_tui.memory.hosts import assumed_spark
from sparkrun_tui.memory.result import Speed
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.memory.speed.roofline import speed_of
from sparkrun_tui.models.digest import facts_of
from sparkrun_tui.models.facts import DeclaredFacts
from sparkrun_tui.models.shipped_table import find_digest

ROWS = Path(__file__).with_name("decode.yaml")


@dataclass(frozen=True, slots=True)
class Scored:
    """One published speed beside the estimate, in tokens a second; `error` is the estimate's share above or below."""

    model: str
    engine: str
    measured: float
    estimated: float
    error: float
    in_band: bool
    kept: bool


def estimate_of(row: Mapping[str, Any]) -> Speed | None:
    """The estimate for one row; None where the model or its format is not known."""
    digest = find_digest(str(row["model"]))
    if digest is None:
        return None
    facts = facts_of(digest)
    form = str(row.get("format", ""))
    is_at_load = form == "fp8"
    if form and not is_at_load:
        facts = replace(facts, declared=DeclaredFacts(model_dtype=form), quant=None)
    hosts = int(row.get("hosts", 1))
    settings = EngineSettings(str(row["engine"]), tensor_parallel=hosts, quantization=form if is_at_load else "")
    return speed_of(facts, settings, [assumed_spark(f"spark-{number}") for number in range(1, hosts + 1)])


def score(path: Path = ROWS) -> list[Scored]:
    """All rows of a file that the estimate answers."""
    found = []
    for row in yaml.safe_load(path.read_text(encoding="utf-8"))["rows"]:
        speed = estimate_of(row)
        if speed is None:
            continue
        measured, estimated = float(row["decode"]), speed.decode.likely
        in_band = speed.decode.low <= measured <= speed.decode.high
        kept = bool(row.get("kept"))
        found.append(Scored(row["model"], row["engine"], measured, estimated, estimated / measured - 1, in_band, kept))
    return found


def summary(scores: Sequence[Scored]) -> dict[str, float]:
    """Rows, the median and the ninth tenth of the errors, the worst, and the share of rows within the band."""
    errors = sorted(abs(item.error) for item in scores)
    return {
        "rows": len(errors),
        "median": statistics.median(errors),
        "p90": errors[int(0.9 * len(errors))],
        "worst": errors[-1],
        "in_band": sum(item.in_band for item in scores) / len(scores),
    }


def main() -> None:
    """Print each row and the figures of both halves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=ROWS)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    scores = score(given.file)
    halves = {
        "fitted": [item for item in scores if not item.kept],
        "kept": [item for item in scores if item.kept],
        "all": scores,
    }
    figures = {name: summary(part) for name, part in halves.items() if part}
    if given.json:
        print(json.dumps({"rows": [asdict(item) for item in scores], **figures}, indent=2))
        return
    for item in scores:
        mark = " " if item.in_band else "*"
        print(f"{item.model:52} {item.engine:10} {item.measured:7.1f} {item.estimated:7.1f} {item.error:+7.1%} {mark}")
    for name, found in figures.items():
        print(
            f"{name:8} {found['rows']:3} rows, median {found['median']:.1%}, p90 {found['p90']:.1%}, "
            f"worst {found['worst']:.1%}, in the band {found['in_band']:.0%}"
        )


if __name__ == "__main__":
    main()
