"""Why an image does not work on a host's GPU: its CUDA, its compilers, its kernels and its packages."""

from __future__ import annotations

from sparkrun_tui.engines.logs.causes import Cause, Weight, by_hand, cause

IMAGE_CAUSES: tuple[Cause, ...] = (
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
        r"Failed to find C compiler|Python\.h: No such file|Could not find nvcc|ninja: (?:not found|error)",
        "The image lacks a compiler",
        "Kernels are compiled at the start, and this image lacks the programs for that.",
        by_hand("use the image that the recipe was made with"),
    ),
)
