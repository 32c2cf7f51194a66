"""Lines as engines, Docker and hosts print them: what each means and its repair."""

from __future__ import annotations

import pytest

from sparkrun_tui.launch.diagnosis.diagnose import diagnose
from tests.launch.diagnosed import diagnosed, overrides

_SMALLER = {"max_num_seqs": "32", "chunked_prefill_size": "4096"}


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
            "Too many concurrent requests",
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
        ("vllm", "ValueError: Failed to find a kernel that can implement the NVFP4 layer. Reasons: ", "No kernel", {}),
        ("vllm", "SafetensorError: Error while deserializing header", "A file of the model is damaged", {}),
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
        (
            "vllm",
            "Value error, Unknown attention backend: 'B12X_MLA_SPARSE'. Valid options are: FLASH_ATTN, TRITON_ATTN",
            "The image does not know the attention kernel",
            {},
        ),
        (
            "vllm",
            "RuntimeError: a and b must have same reduction dim, but got [8192, 3840] X [5632, 1024].",
            "Two layers do not fit together",
            {"env.VLLM_USE_V2_MODEL_RUNNER": "1"},
        ),
        ("vllm", "start.sh: line 3: vllm: command not found", "The image lacks the engine", {}),
        ("vllm", "bash: vllm: command not found", "The image lacks the engine", {}),
        ("llama-cpp", "sh: 1: llama-server: not found", "The image lacks the engine", {}),
        (
            "vllm",
            "/bin/bash: line 1: ray: command not found",
            "The image lacks Ray",
            {"distributed_executor_backend": "mp"},
        ),
        ("vllm", "sh: 1: ray: not found", "The image lacks Ray", {"distributed_executor_backend": "mp"}),
        (
            "vllm",
            "ValueError: The supplied chat template string (falcon.jinja) appears path-like, but doesn't exist!",
            "The chat template is not in the container",
            {},
        ),
        (
            "sglang",
            "RuntimeError: Chat template /t/falcon.jinja is not a built-in template name or a valid chat template file",
            "The chat template is not in the container",
            {},
        ),
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
        (
            "vllm",
            "ValueError: max_num_seqs (64) exceeds available Mamba cache blocks (51). Each request needs one",
            "Too many concurrent requests",
            {"max_num_seqs": "51"},
        ),
        (
            "vllm",
            "AssertionError: Error in memory profiling. Initial free memory 98.0 GiB, current free memory 100.59 GiB.",
            "Memory changed while vLLM measured it",
            {},
        ),
        (
            "vllm",
            "TimeoutError: Timed out waiting for engine core processes to start. Waited 600s (configured by",
            "Loading took longer than vLLM waits",
            {},
        ),
        (
            "vllm",
            "ValueError: No valid attention backend found for cuda with AttentionSelectorConfig(head_size=256, "
            "kv_cache_dtype=nvfp4). Reasons: {FLASH: [kv_cache_dtype not supported]}.",
            "No attention kernel for these settings",
            {"kv_cache_dtype": "auto"},
        ),
        (
            "vllm",
            "ValueError: No valid attention backend found for cuda with AttentionSelectorConfig(head_size=256)",
            "No attention kernel for these settings",
            {},
        ),
        (
            "vllm",
            "ValueError: fp8_e5m2 kv-cache is not supported with fp8 checkpoints",
            "This KV cache type does not go with fp8 weights",
            {"kv_cache_dtype": "fp8"},
        ),
        (
            "vllm",
            "ValueError: Current node has no GPU available. current_node_resource={'CPU': 2.0}. vLLM engine",
            "Ray has no free GPU on the head",
            {},
        ),
        (
            "vllm",
            "AssertionError: Session name session_2 does not match persisted value b'session_1'. Perhaps",
            "Another Ray answers there",
            {},
        ),
        (
            "vllm",
            "huggingface_hub.errors.IncompleteSnapshotError: The cached snapshot for 'org/m' (revision 'main', commit "
            f"{'ab12' * 10}) is incomplete: 3 file(s) are missing (README.md, LICENSE, merges.txt). Outgoing traffic",
            "The cached model is a part of the repository",
            {},
        ),
        (
            "vllm",
            "spark-2:9:9 [0] NCCL WARN Call to ibv_modify_qp failed with 61 No data available, on dev rocep1s0f0:1, "
            "curr state INIT, next state RTR, local GID index 5, local GID ::, remote GID ::ffff:192.0.2.1",
            "The RDMA address index does not fit",
            {},
        ),
        ("vllm", "spark-2:220:301 [0] NCCL WARN Failed to initialize any NET plugin", "NCCL finds no network", {}),
        (
            "vllm",
            "spark-1:1:1 [0] NCCL WARN NET/IB : Got completion from peer 192.0.2.2<3860> with error 12, opcode 0",
            "The link to another host broke",
            {},
        ),
        (
            "vllm",
            "Error while creating shared memory segment /dev/shm/nccl-a (size 106), error: No space left on device",
            "Shared memory is full",
            {},
        ),
        ("vllm", "OSError: [Errno 28] No space left on device: '/psm_ab12'", "Shared memory is full", {}),
        ("vllm", "RuntimeError: NCCL error: unhandled system error (run with NCCL_DEBUG=INFO", "NCCL failed", {}),
        (
            "vllm",
            "torch.distributed.DistBackendError: NCCL error in: /p/NCCLUtils.cpp:94, remote process exited or there",
            "NCCL failed",
            {},
        ),
        (
            "vllm",
            "ptxas fatal   : Value 'sm_121a' is not defined for option 'gpu-name'",
            "The compiler in the image does not know",
            {},
        ),
        ("vllm", "nvcc fatal   : Unknown option '--compress-mode=size'", "The compiler in the image is too old", {}),
        ("vllm", "nvcc fatal   : Unsupported gpu architecture 'compute_121a'", "The compiler in the image is too", {}),
        ("vllm", "RuntimeError: Ninja build failed. Ninja output:", "Kernels could not be compiled", {}),
        ("vllm", "KeyError: 'layers.0.mlp.experts.w13_bias'", "The weights do not fit the engine's model", {}),
        (
            "vllm",
            "KeyError: 'invalid tool call parser: qwen3_code (chose from { hermes, qwen3_coder, xlam })'",
            "A flag's value is refused",
            {},
        ),
        (
            "sglang",
            "ValueError: No processor registered for architecture: ['Phi4MMForCausalLM'].",
            "The engine cannot read this model's images",
            {},
        ),
        ("sglang", "[sgl_kernel] CRITICAL: Could not load any common_ops library!", "The image is not built for", {}),
        (
            "sglang",
            "RuntimeError: NVML_SUCCESS == r INTERNAL ASSERT FAILED at CUDACachingAllocator.cpp:1016",
            "Out of GPU memory",
            {"gpu_memory_utilization": "0.75", "max_num_seqs": "32"},
        ),
        ("llama-cpp", "error: invalid argument: 0.0.0.0", "The flag before it has no value", {}),
        (
            "llama-cpp",
            "0.00.500.000 E llama_model_load: error loading model vocabulary: unknown pre-tokenizer type: 'minicpm5'",
            "llama.cpp is too old for this model",
            {},
        ),
        (
            "llama-cpp",
            "0.00.910.211 E clip_init: failed to load model '/m/p.gguf': load_hparams: unknown projector type: g4",
            "llama.cpp is too old for this model's images",
            {},
        ),
        (
            "llama-cpp",
            "0.00.910.385 E srv load_model: failed to load multimodal model, '/m/mmproj.gguf'",
            "The projector could not be loaded",
            {},
        ),
        (
            "llama-cpp",
            "0.00.9 W llama_init: context type MTP requested but model doesn't contain MTP layers",
            "The model has no layers to draft with",
            {},
        ),
        (
            "llama-cpp",
            "0.00.9 E common_speculative_init: draft model vocab type must match target model to use speculation",
            "The draft model has another vocabulary",
            {},
        ),
        (
            "vllm",
            "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=13.0, please update your driver",
            "The driver is too old for the image",
            {},
        ),
        (
            "vllm",
            "nvidia-container-cli: initialization error: nvml error: driver/library version mismatch: unknown",
            "The driver was updated",
            {},
        ),
        (
            "vllm",
            "failed to discover GPU vendor from CDI: no known GPU vendor found",
            "Docker has no GPU on this host",
            {},
        ),
        (
            "vllm",
            "error setting rlimit type 8: operation not permitted",
            "Docker may not raise limits on this host",
            {},
        ),
        ("vllm", 'exec: "bash": executable file not found in $PATH: unknown', "The image lacks a program", {}),
        ("vllm", "Error response from daemon: manifest unknown: manifest unknown", "The image's tag does not", {}),
        ("vllm", "no matching manifest for linux/arm64/v8 in the manifest list", "The image is for another", {}),
        ("vllm", "exec /usr/bin/bash: exec format error", "The image is for another processor", {}),
        ("vllm", "pull access denied for vllm-node, repository does not exist", "The image cannot be pulled", {}),
        # As containerd's image store says it.
        (
            "vllm",
            'failed to resolve reference "r/x:1": unexpected status from HEAD request to '
            "http://r/v2/x/manifests/1: 401 Unauthorized",
            "The image cannot be pulled",
            {},
        ),
        (
            "vllm",
            'failed to resolve reference "r/x:1": unexpected status from HEAD request to '
            "http://r/v2/x/manifests/1: 403 Forbidden",
            "The image cannot be pulled",
            {},
        ),
        ("vllm", 'could not select device driver "" with capabilities: [[gpu]]', "Docker has no GPU on this host", {}),
        ("vllm", "permission denied while trying to connect to the Docker daemon socket", "No access to Docker", {}),
        ("vllm", 'Conflict. The container name "/x" is already in use by container', "A container has this name", {}),
        ("vllm", 'rsync: [Receiver] mkdir "/x/hub" failed: Permission denied (13)', "The copy cannot be written", {}),
        ("vllm", "Connection timed out during banner exchange", "The host hardly answers", {}),
        ("vllm", "Bind for 0.0.0.0:8000 failed: port is already allocated", "The port is taken", {"port": "8001"}),
    ],
)
def test_a_line_its_meaning_and_its_repair(engine: str, line: str, title: str, repair: dict[str, str]) -> None:
    found = diagnosed(line, engine=engine)
    assert found.title.startswith(title)
    assert found.explanation
    assert line.strip() == found.evidence
    assert overrides(found) == repair
    assert found.repairs


