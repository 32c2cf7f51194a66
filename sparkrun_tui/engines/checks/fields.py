"""Checks of single fields of a recipe: model, container, metadata, number of hosts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sparkrun_tui.engines.layout.hosts import degrees
from sparkrun_tui.engines.registry import FAMILIES, family_of
from sparkrun_tui.recipe.format.detect import is_repository, split_gguf
from sparkrun_tui.recipe.format.dtypes import dtype_words, known_dtype, normal_dtype
from sparkrun_tui.recipe.format.images import parse_image
from sparkrun_tui.recipe.format.spots import beginning
from sparkrun_tui.recipe.model import Problem, Recipe, Runtime, Severity
from sparkrun_tui.recipe.suggestions import did_you_mean
from sparkrun_tui.recipe.values.rendered import Rendered

_LOCAL_PATH = re.compile(r"[~.]?/[^\0\n;|&$`<>\"'\\]*")
_QUANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+-]{0,254}")
_HF_FLAGS = re.compile(r"(?<!\S)(-hf|-hfr|--hf-repo)\s+[\"']?\{model\}")


def problem(recipe: Recipe, severity: Severity, code: str, message: str, *keys: str, remedy: str = "") -> Problem:
    """A problem at the first of `keys` that the file has; where it has none, at its beginning."""
    spot = next((recipe.spots[key] for key in keys if key in recipe.spots), None)
    return Problem(severity, code, message, spot or beginning(recipe), remedy)


def is_local(model: str) -> bool:
    """Whether a model is named by a path."""
    return _LOCAL_PATH.fullmatch(model) is not None and ".." not in model.split("/")


def valid_model(model: str) -> bool:
    """Whether a text names a model: a Hugging Face id, with a GGUF quantisation or without, or a path."""
    repo, quant = split_gguf(model)
    return is_local(model) or (is_repository(repo) and (not quant or _QUANT.fullmatch(quant) is not None))


def check_model(recipe: Recipe, rendered: Rendered) -> Iterator[Problem]:
    """The model id's form, that of its revision, and the quantisation of a GGUF repository."""
    if recipe.model_revision and (_REVISION.fullmatch(recipe.model_revision) is None or ".." in recipe.model_revision):
        message = f"`{recipe.model_revision[:80]}` is not a revision: a branch, a tag or a commit"
        yield problem(recipe, Severity.ERROR, "model-revision", message, "model_revision")
    if not recipe.model or "{" in recipe.model:
        return
    repo, quant = split_gguf(recipe.model)
    local = is_local(recipe.model)
    if not local and not is_repository(repo):
        message = f"`{recipe.model[:80]}` is not a Hugging Face model id"
        yield problem(recipe, Severity.ERROR, "model-id", message, "model", remedy="write it as OWNER/NAME")
        return
    if quant and _QUANT.fullmatch(quant) is None:
        message = f"`{quant[:40]}` is not a quantisation"
        yield problem(recipe, Severity.ERROR, "gguf-quant", message, "model")
    family = family_of(recipe.runtime)
    takes_gguf = family is not None and family.gguf
    by_name = recipe.command is None or _HF_FLAGS.search(recipe.command)
    if family is not None and takes_gguf and by_name and not quant and not local:
        message = f"the model names no quantisation: {family.title} would choose one, and all files are downloaded"
        remedy = f"write it behind a colon, such as {repo[:80]}:Q4_K_M"
        yield problem(recipe, Severity.WARNING, "gguf-quant", message, "model", remedy=remedy)
    if quant and not local and not takes_gguf:
        whose = next((other.title for other in FAMILIES.values() if other.gguf), "")
        message = f"`:{quant}` behind the model id is {whose}'s way to name a GGUF file, not one of `{recipe.runtime}`"
        yield problem(recipe, Severity.WARNING, "gguf-quant", message, "model")


