"""The child process that reads inputs: its memory and its time are bounded, and it may die of what it reads.

Every input is made from the seed, the target's name and its number alone, so any of them can be made again. Written to
stdout: a line with the number of each input before it is read, and a line of JSON for each finding and at the end.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import json
import os
import resource
import signal
import sys
import time
import traceback
import types
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from tests.fuzz.mutate import short
from tests.fuzz.target import Broken, NeverEnds, Target, longest_step

SLOW = 1.0
"""Seconds of processor time that one input may take."""

HUNG = 15.0
"""Seconds of processor time after which the process is ended: no Python code may be running that could notice."""

MEMORY = 200 << 20
"""Bytes by which one input may let the process grow."""

_ROOM = 1 << 30
"""Bytes of address space beyond what the process has before its first input."""

_UNIT = 1 if sys.platform == "darwin" else 1024
_PROGRAM = "sparkrun_tui"
_CUTS = 300
"""Inputs that are tried at most to find a shorter one."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What an input did: `kind` is `unhandled`, `slow`, `memory` or `died`; `place` is a line of the program."""

    kind: str
    error: str
    place: str
    index: int
    path: str = ""
    words: str = ""
    """The beginning of the shortest input, and the error's own words."""

    @property
    def signature(self) -> tuple[str, str, str]:
        """What makes two findings the same."""
        return self.kind, self.error, self.place.partition(":")[0] if self.kind == "slow" else self.place


def chance_of(seed: int, name: str, index: int) -> Random:
    """The chance that an input is made with."""
    return Random(f"{seed}:{name}:{index}")


def input_of(target: Target, seed: int, name: str, index: int) -> bytes:
    """Input number `index`: the seeds come first as they are."""
    if index < len(target.seeds):
        return target.seeds[index]
    return target.make(chance_of(seed, name, index))


def judge(target: Target, data: bytes, index: int) -> Finding | None:
    """Read one input, and tell what was wrong with how it went."""
    global _slow_place
    before, began, _slow_place = peak(), time.process_time(), ""
    longest_step()
    signal.setitimer(signal.ITIMER_PROF, SLOW)
    signal.setitimer(signal.ITIMER_VIRTUAL, HUNG)
    try:
        target.read(data)
    except MemoryError as error:
        return Finding("memory", "MemoryError", _place(error), index)
    except Exception as error:
        said = str(error)[:200] if isinstance(error, Broken | NeverEnds) else ""
        name = f"{type(error).__name__}: {said}" if said else type(error).__name__
        return Finding("unhandled", name, _place(error), index, words=str(error)[:200])
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)
    if peak() - before > MEMORY:
        return Finding("memory", f"over {MEMORY >> 20} MB more", "", index, words=f"{(peak() - before) >> 20} MB")
    took = longest_step() or time.process_time() - began
    return Finding("slow", "over 1 s", _slow_place, index, words=f"{took:.1f} s") if took > SLOW else None


def peak() -> int:
    """The most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT


_slow_place = ""


def _note_place(_number: int, frame: types.FrameType | None) -> None:
    """What is running when an input has taken a second."""
    global _slow_place
    _slow_place = _innermost(traceback.extract_stack(frame))


def _place(error: BaseException) -> str:
    return _innermost(traceback.extract_tb(error.__traceback__))


def _innermost(frames: traceback.StackSummary) -> str:
    """The innermost line of the program, or of the tests where there is none of the program."""
    own = [frame for frame in frames if f"/{_PROGRAM}/" in frame.filename]
    chosen = own[-1] if own else frames[-1]
    at = chosen.filename.rfind(f"/{_PROGRAM if own else 'tests'}/")
    return f"{chosen.filename[at + 1 :]}:{chosen.lineno}"


def shortest(data: bytes, same: Callable[[bytes], bool], seconds: float) -> bytes:
    """A shorter input for which `same` holds still, by leaving out ever smaller pieces."""
    end, tries, size = time.monotonic() + seconds, 0, max(len(data) // 2, 1)
    while size and tries < _CUTS and time.monotonic() < end:
        at = 0
        while at < len(data) and tries < _CUTS and time.monotonic() < end:
            tries += 1
            candidate = data[:at] + data[at + size :]
            if same(candidate):
                data = candidate
            else:
                at += size
        size //= 2
    return data


def main() -> int:
    """Read inputs of one target until there are enough, time is over, or memory is spent."""
    options = _options()
    from tests.fuzz.targets import build

    target = build(options.target, tuple(options.seeds))
    if options.one is not None:
        sys.stdout.buffer.write(input_of(target, options.seed, options.target, options.one))
        return 0
    _bound(Path(options.folder) / f"{options.target}.trace")
    run = _Run(target, options)
    return run.go()


class _Run:
    def __init__(self, target: Target, options: argparse.Namespace) -> None:
        self.target = target
        self.options = options
        self.seen: set[tuple[str, str, str]] = set()
        self.out = os.dup(1)
        os.dup2(2, 1)

    def tell(self, line: str) -> None:
        os.write(self.out, line.encode() + b"\n")

    def go(self) -> int:
        options = self.options
        # What is imported or worked out at the first use is no fault of an input.
        for data in self.target.seeds[-3:]:
            judge(self.target, data, 0)
        end = time.monotonic() + options.seconds
        for index in range(options.first, options.first + options.count):
            if time.monotonic() > end:
                break
            self.tell(str(index))
            data = input_of(self.target, options.seed, options.target, index)
            found = judge(self.target, data, index)
            if found is not None and found.kind == "slow":
                gc.collect()
                found = judge(self.target, data, index)
            if found is not None:
                self._tell_finding(found, data)
                if found.kind == "memory":
                    break
        self.tell(json.dumps({"end": True, "peak": peak()}))
        return 0

    def _tell_finding(self, found: Finding, data: bytes) -> None:
        shown = asdict(found)
        if found.signature not in self.seen:
            self.seen.add(found.signature)
            seconds = self.options.cutting
            if found.kind == "unhandled":
                data = shortest(data, lambda cut: _same(judge(self.target, cut, 0), found), seconds)
            elif found.kind == "slow":
                data = shortest(data, lambda cut: _same(judge(self.target, cut, 0), found), seconds * 5)
            path = Path(self.options.folder) / f"{self.options.target}-{found.kind}-{found.index}"
            path.write_bytes(data)
            shown |= {"path": str(path), "words": f"{found.words} {short(data)}".strip()}
        self.tell(json.dumps(shown))


def _same(one: Finding | None, other: Finding) -> bool:
    return one is not None and (one.kind, one.error) == (other.kind, other.error) and _alike(one, other)


def _alike(one: Finding, other: Finding) -> bool:
    """A slow input may be seen at any of its lines."""
    return one.kind == "slow" or one.place == other.place


def _bound(trace: Path) -> None:
    """Bound the memory of this process to what it has and some room; a hang ends it, with its place in `trace`."""
    signal.signal(signal.SIGPROF, _note_place)
    signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
    faulthandler.register(signal.SIGVTALRM, file=trace.open("wb"), all_threads=False, chain=True)
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return
    most = pages * resource.getpagesize() + _ROOM
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.worker")
    parser.add_argument("target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=1 << 60)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--cutting", type=float, default=2.0, help="seconds for making an input shorter")
    parser.add_argument("--folder", default=".")
    parser.add_argument("--seeds", type=Path, nargs="*", default=[])
    parser.add_argument("--one", type=int, help="only write input number ONE to stdout")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