@pytest.mark.parametrize("engine", ["vllm", "sglang", "llama-cpp"])
def test_a_cause_whose_words_are_cut_off_is_still_named(engine: str) -> None:
    for line in ("error: unrecognized arguments:\t", "error: unrecognized arguments: ", "error: invalid argument: "):
        diagnose(engine, {"spark-1": (line,)}, values={}, memory_total=None)
    found = diagnosed("vllm: error: unrecognized arguments: \t", engine="vllm")
    assert found.repairs


def test_a_flag_with_one_dash_too_few_is_named() -> None:
    found = diagnosed("vllm: error: unrecognized arguments: -language-model-only", engine="vllm")
    assert [repair.title for repair in found.repairs] == [
        "write `--language-model-only` instead of `-language-model-only`"
    ]


def test_flags_that_join_hosts_are_not_to_be_removed_from_the_recipe() -> None:
    found = diagnosed("vllm: error: unrecognized arguments: --nnodes 2 --node-rank 0", engine="vllm")
    assert found.repairs[0].title == "use a newer image"
    assert not any("remove" in repair.title for repair in found.repairs)


def test_memory_after_the_weights_were_loaded_is_not_short_for_the_weights() -> None:
    found = diagnosed(
        "Model loading took 18.1450 GiB memory and 40.7 seconds",
        "RuntimeError: NVML_SUCCESS == r INTERNAL ASSERT FAILED at CUDACachingAllocator.cpp:1016",
    )
    assert found.title == "Out of GPU memory"
    assert overrides(found) == {"max_num_batched_tokens": "4096", "max_num_seqs": "32"}


