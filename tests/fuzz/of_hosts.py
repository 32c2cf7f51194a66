"""Targets: what hosts answer: probes, cache listings, Docker's daemon, fleets, metrics, served models."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.cli.text.workloads import details, fleet_json, host_row, workload_row
from sparkrun_tui.fleet import metrics as fleet_metrics
from sparkrun_tui.fleet.survey import survey
from sparkrun_tui.launch.chat.pieces import Asked
from sparkrun_tui.launch.plan.host_views import view_of
from sparkrun_tui.launch.prompting import Prompt
from sparkrun_tui.launch.run.parts.leases import Leases
from sparkrun_tui.launch.run.readiness import model_names
from sparkrun_tui.launch.sizing.sizing import host_memory
from sparkrun_tui.remote.docker.client import DockerClient
from sparkrun_tui.remote.docker.logs import follow
from sparkrun_tui.remote.http.client import HttpCall, TransportHttp
from sparkrun_tui.remote.hub.host_cache import listing
from sparkrun_tui.remote.probe.ask import probe as ask_host
from sparkrun_tui.remote.transport import Transport
from tests.fuzz import mutate
from tests.fuzz.target import Target, handled, insist, wait
from tests.fuzz.tree import to_json, tree
from tests.fuzz.wire import Wire, whole

CLUSTER = Cluster("lab", ("spark-01", "spark-02"))

PROBE = """\
epoch=1000001.500000000
hostname=spark-01
arch=aarch64
kernel=6.14.0-1015-nvidia
user=nvidia
home=/home/nvidia
hf_cache=/home/nvidia/.cache/huggingface
boot_id=abc
socket=usable
gpu_hook=yes
[[meminfo
MemTotal:       127600748 kB
MemAvailable:   118566368 kB
SwapFree:              12 kB
]]
tool=rsync
tool=nvidia-smi
[[docker
version=29.1.0
root=/var/lib/docker
runtimes=io.containerd.runc.v2 nvidia runc
]]
disk=/home/nvidia/.cache/huggingface\t/dev/nvme0n1p2 3844648956 1 2600000000 29% /\t/dev/nvme 244195328 1 244195327 1% /
disk=/var/lib/docker\t/dev/nvme0n1p2 3844648956 1 2600000000 29% /\tbtrfs 0 0 0 - /
[[gpus
NVIDIA GB10, 580.95.05, [N/A], 3, 9.51, 41, 208, [N/A]
NVIDIA RTX, 580.95.05, 24564, 97, 312.5, 83
]]
[[smi
| NVIDIA-SMI 580.95.05   Driver Version: 580.95.05   CUDA Version: 13.0  |
]]
[[route
default via 192.168.1.1 dev wlP9s9 proto dhcp src 192.168.1.50 metric 600
default via 192.168.1.1 dev enP7s7 proto dhcp src 192.168.1.7 metric 100
]]
[[addresses
1: lo    inet 127.0.0.1/8 scope host lo
2: enP7s7    inet 192.168.1.7/24 brd 192.168.1.255 scope global enP7s7
5: enp1s0f1np1    inet 192.168.100.10/24 scope global enp1s0f1np1
]]
infiniband=rocep1s0f0
rdma=rocep1s0f1\tenp1s0f1np1\t3
infiniband_dev=yes
[[listen
LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=900,fd=3))
LISTEN 0 2048 *:8000 *:* users:(("python3",pid=42,fd=9))
]]
[[tcp
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1 1 0 100 0 0 10 0
]]
end=yes
"""


def probe(folders: tuple[Path, ...]) -> Target:
    """What the probe's script printed: the facts of a host, and what is made of them."""

    def make(chance: Random) -> bytes:
        text = mutate.text(chance, PROBE)
        return mutate.encoded(text if mutate.rare(chance, 8) else f"{text}\nend=yes\n")

    return Target(make, _read_probe, (PROBE.encode(),))


