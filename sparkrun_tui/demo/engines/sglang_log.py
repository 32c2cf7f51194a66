"""The simulated start-up log of SGLang, on one host or as one of several ranks."""

from __future__ import annotations

from collections.abc import Iterator

from sparkrun_tui.base.units import GIB
from sparkrun_tui.demo.engines.figures import Fault, Figures
from sparkrun_tui.demo.engines.log_script import NOW, LogStep, gib
from sparkrun_tui.demo.engines.simulated import Simulated, Start
from sparkrun_tui.engines.plan import Role

_STEPS = 8


class SglangLog:
    """One start of SGLang on one rank; the ranks connect to `head_ip`."""

    def __init__(self, figures: Figures, role: Role, rank: int, head_ip: str) -> None:
        self._is = figures
        self._role = role
        self._head_ip = head_ip
        self._who = f"[{NOW} TP{rank}]" if figures.ranks > 1 else f"[{NOW}]"

    @property
    def fails(self) -> bool:
        """Whether the start fails."""
        return self._is.fault is not None

    def steps(self) -> Iterator[LogStep]:
        """The steps from the first line to the start of the server, or to the failure."""
        is_, who = self._is, self._who
        arguments = f"model_path='{is_.model}', served_model_name='{is_.served}', port={is_.port}, tp_size={is_.ranks}"
        yield LogStep(1.4, f"{who} server_args=ServerArgs({arguments}, mem_fraction_static={is_.utilisation})")
        yield LogStep(1.2, f"{who} Init parallel begin.")
        yield LogStep(0.8, f"{who} Init parallel ends. elapsed=0.71 s, mem usage=0.42 GB", memory=is_.base)
        yield from self._load()
        if self.fails and is_.fault is not Fault.HOST:
            yield from self._failure()
            return
        yield from self._pools()
        if self._role is Role.WORKER or self.fails:
            return
        text = f"max_total_num_tokens={is_.kv_tokens}, chunked_prefill_size=8192, max_prefill_tokens=16384, "
        text += f"max_running_requests=32, context_len={is_.length}, available_gpu_mem={self._left(is_.whole)} GB"
        yield LogStep(0.2, f"{who} {text}")
        yield LogStep(0.3, f"[{NOW}] INFO:     Started server process [1]", "stderr")
        yield LogStep(
            0.2, f"[{NOW}] INFO:     Uvicorn running on http://0.0.0.0:{is_.port} (Press CTRL+C to quit)", "stderr"
        )
        yield LogStep(0.9, "")

    def _load(self) -> Iterator[LogStep]:
        is_, who = self._is, self._who
        yield LogStep(0.3, f"{who} Load weight begin. avail mem={gib(is_.free)} GB")
        for step in range(_STEPS + 1):
            percent = step * 100 // _STEPS
            bar = f"Loading safetensors checkpoint shards: {percent:3d}% Completed | {step}/{_STEPS} [00:00<?, ?it/s]"
            yield LogStep(0.45, bar, "stderr", is_.base + is_.weights * step // _STEPS)
        used = f"mem usage={gib(is_.weights)} GB."
        left = self._left(is_.base + is_.weights)
        text = f"Load weight end. elapsed=3.84 s, type=DemoForCausalLM, avail mem={left} GB, "
        yield LogStep(0.1, f"{who} {text}{used}")

    def _pools(self) -> Iterator[LogStep]:
        is_, who = self._is, self._who
        half = gib(is_.kv / 2)
        text = f"KV Cache is allocated. dtype: torch.bfloat16, #tokens: {is_.kv_tokens}, "
        text += f"K size: {half} GB, V size: {half} GB"
        taken = is_.base + is_.weights + is_.kv
        yield LogStep(0.9, f"{who} {text}", memory=taken)
        yield LogStep(0.1, f"{who} Memory pool end. avail mem={self._left(taken)} GB")
        text = f"Capture target decode CUDA graph begin. backend=full, avail mem={self._left(taken)} GB"
        yield LogStep(0.3, f"{who} {text}")
        for step in range(4):
            bar = f"Capturing batches (bs={8 - 2 * step} avail_mem={self._left(taken)} GB): {(step + 1) * 25:3d}%|##|"
            yield LogStep(0.35, bar, "stderr")
        text = f"Capture target decode CUDA graph end. elapsed=1.41 s, mem usage={gib(is_.graphs)} GB, "
        yield LogStep(0.1, f"{who} {text}avail mem={self._left(taken + is_.graphs)} GB.", memory=is_.whole)

    def _failure(self) -> Iterator[LogStep]:
        yield LogStep(0.3, f"{self._who} Scheduler hit an exception: Traceback (most recent call last):", "stderr")
        yield LogStep(0.0, self._error(), "stderr")
        yield LogStep(
            0.3, f"[{NOW}] Received sigquit from a child process. It usually means the child failed.", "stderr", 0
        )

    def _error(self) -> str:
        is_ = self._is
        if is_.fault is Fault.CONTEXT:
            return (
                f"ValueError: Not enough memory. Please try to increase --mem-fraction-static. "
                f"Current value: self.mem_fraction_static={is_.utilisation}"
            )
        if is_.fault is Fault.REFUSED:
            return f"ValueError: {is_.why}"
        needed = min((is_.weights + is_.base + GIB) / is_.total, 0.999)
        return (
            f"ValueError: Loaded weights leave no GPU memory for the KV cache under --mem-fraction-static="
            f"{is_.utilisation}. Raise --mem-fraction-static above {needed:.3f}."
        )

    def _left(self, taken: int) -> str:
        return gib(max(self._is.free + self._is.base - taken, 0))

    def up(self) -> list[tuple[str, str]]:
        """The lines that it prints when it is ready."""
        return [(f"[{NOW}] The server is fired up and ready to roll!", "stdout")]

    def down(self) -> list[tuple[str, str]]:
        """The lines that it prints when it ends."""
        return [(f"[{NOW}] INFO:     Shutting down", "stderr")]

    def load(self, prompted: float, generated: float, running: int, usage: float) -> str:
        """The line about the last seconds: tokens per second, requests, and the fraction of the KV cache in use."""
        text = f"Decode batch, #running-req: {running}, #token: {int(usage * self._is.kv_tokens)}, "
        return f"{self._who} {text}token usage: {usage:.2f}, gen throughput (token/s): {generated:.2f}, #queue-req: 0"


def start_log(start: Start) -> SglangLog:
    """The simulated log of a start."""
    return SglangLog(start.figures, start.role, start.rank, start.head_ip)


SIMULATED = Simulated(start_log)
