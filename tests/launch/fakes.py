"""A cluster without hosts for launch tests: daemons, logs, ports and models in memory, with faults a test can call."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.base.settings import Cluster, Settings
from sparkrun_tui.base.units import GIB
from sparkrun_tui.launch.after import HOOK_MARK
from sparkrun_tui.launch.desk import Desk
from sparkrun_tui.launch.services import Services
from sparkrun_tui.recipe.loader import load_text
from sparkrun_tui.recipe.model import Source, SourceKind
from sparkrun_tui.recipe.overrides import render
from sparkrun_tui.recipe.rendered import Rendered
from sparkrun_tui.remote.docker_logs import LogRecord
from sparkrun_tui.remote.docker_types import ContainerInfo, DockerError, ExecInfo, ImageInfo
from sparkrun_tui.remote.facts import Disk, Gpu, HostFacts
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.http import HttpCall, HttpReply
from sparkrun_tui.remote.hub import HubError
from sparkrun_tui.remote.ports import CacheListing, ModelFile, ModelPlan, ModelRequest, StoredModel, Transfer
from sparkrun_tui.remote.transport import ByteStream, LinkState, LinkStatus, Outcome, Result

EPOCH = 1_700_000_000.0
IMAGE = "registry.test/engine:1"

SOLO = f"""\
name: solo
model: org/tiny
runtime: vllm
container: {IMAGE}
mode: solo
defaults: {{port: 8000, served_model_name: tiny}}
command: vllm serve {{model}} --port {{port}} --served-model-name {{served_model_name}}
"""
SGLANG_TWO = f"""\
name: pair
model: org/tiny
runtime: sglang
container: {IMAGE}
min_nodes: 2
defaults: {{port: 30000, tensor_parallel: 2, served_model_name: tiny}}
command: >-
  python3 -m sglang.launch_server --model-path {{model}} --tp-size {{tensor_parallel}} --port {{port}}
  --served-model-name {{served_model_name}} --max-running-requests 4
"""
RAY_TWO = f"""\
name: ray-pair
model: org/tiny
runtime: vllm
container: {IMAGE}
min_nodes: 2
defaults: {{port: 8000, tensor_parallel: 2, served_model_name: tiny}}
command: vllm serve {{model}} --port {{port}} -tp {{tensor_parallel}} --served-model-name {{served_model_name}}
"""


def rendered(text: str, **overrides: str) -> Rendered:
    """A recipe's text with overrides."""
    return render(load_text(text, Source(SourceKind.USER, "test.yaml")), overrides)


@dataclass(slots=True)
class FakeContainer:
    """A container in memory; `info` is what the daemon says of it."""

    info: ContainerInfo
    body: Mapping[str, Any]
    files: dict[str, str] = field(default_factory=dict)
    log: list[LogRecord] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    execs: dict[str, tuple[Sequence[str], ExecInfo]] = field(default_factory=dict)


@dataclass(slots=True)
class FakeJob:
    """A detached job: what it has printed, and its exit code once it has ended."""

    out: bytes = b""
    code: int | None = None
    task: asyncio.Task[None] | None = None


Program = Callable[["FakeHost", FakeContainer], Awaitable[int]]


async def serve_well(host: FakeHost, container: FakeContainer) -> int:
    """An engine that loads, serves and goes on."""
    port = int(container.info.labels["io.sparkrun-tui.port"])
    rank = int(container.info.labels["io.sparkrun-tui.rank"])
    host.say(container, "INFO 01-01 00:00:00 [x.py:1] Starting to load model org/tiny...")
    await asyncio.sleep(5)
    host.say(container, "INFO 01-01 00:00:05 [x.py:1] Loading weights took 5.00 seconds")
    await asyncio.sleep(5)
    if rank == 0:
        host.open(port, container.info.labels["io.sparkrun-tui.served"])
    await asyncio.sleep(10_000_000)
    return 0


async def end_well(host: FakeHost, container: FakeContainer) -> int:
    """A command that is done at once."""
    await asyncio.sleep(3)
    return 0


