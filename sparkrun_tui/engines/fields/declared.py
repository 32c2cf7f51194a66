"""The override keys that engines share, each described once: type, limits, help and known values."""

from __future__ import annotations

from sparkrun_tui.engines.fields.types import Field, FieldType, type_of
from sparkrun_tui.recipe.model import Value

__all__ = ["FIELDS", "Field", "FieldType", "field_for"]

_INT, _FLOAT, _BOOL = FieldType.INT, FieldType.FLOAT, FieldType.BOOL
_TEXT, _CHOICE, _JSON = FieldType.TEXT, FieldType.CHOICE, FieldType.JSON
_TOOL_PARSERS = (
    "deepseek_v3", "deepseek_v31", "gemma4", "glm45", "glm47", "granite", "hermes", "internlm", "jamba", "kimi_k2",
    "llama3_json", "llama4_pythonic", "minimax_m2", "mistral", "olmo3", "openai", "phi4_mini_json", "pythonic",
    "qwen3_coder", "qwen3_xml", "seed_oss", "step3", "xlam",
)  # fmt: skip
_REASONING_PARSERS = (
    "deepseek_r1", "deepseek_v3", "gemma4", "glm45", "granite", "hunyuan_a13b", "kimi_k2", "minimax_m2",
    "minimax_m2_append_think", "mistral", "nemotron_v3", "olmo3", "openai_gptoss", "qwen3", "seed_oss", "step3",
)  # fmt: skip
_KV_DTYPES = ("auto", "bfloat16", "fp8", "fp8_e4m3", "fp8_e5m2", "nvfp4")
_CACHE_TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")
_QUANTIZATION = (
    "awq", "awq_marlin", "bitsandbytes", "compressed-tensors", "fp8", "gptq", "gptq_marlin", "modelopt",
    "modelopt_fp4", "mxfp4",
)  # fmt: skip