def test_memory_that_ends_between_two_captures_of_graphs() -> None:
    found = diagnosed(
        "[2026-09-08 01:33:10 TP0] Memory pool end. avail mem=1.27 GB",
        "[2026-09-08 01:33:12 TP0] Capture draft decode CUDA graph end. elapsed=0.78 s, mem usage=0.12 GB",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 148.00 MiB.",
        engine="sglang",
    )
    assert "CUDA graphs" in found.explanation
    assert overrides(found) == {"gpu_memory_utilization": "0.75", "max_cudagraph_capture_size": "32"}


def test_a_fraction_that_is_not_known_is_lowered_by_hand() -> None:
    found = diagnose("sglang", {"spark-1": ["torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 148 MiB."]})
    assert found is not None
    assert found.repairs[0].title == "lower --mem-fraction-static by 0.05"


def test_what_nccl_says_of_a_device_counts_more_than_that_it_failed() -> None:
    found = diagnosed(
        "RuntimeError: NCCL error: unhandled system error (run with NCCL_DEBUG=INFO for details)",
        "spark-2:220:301 [0] NCCL WARN Failed to initialize any NET plugin",
    )
    assert found.title == "NCCL finds no network device"


def test_what_the_compiler_says_counts_more_than_that_the_build_failed() -> None:
    found = diagnosed(
        "RuntimeError: Ninja build failed. Ninja output:", "nvcc fatal   : Unknown option '--compress-mode=size'"
    )
    assert "--compress-mode=size" in found.explanation


def test_an_exception_without_words_is_described_by_its_code() -> None:
    found = diagnosed(
        "Traceback (most recent call last):",
        '  File "/opt/vllm/kv_cache_interface.py", line 725, in page_size_bytes',
        "    assert self.page_size_padded >= page_size",
        "           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^",
        "AssertionError",
    )
    assert "assert self.page_size_padded >= page_size" in found.explanation
    assert "kv_cache_interface.py, line 725" in found.explanation


def test_a_parser_that_is_nearly_one_of_the_known_ones() -> None:
    found = diagnosed("KeyError: 'invalid tool call parser: qwen3_code (chose from { hermes, qwen3_coder, xlam })'")
    assert any("`qwen3_coder` is similar" in repair.why for repair in found.repairs)
