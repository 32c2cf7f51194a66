"""Failures by their kind: the words of shells, package tools, Python, Rust and NCCL, whichever engine they come from.

These rows describe what a whole family of messages has in common, for those that no row of their own describes. A row
that names one cause goes before them.
"""

from __future__ import annotations

import re

from sparkrun_tui.base.reading.patterns import LinePattern
from sparkrun_tui.base.text import shorten
from sparkrun_tui.engines.logs.causes import (
    Cause,
    Context,
    Repair,
    Weight,
    by_hand,
    cause,
    first_of,
    less_utilisation,
    set_env,
)

_NEWER = by_hand("use a newer image", "or the one that the recipe was made with")
_FETCH_AGAIN = by_hand("fetch the model again", "remove the damaged file from the cache first")
_ALL_LOGS = by_hand("read the logs of all hosts", "a rank that died there is the cause")
_SHELL = r"(?:\S{1,200}: )?(?:line )?(?:\d{1,6}: )?"
"""How a shell begins a message: `start.sh: line 3: `, `/bin/bash: line 1: `, `sh: 1: `, `bash: `."""

_SAYS_OF_RDMA = LinePattern(r"(?i)ibv_|net_ib|NET/IB|\broce|\bgid|mlx5|\bhca\b|rdma|\bqp\b|async event")
_SAYS_OF_SHM = LinePattern(r"(?i)shm|shared memory|No space left")
_SAYS_OF_CUDA = LinePattern(r"(?i)cuda failure|cuda error|driver version|out of memory")
_SAYS_OF_LINK = LinePattern(
    r"(?i)socket|connect|bootstrap|timed? ?out|timeout|refused|reset|interface|peer|proxy|remote"
)
_SAYS_OF_PLUGIN = LinePattern(r"(?i)plugin")


def _of_nccl(match: re.Match[str], context: Context) -> tuple[Repair, ...]:
    """Repairs for a warning of NCCL, by the part of it that speaks."""
    words = match.string
    repairs: list[Repair] = []
    if _SAYS_OF_RDMA.search(words) is not None:
        repairs += [
            by_hand("check NCCL_IB_HCA and the cards on each host: ibdev2netdev, ibstat", "both ends of one link"),
            set_env("NCCL_IB_DISABLE", "1", "without RDMA: slower, and shows whether it is at fault"),
        ]
    if _SAYS_OF_SHM.search(words) is not None:
        repairs.append(by_hand("executor_config: `ipc: host`, or a larger shm_size", "df -h /dev/shm on that host"))
    if _SAYS_OF_CUDA.search(words) is not None:
        repairs += [
            *less_utilisation(0.05, context, "leaves NCCL memory for its buffers"),
            by_hand("nvidia-smi and dmesg on that host", "show whether the GPU or its driver is at fault"),
        ]
    if _SAYS_OF_PLUGIN.search(words) is not None:
        repairs.append(set_env("NCCL_NET_PLUGIN", "none", "without the plugin"))
    if not repairs or _SAYS_OF_LINK.search(words) is not None:
        repairs += [
            _ALL_LOGS,
            by_hand("check NCCL_SOCKET_IFNAME on each host", "the interface that connects the hosts: ip -br addr"),
        ]
    return (*repairs, by_hand("NCCL_DEBUG: INFO in env, and launch again", "its lines name interface and device"))


def _package(match: re.Match[str], _: Context) -> str:
    name = shorten(next((group for group in match.groups() if group), ""), 100)
    return f"A package that the recipe adds could not be installed{f': {name}' if name else ''}."


