"""How an engine's ranks are run: in its own process, over the hosts by rank, or by Ray.

Each has `start`, which returns how every rank was called or raises `Refused`; `step`, which raises `Lost` when a rank
is found gone at a request; and `watch`, which calls back when a rank is found gone by itself.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from engine_standin import checks, lines, phases
from engine_standin.lines import Record
from engine_standin.options import ServeOptions
from engine_standin.ray_cli import CURRENT
from engine_standin.wire import Wire


class Lost(Exception):
    """A rank is gone."""


class Executor(Protocol):
    """One way to run the ranks."""

    def start(self) -> list[dict[str, Any]]:
        """Meet and load; how each rank was called, or raises `Refused`."""
        ...

    def step(self) -> None:
        """Compute; raises `Lost`."""
        ...

    def watch(self, died: Callable[[str], None]) -> None:
        """Call `died` when a rank is found gone; returns at once."""
        ...


def choose(options: ServeOptions, record: Record) -> Executor:
    """The executor that vLLM would choose; raises `Refused` where it has not enough GPUs."""
    if options.backend == "ray":
        return RayExecutor(options, record)
    if options.nnodes > 1:
        return RankExecutor(options, record)
    if options.ranks > 1:
        raise checks.Refused(
            f"pydantic_core._pydantic_core.ValidationError: 1 validation error for ParallelConfig\n"
            f"  Value error, World size ({options.ranks}) is larger than the number of available GPUs (1) in this node."
            " If this is intentional and you are using:\n- ray, set '--distributed-executor-backend ray'.\n"
            "- multiprocessing, set '--nnodes' appropriately. [type=value_error, input_type=ArgsKwargs]"
        )
    return LocalExecutor(options, record)


class LocalExecutor:
    """One rank, inside the engine's own process."""

    def __init__(self, options: ServeOptions, record: Record) -> None:
        self.options = options
        self.record = record

    def start(self) -> list[dict[str, Any]]:
        self.record.info(phases.rank_line(0, 1, "127.0.0.1:35123"), "parallel_state.py:1906")
        self.record.info(phases.met_line(0, 1), "parallel_state.py:2350")
        phases.load(self.record, self.options.directory, 0, 1)
        return [checks.call_record(self.options.model, self.options.directory, self.options.arguments)]

    def step(self) -> None:
        return None

    def watch(self, died: Callable[[str], None]) -> None:
        return None


class RankExecutor:
    """Rank 0 of several hosts without Ray: a lost rank goes unnoticed until the next request."""

    def __init__(self, options: ServeOptions, record: Record) -> None:
        self.options = options
        self.record = record
        self.peers: list[Wire] = []

    def start(self) -> list[dict[str, Any]]:
        options = self.options
        check_ranks(options)
        worker = Record("Worker")
        host, port = options.master
        worker.info(phases.rank_line(0, options.ranks, f"{host}:{port}"), "parallel_state.py:1906")
        self._meet()
        worker.info(phases.met_line(0, options.ranks), "parallel_state.py:2350")
        phases.load(Record("Worker_TP0"), options.directory, 0, options.ranks)
        calls = [checks.call_record(options.model, options.directory, options.arguments)]
        for peer in self.peers:
            message = peer.receive()
            if message is None or "call" not in message:
                raise checks.Refused(f"RuntimeError: {peer_lost(peer)}")
            calls.append(message["call"])
        return calls

    def _meet(self) -> None:
        """Listen only now, as the real rank 0 does, and wait in silence."""
        host, port = self.options.master
        others = self.options.nnodes - 1
        try:
            listener = socket.create_server((host, port))
        except OSError as error:
            raise checks.Refused(
                "torch.distributed.DistNetworkError: The server socket has failed to listen on any local network "
                f"address. port: {port}, useIpv6: false, code: -{error.errno}"
            ) from error
        deadline = time.monotonic() + self.options.timeout
        with listener:
            while len(self.peers) < others:
                listener.settimeout(max(0.01, deadline - time.monotonic()))
                try:
                    peer = Wire(listener.accept()[0])
                except TimeoutError as error:
                    waited = int(self.options.timeout) + 1
                    joined = f"{len(self.peers) + 1}/{others + 1} clients joined."
                    text = f"Timed out after {waited} seconds waiting for clients. {joined}"
                    raise checks.Refused(f"torch.distributed.DistStoreError: {text}") from error
                self._welcome(peer)
        for peer in self.peers:
            peer.send(go=True)

    def _welcome(self, peer: Wire) -> None:
        hello = peer.receive()
        same = {"model": self.options.model, "ranks": self.options.ranks, "nnodes": self.options.nnodes}
        if hello is None:
            return
        if {name: hello[name] for name in same} != same:
            raise checks.Refused(
                f"RuntimeError: engine stand-in: rank {hello['rank']} was started differently: {hello}"
            )
        self.peers.append(peer)

    def step(self) -> None:
        for peer in self.peers:
            if peer.is_closed():
                raise Lost(f"RuntimeError: Worker failed with error '{peer_lost(peer)}'")

    def watch(self, died: Callable[[str], None]) -> None:
        return None


