"""Judges rows one by one, each in a process of its own: an engine keeps much of what it decided."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Judge = Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]
"""From a job and a row of it to the figures of the row."""


def judge_rows(judge: Judge) -> None:
    """Judge every row of the job file that is the first argument; the second file gets an answer a line.

    A job is a JSON object with ``rows`` (``id``, ``inputs``, ``observed``) and what the judge asks of it; an answer
    has the ``id`` with ``observed``, or with ``refused`` and ``where`` when the judge raised.
    """
    job = json.loads(Path(sys.argv[1]).read_text())
    with Path(sys.argv[2]).open("a") as results:
        for row in job["rows"]:
            results.write(json.dumps(_apart(judge, job, row), default=str) + "\n")
            results.flush()


def _apart(judge: Judge, job: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """Judge a row in a process of its own, and say how long it took."""
    began = time.monotonic()
    found = in_child(lambda: answered(lambda: judge(job, row)))
    return {"id": row["id"], "seconds": round(time.monotonic() - began, 1), **found}


def in_child(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What ``work`` returns when it runs in a child of this process, whose answer comes through a pipe."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(reading)
            with os.fdopen(writing, "w") as out:
                out.write(json.dumps(work(), default=str))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    found: dict[str, Any] = json.loads(text) if text else {"refused": "the process died", "where": ""}
    return found


def answered(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What ``work`` returns as ``observed``, or what the engine said instead as ``refused``, and ``where``."""
    try:
        return {"observed": work()}
    except (Exception, SystemExit) as error:
        where = traceback.format_exc().strip().splitlines()
        return {"refused": f"{type(error).__name__}: {error}"[:600], "where": "\n".join(where[-14:])}
