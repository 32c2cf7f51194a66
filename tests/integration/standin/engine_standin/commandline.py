"""Command lines of the real engines, built from the lists of their flags beside this file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


class Parser(argparse.ArgumentParser):
    """argparse, with the name in front of errors that the real program has there."""

    unknown_name = ""

    def parse(self, arguments: list[str]) -> argparse.Namespace:
        """As parse_args; unknown flags are complained about under `unknown_name`."""
        parsed, unknown = self.parse_known_args(arguments)
        if unknown:
            self.prog = self.unknown_name or self.prog
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return parsed


def add_flags(parser: argparse.ArgumentParser, list_name: str) -> None:
    """Every flag of `list_name`, none with a default, so that what was given can be told from what was not."""
    for line in Path(__file__).with_name(list_name).read_text().splitlines():
        if line.startswith("#"):
            continue
        names, kind, *choices = line.split(" ")
        spellings = names.split(",")
        options: dict[str, Any] = {"default": argparse.SUPPRESS}
        if kind == "switch":
            options["action"] = "store_true"
        elif kind == "bool":
            spellings = [name for name in spellings if not name.startswith("--no-")]
            options["action"] = argparse.BooleanOptionalAction
        else:
            options["type"] = _TYPES[kind.rstrip("+*")]
            if kind[-1] in "+*":
                options["nargs"] = kind[-1]
            if choices:
                options["choices"] = choices[0].split("|")
        parser.add_argument(*spellings, **options)


def human_readable_int(text: str) -> int:
    """A whole number, also as `32k` (thousands) or `32K` (1024s), or `auto` (-1)."""
    if text == "auto":
        return -1
    scale = {"k": 10**3, "m": 10**6, "g": 10**9, "K": 2**10, "M": 2**20, "G": 2**30}.get(text[-1:], 0)
    return int(float(text[:-1]) * scale) if scale else int(text)


def _json(text: str) -> Any:
    return json.loads(text)


_TYPES = {"int": human_readable_int, "float": float, "str": str, "json": _json}
