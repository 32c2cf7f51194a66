"""The simulated start-up log of llama-server at verbosity 4."""

from __future__ import annotations

from collections.abc import Iterator

from sparkrun_tui.base.units import MIB
from sparkrun_tui.demo.engines.figures import Fault, Figures
from sparkrun_tui.demo.engines.log_script import NOW, LogStep
from sparkrun_tui.demo.engines.simulated import Simulated, Start

_STEPS = 10
_DONE = "srv  llama_server: "


class LlamaLog:
    """One start of llama-server."""

    def __init__(self, figures: Figures) -> None:
        self._is = figures
        self._shape = figures.shape

    @property
    def fails(self) -> bool:
        """Whether the start fails."""
        return self._is.fault is not None

    def steps(self) -> Iterator[LogStep]:
        """The steps from the first line to the start of the server, or to the failure."""
        is_ = self._is
        yield LogStep(0.5, _info("srv  llama_server: initializing ..."), "stderr")
        yield _step(
            0.3, "cmn  common_param: system_info: n_threads = 20 | CUDA : ARCHS = 1210 | CPU : NEON = 1 | SVE = 1 |"
        )
        yield _step(0.2, "srv  init: using 19 threads for HTTP server", memory=is_.base)
        yield _step(0.4, f"srv  load_model: loading model '{is_.model}'")
        yield _step(
            0.3, "llama_model_loader: loaded meta data with 30 key-value pairs from the file (version GGUF V3 (latest))"
        )
        yield _step(0.1, "print_info: no_alloc              = 0")
        yield _step(0.1, "load_tensors: loading model tensors, this can take a while... (load_mode = mmap)")
        if is_.fault is Fault.START and is_.weights > is_.free:
            yield from self._failure(is_.weights, "load_tensors", "unable to allocate CUDA0 buffer")
            return
        for step in range(1, _STEPS + 1):
            yield LogStep(0.6, "", memory=is_.base + is_.weights * step // _STEPS)
        yield _step(0.1, f"load_tensors:        CUDA0 model buffer size = {is_.weights / MIB:8.2f} MiB")
        yield from self._context()
        if self.fails:
            return
        yield _step(
            0.8, "cmn  common_init_: warming up the model with an empty run - please wait ... (--no-warmup to disable)"
        )
        unified = str(self._shape.unified).lower()
        slots = f"n_slots = {self._shape.slots}, n_ctx_slot = {self._shape.sequence}, kv_unified = '{unified}'"
        yield _step(0.9, f"srv  load_model: initializing, {slots}")
        yield LogStep(0.4, "")

    def _context(self) -> Iterator[LogStep]:
        is_ = self._is
        yield _step(0.4, f"llama_context: n_ctx                 = {is_.length}")
        if self.fails:
            if is_.fault is Fault.HOST:
                yield LogStep(0.8, "", memory=is_.whole)
            else:
                yield from self._failure(is_.kv, "llama_init_from_model", "failed to initialize the context")
            return
        size = f"{is_.kv / MIB:8.2f}"
        yield _step(
            0.5, f"llama_kv_cache:      CUDA0 KV buffer size = {size} MiB", memory=is_.base + is_.weights + is_.kv
        )
        cells, sequences = self._shape.sequence, f"{self._shape.slots:2d}/{self._shape.streams} seqs"
        shape = f"{cells:6d} cells, {is_.layers:3d} layers, {sequences}"
        yield _step(0.0, f"llama_kv_cache: size = {size} MiB ({shape})")
        compute = f"{is_.activation / MIB:8.2f}"
        yield _step(0.4, f"sched_reserve:      CUDA0 compute buffer size = {compute} MiB", memory=is_.whole)

    def _failure(self, size: int, where: str, what: str) -> Iterator[LogStep]:
        text = f"ggml_backend_cuda_buffer_type_alloc_buffer: allocating {size / MIB:.2f} MiB on device 0: out of memory"
        yield _step(0.6, text, "E")
        yield _step(0.0, f"alloc_tensor_range: failed to allocate CUDA0 buffer of size {size}", "E")
        yield _step(0.1, f"{where}: {what}", "E")
        yield _step(0.2, "srv  llama_server: exiting due to model loading error", "E", memory=0)

    def up(self) -> list[tuple[str, str]]:
        """The lines that it prints when it is ready."""
        where = f"http://0.0.0.0:{self._is.port}"
        return [(_info(f"{_DONE}model loaded"), "stderr"), (_info(f"{_DONE}server is listening on {where}"), "stderr")]

    def down(self) -> list[tuple[str, str]]:
        """The lines that it prints when it ends."""
        return [(_info("srv  operator(): cleaning up before exit..."), "stderr")]

    def load(self, prompted: float, generated: float, running: int, usage: float) -> str:
        """The line about the last seconds: tokens per second, requests, and the fraction of the KV cache in use."""
        text = (
            f"slot print_timing: prompt eval {prompted:.2f} tokens per second, eval {generated:.2f} tokens per second, "
        )
        return _info(f"{text}{running} processing, {usage * 100:.1f} % of the cells")


def _info(text: str) -> str:
    return f"{NOW} I {text}"


def _step(after: float, text: str, level: str = "I", *, memory: int | None = None) -> LogStep:
    return LogStep(after, f"{NOW} {level} {text}", "stderr", memory)


def start_log(start: Start) -> LlamaLog:
    """The simulated log of a start."""
    return LlamaLog(start.figures)


def stamp(_: float, spent: float) -> str:
    """The time since the start in llama-server's format: minutes, seconds, milliseconds, microseconds."""
    micros = int(spent * 1e6)
    seconds = micros // 1_000_000
    return f"{seconds // 60}.{seconds % 60:02d}.{micros // 1000 % 1000:03d}.{micros % 1000:03d}"


SIMULATED = Simulated(
    start_log,
    stamp,
    health=b'{"status":"ok"}',
    model_label=False,
    answered=("srv  log_server_r: done request: POST {path} 127.0.0.1 200", "stderr"),
)
