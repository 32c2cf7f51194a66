"""A quick look at a recipe file without parsing it: enough for a list while thousands of files are being read."""

from __future__ import annotations

import re

from sparkrun_tui.base.numbers import whole
from sparkrun_tui.recipe.format.detect import detect_runtime
from sparkrun_tui.recipe.format.dtypes import normal_dtype
from sparkrun_tui.recipe.format.loader import stem
from sparkrun_tui.recipe.format.params import parse_params
from sparkrun_tui.recipe.model import Source
from sparkrun_tui.recipe.search.entry import Entry

_TOP = re.compile(r"^([A-Za-z_][\w-]*):[ \t]*([^\r\n]*)", re.MULTILINE)
_NESTED = re.compile(
    r"^ +(name|description|maintainer|model_params|model_dtype|max_model_len|ctx_size|tensor_parallel"
    r"|tool_call_parser): +([^\r\n]+)",
    re.MULTILINE,
)
_WANTED = frozenset(
    ["name", "model", "runtime", "container", "description", "maintainer", "recipe_version", "sparkrun_version",
     "min_nodes", "max_nodes", "mode", "solo_only", "cluster_only"]
)  # fmt: skip
_COMMENT = re.compile(r"\s+#.*$")
_EMPTY = frozenset({"[]", "{}", "null", "~"})
_BLOCK = re.compile(r"[|>][-+0-9]*")


def sketch(text: str, source: Source) -> Entry | None:
    """What the lines of a file say at first sight; None when it is no recipe. Corrected once the file is parsed."""
    lines = _TOP.findall(text)
    top = {key: _value(value) if key in _WANTED else "" for key, value in lines}
    if not top.keys() & {"model", "command", "container", "runtime", "recipe_version", "sparkrun_version"}:
        return None
    # A value may also stand on the lines below its key.
    filled = {key: _COMMENT.sub("", value).strip() not in _EMPTY for key, value in lines}
    nested = {key: _value(value) for key, value in _NESTED.findall(text)}
    params = parse_params(nested.get("model_params", ""))
    low, high = _whole(top.get("min_nodes")) or 1, _whole(top.get("max_nodes"))
    if top.get("cluster_only", "").lower() == "true" or top.get("mode") == "cluster":
        low = max(low, 2)
    if top.get("solo_only", "").lower() == "true" or top.get("mode") == "solo":
        high = 1
    tensor = _whole(nested.get("tensor_parallel")) or 1
    tool = nested.get("tool_call_parser", "").lower()
    context = parse_params(nested.get("max_model_len") or nested.get("ctx_size") or "")
    return Entry(
        name=top.get("name") or nested.get("name") or stem(source.path),
        source=source,
        model=top.get("model", ""),
        runtime=detect_runtime(top.get("runtime", ""), top.get("recipe_version", ""), filled, text),
        description=top.get("description") or nested.get("description", ""),
        maintainer=top.get("maintainer") or nested.get("maintainer", ""),
        container=top.get("container", ""),
        dtype=normal_dtype(nested.get("model_dtype", "")),
        params=params[0] if params else None,
        active=params[1] if params else None,
        context=context[0] if context else None,
        tp=tensor,
        nodes=1 if high == 1 else max(low, tensor),
        min_nodes=low,
        max_nodes=high,
        tools=(tool,) if tool else (),
        has=tuple(top),
        kinds=("solo" if high == 1 else "cluster" if low > 1 else "auto",),
    )


def _value(text: str) -> str:
    text = text.strip()
    if not text:
        return ""
    if text[:1] in ("'", '"'):
        end = text.find(text[0], 1)
        return text[1:end] if end > 0 else text[1:]
    if "#" in text:
        text = _COMMENT.sub("", text)
    return "" if text[0] in "|>" and _BLOCK.fullmatch(text) else text


def _whole(text: str | None) -> int | None:
    return whole(text or "", most=99_999)
