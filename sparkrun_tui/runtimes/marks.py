"""Which log lines tell the phase of a start, per engine, newest wording first."""

from __future__ import annotations

from sparkrun_tui.runtimes.plan import LogMark, Phase

# Patterns are searched in a line that has lost its prefixes (see `phases.strip_prefixes`).
VLLM_MARKS: tuple[LogMark, ...] = (
    LogMark(Phase.START, r"^non-default args: \{|vLLM API server version|^Resolved architecture: "),
    LogMark(Phase.START, r"^Initializing a V1 LLM engine|^Launching vLLM \(v\S+\) headless"),
    LogMark(Phase.START, r"Connecting to existing Ray cluster|^world_size=\d+ rank="),
    LogMark(Phase.LOAD, r"^rank \d+ in world size \d+ is assigned as"),
    LogMark(Phase.LOAD, r"^Starting to load model |^Loading model from scratch"),
    LogMark(
        Phase.LOAD,
        r"^(?:Loading [\w ]+|Multi-thread loading (?:pt checkpoint )?shards): +\d+% Completed",
        progress=r": +(\d+)% Completed",
    ),
    LogMark(Phase.LOAD, r"^Loading weights took |^Model loading took ", done=True),
    LogMark(Phase.COMPILE, r"^Warming up model for the compilation|^(?:\[\w+\] )?Starting torch\.compile"),
    LogMark(Phase.COMPILE, r"Using cache directory: .*torch\.compile|Dynamo bytecode transform time"),
    LogMark(Phase.COMPILE, r"Directly load the compiled graph|Compiling a graph for compile range"),
    LogMark(Phase.COMPILE, r"^DeepGEMM warmup", progress=r"^DeepGEMM warmup: +(\d+)%"),
    LogMark(Phase.COMPILE, r"\[Autotuner\]"),
    LogMark(Phase.COMPILE, r"torch\.compile (?:takes|took) [\d.]+ s in total|^Warming up done\.", done=True),
    LogMark(Phase.COMPILE, r"KV cache size: [\d,]+ tokens", done=True),
    LogMark(Phase.GRAPHS, r"^Capturing CUDA graphs", progress=r"^Capturing CUDA graphs[^%]*?(\d+)%"),
    LogMark(Phase.GRAPHS, r"^Graph capturing finished in |^CUDA graph pool memory: ", done=True),
    LogMark(Phase.GRAPHS, r"^init engine \(", done=True),
    LogMark(Phase.READY, r"^Starting vLLM (?:API )?server"),
    LogMark(Phase.READY, r"Application startup complete\.", done=True),
)

SGLANG_MARKS: tuple[LogMark, ...] = (
    LogMark(Phase.START, r"server_args=|^Init (?:parallel|torch distributed) begin"),
    LogMark(Phase.START, r"^Init (?:parallel|torch distributed) ends", done=True),
    LogMark(Phase.LOAD, r"^Load weight begin\."),
    LogMark(
        Phase.LOAD,
        r"^(?:Loading [\w ]+|Multi-thread loading (?:pt checkpoint )?shards): +\d+%",
        progress=r": +(\d+)%",
    ),
    LogMark(Phase.LOAD, r"^Load weight end\.", done=True),
    LogMark(Phase.COMPILE, r"DeepGEMM|[Aa]utotun|JIT"),
    LogMark(Phase.COMPILE, r"KV Cache is allocated\.|^DSV4 pool sizes", done=True),
    LogMark(Phase.COMPILE, r"^Memory pool end\.", done=True),
    LogMark(Phase.GRAPHS, r"^Capture .*(?:CUDA|cuda) graph begin"),
    LogMark(Phase.GRAPHS, r"^Capturing batches", progress=r"^Capturing batches[^%]*?: +(\d+)%"),
    LogMark(Phase.GRAPHS, r"^Capture .*(?:CUDA|cuda) graph end", done=True),
    LogMark(Phase.GRAPHS, r"^max_total_num_tokens=", done=True),
    LogMark(Phase.READY, r"Uvicorn running on https?://|Dummy health check server started"),
    LogMark(Phase.READY, r"The server is fired up and ready to roll!", done=True),
)

LLAMA_MARKS: tuple[LogMark, ...] = (
    LogMark(Phase.START, r"^(?:build|system_info):|llama_server: (?:build|starting)|^srv +\w+: .*build"),
    LogMark(Phase.LOAD, r"load_model: loading model|load_tensors: loading model tensors|llama_model_load"),
    LogMark(Phase.LOAD, r"load_tensors: offloaded \d+/\d+ layers|model buffer size ="),
    LogMark(Phase.LOAD, r"llama_context: n_ctx +=|KV buffer size =|llama_kv_cache: size =", done=True),
    LogMark(Phase.COMPILE, r"warming up the model with an empty run"),
    LogMark(Phase.COMPILE, r"load_model: initializing, n_slots =|load_model: initializing slots", done=True),
    LogMark(Phase.READY, r"model loaded"),
    LogMark(Phase.READY, r"(?:main: server is|llama_server:) listening on https?://|all slots are idle", done=True),
)
