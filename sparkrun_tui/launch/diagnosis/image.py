"""Why an image does not work on a host's GPU: its CUDA, its compilers, its kernels and its packages."""

from __future__ import annotations

import re

from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import shorten
from sparkrun_tui.engines.logs.causes import (
    Cause,
    Context,
    Repair,
    Weight,
    by_hand,
    cause,
    first_of,
    set_env,
    set_value,
)

_ATTENTION = late_regex(r"flash|fmha|mla|attention")


def _of_kernel_file(match: re.Match[str], _: Context) -> tuple[Repair, ...]:
    """Repairs for a kernel that failed, by the name of its file."""
    newer = by_hand("a newer image")
    if _ATTENTION.search(match[1]) is not None:
        return (by_hand("set attention_backend to TRITON_ATTN (vLLM) or triton (SGLang)"), newer)
    return (by_hand("another attention_backend; for a model with experts another moe_backend"), newer)


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
    # vllm-project/vllm#21960
    cause(
        r"/bin/sh: \d{1,3}: /usr/local/cuda/bin/nvcc: not found",
        "The image lacks a compiler",
        "Kernels are compiled at the start, and this image has no nvcc.",
        by_hand("use the image that the recipe was made with", "or one with CUDA's compiler: -devel"),
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
    # flashinfer: run_ninja; tvm_ffi: build_ninja
    cause(
        r"^FileNotFoundError: \[Errno 2\] No such file or directory: '([A-Za-z][\w+-]{1,40})'$",
        "The image lacks a program",
        "There is no `{0}` on the PATH of this image, and the engine needs it.",
        by_hand("use an image that has it", "or a mod that installs it"),
        by_hand("check PATH in env", "where the program is in a folder of its own, such as a virtual environment"),
    ),
    # vllm-project/vllm#17526, #5454, #5804
    cause(
        r"Error: (?:'_OpNamespace' )?'(_C|_moe_C|_\w{1,40}_C|sgl_kernel)' object has no attribute '(\w{1,80})'|"
        r"operator (_C|_moe_C|_\w{1,40}_C|sgl_kernel)::(\w{1,80}) does not exist",
        "The engine's compiled part is not loaded",
        lambda match, _: (
            f"`{first_of(match, 2, 4)}` of {first_of(match, 1, 3)} is not there: that part was built for another "
            "torch, GPU or platform, or not built at all."
        ),
        by_hand("use another image, one that is built for the Spark"),
        by_hand("leave out mods that install packages", "one of them may have replaced torch"),
    ),
    # vllm-project/vllm#39609
    cause(
        r"version `(GLIBC\w{0,3}_[\d.]{1,10}|CXXABI_[\d.]{1,10})' not found",
        "The image's system is too old",
        "A package in this image was built for a newer system, with {0}.",
        by_hand("use another image"),
        by_hand("leave out mods that install packages"),
    ),
    # vllm-project/vllm#20479
    cause(
        r"AssertionError: expected size \d{1,12}==\d{1,12}, stride \d{1,12}==\d{1,12} at dim=\d",
        "Compiled code in the cache is of another model",
        "torch.compile took code from its cache that does not fit this model.",
        by_hand("remove ~/.cache/vllm/torch_compile_cache on that host"),
        set_env("VLLM_DISABLE_COMPILE_CACHE", "1", "compiled anew at each start"),
    ),
    # vllm-project/vllm#18851, #21858; ls1intum/edutelligence#579
    cause(
        r"leading to a corrupted compilation artifact|failed to get the hash of the compiled graph|"
        r"Expected tensors only, but got: <class",
        "Compiled code in the cache does not work",
        "torch.compile took code from its cache that an earlier start left there, broken or of another version.",
        by_hand("remove ~/.cache/vllm/torch_compile_cache on that host"),
        set_env("VLLM_DISABLE_COMPILE_CACHE", "1", "compiled anew at each start"),
    ),
    # vllm-project/vllm PR 39825; sgl-project/sglang#1788
    cause(
        r"RuntimeError: Invalid activation type|group_gemm(?:\.\w{1,20})? failed: Error|"
        r"CUTLASS grouped gemm.{0,60}(?:failed|Error)",
        "flashinfer has no such kernel for this GPU",
        "flashinfer's kernel for experts or adapters does not run this model on this GPU.",
        repairs_for=lambda _, context: (
            set_value("moe_backend", "auto", context, "the engine's own choice"),
            by_hand("another moe_backend: triton or marlin", "where it is auto already"),
            by_hand("a newer image"),
        ),
    ),
    # triton-lang/triton#8667, vllm-project/vllm PR 39161
    cause(
        r"\bld: cannot find -l:?(?:cuda\b|libcuda\.so)|AssertionError: libcuda\.so cannot found",
        "The driver's library is not found in the container",
        "A part of a kernel is compiled at the start, and the linker does not find libcuda.so of the host's driver.",
        by_hand("sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"),
        by_hand("LIBRARY_PATH in env: the folder that `ldconfig -p | grep libcuda.so` names in the container"),
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
        generic=True,
    ),
    cause(
        r"CUDA_HOME environment variable is not set|nvcc was not found|Unable to find nvcc|"
        r"fatal error: cannot execute 'cc1(?:plus)?'",
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
    # docker/compose#12203
    cause(
        r"(?:ImportError: |OSError: )(/\S{0,200}/)?(lib[\w.+-]{1,80}\.so[\w.]{0,20}): "
        r"(?:file too short|invalid ELF header|wrong ELF class)",
        "A library of the image is damaged",
        lambda match, _: (
            f"{match[2]} is empty or of another processor"
            + (": the driver's own libraries are not mounted." if "/nvidia" in (match[1] or "") else ".")
        ),
        by_hand("sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"),
        by_hand("pull the image again, or use one for this host's processor"),
    ),
    # hiyouga/LlamaFactory#10580
    cause(
        r"nvrtc: error: failed to open (lib[\w.+-]{1,80}?)\.?$",
        "A library is missing in the image",
        "{0} is not in this image, and a kernel has to be compiled with it.",
        by_hand("use an image that is built for the Spark (CUDA 13)"),
        by_hand("leave out mods that install packages", "one of them may have replaced torch or CUDA"),
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
        by_hand("a newer image", "where the recipe changes nothing in it"),
        weight=Weight.UNKNOWN,
        generic=True,
    ),
    cause(
        r"ImportError: cannot import name '(\w{1,100})' from (?:partially initialized module )?'([\w.]{1,120})'",
        "Packages of the image do not match",
        "{1} has no `{0}`: another version of that package is expected.",
        by_hand("use another image"),
        by_hand("leave out mods that install packages"),
        weight=Weight.UNKNOWN,
        generic=True,
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
    cause(
        r"requires the (\w{1,40}) library but it was not found in your environment",
        "The image lacks a Python package",
        "This model needs {0}.",
        by_hand("use an image that has it", "or a mod that installs it"),
    ),
    # sglang: assert_pkg_version
    cause(
        r"([\w-]{1,60}) is installed with version (\S{1,40}), which is less than the minimum required version "
        r"([\w.+-]{1,40})",
        "Packages of the image do not match",
        "{0} is {1} in this image, and the engine needs {2} or newer.",
        by_hand("use another image"),
        by_hand("leave out mods that install packages"),
    ),
    # sgl-project/sglang#6160
    cause(
        r"([\w-]{1,60}) with minimum required version (\S{1,40}) is not installed",
        "Packages of the image do not match",
        "The engine needs {0} {1} or newer, which is not in this image.",
        by_hand("use another image"),
        by_hand("leave out mods that install packages"),
    ),
    cause(
        r"AttributeError: (?:partially initialized )?module '([\w.]{1,100})' has no attribute '(\w{1,80})'",
        "Packages of the image do not match",
        "{0} has no `{1}`: another version of that package is expected.",
        by_hand("use another image"),
        by_hand("leave out mods that install packages"),
        weight=Weight.UNKNOWN,
        generic=True,
    ),
    cause(
        r"^ModuleNotFoundError: No module named '(\w{1,60})\.([\w.]{1,100})'",
        "Packages of the image do not match",
        "{0} of this image has no {1}, or is not there at all: another version of it is expected.",
        by_hand("use another image"),
        by_hand("leave out mods that install packages"),
        weight=Weight.UNKNOWN,
        generic=True,
    ),
    # gpustack/gpustack#1963, vllm-project/vllm#5503
    cause(
        r"^ModuleNotFoundError: No module named '([\w.]{1,100})'",
        "The image lacks a Python package",
        "There is no {0} in this image.",
        by_hand("use an image that has it", "or a mod that installs it"),
        weight=Weight.UNKNOWN,
        generic=True,
    ),
    cause(
        r"^(?:Import|Runtime|Value)Error: .{1,300}?pip install (?!-|git|transformers)[`'\"]?([A-Za-z][\w.<>=-]{1,60})",
        "The image lacks a Python package",
        "The engine asks for {0}, which is not in this image.",
        by_hand("use an image that has it", "or a mod that installs it"),
        by_hand("leave out the setting that needs it"),
        weight=Weight.UNKNOWN,
        generic=True,
    ),
    # vllm-project/vllm#4912
    cause(
        r"Failed to import transformers\.\S{1,200} because of the following error",
        "Packages of the image do not match",
        "transformers cannot be loaded:",
        by_hand("use another image"),
        by_hand("leave out mods that install packages"),
        weight=Weight.UNKNOWN,
        generic=True,
    ),
    # vllm-project/vllm#41477
    cause(
        r"Feature '([^']{1,80})' not supported on \.target '(sm_\w{2,8})'",
        "A Triton kernel is not for this GPU",
        "A kernel uses `{0}`, which {1} does not have.",
        by_hand("for a model with experts another moe_backend, such as marlin; else another attention_backend"),
        by_hand("use a newer image, one that is built for the Spark"),
    ),
    # vllm-project/vllm#15619
    cause(
        r"ptxas fatal +: Ptx assembly aborted due to errors",
        "The compiler in the image does not fit Triton",
        "The ptxas that was used cannot translate what this version of Triton writes.",
        by_hand("use a newer image"),
        set_env("TRITON_PTXAS_PATH", "/usr/local/cuda/bin/ptxas", "the image's own CUDA toolkit, where it is newer"),
    ),
    # dusty-nv/jetson-containers#1360
    cause(
        r"FATAL: kernel `?(\w{1,100})`? is for sm[\w-]{1,20}, but was built for (sm\w{1,8})",
        "The image is not built for this GPU",
        "The kernel {0} of this image has nothing for {1}.",
        by_hand("use an image that is built for the Spark"),
        by_hand("set attention_backend to TRITON_ATTN (vLLM) or triton (SGLang)", "without that kernel"),
    ),
    # ollama/ollama#13169, ggml-org/llama.cpp#15589
    cause(
        r"has no device code compatible with CUDA arch|was not compiled with any CUDA arch",
        "The image is not built for this GPU",
        "The kernels of this image are for other GPUs than this one.",
        by_hand("use an image that is built for the Spark"),
    ),
    # local-inference-lab/b12x#5
    cause(
        r"more shared memory than available|Allocated: (\d{4,9}) bytes\. Max: (\d{4,9}) bytes",
        "A kernel needs more shared memory than the GPU has",
        lambda match, _: (
            "A kernel is too large for this GPU" + (f": {match[1]} of {match[2]} bytes." if match[1] else ".")
        ),
        by_hand("another moe_backend, or auto, for a model with experts; else another attention_backend"),
        by_hand("a newer image", "kernels are tuned for each GPU"),
    ),
    # vllm-project/vllm#42393, #50705
    cause(
        r"FlashInfer requires GPUs with sm75 or higher|SM 1[0-9]\.x requires CUDA >= ([\d.]{1,8})",
        "The image's CUDA is too old for this GPU",
        "flashinfer asks the image's CUDA toolkit for this GPU, and the toolkit does not know it.",
        by_hand("use an image with CUDA 13"),
        set_env("VLLM_USE_FLASHINFER_SAMPLER", "0", "with attention_backend TRITON_ATTN nothing of flashinfer is used"),
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
    # sgl-project/sglang#20040
    cause(
        r"^\s*assert num_stages >= 1$",
        "A kernel needs more shared memory than the GPU has",
        "No form of a Triton kernel is small enough for this GPU.",
        by_hand("a newer image", "kernels are tuned for each GPU"),
        by_hand("another attention_backend or another quantisation of the model"),
        in_code=True,
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
    # sgl-project/sglang#6590
    cause(
        r"Failed to encode tensor map: 700",
        "A kernel crashed on the GPU",
        "A kernel that ran before this line touched memory that is not its own: a defect of a kernel.",
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
        "The chosen kernel of flashinfer is for other GPUs, or the image's CUDA toolkit is older than 12.9.",
        repairs_for=lambda _, context: (
            by_hand("use an image with CUDA 13", "flashinfer compiles nothing for the Spark with an older toolkit"),
            set_value("moe_backend", "auto", context, "the engine's own choice"),
            by_hand("remove VLLM_USE_FLASHINFER_MOE_FP4 and its like from env"),
        ),
    ),
    # eugr/spark-vllm-docker#209, MiaAI-Lab/DeepSeek-v4-Flash-DSpark-2x-DGX-Spark#119
    cause(
        r"Error: .{0,200}(?:requires DeepGEMM to be installed|"
        r"DeepGEMM (?:backend )?is not (?:available|installed|supported)|DeepGEMM only supports)",
        "DeepGEMM is not for this GPU",
        "This model needs kernels of DeepGEMM, which has none for the Spark's GPU in this image.",
        by_hand("an image that is made for this model on a Spark"),
        by_hand("another moe_backend, or a quantisation that does not need it", "without DeepGEMM"),
    ),
    cause(
        r"[Dd]eep_?[Gg][Ee][Mm][Mm]/.{0,300}runtime != nullptr|"
        r"Unknown SF transformation|Assertion error \(\S{0,200}deep_?gemm|"
        r"[Dd]eep_?[Gg][Ee][Mm][Mm].{0,200}Unsupported architecture",
        "DeepGEMM is not for this GPU",
        "DeepGEMM could not compile a kernel for this GPU.",
        set_env("VLLM_USE_DEEP_GEMM", "0", "other kernels are used"),
        by_hand("an image that is made for this model on a Spark"),
    ),
    cause(
        r"CUBLAS_STATUS_(?:EXECUTION_FAILED|INTERNAL_ERROR|NOT_SUPPORTED|INVALID_VALUE|ARCH_MISMATCH)|"
        r"CUDNN_STATUS_\w{1,40}",
        "A library of CUDA failed",
        "cuBLAS or cuDNN of this image could not do what it was asked for on this GPU.",
        by_hand("use an image that is built for the Spark (CUDA 13)"),
        by_hand("another quantisation of the model, or dtype auto"),
        by_hand("leave more memory free, where the GPU's is nearly used up"),
        weight=Weight.UNKNOWN,
    ),
    cause(
        r"CUDA error: initialization error|CUDA_ERROR_NOT_INITIALIZED",
        "CUDA was used before the processes were split",
        "A process has a CUDA of its parent, which does not work; a driver in trouble looks the same.",
        set_env("VLLM_WORKER_MULTIPROC_METHOD", "spawn", "each process starts anew"),
        by_hand("nvidia-smi on that host; restart it where that fails"),
    ),
    # vllm-project/vllm#2682
    cause(
        r"CUDA (?:driver )?error: unknown error",
        "The GPU or its driver is in trouble",
        "CUDA gives no reason, which it does after a fault of the GPU, of its driver or of a kernel before.",
        by_hand("nvidia-smi and dmesg on that host", "an Xid there names the fault"),
        by_hand("restart the host"),
        by_hand("another attention_backend, or a newer image", "where it comes with this engine alone"),
        weight=Weight.UNKNOWN,
    ),
    cause(
        r"CUDA (?:driver )?error: (invalid device ordinal)",
        "A GPU of that number is not there",
        "CUDA says: {0}",
        by_hand("check CUDA_VISIBLE_DEVICES in env, and the number of ranks on each host"),
        by_hand('VLLM_ALLREDUCE_USE_SYMM_MEM: "0" in env', "where the line comes from symmetric memory"),
        weight=Weight.UNKNOWN,
    ),
    # abetlen/llama-cpp-python#645
    cause(
        r"OS call failed or operation not supported on this OS",
        "The container may not use the driver",
        "The system refuses what the GPU driver asks for: a device or a call is closed to this container.",
        by_hand("sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"),
        by_hand("a cluster with `privileged`", "opens the devices and calls that are closed"),
        by_hand("sudo modprobe nvidia-uvm; nvidia-smi", "the driver's parts must be loaded on the host"),
    ),
    # sgl-project/sglang#10711
    cause(
        r"CUDA error \((?:\S{0,300}/)?([\w.-]{1,80}\.(?:cu|cuh|h|hpp|cpp)):\d{1,6}\): (?!out of memory)(.{3,120})",
        "A kernel failed on the GPU",
        "CUDA reports: {1} (in {0}). The kernel does not work on this GPU, or it has a defect.",
        repairs_for=_of_kernel_file,
        weight=Weight.UNKNOWN,
    ),
    # sgl-project/sglang#24714
    cause(
        r"[Uu]nsupported head_?dim(?:ension|_qk|_vo)?:? ?(\d{1,5})",
        "The attention kernel does not fit the model",
        "The attention kernel that was chosen has nothing for heads of {0} values.",
        by_hand("set attention_backend to TRITON_ATTN (vLLM) or triton (SGLang)"),
        by_hand("a newer image"),
    ),
    # deepep and flashinfer name the file of the kernel.
    cause(
        r"CUDA error \S{1,200}:\d{1,6} '(.{3,120}?)'",
        "A kernel crashed on the GPU",
        "The GPU reports: {0}. It is a defect of a kernel, or one that is not for this GPU.",
        by_hand("another moe_backend or all2all backend, or another attention_backend"),
        by_hand("a newer image"),
        weight=Weight.UNKNOWN,
    ),
    cause(
        r"shape '\[.{1,80}\]' is invalid for input|shapes cannot be multiplied|Sizes of tensors must match|"
        r"exceeds dimension size|index \d{1,9} is out of bounds for dimension|values to unpack \(expected|"
        r"Expected all tensors to be on the same device|split_with_sizes expects",
        "The model and this version do not fit together",
        "Two parts of the model meet with different sizes or on different devices, which is a defect of this version "
        "with this model, this quantisation or this number of ranks.",
        by_hand("use a newer image", "or the one that the recipe was made with"),
        by_hand("another quantisation of the model, or a lower tensor_parallel"),
        weight=Weight.UNKNOWN,
        generic=True,
    ),
    cause(
        r"CUDA (?:driver )?error: (?!out of memory)([a-z].{3,120})",
        "flashinfer's autotuning failed",
        "While flashinfer tried its kernels, CUDA reported: {0}",
        by_hand("--no-enable-flashinfer-autotune in the command", "vLLM"),
        by_hand("another attention_backend; for a model with experts another moe_backend"),
        by_hand("a newer image"),
        weight=Weight.UNKNOWN,
        near=r"/flashinfer/autotuner\.py",
    ),
    cause(
        r"RuntimeError: Check failed: (.{1,300})",
        "A kernel of the engine refuses this model",
        "A check in a kernel failed: {0}",
        by_hand("another attention_backend; for a model with experts another moe_backend"),
        by_hand("another quantisation of the model, or a newer image"),
        weight=Weight.UNKNOWN,
        generic=True,
    ),
    cause(
        r"CUDA (?:driver )?error: (?!out of memory)([a-z].{3,120})",
        "CUDA reports an error",
        "It says: {0}",
        set_value("enforce_eager", "true", Context({}), "without graphs and compiled kernels"),
        by_hand("nvidia-smi and dmesg on that host", "show whether the GPU or its driver is at fault"),
        by_hand("another attention_backend, or a newer image"),
        weight=Weight.UNKNOWN,
        generic=True,
    ),
    cause(
        r"(?:NVMLError_\w{1,40}|Failed to initialize NVML): (?:Unknown Error|Insufficient Permissions)",
        "The container lost the GPU",
        "The driver's devices are not, or no longer, open to this container: a reload of systemd takes them away.",
        by_hand("launch it again; else restart Docker on that host"),
        by_hand("a cluster with `privileged`, or devices named one by one", "keep them over a reload"),
    ),
    cause(
        r"NVMLError_(?:LibraryNotFound|DriverNotLoaded|NoPermission)|NVML Shared Library Not Found",
        "No GPU in the container",
        "The host's driver is not in this container.",
        by_hand("sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"),
    ),
    cause(
        r"operation (?:not permitted|failed due to a previous error) (?:when|during) (?:stream is )?captur|"
        r"cudaErrorStreamCapture\w{1,40}",
        "CUDA graphs could not be captured",
        "A part of this model cannot be recorded into a CUDA graph.",
        set_value("enforce_eager", "true", Context({}), "without graphs"),
        by_hand("another attention_backend, or a newer image"),
        weight=Weight.UNKNOWN,
    ),
    cause(
        r"expected scalar type (\w{1,20}) but found (\w{1,20})|"
        r"(?:mat1 and mat2|m1 and m2).{0,30}same dtype, but got: (\w{1,20}) != (\w{1,20})",
        "Two parts of the model have different types",
        lambda match, _: f"A kernel wanted {first_of(match, 1, 3)} and got {first_of(match, 2, 4)}.",
        by_hand("dtype auto, and kv_cache_dtype auto"),
        by_hand("use a newer image, or another quantisation of the model"),
        weight=Weight.UNKNOWN,
    ),
    cause(
        r"CUBLAS_STATUS_(?:ALLOC_FAILED|NOT_INITIALIZED)",
        "No GPU memory left for cuBLAS",
        "cuBLAS could not be started; most often the GPU has no memory left.",
        by_hand("leave more memory free: a shorter context, fewer requests, a lower memory fraction"),
        by_hand("stop other programs that hold memory on that host: nvidia-smi"),
    ),
    cause(
        r"CUDA-capable device\(s\) is/are busy or unavailable|"
        r"(?:Error 802|initialize CUDA): system not yet initialized",
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
        r"provided PTX was compiled with an unsupported toolchain|cudaErrorUnsupportedPtxVersion|"
        r"The NVIDIA driver on your system is too old",
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
        lambda match, _: f"Kernels are compiled at the start, and nvcc does not know {first_of(match, 1, 2)}.",
        by_hand("use an image with a CUDA toolkit for the Spark (13 or newer)"),
        by_hand("check that nvcc on the container's PATH is the newest one in it: ls -d /usr/local/cuda*"),
    ),
    cause(
        r"Ninja build failed|CalledProcessError: Command '?\[?'ninja'",
        "Kernels could not be compiled",
        "The engine compiles kernels at its start, and that failed.",
        by_hand("use the image that the recipe was made with"),
        by_hand(
            'run fewer compilers in parallel: MAX_JOBS: "4" in env', "if one of them was killed for lack of memory"
        ),
        weight=Weight.UNKNOWN,
        generic=True,
        tells_below=True,
    ),
    cause(
        r"CUDA unknown error|CUDA driver version is insufficient|forward compatibility was attempted|"
        r"Error 80[34]: |unsupported display driver / cuda driver combination",
        "Driver and image do not match",
        "CUDA in this image does not work with the host's driver, or the container lost its device nodes.",
        by_hand("compare the image's CUDA with the driver's: nvidia-smi"),
        by_hand("restart Docker, or the host", "stale device nodes"),
        by_hand(
            "leave /usr/local/cuda/compat out of LD_LIBRARY_PATH in env, or use another image",
            "the image's own driver libraries do not go with every driver",
        ),
    ),
    cause(
        r"no kernel image is available for execution|device kernel image is invalid|"
        r"CUDA error: (?:invalid device function|named symbol not found)",
        "The image is not built for this GPU",
        "The kernels of this image are for other GPUs than the Spark's (sm_121).",
        by_hand("use an image that is built for the Spark"),
    ),
    cause(
        r"Failed to infer device type|No CUDA GPUs are available|"
        r"RuntimeError: CUDA is not available|CUDA_ERROR_NO_DEVICE",
        "No GPU in the container",
        "The engine sees no GPU.",
        by_hand("sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"),
        by_hand("check CUDA_VISIBLE_DEVICES and NVIDIA_VISIBLE_DEVICES in env", "they may hide it"),
    ),
    cause(
        # torch/_inductor/exc.py InvalidCxxCompiler
        r"Failed to find C compiler|No working C\+\+ compiler found|Python\.h: No such file|Could not find nvcc|"
        r"ninja: (?:command )?not found",
        "The image lacks a compiler",
        "Kernels are compiled at the start, and this image lacks the programs for that.",
        by_hand("use the image that the recipe was made with"),
    ),
    # vllm-project/vllm#11450, #30905, #17018
    cause(
        r"^torch\._(?:inductor|dynamo)\.exc\.\w{1,60}: (.{1,300})",
        "The model could not be compiled",
        "torch.compile failed: {0}",
        set_value("enforce_eager", "true", Context({}), "without graphs and compiled kernels"),
        by_hand("use a newer image, or the one that the recipe was made with"),
        weight=Weight.UNKNOWN,
        generic=True,
    ),
    # vllm-project/vllm#28098
    cause(
        r"^triton\.(?:compiler|runtime)\.errors\.(?:Compilation|AutotunerError|InterpreterError)\w{0,20}: (.{1,300})",
        "A Triton kernel could not be compiled",
        "Triton says: {0}",
        by_hand("another quantisation of the model, or another attention_backend"),
        by_hand("use a newer image"),
        weight=Weight.UNKNOWN,
        generic=True,
    ),
)