class FakeHost:
    """One host. `actions` holds every change in order; `lose`/`heal` cut and mend its link."""

    def __init__(self, name: str, cluster: FakeCluster) -> None:
        self.name = name
        self.cluster = cluster
        self.containers: dict[str, FakeContainer] = {}
        self.images: set[str] = {IMAGE}
        self.models: set[str] = set()
        self.servers: dict[int, str] = {}
        self.unhealthy = False
        self.actions: list[str] = []
        self.program: Program = serve_well
        self.refuse: dict[str, str] = {}
        """Verb to the message the daemon refuses it with."""
        self.lose_during: dict[str, int] = {}
        """Verb to how often its reply is lost, the deed being done."""
        self.lost = False
        self.heal_after: float | None = None
        self.unreachable = False
        self.lease = ""
        self.job: FakeJob | None = None
        self.facts = facts(name)
        self._numbers = 0

    # -- what tests do to it

    def say(self, container: FakeContainer, text: str, stream: str = "stdout") -> None:
        container.log.append(LogRecord(self.cluster.now(), stream, text))
        container.changed.set()

    def open(self, port: int, model: str) -> None:
        self.servers[port] = model

    def end(self, container: FakeContainer, code: int, oom: bool = False) -> None:
        if container.info.state != "running":
            return
        container.info = replace(container.info, state="exited", exit_code=code, oom_killed=oom)
        container.changed.set()
        self.servers.clear()
        if container.task is not None and container.task is not asyncio.current_task():
            container.task.cancel()

    def lose(self, heal_after: float | None = None) -> None:
        self.lost, self.heal_after = True, heal_after

    def heal(self) -> None:
        self.lost = False

    @property
    def running(self) -> list[str]:
        return [item.info.name for item in self.containers.values() if item.info.state == "running"]

    # -- what the engine is told

    def act(self, verb: str, detail: str = "") -> None:
        """A change that the daemon is asked for."""
        self.check()
        if verb in self.refuse:
            raise DockerError(self.refuse[verb], host=self.name, status=500)
        self.actions.append(f"{verb} {detail}".strip())

    def replied(self, verb: str) -> None:
        """After a change: its reply may be lost."""
        if self.lose_during.get(verb, 0) > 0:
            self.lose_during[verb] -= 1
            raise LinkLost("the connection was lost", host=self.name)

    def check(self) -> None:
        if self.lost or self.unreachable:
            raise LinkLost("the connection was lost", host=self.name)


def facts(name: str, **changes: Any) -> HostFacts:
    """A Spark as a probe tells it."""
    values: dict[str, Any] = {
        "name": name, "taken": EPOCH, "round_trip": 0.001, "hostname": name, "arch": "aarch64", "kernel": "6.11",
        "user": "me", "home": "/home/me", "hf_cache": "/home/me/.cache/huggingface", "boot_id": "b",
        "clock_skew": 0.0, "memory_total": 120 * GIB, "memory_available": 110 * GIB, "swap_free": 0,
        "disks": (
            Disk("/home/me/.cache/huggingface", 500 * GIB, 900 * GIB),
            Disk("/var/lib/docker", 500 * GIB, 900 * GIB),
        ),
        "gpus": (Gpu("NVIDIA GB10", "580.95"),), "driver": "580.95", "cuda": "13.0", "docker_version": "28.5",
        "docker_root": "/var/lib/docker", "docker_access": "ok", "gpu_runtime": True, "default_interface": "eth0",
        "default_address": f"10.0.0.{name[-1]}", "rdma": (), "infiniband": False, "used_ports": frozenset(),
    }  # fmt: skip
    return HostFacts(**{**values, **changes})