def _read_probe(data: bytes) -> None:
    async def work() -> None:
        with handled():
            facts = await ask_host(Wire(data), ("~/.cache/huggingface",), (8000, 22))
            host_memory(facts)
            view_of(facts, CLUSTER, "spark-01")
            facts.disk_for("/home/nvidia/.cache/huggingface")

    wait(work)


COMMIT = "0123456789abcdef0123456789abcdef01234567"
_LISTING = (
    f"commit\t{COMMIT}\npartial\nfile\t1234\tconfig.json\nfile\t99\tsub/model-00001-of-00002.safetensors\n"
    "index\teyJ3ZWlnaHRfbWFwIjogeyJhIjogImIifX0=\tmodel.safetensors.index.json\n"
)


def cache(folders: tuple[Path, ...]) -> Target:
    """What a host says that its model cache holds; a commit is 40 hex digits or there is none."""

    def make(chance: Random) -> bytes:
        return mutate.encoded(mutate.text(chance, _LISTING))

    return Target(make, _read_cache, (_LISTING.encode(),))


def _read_cache(data: bytes) -> None:
    async def work() -> None:
        with handled():
            found = await listing(Wire(data), "~/.cache/huggingface", "org/m", "")
            if found is not None:
                insist(re.fullmatch("[0-9a-f]{40}", found.commit) is not None, "a commit that is none is taken for one")

    wait(work)


_LABELS = {f"io.sparkrun-tui.{name}": value for name, value in {
    "launch": "abcdefgh", "recipe": "qwen", "engine": "vllm", "model": "org/m", "served": "m", "port": "8000",
    "rank": "0", "nodes": "2", "hosts": "spark-01,spark-02", "role": "head", "settings": '{"tensor_parallel": 2}',
}.items()}  # fmt: skip
_LISTED = {
    "Id": "c" * 64, "Names": ["/sparkrun-abcdefgh-0"], "Image": "a/b:1", "State": "running", "Status": "Up 2 hours",
    "Created": 1790000000, "Labels": _LABELS, "Ports": [],
}  # fmt: skip
_INSPECTED = {
    "Id": "c" * 64, "Name": "/sparkrun-abcdefgh-0", "Created": "2026-01-02T03:04:05.678901234Z",
    "State": {
        "Status": "running", "ExitCode": 0, "OOMKilled": False, "Error": "", "StartedAt": "2026-01-02T03:04:05.6Z",
        "FinishedAt": "0001-01-01T00:00:00Z",
    },
    "Config": {"Image": "a/b:1", "Labels": _LABELS, "Tty": False, "Env": ["A=b"]},
    "HostConfig": {"LogConfig": {"Type": "json-file", "Config": {}}},
}  # fmt: skip
_ANSWERS: tuple[Any, ...] = (
    [_LISTED, {**_LISTED, "Names": ["/sparkrun_x_head"], "Labels": {}, "State": "exited", "Status": "Exited (137)"}],
    _INSPECTED,
    {**_INSPECTED, "State": {"Status": "exited", "ExitCode": 137, "OOMKilled": True, "FinishedAt": "2026-01-02T03Z"}},
    {"Version": "29.1.0", "ApiVersion": "1.47", "MinAPIVersion": "1.24", "Os": "linux"},
    {
        "ServerVersion": "29.1.0", "DockerRootDir": "/var/lib/docker", "Driver": "overlay2",
        "LoggingDriver": "json-file", "Architecture": "aarch64", "Runtimes": {"nvidia": {}, "runc": {}},
        "CDISpecDirs": ["/etc/cdi"],
    },
    {
        "Id": "sha256:a", "RepoTags": ["a/b:1"], "RepoDigests": ["a/b@sha256:c"], "Os": "linux",
        "Architecture": "arm64", "Size": 123, "RootFS": {"Layers": ["sha256:d"]},
        "Config": {"Env": ["VLLM_VERSION=0.31.0"], "Labels": {"a": "b"}},
    },
    {
        "memory_stats": {"usage": 5, "limit": 9, "stats": {"inactive_file": 1}},
        "cpu_stats": {"cpu_usage": {"total_usage": 9}, "system_cpu_usage": 20, "online_cpus": 4},
        "precpu_stats": {"cpu_usage": {"total_usage": 1}, "system_cpu_usage": 10},
    },
    {"Id": "e" * 64, "Running": False, "ExitCode": 0},
    {"status": "Downloading", "id": "abc", "progressDetail": {"current": 5, "total": 10}},
    {"status": "Pull complete", "id": "abc"},
    {"error": "no space", "errorDetail": {"code": 1, "message": "no space"}},
    {
        "Type": "container", "Action": "die", "timeNano": 1790000000000000000,
        "Actor": {"ID": "c", "Attributes": {"exitCode": "1"}},
    },
    {"StatusCode": 1, "Error": {"Message": "x"}},
    {"stream": "Loaded image: a/b:1\n"},
    {"message": "no such container"},
    None,
    "<html>",
)  # fmt: skip
_HEAD = (
    b"200 1.41",
    b"200 1.47",
    b"404 1.41",
    b"409 1.41",
    b"500 1.41",
    b"200 9",
    b"200 x.y",
    b"200 1.0",
    b"200 \xb2.\xb2",
)