def check_container(recipe: Recipe) -> Iterator[Problem]:
    """The image reference: malformed, without a tag, or one that moves. Which image stands in for none, engines say."""
    if not recipe.container:
        return
    image = parse_image(recipe.container)
    if image is None:
        message = f"`{recipe.container[:80]}` is not an image reference"
        two = recipe.container.rpartition("/")[2].partition("@")[0].count(":") > 1
        remedy = "it has two tags: keep one" if two else ""
        yield problem(recipe, Severity.ERROR, "container", message, "container", remedy=remedy)
    elif not image.tag and not image.digest and recipe.runtime == Runtime.EUGR_VLLM and "/" not in recipe.container:
        message = f"`{recipe.container}` has no tag: it is an image of the hosts' own, which eugr's scripts build"
        yield problem(recipe, Severity.NOTE, "container-tag", message, "container")
    elif not image.tag and not image.digest:
        message = f"`{recipe.container}` has no tag: Docker takes `latest`"
        remedy = "name a tag, so that the same image runs tomorrow"
        yield problem(recipe, Severity.WARNING, "container-tag", message, "container", remedy=remedy)
    elif image.tag == "latest" and not image.digest:
        message = f"`{recipe.container}` is another image whenever its author pushes one"
        yield problem(recipe, Severity.NOTE, "container-moving", message, "container")


def check_metadata(recipe: Recipe) -> Iterator[Problem]:
    """Dtype words, and a cache size per token that looks like GiB."""
    metadata = recipe.metadata
    for key, word in (("model_dtype", metadata.model_dtype), ("kv_dtype", metadata.kv_dtype)):
        if word and not known_dtype(word):
            message = f"`{word[:40]}` is not a number format that is known here"
            remedy = did_you_mean(normal_dtype(word), dtype_words())
            yield problem(recipe, Severity.WARNING, f"metadata-{key}", message, f"metadata.{key}", remedy=remedy)
    per_token = metadata.kv_vram_per_token
    if per_token is not None and 0 < per_token < 1:
        message = f"`kv_vram_per_token` is in bytes; {per_token:g} looks like GiB, as another tool reads it"
        remedy = f"write {per_token * 2**30:.0f}"
        yield problem(
            recipe, Severity.WARNING, "metadata-kv-vram", message, "metadata.kv_vram_per_token", remedy=remedy
        )


def check_topology(rendered: Rendered, attention_heads: int | None, gpus_per_host: int) -> Iterator[Problem]:
    """Degrees of parallelism against the hosts that are allowed and the model's heads."""
    recipe = rendered.recipe
    family = family_of(recipe.runtime)
    parts = degrees(rendered, family)
    tensor = parts["tensor_parallel"]
    place = ("defaults.tensor_parallel", "max_nodes", "solo_only", "mode", "command")
    if attention_heads and attention_heads % tensor:
        message = f"tensor_parallel {tensor} does not divide the model's {attention_heads} attention heads"
        yield problem(recipe, Severity.ERROR, "parallel-heads", message, *place)
    if family is not None and family.several_hosts:
        if recipe.max_nodes != 1:
            limit = "no max_nodes" if recipe.max_nodes is None else f"max_nodes {recipe.max_nodes}"
            message = f"{family.title} with {limit}: several hosts are {family.several_hosts}"
            yield problem(
                recipe, Severity.WARNING, "llama-nodes", message, "max_nodes", "runtime", remedy="write `max_nodes: 1`"
            )
        return
    wanted = tensor * parts["pipeline_parallel"]
    if recipe.max_nodes is not None and wanted > recipe.max_nodes * gpus_per_host:
        gpus = recipe.max_nodes * gpus_per_host
        named = "tensor_parallel" if parts["pipeline_parallel"] == 1 else "tensor_parallel x pipeline_parallel"
        hosts = f"{recipe.max_nodes} host{'s' * (recipe.max_nodes != 1)} with {gpus} GPU{'s' * (gpus != 1)}"
        message = f"{named} is {wanted}, but at most {hosts} {'are' if recipe.max_nodes > 1 else 'is'} allowed"
        remedy = f"lower it to {gpus}, such as with -o tensor_parallel={gpus}, or let the recipe have more hosts"
        yield problem(recipe, Severity.ERROR, "parallel-nodes", message, *place, remedy=remedy)
