"""Prints the flags of vLLM from the parser of `vllm serve` itself, as `make_flag_history.py` takes them.

It needs nothing but an installed vLLM, on any machine: without a GPU, a `dist-info` of `vllm` whose version ends in
`+cpu` has to lie on PYTHONPATH, so that vLLM takes the CPU for its platform.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib import import_module
from typing import Any

JSON = ("loads", "parse_dataclass")
"""The functions that read nothing but JSON."""
JUDGED_LATER = frozenset({"--kv-cache-dtype"})
"""Flags whose words the parser shows and the configuration judges when the engine starts."""
NUMBERS = {"int": "int", "human_readable_int": "int", "human_readable_int_or_auto": "int", "float": "float"}


def main() -> int:
    """Print the flags."""
    # It is there only where this is run: the project itself does without it.
    arguments = import_module("vllm.entrypoints.common.cli_args")
    parsing = import_module("vllm.utils.argparse_utils")
    parser = arguments.make_arg_parser(parsing.FlexibleArgumentParser())
    spellings: dict[argparse.Action, list[str]] = {}
    for word, action in parser._option_string_actions.items():
        spellings.setdefault(action, []).append(word)
    entries = [entry(action, words) for action, words in spellings.items() if "--help" not in words]
    print(json.dumps(entries, indent=0, default=str))
    return 0


def entry(action: argparse.Action, words: list[str]) -> dict[str, Any]:
    """One flag as `compact` takes it. Hidden spellings count: the parser accepts them."""
    found: dict[str, Any] = {"flags": words, "kind": kind(action)}
    if found["kind"] in ("value", "open"):
        found["type"] = type_of(action.type)
        found["choices"] = choices(action)
    if action.nargs in ("+", "*"):
        found["nargs"] = action.nargs
    if isinstance(action.default, bool | int | float | str | list | dict):
        found["default"] = action.default
    return found


def kind(action: argparse.Action) -> str:
    """Whether it takes a value."""
    if isinstance(action, argparse.BooleanOptionalAction):
        return "bool"
    if action.nargs == 0:
        return "flag"
    return "open" if action.nargs == "?" else "value"


def choices(action: argparse.Action) -> list[str]:
    """The words that it takes. Those that a parser only shows are not all, but for what is judged at the start."""
    shown = action.choices
    if not shown and JUDGED_LATER.intersection(action.option_strings):
        shown = action.metavar
    return [str(choice) for choice in shown or ()]


def type_of(read: Any) -> str:
    """The type of a value by the function that reads it, looked for inside of vLLM's wrappers."""
    functions = [read]
    while functions:
        function = functions.pop()
        name = getattr(function, "__name__", "")
        if name in JSON:
            return "json"
        if name == "union_dict_and_str":
            return "object"
        if name in NUMBERS:
            return NUMBERS[name]
        cells = getattr(function, "__closure__", None) or ()
        functions += [cell.cell_contents for cell in cells if callable(cell.cell_contents)]
    return "str"


if __name__ == "__main__":
    sys.exit(main())