def docker(folders: tuple[Path, ...]) -> Target:
    """Answers of a Docker daemon to all that is asked of it; errors are for the person, whatever it says."""
    words = mutate.words_of(_ANSWERS)

    def make(chance: Random) -> bytes:
        head = chance.choice(_HEAD) if mutate.rare(chance, 6) else _HEAD[0]
        if mutate.rare(chance, 40):
            head = b"200 1." + b"9" * 5000
        bodies = [mutate.json_bytes(chance, _ANSWERS, words) for _ in range(chance.choice([1, 1, 1, 3]))]
        return head + b"\n" + b"\n".join(bodies)

    return Target(make, _read_docker, tuple(_HEAD[0] + b"\n" + json.dumps(answer).encode() for answer in _ANSWERS))


def _read_docker(data: bytes) -> None:
    head, _, body = data.partition(b"\n")
    status, _, version = head.partition(b" ")
    code = int(status) if len(status) == 3 and status.isdigit() and status >= b"200" else 200
    answer = whole(body, code, version.replace(b"\r", b"").replace(b"\0", b""))

    async def work() -> None:
        client = DockerClient(Wire(socket=lambda _path: answer))
        asked: list[Callable[[], Awaitable[object]]] = [
            client.ping,
            client.version,
            client.info,
            client.containers,
            lambda: client.inspect("c"),
            lambda: client.image("a/b:1"),
            lambda: client.stats("c"),
            lambda: client.exec_inspect("e"),
            lambda: client.run_exec("c", ("true",)),
            lambda: client.wait("c"),
            lambda: client.create("n", {}),
            lambda: _drained(client.pull("a/b:1")),
            lambda: _drained(client.events()),
            lambda: _drained(client.load(_no_chunks())),
        ]
        try:
            # Which comes first differs from input to input: an error that is a finding hides those after it.
            first = zlib.crc32(data) % len(asked)
            for ask in (*asked[first:], *asked[:first]):
                with handled():
                    await ask()
        finally:
            await client.close()

    wait(work)


async def _drained(items: Any) -> None:
    async for _ in items:
        pass


async def _no_chunks() -> Any:
    for chunk in ():
        yield chunk


def frames(folders: tuple[Path, ...]) -> Target:
    """A container's log as Docker sends it: frames, time stamps, lines; and the output of a command in it."""
    seeds = [_frame(1, b"2026-01-02T03:04:05.678901234Z INFO it starts\n") + _frame(2, b"x" * 40), _frame(1, b"") * 3]

    def make(chance: Random) -> bytes:
        if mutate.rare(chance, 3):
            return mutate.raw(chance, chance.choice(seeds))
        lines = [mutate.text(chance, "2026-01-02T03:04:05.678901234Z INFO it starts\n") for _ in range(4)]
        return b"".join(_frame(chance.choice([1, 2]), mutate.encoded(line)) for line in lines)[: mutate.MOST]

    return Target(make, _read_frames, tuple(seeds))


