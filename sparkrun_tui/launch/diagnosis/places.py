"""Places in the code of engines and of their libraries: what they are for, and what helps where one of them fails."""

from __future__ import annotations

from collections.abc import Sequence

from sparkrun_tui.base.reading.patterns import LinePattern
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.engines.logs.causes import Context, Repair, by_hand, set_env, set_value

NEWER = by_hand("use a newer image", "or the one that the recipe was made with")
EAGER = set_value("enforce_eager", "true", Context({}), "without graphs and compiled kernels")
NO_DRAFTER = by_hand("leave out the drafter: speculative_config, speculative_algorithm", "its code had called this")
OTHER_ATTENTION = by_hand("another attention_backend, or leave it to the engine")
OTHER_EXPERTS = by_hand(
    "for a model with experts another moe_backend (vLLM) or moe_runner_backend (SGLang), or auto",
)
OTHER_QUANTISATION = by_hand("another quantisation of the model")
NO_CUSTOM_REDUCE = by_hand("--disable-custom-all-reduce in the command", "NCCL does its work then")
FETCH_AGAIN = by_hand("fetch the model again", "where its files may be incomplete")

DRAFT_FILES = r"/spec_decode/|/srt/speculative/|/\w{0,40}(?:eagle|mtp|nextn|dflash|dspark)\w{0,20}\.py"
"""Paths of the files that only a drafter uses."""


@dataclass(frozen=True, slots=True)
class Place:
    """Code that has one job: an exception out of it is a failure of that job."""

    files: LinePattern
    """What the path of a file holds."""
    title: str
    why: str
    """What the code does; the exception is quoted behind it."""
    repairs: tuple[Repair, ...]
    by_checks: bool = False
    """Whether only exceptions count that a check of the code raises."""
    runs_nothing: bool = False
    """Whether it only reads files: what words say of kernels and graphs is about the model, not about its failure."""


def _place(
    files: str, title: str, why: str, *repairs: Repair, by_checks: bool = False, runs_nothing: bool = False
) -> Place:
    return Place(LinePattern(files), title, why, repairs, by_checks, runs_nothing)


DRAFTING = _place(
    DRAFT_FILES,
    "Drafting does not work with this version",
    "The code for speculative decoding failed",
    NO_DRAFTER,
    NEWER,
)
"""By any file of a traceback: whatever fails below a file that only a drafter uses fails for it."""

