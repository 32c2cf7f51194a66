"""The phases of a start as vLLM's workers go through and log them, and the failures that belong to each."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from pathlib import Path

from engine_standin import checks, lines, mode
from engine_standin.lines import Record

KV_TOKENS = 825_904
PR_SET_NAME = 15


def name_process(name: str) -> None:
    """The name that ps and top show, as vLLM sets it (`VLLM::EngineCore`); the kernel keeps 15 bytes."""
    ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode()[:15], 0, 0, 0)


def rank_line(rank: int, world: int, address: str) -> str:
    """Said before the ranks have met."""
    method = f"distributed_init_method=tcp://{address}"
    return f"world_size={world} rank={rank} local_rank=0 {method} backend=nccl"


def met_line(rank: int, world: int) -> str:
    """Said after the ranks have met."""
    ranks = f"DP rank 0, PP rank 0, PCP rank 0, TP rank {rank}, EP rank N/A"
    return f"rank {rank} in world size {world} is assigned as {ranks}"


def load(record: Record, directory: Path, rank: int, world: int, write_err: Callable[[str], None] = lines.err) -> None:
    """Load a rank's share of the weights; raises `Refused` where the mode says so."""
    failing = mode.name()
    if failing == "busy":
        raise checks.Refused(
            "ValueError: Free memory on device cuda:0 (60.1/119.7 GiB) on startup is less than desired GPU memory "
            "utilization (0.9, 107.73 GiB). Decrease GPU memory utilization or reduce GPU memory used by other "
            "processes."
        )
    begin = time.monotonic()
    record.info(f"Starting to load model {directory}...", "gpu_model_runner.py:3808")
    shards = checks.shards(directory)
    size = sum(shard.stat().st_size for shard in shards)
    record.info(
        f"Filesystem type for checkpoints: EXT4. Checkpoint size: {size / 2**30:.2f} GiB.", "weight_utils.py:1108"
    )
    for shard in shards:
        read_shard(shard)
    if failing == "load":
        raise checks.Refused(
            "safetensors._safetensors_rust.SafetensorError: Error while deserializing header: incomplete metadata, "
            "file not fully covered"
        )
    if rank == 0:
        lines.bar("Loading safetensors checkpoint shards", len(shards), 0.6, write_err)
    else:
        mode.nap(0.6)
    if failing == "oom":
        raise checks.Refused(
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of "
            "119.70 GiB of which 3.10 GiB is free."
        )
    took = time.monotonic() - begin
    record.info(f"Loading weights took {took:.2f} seconds", "default_loader.py:501")
    memory = f"Model loading took {size / world / 2**30:.2f} GiB memory and {took:.6f} seconds"
    record.info(memory, "gpu_model_runner.py:3905")
    while failing == "hang":
        time.sleep(3600)


def read_shard(shard: Path) -> None:
    """Read a shard's header; raises `Refused` for one that was cut short."""
    with open(shard, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        whole = 8 + length <= shard.stat().st_size
        header = file.read(length) if whole else b""
    if not whole or not header.startswith(b"{"):
        raise checks.Refused(
            "safetensors._safetensors_rust.SafetensorError: Error while deserializing header: header too large"
        )


def compile_and_size(record: Record, max_model_len: int, eager: bool) -> None:
    """Compile, size the KV cache, capture graphs; raises `Refused` when the mode is `kv`."""
    if not eager:
        record.info("Dynamo bytecode transform time: 4.11 s", "backends.py:812")
        mode.nap(0.3)
        record.info("[backbone] torch.compile took 9.83 s in total", "monitor.py:34")
    if mode.name() == "kv":
        raise checks.Refused(
            f"ValueError: To serve at least one request with the model's max seq len ({max_model_len}), (7.0 GiB KV "
            "cache is needed, which is larger than the available KV cache memory (1.1 GiB). Based on the available "
            "memory, the estimated maximum model length is 640. Try increasing `gpu_memory_utilization` or decreasing "
            "`max_model_len` when initializing the engine."
        )
    record.info("Available KV cache memory: 88.21 GiB", "gpu_worker.py:358")
    concurrency = f"Maximum concurrency for {max_model_len:,} tokens per request: {KV_TOKENS / max_model_len:.2f}x"
    record.info(f"GPU KV cache size: {KV_TOKENS:,} tokens, {concurrency}", "kv_cache_utils.py:2327")
    if not eager:
        lines.bar("Capturing CUDA graphs (mixed prefill-decode, PIECEWISE)", 6, 0.3)
        record.info("Graph capturing finished in 4 secs, took 0.55 GiB", "gpu_model_runner.py:4869")
    took = "took 23.10 s" if eager else "took 23.10 s (compilation: 9.83 s)"
    record.info(f"init engine (profile, create kv cache, warmup model) {took}", "core.py:402")
