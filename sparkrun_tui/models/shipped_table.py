"""The shipped table of facts of models that people serve on Sparks: there offline and at once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from sparkrun_tui.base.json_text import parse_json
from sparkrun_tui.models.digest import Digest, unpacked

PATH = Path(__file__).with_name("shipped_table.json")


def find_digest(model: str) -> Digest | None:
    """What the table holds of a model (`OWNER/NAME`, or `OWNER/NAME:QUANT` for a GGUF), else None.

    Names are compared without regard to case, as the Hub does.
    """
    repo, _, quant = model.partition(":")
    table = _table()
    row = table.models.get(repo.lower())
    if row is None or (quant and "gguf" not in row):
        return None
    name = str(row.get("gguf") or row.get("config") or "")
    keys = table.gguf.get(name) if "gguf" in row else table.configs.get(name)
    if not isinstance(keys, Mapping):
        return None
    params = row.get("params")
    count = params if isinstance(params, int) else None
    source = f"shipped table ({row.get('source', 'config.json')})"
    if "gguf" in row:
        return Digest(repo, source, gguf=unpacked(keys), quant=quant, params=count)
    config = unpacked(keys)
    quantised = row.get("quantization_config")
    if isinstance(quantised, Mapping):
        config["quantization_config"] = dict(quantised)
    return Digest(repo, source, config=config, params=count)


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
    """Read the file, once and when first asked."""
    return _Table(parse_json(PATH.read_text(encoding="utf-8")))
