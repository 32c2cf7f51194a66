"""`diagnose`: why a start failed, by a log in a file, on stdin or of an earlier launch."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from sparkrun_tui.base.errors import UsageError
from sparkrun_tui.cli import output
from sparkrun_tui.cli.exits import Exit, say
from sparkrun_tui.cli.gate import gate

if TYPE_CHECKING:
    from sparkrun_tui.cli.shapes.launches import CauseJson, RepairJson
    from sparkrun_tui.launch.diagnosis.any_log import Reading
    from sparkrun_tui.launch.record.events import Diagnosed
    from sparkrun_tui.launch.record.logs import LogLine
    from sparkrun_tui.launch.record.state import LaunchState

MOST_BYTES = 8 << 20
"""The most of a log that is read: its end of a file, its beginning of a stream."""
MOST_LINES = 100_000
"""The most lines of it. Millions of short ones need a hundred times their size in memory, and minutes."""


@click.command("diagnose")
@click.argument("log", metavar="FILE|ID|-")
@click.option("--engine", default="", metavar="ENGINE", help="vllm, sglang or llama-cpp; else guessed from the log.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of causes, best first.")
def diagnose_command(log: str, engine: str, as_json: bool) -> int:
    """Say why a start failed: by a log in FILE, on stdin (-), or of an earlier launch (ID or recipe)."""
    from sparkrun_tui.launch.diagnosis.any_log import read_any

    engine = _engine(engine)
    values: dict[str, str] = {}
    state: LaunchState | None = None
    if log == "-":
        logs = {"": _lines(_stream(sys.stdin.buffer))}
    elif Path(log).exists():
        logs = {"": _lines(_file(Path(log)))}
    else:
        logs, state = _of_launch(log)
        engine = engine or state.engine
        values = {str(key): str(value) for key, value in state.settings.items()}
    reading = read_any(logs, engine, values)
    recorded = state.diagnosis if state is not None else None
    if state is not None and recorded is not None and not reading.causes and not reading.is_ready:
        # It did not come so far that an engine wrote anything: the journal has the reason.
        if as_json:
            output.as_json([_json(recorded)])
        else:
            _print_recorded(state, recorded)
        return Exit.OK
    if as_json:
        output.as_json([_json(found) for found in reading.causes])
    else:
        _print(reading)
    return Exit.OK if reading.known else Exit.FAILED


def _engine(name: str) -> str:
    """The name of a family. Raises `UsageError` for a name that is none."""
    from sparkrun_tui.engines.registry import FAMILIES, family_of

    if not name:
        return ""
    family = family_of(name)
    if family is None:
        raise UsageError(f"`{name}` is no engine", remedy=f"The engines are {', '.join(FAMILIES)}.")
    return family.name


def _file(path: Path) -> list[bytes]:
    """The last lines of a file, or of what is no plain file the first ones, as of a stream."""
    if path.is_dir():
        raise UsageError(f"`{path}` is a folder", remedy="Give the file with the log.")
    try:
        with path.open("rb") as file:
            if not path.is_file():
                return _stream(file)
            size = path.stat().st_size
            if size > MOST_BYTES:
                say(f"only the last {MOST_BYTES >> 20} MiB of {path} are read")
                file.seek(size - MOST_BYTES)
            lines = file.read(MOST_BYTES).rsplit(b"\n", MOST_LINES)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    if len(lines) > MOST_LINES:
        say(f"only the last {MOST_LINES:,} lines of {path} are read")
        del lines[0]
    return lines


def _stream(stream: BinaryIO) -> list[bytes]:
    """The first lines of a stream."""
    data = stream.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        say(f"only the first {MOST_BYTES >> 20} MiB are read")
    lines = data[:MOST_BYTES].split(b"\n", MOST_LINES)
    if len(lines) > MOST_LINES:
        say(f"only the first {MOST_LINES:,} lines are read")
        del lines[-1]
    return lines


def _lines(raw: Sequence[bytes]) -> list[LogLine]:
    """The lines of a log, without control characters and secrets."""
    from sparkrun_tui.base.text import decode
    from sparkrun_tui.launch.record.logs import LogLine, safe_line

    redact = gate().redact
    return [safe_line(LogLine(0.0, "stdout", decode(line)), redact) for line in raw]


def _of_launch(name: str) -> tuple[dict[str, list[LogLine]], LaunchState]:
    """The kept logs of a launch by host, and its last state."""
    from sparkrun_tui.cli.commands.history import chosen
    from sparkrun_tui.launch.record.journal import log_lines
    from sparkrun_tui.launch.record.logs import safe_line

    try:
        past = chosen(name)
    except UsageError as error:
        raise UsageError(f"there is no file `{name}`, and {error.what}", remedy=error.remedy) from error
    redact = gate().redact
    logs = {host: [safe_line(line, redact) for line in log_lines(past.folder, host)] for host in past.state.hosts}
    return logs, past.state


def _print_recorded(state: LaunchState, recorded: Diagnosed) -> None:
    """Why a launch failed that left no log which says it: in which step, and the reason that was found then."""
    from sparkrun_tui.engines.plan import Phase
    from sparkrun_tui.launch.record.events import StepState
    from sparkrun_tui.launch.record.narration import diagnosis_lines

    failed: list[Phase] = []
    for row in state.hosts.values():
        failed += [phase for phase, cell in row.cells.items() if cell.state is StepState.FAILED]
    if Phase.CHECK in failed:
        output.line("refused by the check of the hosts, before anything was started there:")
    elif failed:
        output.line(f"failed at the step `{failed[0].value}`; no line of a log says why:")
    else:
        output.line("no line of a log says why; when it failed, this was found:")
    for text in diagnosis_lines(recorded):
        output.line(text)


def _print(reading: Reading) -> None:
    from sparkrun_tui.launch.record.narration import diagnosis_lines

    if reading.is_ready:
        output.line("no failure: by this log the server became ready")
        for found in reading.outlived:
            output.line()
            for text in diagnosis_lines(found):
                output.line(text)
        return
    if not reading.causes:
        output.line("cause not known: no line of this log says why")
        return
    for number, found in enumerate(reading.causes):
        if number:
            output.line()
        for text in diagnosis_lines(found):
            output.line(text)
    if reading.around:
        output.line()
        output.line("around it:")
        for text in reading.around:
            output.line(f"  {text}")


def _json(found: Diagnosed) -> CauseJson:
    repairs: list[RepairJson] = [
        {"title": repair.title, "why": repair.why, "key": repair.key, "value": repair.value} for repair in found.repairs
    ]
    return {
        "title": found.title,
        "explanation": found.explanation,
        "evidence": found.evidence,
        "repairs": repairs,
    }
