"""Reads the fields of a recipe about single hosts' images, about readiness and about caches."""

from __future__ import annotations

from sparkrun_tui.base.reading import identifiers
from sparkrun_tui.base.reading.numbers import decimal
from sparkrun_tui.base.text import shorten
from sparkrun_tui.recipe.format.keys import below
from sparkrun_tui.recipe.format.reader import Reader
from sparkrun_tui.recipe.format.yamltree import Node
from sparkrun_tui.recipe.model import HostImage, Readiness, RuntimeCache, Severity
from sparkrun_tui.recipe.suggestions import did_you_mean

MAX_IMAGES = 1000
"""The most entries of `containers`."""
MAX_SECONDS = 7 * 24 * 3600
"""The longest limit of a wait."""
STYLES = {
    "auto": "",
    "openai-chat-stream-v1": "/v1/chat/completions",
    "openai-responses-stream-v1": "/v1/responses",
    "anthropic-messages-stream-v1": "/v1/messages",
}
"""The words for `readiness.inference_style`, and the path that each asks; `auto` tries what the server offers."""
READINESS_KEYS = below("readiness")
CACHE_KEYS = below("runtime_cache")
_IMAGE_KEYS = below("containers[]")
_MAX_PROMPT = 4000


def read_images(top: Reader) -> tuple[HostImage, ...]:
    """The entries of `containers`; one without `host` or `image` is an error, and so is a host that comes twice."""
    node = top.nodes.get("containers")
    if node is None or node.is_null:
        return ()
    if node.kind != "list":
        remedy = "write `containers: [{host: NAME, image: IMAGE}]`"
        top.report("containers", "`containers` must be a list of hosts and their images", node, remedy=remedy)
        return ()
    found: dict[str, HostImage] = {}
    for number, item in enumerate(node.items, 1):
        if number > MAX_IMAGES:
            top.report("containers", f"`containers` may have at most {MAX_IMAGES} entries", item)
            break
        name = f"containers[{number}]"
        top.spots[name] = top.spot(item)
        image = _image(top, name, item)
        if image is None:
            continue
        if image.host in found:
            message = f"`{name}`: `{shorten(image.host, 80)}` has an image already"
            top.report("containers", message, item, remedy="keep one entry for each host")
            continue
        found[image.host] = image
    return tuple(found.values())


def _image(top: Reader, name: str, item: Node) -> HostImage | None:
    if item.kind != "map":
        top.report("containers", f"`{name}` must have a `host` and an `image`", item)
        return None
    entry = Reader(top.path, item, top.problems, top.spots, f"{name}.")
    host, image = entry.text("host").strip(), entry.text("image").strip()
    for key, node in entry.nodes.items():
        if key not in _IMAGE_KEYS:
            message = f"`{name}` has a key `{shorten(key, 40)}`, which has no effect"
            remedy = did_you_mean(key, _IMAGE_KEYS)
            entry.report("containers", message, node, Severity.WARNING, remedy)
    if not host or not image:
        lacking = "image" if host else "host"
        remedy = "an image for all other hosts is the recipe's `container`"
        entry.report("containers", f"`{name}` has no `{lacking}`", item, remedy=remedy)
        return None
    return HostImage(host, image, top.spot(item))


def read_readiness(top: Reader) -> Readiness:
    """The values of `readiness`."""
    entry = top.below("readiness")
    if entry is None:
        return Readiness()
    for key, node in entry.nodes.items():
        if key not in READINESS_KEYS:
            message = f"`readiness` has no key `{shorten(key, 40)}`"
            remedy = did_you_mean(key, READINESS_KEYS) or f"its keys are {', '.join(sorted(READINESS_KEYS))}"
            entry.report("readiness", message, node, remedy=remedy)
    inference = entry.flag("inference") if "inference" in entry.nodes else True
    limit = _seconds(entry, "inference_timeout_s", endless=False)
    return Readiness(
        port_timeout=_seconds(entry, "port_timeout_s"),
        health_timeout=_seconds(entry, "health_timeout_s"),
        timeout=_seconds(entry, "timeout"),
        inference=inference,
        style=_style(entry),
        inference_timeout=limit,
        prompt=_prompt(entry),
        path=_path(entry),
    )


def _seconds(entry: Reader, key: str, *, endless: bool = True) -> float | None:
    """A limit in seconds; where it may be `endless`, 0 and less mean that there is none."""
    node = entry.nodes.get(key)
    if node is None or node.is_null:
        return None
    number = None
    if node.kind == "scalar" and node.tag != "bool":
        number = decimal(node.text.strip())
    if number is None or (number <= 0 and not endless):
        wanted = "a number of seconds"
        if not endless:
            wanted += " above 0"
        entry.report("readiness", f"`readiness.{key}` must be {wanted}", node)
        return None
    if number > MAX_SECONDS:
        entry.report("readiness", f"`readiness.{key}` may be at most {MAX_SECONDS:,} seconds", node)
        return None
    return max(0.0, number)


def _style(entry: Reader) -> str:
    style = entry.text("inference_style").strip() or "auto"
    if style in STYLES:
        return style
    message = f"`{shorten(style, 60)}` is not a style of asking a model"
    remedy = did_you_mean(style, STYLES) or f"write one of {', '.join(STYLES)}"
    entry.report("readiness", message, entry.nodes["inference_style"], remedy=remedy)
    return "auto"


def _prompt(entry: Reader) -> str:
    if "inference_prompt" not in entry.nodes:
        return ""
    node = entry.nodes["inference_prompt"]
    prompt = entry.text("inference_prompt")
    is_text = node.kind == "scalar" and node.tag == "str"
    if not is_text or not prompt.strip() or len(prompt) > _MAX_PROMPT:
        message = f"`readiness.inference_prompt` must be a text of at most {_MAX_PROMPT:,} characters"
        entry.report("readiness", message, node, remedy="write it in quotes")
        return ""
    return prompt


def _path(entry: Reader) -> str:
    path = entry.text("path").strip()
    if not path or identifiers.url_path(path) is not None:
        return path
    message = f"`readiness.path` must be the path of a page of the server, not `{shorten(path, 60)}`"
    entry.report("readiness", message, entry.nodes["path"], remedy="write it as `/health`")
    return ""


def read_runtime_cache(top: Reader) -> RuntimeCache:
    """The values of `runtime_cache`, which may be one boolean."""
    node = top.nodes.get("runtime_cache")
    if node is None or node.is_null:
        return RuntimeCache()
    if node.kind == "scalar":
        return RuntimeCache(enabled=top.flag("runtime_cache"))
    entry = top.below("runtime_cache")
    if entry is None:
        return RuntimeCache()
    for key, value in entry.nodes.items():
        if key in ("dir", "prune"):
            message = f"`runtime_cache.{key}` is not carried out: the caches stay in this program's own folder"
            entry.report("runtime-cache", message, value, Severity.WARNING)
        elif key not in CACHE_KEYS:
            message = f"`runtime_cache` has no key `{shorten(key, 40)}`"
            entry.report("runtime-cache", message, value, Severity.WARNING, did_you_mean(key, CACHE_KEYS))
    enabled = entry.flag("enabled") if "enabled" in entry.nodes else True
    return RuntimeCache(enabled, entry.flag("key_by_image"), entry.flag("key_by_model"))
