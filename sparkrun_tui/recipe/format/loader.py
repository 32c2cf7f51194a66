"""Reads a recipe file into a `Recipe`: all fields of the format, each problem with its line and column."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sparkrun_tui.base.defects import REPORT, defect
from sparkrun_tui.base.errors import RecipeError, Spot
from sparkrun_tui.base.text import shorten
from sparkrun_tui.base.units import GIB
from sparkrun_tui.recipe.format.include import with_included
from sparkrun_tui.recipe.format.keys import KNOWN_KEYS, METADATA_KEYS
from sparkrun_tui.recipe.format.launching import read_images, read_readiness, read_runtime_cache
from sparkrun_tui.recipe.format.layers import read_layers
from sparkrun_tui.recipe.format.reader import Reader, as_braces, is_accidental_mapping, repeated_keys
from sparkrun_tui.recipe.format.recipe_file import read_recipe
from sparkrun_tui.recipe.format.topology import Topology, infer
from sparkrun_tui.recipe.format.yamltree import MAX_BYTES, Node, parse_tree
from sparkrun_tui.recipe.model import (
    BrokenRecipe,
    Included,
    Metadata,
    Mode,
    Problem,
    Recipe,
    Severity,
    Source,
    SourceKind,
    Value,
    stem,
)
from sparkrun_tui.recipe.names.detect import detect_runtime
from sparkrun_tui.recipe.names.params import parse_params

_LISTS = frozenset({"pre_exec", "post_exec", "post_commands", "mods"})
"""Lists whose entries have positions of their own."""

MAX_NAME = 200
"""The most characters of a recipe's name."""
MAX_HOSTS = 10_000
"""The most hosts that a recipe may ask for."""
MAX_LAYERS = 1024
"""The most layers of a model; the deepest has a few hundred."""
MAX_WIDTH = 1_000_000
"""The most heads of a layer, and the largest width of a head."""


def load_recipe(path: str | Path, source: Source | None = None) -> Recipe:
    """The recipe in the file at `path`. Raises `RecipeError` with the place when it cannot be read."""
    origin = source or Source(SourceKind.PATH, str(path))
    return load_bytes(read_recipe(Path(path)), origin)


def load_file(path: str | Path, source: Source | None = None) -> Recipe | BrokenRecipe:
    """The recipe at `path`, or a `BrokenRecipe` with the problem; never raises."""
    origin = source or Source(SourceKind.PATH, str(path))
    data = b""
    try:
        data = read_recipe(Path(path))
        return load_bytes(data, origin)
    except RecipeError as error:
        problem = Problem(Severity.ERROR, "unreadable", error.what, error.spot, error.remedy)
        return BrokenRecipe(stem(str(path)), origin, problem, data.decode("utf-8", "replace"))


def load_text(text: str, source: Source | None = None) -> Recipe:
    """The recipe in `text`. Raises `RecipeError` with the place when it cannot be read."""
    origin = source or Source(SourceKind.PATH, "recipe.yaml")
    return _guarded(text, text.encode("utf-8", "surrogatepass"), origin)


def load_bytes(data: bytes, source: Source) -> Recipe:
    """The recipe in the bytes of a file: UTF-8, with or without a byte order mark."""
    if len(data) > MAX_BYTES:
        raise RecipeError(f"the file is larger than {MAX_BYTES >> 20} MiB: not a recipe", spot=Spot(source.path, 1, 1))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        column = error.start - (before.rfind(b"\n") + 1) + 1
        spot = Spot(source.path, before.count(b"\n") + 1, column)
        raise RecipeError("the file is not UTF-8 text", spot=spot, remedy="save it as UTF-8") from error
    return _guarded(text, data, source)


def _guarded(text: str, data: bytes, source: Source) -> Recipe:
    try:
        return _build(text, data, source)
    except RecipeError:
        raise
    except Exception as error:
        # One file must not make all others unusable.
        raise RecipeError(defect("reading the recipe", error), spot=Spot(source.path, 1, 1), remedy=REPORT) from error