PLACES = (
    _place(
        r"/torch/_(?:inductor|dynamo|functorch|higher_order_ops)/|/torch/fx/|/vllm/compilation/|/srt/compilation/|"
        r"/torchinductor_\w{1,40}/|/torch_compile_cache/|/depyf/",
        "The model could not be compiled",
        "torch.compile failed",
        EAGER,
        by_hand("remove compiled code of an earlier start: ~/.cache/vllm/torch_compile_cache on that host"),
        NEWER,
    ),
    _place(
        r"/flashinfer/",
        "A kernel of flashinfer failed",
        "flashinfer refused what the engine asked of it",
        by_hand("another attention_backend; for a model with experts another moe_backend", "without flashinfer"),
        NEWER,
    ),
    _place(
        r"/(?:cutlass|cute|b12x|quack|tilelang|flash_attn|vllm_flash_attn|flash_mla|flashmla|deep_ep|pplx_kernels|"
        r"humming|fmha_sm100|tml_fa4|xformers|tokenspeed_mla|mslk|tvm_ffi|cuda/tile)/",
        "A kernel failed",
        "A library of kernels refused what the engine asked of it",
        by_hand("another attention_backend; for a model with experts another moe_backend"),
        OTHER_QUANTISATION,
        NEWER,
    ),
    _place(
        r"/(?:site|dist)-packages/triton/|/python/triton/|/triton_kernels/",
        "A Triton kernel failed",
        "Triton could not translate or start a kernel",
        by_hand("another attention_backend or another quantisation of the model"),
        NEWER,
    ),
    _place(
        r"/deep_gemm",
        "DeepGEMM failed",
        "A kernel of DeepGEMM failed",
        set_env("VLLM_USE_DEEP_GEMM", "0", "other kernels are used"),
        by_hand('SGLANG_ENABLE_JIT_DEEPGEMM: "0" in env', "the same for SGLang"),
        NEWER,
    ),
    _place(
        r"/custom_all_?reduce|/quick_all_reduce|/symm_mem|/torch_symm_mem|/flashinfer_all_reduce|/flashinfer_comm_fusion",
        "The engine's own all-reduce failed",
        "The code that adds up the parts of the ranks without NCCL failed",
        NO_CUSTOM_REDUCE,
        by_hand(
            "leave out fusing of all-reduce and symmetric memory", "pass_config, --enable-flashinfer-allreduce-fusion"
        ),
        NEWER,
    ),
    _place(
        r"/shm_broadcast|/shm_object_storage|/shm_utils|/multiprocessing/(?:shared_memory|synchronize|heap)",
        "Shared memory cannot be used",
        "The processes on one host share memory, which could not be made or opened",
        by_hand("executor_config: `ipc: host`, or a larger shm_size", "df -h /dev/shm on that host shows what is left"),
        by_hand("launch again", "where an earlier start left its parts behind"),
    ),
    _place(
        r"/vllm/_custom_ops\.py|/layers/fused_moe/|/layers/moe/|/sgl_kernel/|/kernels/moe/|/\w{0,30}mega_?moe",
        "A kernel of the engine refuses this model",
        "A kernel that was chosen for this model and GPU failed",
        by_hand("another quantisation of the model; for one with experts another moe_backend"),
        NEWER,
    ),
    _place(
        r"/vllm/lora/|/srt/lora/|/peft/|/lora_\w{1,20}\.py",
        "The adapter cannot be used",
        "The code for LoRA adapters failed",
        by_hand("check that the adapter is for this model; start without it"),
        NEWER,
    ),
    _place(
        r"/kv_transfer/|/kv_offload/|/simple_kv_offload/|/ec_transfer/|/lmcache/|/disaggregation/|/mem_cache/storage/|"
        r"/hicache|/hisparse|/nixl/|/mooncake/|/cache_controller\.py",
        "The KV cache cannot be moved",
        "The code that moves or offloads the KV cache failed",
        by_hand("start without it: kv_transfer_config, kv_offloading_size, hicache and disaggregation"),
        NEWER,
    ),
    _place(
        r"/vllm/config/|/vllm/engine/arg_utils\.py|/srt/server_args\.py|/srt/arg_groups/|/vllm/config\.py",
        "A setting is refused",
        "The engine read its settings and stopped",
        by_hand("correct it in the recipe or the overrides"),
        by_checks=True,
    ),
    _place(
        r"/vllm/tokenizers/|/transformers_utils/tokenizer|/srt/utils/hf_transformers\w{0,10}tokenizer|"
        r"/transformers/(?:tokenization_|models/[^/]{1,60}/tokenization_|convert_slow_tokenizer)|/sentencepiece/|"
        r"/tiktoken/|/mistral_common/|/tokenizers/",
        "The tokenizer cannot be loaded",
        "The code that reads the model's tokenizer failed",
        NEWER,
        by_hand("fetch the model again", "its tokenizer files may be missing, or older than the model's page"),
        by_hand("set tokenizer to the repository of the original model", "where a quantised one has no good tokenizer"),
        runs_nothing=True,
    ),
    _place(
        r"/entrypoints/chat_utils\.py|/vllm/renderers/|/template_manager\.py|/jinja2/|/chat_template",
        "The chat template does not work",
        "The code that puts messages into the model's form failed",
        by_hand("leave out chat_template, or name one that is in the container"),
        NEWER,
        runs_nothing=True,
    ),
    _place(
        r"/vllm/transformers_utils/(?!process)|/srt/configs/|/srt/configs\.py|/huggingface_hub/dataclasses\.py|"
        r"/srt/utils/hf_transformers",
        "The model's configuration does not fit",
        "The engine could not make sense of the model's settings",
        NEWER,
        by_hand("fetch the model again", "its config.json may be incomplete, or of another version"),
        by_hand("check `model`, and hf_overrides where the recipe sets them"),
        runs_nothing=True,
    ),
    _place(
        r"/reasoning/|/tool_parsers/|/srt/function_call/|/srt/parser/|/vllm/parser/|/tool_parser|/reasoning_parser",
        "A parser does not fit the model",
        "The parser for tool calls or for reasoning failed",
        by_hand("correct tool_call_parser and reasoning_parser, or leave them out"),
        NEWER,
        runs_nothing=True,
    ),
    _place(
        r"/vllm/multimodal/|/transformers_utils/processors?/|/srt/multimodal/|/mm_encoder|/encoder_cudagraph|/torchvision/|/torchcodec/|/PIL/|/librosa/|"
        r"/multimodal_processor\.py|/vision\.py|/qwen_vl_utils/",
        "The model's images cannot be prepared",
        "The code that prepares images, sound and video failed",
        NEWER,
        by_hand("serve text only: language_model_only, or limit_mm_per_prompt 0 for each kind"),
    ),
    _place(
        r"/v1/core/kv_cache_|/v1/kv_cache_|/srt/mem_cache/|/quantization/turboquant/|/cache_engine\.py|/block_pool\.py|"
        r"/kv_cache_configurator|/kv_cache_utils",
        "The KV cache cannot be set up",
        "The code that lays out the KV cache failed",
        by_hand("kv_cache_dtype auto, and no block_size or page_size of your own"),
        by_hand("start without the drafter"),
        NEWER,
    ),
    _place(
        r"/vllm/distributed/|/srt/distributed/|/v1/executor/ray|/vllm/ray/|/executor/ray_|/layers/dp_attention|"
        r"/layers/dcp/|/elastic_ep/|/torch/distributed/",
        "The ranks could not be set up",
        "The code that connects the ranks failed",
        by_hand("read the logs of all hosts", "a rank that failed there is the cause"),
        by_hand("check tensor_parallel and pipeline_parallel against the number of hosts"),
        NEWER,
    ),
    _place(
        r"/(?:site|dist)-packages/ray/",
        "Ray failed",
        "Ray, which connects the hosts, could not do what the engine asked of it",
        by_hand("stop the workload on all its hosts and launch it again", "its Ray containers are made anew"),
        by_hand("on one host, or without Ray: distributed_executor_backend mp", "where the image can join hosts so"),
        by_hand("ray status in the head's container", "shows the GPUs that Ray knows"),
    ),
    _place(
        r"/v1/attention/|/vllm/attention/|/srt/layers/attention/|/layers/attention/|/kernels/attention/|"
        r"/attention_backend|/sparse_attn|/flash_attn|/mla_attention|/\w{0,30}attention\.py$",
        "The attention kernel failed",
        "The code of the attention kernel that was chosen failed",
        OTHER_ATTENTION,
        by_hand("kv_cache_dtype auto"),
        NEWER,
    ),
    _place(
        r"/layers/quantization/|/kernels/linear/|/quantization/|/compressed_tensors/|/bitsandbytes/|/gguf/|/awq/|"
        r"/auto_round/|/modelopt/",
        "This quantisation cannot be used here",
        "The code for the model's quantisation failed",
        OTHER_QUANTISATION,
        by_hand("for a model with experts another moe_backend (vLLM) or moe_runner_backend (SGLang)"),
        NEWER,
    ),
    _place(
        r"/layers/mamba/|/layers/fla/|/mamba_ssm/|/causal_conv1d|/flash_linear_attention/|/linear_attn|/mamba_utils",
        "A kernel for the model's states failed",
        "The kernels of layers that keep a state in place of a KV cache failed",
        NEWER,
        EAGER,
        by_hand("leave out mamba_cache_mode, mamba_block_size and their like"),
    ),
    _place(
        r"/v1/sample/|/srt/sampling/|/layers/sampler\.py",
        "Choosing tokens failed",
        "The code that chooses the next token failed",
        set_env("VLLM_USE_FLASHINFER_SAMPLER", "0", "the sampler of torch is used"),
        by_hand("another sampling_backend (SGLang)"),
        NEWER,
    ),
    _place(
        r"/srt/constrained/|/structured_output/|/xgrammar/|/outlines|/llguidance/",
        "The grammar backend failed",
        "The code that holds answers to a grammar or a schema failed",
        by_hand("another structured_outputs_config backend (vLLM) or grammar_backend (SGLang), or none"),
        NEWER,
    ),
    _place(
        r"/model_loader/|/safetensors/|/fastsafetensors/|/runai_model_streamer/|/instanttensor/",
        "The weights could not be loaded",
        "The code that loads the weights failed",
        FETCH_AGAIN,
        by_hand("load_format auto", "where the recipe sets another loader"),
        NEWER,
        OTHER_QUANTISATION,
        runs_nothing=True,
    ),
    _place(
        r"/transformers/(?:models/[^/]{1,60}/(?:processing|image_processing|configuration)_|processing_utils|"
        r"configuration_utils|image_processing_|video_processing_|dynamic_module_utils|modeling_rope_utils|models/auto/|"
        r"feature_extraction_)|/transformers_modules/|/(?:site|dist)-packages/transformers/",
        "The model does not fit this image's transformers",
        "transformers, or code that the model brings, failed while it read the model's settings or tokenizer",
        NEWER,
        by_hand("fetch the model again", "where its files may be incomplete or older than the model's page"),
        runs_nothing=True,
    ),
    _place(
        r"/huggingface_hub/(?:file_download|_snapshot_download|hf_api|hf_file_system|_commit_api|_login|lfs|utils/_\w{1,30})"
        r"\.py|/hf_xet/",
        "The Hub's library failed",
        "huggingface_hub could not get a file of the model",
        by_hand("launch again: the model is sent to every host"),
        by_hand("check the network, HF_ENDPOINT and HF_TOKEN of the host"),
        runs_nothing=True,
    ),
    _place(
        r"/pynvml|/vllm/platforms/|/torch/cuda/__init__\.py",
        "The engine cannot use the GPU",
        "The code that asks for the GPU and its driver failed",
        by_hand("nvidia-smi in the container and on the host", "shows whether the GPU is there"),
        by_hand("use an image that is built for the Spark (CUDA 13)"),
        by_checks=True,
    ),
)
"""By the paths of the files in a traceback, the last frame first."""

