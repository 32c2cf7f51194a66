"""The shipped table of facts of models that are served on Sparks: available offline, without a look-up."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from sparkrun_tui.base.reading.json_text import parse_flat_json
from sparkrun_tui.base.reading.numbers import whole_of
from sparkrun_tui.models.digest import Digest, unpacked

PATH = Path(__file__).with_name("shipped_table.json")


def find_digest(model: str) -> Digest | None:
    """The table's digest of a model (`OWNER/NAME`, or `OWNER/NAME:QUANT` for a GGUF), else None.

    Names are compared without regard to case, as the Hub does.
    """
    repo, _, quant = model.partition(":")
    table = _table()
    row = table.models.get(repo.lower())
    if row is None:
        return None
    params = whole_of(row.get("params"), least=1)
    source = f"shipped table ({row.get('source', 'config.json')})"
    if "gguf" in row:
        keys = table.gguf.get(str(row["gguf"]))
        if not isinstance(keys, Mapping):
            return None
        return Digest(repo, source, gguf=unpacked(keys), quant=quant, params=params)
    keys = table.configs.get(str(row.get("config")))
    if quant or not isinstance(keys, Mapping):
        return None
    config = unpacked(keys)
    quantised = row.get("quantization_config")
    if isinstance(quantised, Mapping):
        config["quantization_config"] = dict(quantised)
    return Digest(repo, source, config=config, params=params)


def known_models() -> tuple[str, ...]:
    """The names of all models of the table, in lower case."""
    return tuple(_table().models)


class _Table:
    """The file's three parts; models by name in lower case."""

    def __init__(self, data: Mapping[str, Mapping[str, Mapping[str, object]]]) -> None:
        self.configs = data["configs"]
        self.gguf = data["gguf"]
        self.models = {name.lower(): row for name, row in data["models"].items()}


@cache
def _table() -> _Table:
    """The table, read on first use."""
    return _Table(parse_flat_json(PATH.read_text(encoding="utf-8")))
