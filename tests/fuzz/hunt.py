"""Runs workers over a target and adds up what they say; a worker that died is followed by another."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.mutate import short
from tests.fuzz.worker import Finding

ROOT = Path(__file__).resolve().parents[2]
SILENCE = 120.0
"""Seconds after which a worker that says nothing is ended."""

_FRAME = re.compile(r'File ".*?/(sparkrun_tui/[^"]+)", line (\d+)')
_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")


@dataclass(slots=True)
class Tally:
    """What is known of a target: inputs read, what went wrong how often, the most memory, and one finding of a kind."""

    name: str
    inputs: int = 0
    unhandled: int = 0
    slow: int = 0
    memory: int = 0
    died: int = 0
    peak: int = 0
    findings: dict[tuple[str, str, str], Finding] = field(default_factory=dict)

    def add(self, found: Finding) -> bool:
        """Count a finding; whether it is the first of its kind."""
        setattr(self, found.kind, getattr(self, found.kind) + 1)
        first = found.signature not in self.findings
        if first:
            self.findings[found.signature] = found
        return first

    def row(self) -> str:
        """One line for a person."""
        wrong = f"{self.unhandled} unhandled, {self.slow} over 1 s, {self.memory} over memory, {self.died} died"
        return f"{self.name:12} {self.inputs:>9,} inputs, {wrong}, peak {self.peak >> 20} MB"


def hunt(
    tally: Tally, *, seed: int, first: int, count: int, seconds: float, folder: Path, seeds: Sequence[Path] = (),
    cutting: float = 2.0,
) -> int:  # fmt: skip
    """Read inputs from number `first` on, as many as `count` or as `seconds` allow; the number after the last.

    Inputs of findings are kept in `folder`.
    """
    end, at, last = time.monotonic() + seconds, first, first + count
    while at < last and (left := end - time.monotonic()) > 0:
        words = ["--seed", str(seed), "--first", str(at), "--count", str(last - at), "--seconds", f"{left:.1f}"]
        words += ["--cutting", f"{cutting}", "--folder", str(folder)]
        words += ["--seeds", *map(str, seeds)] if seeds else []
        at = _one_worker(tally, words, at, seed, folder, seeds)
    return at


def _one_worker(tally: Tally, words: Sequence[str], at: int, seed: int, folder: Path, seeds: Sequence[Path]) -> int:
    """Run one worker to its end; the number of the input after the last that was read."""
    ended = False
    with tempfile.TemporaryDirectory(prefix="fuzz-home-") as home, _started(tally.name, words, home) as process:
        for line in _lines(process):
            if not line.startswith("{"):
                at = int(line) + 1
                tally.inputs += 1
                continue
            said = json.loads(line)
            if said.get("end"):
                ended = True
                tally.peak = max(tally.peak, said["peak"])
            else:
                tally.add(Finding(**said))
    if not ended:
        if at == int(words[words.index("--first") + 1]):
            raise RuntimeError(
                f"the worker of {tally.name} ended before its first input (exit code {process.returncode})"
            )
        tally.add(_death(tally.name, process.returncode, at - 1, seed, folder, seeds))
    return at


def _started(name: str, words: Sequence[str], home: str) -> subprocess.Popen[bytes]:
    env = {key: os.environ[key] for key in _KEPT if key in os.environ}
    env |= {"HOME": home, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "tests.fuzz.worker", name, *words]
    return subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)


def _lines(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """Whole lines of a worker; one that is silent for too long is ended."""
    assert process.stdout is not None
    pending = b""
    while True:
        ready, _, _ = select.select([process.stdout], [], [], SILENCE)
        data = os.read(process.stdout.fileno(), 1 << 16) if ready else b""
        if not data:
            if not ready:
                process.kill()
            process.wait()
            return
        *whole, pending = (pending + data).split(b"\n")
        yield from (line.decode() for line in whole)


def _death(name: str, code: int, index: int, seed: int, folder: Path, seeds: Sequence[Path]) -> Finding:
    """The finding of a worker that died: the input that it read last is made again."""
    if code == -signal.SIGVTALRM:
        error = "ran for 15 s and was ended"
    elif code < 0:
        error = f"the process was ended by {signal.Signals(-code).name}"
    else:
        error = f"the process ended with exit code {code}"
    words = ["--seed", str(seed), "--one", str(index), *(["--seeds", *map(str, seeds)] if seeds else [])]
    with tempfile.TemporaryDirectory(prefix="fuzz-home-") as home, _started(name, words, home) as process:
        data, _ = process.communicate()
    path = folder / f"{name}-died-{index}"
    path.write_bytes(data)
    return Finding("died", error, _where(folder / f"{name}.trace"), index, str(path), short(data))


def _where(trace: Path) -> str:
    """The innermost line of the program in what a worker wrote down as it was ended; empty when it wrote nothing."""
    lines = trace.read_text(encoding="utf-8", errors="replace").splitlines() if trace.exists() else []
    found = next((match for line in lines if (match := _FRAME.search(line))), None)
    return f"{found[1]}:{found[2]}" if found is not None else ""
