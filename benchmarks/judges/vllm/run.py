"""Judges rows with the vLLM of this environment: `python -m benchmarks.judges.vllm.run JOB RESULT`.

JOB is a JSON object with ``what`` (`plans` or `weights`), ``compiled`` (vLLM's compiled modules), ``configs`` and
``rows`` (``id``, ``inputs``, ``observed``). RESULT gets one JSON object a line: ``id`` with ``observed`` or
``refused``. Each row is judged in a process of its own, for vLLM keeps much of what it decided.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

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
    with Path(sys.argv[2]).open("a") as results:
        for row in job["rows"]:
            results.write(json.dumps(_apart(job, row), default=str) + "\n")
            results.flush()
    return 0


def _apart(job: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """Judge a row in a child, whose answer comes through a pipe."""
    began = time.monotonic()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        with os.fdopen(writing, "w") as out:
            out.write(json.dumps(_judged(job, row), default=str))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    found: dict[str, Any] = json.loads(text) if text else {"refused": "the process died", "where": ""}
    return {"id": row["id"], "seconds": round(time.monotonic() - began, 1), **found}


def _judged(job: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a row, or what vLLM said instead, and where."""
    from benchmarks.judges.vllm import plans, settings

    with tempfile.TemporaryDirectory() as folder:
        try:
            config = settings.engine_config(row["inputs"], job["configs"], Path(folder))
            if job["what"] == "weights":
                from benchmarks.judges.vllm import weights

                return {"observed": weights.weigh(config)}
            return {"observed": plans.plan(config, row.get("observed") or {})}
        except Exception as error:
            where = traceback.format_exc().strip().splitlines()
            return {"refused": f"{type(error).__name__}: {error}"[:600], "where": "\n".join(where[-14:])}


if __name__ == "__main__":
    sys.exit(main())
