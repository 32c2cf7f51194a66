"""llama-server's flags (common/arg.cpp), in the order of a built command."""

from __future__ import annotations

from sparkrun_tui.engines.fields.types import Field, FieldType
from sparkrun_tui.engines.flags import NOTHING, Flag, FlagTable
from sparkrun_tui.engines.values import leading_whole, truth, word
from sparkrun_tui.recipe.format.extensions import NO_PROJECTOR


def first_of_list(text: str) -> int:
    """The first number of a list with one number per device; a Spark has one device."""
    return leading_whole(text.split(",")[0])


def projector_file(text: str) -> str:
    """The projector's file; `none` for the words of the key `mmproj` that mean so."""
    if text.lower() in NO_PROJECTOR:
        return "none"
    return text


FLAGS = FlagTable(
    (
        Flag(("--port",), "port", sets=NOTHING),
        Flag(("--host",), "host", sets=NOTHING),
        Flag(("--ctx-size", "-c"), "ctx_size", aliases=("n_ctx",), sets="llama.ctx_size", read=leading_whole),
        Flag(("--n-gpu-layers", "--gpu-layers", "-ngl"), "n_gpu_layers", sets="llama.n_gpu_layers", read=word),
        Flag(("--parallel", "-np"), "parallel", aliases=("n_parallel",), sets="llama.parallel", read=leading_whole),
        Flag(("--threads", "-t"), "threads", sets=NOTHING),
        Flag(("--chat-template",), "chat_template", sets=NOTHING),
        Flag(("--reasoning-format",), "reasoning_format", sets=NOTHING),
        Flag(("--alias", "-a"), "served_model_name", sets=NOTHING),
        Flag(
            ("--flash-attn", "-fa"),
            "flash_attn",
            aliases=("flash_attention",),
            words={"true": "on", "false": "off"},
            only=("on", "off", "auto"),
            sets="llama.flash_attn",
            read=word,
        ),
        Flag(("--jinja",), "jinja", switch=True, off=("--no-jinja",), on_by_default=True, sets=NOTHING),
        Flag(("--no-webui", "--no-ui"), "no_webui", switch=True, off=("--webui", "--ui"), sets=NOTHING),
        Flag(
            ("--cont-batching", "-cb"),
            "cont_batching",
            switch=True,
            off=("--no-cont-batching", "-nocb"),
            on_by_default=True,
            sets=NOTHING,
        ),
        Flag(("--cache-type-k", "-ctk"), "cache_type_k", sets="llama.cache_type_k", read=word),
        Flag(("--cache-type-v", "-ctv"), "cache_type_v", sets="llama.cache_type_v", read=word),
        Flag(("--batch-size", "-b"), "batch_size", aliases=("n_batch",), sets="llama.batch", read=leading_whole),
        Flag(
            ("--ubatch-size", "-ub"),
            "ubatch_size",
            aliases=("n_ubatch", "ubatch"),
            sets="llama.ubatch",
            read=leading_whole,
        ),
        Flag(("--seed", "-s"), "seed", sets=NOTHING),
        Flag(("--kv-unified", "-kvu"), switch=True, off=("--no-kv-unified", "-no-kvu"), sets="llama.kv_unified"),
        Flag(("--kv-unified-per-slot",), sets="llama.slot_tokens", read=leading_whole),
        Flag(("--swa-full",), switch=True, sets="llama.swa_full"),
        Flag(("--fit", "-fit"), sets="llama.fit", read=truth),
        Flag(("--fit-ctx", "-fitc"), sets="llama.fit_ctx_min", read=leading_whole),
        Flag(("--fit-target", "-fitt"), sets="llama.fit_target_mib", read=first_of_list),
        Flag(("--load-mode", "-lm"), sets="llama.load_mode", read=word),
        Flag(
            ("--no-mmap",),
            "no_mmap",
            switch=True,
            off=("--mmap",),
            later=("-lm", "none"),
            sets="llama.no_mmap",
            field=Field(
                "no_mmap",
                "No file mapping",
                FieldType.BOOL,
                "Reads the weights into memory instead of mapping the file.",
            ),
        ),
        Flag(("--embeddings", "--embedding"), switch=True, sets="llama.embeddings"),
        Flag(("--hf-repo", "-hf", "-hfr"), sets="llama.hf_repo", read=str),
        Flag(("--no-mmproj", "--no-mmproj-auto"), switch=True, off=("--mmproj-auto",), sets="llama.no_mmproj"),
        Flag(
            ("--mmproj", "-mm"),
            "mmproj",
            words={"false": "none", "true": "auto"},
            sets="llama.mmproj",
            read=projector_file,
        ),
        Flag(
            ("--spec-draft-type-k", "-ctkd", "--cache-type-k-draft"),
            sets="llama.draft_cache_type_k",
            read=word,
        ),
        Flag(
            ("--spec-draft-type-v", "-ctvd", "--cache-type-v-draft"),
            sets="llama.draft_cache_type_v",
            read=word,
        ),
        Flag(("--spec-type",), sets="spec.method", read=word),
        Flag(
            ("--spec-draft-model", "-md", "--model-draft", "--spec-draft-hf", "-hfd", "-hfrd"),
            sets="spec.model",
            read=str,
        ),
        Flag(("--spec-draft-n-max", "--draft-max", "--draft-n", "--draft"), sets="spec.tokens", read=leading_whole),
    )
)
