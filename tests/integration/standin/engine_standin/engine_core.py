"""The engine's own process, a child of the API server: it starts the ranks, computes, and can be killed by itself."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time

from engine_standin import checks, executors, mode, phases
from engine_standin.lines import Record, traceback
from engine_standin.options import ServeOptions
from engine_standin.wire import Wire


def start(options: ServeOptions) -> tuple[Wire, int]:
    """Start the process; returns the connection to it and its process id."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid:
        theirs.close()
        return Wire(ours), pid
    ours.close()
    code = 1
    try:
        _run(options, Wire(theirs))
        code = 0
    except checks.Refused:
        pass
    finally:
        os._exit(code)


def _run(options: ServeOptions, parent: Wire) -> None:
    """The life of the process; ends with the parent."""
    phases.name_process("VLLM::EngineCore")
    record = Record("EngineCore")
    mode.nap(0.3)
    config = f"model='{options.directory}', tensor_parallel_size={options.ranks}, max_seq_len={options.max_model_len}"
    record.info(f"Initializing a V1 LLM engine (v0.32.0) with config: {config}", "core.py:133")
    try:
        mode.nap(0.3)
        executor = executors.choose(options, record)
        calls = executor.start()
        phases.compile_and_size(record, options.max_model_len, options.eager)
    except checks.Refused as error:
        _say_failure(options, record, str(error))
        raise
    executor.watch(lambda cause: _die(record, cause))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent.send(state="ready", calls=calls)
    if mode.name() == "crash_after":
        threading.Thread(target=_crash_later, args=(record,), daemon=True).start()
    while parent.receive() is not None:
        try:
            executor.step()
        except executors.Lost as error:
            _die(record, str(error))
        parent.send(state="stepped")


def _say_failure(options: ServeOptions, record: Record, cause: str) -> None:
    """The cause first, in the deepest process's lines, then its echoes."""
    if options.ranks > 1:
        Record("Worker_TP0").failure(cause, "multiproc_executor.py:950")
        cause = (
            "Exception: WorkerProc initialization failed due to an exception in a background process. See stack trace "
            "for root cause."
        )
    record.failure(cause, "core.py:1510")
    traceback(cause, "vllm/v1/engine/core.py")


def _crash_later(record: Record) -> None:
    time.sleep(mode.seconds())
    _die(record, "RuntimeError: CUDA error: an illegal memory access was encountered")


def _die(record: Record, cause: str) -> None:
    """The engine's last words."""
    record.error("EngineCore encountered a fatal error.")
    record.failure(cause)
    os._exit(1)
