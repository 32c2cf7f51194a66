"""Starts llama-benchy in its own environment, whose interpreter runs this file: it imports nothing of this program.

The order is on stdin, with a NUL behind each part: the server's API key (empty for none), then the client's words. The
client takes keys from its arguments only, so they become those of this process from within, where nobody sees them.
"""

from __future__ import annotations

import runpy
import sys


def main() -> None:
    """Carry out one order."""
    key, *words = sys.stdin.buffer.read().decode().split("\0")[:-1]
    sys.argv = ["llama-benchy", *words]
    if key:
        sys.argv += ["--api-key", key]
    runpy.run_module("llama_benchy", run_name="__main__")


if __name__ == "__main__":
    main()
