"""The first cause of a failure, out of logs as engines and hosts print them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from sparkrun_tui.base.units import GIB
from sparkrun_tui.launch.diagnosis import ExitInfo, diagnose
from sparkrun_tui.launch.events import Diagnosed
from sparkrun_tui.launch.logs import LogLine

VALUES = {
    "max_model_len": "262144",
    "gpu_memory_utilization": "0.80",
    "port": "8000",
    "tensor_parallel": "3",
    "max_num_seqs": "64",
    "max_num_batched_tokens": "8192",
}
SPARK = int(121.69 * GIB)

KV_TOO_SMALL = (
    "ValueError: To serve at least one request with the model's max seq len (262144), (9.1 GiB KV cache is needed, "
    "which is larger than the available KV cache memory (6.6 GiB). Based on the available memory, the estimated "
    "maximum model length is 190272. Try increasing `gpu_memory_utilization` or decreasing `max_model_len`."
)
ECHOES = [
    "(EngineCore pid=30) ERROR 03-01 10:00:05 [core.py:1510] Exception: WorkerProc initialization failed due to an "
    "exception in a background process. See stack trace for root cause.",
    "Traceback (most recent call last):",
    '  File "/opt/vllm/entry.py", line 12, in main',
    "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}",
]


def told(
    *lines: str, engine: str = "vllm", values: Mapping[str, str] = VALUES, memory_total: int | None = SPARK
) -> Diagnosed:
    found = diagnose(engine, {"spark-1": lines}, values=values, memory_total=memory_total)
    assert found is not None
    return found


def overrides(found: Diagnosed) -> dict[str, str]:
    return {repair.key: repair.value for repair in found.repairs if repair.key}


def test_kv_cache_too_small_with_its_three_repairs() -> None:
    line = f"(EngineCore pid=31) ERROR 03-01 10:42:55 [core.py:1510] {KV_TOO_SMALL}"
    found = told("(EngineCore pid=31) INFO 03-01 10:42:50 [a.py:1] fine", line, *ECHOES)
    assert found.host == "spark-1"
    assert found.title == "KV cache too small for the context"
    assert "262144 tokens needs 9.1 GiB" in found.explanation
    assert "6.6 GiB are there" in found.explanation
    assert "estimated maximum model length" in found.evidence
    assert overrides(found) == {
        "max_model_len": "190272",
        "gpu_memory_utilization": "0.83",
        "kv_cache_dtype": "fp8",
    }
    assert found.repairs[0].title == "max_model_len 262144 → 190272"
    assert found.repairs[1].why == "the host keeps 21 GiB"


def test_a_fraction_that_would_starve_the_host_is_not_offered() -> None:
    found = told(KV_TOO_SMALL, values={**VALUES, "gpu_memory_utilization": "0.92"})
    assert "gpu_memory_utilization" not in overrides(found)
    assert "gpu_memory_utilization" not in overrides(told(KV_TOO_SMALL, memory_total=None))


def test_the_start_check_from_its_four_numbers() -> None:
    found = told(
        "(EngineCore pid=31) ERROR 03-01 10:00:00 [core.py:9] ValueError: Free memory on device cuda:0 "
        "(98.75/121.63 GiB) on startup is less than desired GPU memory utilization (0.85, 103.38 GiB). Decrease it."
    )
    assert "98.75 of 121.63 GiB" in found.explanation
    assert "103.38 GiB" in found.explanation
    assert overrides(found) == {"gpu_memory_utilization": "0.80"}
    starved = told(
        "ValueError: Free memory on device cuda:0 (2.8/121.63 GiB) on startup is less than desired GPU memory "
        "utilization (0.85, 103.38 GiB)."
    )
    assert overrides(starved) == {}
    assert "stop what else holds memory" in starved.repairs[0].title


def test_the_totals_line_is_not_the_error_it_begins_like() -> None:
    line = (
        "(Worker pid=9) INFO 03-01 10:00:00 [w.py:1] Free memory on device (110.2/121.6 GiB) on startup. Desired GPU "
        "memory utilization is (0.8, 97.3 GiB). Actual usage is 40.1 GiB for consumed memory (weights + non-torch)"
    )
    assert diagnose("vllm", {"spark-1": [line]}) is None


_SMALLER = {"max_num_seqs": "32", "chunked_prefill_size": "4096"}
OOM = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has 3.10 GiB free."


@pytest.mark.parametrize(
    ("before", "said", "keys"),
    [
        ("Starting to load model acme/falcon...", "while it loaded the weights", set()),
        (
            "[backbone] Dynamo bytecode transform time: 4.1 s",
            "while it tried a full batch",
            {"max_num_batched_tokens", "max_num_seqs"},
        ),
        ("Capturing CUDA graphs:  10%|", "while it captured CUDA graphs", {"gpu_memory_utilization", "enforce_eager"}),
        ("INFO:     Application startup complete.", "while it served", {"gpu_memory_utilization"}),
    ],
)
def test_out_of_memory_is_mended_by_the_phase_it_came_in(before: str, said: str, keys: set[str]) -> None:
    found = told(before, OOM)
    assert said in found.explanation
    assert "20.00 GiB" in found.explanation
    assert set(overrides(found)) == keys


def test_a_starved_driver_is_not_a_matter_of_the_fraction() -> None:
    found = told("    free, total = torch.cuda.mem_get_info()", "torch.AcceleratorError: CUDA error: out of memory")
    assert found.title == "The driver has no memory to give"
    assert overrides(found) == {}


@pytest.mark.parametrize(
    ("engine", "line", "title", "repair"),
    [
        ("vllm", "vllm: error: unrecognized arguments: --no-such-flag 5", "Unknown flag", {}),
        (
            "vllm",
            "vllm serve: error: argument --dtype: invalid choice: 'int3' (choose from 'auto', 'bfloat16')",
            "A flag's value is refused",
            {"dtype": "auto"},
        ),
        ("vllm", "vllm serve: error: argument --max-model-len: invalid value: 'abc'", "A flag's value is refused", {}),
        ("vllm", "OSError: [Errno 98] Address already in use", "The port is taken", {"port": "8001"}),
        ("vllm", "OverflowError: bind(): port must be 0-65535.", "Not a port", {}),
        (
            "vllm",
            "  Value error, User-specified max_model_len (262144) is greater than the derived max_model_len "
            "(max_position_embeddings=4096.0 or model_max_length=None in model's config.json). [type=value_error",
            "Context longer than the model's",
            {"max_model_len": "4096"},
        ),
        (
            "vllm",
            "  Value error, Total number of attention heads (4) must be divisible by tensor parallel size (3). [type=",
            "Heads cannot be split",
            {"tensor_parallel": "2"},
        ),
        (
            "vllm",
            "  Value error, The repository acme/falcon contains custom code which must be executed to correctly load",
            "The model brings its own code",
            {"trust_remote_code": "true"},
        ),
        ("vllm", "  Value error, Unknown quantization method: foo. Must be one of ['awq']", "Unknown quantisation", {}),
        (
            "vllm",
            "  Value error, The checkpoint you are trying to load has model type `q9` but Transformers does not "
            "recognize this architecture.",
            "The image is too old for this model",
            {},
        ),
        (
            "vllm",
            "  Value error, Model architectures ['Q9ForCausalLM'] are not supported for now. Supported: dict_keys([",
            "The engine does not know this model",
            {},
        ),
        ("vllm", "  Value error, something new. [type=value_error, input", "A setting is refused", {}),
        ("vllm", "  Input should be 'ngram' or 'medusa' [type=literal_error", "A setting is refused", {}),
        (
            "vllm",
            "ValueError: The model's max seq len (8192) is larger than the maximum number of tokens that can be stored "
            "in KV cache (4096). Try increasing",
            "KV cache too small for the context",
            {"max_model_len": "4096", "kv_cache_dtype": "fp8"},
        ),
        (
            "vllm",
            "ValueError: No available memory for the cache blocks. Try increasing",
            "No room for the KV cache",
            {"gpu_memory_utilization": "0.84", "max_num_batched_tokens": "4096"},
        ),
        (
            "vllm",
            "RuntimeError: CUDA out of memory occurred when warming up sampler with 1024 dummy requests.",
            "Too many requests at once",
            {"max_num_seqs": "32"},
        ),
        ("vllm", "ray.exceptions.OutOfMemoryError: 1 worker(s) were killed due to the node", "Ray killed a worker", {}),
        (
            "vllm",
            "ValueError: World size (2) is larger than the number of available GPUs (1) in this node. If this is",
            "More ranks than GPUs on the host",
            {"tensor_parallel": "1"},
        ),
        ("vllm", "ValueError: Cannot provide a placement group requiring 2 GPUs", "Ray has too few GPUs", {}),
        ("vllm", "FileNotFoundError in SemLock._rebuild", "Ranks on several hosts through local processes", {}),
        ("vllm", "ValueError: Failed to find a kernel that can implement the NVFP4 layer. Reasons: ", "No kernel", {}),
        ("vllm", "SafetensorError: Error while deserializing header", "A file of the model is damaged", {}),
        ("vllm", "MemoryError", "A file of the model is damaged", {}),
        (
            "vllm",
            "FileNotFoundError: Weight files referenced in index but missing: {'a-00002-of-00002.safetensors'}",
            "Files of the model are missing",
            {},
        ),
        ("vllm", "OSError: We couldn't connect to 'http://127.0.0.1:9' to load the files", "The Hub cannot", {}),
        (
            "vllm",
            "huggingface_hub.errors.LocalEntryNotFoundError: Cannot find an appropriate cached snapshot folder",
            "The model is not on this host",
            {},
        ),
        (
            "vllm",
            "HFValidationError: Repo id must be in the form 'a' or 'a/b': '/models/none'.",
            "The model's path",
            {},
        ),
        ("vllm", "OSError: You are trying to access a gated repo.", "No access to the model", {}),
        ("vllm", "HfHubHTTPError: 429 Client Error: Too Many Requests", "Too many requests", {}),
        ("vllm", "start.sh: line 3: vllm: command not found", "The image lacks the engine", {}),
        ("vllm", "RuntimeError: Failed to find C compiler. Please specify", "The image lacks a compiler", {}),
        ("vllm", "RuntimeError: CUDA unknown error - this may be due to", "Driver and image do not match", {}),
        (
            "vllm",
            "spark-1:9:9 [0] NCCL INFO Call to ibv_reg_mr_iova2 failed with error Cannot allocate memory",
            "RDMA memory cannot be registered",
            {},
        ),
        ("vllm", "spark-1:9:9 [0] misc/socket.cc NCCL WARN socket: Socket operation on non-socket", "NCCL has the", {}),
        ("vllm", "NCCL WARN transport/net_ib.cc: operation=Connect, res=3", "NCCL cannot connect", {}),
        (
            "vllm",
            "NVRM: nvCheckOkFailedNoLog: Check failed: Out of memory [NV_ERR_NO_MEMORY]",
            "The driver ran out",
            {},
        ),
        ("vllm", "OSError: [Errno 28] No space left on device", "The disk is full", {}),
        (
            "sglang",
            "ValueError: Loaded weights leave no GPU memory for the KV cache under --mem-fraction-static=0.8. Raise "
            "--mem-fraction-static above 0.842 (minimum viable = 1 - available/pre = 0.842).",
            "No room for the KV cache",
            {"gpu_memory_utilization": "0.86"},
        ),
        (
            "sglang",
            "RuntimeError: Not enough memory. Please try to increase --mem-fraction-static. Current value: "
            "mem_fraction_static=0.8",
            "No room for the KV cache",
            _SMALLER,
        ),
        (
            "sglang",
            "RuntimeError: The memory capacity is unbalanced. Some GPUs may be occupied",
            "One host has less",
            {},
        ),
        (
            "sglang",
            "sglang serve: error: argument --kv-cache-dtype: invalid choice: 'fp8' (choose from 'auto', 'fp8_e4m3')",
            "vLLM's word for an fp8 KV cache",
            {"kv_cache_dtype": "fp8_e4m3"},
        ),
        (
            "sglang",
            "sglang serve: error: ambiguous option: --cuda could match --cuda-a, --cuda-b",
            "Ambiguous flag",
            {},
        ),
        (
            "sglang",
            "ValueError: SWA pool (128 tokens) cannot hold even one request: x",
            "Sliding-window pool",
            _SMALLER,
        ),
        (
            "sglang",
            "RuntimeError: Not enough GPU memory for hybrid (mamba/linear-attention) state cache. Computed "
            "max_mamba_cache_size=0",
            "No room for the model's states",
            _SMALLER,
        ),
        ("llama-cpp", "error: invalid argument: --no-mmap", "Unknown flag", {}),
        ("llama-cpp", 'error while handling argument "-fa": error: unknown value', "--flash-attn needs a value", {}),
        ("llama-cpp", 'error while handling argument "-c": stoi', "A flag's value is refused", {}),
        (
            "llama-cpp",
            "0.03.380.765 E ggml_backend_buft: failed to allocate CUDA0 buffer of size 114710020096",
            "Not enough memory",
            {"max_model_len": "131072"},
        ),
        ("llama-cpp", "0.00.090.441 E gguf_init: invalid magic characters: 'NOPE', expected 'GGUF'", "Not a GGUF", {}),
        (
            "llama-cpp",
            "0.00.1 E tensor 'output.weight' data is not within the file bounds",
            "The model file is cut",
            {},
        ),
        ("llama-cpp", "0.00.038.446 E llama_model_load: unknown model architecture: 'lx'", "llama.cpp is too old", {}),
        (
            "llama-cpp",
            "0.00.041.782 E failed to open GGUF file '/m/x.gguf' (No such file or directory)",
            "The model",
            {},
        ),
        ("llama-cpp", "0.00.1 E llama_init: quantized V cache requires flash_attn to be enabled", "A quantised V", {}),
        (
            "llama-cpp",
            "0.00.081.709 E K cache type q8_0 with block size 32 does not divide n_embd_head_k=16",
            "This cache type does not fit the model",
            {"cache_type_k": "f16"},
        ),
        (
            "llama-cpp",
            "0.00.016.504 E srv start: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 8000",
            "The port is taken",
            {"port": "8001"},
        ),
        ("vllm", "Error response from daemon: manifest unknown: manifest unknown", "The image's tag does not", {}),
        ("vllm", "no matching manifest for linux/arm64/v8 in the manifest list", "The image is for another", {}),
        ("vllm", "exec /usr/bin/bash: exec format error", "The image is for another processor", {}),
        ("vllm", "pull access denied for vllm-node, repository does not exist", "The image cannot be pulled", {}),
        ("vllm", 'could not select device driver "" with capabilities: [[gpu]]', "Docker has no GPU there", {}),
        ("vllm", "permission denied while trying to connect to the Docker daemon socket", "No access to Docker", {}),
        ("vllm", 'Conflict. The container name "/x" is already in use by container', "A container has this name", {}),
        ("vllm", 'rsync: [Receiver] mkdir "/x/hub" failed: Permission denied (13)', "The copy has no place", {}),
        ("vllm", "Connection timed out during banner exchange", "The host hardly answers", {}),
        ("vllm", "Bind for 0.0.0.0:8000 failed: port is already allocated", "The port is taken", {"port": "8001"}),
    ],
)
def test_a_line_its_meaning_and_its_repair(engine: str, line: str, title: str, repair: dict[str, str]) -> None:
    found = told(line, engine=engine)
    assert found.title.startswith(title)
    assert found.explanation
    assert line.strip() == found.evidence
    assert overrides(found) == repair
    assert found.repairs


def test_echoes_are_never_the_cause() -> None:
    assert diagnose("vllm", {"spark-1": ECHOES}) is None
    lines = ["EngineDeadError: EngineCore encountered an issue.", "RuntimeError: cancelled", "Initialization failed."]
    assert diagnose("vllm", {"spark-1": lines}) is None


def test_an_unknown_exception_of_the_deepest_process() -> None:
    found = told(
        "(APIServer pid=1) ERROR 03-01 10:00:04 [a.py:1] LookupError: shallow",
        "(EngineCore pid=2) ERROR 03-01 10:00:04 [a.py:1] KeyError: 'middle'",
        "(EngineCore pid=2) (Worker_TP0 pid=9) ERROR 03-01 10:00:05 [b.py:2] mylib.KernelError: wrong shape",
        "(Worker_TP0 pid=9) ERROR 03-01 10:00:05 [b.py:2] RuntimeError: later",
        *ECHOES,
    )
    assert (found.title, found.explanation) == ("KernelError", "The engine failed with KernelError: wrong shape")


def test_a_warning_is_not_a_failure() -> None:
    lines = [
        "(APIServer pid=1) WARNING 03-01 10:00:04 [a.py:1] OSError: [Errno 98] Address already in use",
        "(APIServer pid=1) INFO 03-01 10:00:04 [a.py:1] 401 Client Error, trying without a token",
    ]
    assert diagnose("vllm", {"spark-1": lines}) is None


def test_the_cause_on_another_host_beats_the_head_that_waited() -> None:
    found = diagnose(
        "vllm",
        {
            "spark-1": [
                "DistStoreError: Timed out after 1801 seconds waiting for clients. 1/2 clients joined.",
                *ECHOES,
            ],
            "spark-2": ["huggingface_hub.errors.LocalEntryNotFoundError: Cannot find an appropriate cached snapshot"],
        },
    )
    assert found is not None
    assert (found.host, found.title) == ("spark-2", "The model is not on this host")


def test_alone_the_wait_is_the_cause() -> None:
    found = told("DistStoreError: Timed out after 41 seconds waiting for clients. 1/2 clients joined.")
    assert found.explanation == "The head waited 41 seconds; 1 of 2 ranks joined."


def test_with_times_the_earliest_of_equals_wins() -> None:
    late = LogLine(20.0, "stderr", "SafetensorError: late")
    early = LogLine(10.0, "stderr", "OSError: [Errno 28] No space left on device")
    found = diagnose("vllm", {"spark-1": [late], "spark-2": [early]})
    assert found is not None
    assert found.host == "spark-2"


def test_a_killed_worker_after_readiness() -> None:
    found = told(
        "INFO:     Application startup complete.",
        "(EngineCore pid=31) ERROR 03-01 10:00:21 [m.py:1] Worker proc VllmWorker-0 died unexpectedly (exit code: -9),",
        "(EngineCore pid=31) ERROR 03-01 10:00:21 [core.py:1] EngineCore encountered a fatal error.",
        "RuntimeError: cancelled",
    )
    assert found.title == "A worker process was killed"
    assert overrides(found) == {"gpu_memory_utilization": "0.75"}


@pytest.mark.parametrize(
    ("ended", "title"),
    [
        (ExitInfo(137), "Killed"),
        (ExitInfo(137, oom_killed=True), "Killed: the container's memory limit"),
        (ExitInfo(139), "Crashed"),
        (ExitInfo(0), "Ended by itself"),
        (ExitInfo(1), "Ended with an error"),
    ],
)
def test_without_a_word_the_exit_tells(ended: ExitInfo, title: str) -> None:
    found = diagnose("vllm", {"spark-1": ["nothing"]}, {"spark-1": ended}, values=VALUES)
    assert found is not None
    assert (found.host, found.title) == ("spark-1", title)
    assert found.repairs


def test_our_own_stop_is_no_failure() -> None:
    exits = {"spark-1": ExitInfo(137, stopped_by_us=True), "spark-2": ExitInfo(None)}
    assert diagnose("vllm", {"spark-1": []}, exits) is None


def test_a_word_beats_the_exit() -> None:
    found = diagnose("vllm", {"spark-1": [OOM]}, {"spark-1": ExitInfo(1)})
    assert found is not None
    assert found.title == "Out of GPU memory"


def test_repairs_speak_of_the_recipes_own_keys() -> None:
    values = {"context_length": "8192", "mem_fraction_static": "0.8"}
    found = told(KV_TOO_SMALL, values=values)
    assert overrides(found)["context_length"] == "190272"
    assert overrides(found)["mem_fraction_static"] == "0.83"


def test_evidence_is_safe_to_draw() -> None:
    found = told("\x1b[31mOSError: [Errno 98] Address already in use\x1b]0;title\x07\x1b[0m")
    assert found.evidence == "OSError: [Errno 98] Address already in use"