def check_ranks(options: ServeOptions) -> None:
    """What every rank of several hosts needs."""
    if options.ranks != options.nnodes:
        raise checks.Refused(
            f"RuntimeError: engine stand-in: {options.ranks} ranks over {options.nnodes} nodes, with one GPU each"
        )
    if options.headless != (options.node_rank > 0):
        raise checks.Refused("RuntimeError: engine stand-in: --headless belongs to every rank but 0, and only to those")
    address = checks.own_address()
    if options.node_rank == 0 and options.master[0] != address:
        raise checks.Refused(
            f"RuntimeError: engine stand-in: --master-addr {options.master[0]} is not rank 0's {address}"
        )
    checks.check_shared_memory()


def peer_lost(peer: Wire) -> str:
    """Gloo's words for a connection that ended."""
    try:
        address = "[{}]:{}".format(*peer.connection.getpeername())
    except OSError:
        address = "?"
    return (
        f"[gloo/transport/tcp/pair.cc:553] Connection closed by peer {address}. This is typically caused by a remote "
        "worker crashing."
    )


class RayExecutor:
    """Ranks placed by the Ray cluster that this container belongs to: a lost rank is noticed within seconds."""

    def __init__(self, options: ServeOptions, record: Record) -> None:
        self.options = options
        self.record = record
        self.workers: list[Wire] = []
        self._who: dict[Wire, str] = {}
        self._ranks: dict[Wire, int] = {}

    def start(self) -> list[dict[str, Any]]:
        address = checks.own_address()
        claimed = self._claim(address)
        with socket.create_server((address, 0)) as listener:
            driver = f"{address}:{listener.getsockname()[1]}"
            for rank, node in enumerate(claimed):
                order = {"rank": rank, "world": self.options.ranks, "driver": driver, "model": self.options.model}
                self.gcs.send(op="spawn", ip=node["ip"], worker=order | {"address": node["ip"]})
                self.gcs.receive()
            for _ in claimed:
                wire = Wire(listener.accept()[0])
                hello = wire.receive() or {}
                where = "" if hello["address"] == address else f", ip={hello['address']}"
                self._who[wire] = f"\x1b[36m(RayWorkerProc pid={hello['pid']}{where})\x1b[0m "
                self._ranks[wire] = hello["rank"]
                self.workers.append(wire)
        self._until("met")
        for worker in self.workers:
            worker.send(go=True)
        return self._until("ready")

    def _claim(self, address: str) -> list[dict[str, Any]]:
        """Connect to the cluster and wait for enough GPUs, in silence but for one warning."""
        head = os.environ.get("RAY_ADDRESS") or (CURRENT.read_text() if CURRENT.exists() else "")
        if not head:
            raise checks.Refused(
                "RuntimeError: engine stand-in: no Ray cluster in this container: ray start comes first"
            )
        lines.err(lines.ray("INFO", "worker.py:1841", f"Connecting to existing Ray cluster at address: {head}..."))
        self.gcs = Wire.connect(*_split(head))
        lines.err(lines.ray("INFO", "worker.py:2038", "Connected to Ray cluster."))
        self.record.info("No current placement group found. Creating a new placement group.", "ray_utils.py:607")
        warned = False
        while True:
            self.gcs.send(op="claim", gpus=self.options.ranks, first=address)
            answer = self.gcs.receive() or {}
            if "claimed" in answer:
                break
            if not warned:
                text = "The number of required GPUs exceeds the total number of available GPUs in the placement group."
                self.record.warning(text, "ray_utils.py:558")
            warned = True
            time.sleep(0.5)
        claimed: list[dict[str, Any]] = answer["claimed"]
        if len({node["vllm_host_ip"] for node in claimed}) != len({node["ip"] for node in claimed}):
            raise checks.Refused(
                f"RuntimeError: Every node should have a unique IP address. Got {len(claimed)} nodes with addresses "
                f"{sorted(node['vllm_host_ip'] for node in claimed)}; set VLLM_HOST_IP for each node."
            )
        return claimed

    def _until(self, state: str) -> list[dict[str, Any]]:
        """Print what the workers say until all of them are at `state`; raises `Refused` when one fails."""
        found = {}
        for worker in self.workers:
            while True:
                message = worker.receive()
                if message is None:
                    raise checks.Refused(f"RuntimeError: RayWorkerProc rank=[{self._ranks[worker]}] died unexpectedly")
                if "line" in message:
                    for line in message["line"].split("\n"):
                        lines.out(self._who[worker] + line)
                elif message["state"] == "failed":
                    raise checks.Refused(message["cause"])
                elif message["state"] == state:
                    found[self._ranks[worker]] = message.get("call", {})
                    break
        return [found[rank] for rank in sorted(found)]

    def step(self) -> None:
        return None

    def watch(self, died: Callable[[str], None]) -> None:
        for worker in self.workers:
            threading.Thread(target=self._watch_one, args=(worker, died), daemon=True).start()

    def _watch_one(self, worker: Wire, died: Callable[[str], None]) -> None:
        while worker.receive() is not None:
            pass
        died(f"RayWorkerProc rank=[{self._ranks[worker]}] died unexpectedly, shutting down executor.")


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)