KIND_CAUSES: tuple[Cause, ...] = (
    # Shells: the command, and scripts of the image.
    cause(
        rf"^{_SHELL}(?:-c: )?(?:line \d{{1,6}}: )?(?:syntax error near unexpected token|syntax error: unexpected end|"
        r"unexpected EOF while looking for matching|Syntax error: (?:Unterminated|\S{1,20} unexpected|Bad))",
        "The command is not valid for the shell",
        "The shell could not read the command: a quote or a bracket is not closed, or a sign in it means something to"
        " the shell.",
        by_hand("read the command in the plan or with --dry-run", "quotes around JSON, and around values with ( ) & ;"),
        by_hand("correct it in the recipe's command or in the value that was set"),
    ),
    cause(
        rf"^{_SHELL}((?:\.{{0,2}}/)[\w./+-]{{1,300}}): Permission denied$",
        "A file may not be run",
        "The container has {0}, and may not run it.",
        by_hand("start it by its shell: `bash FILE`, or chmod +x on the host", "files that are copied lose the mark"),
        weight=Weight.UNKNOWN,
    ),
    cause(
        rf"^{_SHELL}((?:\.{{0,2}}/)[\w./+-]{{1,300}}): (?:No such file or directory|not found|"
        r"cannot execute: required file not found)$",
        "A file of the command is not in the container",
        "There is no {0} in the container, or what its first line names is not there (Windows line ends do that).",
        by_hand("put it beside the recipe, with `pre_exec: [{copy: FILE, dest: FOLDER}]`"),
        by_hand("add the mod that brings it, or use the image that the recipe was made with"),
        weight=Weight.UNKNOWN,
    ),
    cause(
        rf"^{_SHELL}([\w.+-]{{1,60}}): (?:command )?not found$",
        "The image lacks a program",
        "There is no `{0}` in this image.",
        by_hand("use the image that the recipe was made with, or a mod that installs it"),
        weight=Weight.HINT,
        generic=True,
    ),
    # Package tools: what mods and hooks of recipes run.
    cause(
        r"(?:error: )?externally-managed-environment",
        "pip may not install into this image",
        "The Python of this image is kept by its system, and a mod installs into it.",
        set_env("PIP_BREAK_SYSTEM_PACKAGES", "1", "allows it within the container"),
        by_hand("the newest version of the mod, or leave it out"),
        weight=Weight.UNKNOWN,
    ),
    cause(
        r"No matching distribution found for (\S{1,100})|satisfies the requirement (\S{1,100})|"
        r"No solution found when resolving|Failed (?:building wheel for|to build installable wheels for) (\S{1,100})|"
        r"metadata-generation-failed|ResolutionImpossible|E: Unable to locate package (\S{1,100})|"
        r"E: Package '([^']{1,100})' has no installation candidate|"
        r"Could not (?:install packages due to|build wheels for)",
        "A package could not be installed",
        _package,
        by_hand(
            "the newest version of the mod, or leave it out", "it asks for a package or a version that is not there"
        ),
        by_hand("check the network of that host", "without it no package is found, either"),
        by_hand("use an image that has the package"),
        weight=Weight.UNKNOWN,
    ),
    cause(
        r"^fatal: (?:repository '?\S{1,200} not found|Remote branch \S{1,100} not found|couldn't find remote ref|"
        r"reference is not a tree|could not read Username|early EOF|the remote end hung up)",
        "A repository could not be fetched",
        "git could not fetch what a mod or a hook asks for.",
        by_hand("the newest version of the mod or the recipe", "branches and repositories move"),
        by_hand("check the network of that host"),
        weight=Weight.UNKNOWN,
    ),
    cause(
        r"^curl: \((?:22|28|35|52|56|60)\) (.{1,200})|^wget: (?!unable to resolve)(.{1,200})|^ERROR 40[34]: (.{1,60})",
        "A download failed",
        lambda match, _: f"A file that a mod or a hook asks for was not sent: {first_of(match, 1, 2, 3)}",
        by_hand("the newest version of the mod or the recipe", "files move"),
        by_hand("check the network and the proxy of that host"),
        weight=Weight.UNKNOWN,
    ),
    cause(
        r"wget: unable to resolve host|Temporary failure resolving '",
        "A name cannot be looked up",
        "The container cannot look up a host's name: no network, or no name server.",
        by_hand("check that host's network and name server: getent hosts huggingface.co"),
        weight=Weight.UNKNOWN,
    ),
    # Python
    cause(
        r"^MemoryError\b|^numpy\.\S{1,40}MemoryError: ",
        "The host is out of memory",
        "The program got no more memory from the host.",
        by_hand("stop other programs there, drop the page cache, or lower the memory fraction"),
        by_hand("raise the container's memory limit, where it has one"),
        weight=Weight.UNKNOWN,
        generic=True,
    ),
    cause(
        r"^BlockingIOError: \[Errno 11\]|ThreadPoolBuildError .{0,200}Resource temporarily unavailable",
        "Too many processes",
        "The system gives the container no further process or thread.",
        by_hand("raise the limit on processes: --pids-limit, or TasksMax of docker.service"),
        by_hand('OMP_NUM_THREADS: "8" in env', "fewer threads"),
    ),
    cause(
        r"^(?:\w{1,40}\.)?UnpicklingError: |PytorchStreamReader failed|^EOFError: Ran out of input|"
        r"^UnicodeDecodeError: '\S{1,20}' codec can't decode|^zipfile\.BadZipFile: |^zlib\.error: |^lzma\.LZMAError: |"
        r"^(?:gzip\.)?BadGzipFile: |^struct\.error: unpack requires",
        "A file of the model is damaged",
        "A file that is read at the start is cut off, is only a pointer of Git LFS, or is of another kind than its name"
        " says.",
        _FETCH_AGAIN,
        by_hand("compare its SHA-256 with the Hub's"),
        by_hand("load_format auto", "where the recipe names a format that the files do not have"),
        weight=Weight.UNKNOWN,
    ),
    cause(
        r"^yaml\.\w{1,20}\.\w{1,30}Error: (.{0,200})|^tomllib\.TOMLDecodeError: (.{0,200})|"
        r"^configparser\.\w{1,40}Error: (.{0,200})",
        "A configuration file cannot be read",
        lambda match, _: f"A file of settings that the engine was given has a fault: {first_of(match, 1, 2, 3)}",
        by_hand("correct the file that --config or another flag names"),
        weight=Weight.UNKNOWN,
    ),
    cause(
        r"^ValueError: invalid literal for int\(\) with base \d{1,2}: '([^']{0,60})'|"
        r"^ValueError: could not convert string to float: '([^']{0,60})'",
        "A value should be a number",
        lambda match, _: f"`{first_of(match, 1, 2)}` was given where a number is expected.",
        by_hand("check the numbers in the recipe's command, defaults and env", "a setting that is empty counts, too"),
        weight=Weight.UNKNOWN,
    ),
    cause(
        r"^RecursionError: maximum recursion depth exceeded",
        "The engine calls itself without end",
        "It is a defect of this version, or code of the model that does not fit it.",
        _NEWER,
        by_hand("fetch the model again", "code that it brings may be of another version"),
        weight=Weight.UNKNOWN,
        generic=True,
    ),
    cause(
        r"^(?:\w{1,40}\.)?PanicException: (.{0,200})|^thread '[^']{0,60}' (?:\(\d{1,9}\) )?panicked at (.{1,200})",
        "A compiled part of the engine stopped",
        lambda match, _: (
            f"A library in Rust (tokenizers, safetensors, hf_xet and others) stopped: {first_of(match, 1, 2)}"
        ),
        _NEWER,
        by_hand('HF_HUB_DISABLE_XET: "1" in env', "where it comes while files are downloaded"),
        by_hand("fetch the model again", "where it comes while its tokenizer or weights are read"),
        weight=Weight.UNKNOWN,
        tells_below=True,
    ),
    cause(
        r"^terminate called without an active exception|^Aborted(?: \(core dumped\))?$|^Trace/breakpoint trap|"
        r"^Floating point exception",
        "The engine crashed",
        "A compiled part of the engine crashed without a message.",
        by_hand("read the lines above it: the last library that was used is named there"),
        _NEWER,
        weight=Weight.CONSEQUENCE,
    ),
    cause(
        r"CUDA driver initialization failed, you might not have a CUDA gpu|Found no NVIDIA driver|"
        # llama.cpp's own line is a hint: it goes on without a GPU.
        r"(?<!initialize CUDA: )no CUDA-capable device is detected",
        "No GPU in the container",
        "CUDA finds no GPU or no driver in this container.",
        by_hand("sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"),
        by_hand("nvidia-smi on that host; restart it where that fails"),
    ),
    cause(
        r"^The NVIDIA Driver was not detected",
        "No GPU in the container",
        "The image found no driver of a GPU as it began.",
        by_hand("sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"),
        by_hand("nvidia-smi on that host; restart it where that fails"),
        weight=Weight.HINT,
        even_as_note=True,
    ),
    # Ranks that lose each other
    cause(
        r"Failed to connect to GCS|RaySystemError: System error: |Unable to connect to GCS|"
        r"Failed to (?:get the system config|register worker) \S{0,40} ?(?:from|to) raylet",
        "Ray's head does not answer",
        "A part of Ray found no head at its address: it has ended, or the hosts cannot reach each other.",
        by_hand("stop the workload on all its hosts and launch it again", "its Ray containers are made anew"),
        by_hand("check that the hosts reach each other at the fast link's addresses, and that nothing blocks ports"),
        weight=Weight.UNKNOWN,
    ),
    cause(
        r"DistNetworkError: Failed to recv, got 0 bytes|monitoredBarrier, but received errors|"
        r"DistNetworkError: The client socket has (?:failed|timed out)|recvValue failed on SocketImpl|"
        r"Did the remote server shutdown or crash",
        "A rank on another host is gone",
        "The connection to another rank was closed or could not be made: the rank there has died, or is not reached.",
        _ALL_LOGS,
        by_hand("check that the hosts reach each other at the fast link's addresses, and that nothing blocks ports"),
        weight=Weight.CONSEQUENCE,
    ),
    cause(
        r"detected by watchdog at work|Timeout at NCCL work|NCCL operations have failed or timed out|"
        r"data inconsistency, we are taking the entire process down",
        "Ranks lost each other",
        "An operation of all ranks did not finish: one of them has died or hangs, or the link between hosts stalls.",
        _ALL_LOGS,
        by_hand("check the hosts' memory and the link, then start all ranks together"),
        by_hand("NCCL_DEBUG: INFO in env, and launch again", "its lines name interface and device"),
        weight=Weight.CONSEQUENCE,
        even_as_note=True,
    ),
    cause(
        r"NCCL WARN (?!Could not find a path|NET/Plugin|MSCCL|\[Service thread\]|NCCL_\w{1,40} set by)(.{3,300})",
        "NCCL failed",
        "NCCL says: {0}",
        repairs_for=_of_nccl,
        weight=Weight.HINT,
        even_as_note=True,
        generic=True,
    ),
    cause(
        r"RuntimeError: NCCL [Ee]rror (?:in|\d{1,3}): (.{1,200})|^RuntimeError: .{0,80}unhandled (?:cuda|system) error",
        "NCCL failed",
        lambda match, _: f"The ranks could not set up or keep their connection: {match[1] or 'no reason in this line'}",
        by_hand("NCCL_DEBUG: INFO in env, and launch again", "its lines then name the interface or device that failed"),
        _ALL_LOGS,
        by_hand("nvidia-smi on each host", "a driver in trouble looks like this, too"),
        weight=Weight.UNKNOWN,
        generic=True,
    ),
)
