"""`ray start`, `ray status`, `ray stop`: nodes that really join over TCP and are really counted."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from engine_standin import checks, lines, mode
from engine_standin.ray_gcs import Gcs
from engine_standin.wire import Wire

CURRENT = Path("/tmp/ray/ray_current_cluster")
PID = Path("/tmp/ray/stand-in.pid")
HEAD_PATIENCE = 5.0
HEAD_LOST_SECONDS = 60.0
"""A node whose head is gone ends after about this long."""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="ray", allow_abbrev=False)
    parser.add_argument("--version", action="version", version="ray, version 2.60.0")
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("start", allow_abbrev=False)
    for flag in ("--head", "--block", "--disable-usage-stats", "--include-dashboard", "--verbose"):
        start.add_argument(flag, action="store_true")
    for flag in ("--address", "--node-ip-address", "--dashboard-host", "--dashboard-port", "--object-store-memory"):
        start.add_argument(flag, default="")
    for flag in ("--num-cpus", "--ray-client-server-port", "--node-manager-port", "--object-manager-port"):
        start.add_argument(flag, default="")
    start.add_argument("--port", type=int, default=6379)
    start.add_argument("--num-gpus", type=int, default=None)
    status = commands.add_parser("status", allow_abbrev=False)
    status.add_argument("--address", default="")
    status.add_argument("--verbose", "-v", action="store_true")
    commands.add_parser("stop", allow_abbrev=False).add_argument("--force", "-f", action="store_true")
    options = parser.parse_args()
    {"start": run_start, "status": run_status, "stop": run_stop}[options.command](options)


# --- start ---------------------------------------------------------------------------------------------------------


def run_start(options: argparse.Namespace) -> None:
    """Become a node, the head too with `--head`."""
    if bool(options.address) == options.head:
        sys.exit("Error: start needs either --head or --address of the head")
    address = options.node_ip_address or local_address()
    check_is_own(address)
    lines.out(lines.ray("INFO", "usage_lib.py:448", "Usage stats collection is disabled."))
    lines.out(lines.ray("INFO", "scripts.py:1043", f"Local node IP: {address}"))
    mode.nap(0.3)
    head = f"{address}:{options.port}" if options.head else options.address
    if options.head:
        try:
            Gcs(address, options.port)
        except OSError as error:
            fail(f"ConnectionError: Ray is trying to start at {head}, but is already running at {head}. ({error})")
    link = join(head, address, options.num_gpus)
    CURRENT.parent.mkdir(parents=True, exist_ok=True)
    CURRENT.write_text(head)
    PID.write_text(str(os.getpid()))
    say_started(head, options.head)
    if not options.block:
        if os.fork():
            os._exit(0)
        os.setsid()
    be_a_node(link)


def local_address() -> str:
    """The address of the default route's interface, as Ray finds it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("8.8.8.8", 80))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def check_is_own(address: str) -> None:
    """Refuse an address of another host, which is the usual mistake of launchers."""
    try:
        with socket.socket() as probe:
            probe.bind((address, 0))
    except OSError as error:
        fail(f"engine stand-in: --node-ip-address {address} is not this host's: {error}")


def join(head: str, address: str, gpus: int | None) -> Wire:
    """Connect to the head and say what this node has."""
    host, _, port = head.rpartition(":")
    try:
        link = Wire.connect(host, int(port), patience=HEAD_PATIENCE)
    except (OSError, ValueError):
        fail(
            f"RuntimeError: Unable to connect to GCS at {head}. Check that (1) Ray GCS with matching version started "
            "successfully at the specified address, and (2) there is no firewall setting preventing access."
        )
    found = int(checks.has_gpu()) if gpus is None else gpus
    node = {"ip": address, "gpus": found, "id": node_id(address), "host": socket.gethostname()}
    link.send(op="join", node=node | {"vllm_host_ip": os.environ.get("VLLM_HOST_IP", "")})
    link.receive()
    return link


def node_id(address: str) -> str:
    """Ray's node ids are 56 hexadecimal digits."""
    return hashlib.sha256(address.encode()).hexdigest()[:56]


def say_started(head: str, is_head: bool) -> None:
    """What `ray start` prints, shortened."""
    rule = lines.ray("SUCC", "scripts.py:1084", "-" * 20)
    lines.out(rule)
    lines.out(lines.ray("SUCC", "scripts.py:1085", "Ray runtime started."))
    lines.out(rule)
    if is_head:
        lines.out(lines.ray("INFO", "scripts.py:1095", f"  ray start --address='{head}'"))
    lines.out(lines.ray("INFO", "scripts.py:1265", "--block"))
    lines.out(lines.ray("INFO", "scripts.py:1266", "This command will now block forever until terminated by a signal."))


def be_a_node(link: Wire) -> None:
    """Start workers for drivers until told to end, or until the head has been gone for a while."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(number))
    children = []
    while message := link.receive():
        if worker := message.get("spawn"):
            argv = [sys.executable, "-m", "engine_standin.ray_worker", json.dumps(worker)]
            # A worker's lines reach the driver over its own connection, not this container's log.
            children.append(subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    time.sleep(HEAD_LOST_SECONDS)
    fail("Some Ray subprocesses exited unexpectedly:\n  raylet [exit code=1]")


# --- status and stop -----------------------------------------------------------------------------------------------


def ask(address: str) -> dict[str, Any]:
    """Nodes and taken GPUs from the head at `address`, or from the cluster that this container belongs to."""
    head = address or os.environ.get("RAY_ADDRESS") or (CURRENT.read_text() if CURRENT.exists() else "")
    host, _, port = head.rpartition(":")
    try:
        wire = Wire.connect(host, int(port))
        wire.send(op="nodes")
        answer = wire.receive()
    except (OSError, ValueError):
        answer = None
    if answer is None:
        fail(
            "ConnectionError: Could not find any running Ray instance. Please specify the one to connect to by setting "
            "`--address` flag or `RAY_ADDRESS` environment variable."
        )
    return answer


def run_status(options: argparse.Namespace) -> None:
    """The report of the autoscaler."""
    answer = ask(options.address)
    mode.nap(0.2)
    nodes = answer["nodes"]
    gpus = sum(node["gpus"] for node in nodes)
    rule = "-" * 63
    report = [f"======== Autoscaler status: {time.strftime('%Y-%m-%d %H:%M:%S')}.000000 ========", "Node status", rule]
    report += ["Active:", *(f" 1 node_{node['id']}" for node in nodes), "Pending:", " (no pending nodes)"]
    report += ["Recent failures:", " (no failures)", "", "Resources", rule, "Total Usage:"]
    report += [f" 0.0/{20.0 * len(nodes)} CPU", f" {float(answer['taken'])}/{float(gpus)} GPU", " 0B/100.00GiB memory"]
    report += ["", "From request_resources:", " (none)", "Pending Demands:", " (no resource demands)"]
    lines.out("\n".join(report))


def run_stop(options: argparse.Namespace) -> None:
    """End the node of this container."""
    del options
    if PID.exists():
        os.kill(int(PID.read_text()), signal.SIGTERM)
    lines.out("Stopped all 1 Ray processes.")


def fail(text: str) -> NoReturn:
    """End with Ray's exit code for trouble."""
    lines.err(text)
    sys.exit(1)