class FakeDocker:
    """`Docker` of a fake host."""

    def __init__(self, host: FakeHost) -> None:
        self._host = host

    async def image(self, reference: str) -> ImageInfo | None:
        await self._turn()
        arch = "arm64" if self._host.facts.arch == "aarch64" else "amd64"
        return ImageInfo("sha256:1", (reference,), (), (), "linux", arch, 1) if reference in self._host.images else None

    async def create(self, name: str, body: Mapping[str, Any]) -> str:
        await self._turn()
        host = self._host
        host.check()
        if any(item.info.name == name for item in host.containers.values()):
            raise DockerError(f'Conflict. The container name "/{name}" is already in use', host=host.name, status=409)
        host.act("create", name)
        identity = f"{host.name}-{len(host.actions)}"
        info = ContainerInfo(identity, name, body["Image"], "created", dict(body["Labels"]), created=host.cluster.now())
        host.containers[identity] = FakeContainer(info, body)
        host.replied("create")
        return identity

    async def put_archive(self, container: str, path: str, archive: bytes) -> None:
        await self._turn()
        self._host.act("upload", self._get(container).info.name)
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            for member in tar.getmembers():
                if member.isfile():
                    content = tar.extractfile(member)
                    assert content is not None
                    self._get(container).files[f"/{member.name}"] = content.read().decode()

    async def start(self, container: str) -> None:
        await self._turn()
        item = self._get(container)
        self._host.act("start", item.info.name)
        if item.info.state != "running":
            item.info = replace(item.info, state="running", started=self._host.cluster.now())
            item.task = asyncio.create_task(self._run(item))
        self._host.replied("start")

    async def _run(self, item: FakeContainer) -> None:
        code = await self._host.program(self._host, item)
        self._host.end(item, code)

    async def stop(self, container: str, grace: float) -> None:
        await self._turn()
        if container in self._host.containers:
            item = self._get(container)
            self._host.act(f"stop({grace:.0f})", item.info.name)
            await asyncio.sleep(min(grace, 1.0))
            self._host.end(item, 0)

    async def kill(self, container: str) -> None:
        await self._turn()
        self._host.check()
        if container in self._host.containers and self._get(container).info.state == "running":
            item = self._get(container)
            self._host.act("kill", item.info.name)
            self._host.end(item, 137)

    async def remove(self, container: str, *, force: bool = False) -> None:
        await self._turn()
        item = self._host.containers.get(container)
        if item is not None:
            self._host.act("remove", item.info.name)
            self._host.end(item, 137)
            del self._host.containers[container]

    async def inspect(self, container: str) -> ContainerInfo | None:
        await self._turn()
        self._host.check()
        found = [item for item in self._host.containers.values() if container in (item.info.id, item.info.name)]
        return found[0].info if found else None

    async def containers(self, labels: Sequence[str] = ()) -> Sequence[ContainerInfo]:
        await self._turn()
        self._host.check()
        found = [item.info for item in self._host.containers.values()]
        for label in labels:
            key, equals, value = label.partition("=")
            found = [i for i in found if key in i.labels and (not equals or i.labels[key] == value)]
        return found

    async def exec_create(self, container: str, argv: Sequence[str]) -> str:
        await self._turn()
        item = self._get(container)
        self._host.act("exec", " ".join(argv))
        identity = f"{container}-exec-{len(item.execs)}"
        item.execs[identity] = (argv, ExecInfo(False, None))
        return identity

    async def exec_detach(self, exec_id: str) -> None:
        await self._turn()
        item = self._get(exec_id.rpartition("-exec-")[0])
        item.execs[exec_id] = (item.execs[exec_id][0], ExecInfo(True, None))
        item.files[item.execs[exec_id][0][1].removesuffix(".sh")] = ""
        item.task = asyncio.create_task(self._run_exec(item, exec_id))
        self._host.replied("exec")

    async def _run_exec(self, item: FakeContainer, exec_id: str) -> None:
        argv = item.execs[exec_id][0]
        program = self._host.cluster.after_program if "after" in argv[1] else self._host.cluster.exec_program
        code = await program(self._host, item)
        item.execs[exec_id] = (argv, ExecInfo(False, code))
        item.files[f"{argv[1].removesuffix('.sh')}/code"] = str(code)

    async def exec_inspect(self, exec_id: str) -> ExecInfo:
        await self._turn()
        self._host.check()
        return self._get(exec_id.rpartition("-exec-")[0]).execs[exec_id][1]

    async def run_exec(self, container: str, argv: Sequence[str], *, timeout: float = 60.0) -> Result:
        await self._turn()
        self._host.check()
        item = self._get(container)
        if argv[0] == "ray":
            nodes = self._host.cluster.ray_nodes()
            return Result(
                Outcome.EXITED, 0, "Active:\n" + " 1 node_ab\n" * nodes + "Pending:\n (no pending nodes)\n", ""
            )
        if argv[0] == "sh":
            return Result(Outcome.EXITED, 0, self._host.cluster.processes, "")
        if argv[0] == "test":
            return Result(Outcome.EXITED, 0 if argv[2] in item.files else 1, "", "")
        text = item.files.get(argv[1])
        return Result(Outcome.EXITED, 0 if text is not None else 1, text or "", "")

    def _get(self, container: str) -> FakeContainer:
        self._host.check()
        return self._host.containers[container]

    async def _turn(self) -> None:
        await asyncio.sleep(0.001)


