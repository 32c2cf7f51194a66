"""Checks of single fields of a recipe: model, container, metadata, number of hosts."""

from __future__ import annotations

from collections.abc import Iterator

from sparkrun_tui.base.errors import Spot
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import shorten
from sparkrun_tui.engines.command.arguments import read_arguments
from sparkrun_tui.engines.command.built import serve_words
from sparkrun_tui.engines.dumps import load_flags
from sparkrun_tui.engines.layout.hosts import degrees
from sparkrun_tui.engines.registry import FAMILIES, family_of
from sparkrun_tui.engines.settings import attention_replicas
from sparkrun_tui.recipe.format.extensions import built_by_eugr
from sparkrun_tui.recipe.format.spots import beginning
from sparkrun_tui.recipe.model import Problem, Recipe, Severity
from sparkrun_tui.recipe.names.detect import is_repository, is_revision, split_gguf
from sparkrun_tui.recipe.names.dtypes import dtype_words, known_dtype, normal_dtype
from sparkrun_tui.recipe.names.images import parse_image
from sparkrun_tui.recipe.names.local_model import is_path
from sparkrun_tui.recipe.suggestions import did_you_mean
from sparkrun_tui.recipe.values.rendered import Rendered

_QUANT = late_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HF_FLAGS = late_regex(r"(?<!\S)(-hf|-hfr|--hf-repo)\s+[\"']?\{model\}")


def problem(recipe: Recipe, severity: Severity, code: str, message: str, *keys: str, remedy: str = "") -> Problem:
    """A problem at the first of `keys` that the file has; where it has none of them, at the beginning of the file."""
    spot = beginning(recipe)
    for key in keys:
        if key in recipe.spots:
            spot = recipe.spots[key]
            break
    return Problem(severity, code, message, spot, remedy)


def valid_model(model: str) -> bool:
    """Whether a text names a model: a Hugging Face id, with or without a GGUF quantisation, or a path."""
    if is_path(model):
        return True
    repo, quant = split_gguf(model)
    if not is_repository(repo):
        return False
    return not quant or _is_quant(quant)


def _is_quant(text: str) -> bool:
    return _QUANT.fullmatch(text) is not None


def check_model(recipe: Recipe, rendered: Rendered) -> Iterator[Problem]:
    """Problems with the model id, its revision, and the quantisation of a GGUF repository."""
    if recipe.model_revision and not is_revision(recipe.model_revision):
        message = f"`{shorten(recipe.model_revision, 80)}` is not a revision: a branch, a tag or a commit"
        yield problem(recipe, Severity.ERROR, "model-revision", message, "model_revision")
    if not recipe.model or "{" in recipe.model:
        return
    repo, quant = split_gguf(recipe.model)
    local = is_path(recipe.model)
    if not local and not is_repository(repo):
        message = f"`{shorten(recipe.model, 80)}` is not a Hugging Face model id"
        yield problem(recipe, Severity.ERROR, "model-id", message, "model", remedy="write it as OWNER/NAME")
        return
    if local and (":" in recipe.model or recipe.model.startswith("./")):
        message = f"`{shorten(recipe.model, 80)}` is not a path of the hosts"
        remedy = "write a path that begins with / or ~/, without a colon"
        yield problem(recipe, Severity.ERROR, "model-path", message, "model", remedy=remedy)
        return
    if quant and not _is_quant(quant):
        message = f"`{shorten(quant, 40)}` is not a quantisation"
        yield problem(recipe, Severity.ERROR, "gguf-quant", message, "model")
    family = family_of(recipe.runtime)
    if local:
        if family is not None and family.gguf and not recipe.model.lower().endswith(".gguf"):
            message = (
                f"{family.title} needs the path of a GGUF file, and `{shorten(recipe.model, 80)}` does not end in .gguf"
            )
            remedy = "write the path of the file, of a split one that of its first part"
            yield problem(recipe, Severity.WARNING, "model-path", message, "model", remedy=remedy)
        return
    if family is not None and family.gguf:
        passed_by_name = recipe.command is None or _HF_FLAGS.search(recipe.command)
        if passed_by_name and not quant:
            message = f"the model names no quantisation: {family.title} takes Q4_K_M, else Q8_0"
            remedy = f"add it after a colon, such as {shorten(repo, 80)}:Q4_K_M"
            yield problem(recipe, Severity.WARNING, "gguf-quant", message, "model", remedy=remedy)
    elif quant:
        titles = " or ".join(other.title for other in FAMILIES.values() if other.gguf)
        message = f"`:{quant}` after the model id names a GGUF file for {titles}; `{recipe.runtime}` does not read it"
        yield problem(recipe, Severity.WARNING, "gguf-quant", message, "model")


def check_container(recipe: Recipe) -> Iterator[Problem]:
    """Problems with the image reference: malformed, without a tag, or with a tag that moves.

    A recipe without one is checked by its engine, which has an image of its own for it.
    """
    found = [(recipe.container, recipe.spots.get("container"))]
    found += [(entry.image, entry.spot) for entry in recipe.images]
    found += [(layer.container, layer.spot) for layer in recipe.original.layers]
    seen: set[str] = set()
    for name, spot in found:
        if name and name not in seen:
            seen.add(name)
            yield from _check_image(recipe, name, spot or beginning(recipe))


