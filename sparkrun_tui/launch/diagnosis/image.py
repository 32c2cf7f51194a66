"""Why an image does not work on a host's GPU: its CUDA, its compilers, its kernels and its packages."""

from __future__ import annotations

from sparkrun_tui.base.text import shorten
from sparkrun_tui.engines.logs.causes import (
    Cause,
    Context,
    Weight,
    by_hand,
    cause,
    set_env,
    set_value,
)

IMAGE_CAUSES: tuple[Cause, ...] = (
    # flashinfer-ai/flashinfer#2834, #2976; vllm-project/vllm#28440
    cause(
        r"(?:Permission denied|Read-only file system): '[^']{0,300}/flashinfer",
        "flashinfer cannot write its files",
        "flashinfer keeps generated files in its own folder in the image, and the engine's user may not write there.",
        by_hand("run the container as root, or use an image whose flashinfer folders are writable"),
    ),
    cause(
        r"No such file or directory: '[^']{0,300}/flashinfer(?:_cubin|_jit_cache)?/",
        "flashinfer's files are incomplete",
        "flashinfer's folder in this image lacks files, or generated files could not be written into it.",
        by_hand("use the image that the recipe was made with", "or a newer one: its flashinfer is incomplete"),
        by_hand("run the container as root", "where the folder is not writable for the engine's user"),
    ),
    # vllm-project/vllm#36077, hlzhu09/Hierarchical-Human-Parsing#9
    cause(
        r"/bin/sh: \d{1,3}: (:?)(/[^ :]{1,200})/bin/nvcc: not found",
        "CUDA_HOME is not a folder",
        lambda match, _: (
            f"CUDA_HOME begins with a colon (`:{shorten(match[2], 200)}`), so no compiler is found there."
            if match[1]
            else f"CUDA_HOME names {shorten(match[2], 200)}, and there is no nvcc in it."
        ),
        set_env("CUDA_HOME", "/usr/local/cuda", "one folder, not a list"),
        by_hand("check what is in the image: ls -d /usr/local/cuda*"),
    ),
    # flashinfer-ai/flashinfer#2203, vllm-project/vllm#19656
    cause(
        r"fatal error: ((?!Python\.h)[\w./+-]{1,200}): No such file or directory",
        "A header is missing in the image",
        "Kernels are compiled at the start, and this image lacks {0}.",
        by_hand("use the image that the recipe was made with"),
    ),
    # vllm-project/vllm#17455
    cause(
        r"CalledProcessError: Command '?\[?'[^']{0,200}/(?:gcc|cc|g\+\+|clang)'",
        "The C compiler failed",
        "A part of a kernel is compiled at the start, and the compiler refused it. The lines above say why.",
        by_hand("use the image that the recipe was made with"),
        by_hand("remove Triton's cache on that host: ~/.triton", "it may be of another image"),
        weight=Weight.UNKNOWN,
    ),
    cause(
        r"CalledProcessError: Command '?\[?'?([\w./-]{1,100})\b.{0,300} returned non-zero exit status 127",
        "The image lacks a program",
        "There is no `{0}` in this image, and the engine needs it.",
        by_hand("use an image that has it", "or a mod that installs it"),
        weight=Weight.UNKNOWN,
    ),
    cause(
        r"CUDA_HOME environment variable is not set|nvcc was not found|Unable to find nvcc",
        "The image lacks a compiler",
        "Kernels are compiled at the start, and this image has no CUDA toolkit.",
        by_hand("use the image that the recipe was made with", "one with the toolkit, often tagged `devel`"),
    ),
    cause(
        r"libcuda\.so\.1: cannot open shared object file|Found no NVIDIA driver on your system",
        "No GPU in the container",
        "The host's driver is not in this container.",
        by_hand("sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"),
    ),
    # vllm-project/vllm#31018, #36099, #52300
    cause(
        r"(?:ImportError: |OSError: |loading shared libraries: )(lib[\w.+-]{1,80}): cannot open shared object",
        "A library is missing in the image",
        "{0} is not in this image: a part of it was built for another CUDA or another system.",
        by_hand("use an image that is built for the Spark (CUDA 13)"),
        by_hand("leave out mods that install packages", "one of them may have replaced torch"),
    ),
    # vllm-project/vllm#13608, #20361
    cause(
        r"\.so[.\d]{0,10}: undefined symbol: (\w{1,200})",
        "Packages of the image do not match",
        "A compiled part of this image was built for another version of torch.",
        by_hand("use another image, or build it anew"),
        by_hand("leave out mods that install packages", "one of them may have replaced torch"),
    ),
    # vllm-project/vllm-metal#102, #107
    cause(
        r"operator torchvision::nms does not exist",
        "Packages of the image do not match",
        "torch and torchvision of this image are of different versions.",
        by_hand("use another image"),
        by_hand("leave out mods that install packages", "one of them may have replaced torch"),
    ),
    # odysseus-dev/odysseus#191
    cause(
        r"Either a revision or a version must be specified",
        "Packages of the image do not match",
        "`kernels` and `transformers` of this image are of different versions.",
        by_hand("use another image"),
        by_hand("leave out mods that install packages"),
    ),
    # eugr/spark-vllm-docker#238, #272
    cause(
        r"TypeError: ([\w.<>]{1,120})\(\) got an unexpected keyword argument '(\w{1,80})'",
        "Packages of the image do not match",
        "{0} does not know `{1}`: a patched file, a mod or a package is for another version of the engine.",
        by_hand("leave out the mod or the mounted file", "or use the image that it was made for"),
        weight=Weight.UNKNOWN,
    ),
    cause(
        r"ImportError: cannot import name '(\w{1,100})' from (?:partially initialized module )?'([\w.]{1,120})'",
        "Packages of the image do not match",
        "{1} has no `{0}`: another version of that package is expected.",
        by_hand("use another image"),
        by_hand("leave out mods that install packages"),
        weight=Weight.UNKNOWN,
    ),
    # kserve/kserve#4875, sgl-project/sglang#2769
    cause(
        r"ImportError: .{0,120}[Pp]lease install (?:the )?`?([\w.\[\]-]{1,60})",
        "The image lacks a Python package",
        "This model or format needs the package {0}.",
        by_hand("use an image that has it", "or a mod that installs it"),
    ),
    cause(
        r"requires the following packages that were not found in your environment: ([\w, .-]{1,100})",
        "The image lacks a Python package",
        "The model's own code needs {0}.",
        by_hand("use an image that has it", "or a mod that installs it"),
    ),
    # gpustack/gpustack#1963, vllm-project/vllm#5503
    cause(
        r"^ModuleNotFoundError: No module named '([\w.]{1,100})'",
        "The image lacks a Python package",
        "There is no {0} in this image.",
        by_hand("use an image that has it", "or a mod that installs it"),
        weight=Weight.UNKNOWN,
    ),
    # vllm-project/vllm#4912
    cause(
        r"Failed to import transformers\.\S{1,200} because of the following error",
        "Packages of the image do not match",
        "transformers cannot be loaded:",
        by_hand("use another image"),
        by_hand("leave out mods that install packages"),
        weight=Weight.UNKNOWN,
    ),
    # vllm-project/vllm#15619
    cause(
        r"ptxas fatal +: Ptx assembly aborted due to errors",
        "The compiler in the image does not fit Triton",
        "The ptxas that was used cannot translate what this version of Triton writes.",
        by_hand("use a newer image"),
        set_env("TRITON_PTXAS_PATH", "/usr/local/cuda/bin/ptxas", "the image's own CUDA toolkit, where it is newer"),
    ),
    # ollama/ollama#13169
    cause(
        r"has no device code compatible with CUDA arch",
        "The image is not built for this GPU",
        "The kernels of this image are for other GPUs than this one.",
        by_hand("use an image that is built for the Spark"),
    ),
    # vllm-project/vllm#36802, #12498
    cause(
        r"OutOfResources: out of resource: (shared memory|threads|registers)"
        r"(?:, Required: (\d{1,12}), Hardware limit: (\d{1,12}))?",
        "A kernel needs more shared memory than the GPU has",
        lambda match, _: (
            f"A Triton kernel is too large for this GPU ({match[1]}"
            + (f": {match[2]} of {match[3]} bytes)." if match[2] else ").")
        ),
        by_hand("a newer image", "kernels are tuned for each GPU"),
        by_hand("another attention_backend, or a KV cache of 16 bits"),
    ),
    # vllm-project/vllm#32467, #45670, #30044
    cause(
        r"CUDA error: (an illegal memory access was encountered|unspecified launch failure|misaligned address|"
        r"device-side assert triggered|an illegal instruction was encountered)",
        "A kernel crashed on the GPU",
        "The GPU reports: {0}. It is a defect of a kernel; which one is seen only without graphs and compiling.",
        set_value("enforce_eager", "true", Context({}), "without graphs and compiled kernels"),
        by_hand("another attention_backend, or a newer image"),
        weight=Weight.UNKNOWN,
    ),
    # vllm-project/vllm#43367
    cause(
        r"cutlass_gemm_caller.{0,200}Error Internal",
        "A CUTLASS kernel does not work on this GPU",
        "The kernel for fp8 weights with block scales fails on this GPU.",
        set_env("VLLM_DISABLED_KERNELS", "CutlassFp8BlockScaledMMKernel", "a Triton kernel is used instead"),
        by_hand("a newer image"),
    ),
    # sgl-project/sglang#32021, vllm-project/vllm#24377, #47818
    cause(
        r"Failed to (?:initialize|run) cutlass (?:FP4|FP8) gemm|nvfp4_scaled_mm_sm\d{2,3}\.cuh|"
        r"RuntimeError: dispatch_scaled_mm\b|\[TensorRT-LLM\]\[ERROR\].{0,120}cutlass",
        "A CUTLASS kernel does not work on this GPU",
        "The kernel for quantised weights that was chosen fails on this GPU.",
        by_hand("an image built for the Spark's GPU (sm_121), or another quantisation"),
        by_hand("another kernel: --fp4-gemm-backend (SGLang), VLLM_NVFP4_GEMM_BACKEND in env (vLLM)"),
    ),
    # flashinfer-ai/flashinfer#5445
    cause(
        r"Error in function 'TllmGenFmhaRunner'|TllmGenFmhaRunner.{0,200}Unsupported architecture",
        "The chosen attention kernel is not for this GPU",
        "The attention kernels of TensorRT-LLM are for data centre GPUs only.",
        by_hand("set attention_backend to flashinfer or triton", "or leave it to the engine"),
    ),
    # flashinfer-ai/flashinfer#2045
    cause(
        r"No supported CUDA architectures found for major versions",
        "flashinfer has no such kernel for this GPU",
        "The chosen kernel of flashinfer is for data centre GPUs only.",
        mend=lambda _, context: (
            set_value("moe_backend", "auto", context, "the engine's own choice"),
            by_hand("remove VLLM_USE_FLASHINFER_MOE_FP4 and its like from env"),
        ),
    ),
    # eugr/spark-vllm-docker#209, MiaAI-Lab/DeepSeek-v4-Flash-DSpark-2x-DGX-Spark#119
    cause(
        r"requires DeepGEMM to be installed|DeepGEMM (?:backend )?is not (?:available|installed|supported)",
        "DeepGEMM is not for this GPU",
        "This model needs kernels of DeepGEMM, which has none for the Spark's GPU in this image.",
        by_hand("an image that is made for this model on a Spark"),
    ),
    cause(
        r"[Dd]eep_?[Gg][Ee][Mm][Mm]/.{0,300}runtime != nullptr|"
        r"[Dd]eep_?[Gg][Ee][Mm][Mm].{0,200}Unsupported architecture",
        "DeepGEMM is not for this GPU",
        "DeepGEMM could not compile a kernel for this GPU.",
        set_env("VLLM_USE_DEEP_GEMM", "0", "other kernels are used"),
        by_hand("an image that is made for this model on a Spark"),
    ),
    cause(
        r"CUBLAS_STATUS_(?:ALLOC_FAILED|NOT_INITIALIZED)",
        "No GPU memory left for cuBLAS",
        "cuBLAS could not be started; most often the GPU has no memory left.",
        by_hand("leave more memory free: a shorter context, fewer requests, a lower memory fraction"),
        by_hand("stop other programs that hold memory on that host: nvidia-smi"),
    ),
    cause(
        r"CUDA-capable device\(s\) is/are busy or unavailable|Error 802: system not yet initialized",
        "The GPU is not ready",
        "The driver gives the GPU to nobody now: it is in exclusive use, or it has an error.",
        by_hand("nvidia-smi on that host", "shows who uses it, and errors"),
        by_hand("restart the host"),
    ),
    cause(
        r"Torch not compiled with CUDA enabled",
        "The image is for CPUs",
        "torch in this image was built without CUDA.",
        by_hand("use an image for CUDA"),
        by_hand("leave out mods that install packages", "one of them may have replaced torch"),
    ),
    cause(
        r"provided PTX was compiled with an unsupported toolchain",
        "The driver is too old for the image",
        "The image's CUDA is newer than what the host's driver can run.",
        by_hand("update the host's driver, then restart the host"),
        by_hand("use an older image of the engine"),
    ),
    cause(
        r"Sinks are only supported in FlashAttention 3|FlashAttention(?: forward)? only supports |"
        r"FlashAttention v3 Backend requires|FA3 is only supported on",
        "The chosen attention kernel does not fit the model",
        "FlashAttention cannot run this model on this GPU.",
        by_hand("set attention_backend to TRITON_ATTN (vLLM) or triton (SGLang)", "or leave it to the engine"),
    ),
    cause(
        r"Value '(sm_\w{2,6})' is not defined for option 'gpu-name'",
        "The compiler in the image does not know this GPU",
        "The ptxas that comes with Triton is too old for {0}.",
        by_hand(
            "TRITON_PTXAS_PATH: /usr/local/cuda/bin/ptxas in env",
            "the image's own CUDA toolkit, where it is 13 or newer",
        ),
        by_hand("use a newer image"),
    ),
    cause(
        r"nvcc fatal +: (?:Unsupported gpu architecture '([\w.]{1,20})'|Unknown option '([^']{1,100})')",
        "The compiler in the image is too old",
        lambda match, _: f"Kernels are compiled at the start, and nvcc does not know {match[1] or match[2]}.",
        by_hand("use an image with a CUDA toolkit for the Spark (13 or newer)"),
        by_hand("check that nvcc on the container's PATH is the newest one in it: ls -d /usr/local/cuda*"),
    ),
    cause(
        r"Ninja build failed|CalledProcessError: Command '?\[?'ninja'",
        "Kernels could not be compiled",
        "The engine compiles kernels at its start, and that failed. The lines below this one in the log say where.",
        by_hand("use the image that the recipe was made with"),
        by_hand(
            'run fewer compilers in parallel: MAX_JOBS: "4" in env', "if one of them was killed for lack of memory"
        ),
        weight=Weight.UNKNOWN,
    ),
    cause(
        r"CUDA unknown error|CUDA driver version is insufficient|forward compatibility was attempted|"
        r"Error 80[34]: ",
        "Driver and image do not match",
        "CUDA in this image does not work with the host's driver, or the container lost its device nodes.",
        by_hand("compare the image's CUDA with the driver's: nvidia-smi"),
        by_hand("restart Docker, or the host", "stale device nodes"),
    ),
    cause(
        r"no kernel image is available for execution",
        "The image is not built for this GPU",
        "The kernels of this image are for other GPUs than the Spark's (sm_121).",
        by_hand("use an image that is built for the Spark"),
    ),
    cause(
        r"Failed to infer device type|No CUDA GPUs are available|CUDA_ERROR_NO_DEVICE",
        "No GPU in the container",
        "The engine sees no GPU.",
        by_hand("sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"),
    ),
    cause(
        # torch/_inductor/exc.py InvalidCxxCompiler
        r"Failed to find C compiler|No working C\+\+ compiler found|Python\.h: No such file|Could not find nvcc|"
        r"ninja: (?:not found|error)",
        "The image lacks a compiler",
        "Kernels are compiled at the start, and this image lacks the programs for that.",
        by_hand("use the image that the recipe was made with"),
    ),
)