class FakeTransport:
    """`Transport` of a fake host."""

    def __init__(self, host: FakeHost) -> None:
        self._host = host
        self.name = host.name

    @property
    def link(self) -> LinkStatus:
        state = LinkState.RECONNECTING if self._host.lost else LinkState.UP
        return LinkStatus(LinkState.UNREACHABLE if self._host.unreachable else state, EPOCH)

    async def connect(self) -> None:
        host = self._host
        await asyncio.sleep(0.001)
        if host.unreachable:
            raise HostError("does not answer", host=host.name, remedy="Is it switched on?")
        if host.lost:
            if host.heal_after is None:
                await asyncio.sleep(1e6)
            await asyncio.sleep(host.heal_after or 0)
            host.heal()

    async def run(self, script: str, *, stdin: bytes = b"", timeout: float = 60.0) -> Result:
        await asyncio.sleep(0.001)
        host = self._host
        if host.lost or host.unreachable:
            return Result(Outcome.LOST, None, "", "")
        if script.startswith(HOOK_MARK):
            await asyncio.sleep(1)
            command = script.removeprefix(HOOK_MARK).strip()
            host.cluster.ran.append(f"{host.name}: {command}")
            return host.cluster.results.get(command, Result(Outcome.EXITED, 0, "done here\n", ""))
        if "owner.json" in script:
            return self._lease(script)
        if "\njob=" in f"\n{script}" or script.startswith("rm -rf -- "):
            return self._job(script)
        if script.startswith("mkdir"):
            host.actions.append(script)
        return Result(Outcome.EXITED, 0, "", "")

    def _lease(self, script: str) -> Result:
        host = self._host
        if 'rm -rf "$lock"' in script and "take()" not in script:
            host.lease = ""
        elif "take()" in script:
            launch = script.partition('{"launch": "')[2].partition('"')[0]
            if host.lease not in ("", launch):
                owner = json.dumps({"launch": host.lease, "user": "other@desk"})
                return Result(Outcome.EXITED, 0, f"held 20\n{owner}", "")
            host.lease = launch
            return Result(Outcome.EXITED, 0, "won\n", "")
        return Result(Outcome.EXITED, 0, "", "")

    def _job(self, script: str) -> Result:
        """A detached job as the scripts of `remote.jobs` handle it."""
        host, verb = self._host, script.partition("\n")[0].rpartition("job-")[2]
        job = host.job
        said = ""
        if verb == "start" and job is None:
            host.job = job = FakeJob()
            job.task = asyncio.create_task(self._run_job(job))
            said = "STARTED"
        elif verb == "start":
            said = "EXISTS"
        elif verb == "status" and job is None:
            said = "missing 0"
        elif verb == "status" and job is not None:
            said = f"running {len(job.out)}" if job.code is None else f"ended {len(job.out)} {job.code}"
        elif verb == "cancel" and job is not None and job.task is not None and job.code is None:
            host.actions.append("end script")
            job.task.cancel()
        elif script.startswith("rm "):
            host.job = None
        return Result(Outcome.EXITED, 0, said, "")

    async def _run_job(self, job: FakeJob) -> None:
        self._host.actions.append("script")
        for line in self._host.cluster.script_lines:
            await asyncio.sleep(1.0)
            job.out += f"{line}\n".encode()
        if self._host.cluster.on_script is not None:
            await self._host.cluster.on_script()
        job.code = self._host.cluster.script_code

    async def stream(self, script: str) -> AsyncIterator[tuple[str, bytes]]:
        job = self._host.job
        at = int(script.partition("tail -c +")[2].partition(" ")[0]) - 1
        while job is not None:
            self._host.check()
            over = job.code is not None
            piece, at = job.out[at:], len(job.out)
            if piece:
                yield "stdout", piece
            if over:
                return
            await asyncio.sleep(0.1)

    async def open_socket(self, path: str) -> ByteStream:
        raise HostError("no sockets here", host=self.name)

    async def open_tcp(self, address: str, port: int) -> ByteStream:
        await asyncio.sleep(0.001)
        self._host.check()
        if port not in self._host.cluster.rendezvous:
            raise HostError("refused", host=self.name)

        class Stream:
            async def read(self, size: int) -> bytes:
                return b""

            async def write(self, data: bytes) -> None:
                return None

            async def close(self) -> None:
                return None

        return Stream()

    async def write_file(self, path: str, data: bytes, mode: int = 0o600) -> None:
        self._host.actions.append(f"write {path}")

    async def close(self) -> None:
        return None


