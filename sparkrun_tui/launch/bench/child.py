"""Starts llama-benchy in its own environment, whose interpreter runs this file: it imports nothing of this program.

The order is on stdin, a list in JSON, so that no word becomes several whatever is in it: the server's API key (empty
for none), then the client's words. The client takes keys from its arguments only, so they become those of this process
from within, where nobody sees them.
"""

from __future__ import annotations

import json
import runpy
import sys


def main() -> None:
    """Carry out one order."""
    key, *words = json.load(sys.stdin)
    sys.argv = ["llama-benchy", *words]
    if key:
        sys.argv.append(f"--api-key={key}")
    runpy.run_module("llama_benchy", run_name="__main__")


if __name__ == "__main__":
    main()
