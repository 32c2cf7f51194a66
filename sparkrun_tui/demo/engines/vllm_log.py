"""The simulated start-up log of vLLM: on one host, or as head or worker of several, with Ray or without."""

from __future__ import annotations

import time
from collections.abc import Iterator

from sparkrun_tui.demo.engines.figures import Fault, Figures
from sparkrun_tui.demo.engines.log_script import NOW, RAY_NOW, LogStep, gib
from sparkrun_tui.demo.engines.simulated import Simulated, Start
from sparkrun_tui.engines.plan import Role

_NEWEST = "0.32.0"
"""The version of an image whose tag states none."""
_STEPS = 8


def _line(who: str, where: str, text: str, level: str = "INFO") -> str:
    return f"({who}) {level} {NOW} [{where}] {text}"


class VllmLog:
    """One start of vLLM on one rank; `ray` when Ray runs the ranks, which connect to `head_ip`."""

    def __init__(self, figures: Figures, role: Role, rank: int, ray: bool, head_ip: str) -> None:
        self._is = figures
        self._version = figures.version or _NEWEST
        self._role = role
        self._rank = rank
        self._ray = ray
        self._head_ip = head_ip
        tp = f"_TP{rank}" if figures.ranks > 1 else ""
        self._worker = f"Worker{tp} pid=278"
        self._color = "\x1b[36m(RayWorkerProc pid=278)\x1b[0m " if ray else ""

    def steps(self) -> Iterator[LogStep]:
        """The steps from the first line to the start of the server, or to the failure."""
        if self._role is Role.WORKER:
            yield from self._headless()
        else:
            yield from self._arguments()
        yield from self._engine()
        yield from self._load()
        if self.fails and self._is.fault is not Fault.HOST:
            yield from self._failure()
            return
        yield from self._cache()
        if self._role is Role.WORKER:
            return
        yield from self._graphs()
        if self.fails:
            return
        yield from self._server()

    @property
    def fails(self) -> bool:
        """Whether the start fails."""
        return self._is.fault is not None

    def up(self) -> list[tuple[str, str]]:
        """The lines that it prints when it is ready."""
        return [("INFO:     Application startup complete.", "stderr")]

    def down(self) -> list[tuple[str, str]]:
        """The lines that it prints when it ends."""
        text = "[shutdown] API server: shutdown triggered"
        return [(_line("APIServer pid=1", "launcher.py:254", text), "stdout"), ("INFO:     Shutting down", "stderr")]

    def load(self, prompted: float, generated: float, running: int, usage: float) -> str:
        """The line about the last seconds: tokens per second, requests, and the fraction of the KV cache in use."""
        text = (
            f"Engine 000: Avg prompt throughput: {prompted:.1f} tokens/s, Avg generation throughput: {generated:.1f} "
            f"tokens/s, Running: {running} reqs, Waiting: 0 reqs, GPU KV cache usage: {usage * 100:.1f}%"
        )
        return _line("APIServer pid=1", "loggers.py:271", text)

    def _arguments(self) -> Iterator[LogStep]:
        is_ = self._is
        who = "APIServer pid=1"
        yield LogStep(0.9, _line(who, "api_utils.py:347", f" █▄█▀ █     █     █     █  version {self._version}\r"))
        yield LogStep(0.0, _line(who, "api_utils.py:347", f"  ▀▀  ▀▀▀▀▀ ▀▀▀▀▀ ▀     ▀  model   {is_.model}\r"))
        arguments: dict[str, object] = {
            "model_tag": is_.model,
            "max_model_len": is_.length,
            "served_model_name": [is_.served],
        }
        arguments["gpu_memory_utilization"] = is_.utilisation
        if is_.ranks > 1:
            arguments["tensor_parallel_size"] = is_.ranks
        yield LogStep(0.0, _line(who, "api_utils.py:286", f"non-default args: {arguments}"))
        yield LogStep(0.9, _line(who, "model.py:733", "Resolved architecture: DemoForCausalLM"))
        yield LogStep(0.0, _line(who, "model.py:2152", f"Using max model len {is_.length}"))
        if self._is.fault is Fault.REFUSED:
            return
        text = "Chunked prefill is enabled with max_num_batched_tokens=8192."
        yield LogStep(0.0, _line(who, "scheduler.py:307", text))

    def _headless(self) -> Iterator[LogStep]:
        yield LogStep(
            0.9,
            _line(
                "MainProcess pid=1", "serve.py:142", f"Launching vLLM (v{self._version}) headless multiproc executor"
            ),
        )

    def _engine(self) -> Iterator[LogStep]:
        is_ = self._is
        if self._role is not Role.WORKER:
            config = f"model='{is_.model}', dtype=torch.bfloat16"
            text = f"Initializing a V1 LLM engine (v{self._version}) with config: {config}"
            yield LogStep(1.1, _line("EngineCore pid=248", "core.py:133", text))
        if self._ray:
            text = f"Connecting to existing Ray cluster at address: {self._head_ip}:46379..."
            yield LogStep(0.2, f"{RAY_NOW}\tINFO worker.py:1841 -- {text}")
            yield LogStep(0.1, f"{RAY_NOW}\tINFO worker.py:2038 -- Connected to Ray cluster.")
            text = "No current placement group found. Creating a new placement group."
            yield LogStep(0.5, _line("EngineCore pid=248", "ray_utils.py:607", text))
        who = "Worker pid=278"
        where = f"tcp://{self._head_ip}:25000" if is_.ranks > 1 else "tcp://127.0.0.1:38189"
        text = f"world_size={is_.ranks} rank={self._rank} local_rank=0 distributed_init_method={where} backend=nccl"
        yield LogStep(0.8, self._color + _line(who, "parallel_state.py:1906", text))
        text = f"rank {self._rank} in world size {is_.ranks} is assigned as DP rank 0, PP rank 0, TP rank {self._rank}"
        yield LogStep(0.4, self._color + _line(who, "parallel_state.py:2350", text), memory=is_.base)

    def _load(self) -> Iterator[LogStep]:
        is_ = self._is
        if is_.fault in (Fault.START, Fault.REFUSED):
            return
        text = f"Starting to load model {is_.model}..."
        yield LogStep(0.2, self._color + _line(self._worker, "gpu_model_runner.py:3610", text))
        text = f"Filesystem type for checkpoints: EXT4. Checkpoint size: {gib(is_.weights * is_.ranks)} GiB."
        yield LogStep(0.1, self._color + _line(self._worker, "weight_utils.py:1108", text))
        for step in range(_STEPS + 1):
            percent = step * 100 // _STEPS
            if self._rank == 0:
                bar = (
                    f"Loading safetensors checkpoint shards: {percent:3d}% Completed | {step}/{_STEPS} [00:00<?, ?it/s]"
                )
                yield LogStep(0.42, self._color + bar, "stderr", is_.base + is_.weights * step // _STEPS)
            else:
                yield LogStep(0.42, "", memory=is_.base + is_.weights * step // _STEPS)
        yield LogStep(
            0.1, self._color + _line(self._worker, "default_loader.py:501", "Loading weights took 3.52 seconds")
        )
        text = f"Model loading took {gib(is_.weights)} GiB memory and 4.118230 seconds"
        yield LogStep(0.1, self._color + _line(self._worker, "gpu_model_runner.py:3664", text))

    def _cache(self) -> Iterator[LogStep]:
        is_ = self._is
        taken = is_.base + is_.weights
        if not is_.eager:
            text = "[backbone] Using cache directory: /root/.cache/vllm/torch_compile_cache for vLLM's torch.compile"
            yield LogStep(0.4, self._color + _line(self._worker, "backends.py:1120", text))
            text = "[backbone] Dynamo bytecode transform time: 1.04 s"
            yield LogStep(0.4, self._color + _line(self._worker, "backends.py:1180", text))
            text = "[backbone] Compiling a graph for compile range (1, 8192) takes 1.21 s"
            yield LogStep(
                0.8, self._color + _line(self._worker, "backends.py:394", text), memory=taken + is_.activation
            )
            text = "[backbone] torch.compile took 2.25 s in total"
            yield LogStep(0.2, self._color + _line(self._worker, "monitor.py:48", text))
        text = f"Available KV cache memory: {gib(is_.kv)} GiB"
        yield LogStep(0.4, self._color + _line(self._worker, "gpu_worker.py:352", text), memory=is_.whole - is_.graphs)
        who = "EngineCore pid=248" if self._role is not Role.WORKER else self._worker
        text = (
            f"GPU KV cache size: {is_.kv_tokens:,} tokens, Maximum concurrency for {is_.length:,} tokens per request: "
        )
        yield LogStep(0.1, _line(who, "kv_cache_utils.py:2327", f"{text}{is_.concurrency:.2f}x"))

    def _graphs(self) -> Iterator[LogStep]:
        is_ = self._is
        if not is_.eager:
            for step in range(4):
                bar = (
                    f"Capturing CUDA graphs (mixed prefill-decode, PIECEWISE): {(step + 1) * 25:3d}%|####| {step + 1}/4"
                )
                yield LogStep(0.3, self._color + bar, "stderr", is_.whole - is_.graphs * (3 - step) // 4)
            text = f"Graph capturing finished in 1 secs, took {gib(is_.graphs)} GiB"
            yield LogStep(0.1, self._color + _line(self._worker, "gpu_model_runner.py:4721", text))
        text = "init engine (profile, create kv cache, warmup model) took 4.02 s"
        yield LogStep(0.2, _line("EngineCore pid=248", "core.py:402", text))

    def _server(self) -> Iterator[LogStep]:
        who = "APIServer pid=1"
        yield LogStep(0.3, _line(who, "entry.py:136", "Supported tasks: ['generate']"))
        yield LogStep(0.1, _line(who, "entry.py:140", f"Starting vLLM server on http://0.0.0.0:{self._is.port}"))
        yield LogStep(0.0, "INFO:     Started server process [1]", "stderr")
        yield LogStep(0.4, "INFO:     Waiting for application startup.", "stderr")

    def _failure(self) -> Iterator[LogStep]:
        error = self._error()
        who = self._worker if self._is.fault is Fault.START else "EngineCore pid=248"
        yield LogStep(0.3, _line(who, "core.py:1180", "EngineCore failed to start.", "ERROR"))
        yield LogStep(0.0, _line(who, "core.py:1180", "Traceback (most recent call last):", "ERROR"))
        yield LogStep(0.0, _line(who, "core.py:1180", error, "ERROR"))
        final = "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}"
        yield LogStep(0.4, "Traceback (most recent call last):", "stderr")
        yield LogStep(0.0, final, "stderr", 0)

    def _error(self) -> str:
        is_ = self._is
        if is_.fault is Fault.START:
            return (
                f"ValueError: Free memory on device cuda:0 ({gib(is_.free)}/{gib(is_.total)} GiB) on startup is less "
                f"than desired GPU memory utilization ({is_.utilisation}, {gib(is_.utilisation * is_.total)} GiB). "
                "Decrease GPU memory utilization or reduce GPU memory used by other processes."
            )
        if is_.fault is Fault.CONTEXT:
            return (
                f"ValueError: To serve at least one request with the model's max seq len ({is_.length}), "
                f"({gib(is_.request)} GiB KV cache is needed, which is larger than the available KV cache memory "
                f"({gib(is_.kv)} GiB). Based on the available memory, the estimated maximum model length is "
                f"{is_.longest}. Try increasing `gpu_memory_utilization` or decreasing `max_model_len` when "
                "initializing the engine."
            )
        if is_.fault is Fault.REFUSED:
            return f"ValueError: {is_.why}"
        return (
            "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when "
            "initializing the engine."
        )


def start_log(start: Start) -> VllmLog:
    """The simulated log of a start."""
    return VllmLog(start.figures, start.role, start.rank, start.ray, start.head_ip)


def stamp(now: float, _: float) -> str:
    """The time in vLLM's format, without the year."""
    return time.strftime("%m-%d %H:%M:%S", time.localtime(now))


SIMULATED = Simulated(start_log, stamp)
