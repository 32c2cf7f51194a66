"""Makes the shipped table of sizes, by which lists and searches know a model: `make_sizes_table.py`.

It holds what `facts_models.yaml` cites under `sizes`, and what the shipped table of facts counts for the other models;
run `make_facts_table.py` first where that one changes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sparkrun_tui.models.digest import facts_of
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.known_sizes import PATH, size_in_name
from sparkrun_tui.models.parameters import count_parameters
from sparkrun_tui.models.shipped_table import find_digest
from sparkrun_tui.recipe.names.params import parse_params

LIST = Path(__file__).with_name("facts_models.yaml")
NEAR = 0.15
"""How far a model's name may be from what is counted for its architecture."""
WORDS = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}
"""Words of configurations, as recipes write them."""


def main() -> int:
    """Write the table and say what it holds."""
    listed = yaml.safe_load(LIST.read_text(encoding="utf-8"))
    rows: dict[str, list[Any]] = {}
    for group in listed["sizes"]:
        params, active = parse_params(group["params"]), parse_params(group.get("active", ""))
        if params is None:
            raise ValueError(f"{group['source']}: {group['params']} is no count")
        for name, dtype in group["models"].items():
            rows[name] = [params[0], active[0] if active else None, dtype]
    for name in listed["models"]:
        digest = find_digest(name)
        if digest is None:
            continue
        counted = row_of(facts_of(digest))
        named = size_in_name(name.lower()).params
        if named and counted[0] and abs(named / counted[0] - 1) < NEAR:
            # What its authors call it; what the architecture is not counted for is in it, such as a vision tower.
            counted[0] = named
        if name not in rows:
            rows[name] = counted
        elif not rows[name][2]:
            rows[name][2] = counted[2]
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(rows[name])}" for name in sorted(rows, key=str.lower))
    about = "Made by benchmarks/make_sizes_table.py: all parameters, those active per token, the format of the weights."
    PATH.write_text(f'{{"about": {json.dumps(about)},\n "sizes": {{\n{lines}\n }}}}\n', encoding="utf-8")
    print(f"{len(rows)} models, {PATH.stat().st_size:,} bytes")
    return 0


def row_of(facts: ModelFacts) -> list[Any]:
    """The row of a model whose architecture is known; counts to three digits."""
    counted = count_parameters(facts)
    total = facts.params or (counted.total if counted else None)
    if total:
        step = int(10 ** max(len(str(total)) - 3, 0))
        total = round(total / step) * step
    return [total or None, None, dtype_of(facts)]


def dtype_of(facts: ModelFacts) -> str:
    """The format of the weights in the words of recipes; empty where it is not one of them."""
    quant = facts.quant
    if quant is None:
        return WORDS.get(facts.dtype, facts.dtype) if not facts.gguf else ""
    method = quant.method.lower().removeprefix("gguf ")
    if method == "auto-round" and quant.bits:
        return f"int{int(quant.bits)}_autoround"
    for known in ("nvfp4", "mxfp4", "fp8", "awq", "gptq"):
        if known in method:
            return WORDS.get(known, known)
    return ""


if __name__ == "__main__":
    sys.exit(main())