WEIGHTS = _place(
    r"^(?:load_weights?|\w{0,40}weight_loader|load_\w{1,40}_weights?|_load_module|_load_param|_load_w\d{1,2}|"
    r"_?load_\w{0,40}(?:expert|shard)s?(?:_\w{1,30})?)$",
    "The weights do not fit the engine's model",
    "The engine failed while it put a weight of the files into its model",
    NEWER,
    OTHER_QUANTISATION,
    FETCH_AGAIN,
)
"""By the functions in a traceback: every model has one that loads its weights."""

OF_MODEL = _place(
    r"/model_executor/models/|/vllm/models/|/srt/models/|/model_executor/layers/|/srt/layers/|/vllm/kernels/|"
    r"/model_executor/kernels/|/srt/model_executor/|/v1/worker/|/vllm/worker/|/vllm/third_party/|/batch_invariant",
    "The engine's code for this model failed",
    "The code that runs this model stopped by itself: this version does not do what the model, its quantisation or"
    " these settings ask for",
    NEWER,
    by_hand("another quantisation of the model", "or the checkpoint that the recipe was made with"),
)
"""Code of an engine that only knows models: where no other place says more."""

OF_ENGINE = _place(
    r"/(?:vllm|sglang)/",
    "The engine's own code failed",
    "A part of the engine stopped by itself, which none of our rules describes",
    NEWER,
    by_hand("leave out what the recipe adds", "mods, mounted files, flags that the model does not need"),
)
"""Code of an engine that has several jobs."""

