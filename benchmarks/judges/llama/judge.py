"""Judges a build of llama.cpp: each row is loaded by its llama-server, and our count of each file's tensors checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from benchmarks.judges.environment import JudgeError
from benchmarks.judges.llama import gguf, loads
from benchmarks.judges.llama.server import Server, server
from benchmarks.judges.rows import Rows
from benchmarks.memory_llama import settings_of
from sparkrun_tui.base.units import MIB
from sparkrun_tui.memory.llama_cpp.weights import model_buffers
from sparkrun_tui.models.gguf.reader import GgufTensor, facts_from_gguf

KEPT = Path(__file__).with_name("kept.yaml")
"""The rows of the newest build that was judged, with what it allocated; made with `--write`."""

HARDWARE = "CPU backend"
NEAR = 1e-3


@dataclass(slots=True)
class Judged:
    """Rows with what a build allocates, and a line for each that it did not load.

    `weighed` files have buffers that are known exactly; `files` has a line for each of these that we miscount.
    """

    rows: Rows
    refused: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    weighed: int = 0


def judge(version: str, given: Rows, binary: Path | None, source: Path | None, kept: Path | None) -> Judged:
    """Load every row with a build's llama-server. Raises `JudgeError` when there is no such server."""
    with server(version, binary, source, kept) as made:
        print(f"llama.cpp {version}: {made.said}; {len(given.observations)} rows", flush=True)
        return load_all(made, version, given)


def load_all(made: Server, version: str, given: Rows) -> Judged:
    """Load every row; a model's file is asked for its tensors once."""
    models: dict[str, loads.Model] = {}
    judged = Judged(Rows(given.configs))
    for row in given.observations:
        name = row["model"]
        if name not in models:
            keys = given.configs[name]
            plain = {key: value for key, value in keys.items() if key != "untied"}
            models[name] = loads.Model(plain, untied=bool(keys.get("untied")))
        model = models[name]
        try:
            found = loads.judge(made, model, row)
        except JudgeError as error:
            judged.refused.append(line_of(row, str(error)))
            continue
        if found["outcome"] != "loaded":
            judged.refused.append(line_of(row, "; ".join(found["error"]) or f"exit code {found['exit_code']}"))
        judged.rows.observations.append(
            {
                "id": row["id"],
                "model": name,
                "runtime": f"llama.cpp {version}",
                "hardware": HARDWARE,
                "inputs": row["inputs"],
                "observed": found,
            }
        )
        said = miscounted(model, judged.rows.observations[-1])
        if said is not None:
            judged.weighed += 1
            judged.files += said
    return judged


def miscounted(model: loads.Model, row: Mapping[str, Any]) -> Sequence[str] | None:
    """A line when our count of a file differs from the model's buffers; None where those are not known exactly.

    A plan gives them in whole MiB, and counts embeddings twice that are read as output too.
    """
    printed = row["observed"].get("model_mib") or {}
    if not printed or "Host" in printed:
        return None
    kind = row["inputs"]["weight_quant"]
    tensors = [GgufTensor(name, gguf.type_of(name, shape, kind), prod(shape)) for name, shape in model.tensors.items()]
    counted = model_buffers(facts_from_gguf(model.keys, tensors), settings_of(row), device=False)
    theirs = sum(printed.values())
    ours = counted.likely / MIB if counted is not None else 0.0
    if abs(ours - theirs) <= NEAR * theirs:
        return []
    return [line_of(row, f"{kind}: {ours:.2f} MiB counted, {theirs:.2f} MiB allocated")]


def line_of(row: Mapping[str, Any], text: str) -> str:
    """A line about one row."""
    return f"{row['id']:10} {row['model']} {row['inputs'].get('args', '')}: {text}"
