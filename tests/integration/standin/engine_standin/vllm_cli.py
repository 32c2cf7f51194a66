"""`vllm serve`: the API server's process, from command line to exit code."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
import sys
import threading
import time
from typing import NoReturn

from engine_standin import checks, engine_core, executors, lines, mode, phases
from engine_standin.http_api import EngineDead, Service, listen
from engine_standin.lines import Record, err
from engine_standin.options import ServeOptions, check_model, parse, version_or_usage
from engine_standin.wire import Wire

DEAD_SECONDS = 3.0
"""How long a server with a dead engine answers before it ends."""


def main() -> None:
    """The command line. A start does not obey SIGTERM, like the real one's."""
    version_or_usage(sys.argv[1:])
    options = parse(sys.argv[2:])
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    mode.name()
    lines.begin_numbered()
    mode.nap(0.2)
    try:
        if not checks.has_gpu():
            raise checks.Refused("RuntimeError: Failed to infer device type: no GPU in this container (--gpus all)")
        if options.headless:
            serve_headless(options)
        else:
            serve(options)
    except checks.Refused as error:
        lines.traceback(str(error))
        sys.exit(1)


def with_model(options: ServeOptions, record: Record) -> ServeOptions:
    """Look at the model, and say so."""
    directory, max_model_len, architecture = check_model(options)
    record.info(f"Resolved architecture: {architecture}", "model.py:733")
    record.info(f"Using max model len {max_model_len}", "model.py:2152")
    return dataclasses.replace(options, directory=directory, max_model_len=max_model_len)


# --- a rank above 0 --------------------------------------------------------------------------------------------------


def serve_headless(options: ServeOptions) -> NoReturn:
    """A rank that serves no endpoint: it waits in silence, has no ready line, and never ends by itself."""
    record = Record("MainProcess")
    options = with_model(options, record)
    executors.check_ranks(options)
    host, port = options.master
    text = f"with head node address {host}:{port} for torch.distributed process group."
    record.info(f"Launching vLLM (v0.32.0) headless multiproc executor, {text}", "serve.py:224")
    mode.nap(0.3)
    worker = Record("Worker")
    worker.info(phases.rank_line(options.node_rank, options.ranks, f"{host}:{port}"), "parallel_state.py:1906")
    try:
        head = Wire.connect(host, port, patience=options.timeout)
    except OSError as error:
        text = f"The client socket has timed out after {int(options.timeout * 1000)}ms while trying to connect to"
        raise checks.Refused(f"torch.distributed.DistNetworkError: {text} ({host}, {port}).") from error
    head.send(
        rank=options.node_rank,
        model=options.model,
        ranks=options.ranks,
        nnodes=options.nnodes,
        host=socket.gethostname(),
    )
    head.receive()
    worker.info(phases.met_line(options.node_rank, options.ranks), "parallel_state.py:2350")
    phases.load(Record(f"Worker_TP{options.node_rank}"), options.directory, options.node_rank, options.ranks)
    head.send(call=checks.call_record(options.model, options.directory, options.arguments))
    signal.signal(signal.SIGTERM, lambda number, frame: stop_headless(record))
    while head.receive() is not None:
        pass
    text = f"RuntimeError: [gloo/transport/tcp/pair.cc:537] Read error [{host}]:{port}: Connection reset by peer"
    lines.traceback(text, "torch/distributed.py")
    while True:
        time.sleep(3600)


def stop_headless(record: Record) -> NoReturn:
    """Stopping takes its time: the workers are waited for, then told, then killed."""
    record.info("[shutdown] Executor: waiting for worker exit count=1", "multiproc_executor.py:479")
    mode.nap(1.5)
    text = "workers still running after grace period; sending SIGTERM count=1"
    record.warning(f"[shutdown] Executor: {text}", "multiproc_executor.py:491")
    mode.nap(1.0)
    text = "workers still running after SIGTERM; sending SIGKILL count=1"
    record.warning(f"[shutdown] Executor: {text}", "multiproc_executor.py:501")
    os._exit(0)


# --- rank 0 ----------------------------------------------------------------------------------------------------------


