"""Which log lines tell the phase of a start, per engine; searched in a line without its prefixes."""

from __future__ import annotations

from collections.abc import Mapping

from sparkrun_tui.base.patterns import GAP
from sparkrun_tui.engines.plan import LogMark, Phase

_SHARDS = r"^(?:Loading [\w ]+|Multi-thread loading (?:pt checkpoint )?shards): +"

VLLM_MARKS: tuple[LogMark, ...] = (
    LogMark(Phase.START, r"^non-default args: \{|vLLM API server version"),
    LogMark(Phase.START, r"^Resolved architecture: ", detail="architecture known"),
    LogMark(Phase.START, r"^Initializing a V1 LLM engine|^Launching vLLM \(v\S+\) headless", detail="engine starts"),
    LogMark(Phase.START, r"Connecting to existing Ray cluster", detail="joining Ray"),
    LogMark(Phase.START, r"placement group", detail="Ray places the ranks"),
    LogMark(Phase.START, r"^world_size=1 rank="),
    LogMark(Phase.START, r"^world_size=\d+ rank=", detail="waiting for the other ranks"),
    LogMark(Phase.LOAD, r"^rank \d+ in world size \d+ is assigned as", detail="ranks have met"),
    LogMark(Phase.LOAD, r"^Starting to load model |^Loading model from scratch"),
    LogMark(Phase.LOAD, r"^Loading drafter model", detail="drafter"),
    LogMark(Phase.LOAD, rf"{_SHARDS}\d+% Completed", progress=r": +(\d+)% Completed"),
    LogMark(Phase.LOAD, r"^Loading weights took |^Model loading took ", done=True),
    LogMark(Phase.COMPILE, r"^Warming up model for the compilation", detail="warm-up"),
    LogMark(Phase.COMPILE, r"^(?:\[\w+\] )?Starting torch\.compile|Using cache directory: ", detail="torch.compile"),
    LogMark(Phase.COMPILE, r"Dynamo bytecode transform time|Compiling a graph for", detail="torch.compile"),
    LogMark(Phase.COMPILE, r"Directly load the compiled graph", detail="compiled graphs from the cache"),
    LogMark(Phase.COMPILE, r"^DeepGEMM warmup", progress=r"^DeepGEMM warmup: +(\d+)%", detail="DeepGEMM"),
    LogMark(Phase.COMPILE, r"\[Autotuner\]", detail="autotuning"),
    LogMark(Phase.COMPILE, r"torch\.compile (?:takes|took) [\d.]+ s in total", detail="profiling"),
    LogMark(
        Phase.COMPILE, rf"^Available KV cache memory: |^Explicitly set {GAP} GiB for KV cache", detail="KV cache sized"
    ),
    LogMark(Phase.COMPILE, r"KV cache size: [\d,]+ tokens", done=True),
    LogMark(Phase.GRAPHS, r"^Capturing CUDA graphs", progress=r"^Capturing CUDA graphs(?:[^%\d]|\d++(?!%))*+(\d++)%"),
    LogMark(Phase.GRAPHS, r"^Graph capturing finished in |^CUDA graph pool memory: |^init engine \(", done=True),
    LogMark(Phase.READY, r"^Starting vLLM (?:API )?server"),
    LogMark(Phase.READY, r"Application startup complete\.", done=True),
)

SGLANG_MARKS: tuple[LogMark, ...] = (
    LogMark(Phase.START, r"server_args="),
    LogMark(Phase.START, r"^Init (?:parallel|torch distributed) begin", detail="waiting for the other ranks"),
    LogMark(Phase.START, r"^Init (?:parallel|torch distributed) ends", done=True),
    LogMark(Phase.LOAD, r"^Load weight begin\."),
    LogMark(Phase.LOAD, rf"{_SHARDS}\d+%", progress=r": +(\d+)%"),
    LogMark(Phase.LOAD, r"^Load weight end\.", done=True),
    LogMark(Phase.COMPILE, r"KV Cache is allocated\.|^Mamba Cache is allocated\.|^DSV4 pool sizes", detail="pools"),
    LogMark(Phase.COMPILE, r"^Memory pool end\.", done=True),
    LogMark(Phase.COMPILE, r"DeepGEMM|[Aa]utotun", detail="autotuning"),
    LogMark(Phase.GRAPHS, rf"^Capture {GAP}(?:CUDA|cuda) graph (?:begin|end)"),
    LogMark(Phase.GRAPHS, r"^Capturing (?:batches|num tokens)", progress=r"(?<!\d)(\d++)%\|"),
    LogMark(Phase.GRAPHS, r"^max_total_num_tokens=", done=True),
    LogMark(Phase.READY, r"Uvicorn running on https?://", detail="warm-up request"),
    LogMark(Phase.READY, r"The server is fired up and ready to roll!|Dummy health check server started", done=True),
)

LLAMA_MARKS: tuple[LogMark, ...] = (
    LogMark(Phase.START, r"llama_server: initializing|\bsystem_info:|^build: \d"),
    LogMark(Phase.LOAD, r"load_model: loading model|load_tensors: loading model tensors|llama_model_loader: loaded"),
    LogMark(Phase.LOAD, r"load_tensors: +\S{1,100} model buffer size =", detail="weights"),
    LogMark(Phase.LOAD, r"KV buffer size =|llama_kv_cache: size =|threadpool init", done=True),
    LogMark(Phase.COMPILE, r"warming up the model with an empty run", detail="warm-up"),
    LogMark(Phase.COMPILE, r"load_model: initializing,? (?:n_)?slots", done=True),
    LogMark(Phase.READY, r"llama_server: model loaded|main: model loaded"),
    LogMark(Phase.READY, r"listening on https?://|all slots are idle", done=True),
)

MARKS: Mapping[str, tuple[LogMark, ...]] = {"vllm": VLLM_MARKS, "sglang": SGLANG_MARKS, "llama-cpp": LLAMA_MARKS}

NEEDLES: Mapping[str, tuple[str, ...]] = {
    "vllm": (
        *(
            "non-default args",
            "vLLM",
            "rchitecture",
            "LLM engine",
            "Ray",
            "placement group",
            "world_size=",
            "world size",
        ),
        *(
            "to load model",
            "oading",
            "heckpoint",
            "Warming up",
            "torch.compile",
            "Using cache",
            "Dynamo",
            "ompiling a graph",
        ),
        *(
            "compiled graph",
            "DeepGEMM",
            "Autotuner",
            "KV cache",
            "CUDA",
            "Graph capturing",
            "init engine",
            "startup com",
        ),
        *("model len", "Maximum concurrency"),
    ),
    "sglang": (
        *("server_args=", "Init ", "oad weight", "oading", "allocated", "pool", "DeepGEMM", "utotun", "Captur"),
        *("max_total_num_tokens", "Uvicorn", "fired up", "Dummy health"),
    ),
    "llama-cpp": (
        *(
            "llama_",
            "load",
            "system_info",
            "build:",
            "buffer size",
            "threadpool",
            "warming up",
            "initializing",
            "slots",
        ),
        *("listening", "no_alloc", "n_ctx"),
    ),
}
"""Every line that a mark or a figure is read from holds one of these; looking for them first is many times faster."""


def family(engine: str) -> str:
    """The engine whose log a runtime word produces: `vllm`, `sglang` or `llama-cpp`."""
    if "sglang" in engine:
        return "sglang"
    return "llama-cpp" if "llama" in engine else "vllm"
