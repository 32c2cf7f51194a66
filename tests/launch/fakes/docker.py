"""The `Docker` of a host in memory."""

from __future__ import annotations

import asyncio
import io
import shlex
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sparkrun_tui.base.secrets import secrets_given
from sparkrun_tui.launch.run.steps.start import RAY_STATUS
from sparkrun_tui.remote.docker import processes
from sparkrun_tui.remote.docker.types import ContainerInfo, DockerError, ExecInfo, ImageInfo, ImageListed, VolumeListed
from sparkrun_tui.remote.transport import Outcome, Result
from tests.launch.fakes.host import FakeContainer, FakeHost


class FakeDocker:
    """`Docker` of a fake host."""

    def __init__(self, host: FakeHost) -> None:
        self._host = host

    async def image(self, reference: str) -> ImageInfo | None:
        await self._turn()
        arch = "arm64" if self._host.facts.arch == "aarch64" else "amd64"
        if reference not in self._host.images:
            return None
        identity = self._host.cluster.image_id
        return ImageInfo(identity, (reference,), (identity,), (), "linux", arch, 1)

    async def images(self) -> Sequence[ImageListed]:
        await self._turn()
        self._host.check()
        return [ImageListed(f"sha256:{name}", (name,), (), 1) for name in sorted(self._host.images)]

    async def volumes(self) -> Sequence[VolumeListed]:
        return []

    async def remove_image(self, reference: str) -> None:
        await self._turn()
        self._host.check()
        if any(item.info.image == reference for item in self._host.containers.values()):
            raise DockerError(f"conflict: {reference} is used by a container", host=self._host.name, status=409)
        self._host.images.discard(reference)

    async def registry_digest(self, reference: str) -> str:
        await self._turn()
        raise DockerError("no such host", host=self._host.name, status=500)

    async def create(self, name: str, body: Mapping[str, Any]) -> str:
        await self._turn()
        host = self._host
        host.check()
        if name in host.making or any(item.info.name == name for item in host.containers.values()):
            raise DockerError(f'Conflict. The container name "/{name}" is already in use', host=host.name, status=409)
        host.act("create", name)
        # The daemon creates it, also when its client no longer waits for the reply.
        host.making[name] = making = asyncio.create_task(self._make(name, body, f"{host.name}-{len(host.actions)}"))
        host.on_create()
        host.replied("create")
        return await asyncio.shield(making)

    async def _make(self, name: str, body: Mapping[str, Any], identity: str) -> str:
        host = self._host
        await asyncio.sleep(host.create_takes)
        info = ContainerInfo(
            identity,
            name,
            body["Image"],
            "created",
            dict(body["Labels"]),
            created=host.cluster.now(),
            secrets=secrets_given(body.get("Env", ()), body.get("Cmd", ())),
        )
        host.containers[identity] = FakeContainer(info, body)
        del host.making[name]
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
        if argv == processes.READ:
            return Result(Outcome.EXITED, 0, f"{_variables(item)}\n\n{item.arguments}", "")
        if argv[:3] == ("sh", "-c", RAY_STATUS):
            return await self.run_exec(container, ("ray", "status"))
        if argv[0] == "head":
            text = item.files.get(argv[-1])
            return Result(Outcome.EXITED, 0 if text is not None else 1, text or "", "")
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


def _variables(item: FakeContainer) -> str:
    """The environment of the processes: what it was made with, and what the start script took in from the file."""
    taken = shlex.split(item.files.get("/run/sparkrun/env", ""))
    return "\n".join([*item.body.get("Env", ()), *taken])