UTILITIES = LinePattern(
    r"/torch/(?!_inductor|_dynamo|_functorch|_higher_order_ops|fx/|distributed/|cuda/__init__)|"
    r"/lib/python3\.\d{1,2}/(?!site-packages|dist-packages|multiprocessing)|"
    r"(?:^|/)(?:zmq|msgspec|msgpack|pydantic|pydantic_core|uvloop|numpy|einops|cloudpickle|typing_extensions)/|"
    r"/(?:requests|urllib3|httpx|httpcore|aiohttp|anyio)/|"
    r"^<(?:frozen|string|eval)|/vllm/utils|/srt/utils|/vllm/tracing/|/custom_op\.py|/vllm/envs\.py|/triton_utils/|"
    r"/environ\.py|/vllm/logger"
)
"""Files that are called from everywhere: the frame above says more."""

_CAPTURES = LinePattern(r"^(?:_?capture\w{0,30}|_capture_cudagraphs|init_\w{0,20}cuda_graphs?|capture_one\w{0,30})$")
_RUNS = LinePattern(r"^(?:forward\w{0,30}|_?dummy_run|profile_run|execute_model|determine_available_memory|run_once)$")


def where_it_was(functions: Sequence[str]) -> tuple[Repair, ...]:
    """What leaves out the step of a start that failed, by the functions of a traceback."""
    if any(_CAPTURES.search(name) is not None for name in functions):
        return (set_value("enforce_eager", "true", Context({}), "it failed while graphs were recorded"),)
    return ()


def is_running(functions: Sequence[str]) -> bool:
    """Whether the model was being run, rather than made, by the functions of a traceback."""
    return any(_RUNS.search(name) is not None for name in functions)