_DECLARED = (
    Field("port", "Port", _INT, "The TCP port of the API on the head node.", minimum=1, maximum=65535, option="--port"),
    Field("host", "Bind address", _TEXT, "The address the API listens on; 0.0.0.0 is every interface.",
          values=("0.0.0.0", "127.0.0.1")),
    Field("tensor_parallel", "Tensor parallel", _INT, "GPUs that share each layer; on a Spark, one host each.",
          "GPUs", 1, 64, option="--tp"),
    Field("pipeline_parallel", "Pipeline parallel", _INT, "Groups of layers that run on different hosts in turn.",
          "stages", 1, 64, option="--pp"),
    Field("data_parallel", "Data parallel", _INT, "Copies of the model that share the requests.",
          "copies", 1, 64, option="--dp"),
    Field("expert_parallel", "Expert parallel", _INT, "Ranks that share the experts of a mixture.", "ranks", 1, 64,
          words=("true", "false")),
    Field("gpu_memory_utilization", "GPU memory", _FLOAT,
          "The share of a host's memory that the engine may take, from 0 to 1.", "of memory", above=0, maximum=1,
          step=0.01, option="--gpu-mem"),
    Field("max_model_len", "Context", _INT, "The longest request, prompt and answer together.", "tokens", 1,
          step=4096, words=("auto", "-1"), option="--max-model-len"),
    Field("ctx_size", "Context", _INT, "The context window that all slots share; 0 is the model's own length.",
          "tokens", 0, step=4096),
    Field("served_model_name", "Served name", _TEXT, "The model's name in the API.",
          option="--served-model-name"),
    Field("max_num_seqs", "Requests at once", _INT, "How many requests are processed at the same time.", "requests",
          1, step=1),
    Field("max_num_batched_tokens", "Tokens per step", _INT, "The most tokens of one scheduling step.", "tokens",
          1, step=1024),
    Field("chunked_prefill_size", "Prefill chunk", _INT, "Long prompts are read in pieces of this many tokens.",
          "tokens", -1, step=1024),
    Field("kv_cache_dtype", "KV cache type", _TEXT, "The number format of the KV cache; fp8 halves it.",
          values=_KV_DTYPES),
    Field("dtype", "Compute type", _TEXT, "The number format of activations and unquantised weights.",
          values=("auto", "bfloat16", "float16")),
    Field("quantization", "Quantisation", _TEXT, "How the weights are quantised, when the model does not say.",
          values=_QUANTIZATION),
    Field("block_size", "Block size", _INT, "Tokens in one block of the KV cache.", "tokens", 1, step=16),
    Field("load_format", "Load format", _TEXT, "How the weight files are read.",
          values=("auto", "safetensors", "fastsafetensors", "instanttensor", "runai_streamer")),
    Field("attention_backend", "Attention backend", _TEXT, "The attention kernels to use.",
          values=("FLASHINFER", "FLASH_ATTN", "TRITON_ATTN", "flashinfer", "triton")),
    Field("moe_backend", "Expert kernels", _TEXT, "The kernels for mixture-of-experts layers.",
          values=("auto", "marlin", "triton", "cutlass", "flashinfer_cutlass")),
    Field("tool_call_parser", "Tool call parser", _TEXT, "How tool calls are found in the model's text.",
          values=_TOOL_PARSERS),
    Field("enable_auto_tool_choice", "Automatic tool choice", _BOOL, "Whether the model may call tools by itself."),
    Field("reasoning_parser", "Reasoning parser", _TEXT, "How the model's thinking is separated from its answer.",
          values=_REASONING_PARSERS),
    Field("trust_remote_code", "Trust remote code", _BOOL,
          "Runs Python code that comes with the model: only for models you trust."),
    Field("enforce_eager", "No CUDA graphs", _BOOL, "Starts faster and takes less memory, but answers more slowly."),
    Field("enable_prefix_caching", "Prefix caching", _BOOL, "Keeps the KV cache of prompts that begin alike."),
    Field("enable_expert_parallel", "Expert parallel", _BOOL, "Puts whole experts on each GPU."),
    Field("max_cudagraph_capture_size", "Largest CUDA graph", _INT, "The largest batch that is captured as a graph.",
          "requests", 0, step=8),
    Field("speculative_config", "Speculative decoding", _JSON, "Method and number of drafted tokens, as JSON."),
    Field("num_speculative_tokens", "Drafted tokens", _INT, "Tokens that are drafted ahead in each step.", "tokens",
          1, 32),
    Field("distributed_executor_backend", "Executor", _TEXT, "How the processes of several hosts are run.",
          values=("mp", "ray")),
    Field("kv_cache_memory_bytes", "KV cache memory", _INT, "A fixed size of the KV cache instead of a share.",
          "bytes"),
    Field("cpu_offload_gb", "CPU offload", _FLOAT, "Weights kept in host memory; pointless on unified memory.",
          "GiB", 0),
    Field("seed", "Seed", _INT, "Makes sampling repeatable."),
    Field("n_gpu_layers", "Layers on the GPU", _INT, "Layers kept on the GPU; 99 is all of them.", "layers", -1, 999,
          words=("auto", "all")),
    Field("parallel", "Slots", _INT, "Requests at the same time, which share the context.", "slots", -1, 256),
    Field("n_parallel", "Slots", _INT, "Requests at the same time, which share the context.", "slots", -1, 256),
    Field("threads", "Threads", _INT, "CPU threads for the work that is not on the GPU.", "threads", -1, 1024),
    Field("batch_size", "Batch", _INT, "The most tokens that are submitted together.", "tokens", 1, step=256),
    Field("ubatch_size", "Micro batch", _INT, "The most tokens that are computed together.", "tokens", 1, step=128),
    Field("cache_type_k", "Key cache type", _CHOICE, "The number format of keys in the KV cache.",
          values=_CACHE_TYPES),
    Field("cache_type_v", "Value cache type", _CHOICE, "The number format of values in the KV cache.",
          values=_CACHE_TYPES),
    Field("flash_attn", "Flash attention", _TEXT, "Needed for a quantised value cache.",
          values=("on", "off", "auto")),
    Field("chat_template", "Chat template", _TEXT, "The template that turns messages into a prompt."),
    Field("mmproj", "Projector", _TEXT, "The file for images and sound: a part of its name, auto, or none.",
          values=("auto", "F16", "BF16", "F32", "none")),
    Field("reasoning_format", "Reasoning format", _TEXT, "How thinking appears in answers.",
          values=("auto", "none", "deepseek", "deepseek-legacy")),
)  # fmt: skip

FIELDS = {field.key: field for field in _DECLARED}
"""Well-known keys in the order a form shows them."""


def field_for(key: str, default: Value | None = None) -> Field:
    """The declaration of `key`; an unknown key gets the type of its default, or text where it has none."""
    known = FIELDS.get(key)
    if known is not None:
        return known
    kind = type_of(default)
    step: float = 1
    if kind is FieldType.FLOAT:
        step = 0.01
    return Field(key, key.replace("_", " ").replace("-", " ").strip().capitalize(), kind, step=step, known=False)
