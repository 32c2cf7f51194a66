"""Reads a recipe file quickly, without parsing it: enough for a list while thousands of files are being read."""

from __future__ import annotations

import re
from collections import defaultdict

from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.recipe.format.keys import RECIPE_WORDS
from sparkrun_tui.recipe.format.yamltree import without_comment
from sparkrun_tui.recipe.model import Source, stem
from sparkrun_tui.recipe.names.detect import detect_runtime
from sparkrun_tui.recipe.names.dtypes import normal_dtype
from sparkrun_tui.recipe.names.params import parse_params
from sparkrun_tui.recipe.search.entry import Entry
from sparkrun_tui.recipe.search.figures import figures_of

_TOP = late_regex(r"^([A-Za-z_][\w-]*):[ \t]*([^\r\n]*)", re.MULTILINE)
_NESTED = late_regex(
    r"^ +(name|description|maintainer|model_params|model_dtype|max_model_len|ctx_size|tensor_parallel"
    r"|tool_call_parser): +([^\r\n]+)",
    re.MULTILINE,
)
_WANTED = frozenset(
    ["name", "model", "runtime", "container", "description", "maintainer", "recipe_version", "sparkrun_version",
     "min_nodes", "max_nodes", "mode", "solo_only", "cluster_only"]
)  # fmt: skip
_MOST_NODES = 99_999
_EMPTY = frozenset({"[]", "{}", "null", "~"})
_BLOCK = late_regex(r"[|>][-+0-9]*")


def sketch(text: str, source: Source) -> Entry | None:
    """The entry that the lines of a file suggest, None when it is not a recipe; replaced once the file is parsed."""
    top: defaultdict[str, str] = defaultdict(str)
    filled = {}
    for key, value in _TOP.findall(text):
        top[key] = _value(value) if key in _WANTED else ""
        # A value may also be on the lines below its key.
        filled[key] = without_comment(value).strip() not in _EMPTY
    if RECIPE_WORDS.isdisjoint(top):
        return None
    has = tuple(top)
    nested: defaultdict[str, str] = defaultdict(str)
    for key, value in _NESTED.findall(text):
        nested[key] = _value(value)
    params, active = _counts(nested["model_params"])
    figures = figures_of(top["model"], params, active, normal_dtype(nested["model_dtype"]))
    context, _ = _counts(nested["max_model_len"] or nested["ctx_size"])
    tensor = whole(nested["tensor_parallel"], least=1, most=_MOST_NODES) or 1
    tool = nested["tool_call_parser"].lower()
    low = whole(top["min_nodes"], least=1, most=_MOST_NODES) or 1
    high = whole(top["max_nodes"], most=_MOST_NODES)
    if top["cluster_only"].lower() == "true" or top["mode"] == "cluster":
        low = max(low, 2)
    if top["solo_only"].lower() == "true" or top["mode"] == "solo":
        high = 1
    nodes = max(low, tensor)
    kind = "auto"
    if high == 1:
        nodes = 1
        kind = "solo"
    elif low > 1:
        kind = "cluster"
    return Entry(
        name=top["name"] or nested["name"] or stem(source.path),
        source=source,
        model=top["model"],
        runtime=detect_runtime(top["runtime"], top["recipe_version"], filled, text),
        description=top["description"] or nested["description"],
        maintainer=top["maintainer"] or nested["maintainer"],
        container=top["container"],
        dtype=figures.dtype,
        params=figures.params,
        active=figures.active,
        params_from=figures.params_from,
        dtype_from=figures.dtype_from,
        context=context,
        tp=tensor,
        nodes=nodes,
        min_nodes=low,
        max_nodes=high,
        tools=(tool,) if tool else (),
        has=has,
        kinds=(kind,),
    )


def _counts(text: str) -> tuple[int | None, int | None]:
    """Total and active counts of a text; None where it has none."""
    if not text:
        return None, None
    return parse_params(text) or (None, None)


def _value(text: str) -> str:
    """A value without quotes and comment; empty for a block that begins on the next line."""
    text = text.strip()
    if not text:
        return ""
    if text[0] in ("'", '"'):
        end = text.find(text[0], 1)
        return text[1:end] if end > 0 else text[1:]
    if "#" in text:
        text = without_comment(text)
    if text[0] in "|>" and _BLOCK.fullmatch(text):
        return ""
    return text
