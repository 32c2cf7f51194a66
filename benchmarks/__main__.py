"""Runs benchmarks by name and prints one table each: `python -m benchmarks [--quick] [NAME ...]`."""

from __future__ import annotations

import argparse
import importlib

from benchmarks.table import print_table

PARTS = ("cli_start", "engine_speed", "ui_start", "ui_search", "ui_screens", "cancel", "soak", "ui_logs")
"""What is run when no name is given, quick parts first. `memory.py` is run by itself, on files of observations."""


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"parts to run: {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    for name in arguments.names or PARTS:
        module = importlib.import_module(f"benchmarks.{name}")
        title = (module.__doc__ or name).splitlines()[0]
        print_table(f"{name}: {title}", module.run(quick=arguments.quick))


if __name__ == "__main__":
    main()
