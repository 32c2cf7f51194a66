"""vLLM as an inference server: how it is started and how it reads its command line."""

from __future__ import annotations

from collections.abc import Sequence

from sparkrun_tui.engines.family import Dialect, Family, Starter
from sparkrun_tui.engines.vllm.flags import FLAGS


def first_argument(words: Sequence[str]) -> int | None:
    """The index behind `vllm serve` or the module of the API server."""
    for at, word in enumerate(words):
        following = words[at + 1] if at + 1 < len(words) else ""
        if word.rpartition("/")[2] == "vllm" and following == "serve":
            return at + 2
        if word == "vllm.entrypoints.cli.main" and following == "serve":
            return at + 2
        if word == "vllm.entrypoints.openai.api_server":
            return at + 1
    return None


VLLM = Family(
    name="vllm",
    title="vLLM",
    program="vLLM",
    known_version="0.32.0",
    flags=FLAGS,
    dialect=Dialect(
        first_argument,
        underscores=True,
        nested=True,
        model_flag="--model",
        gone={
            "--disable-log-requests": "leave it out: requests are logged only with `--enable-log-requests`",
            "--gpu-memory-utilization-gb": "only an image with a patch for it does; else give "
            "`--gpu-memory-utilization` a share of the memory",
        },
    ),
    start=("vllm", "serve"),
    starter=Starter(
        "vllm serve {model}",
        (
            ("served_model_name",),
            ("host", "port"),
            ("tensor_parallel",),
            ("gpu_memory_utilization",),
            ("max_model_len",),
            ("max_num_seqs",),
        ),
    ),
    image_words="vllm",
    # build_app in entrypoints/openai/api_server.py: one key of the variable is used where no flag gives any.
    secret_variables={"--api-key": "VLLM_API_KEY"},
)