def _frame(stream: int, data: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


class _Enough(Exception):
    """The log was asked for again, which a test need not wait for."""


def _read_frames(data: bytes) -> None:
    inspected = whole(json.dumps(_INSPECTED).encode())
    answer = whole(data)

    def socket(path: str) -> bytes:
        if path.endswith("/exec"):
            return whole(b'{"Id": "e"}', 201)
        return inspected if path.endswith("/json") else answer

    async def sleep(_seconds: float) -> None:
        raise _Enough

    async def work() -> None:
        client = DockerClient(Wire(socket=socket))
        try:
            with handled(_Enough):
                async for batch in follow(client, "c", keep=False, sleep=sleep):
                    insist(all("\x1b" not in line.text for line in batch), "a log line steers the terminal")
            with handled():
                await client.run_exec("c", ("true",))
        finally:
            await client.close()

    wait(work)


_CUT = b"\n---\n"


def fleet(folders: tuple[Path, ...]) -> Target:
    """A look at a cluster whose daemons, probes and servers answer anything: the view, its rows and its JSON."""
    listed, inspected = [_ANSWERS[0]], [_INSPECTED, _ANSWERS[2]]
    words = mutate.words_of([_LISTED, _INSPECTED])

    def make(chance: Random) -> bytes:
        if mutate.rare(chance, 2):
            labels = {**_LABELS}
            for name in chance.sample(sorted(labels), chance.choice([1, 2, 3])):
                labels[name] = chance.choice([*mutate.NUMBERS, *mutate.TEXTS])
            one = [{**_LISTED, "Labels": labels}] * chance.choice([1, 2, 5])
            two = {**_INSPECTED, "Config": {"Labels": labels, "Image": "a"}}
            return mutate.encoded(to_json(tree(one))) + _CUT + mutate.encoded(to_json(tree(two)))
        return mutate.json_bytes(chance, listed, words) + _CUT + mutate.json_bytes(chance, inspected, words)

    first = json.dumps(_ANSWERS[0]).encode() + _CUT + json.dumps(_INSPECTED).encode()
    return Target(make, _read_fleet, (first,))


@dataclass(frozen=True, slots=True)
class _Services:
    connector: Callable[[str], Transport]
    docker: Callable[[Transport], DockerClient]
    probe: Callable[..., Any]
    http: TransportHttp
    clock: Callable[[], float]


def _read_fleet(data: bytes) -> None:
    one, _, two = data.partition(_CUT)
    listed, inspected, well = whole(one), whole(two), whole(b"[]")
    hosts: dict[str, Wire] = {
        "spark-01": Wire(
            PROBE.encode(), lambda path: listed if "containers/json" in path else inspected, lambda _: well
        ),
        "spark-02": Wire(PROBE.encode(), lambda _: well),
    }
    services = _Services(hosts.__getitem__, DockerClient, ask_host, TransportHttp(), lambda: 1790000000.0)

    async def work() -> None:
        view = await survey(CLUSTER, services)
        insist(len(view.hosts) == 2, "a host is lost from the view")
        for status in view.hosts:
            host_row(status)
        for item in view.workloads:
            workload_row(item)
            await fleet_metrics.read(item, services)
        list(details(view))
        json.dumps(fleet_json(view))

    wait(work)


_LEASE = (
    'held 5\n{"launch": "zzzzzzzz", "user": "somebody@there", "machine": "m", "pid": 5, "began": "9"}',
    'expired 500\n{"launch": "zzzzzzzz", "user": "somebody@there"}',
    "won\n",
)


def lease(folders: tuple[Path, ...]) -> Target:
    """What a host says of the lease on it: whose it is, and since when."""

    def make(chance: Random) -> bytes:
        verdict, _, owner = chance.choice(_LEASE).partition("\n")
        if owner and mutate.rare(chance, 2):
            return (
                mutate.encoded(mutate.text(chance, verdict)) + b"\n" + mutate.json_bytes(chance, _OWNERS, ("launch",))
            )
        return mutate.encoded(mutate.text(chance, chance.choice(_LEASE)))

    return Target(make, _read_lease, tuple(text.encode() for text in _LEASE))


_OWNERS = [json.loads(text.partition("\n")[2]) for text in _LEASE[:2]]


def _read_lease(data: bytes) -> None:
    async def work() -> None:
        docker = DockerClient(Wire(socket=lambda _path: whole(b"[]")))
        given: Any = SimpleNamespace(
            hosts=("spark-01",), plan=SimpleNamespace(launch_id="abcdefgh"),
            transport=lambda _host: Wire(data), docker=lambda _host: docker,
        )  # fmt: skip
        report: Any = SimpleNamespace(notice=lambda *_words: None)
        leases = Leases(given, report)
        try:
            with handled():
                await leases.acquire()
            await leases.release()
        finally:
            await docker.close()

    wait(work)


_METRICS = """\
# HELP vllm:num_requests_running Number of requests.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_waiting{engine="0",model_name="m"} 1.0
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
vllm:generation_tokens_total{engine="0",model_name="m"} 12345.0
vllm:prompt_tokens_total{engine="0",model_name="m"} 12345.0
sglang:gen_throughput{model_name="m"} 25.5
sglang:num_running_reqs{model_name="m"} 2
llamacpp:requests_processing 1
llamacpp:tokens_predicted_total 55
"""


def metrics(folders: tuple[Path, ...]) -> Target:
    """Pages of metrics: readings, and the rates between two of them."""

    def make(chance: Random) -> bytes:
        return mutate.encoded(mutate.text(chance, _METRICS))

    return Target(make, _read_metrics, (_METRICS.encode(),))


def _read_metrics(data: bytes) -> None:
    later = fleet_metrics.parse(data.decode("utf-8", "replace"), 1010.0)
    earlier = fleet_metrics.parse(_METRICS, 1000.0)
    for first, second in ((earlier, later), (later, earlier), (None, later)):
        rate = fleet_metrics.tokens_per_second(first, second)
        if rate is not None:
            f"{rate:.0f}"
    for figure in (later.running, later.waiting, later.kv_usage, later.throughput):
        if figure is not None:
            f"{figure:.0f}"


_EVENTS = (
    {"choices": [{"delta": {"content": "hello", "reasoning_content": None}}], "usage": None},
    {"choices": [], "usage": {"completion_tokens": 7}},
    {"error": {"message": "out of memory", "code": 500}},
    {"object": "list", "data": [{"id": "m", "object": "model"}]},
)


def served(folders: tuple[Path, ...]) -> Target:
    """The stream with which a served model answers a prompt, and HTTP answers broken on the wire."""
    words = mutate.words_of(_EVENTS)

    def make(chance: Random) -> bytes:
        events = [mutate.json_bytes(chance, _EVENTS, words).replace(b"\n", b" ") for _ in range(chance.choice([1, 3]))]
        body = b"".join(b"data: " + event + b"\n\n" for event in events) + b"data: [DONE]\n\n"
        answer = whole(body, chance.choice([200, 200, 200, 404, 503]))
        return mutate.raw(chance, answer) if mutate.rare(chance, 3) else answer

    return Target(make, _read_served, (whole(b'data: {"choices": [{"delta": {"content": "a"}}]}\n\ndata: [DONE]\n\n'),))


def _read_served(data: bytes) -> None:
    hosts = {"spark-01": Wire(port=lambda _path: data)}
    services: Any = _Services(hosts.__getitem__, DockerClient, ask_host, TransportHttp(), lambda: 1790000000.0)

    async def work() -> None:
        with handled():
            prompt = Prompt(services, "spark-01", 8000, "m", Asked.once("hello"))
            async for piece in prompt.pieces():
                insist("\x1b" not in piece.text, "an answer steers the terminal")
                insist("\x1b" not in piece.end, "the end of an answer steers the terminal")
            prompt.figures.words.encode()
        with handled():
            reply = await TransportHttp().ask(hosts["spark-01"], HttpCall(8000, "/health", key=None))
            for body in (reply.body, reply.body.removeprefix(b"data: ").partition(b"\n")[0]):
                model_names(body)

    wait(work)
