"""llama-server as an inference server: its start, and how it reads its command line."""

from __future__ import annotations

from collections.abc import Sequence

from sparkrun_tui.engines.family import Dialect, Family, KeyPlaces, MetricNames, Starter
from sparkrun_tui.engines.llama_cpp.causes import CAUSES
from sparkrun_tui.engines.llama_cpp.flags import FLAGS
from sparkrun_tui.engines.llama_cpp.log import LOG
from sparkrun_tui.engines.values import LEADING

_PROGRAMS = frozenset({"llama-server", "llama-server.sh", "llama-cli"})


def first_argument(words: Sequence[str]) -> int | None:
    """The index after the program; `server` was its name in earlier images."""
    for at, word in enumerate(words):
        name = word.rpartition("/")[2]
        if name in _PROGRAMS:
            return at + 1
        is_called = at == 0 or word.startswith(("/", "./"))
        if name == "server" and is_called:
            return at + 1
    return None


LLAMA_CPP = Family(
    name="llama-cpp",
    title="llama.cpp",
    program="llama-server",
    known_version="b11669",
    flags=FLAGS,
    dialect=Dialect(
        first_argument,
        equals=False,
        underscores=True,
        abbreviations=False,
        loose=None,
        model_flag="--model",
        numbers=LEADING,
        # The words that common/arg.cpp accepts where its help says `on|off|auto`.
        switch_words=frozenset({"on", "enabled", "true", "1", "off", "disabled", "false", "0", "auto", "-1"}),
        gone={
            "--no-mmap": "write `-lm none`",
            "--mmap": "write `-lm mmap`",
            "--mlock": "write `-lm mlock`",
            "--direct-io": "write `-lm dio`",
            "-dio": "write `-lm dio`",
            "--draft-max": "write `--spec-draft-n-max`",
            "--draft-n": "write `--spec-draft-n-max`",
            "--draft": "write `--spec-draft-n-max`",
            "--draft-min": "write `--spec-draft-n-min`",
            "--draft-n-min": "write `--spec-draft-n-min`",
        },
    ),
    start=("llama-server", "-hf"),
    start_with_path=("llama-server", "-m"),
    starter=Starter(
        "llama-server",
        (
            ("model",),
            ("served_model_name",),
            ("host", "port"),
            ("n_gpu_layers",),
            ("ctx_size",),
        ),
        more=("--flash-attn on", "--jinja", "--no-webui"),
        local=("-hf {model}", "-m {model}"),
        defaults=("n_gpu_layers: 99", "ctx_size: {context}"),
        one_host=True,
    ),
    caches={"llama.cpp": "/root/.cache/llama.cpp", "nv": "/root/.nv"},
    log_words=("llama_", "ggml_", "llama-server", "gguf", "load_tensors", "srv  ", "slot "),
    image_words=r"llama[._-]?cpp|llama[._-]?server",
    official_images=("ghcr.io/ggml-org/llama.cpp", "ghcr.io/ggerganov/llama.cpp"),
    # common/arg.cpp reads the variable by the same code as the flag.
    secret_variables={"--api-key": "LLAMA_API_KEY"},
    offers=(("--reranking", "", "rerank"), ("--pooling", "rank", "rerank"), ("--embeddings", "", "embedding")),
    keys=KeyPlaces(("--api-key",), ("--api-key-file",), ("LLAMA_API_KEY",), separator=","),
    build_numbers=True,
    rank_flags=frozenset({"--rpc"}),
    log=LOG,
    causes=CAUSES,
    # tools/server, with --metrics
    metrics=MetricNames(
        running=("llamacpp:requests_processing",),
        waiting=("llamacpp:requests_deferred",),
        kv_usage=("llamacpp:kv_cache_usage_ratio",),
        generated=("llamacpp:tokens_predicted_total",),
        prompted=("llamacpp:prompt_tokens_total",),
    ),
    metrics_flag="--metrics",
    # common/arg.cpp, set_env: the few that are not spelt like their flag are left to the engine.
    argument_prefix="LLAMA_ARG_",
    loading_status=503,
    gguf=True,
    several_hosts="experimental (RPC)",
    forks=("ik-llama", "beellama", "buun-llama", "tensorfold", "llama-box", "turboquant"),
)
