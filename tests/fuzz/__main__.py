"""`python -m tests.fuzz`: all targets in turn for some minutes, two workers at a time; exit code 1 on any finding."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.fuzz.hunt import Tally, hunt
from tests.fuzz.targets import TARGETS

_TURN = 45.0
"""Seconds for which a target is run before it is another's turn."""


class Turns:
    """Gives each worker the target whose turn it is, and the numbers of the inputs to go on with."""

    def __init__(self, names: list[str], options: argparse.Namespace, folder: Path) -> None:
        self.tallies = {name: Tally(name) for name in names}
        self.options = options
        self.folder = folder
        self.end = time.monotonic() + options.minutes * 60
        self._turn = min(_TURN, max(options.minutes * 60 * options.workers / len(names), 1.0))
        self._waiting = list(names)
        self._at = dict.fromkeys(names, 0)
        self._told: set[tuple[str, tuple[str, str, str]]] = set()
        self._lock = threading.Lock()
        self.error: BaseException | None = None

    def work(self) -> None:
        """Take turns until the time is over."""
        try:
            while self.error is None and (left := self.end - time.monotonic()) > 0:
                with self._lock:
                    name = self._waiting.pop(0) if self._waiting else ""
                if not name:
                    return
                self._take(name, min(self._turn, left))
                with self._lock:
                    self._waiting.append(name)
        except BaseException as error:
            self.error = error

    def _take(self, name: str, seconds: float) -> None:
        tally = self.tallies[name]
        self._at[name] = hunt(
            tally, seed=self.options.seed, first=self._at[name], count=1 << 60, seconds=seconds, folder=self.folder,
            seeds=self.options.seeds,
        )  # fmt: skip
        with self._lock:
            for signature, found in tally.findings.items():
                if (name, signature) not in self._told:
                    self._told.add((name, signature))
                    place = f" at {found.place}" if found.place else ""
                    print(f"FOUND {name}: {found.kind}, {found.error}{place}, input {found.index}: {found.words}")
                    print(f"      {found.path}", flush=True)
            print(tally.row(), flush=True)


def main() -> int:
    """Run the targets, and print a table at the end."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="only this one (may be repeated)")
    parser.add_argument(
        "--seeds", type=Path, nargs="*", default=[], help="folders of more recipes and logs to begin from"
    )
    parser.add_argument("--seed", type=int, default=int(time.time()), help="the same seed makes the same inputs")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="sparkrun-tui-fuzz-"))
    names = options.target or list(TARGETS)
    print(
        f"seed {options.seed}, {options.minutes:g} minutes, {len(names)} targets; inputs of findings go to {folder}",
        flush=True,
    )
    turns = Turns(names, options, folder)
    threads = [threading.Thread(target=turns.work) for _ in range(min(options.workers, len(names)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if turns.error is not None:
        raise turns.error
    print(f"\nseed {options.seed}")
    for tally in turns.tallies.values():
        print(tally.row())
    idle = [name for name, tally in turns.tallies.items() if not tally.inputs]
    if idle:
        print(f"not run, for lack of time: {', '.join(idle)}")
    found = sum(len(tally.findings) for tally in turns.tallies.values())
    if not found:
        shutil.rmtree(folder)
    print(f"{found} findings{f', their inputs in {folder}' if found else ''}")
    return 1 if found or idle else 0


if __name__ == "__main__":
    sys.exit(main())
