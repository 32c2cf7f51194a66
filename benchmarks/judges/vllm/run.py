"""Judges rows with the vLLM of this environment: `python -m benchmarks.judges.vllm.run JOB RESULT`.

JOB is a JSON object with ``what`` (`plans` or `weights`), ``compiled`` (vLLM's compiled modules), ``configs`` and
``rows``; see `benchmarks/judges/each_row.py` for the rest.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.judges.each_row import judge_rows
from benchmarks.judges.vllm.machine import pretend

IMPORTED_FIRST = (
    "vllm.engine.arg_utils",
    "vllm.model_executor.model_loader",
    "vllm.v1.worker.gpu_worker",
    "vllm.v1.worker.gpu.attn_utils",
    "vllm.v1.core.kv_cache_utils",
)
"""Imported once, before the processes of rows begin."""


def main() -> int:
    """Judge every row."""
    job = json.loads(Path(sys.argv[1]).read_text())
    pretend(job["compiled"])
    for name in IMPORTED_FIRST:
        import_module(name)
    registry: Any = import_module("vllm.model_executor.models.registry")
    # A process of vLLM's own would not be this machine; what it reads of a class can be read here.
    registry._run_in_subprocess = lambda function: function()
    judge_rows(_judged)
    return 0


def _judged(job: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a row. Raises what vLLM says instead of them."""
    from benchmarks.judges.vllm import plans, settings

    with tempfile.TemporaryDirectory() as folder:
        config = settings.engine_config(row["inputs"], job["configs"], Path(folder))
        if job["what"] == "weights":
            from benchmarks.judges.vllm import weights

            return weights.weigh(config)
        return plans.plan(config, row.get("observed") or {})


if __name__ == "__main__":
    sys.exit(main())
