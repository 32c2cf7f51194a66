"""`diagnose`: why a start failed, by a log in a file, on stdin or of an earlier launch."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from sparkrun_tui.base.errors import UsageError
from sparkrun_tui.cli import output
from sparkrun_tui.cli.exits import Exit, say
from sparkrun_tui.cli.gate import gate

if TYPE_CHECKING:
    from sparkrun_tui.launch.diagnosis.any_log import Reading
    from sparkrun_tui.launch.record.events import Diagnosed
    from sparkrun_tui.launch.record.logs import LogLine

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
    if log == "-":
        logs = {"": _lines(_stream(sys.stdin.buffer))}
    elif Path(log).exists():
        logs = {"": _lines(_file(Path(log)))}
    else:
        logs, known_engine, values = _of_launch(log)
        engine = engine or known_engine
    reading = read_any(logs, engine, values)
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


def _of_launch(name: str) -> tuple[dict[str, list[LogLine]], str, dict[str, str]]:
    """The kept logs of a launch by host, its engine, and the values that were set for it."""
    from sparkrun_tui.cli.commands.history import chosen
    from sparkrun_tui.launch.record.journal import log_lines
    from sparkrun_tui.launch.record.logs import safe_line

    try:
        past = chosen(name)
    except UsageError as error:
        raise UsageError(f"there is no file `{name}`, and {error.what}", remedy=error.remedy) from error
    redact = gate().redact
    logs = {host: [safe_line(line, redact) for line in log_lines(past.folder, host)] for host in past.state.hosts}
    values = {str(key): str(value) for key, value in past.state.settings.items()}
    return logs, past.state.engine, values


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


def _json(found: Diagnosed) -> dict[str, Any]:
    repairs = [
        {"title": repair.title, "why": repair.why, "key": repair.key, "value": repair.value} for repair in found.repairs
    ]
    return {
        "title": found.title,
        "explanation": found.explanation,
        "evidence": found.evidence,
        "repairs": repairs,
    }