def serve(options: ServeOptions) -> NoReturn:
    """Start the engine, then answer until it dies or we are told to end."""
    record = Record("APIServer")
    banner = f"\n  █▄█▀ █   █   █▄▀▄█  version 0.32.0\n   ▀▀  ▀▀▀ ▀▀▀ ▀   ▀  model   {options.model}\n"
    record.info(banner, "api_utils.py:347")
    record.info(f"non-default args: {options.given}", "api_utils.py:286")
    bound = bind(options.host, options.port)
    mode.nap(0.2)
    options = with_model(options, record)
    engine, engine_pid = engine_core.start(options)
    ready = engine.receive()
    if ready is None:
        lines.traceback(
            "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}"
        )
        sys.exit(1)
    record.info("Supported tasks: ['generate']", "entry.py:136")
    record.info(f"Starting vLLM server on http://{options.host}:{options.port}", "entry.py:140")
    Server(options, record, engine, engine_pid).run(bound, ready["calls"])


def bind(host: str, port: int) -> socket.socket:
    """Take the port long before anything answers there."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        lines.traceback(f"OSError: [Errno {error.errno}] {error.strerror}", "vllm/entrypoints/launchers/launcher.py")
        sys.exit(1)
    return bound


class Server:
    """The API server over a started engine."""

    def __init__(self, options: ServeOptions, record: Record, engine: Wire, engine_pid: int) -> None:
        self.options = options
        self.record = record
        self.engine = engine
        self.engine_pid = engine_pid
        self._step_lock = threading.Lock()
        self._stop = threading.Event()

    def run(self, bound: socket.socket, calls: list[dict[str, object]]) -> NoReturn:
        """Listen, say so, and stay."""
        service = Service(
            names=self.options.served_names,
            root=self.options.model,
            max_model_len=self.options.max_model_len,
            owner="vllm",
            call={"arguments": self.options.arguments, "ranks": calls},
            step=self.step,
        )
        for path in ("/health", "/metrics", "/v1/models", "/v1/chat/completions"):
            self.record.info(f"Route: {path}, Methods: GET", "launcher.py:195")
        err(f"INFO:     Started server process [{os.getpid()}]\nINFO:     Waiting for application startup.")
        mode.nap(0.3)
        listen(bound, service)
        signal.signal(signal.SIGTERM, lambda number, frame: self._stop.set())
        err("INFO:     Application startup complete.")
        threading.Thread(target=self._statistics, args=(service,), daemon=True).start()
        while not self._stop.wait(0.1):
            if os.waitpid(self.engine_pid, os.WNOHANG)[0]:
                self._end_dead(service)
        self._end_told(service)

    def step(self) -> None:
        """Ask the engine for a token."""
        with self._step_lock:
            try:
                self.engine.send(op="step")
                answer = self.engine.receive()
            except OSError:
                answer = None
        if answer is None:
            raise EngineDead

    def _statistics(self, service: Service) -> None:
        while True:
            time.sleep(10)
            if service.running:
                text = f"Avg generation throughput: {service.tokens / 10:.1f} tokens/s, Running: {service.running} reqs"
                self.record.info(f"Engine 000: Avg prompt throughput: 1.2 tokens/s, {text}", "loggers.py:335")

    def _end_dead(self, service: Service) -> NoReturn:
        """The engine died in service: unhealthy for a moment, then an end with exit code 0, as if nothing had been."""
        service.status = 503
        self.record.warning(
            "[shutdown] MPClient: engine core exited unexpectedly; starting cleanup", "core_client.py:817"
        )
        self.record.error("AsyncLLM output_handler failed.", "async_llm.py:906")
        cause = "EngineDeadError: EngineCore encountered an issue. See stack trace (above) for the root cause."
        self.record.failure(f"vllm.v1.engine.exceptions.{cause}", "async_llm.py:906")
        self._stop.wait(DEAD_SECONDS)
        self._say_end()

    def _end_told(self, service: Service) -> NoReturn:
        """SIGTERM: the engine goes at once, open requests are waited for without end."""
        service.stopping = True
        self.record.info("[shutdown] API server: shutdown triggered", "launcher.py:254")
        self.record.info("[shutdown] Process manager: send sigterm to process EngineCore", "utils.py:628")
        try:
            os.kill(self.engine_pid, signal.SIGTERM)
        except ProcessLookupError:
            self.record.info("[shutdown] MPClient: complete", "core_client.py:777")
        mode.nap(0.3)
        if service.running:
            err("INFO:     Waiting for connections to close. (CTRL+C to force quit)")
        while service.running:
            time.sleep(0.1)
        self._say_end()

    @staticmethod
    def _say_end() -> NoReturn:
        for text in ("Shutting down", "Waiting for application shutdown.", "Application shutdown complete."):
            err(f"INFO:     {text}")
        err(f"INFO:     Finished server process [{os.getpid()}]")
        os._exit(0)
