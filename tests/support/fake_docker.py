"""A Docker daemon that pretends: the Engine API on a Unix socket, containers whose output and end a test decides."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import tarfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.docker_things import FakeContainer, FakeExec, Json, image_json, stamp
from tests.support.docker_wire import Reply, framed, read_body


@dataclass(slots=True)
class FakeDocker:
    """Run with `async with`. `on_start` is called with each container that starts, `on_exec` gives (code, out, err)."""

    folder: Path
    api: str = "1.41"
    images: dict[str, Json] = field(default_factory=dict)
    registry: dict[str, list[Json]] = field(default_factory=dict)
    """What can be pulled: name to the progress messages; an `error` among them is sent as it is."""
    containers: dict[str, FakeContainer] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    on_logs: Callable[[FakeContainer, dict[str, str], Any], Awaitable[None]] | None = None
    on_request: Callable[[str, str], object] = lambda _method, _path: None
    on_start: Callable[[FakeContainer], object] = lambda _container: None
    on_exec: Callable[[FakeContainer, list[str]], tuple[int, str, str]] = lambda _container, _argv: (0, "", "")
    execs: dict[str, FakeExec] = field(default_factory=dict)
    events: list[Json] = field(default_factory=list)
    loaded: list[bytes] = field(default_factory=list)
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def socket(self) -> Path:
        """The daemon's socket."""
        return self.folder / "docker.sock"

    async def __aenter__(self) -> FakeDocker:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, str(self.socket))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.drop()

    def drop(self) -> None:
        """Break every open connection."""
        for writer in list(self._writers):
            writer.transport.abort()

    def find(self, key: str) -> FakeContainer | None:
        """A container by name or id."""
        return next((item for item in self.containers.values() if key in (item.id, item.name)), None)

    def end(self, container: FakeContainer, code: int, *, oom: bool = False) -> None:
        """The container's process ends."""
        container.state, container.exit_code, container.oom_killed = "exited", code, oom
        self._tell("die", container, exitCode=str(code))
        container.wake()

    def mutations(self) -> list[tuple[str, str]]:
        """Every request that changes something, in order."""
        return [(method, path) for method, path, _, _ in self.requests if method != "GET"]

    def _tell(self, action: str, container: FakeContainer, **attributes: str) -> None:
        now = time.time_ns()
        labels = container.body.get("Labels", {})
        actor = {"ID": container.id, "Attributes": {"name": container.name, **labels, **attributes}}
        self.events.append(
            {"Type": "container", "Action": action, "Actor": actor, "time": now // 10**9, "timeNano": now}
        )
        self._news.set()
        self._news = asyncio.Event()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        line = await reader.readline()
        if not line:
            return False
        method, target, _ = line.decode().split()
        headers = {}
        while (header := await reader.readline()).strip():
            key, _, value = header.decode().partition(":")
            headers[key.strip().lower()] = value.strip()
        body = await read_body(reader, headers)
        split = urlsplit(target)
        path = unquote(split.path)
        if path.startswith("/v1."):
            path = "/" + path.split("/", 2)[2]
        query = {key: values[0] for key, values in parse_qs(split.query).items()}
        self.requests.append((method, path, query, body))
        self.on_request(method, path)
        await self._route(method, path, query, body, Reply(writer, self.api))
        return headers.get("connection", "").lower() != "close"

    async def _route(self, method: str, path: str, query: dict[str, str], body: bytes, reply: Reply) -> None:
        words = path.strip("/").split("/")
        if words[0] == "containers":
            await self._containers(method, words[1:], query, body, reply)
        elif words[0] == "images":
            await self._images(method, words[1:], query, body, reply)
        elif words[0] == "exec":
            await self._exec(words[1], words[2], json.loads(body or b"{}"), reply)
        elif words == ["_ping"]:
            await reply.json("OK")
        elif words == ["version"]:
            await reply.json({"Version": "20.10.24", "ApiVersion": self.api})
        elif words == ["info"]:
            await reply.json({"ServerVersion": "20.10.24", "DockerRootDir": "/var/lib/docker", "Driver": "overlay2",
                              "Architecture": "aarch64", "Runtimes": {"runc": {}, "nvidia": {}},
                              "LoggingDriver": "json-file"})  # fmt: skip
        elif words == ["events"]:
            await self._events(query, reply)
        else:
            await reply.error(404, f"page not found: {path}")

    async def _images(self, method: str, words: list[str], query: dict[str, str], body: bytes, reply: Reply) -> None:
        if words == ["create"]:
            tag = query["tag"]
            name = f"{query['fromImage']}{'@' if tag.startswith('sha256:') else ':'}{tag}"
            if name not in self.registry:
                await reply.error(404, f"pull access denied for {query['fromImage']}, repository does not exist")
                return
            await reply.begin()
            for message in self.registry[name]:
                await reply.send(json.dumps(message).encode() + b"\r\n")
                await asyncio.sleep(0)
            if not any("error" in message for message in self.registry[name]):
                self.images[name] = image_json(name)
            await reply.finish()
        elif words == ["load"]:
            self.loaded.append(body)
            await reply.json({"stream": "Loaded image: loaded:latest\n"})
        elif words[-1] == "json":
            name = "/".join(words[:-1])
            name = name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"
            found = self.images.get(name)
            await (reply.json(found) if found else reply.error(404, f"No such image: {name}"))
        elif words[-1] == "get":
            await reply.begin()
            await reply.send(b"archive of " + "/".join(words[:-1]).encode())
            await reply.finish()

    async def _containers(
        self, method: str, words: list[str], query: dict[str, str], body: bytes, reply: Reply
    ) -> None:
        if words == ["json"]:
            await reply.json([self._listed(item) for item in self.containers.values() if _matches(item, query)])
            return
        if words == ["create"]:
            await self._create(query.get("name", ""), json.loads(body), reply)
            return
        container = self.find(words[0])
        if container is None:
            await reply.error(404, f"No such container: {words[0]}")
            return
        action = words[1] if len(words) > 1 else "remove"
        if action == "json":
            await reply.json(container.inspect())
        elif action == "logs":
            await (self.on_logs or self._logs)(container, query, reply)
        elif action == "wait":
            while container.state == "running":
                await container.changed.wait()
            await reply.json({"StatusCode": container.exit_code, "Error": None})
        elif action == "archive":
            with tarfile.open(fileobj=io.BytesIO(body)) as tar:
                for entry in tar.getmembers():
                    file = tar.extractfile(entry)
                    container.files[f"{query['path'].rstrip('/')}/{entry.name}"] = file.read() if file else b""
            await reply.json(None)
        elif action == "exec":
            exec_id = f"exec{next(self._ids)}"
            self.execs[exec_id] = FakeExec(container, json.loads(body)["Cmd"])
            await reply.json({"Id": exec_id}, 201)
        elif action == "stats":
            await reply.json({"memory_stats": {"usage": 5000, "limit": 9000, "stats": {"inactive_file": 1000}}})
        else:
            await self._change(container, action, query, reply)

    async def _create(self, name: str, body: Json, reply: Reply) -> None:
        if self.find(name):
            await reply.error(409, f'Conflict. The container name "/{name}" is already in use')
        elif body["Image"] not in self.images:
            await reply.error(404, f"No such image: {body['Image']}")
        else:
            container = FakeContainer(f"{next(self._ids):064x}", name, body)
            self.containers[container.id] = container
            self._tell("create", container)
            await reply.json({"Id": container.id, "Warnings": []}, 201)

    async def _change(self, container: FakeContainer, action: str, query: dict[str, str], reply: Reply) -> None:
        if action == "start":
            container.state, container.started = "running", stamp(time.time_ns())
            self._tell("start", container)
            self.on_start(container)
        elif action in ("stop", "kill"):
            if container.state != "running":
                if action == "kill":
                    await reply.error(409, f"Container {container.id} is not running")
                else:
                    await reply.empty(304)
                return
            self.end(container, 137 if action == "kill" else 0)
        elif action == "remove":
            if container.state == "running" and query.get("force") != "1":
                await reply.error(409, "You cannot remove a running container")
                return
            if container.state == "removing":
                await reply.error(409, f"removal of container {container.id} is already in progress")
                return
            del self.containers[container.id]
            self._tell("destroy", container)
            container.state = "removed"
            container.wake()
        await reply.empty(204)

    async def _logs(self, container: FakeContainer, query: dict[str, str], reply: Reply) -> None:
        since = int(float(query.get("since", "0")) * 1e9) if "since" in query else 0
        if "since" in query:
            seconds, _, part = query["since"].partition(".")
            since = int(seconds) * 10**9 + int((part or "0").ljust(9, "0")[:9])
        at = len(container.log)
        chosen = [entry for entry in container.log if entry[0] >= since]
        if query.get("tail", "all") != "all":
            chosen = chosen[-int(query["tail"]) :] if int(query["tail"]) else []
        await reply.begin()
        await reply.send(b"".join(_frame(entry, query) for entry in chosen))
        while query.get("follow") == "1" and container.state == "running":
            changed = container.changed
            if at == len(container.log):
                await changed.wait()
            fresh = container.log[at:]
            at = len(container.log)
            await reply.send(b"".join(_frame(entry, query) for entry in fresh))
        await reply.send(b"".join(_frame(entry, query) for entry in container.log[at:] if query.get("follow") == "1"))
        await reply.finish()

    async def _exec(self, exec_id: str, action: str, body: Json, reply: Reply) -> None:
        command = self.execs[exec_id]
        if action == "json":
            await reply.json({"ID": exec_id, "Running": False, "ExitCode": command.code})
            return
        command.code, out, err = self.on_exec(command.container, command.argv)
        if body.get("Detach"):
            await reply.empty(200)
            return
        await reply.raw(framed(1, out.encode()) + framed(2, err.encode()))

    async def _events(self, query: dict[str, str], reply: Reply) -> None:
        wanted = json.loads(query.get("filters", "{}")).get("label", [])
        since = float(query["since"]) if "since" in query else None
        at = 0 if since is not None else len(self.events)
        await reply.begin()
        while True:
            news = self._news
            for event in self.events[at:]:
                labels = event["Actor"]["Attributes"]
                fresh = since is None or event["timeNano"] / 1e9 >= since
                if fresh and all(_has(labels, label) for label in wanted):
                    await reply.send(json.dumps(event).encode() + b"\n")
            at = len(self.events)
            await news.wait()

    @staticmethod
    def _listed(container: FakeContainer) -> Json:
        status = f"Exited ({container.exit_code}) 1 second ago" if container.state == "exited" else "Up 1 second"
        return {
            "Id": container.id,
            "Names": [f"/{container.name}"],
            "Image": container.body["Image"],
            "State": container.state,
            "Status": status,
            "Labels": container.body.get("Labels", {}),
            "Created": int(time.time()),
        }


def _frame(entry: tuple[int, int, bytes], query: dict[str, str]) -> bytes:
    nanoseconds, stream, data = entry
    head = f"{stamp(nanoseconds)} ".encode() if query.get("timestamps") == "1" else b""
    return framed(stream, head + data)


def _has(labels: Json, wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)


def _matches(container: FakeContainer, query: dict[str, str]) -> bool:
    if query.get("all") != "1" and container.state != "running":
        return False
    wanted = json.loads(query.get("filters", "{}")).get("label", [])
    return all(_has(container.body.get("Labels", {}), label) for label in wanted)
