"""Lines as engines, Docker and hosts print them: what each means and its repair."""

from __future__ import annotations

import pytest

from sparkrun_tui.launch.diagnosis.diagnose import diagnose
from tests.launch.told import overrides, told

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


@pytest.mark.parametrize("engine", ["vllm", "sglang", "llama-cpp"])
def test_a_cause_whose_words_are_cut_off_is_still_named(engine: str) -> None:
    for line in ("error: unrecognized arguments:\t", "error: unrecognized arguments: ", "error: invalid argument: "):
        diagnose(engine, {"spark-1": (line,)}, values={}, memory_total=None)
    found = told("vllm: error: unrecognized arguments: \t", engine="vllm")
    assert found.repairs
