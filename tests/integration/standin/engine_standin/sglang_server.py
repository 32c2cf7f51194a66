"""`python3 -m sglang.launch_server`: ranks that meet at --dist-init-addr, an endpoint on rank 0, dummies elsewhere.

Unlike vLLM's, its ranks end together when one is killed, its port is closed until all is loaded, and a crash in
service ends with exit code 0 only when the server is the container's first process, else with 137.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
import time
from http.server import ThreadingHTTPServer
from typing import Any, NoReturn

from engine_standin import checks, lines, mode
from engine_standin.commandline import Parser, add_flags
from engine_standin.http_api import Handler, Service, listen
from engine_standin.lines import sglang
from engine_standin.wire import Wire

MEET_SECONDS = 600.0


def main() -> None:
    """The command line. Until the server runs, SIGTERM is ignored."""
    parser = Parser(prog="sglang serve", usage="sglang serve [-h] --model-path MODEL_PATH ...")
    add_flags(parser, "sglang.flags")
    options = parser.parse(sys.argv[1:])
    if not hasattr(options, "model_path"):
        parser.error("the following arguments are required: --model-path/--model")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    lines.begin_numbered()
    Rank(options).run()


class Rank:
    """One rank of the server."""

    def __init__(self, options: argparse.Namespace) -> None:
        given = vars(options)
        self.model: str = options.model_path
        self.given = given
        self.rank: int = given.get("node_rank", 0)
        self.nnodes: int = given.get("nnodes", 1)
        self.ranks: int = given.get("tp_size", 1) * given.get("pp_size", given.get("pipeline_parallel_size", 1))
        self.host: str = given.get("host", "127.0.0.1")
        self.port: int = given.get("port", 30000)
        self.peers: list[Wire] = []
        self.calls: list[dict[str, Any]] = []
        self._stopping = threading.Event()

    def run(self) -> NoReturn:
        """Load with the other ranks, serve, end."""
        sglang(f"server_args=ServerArgs(model_path={self.model!r}, tp_size={self.ranks}, port={self.port})")
        try:
            server = self._start()
        except checks.Refused as error:
            self._fail(str(error))
        signal.signal(signal.SIGTERM, self._told_to_end)
        for peer in self.peers:
            threading.Thread(target=self._watch, args=(peer,), daemon=True).start()
        if mode.name() == "crash_after":
            time.sleep(mode.seconds())
            self._fail("RuntimeError: CUDA error: an illegal memory access was encountered")
        self._stopping.wait()
        server.shutdown()
        os._exit(0)

    def _start(self) -> ThreadingHTTPServer:
        if not checks.has_gpu():
            raise checks.Refused("RuntimeError: No CUDA GPUs are available")
        if self.ranks != self.nnodes:
            raise checks.Refused(f"AssertionError: engine stand-in: tp_size {self.ranks} over {self.nnodes} nodes")
        directory = checks.find_model(self.model)
        config = checks.configuration(directory)
        sglang("Init parallel begin.", f"TP{self.rank}")
        if self.nnodes > 1:
            checks.check_shared_memory()
            self._meet()
        sglang("Init parallel ends. elapsed=0.35 s, mem usage=0.35 GB", f"TP{self.rank}")
        self._load(directory, config["architectures"][0])
        call = checks.call_record(self.model, directory, sys.argv[1:])
        self._exchange(call)
        return self._serve(config.get("max_position_embeddings", 4096))

    def _meet(self) -> None:
        """Rank 0 listens on all addresses; the others try until somebody does."""
        host, _, port = str(self.given.get("dist_init_addr", "")).rpartition(":")
        if not host:
            raise checks.Refused("RuntimeError: engine stand-in: several nodes without --dist-init-addr")
        if self.rank:
            try:
                self.peers = [Wire.connect(host, int(port), patience=MEET_SECONDS)]
            except OSError as error:
                text = "The client socket has timed out after 600000ms while trying to connect to"
                raise checks.Refused(f"torch.distributed.DistNetworkError: {text} ({host}, {port}).") from error
            self.peers[0].send(rank=self.rank, model=self.model, ranks=self.ranks)
            return
        with socket.create_server(("0.0.0.0", int(port))) as listener:
            listener.settimeout(MEET_SECONDS)
            while len(self.peers) < self.nnodes - 1:
                peer = Wire(listener.accept()[0])
                hello = peer.receive() or {}
                if (hello.get("model"), hello.get("ranks")) != (self.model, self.ranks):
                    raise checks.Refused(f"RuntimeError: engine stand-in: a rank was started differently: {hello}")
                self.peers.append(peer)

    def _load(self, directory: Any, architecture: str) -> None:
        rank = f"TP{self.rank}"
        sglang("Load weight begin. avail mem=110.20 GB", rank)
        failing = mode.name()
        shards = checks.shards(directory)
        if failing == "load":
            raise checks.Refused("safetensors._safetensors_rust.SafetensorError: header too large")
        lines.bar("Loading safetensors checkpoint shards", len(shards), 0.5)
        if failing == "oom":
            raise checks.Refused("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB.")
        memory = "dtype=torch.bfloat16, avail mem=100.10 GB, mem usage=10.10 GB."
        sglang(f"Load weight end. elapsed=0.50 s, type={architecture}, {memory}", rank)
        while failing == "hang":
            time.sleep(3600)
        if failing in ("kv", "busy"):
            fraction = self.given.get("mem_fraction_static", 0.88)
            raise checks.Refused(
                f"ValueError: Loaded weights leave no GPU memory for the KV cache under --mem-fraction-static="
                f"{fraction}. Raise --mem-fraction-static above 0.93 (minimum viable = 1 - available/pre = 0.93)."
            )
        sglang("KV Cache is allocated. dtype: torch.bfloat16, #tokens: 383872, K size: 9.68 GB, V size: 9.68 GB", rank)
        if not self.given.get("disable_cuda_graph"):
            sglang("Capture target decode CUDA graph begin. backend=full, avail mem=98.00 GB", rank)
            mode.nap(0.3)
            sglang("Capture target decode CUDA graph end. elapsed=0.30 s, mem usage=0.80 GB, avail mem=97.20 GB.", rank)

    def _exchange(self, call: dict[str, Any]) -> None:
        """Nobody serves before all have loaded."""
        if self.rank:
            self.peers[0].send(call=call)
            if self.peers[0].receive() is None:
                raise checks.Refused("RuntimeError: [gloo/transport/tcp/pair.cc:553] Connection closed by peer")
            return
        self.calls = [call]
        for peer in self.peers:
            message = peer.receive()
            if message is None:
                raise checks.Refused("RuntimeError: [gloo/transport/tcp/pair.cc:553] Connection closed by peer")
            self.calls.append(message["call"])
        for peer in self.peers:
            peer.send(go=True)

    def _serve(self, longest: int) -> ThreadingHTTPServer:
        context = self.given.get("context_length", longest)
        self.service = Service(
            names=[self.given.get("served_model_name", self.model)],
            root=self.model,
            max_model_len=context,
            owner="sglang",
            call={"arguments": sys.argv[1:], "ranks": self.calls},
            step=lambda: None,
            status=503,
        )
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((self.host, self.port))
        except OSError as error:
            raise checks.Refused(f"[Errno {error.errno}] error while attempting to bind on address") from error
        server = listen(bound, self.service, DummyHandler if self.rank else Handler)
        if self.rank:
            sglang(f"Dummy health check server started in background thread at {self.host}:{self.port}")
            return server
        sglang(f"max_total_num_tokens=383872, context_len={context}, available_gpu_mem=97.20 GB", "TP0")
        lines.err(f"INFO:     Uvicorn running on http://{self.host}:{self.port} (Press CTRL+C to quit)")
        mode.nap(0.5)  # the warm-up request
        self.service.status = 200
        sglang("The server is fired up and ready to roll!")
        return server

    def _watch(self, peer: Wire) -> None:
        """A killed rank ends all others at once."""
        while peer.receive() is not None:
            pass
        if not self._stopping.is_set():
            self._fail("RuntimeError: [gloo/transport/tcp/pair.cc:553] Connection closed by peer")

    def _told_to_end(self, number: int, frame: object) -> None:
        if self.rank:
            text = f"SIGTERM received on node_rank {self.rank}; waiting for the rank-0 ShutdownReq broadcast"
            sglang(text)
            return
        threading.Thread(target=self._end_gracefully, daemon=True).start()

    def _end_gracefully(self) -> None:
        self.service.status = 503
        while self.service.running:
            sglang(f"Gracefully exiting... Remaining number of requests {self.service.running}.")
            time.sleep(1)
        self._stopping.set()

    def _fail(self, cause: str) -> NoReturn:
        """The whole tree is killed: as the container's first process that cannot be, and the exit code is 0."""
        sglang(f"Scheduler hit an exception: Traceback (most recent call last):\n{cause}\n", f"TP{self.rank}")
        sglang("Received sigquit from a child process. It usually means the child failed.")
        sglang("kill_process_tree called: parent_pid=None, include_parent=True")
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)
        os._exit(0)


class DummyHandler(Handler):
    """The endpoint of a rank above 0: healthy whatever happens, and nothing else."""

    def do_GET(self) -> None:
        """Always 200 for health, 404 for the rest."""
        healthy = self.path in ("/health", "/health_generate", "/ping")
        self.answer(200 if healthy else 404, None if healthy else {"detail": "Not Found"})

    def do_POST(self) -> None:
        """Nothing is computed here."""
        self.answer(404, {"detail": "Not Found"})
