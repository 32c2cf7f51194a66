"""The data files of engine flags: reading them, and making one from a dump of an engine's own argument parser."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from sparkrun_tui.base.json_text import parse_json
from sparkrun_tui.engines.fields.declared import FIELDS

VERSIONS = {"vllm": "0.32.0", "sglang": "0.5.23", "llama-cpp": "b11669"}
"""The version of each engine whose flags are known."""
TITLES = {"vllm": "vLLM", "sglang": "SGLang", "llama-cpp": "llama-server"}
_BOOLEAN_WORDS = frozenset({"true", "false", "enabled", "disabled"})


@dataclass(frozen=True, slots=True, eq=False)
class EngineFlag:
    """One flag: its spellings, and what it takes.

    `kind` is `flag` (no value), `bool` (no value, with a `--no-` form), `value`, or `open` (not known which). `type`
    is `int`, `float`, `json`, `str` or empty; `many` says that several values may follow.
    """

    spellings: tuple[str, ...]
    kind: str
    type: str = ""
    many: bool = False
    choices: tuple[str, ...] = ()
    default: Any = None

    @property
    def name(self) -> str:
        """The spelling to show: the first long one."""
        return next((word for word in self.spellings if word.startswith("--")), self.spellings[0])


@dataclass(frozen=True, slots=True)
class EngineFlags:
    """All flags of one version of an engine, by spelling."""

    engine: str
    version: str
    by_spelling: Mapping[str, EngineFlag]

    @property
    def title(self) -> str:
        """The engine and its version as people say it: `vLLM 0.32.0`."""
        return f"{TITLES[self.engine]} {self.version}"

    def starting_with(self, text: str) -> tuple[EngineFlag, ...]:
        """The flags with a long spelling that begins so, each once."""
        found = (flag for word, flag in self.by_spelling.items() if word.startswith(text) and text.startswith("--"))
        return tuple(dict.fromkeys(found))


@lru_cache(maxsize=4)
def load_flags(engine: str) -> EngineFlags | None:
    """The flags of `vllm`, `sglang` or `llama-cpp`; None for another engine."""
    version = VERSIONS.get(engine)
    if version is None:
        return None
    file = resources.files("sparkrun_tui.engines.flag_dumps") / f"{engine}-{version}.json"
    rows = parse_json(file.read_text(encoding="utf-8"))
    by_spelling = {}
    for row in rows:
        flag = EngineFlag(
            tuple(row["f"]),
            row["k"],
            row.get("t", ""),
            row.get("n", False),
            tuple(row.get("c", ())),
            row.get("d"),
        )
        for word in flag.spellings:
            by_spelling[word] = flag
    return EngineFlags(engine, version, by_spelling)


def compact(dump: Iterable[Mapping[str, Any]], engine: str) -> str:
    """A data file made from a dump: entries with `flags`, `kind`, and if known `type`, `nargs`, `choices`, `default`.

    The dump of llama-server comes from its help, which does not say of every flag whether a value follows; such flags
    become `open`.
    """
    rows = []
    for entry in dump:
        row: dict[str, Any] = {"f": list(entry["flags"]), "k": entry["kind"]}
        if engine == "llama-cpp" and entry["kind"] == "flag" and not _surely_a_switch(entry):
            row["k"] = "open"
        if entry.get("type"):
            row["t"] = entry["type"]
        if entry.get("nargs"):
            row["n"] = True
        if entry.get("choices"):
            row["c"] = [str(choice) for choice in entry["choices"]]
        if entry.get("default") not in (None, ""):
            row["d"] = entry["default"]
        rows.append(json.dumps(row, ensure_ascii=False, separators=(",", ":")))
    return "[\n" + ",\n".join(rows) + "\n]\n"


def _surely_a_switch(entry: Mapping[str, Any]) -> bool:
    names = [str(name) for name in entry["flags"]]
    if any(name.startswith("--no-") for name in names):
        return True
    return str(entry.get("default", "")) in _BOOLEAN_WORDS or not any(
        "draft" in name or "-" in name[2:] for name in names
    )


@lru_cache(maxsize=1)
def _helps() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {engine: {} for engine in VERSIONS}
    for field in FIELDS.values():
        for engine, flag in field.flags.items():
            found[engine].setdefault(flag, field.help)
    extra = parse_json((resources.files("sparkrun_tui.engines.flag_dumps") / "help.json").read_text(encoding="utf-8"))
    for engine, sentences in extra.items():
        found[engine].update(sentences)
    return found


def flag_help(engine: str, spelling: str) -> str:
    """What a flag does, in a sentence; empty when nobody has written one."""
    flags = load_flags(engine)
    known = flags.by_spelling.get(spelling.partition("=")[0]) if flags else None
    sentences = _helps().get(engine, {})
    for word in (spelling, *(known.spellings if known else ())):
        if word in sentences:
            return sentences[word]
    return ""
