"""Runs benchmarks by name and prints one table each: `python -m benchmarks [--quick] [NAME ...]`."""

from __future__ import annotations

import argparse
import importlib
import pkgutil

import benchmarks
from benchmarks.table import print_table


def parts() -> list[str]:
    """Modules of this package that have something to run."""
    names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__)]
    tools = {"__main__", "table", "pty_drive", "made_recipes", "ui_reference", "ui_logs_child", "quiet"}
    return [name for name in names if name not in tools]


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"parts to run: {', '.join(parts())}")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(parts())
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    for name in arguments.names or parts():
        module = importlib.import_module(f"benchmarks.{name}")
        title = (module.__doc__ or name).splitlines()[0]
        print_table(f"{name}: {title}", module.run(quick=arguments.quick))


if __name__ == "__main__":
    main()