class FakeLogs:
    """`Logs` of the fake cluster."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster

    async def follow(
        self, transport: Any, container: str, *, tail: int | None = None, since: float | None = None, keep: bool = True
    ) -> AsyncIterator[Sequence[LogRecord]]:
        host = self._cluster.hosts[transport.name]
        item = host.containers[container]
        at = max(len(item.log) - tail, 0) if tail is not None else 0
        while True:
            while host.lost or host.unreachable:
                if not keep:
                    raise LinkLost("the connection was lost", host=host.name)
                await asyncio.sleep(0.5)
            batch, at = item.log[at:], len(item.log)
            if batch:
                yield [record for record in batch if since is None or record.time >= since - 2]
            elif not keep or item.info.state not in ("created", "running"):
                return
            else:
                await asyncio.sleep(0.1)


class FakeImages:
    """`Images` of the fake cluster."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster

    async def pull(self, transport: Any, reference: str) -> AsyncIterator[Transfer]:
        host = self._cluster.hosts[transport.name]
        for done in range(0, 101, 10):
            await asyncio.sleep(0.3)
            host.check()
            if "pull" in host.refuse:
                raise DockerError(host.refuse["pull"], host=host.name, status=404)
            yield Transfer(done, 100, 30.0)
        host.act("pull", reference)
        host.images.add(reference)

    async def local(self, reference: str, architecture: str) -> bool:
        return reference in self._cluster.local_images

    async def stream(self, transport: Any, reference: str) -> AsyncIterator[Transfer]:
        host = self._cluster.hosts[transport.name]
        yield Transfer(0, None)
        host.act("stream", reference)
        host.images.add(reference)
        yield Transfer(100, 100)


class FakeModels:
    """`ModelSource` and `Shipper` of the fake cluster."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster

    def _model(self, request: ModelRequest) -> StoredModel:
        names = ("tiny-Q8_0.gguf",) if request.gguf_quant else ("config.json", "model.safetensors", "tokenizer.json")
        files = tuple(ModelFile(name, 0 if name == "tokenizer.json" else 100, True) for name in names)
        return StoredModel(request.repo, "c0ffee", "/here/hub", files, names[0] if request.gguf_quant else "")

    async def plan(self, request: ModelRequest, token: Secret | None = None) -> ModelPlan:
        if self._cluster.hub_down:
            raise HubError("the Hugging Face Hub cannot be reached", kind="offline", remedy="Check the network.")
        if self._cluster.hub_error:
            raise HostError(self._cluster.hub_error, remedy="Ask for access.")
        held = request.repo in self._cluster.local_models
        files = tuple(replace(file, cached=held) for file in self._model(request).files)
        return ModelPlan(request.repo, "c0ffee", files)

    async def stored(self, request: ModelRequest) -> StoredModel | None:
        return self._model(request) if request.repo in self._cluster.local_models else None

    async def fetch(self, request: ModelRequest, token: Secret | None = None) -> AsyncIterator[Transfer | StoredModel]:
        self._cluster.tokens.append(token)
        for done in (0, 100, 200):
            await asyncio.sleep(1.0)
            yield Transfer(done, 200, 50.0)
        self._cluster.local_models.add(request.repo)
        yield self._model(request)

    async def present(self, model: StoredModel, transport: Any, hf_cache: str) -> bool:
        await asyncio.sleep(0.001)
        self._cluster.hosts[transport.name].check()
        return model.repo in self._cluster.hosts[transport.name].models

    async def reaches(self, source: Any, address: str) -> bool:
        await asyncio.sleep(0.001)
        self._cluster.hosts[source.name].check()
        return self._cluster.hosts_reach_each_other

    async def relay(
        self, model: StoredModel, source: Any, source_cache: str, target: Any, target_cache: str, address: str
    ) -> AsyncIterator[Transfer]:
        host = self._cluster.hosts[target.name]
        yield Transfer(0, 200)
        await asyncio.sleep(1.0)
        if "relay" in host.refuse:
            raise HostError(host.refuse["relay"], host=host.name)
        host.act("relay", f"{model.repo} from {source.name} at {address}")
        host.models.add(model.repo)
        yield Transfer(200, 200)

    async def listing(self, request: ModelRequest, transport: Any, hf_cache: str) -> CacheListing | None:
        await asyncio.sleep(0.001)
        host = self._cluster.hosts[transport.name]
        host.check()
        model = self._model(request)
        return CacheListing("c0ffee", model.files) if request.repo in host.models else None

    async def ship(self, model: StoredModel, transport: Any, hf_cache: str) -> AsyncIterator[Transfer]:
        host = self._cluster.hosts[transport.name]
        for done in (0, 100, 200):
            await asyncio.sleep(1.0)
            host.check()
            if "ship" in host.refuse:
                raise HostError(host.refuse["ship"], host=host.name)
            yield Transfer(done, 200, 50.0)
        host.act("ship", model.repo)
        host.models.add(model.repo)


class FakeHttp:
    """`Http` of the fake cluster: an OpenAI-like server on each open port."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster
        self.calls: list[HttpCall] = []

    async def ask(self, transport: Any, call: HttpCall) -> HttpReply:
        await asyncio.sleep(0.001)
        host = self._cluster.hosts[transport.name]
        host.check()
        self.calls.append(call)
        model = host.servers.get(call.port)
        if model is None:
            raise HostError("refused", host=host.name)
        if call.path == "/v1/models":
            return HttpReply(200, json.dumps({"data": [{"id": model}]}).encode())
        if call.path == "/health":
            return HttpReply(503 if host.unhealthy else 200, b"")
        await asyncio.sleep(self._cluster.first_token)
        return HttpReply(200, json.dumps({"choices": [{"text": "x"}]}).encode())

    async def stream(self, transport: Any, call: HttpCall) -> AsyncIterator[bytes]:
        for chunk in self._cluster.answer:
            await asyncio.sleep(0.1)
            yield chunk


