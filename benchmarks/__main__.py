"""Runs benchmarks by name and prints one table each: `python -m benchmarks [--quick] [--vs COMMIT] [NAME ...]`."""

from __future__ import annotations

import argparse
import importlib

from benchmarks.table import print_table
from benchmarks.versus import compare

PARTS = (
    "cli_start", "engine_speed", "ui_start", "ui_search", "ui_screens",
    "cancel", "soak", "limits", "log_flow", "ui_logs",
)  # fmt: skip
"""What is run when no name is given, quick parts first. `memory.py` is run by itself, on files of observations."""

ON_HOSTS = ("transfers",)
"""What is run by its name only: on the hosts of the integration tests, which need root."""


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"parts to run: {', '.join((*PARTS, *ON_HOSTS))}")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--vs", metavar="COMMIT", default="", help="run each part in a checkout of COMMIT too, in turn")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each checkout with --vs (default: 5)")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - {*PARTS, *ON_HOSTS}
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if arguments.rounds < 1:
        parser.error("--rounds takes a number of 1 or more")
    parts = arguments.names or PARTS
    if arguments.vs:
        compare(arguments.vs, parts, quick=arguments.quick, rounds=arguments.rounds)
        return
    for name in parts:
        module = importlib.import_module(f"benchmarks.{name}")
        title = (module.__doc__ or name).splitlines()[0]
        print_table(f"{name}: {title}", module.run(quick=arguments.quick))


if __name__ == "__main__":
    main()