def _build(text: str, data: bytes, source: Source) -> Recipe:
    body = text.removeprefix("\ufeff")
    root = parse_tree(body, source.path)
    if root.kind != "map":
        what = "a list" if root.kind == "list" else "plain text"
        raise RecipeError(
            f"a recipe is a mapping of keys, but this file contains {what}",
            spot=Spot(source.path, root.line, root.column),
        )
    problems = repeated_keys(root, source.path)
    merged = with_included(root, source)
    problems += merged.problems
    spots: dict[str, Spot] = {}
    top = Reader(source.path, merged.root, problems, spots)
    if merged.spot is not None:
        spots["include"] = merged.spot
    version, config, command = _version(top), _runtime_config(top), _command(top)
    meta, defaults, env = top.below("metadata"), top.below("defaults"), top.below("env")
    topology = _topology(top)
    images, layers = read_images(top), read_layers(top)
    readiness, runtime_cache = read_readiness(top), read_runtime_cache(top)
    return Recipe(
        name=_name(top, meta) or stem(source.path),
        source=source,
        model=_model(top),
        runtime=detect_runtime(top.text("runtime"), version, config, command),
        container=top.text("container").strip(),
        command=command,
        command_spot=_command_spot(top, body, merged.files),
        version=version,
        mode=topology.mode,
        min_nodes=topology.min_nodes,
        max_nodes=topology.max_nodes,
        model_revision=top.text("model_revision").strip(),
        defaults=defaults.values() if defaults else {},
        env=_env(env) if env else {},
        metadata=_metadata(top, meta),
        runtime_config=config,
        spots=spots,
        problems=tuple(problems),
        digest=_digest(data, merged.files),
        text=text,
        included=merged.files,
        layers=layers,
        images=images,
        readiness=readiness,
        runtime_cache=runtime_cache,
        runtime_word=top.text("runtime").strip(),
    )


def _digest(data: bytes, included: Sequence[Included]) -> str:
    """The digest of a recipe, which differs as soon as any of its files does."""
    own = hashlib.sha256(data).hexdigest()
    if not included:
        return own
    parts = [own, *(file.digest for file in included)]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def _name(top: Reader, meta: Reader | None) -> str:
    """The recipe's name, on one line: questions and lists show it within lines of this program."""
    reader = top
    if meta is not None and not top.text("name").strip():
        reader = meta
    name = " ".join(reader.text("name").split())
    if len(name) <= MAX_NAME:
        return name
    message = f"the name has {len(name):,} characters; it is cut after {MAX_NAME}"
    reader.report("name", message, reader.nodes["name"], Severity.WARNING)
    return f"{name[:MAX_NAME]}…"


def _topology(top: Reader) -> Topology:
    result = infer(
        _mode(top),
        top.whole("min_nodes", maximum=MAX_HOSTS) or 1,
        top.whole("max_nodes"),
        solo_only=top.flag("solo_only"),
        cluster_only=top.flag("cluster_only"),
        spots=top.spots,
    )
    top.problems.extend(result.problems)
    return result


def _model(top: Reader) -> str:
    model = top.text("model").strip()
    node = top.nodes.get("model")
    has_wrong_type = node is not None and node.kind != "scalar"
    if not model and not has_wrong_type:
        spot = top.spots.get("model") or Spot(top.path, 1, 1)
        remedy = "write `model: OWNER/NAME`, as on Hugging Face, or a path of the hosts"
        if "defaults.model" in top.spots:
            remedy = f"{remedy}; `defaults.model` is not read for it"
        top.problems.append(Problem(Severity.ERROR, "missing-model", "`model` is missing", spot, remedy))
    return model


def _version(top: Reader) -> str:
    key = "sparkrun_version" if "sparkrun_version" in top.nodes else "recipe_version"
    version = top.text(key).strip()
    if version in ("1", "2", ""):
        return version or "2"
    top.report(
        "version",
        f"`{key}: {shorten(version, 40)}` counts as the author's own numbering; the file is read as format 2",
        top.nodes[key],
        Severity.NOTE,
    )
    return "2"


def _mode(top: Reader) -> Mode:
    word = top.text("mode").strip().lower()
    if not word:
        return Mode.AUTO
    try:
        return Mode(word)
    except ValueError:
        top.report("mode", f"`mode` must be `auto`, `solo` or `cluster`, not `{shorten(word, 40)}`", top.nodes["mode"])
        return Mode.AUTO