class FakeCluster:
    """Hosts, and what lies on the workstation."""

    def __init__(self, *names: str) -> None:
        self.hosts = {name: FakeHost(name, self) for name in names}
        self.local_images: set[str] = set()
        self.local_models: set[str] = {"org/tiny"}
        self.tokens: list[Secret | None] = []
        self.hub_error = ""
        self.hub_down = False
        self.hosts_reach_each_other = False
        self.first_token = 0.5
        self.answer: list[bytes] = []
        self.rendezvous: set[int] = {46379}
        self.exec_program: Program = serve_well
        self.after_program: Program = end_well
        """What `post_exec` does."""
        self.ran: list[str] = []
        """What recipes ran on hosts themselves, each as `HOST: COMMAND`."""
        self.results: dict[str, Result] = {}
        """How such a command ends, where not well."""
        self.on_script: Callable[[], Awaitable[None]] | None = None
        self.script_lines: list[str] = ["done"]
        """What a script run on a host prints, a line a second, before it does its work."""
        self.script_code = 0
        self.processes = ""
        """The command lines in a container of foreign scripts."""
        self.http = FakeHttp(self)
        self.cluster = Cluster("lab", tuple(names))

    def now(self) -> float:
        return EPOCH + asyncio.get_running_loop().time()

    def ray_nodes(self) -> int:
        return sum(len(host.running) for host in self.hosts.values())

    @property
    def services(self) -> Services:
        models = FakeModels(self)
        return Services(
            connector=lambda name: FakeTransport(self.hosts[name]),
            docker=lambda transport: FakeDocker(self.hosts[transport.name]),
            logs=FakeLogs(self),
            images=FakeImages(self),
            models=models,
            shipper=models,
            probe=self._probe,
            http=self.http,
            clock=self.now,
        )

    async def _probe(self, transport: Any, paths: Sequence[str], ports: Sequence[int]) -> HostFacts:
        await asyncio.sleep(0.001)
        self.hosts[transport.name].check()
        return self.hosts[transport.name].facts

    def desk(self, environ: Mapping[str, str] | None = None) -> Desk:
        return Desk(Settings(clusters=(self.cluster,)), self.services, environ or {})

    def __getitem__(self, number: int) -> FakeHost:
        return list(self.hosts.values())[number - 1]

    @property
    def running(self) -> list[str]:
        return [name for host in self.hosts.values() for name in host.running]

    @property
    def remaining(self) -> list[str]:
        return [item.info.name for host in self.hosts.values() for item in host.containers.values()]


def journal_text(folder: Path) -> str:
    """Everything a launch has written."""
    return "\n".join(path.read_text() for path in sorted(folder.rglob("*")) if path.is_file())
