"""How many parameters a model has and how its weights are stored, by its name alone: for lists, without a look-up.

The shipped table of sizes comes first: published counts, and counts of published architectures. A model that is not in
it is read by its name, which often says both, or names the model that it was made from.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from sparkrun_tui.base.reading.json_text import parse_flat_json
from sparkrun_tui.base.reading.numbers import decimal
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex

PATH = Path(__file__).with_name("shipped_sizes.json")

TABLE = "table"
NAME = "name"

_SIZE = late_regex(r"(?<![a-z0-9.])([0-9]{1,4}(?:\.[0-9]{1,3})?)([bt])(?![a-z0-9])")
_ACTIVE = late_regex(r"(?<![a-z0-9.])a([0-9]{1,4}(?:\.[0-9]{1,3})?)b(?![a-z0-9])")
_COUNTS_ONE_EXPERT = late_regex(r"[0-9]+b[-_][0-9]+e(?![a-z0-9])|[0-9]+x[0-9.]+b")
"""`17B-16E` and `8x7B`: the number is that of a part of the model."""
_FORMATS = frozenset(
    re.findall(
        r"\w+",
        "nvfp4 mxfp4 mxfp8 fp8 fp4 int8 int4 w4a16 w8a16 w8a8 w4a8 w4a4 awq gptq aqlm autoround exl2 exl3 hqq bnb nf4 "
        "bf16 bfloat16 fp16 float16",
    )
)
_SHORT = {"bfloat16": "bf16", "float16": "fp16"}
_GGUF = late_regex(r"(?:ud[-_])?(?:i?q[1-8]_[a-z0-9_]+|tq[12]_0|mxfp4_moe)")
_OF_THE_SAME_SIZE = _FORMATS | frozenset(
    re.findall(
        r"\w+",
        "4bit 8bit e4m3 e5m2 dynamic static block channel channelwise tensor quantized quant qat ct "
        "it instruct chat thinking base abliterated uncensored heretic derestricted finetune sft dpo optimized "
        "dspark mtp gguf mlx vllm sglang blackwell spark official fast hf mixed full ultimate aeon",
    )
)
"""Words that may follow the name of a model in that of a fine-tune or a quantisation of it."""


@dataclass(frozen=True, slots=True)
class KnownSize:
    """Parameters (all, and those active per token) and the format of the weights; None or empty where unknown.

    `params_from` and `dtype_from` are `table`, `name`, or empty.
    """

    params: int | None = None
    active: int | None = None
    dtype: str = ""
    params_from: str = ""
    dtype_from: str = ""


def known_size(model: str) -> KnownSize:
    """What is known of a model (`OWNER/NAME`, or `OWNER/NAME:QUANT` for a GGUF) without its files."""
    repository, _, quant = model.lower().partition(":")
    row = _table().get(repository)
    named = size_in_name(repository)
    if row is not None:
        params, active, dtype = row
        active = active or named.active
        found = KnownSize(params, active, dtype, TABLE if params else "", TABLE if dtype else "")
        if not dtype and named.dtype:
            found = KnownSize(params, active, named.dtype, found.params_from, NAME)
    else:
        found = named
    if quant and _GGUF.fullmatch(quant.replace("-", "_")):
        dtype = quant.replace("-", "_").removeprefix("ud_")
        return KnownSize(found.params, found.active, dtype, found.params_from, NAME)
    return found


def size_in_name(repository: str) -> KnownSize:
    """What the name of a repository, in lower case, says of its size and format."""
    name = repository.rpartition("/")[2]
    words = re.split(r"[-_]", name)
    dtype = ""
    for word in words:
        if word in _FORMATS:
            dtype = _SHORT.get(word, word)
            break
    dtype_from = NAME if dtype else ""
    sizes = {match.groups() for match in _SIZE.finditer(name)}
    if len(sizes) == 1 and _COUNTS_ONE_EXPERT.search(name) is None:
        (number, unit) = sizes.pop()
        active = _ACTIVE.search(name)
        params = _count(number, 1e12 if unit == "t" else 1e9)
        return KnownSize(params, _count(active[1], 1e9) if active else None, dtype, NAME, dtype_from)
    base = _made_from(words)
    if base is None or sizes:
        return KnownSize(dtype=dtype, dtype_from=dtype_from)
    return KnownSize(base[0], base[1], dtype, NAME, dtype_from)


def _count(number: str, unit: float) -> int | None:
    value = decimal(number)
    return round(value * unit) if value else None


def _made_from(words: list[str]) -> tuple[int, int | None] | None:
    """The parameters of the known model whose name begins this one, where the rest says that the size is the same."""
    at = len(words)
    while at > 1 and (words[at - 1] in _OF_THE_SAME_SIZE or re.fullmatch(r"[0-9]{4}|v[0-9.]+", words[at - 1])):
        at -= 1
        found = _by_name().get("-".join(words[:at]))
        if found is not None:
            return found
    return _by_name().get("-".join(words))


@cache
def _table() -> dict[str, tuple[int | None, int | None, str]]:
    """All rows by name in lower case, read on first use."""
    rows = parse_flat_json(PATH.read_text(encoding="utf-8"))["sizes"]
    return {name.lower(): (row[0], row[1], row[2]) for name, row in rows.items()}


@cache
def _by_name() -> dict[str, tuple[int, int | None]]:
    """Parameters by the name without its owner; a name that owners use for models of several sizes is left out."""
    found: dict[str, set[tuple[int, int | None]]] = {}
    for repository, (params, active, _) in _table().items():
        if params:
            name = repository.rpartition("/")[2].replace("_", "-")
            found.setdefault(name, set()).add((params, active))
    return {name: next(iter(sizes)) for name, sizes in found.items() if len(sizes) == 1}
