"""Makes the shipped table of facts: `make_facts_table.py --configs DIR|FILE... [--hub] [--out FILE]`.

The inputs are folders with `OWNER--NAME_config.json` and `OWNER--NAME_hf_quant_config.json`, YAML or JSON files with
named architectures under `configs` (config.json) or `models` (GGUF keys without prefix), and, with `--hub`, the
Hugging Face Hub for what these lack. What no input tells is kept from the table as it is. Which models, and which
architecture holds for which: `facts_models.yaml`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sparkrun_tui.models.digest import digest_config, packed, unpacked
from sparkrun_tui.models.shipped_table import PATH

LIST = Path(__file__).with_name("facts_models.yaml")


def _group(**weights: object) -> dict[str, Any]:
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": weights}}}


QUANTISATIONS: dict[str, dict[str, Any]] = {
    "fp8": {"quant_method": "fp8"},
    "fp8-tensor": _group(num_bits=8, type="float"),
    "fp8-channel": _group(num_bits=8, type="float"),
    "modelopt-fp8": {"quant_method": "modelopt", "quant_algo": "FP8"},
    "nvfp4": _group(num_bits=4, type="float", group_size=16),
    "modelopt-nvfp4": {"quant_method": "modelopt", "quant_algo": "NVFP4"},
    "awq": {"quant_method": "awq"},
    "autoround": {"quant_method": "auto-round", "bits": 4, "group_size": 128},
    "w4a16": _group(num_bits=4, type="int", group_size=128),
}
"""What a repository's name says of its weights, where its own config.json is not at hand."""


class Inputs:
    """Configurations and GGUF keys by name, with their source in words."""

    def __init__(self) -> None:
        self.configs: dict[str, dict[str, Any]] = {}
        self.sources: dict[str, str] = {}
        self.gguf: dict[str, dict[str, Any]] = {}

    def read(self, path: Path) -> None:
        """Take a folder of config.json files, or a file of named architectures."""
        if path.is_dir():
            for file in sorted(path.glob("*_config.json")):
                if file.name.endswith("_hf_quant_config.json"):
                    continue
                name = file.name.removesuffix("_config.json")
                companion = file.with_name(f"{name}_hf_quant_config.json")
                beside = json.loads(companion.read_text(encoding="utf-8")) if companion.exists() else None
                self.add(name.replace("--", "/", 1), json.loads(file.read_text(encoding="utf-8")), beside)
            return
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        for name, config in data.get("configs", {}).items():
            if name not in self.configs:
                self.add(name, config, None)
        self.gguf |= {name: digest_config(keys) for name, keys in data.get("models", {}).items()}

    def add(self, name: str, config: Mapping[str, Any], companion: Mapping[str, Any] | None) -> None:
        """Take one configuration."""
        self.configs[name] = digest_config(config, companion)
        self.sources[name] = _origin(name)

    def keep(self, table: Mapping[str, Any]) -> None:
        """Take from an earlier table what no input told."""
        quantised = {row.get("config"): row for row in table["models"].values() if "quantization_config" in row}
        for name, config in table["configs"].items():
            row = table["models"].get(name) or quantised.get(name, {})
            if name not in self.configs:
                self.configs[name] = unpacked(config)
                if "quantization_config" in row:
                    self.configs[name]["quantization_config"] = row["quantization_config"]
                said = str(row.get("source", ""))
                self.sources[name] = _origin(name) if said in ("", "config.json") else said
        for name, keys in table["gguf"].items():
            self.gguf.setdefault(name, unpacked(keys))


async def from_hub(inputs: Inputs, names: list[str]) -> None:
    """Read what is missing from the Hub, telling what it refuses."""
    from sparkrun_tui.base.errors import SparkrunError
    from sparkrun_tui.remote.hub.model_facts import HubFacts

    reader = HubFacts()
    for name in names:
        try:
            digest = await reader.read(name)
        except SparkrunError as error:
            print(f"{name}: {error}", file=sys.stderr)
            continue
        inputs.configs[name] = dict(digest.config)
        inputs.sources[name] = f"config.json of {name}"


def _origin(name: str) -> str:
    """Where a configuration of this name comes from, in words."""
    return f"config.json of {name}" if "/" in name else "architecture as published"


def table_of(inputs: Inputs, models: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """The table, and the models that no input tells of."""
    table: dict[str, Any] = {"configs": {}, "gguf": {}, "models": {}}
    missing = []
    for model, said in models.items():
        part, rows = ("gguf", inputs.gguf) if "gguf" in said else ("configs", inputs.configs)
        base = str(said.get("gguf") or said.get("config") or model)
        found = rows.get(base) or (rows.get(model) if "set" in said else None)
        if found is None:
            missing.append(model)
            continue
        keys = {**found}
        own = keys.pop("quantization_config", None)
        name = base
        if "set" in said:
            name = model
            _put(keys, said["set"])
        table[part][name] = packed(keys)
        row: dict[str, Any] = {"gguf" if part == "gguf" else "config": name}
        row["source"] = _source(inputs, model, base, said)
        word = said.get("quantization", "own" if base == model else "")
        block = own if word == "own" else QUANTISATIONS.get(word)
        if block:
            row["quantization_config"] = block
        if "params" in said:
            row["params"] = said["params"]
        table["models"][model] = row
    return table, missing


def _put(keys: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Set single keys, in the nested text configuration where there is one."""
    nested = keys.get("text_config")
    if isinstance(nested, dict):
        keys["text_config"] = {**nested, **values}
    else:
        keys.update(values)


def _source(inputs: Inputs, model: str, base: str, said: Mapping[str, Any]) -> str:
    """Where a model's facts come from, in words."""
    if "gguf" in said:
        return "GGUF header as published"
    if base == model:
        return "config.json"
    return inputs.sources.get(base) or inputs.sources[model]


def text_of(table: Mapping[str, Any]) -> str:
    """The table as JSON with one entry a line, so that changes can be read."""
    lines = ["{"]
    lines.append(f' "about": {json.dumps("Made by benchmarks/make_facts_table.py; do not edit.")},')
    parts = ("configs", "gguf", "models")
    for part in parts:
        rows = [
            f"  {json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in table[part].items()
        ]
        lines.append(f' "{part}": {{\n' + ",\n".join(rows) + "\n }" + ("," if part != parts[-1] else ""))
    return "\n".join(lines) + "\n}\n"


def main() -> int:
    """Make the table and say what is missing."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--configs", nargs="*", type=Path, default=[], metavar="DIR|FILE")
    options.add_argument("--hub", action="store_true", help="ask the Hugging Face Hub for what the inputs lack")
    options.add_argument("--models", type=Path, default=LIST, metavar="FILE")
    options.add_argument("--partial", action="store_true", help="write the table although some models are not known")
    options.add_argument("--out", type=Path, default=PATH)
    said = options.parse_args()
    models = yaml.safe_load(said.models.read_text(encoding="utf-8"))["models"]
    inputs = Inputs()
    for path in said.configs:
        inputs.read(path)
    if said.hub:
        wanted = [str(row.get("config") or name) for name, row in models.items() if "gguf" not in row]
        lacking = [name for name in dict.fromkeys(wanted) if "/" in name and name not in inputs.configs]
        asyncio.run(from_hub(inputs, lacking))
    if said.out.exists():
        inputs.keep(json.loads(said.out.read_text(encoding="utf-8")))
    table, missing = table_of(inputs, models)
    for name in missing:
        print(f"nothing known of {name}", file=sys.stderr)
    if missing and not said.partial:
        return 1
    said.out.write_text(text_of(table), encoding="utf-8")
    print(f"{len(table['models'])} models, {said.out.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