def _runtime_config(top: Reader) -> dict[str, Any]:
    """The keys of `runtime_config`, and those at the top that the format does not know; the explicit ones win."""
    config: dict[str, Any] = {}
    nodes = list(top.nodes.items())
    below = top.below("runtime_config")
    if below is not None:
        nodes += below.nodes.items()
        for key in below.nodes:
            config[key] = below.data(key)
    for key in top.nodes:
        if key not in KNOWN_KEYS and key not in config:
            config[key] = top.data(key)
    for key, node in nodes:
        if key in _LISTS and node.kind == "list":
            for number, item in enumerate(node.items, 1):
                top.spots[f"{key}[{number}]"] = top.spot(item)
    return config


def _command(top: Reader) -> str | None:
    node = top.nodes.get("command")
    if node is None or node.is_null:
        return None
    return top.text("command") or None


def _command_spot(top: Reader, text: str, included: Sequence[Included]) -> Spot | None:
    node = top.nodes.get("command")
    if node is None or node.kind != "scalar":
        return None
    path = top.spot(node).path
    for file in included:
        if file.path == path:
            text = file.text
    if not node.style:
        return Spot(path, node.line, node.column)
    if node.style not in ("|", ">"):
        # Behind the opening quote.
        return Spot(path, node.line, node.column + 1)
    indent = 0
    for line in text.split("\n")[node.line :]:
        if line.strip():
            indent = len(line) - len(line.lstrip(" "))
            break
    return Spot(path, node.line + 1, indent + 1)


def _env(env: Reader) -> dict[str, Value]:
    values = {}
    for key, value in env.values().items():
        node = env.nodes[key]
        if node.kind != "scalar":
            _report_env(env, key, node)
            continue
        if value.data is None:
            env.report("env-empty", f"`env.{key}` has no value and becomes an empty text", node, Severity.WARNING)
            value = Value("", "", value.spot)
        elif isinstance(value.data, bool):
            env.report(
                "env-boolean",
                f"`env.{key}` is a YAML boolean and becomes the text `{value.text}`",
                node,
                Severity.WARNING,
                f'write it in quotes: {key}: "{value.text}"',
            )
        values[key] = Value(value.text, value.text, value.spot)
    return values


def _report_env(env: Reader, key: str, node: Node) -> None:
    kind = "mapping" if node.kind == "map" else "list"
    remedy = f'write the value in quotes: {key}: "..."'
    if is_accidental_mapping(node):
        written = as_braces(node)
        remedy = f'YAML reads an unquoted {written} as a mapping; write it in quotes: {key}: "{written}"'
    env.report("env-type", f"`env.{key}` must be text, not a {kind}", node, remedy=remedy)


def _metadata(top: Reader, meta: Reader | None) -> Metadata:
    description, maintainer = top.text("description"), top.text("maintainer")
    if meta is None:
        return Metadata(description=description.strip(), maintainer=maintainer.strip())
    total, active = _params(meta)
    vram = meta.number("model_vram", maximum=1e6)
    return Metadata(
        description=(description or meta.text("description")).strip(),
        maintainer=(maintainer or meta.text("maintainer")).strip(),
        model_params=total,
        active_params=active,
        model_dtype=meta.text("model_dtype").strip(),
        kv_dtype=meta.text("kv_dtype").strip(),
        num_layers=meta.whole("num_layers", maximum=MAX_LAYERS),
        num_kv_heads=meta.whole("num_kv_heads", maximum=MAX_WIDTH),
        head_dim=meta.whole("head_dim", maximum=MAX_WIDTH),
        model_vram=None if vram is None else round(vram * GIB),
        kv_vram_per_token=meta.number("kv_vram_per_token", maximum=1e12),
        extra={key: meta.data(key) for key in meta.nodes if key not in METADATA_KEYS},
    )


def _params(meta: Reader) -> tuple[int | None, int | None]:
    text = meta.text("model_params").strip()
    if not text or text.startswith("{"):
        return None, None
    parsed = parse_params(text)
    if parsed is None:
        meta.report(
            "model-params",
            f"`{shorten(text, 40)}` is not a parameter count",
            meta.nodes["model_params"],
            remedy="write it as `1.7B`, `30B` or `35B-A3B`",
        )
        return None, None
    return parsed


def unknown_keys(recipe: Recipe) -> Mapping[str, Any]:
    """Top-level keys of the file that the format does not know, with their data."""
    found = {}
    for key, value in recipe.runtime_config.items():
        if key in recipe.spots and key not in KNOWN_KEYS:
            found[key] = value
    return found
