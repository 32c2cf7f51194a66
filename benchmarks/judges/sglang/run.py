"""Judges rows with the SGLang of this environment: `python -m benchmarks.judges.sglang.run JOB RESULT`.

JOB is a JSON object with ``compiled`` (SGLang's compiled modules), ``configs`` and ``rows``; see
`benchmarks/judges/each_row.py` for the rest.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.judges.each_row import judge_rows
from benchmarks.judges.sglang.machine import pretend

IMPORTED_FIRST = ("sglang.srt.model_executor.model_runner", "sglang.srt.models.registry")
"""Imported once, before the processes of rows begin."""

OWN_CONFIGURATIONS = {"step3p5": "sglang.srt.configs.step3p5.Step3p5Config"}
"""Classes of configurations that checkpoints bring along and SGLang has too, by model type."""


def main() -> int:
    """Judge every row."""
    job = json.loads(Path(sys.argv[1]).read_text())
    pretend(job["compiled"])
    for name in IMPORTED_FIRST:
        import_module(name)
    transformers: Any = import_module("transformers")
    for model_type, whole in OWN_CONFIGURATIONS.items():
        module, _, name = whole.rpartition(".")
        transformers.AutoConfig.register(model_type, getattr(import_module(module), name), exist_ok=True)
    from benchmarks.judges.sglang.plans import plan

    judge_rows(plan)
    return 0


if __name__ == "__main__":
    sys.exit(main())
