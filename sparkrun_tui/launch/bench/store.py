"""Results of benchmarks on this machine: a small file for each, the newest ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.disk.files import read_text, write_private
from sparkrun_tui.base.errors import SparkrunError, UsageError
from sparkrun_tui.base.reading.decoded import ShapeError, decode_json
from sparkrun_tui.base.reading.identifiers import launch_id
from sparkrun_tui.base.reading.json_text import JsonError
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.launch.bench.result import Result, from_data, to_data

KEPT = 200
_MOST_BYTES = 1 << 20


def results_folder() -> Path:
    """The folder of the results."""
    return paths.state_dir() / "bench"


def keep(result: Result) -> Path:
    """Write a result and remove the oldest beyond `KEPT`; its file. Raises `SparkrunError`."""
    path = results_folder() / f"{result.id}.json"
    try:
        write_private(path, json.dumps(to_data(result), indent=1))
    except OSError as error:
        raise SparkrunError(
            f"the result cannot be kept in {path}: {error.strerror or error}", remedy=f"See to {path.parent}."
        ) from error
    for old in kept()[KEPT:]:
        with suppress(OSError):
            (results_folder() / f"{old.id}.json").unlink()
    return path


def kept() -> Sequence[Result]:
    """All results, the newest first; damaged files are left out."""
    found = []
    try:
        files = sorted(results_folder().iterdir())
    except OSError:
        return ()
    for path in files:
        if path.suffix != ".json" or launch_id(path.stem) is None:
            continue
        try:
            result = from_data(decode_json(read_text(path, _MOST_BYTES)))
        except (OSError, UnicodeDecodeError, JsonError, ShapeError):
            continue
        if result.id == path.stem:
            found.append(result)
    return sorted(found, key=lambda result: result.started, reverse=True)


def chosen(name: str) -> Result:
    """The result that a name means: the beginning of its id, or a recipe, whose newest result is meant.

    Raises `UsageError` where there is none, or several.
    """
    results = kept()
    found = [result for result in results if name and result.id.startswith(name)]
    if len(found) > 1:
        raise UsageError(f"`{clean_line(name)[:60]}` is the beginning of {len(found)} ids", remedy="Give more of it.")
    if not found:
        found = [result for result in results if result.measured.recipe == name][:1]
    if not found:
        raise UsageError(
            f"there is no benchmark `{clean_line(name)[:60]}`", remedy="`sparkrun-tui bench list` shows all."
        )
    return found[0]
