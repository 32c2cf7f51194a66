"""The Docker Engine API of a simulated host: its routes and their answers."""

from __future__ import annotations

import asyncio
import io
import json
import re
import secrets
import tarfile
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any
from urllib.parse import unquote

from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.demo.container import Container, Execution
from sparkrun_tui.demo.docker import objects as docker_json
from sparkrun_tui.demo.docker import streams as docker_streams
from sparkrun_tui.demo.host import Host
from sparkrun_tui.demo.http import Refused, Reply, Request

_VERSION = late_regex(r"^/v\d+\.\d+(?=/)")

Run = Callable[[Host, Container], Awaitable[None]]
"""The work of a started container; the container ends with it."""
Execute = Callable[[Host, Execution], Coroutine[Any, Any, None]]
"""The work of a command in a container; sets its exit code."""


class DockerApi:
    """The API of one host; `run` is the work of containers, `execute` that of commands in them."""

    def __init__(self, host: Host, run: Run, execute: Execute) -> None:
        self._host = host
        self._run = run
        self._execute = execute
        self._executions: dict[str, Execution] = {}
        self.headers: Mapping[str, str] = {"Api-Version": docker_json.API_VERSION, "Server": "Docker (demo)"}

    async def handle(self, request: Request, reply: Reply) -> None:
        """Answer one request. Raises `Refused`."""
        path = _VERSION.sub("", request.path)
        for method, pattern, act in self._routes():
            match = re.fullmatch(pattern, path)
            if match is not None and request.method == method:
                await act(request, reply, *match.groups())
                return
        raise Refused(404, f"the demo's Docker does not know {request.method} {path}")

    def create(self, name: str, body: Mapping[str, Any]) -> Container:
        """Create a container. Raises `Refused` when the name is taken or the image is missing."""
        if self._host.find(name) is not None:
            raise Refused(409, f'Conflict. The container name "/{name}" is already in use.')
        if body.get("Image") not in self._host.images:
            raise Refused(404, f"No such image: {body.get('Image')}")
        container = Container(name, body, self._host.clock, created=self._host.clock.now())
        self._host.containers[container.id] = container
        self._host.happened("create", container)
        return container

    def start(self, container: Container) -> None:
        """Start a container."""
        container.begin()
        container.task = asyncio.create_task(self._live(container), name=f"demo {container.name}")
        self._host.happened("start", container)

    def _routes(self) -> tuple[tuple[str, str, Callable[..., Awaitable[None]]], ...]:
        return (
            ("GET", "/_ping", self._ping),
            ("GET", "/version", self._version),
            ("GET", "/info", self._info),
            ("GET", "/events", self._events),
            ("GET", "/images/json", self._images),
            ("GET", "/volumes", self._volumes),
            ("GET", "/images/(.+)/json", self._image),
            ("DELETE", "/images/(.+)", self._remove_image),
            ("GET", "/distribution/(.+)/json", self._distribution),
            ("POST", "/images/create", self._pull),
            ("GET", "/containers/json", self._list),
            ("POST", "/containers/create", self._create),
            ("PUT", "/containers/([^/]+)/archive", self._archive),
            ("POST", "/containers/([^/]+)/start", self._start),
            ("POST", "/containers/([^/]+)/stop", self._stop),
            ("POST", "/containers/([^/]+)/kill", self._kill),
            ("POST", "/containers/([^/]+)/wait", self._wait),
            ("GET", "/containers/([^/]+)/json", self._inspect),
            ("GET", "/containers/([^/]+)/logs", self._logs),
            ("GET", "/containers/([^/]+)/stats", self._stats),
            ("DELETE", "/containers/([^/]+)", self._remove),
            ("POST", "/containers/([^/]+)/exec", self._exec_create),
            ("POST", "/exec/([^/]+)/start", self._exec_start),
            ("GET", "/exec/([^/]+)/json", self._exec_inspect),
        )

    def _container(self, name: str) -> Container:
        found = self._host.find(unquote(name))
        if found is None:
            raise Refused(404, f"No such container: {name}")
        return found

    async def _ping(self, request: Request, reply: Reply) -> None:
        await reply.whole(200, b"OK", "text/plain")

    async def _version(self, request: Request, reply: Reply) -> None:
        await reply.json(200, docker_json.version())

    async def _info(self, request: Request, reply: Reply) -> None:
        await reply.json(200, docker_json.info(self._host))

    async def _image(self, request: Request, reply: Reply, name: str) -> None:
        if unquote(name) not in self._host.images:
            raise Refused(404, f"No such image: {name}")
        await reply.json(200, docker_json.image(unquote(name)))

    async def _images(self, request: Request, reply: Reply) -> None:
        now = self._host.clock.now()
        await reply.json(200, [docker_json.image_listed(name, now) for name in sorted(self._host.images)])

    async def _volumes(self, request: Request, reply: Reply) -> None:
        await reply.json(200, {"Volumes": []})

    async def _remove_image(self, request: Request, reply: Reply, name: str) -> None:
        reference = unquote(name)
        if reference not in self._host.images:
            raise Refused(404, f"No such image: {reference}")
        for container in self._host.containers.values():
            if container.image == reference:
                raise Refused(409, f"conflict: unable to remove repository reference {reference} (container uses it)")
        self._host.images.discard(reference)
        await reply.json(200, [{"Untagged": reference}])

    async def _distribution(self, request: Request, reply: Reply, name: str) -> None:
        digests = docker_json.image(unquote(name))["RepoDigests"]
        await reply.json(200, {"Descriptor": {"digest": digests[0].partition("@")[2]}})

    async def _pull(self, request: Request, reply: Reply) -> None:
        await docker_streams.pull(self._host, request, reply)

    async def _list(self, request: Request, reply: Reply) -> None:
        wanted = _labels(request)
        every = request.flag("all")
        found = []
        for container in self._host.containers.values():
            listed = every or container.running
            if listed and container.matches(wanted):
                found.append(docker_json.listed(container, self._host.clock.now()))
        await reply.json(200, found)

    async def _create(self, request: Request, reply: Reply) -> None:
        container = self.create(request.query.get("name") or f"demo-{secrets.token_hex(4)}", request.json())
        await reply.json(201, {"Id": container.id, "Warnings": []})

    async def _archive(self, request: Request, reply: Reply, name: str) -> None:
        container = self._container(name)
        base = request.query.get("path", "/").rstrip("/")
        try:
            with tarfile.open(fileobj=io.BytesIO(request.body)) as tar:
                for member in tar.getmembers():
                    content = tar.extractfile(member)
                    if content is not None:
                        container.files[f"{base}/{member.name.lstrip('/')}"] = content.read()
        except tarfile.TarError as error:
            raise Refused(400, f"not a tar archive: {error}") from error
        await reply.whole(200, b"")

    async def _start(self, request: Request, reply: Reply, name: str) -> None:
        container = self._container(name)
        if container.running:
            await reply.whole(304, b"")
            return
        self.start(container)
        await reply.whole(204, b"")

    async def _live(self, container: Container) -> None:
        try:
            await self._run(self._host, container)
        finally:
            container.end(container.code)
            self._host.happened("die", container, exitCode=str(container.code))

    async def _stop(self, request: Request, reply: Reply, name: str) -> None:
        container = self._container(name)
        if not container.running:
            await reply.whole(304, b"")
            return
        await container.stop(float(request.query.get("t") or 10))
        await reply.whole(204, b"")

    async def _kill(self, request: Request, reply: Reply, name: str) -> None:
        container = self._container(name)
        if not container.running:
            raise Refused(409, f"container {name} is not running")
        container.kill()
        await reply.whole(204, b"")

    async def _wait(self, request: Request, reply: Reply, name: str) -> None:
        container = self._container(name)
        await reply.begin("application/json")
        while container.running:
            change = container.news.next()
            if container.running:
                await change.wait()
        await reply.piece(json.dumps({"StatusCode": container.code}).encode() + b"\n")
        await reply.end()

    async def _inspect(self, request: Request, reply: Reply, name: str) -> None:
        await reply.json(200, docker_json.inspected(self._container(name)))

    async def _logs(self, request: Request, reply: Reply, name: str) -> None:
        await docker_streams.logs(self._container(name), request, reply)

    async def _events(self, request: Request, reply: Reply) -> None:
        await docker_streams.events(self._host, _labels(request), request, reply)

    async def _stats(self, request: Request, reply: Reply, name: str) -> None:
        await reply.json(200, docker_json.stats(self._host, self._container(name)))

    async def _remove(self, request: Request, reply: Reply, name: str) -> None:
        container = self._container(name)
        if container.running:
            if not request.flag("force"):
                raise Refused(409, f"container {name} is running: stop the container before removing")
            container.kill()
        self._host.containers.pop(container.id, None)
        self._host.happened("destroy", container)
        await reply.whole(204, b"")

    async def _exec_create(self, request: Request, reply: Reply, name: str) -> None:
        container = self._container(name)
        if not container.running:
            raise Refused(409, f"container {name} is not running")
        argv = tuple(str(word) for word in request.json().get("Cmd") or ())
        execution = Execution(secrets.token_hex(32), container, argv)
        container.executions[execution.id] = self._executions[execution.id] = execution
        await reply.json(201, {"Id": execution.id})

    async def _exec_start(self, request: Request, reply: Reply, name: str) -> None:
        execution = self._execution(name)
        execution.task = asyncio.create_task(self._execute(self._host, execution))
        if request.json().get("Detach"):
            await reply.whole(200, b"")
            return
        await reply.begin("application/vnd.docker.multiplexed-stream")
        await asyncio.wait([execution.task])
        if execution.output:
            await reply.piece(docker_streams.frame("stdout", execution.output))
        await reply.end()

    async def _exec_inspect(self, request: Request, reply: Reply, name: str) -> None:
        execution = self._execution(name)
        about: dict[str, Any] = {"ID": execution.id, "Running": execution.running, "ExitCode": execution.code}
        await reply.json(200, about)

    def _execution(self, name: str) -> Execution:
        if name not in self._executions:
            raise Refused(404, f"No such exec instance: {name}")
        return self._executions[name]


def _labels(request: Request) -> list[str]:
    try:
        filters = json.loads(request.query.get("filters") or "{}")
    except ValueError as error:
        raise Refused(400, f"invalid filter: {error}") from error
    wanted = filters.get("label") or []
    # Docker takes a list, and an object with the labels as keys.
    return [str(label) for label in wanted]