def _check_image(recipe: Recipe, name: str, spot: Spot | None) -> Iterator[Problem]:
    image = parse_image(name)
    if image is None:
        message = f"`{shorten(name, 80)}` is not an image reference"
        remedy = ""
        if name.rpartition("/")[2].partition("@")[0].count(":") > 1:
            remedy = "it has two tags: keep one"
        yield Problem(Severity.ERROR, "container", message, spot, remedy)
        return
    if image.digest:
        return
    if image.tag == "latest":
        message = f"`{name}` changes whenever its author pushes a new image"
        yield Problem(Severity.NOTE, "container-moving", message, spot)
        return
    if image.tag:
        return
    if built_by_eugr(recipe) and "/" not in name:
        message = f"`{name}` has no tag: it is an image that eugr's scripts build on the hosts"
        yield Problem(Severity.NOTE, "container-tag", message, spot)
        return
    message = f"`{name}` has no tag: Docker takes `latest`"
    remedy = "name a tag, so that every launch runs the same image"
    yield Problem(Severity.WARNING, "container-tag", message, spot, remedy)


def check_metadata(recipe: Recipe) -> Iterator[Problem]:
    """Problems with dtype words, and with a cache size per token that looks like GiB."""
    metadata = recipe.metadata
    for key, word in (("model_dtype", metadata.model_dtype), ("kv_dtype", metadata.kv_dtype)):
        is_known = known_dtype(word) or (key == "kv_dtype" and word.strip().lower() in _cache_formats(recipe))
        if word and not is_known:
            message = f"`{shorten(word, 40)}` is not a number format that is known here"
            remedy = did_you_mean(normal_dtype(word), dtype_words())
            yield problem(recipe, Severity.WARNING, f"metadata-{key}", message, f"metadata.{key}", remedy=remedy)
    per_token = metadata.kv_vram_per_token
    if per_token is not None and 0 < per_token < 1:
        message = f"`kv_vram_per_token` is in bytes; {per_token:g} looks like GiB, as another tool reads it"
        remedy = f"write {per_token * 2**30:.0f}"
        yield problem(
            recipe, Severity.WARNING, "metadata-kv-vram", message, "metadata.kv_vram_per_token", remedy=remedy
        )


def _cache_formats(recipe: Recipe) -> tuple[str, ...]:
    """The formats of a KV cache that the engine's own parser knows: some are layouts that no weights have."""
    family = family_of(recipe.runtime)
    if family is None:
        return ()
    flag = load_flags(family).by_spelling.get(family.flags.spelling_for("kv_cache_dtype"))
    return flag.choices if flag is not None else ()


def check_topology(rendered: Rendered, attention_heads: int | None, gpus_per_host: int) -> Iterator[Problem]:
    """Parallel degrees that the allowed hosts or the model's attention heads do not permit."""
    recipe = rendered.recipe
    family = family_of(recipe.runtime)
    parts = degrees(rendered, family)
    tensor = parts["tensor_parallel"]
    sharing = tensor
    if family is not None:
        sharing = max(1, tensor // attention_replicas(read_arguments(serve_words(rendered, family), family), family))
    place = ("defaults.tensor_parallel", "max_nodes", "solo_only", "mode", "command")
    if attention_heads and attention_heads % sharing:
        message = f"tensor_parallel {sharing} does not divide the model's {attention_heads} attention heads"
        yield problem(recipe, Severity.ERROR, "parallel-heads", message, *place)
    if family is not None and family.several_hosts:
        if recipe.max_nodes != 1:
            limit = "no max_nodes"
            if recipe.max_nodes is not None:
                limit = f"max_nodes {recipe.max_nodes}"
            message = f"{family.title} with {limit}: several hosts are {family.several_hosts}"
            yield problem(
                recipe, Severity.WARNING, "llama-nodes", message, "max_nodes", "runtime", remedy="write `max_nodes: 1`"
            )
        return
    if recipe.max_nodes is None:
        return
    gpus = recipe.max_nodes * gpus_per_host
    wanted = tensor * parts["pipeline_parallel"]
    if wanted <= gpus:
        return
    named = "tensor_parallel"
    if parts["pipeline_parallel"] != 1:
        named = "tensor_parallel x pipeline_parallel"
    hosts = f"{recipe.max_nodes} host{'s' * (recipe.max_nodes != 1)} with {gpus} GPU{'s' * (gpus != 1)}"
    are = "is"
    if recipe.max_nodes > 1:
        are = "are"
    message = f"{named} is {wanted}, but at most {hosts} {are} allowed"
    remedy = f"lower it to {gpus}, such as with -o tensor_parallel={gpus}, or let the recipe have more hosts"
    yield problem(recipe, Severity.ERROR, "parallel-nodes", message, *place, remedy=remedy)
