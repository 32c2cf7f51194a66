"""A thin client of the Docker Engine API, through any transport."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, TypeVar
from urllib.parse import quote

from sparkrun_tui.base.reading.decoded import Decoded
from sparkrun_tui.base.text import log_line
from sparkrun_tui.remote.docker.requests import TIMEOUT, DockerHttp
from sparkrun_tui.remote.docker.streams import PullTally, frame_batches, plain_batches
from sparkrun_tui.remote.docker.types import (
    MOST_CONTAINERS,
    ContainerInfo,
    ContainerStats,
    DockerError,
    DockerEvent,
    DockerInfo,
    ExecInfo,
    Frame,
    ImageInfo,
    ImageListed,
    PullProgress,
    VolumeListed,
    container_from_inspect,
    containers_from_list,
    digest_from,
    event_from,
    exec_from,
    identity,
    image_from,
    images_from,
    info_from,
    stats_from,
    version_from,
    volumes_from,
    wait_from,
)
from sparkrun_tui.remote.script.output import Kept
from sparkrun_tui.remote.transport import Outcome, Result, Transport

_REMOVAL_LOOKS = 40
_REMOVAL_PAUSE = 0.25
"""Seconds between looks at a container that removes itself."""

_MOST_LISTED = 8 << 20
"""Bytes that a list of `MOST_CONTAINERS` may have."""

T = TypeVar("T")

_RAW_STREAM = {"Connection": "close"}
"""After a raw stream a connection cannot be used again, and the next request on it would die."""


class DockerClient:
    """One host's Docker daemon. Connects at the first call; safe for concurrent use by many tasks.

    Refusals are `DockerError` (with the HTTP status), a broken connection is `LinkLost`; both are `HostError`.
    """

    def __init__(self, transport: Transport, socket: str = "") -> None:
        self._transport = transport
        self._http = DockerHttp(transport, socket)

    @property
    def host(self) -> str:
        """The host's name."""
        return self._transport.name

    @property
    def way(self) -> str:
        """How the daemon is reached (a socket's path, or a command)."""
        return self._http.dialer.way

    async def close(self) -> None:
        """Close idle connections; nothing on the host changes."""
        await self._http.close()

    async def ping(self) -> str:
        """The API version spoken. Raises `HostError` that says why Docker cannot be used."""
        return await self._http.api_version()

    async def version(self) -> Mapping[str, str]:
        """What `/version` says in words."""
        return await self._http.ask("GET", "/version", version_from)

    async def info(self) -> DockerInfo:
        """What the daemon says of itself."""
        api = await self._http.api_version()
        return await self._http.ask("GET", "/info", lambda data: info_from(data, api))

    async def image(self, reference: str) -> ImageInfo | None:
        """The image of this name or digest; None when the host has none."""
        return await self._or_none("GET", f"/images/{quote(reference, safe='/:@')}/json", image_from)

    async def images(self) -> list[ImageListed]:
        """The images of the host, those that others are made of left out."""
        return await self._http.ask("GET", "/images/json", images_from, most=_MOST_LISTED)

    async def volumes(self) -> list[VolumeListed]:
        """The volumes of the host."""
        return await self._http.ask("GET", "/volumes", volumes_from, most=_MOST_LISTED)

    async def remove_image(self, reference: str) -> None:
        """Remove a name of an image, and the image with its last name; fine when it is gone already.

        Raises `DockerError` 409 when a container uses it.
        """
        await self._or_gone("DELETE", f"/images/{quote(reference, safe='/:@')}", {"force": False}, timeout=300.0)

    async def registry_digest(self, reference: str) -> str:
        """The digest that the image's registry has for a name now, asked by the host. Raises `DockerError`."""
        path = f"/distribution/{quote(reference, safe='/:@')}/json"
        return await self._http.ask("GET", path, digest_from)

    async def pull(self, image: str, platform: str = "") -> AsyncGenerator[PullProgress, None]:
        """Pull an image and yield the progress; ends when the image is there. Raises `DockerError` when it fails."""
        repository, tag = split_image(image)
        query = {"fromImage": repository, "tag": tag, "platform": platform or None}
        tally = PullTally()

        def read(message: Decoded) -> PullProgress:
            self._check(message)
            return tally.add(message)

        async with aclosing(self._http.lines("POST", "/images/create", read, query, b"")) as steps:
            async for step in steps:
                yield step
        if await self.image(image) is None:
            raise DockerError(f"the pull of {image} ended, but the image is not there", host=self.host)

    async def load(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
        """Load an image from a `docker save` archive; yields what the daemon says."""
        headers = {"Content-Type": "application/x-tar"}

        def read(message: Decoded) -> str:
            self._check(message)
            return log_line((message.at("stream").text() or message.at("status").text()).strip())

        loading = self._http.lines("POST", "/images/load", read, {"quiet": True}, chunks, headers)
        async with aclosing(loading) as lines:
            async for line in lines:
                yield line

    async def save(self, image: str) -> AsyncIterator[bytes]:
        """The archive of an image, as `docker save` writes it."""
        async with self._http.open("GET", f"/images/{quote(image, safe='/:@')}/get", timeout=None) as response:
            async for chunk in self._http.chunks(response):
                yield chunk

    async def create(self, name: str, body: Mapping[str, Any], platform: str = "") -> str:
        """Create a container from a create request; its id. Raises `DockerError` 409 when the name is taken."""
        query = {"name": name, "platform": platform or None}
        return await self._http.ask("POST", "/containers/create", _made, query=query, body=body, timeout=120.0)

    async def put_archive(self, container: str, path: str, tar: bytes) -> None:
        """Unpack a tar archive at `path` of a container, which need not run."""
        target = f"/containers/{quote(container, safe='')}/archive"
        await self._http.put(target, {"path": path}, tar, "application/x-tar")

    async def start(self, container: str) -> None:
        """Start it; nothing happens when it runs already."""
        await self._http.send("POST", f"/containers/{quote(container, safe='')}/start", timeout=120.0)

    async def stop(self, container: str, grace: float = 20.0) -> None:
        """SIGTERM, and SIGKILL after `grace` seconds; fine when it has stopped or gone already."""
        path = f"/containers/{quote(container, safe='')}/stop"
        await self._or_gone("POST", path, {"t": round(grace)}, timeout=grace + TIMEOUT)

    async def kill(self, container: str, signal: str = "SIGKILL") -> None:
        """Send a signal; fine when it does not run any more."""
        try:
            await self._http.send("POST", f"/containers/{quote(container, safe='')}/kill", query={"signal": signal})
        except DockerError as error:
            if error.status not in (404, 409):
                raise

    async def wait(self, container: str) -> int:
        """Wait until it does not run; its exit code."""
        path = f"/containers/{quote(container, safe='')}/wait"
        query = {"condition": "not-running"}
        async with aclosing(self._http.lines("POST", path, wait_from, query, b"")) as answers:
            async for code in answers:
                if code is not None:
                    return code
        raise DockerError(f"the daemon did not say how {container} ended", host=self.host)

    async def inspect(self, container: str) -> ContainerInfo | None:
        """All about a container; None when there is none of this id or name."""
        return await self._or_none("GET", f"/containers/{quote(container, safe='')}/json", container_from_inspect)

    async def containers(self, labels: Sequence[str] = (), *, all: bool = True) -> list[ContainerInfo]:
        """Containers that have all `labels` (`key` or `key=value`), stopped ones too unless `all` is False.

        Of stopped and running ones together the newest `MOST_CONTAINERS` are given.
        """
        filters = json.dumps({"label": list(labels)}) if labels else None
        query = {"all": all, "filters": filters, "limit": MOST_CONTAINERS if all else None}
        listed = await self._http.ask("GET", "/containers/json", containers_from_list, query=query, most=_MOST_LISTED)
        return listed[:MOST_CONTAINERS]

    async def remove(self, container: str, *, force: bool = False) -> None:
        """Remove it with its anonymous volumes; fine when it is gone already, or about to go by itself (`--rm`)."""
        query = {"force": force, "v": True}
        try:
            await self._or_gone("DELETE", f"/containers/{quote(container, safe='')}", query, timeout=60.0)
        except DockerError as error:
            if error.status != 409 or "already in progress" not in error.what:
                raise
            await self._until_gone(container, error)

    async def _until_gone(self, container: str, busy: DockerError) -> None:
        for _ in range(_REMOVAL_LOOKS):
            if await self.inspect(container) is None:
                return
            await asyncio.sleep(_REMOVAL_PAUSE)
        raise busy

    async def log_batches(
        self,
        container: str,
        *,
        follow: bool = False,
        since: float | str = 0.0,
        tail: int | None = None,
        timestamps: bool = False,
        tty: bool = False,
    ) -> AsyncGenerator[list[Frame], None]:
        """A container's output as frames, those that came together.

        `since` is Unix seconds (as text for exact nanoseconds), `tail` the number of last lines.
        """
        start = None
        if isinstance(since, str):
            start = since or None
        elif since:
            start = f"{since:.9f}"
        query = {
            "stdout": True,
            "stderr": True,
            "follow": follow,
            "timestamps": timestamps,
            "since": start,
            "tail": tail,
        }
        path = f"/containers/{quote(container, safe='')}/logs"
        timeout: float | None = 120.0
        if follow:
            timeout = None
        async with aclosing(self._http.flow(path, query, timeout)) as pieces:
            if tty:
                frames = plain_batches(pieces)
            else:
                frames = frame_batches(pieces, self.host)
            async with aclosing(frames) as batches:
                async for batch in batches:
                    yield batch

    async def logs(self, container: str, *, follow: bool = False, tail: int | None = None) -> AsyncIterator[Frame]:
        """A container's output as frames; `docker_logs` follows it over lost links."""
        async with aclosing(self.log_batches(container, follow=follow, tail=tail)) as batches:
            async for batch in batches:
                for frame in batch:
                    yield frame

    async def exec_create(
        self, container: str, argv: Sequence[str], *, env: Mapping[str, str] | None = None, user: str = ""
    ) -> str:
        """Prepare a command in a running container; its id."""
        body = {
            "Cmd": list(argv),
            "AttachStdout": True,
            "AttachStderr": True,
            "Env": [f"{key}={value}" for key, value in (env or {}).items()],
            "User": user,
        }
        return await self._http.ask("POST", f"/containers/{quote(container, safe='')}/exec", _made, body=body)

    async def exec_start(self, exec_id: str) -> AsyncIterator[Frame]:
        """Run a prepared command and yield its output; it goes on when we stop listening."""
        body = json.dumps({"Detach": False, "Tty": False}).encode()
        headers = {"Content-Type": "application/json", **_RAW_STREAM}
        path = f"/exec/{quote(exec_id, safe='')}/start"
        async with self._http.open("POST", path, None, body, headers, None) as response:
            async for batch in frame_batches(self._http.chunks(response), self.host):
                for frame in batch:
                    yield frame

    async def exec_detach(self, exec_id: str) -> None:
        """Run a prepared command without listening."""
        path = f"/exec/{quote(exec_id, safe='')}/start"
        await self._http.send("POST", path, body={"Detach": True, "Tty": False})

    async def exec_inspect(self, exec_id: str) -> ExecInfo:
        """How a prepared command is."""
        return await self._http.ask("GET", f"/exec/{quote(exec_id, safe='')}/json", exec_from)

    async def run_exec(self, container: str, argv: Sequence[str], *, timeout: float = 60.0) -> Result:
        """Run a short command in a container to its end, with bounded output.

        Raises `HostError` when the link or the container is lost; a command that takes too long is TIMED_OUT and
        goes on in the container.
        """
        kept = {"stdout": Kept(), "stderr": Kept()}
        exec_id = await self.exec_create(container, argv)
        try:
            async with asyncio.timeout(timeout):
                async for frame in self.exec_start(exec_id):
                    kept[frame.stream].add(frame.data)
        except TimeoutError:
            return Result(Outcome.TIMED_OUT, None, kept["stdout"].text(), kept["stderr"].text())
        code = (await self.exec_inspect(exec_id)).exit_code
        outcome = Outcome.EXITED
        if code is None:
            outcome = Outcome.LOST
        return Result(outcome, code, kept["stdout"].text(), kept["stderr"].text())

    async def events(self, labels: Sequence[str] = (), *, since: float = 0.0) -> AsyncIterator[DockerEvent]:
        """What happens to containers with these labels, from Unix time `since` (replayed) or now on, without end."""
        filters = {"type": ["container"], **({"label": list(labels)} if labels else {})}
        query = {"filters": json.dumps(filters), "since": f"{since:.9f}" if since else None}
        async with aclosing(self._http.lines("GET", "/events", event_from, query)) as found:
            async for event in found:
                if event is not None:
                    yield event

    async def stats(self, container: str) -> ContainerStats:
        """One reading of memory and CPU; takes the daemon about a second."""
        path = f"/containers/{quote(container, safe='')}/stats"
        return await self._http.ask("GET", path, stats_from, query={"stream": False})

    async def _or_none(self, method: str, path: str, read: Callable[[Decoded], T]) -> T | None:
        """The answer; None when there is no such thing."""
        try:
            return await self._http.ask(method, path, read)
        except DockerError as error:
            if error.status == 404:
                return None
            raise

    async def _or_gone(
        self, method: str, path: str, query: Mapping[str, str | int | bool | None], timeout: float
    ) -> None:
        """A request that is fine, too, when there is no such thing."""
        try:
            await self._http.send(method, path, query=query, timeout=timeout)
        except DockerError as error:
            if error.status != 404:
                raise

    def _check(self, message: Decoded) -> None:
        """Errors come inside a stream that began with 200. Raises `DockerError`."""
        error = message.at("error").text()
        if not error:
            return
        detail = message.at("errorDetail").data
        code = Decoded(detail).at("code").whole(most=999) if isinstance(detail, dict) else None
        raise DockerError(log_line(error), host=self.host, status=code or 0)


def _made(data: Decoded) -> str:
    """The id of what was created."""
    return identity(data.at("Id"))


def split_image(image: str) -> tuple[str, str]:
    """An image reference as repository and tag (or digest); without a tag, `latest` (the API would pull all)."""
    if "@" in image:
        repository, _, digest = image.partition("@")
        return repository, digest
    head, colon, tag = image.rpartition(":")
    if colon and "/" not in tag:
        return head, tag
    return image, "latest"


def archive(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    """A tar archive of files: path to content and mode; owned by root, without directories of its own."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, (data, mode) in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
