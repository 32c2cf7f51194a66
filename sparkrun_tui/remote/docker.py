"""A thin client of the Docker Engine API, through any transport."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any
from urllib.parse import quote

from sparkrun_tui.base.text import clean_line, log_line
from sparkrun_tui.remote.docker_http import TIMEOUT, DockerHttp
from sparkrun_tui.remote.docker_stream import PullTally, frame_batches, json_lines, plain_batches
from sparkrun_tui.remote.docker_types import (
    ContainerInfo,
    ContainerStats,
    DockerError,
    DockerEvent,
    DockerInfo,
    ExecInfo,
    Frame,
    ImageInfo,
    PullProgress,
    container_from_inspect,
    container_from_list,
    event_from,
    image_from,
    info_from,
    stats_from,
)
from sparkrun_tui.remote.output import Kept
from sparkrun_tui.remote.transport import Outcome, Result, Transport

_REMOVAL_LOOKS = 40
_REMOVAL_PAUSE = 0.25
"""Seconds between looks at a container that removes itself."""

_RAW_STREAM = {"Connection": "close"}
"""After a raw stream a connection cannot be used again, and the next request on it would die."""


class DockerClient:
    """One host's Docker daemon. Dials at the first call; safe for many tasks at once.

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

    async def version(self) -> Mapping[str, Any]:
        """What `/version` says."""
        return dict(await self._http.ask("GET", "/version"))

    async def info(self) -> DockerInfo:
        """What the daemon says of itself."""
        return info_from(await self._http.ask("GET", "/info"), await self._http.api_version())

    async def image(self, reference: str) -> ImageInfo | None:
        """The image of this name or digest; None when the host has none."""
        data = await self._or_none("GET", f"/images/{quote(reference, safe='/:@')}/json")
        return None if data is None else image_from(data)

    async def pull(self, image: str, platform: str = "") -> AsyncGenerator[PullProgress, None]:
        """Pull an image, telling how far. Ends only when the image is there; raises `DockerError` when it cannot be."""
        repository, tag = split_image(image)
        query = {"fromImage": repository, "tag": tag, "platform": platform or None}
        tally = PullTally()
        async with self._http.open("POST", "/images/create", query, b"", timeout=None) as response:
            async for message in json_lines(self._http.chunks(response)):
                self._check(message)
                yield tally.add(message)
        if await self.image(image) is None:
            raise DockerError(f"the pull of {image} ended, but the image is not there", host=self.host)

    async def load(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
        """Load an image from a `docker save` archive; yields what the daemon says."""
        headers = {"Content-Type": "application/x-tar"}
        async with self._http.open("POST", "/images/load", {"quiet": True}, chunks, headers, None) as response:
            async for message in json_lines(self._http.chunks(response)):
                self._check(message)
                yield log_line(str(message.get("stream") or message.get("status") or "").strip())

    async def save(self, image: str) -> AsyncIterator[bytes]:
        """The archive of an image, as `docker save` writes it."""
        async with self._http.open("GET", f"/images/{quote(image, safe='/:@')}/get", timeout=None) as response:
            async for chunk in self._http.chunks(response):
                yield chunk

    async def create(self, name: str, body: Mapping[str, Any], platform: str = "") -> str:
        """Create a container from a create request; its id. Raises `DockerError` 409 when the name is taken."""
        query = {"name": name, "platform": platform or None}
        data = await self._http.ask("POST", "/containers/create", query, body, timeout=120.0)
        return str(data["Id"])

    async def put_archive(self, container: str, path: str, tar: bytes) -> None:
        """Unpack a tar archive at `path` of a container, which need not run."""
        headers = {"Content-Type": "application/x-tar"}
        target = f"/containers/{quote(container, safe='')}/archive"
        async with self._http.open("PUT", target, {"path": path}, tar, headers) as response:
            await response.aread()

    async def start(self, container: str) -> None:
        """Start it; nothing happens when it runs already."""
        await self._http.ask("POST", f"/containers/{quote(container, safe='')}/start", timeout=120.0)

    async def stop(self, container: str, grace: float = 20.0) -> None:
        """SIGTERM, and SIGKILL after `grace` seconds; fine when it has stopped or gone already."""
        path = f"/containers/{quote(container, safe='')}/stop"
        await self._or_none("POST", path, {"t": round(grace)}, timeout=grace + TIMEOUT)

    async def kill(self, container: str, signal: str = "SIGKILL") -> None:
        """Send a signal; fine when it does not run any more."""
        try:
            await self._http.ask("POST", f"/containers/{quote(container, safe='')}/kill", {"signal": signal})
        except DockerError as error:
            if error.status not in (404, 409):
                raise

    async def wait(self, container: str) -> int:
        """Wait until it does not run; its exit code."""
        path = f"/containers/{quote(container, safe='')}/wait"
        async with self._http.open("POST", path, {"condition": "not-running"}, b"", timeout=None) as response:
            async for message in json_lines(self._http.chunks(response)):
                return int(message.get("StatusCode", -1))
        raise DockerError(f"the daemon did not say how {container} ended", host=self.host)

    async def inspect(self, container: str) -> ContainerInfo | None:
        """All about a container; None when there is none of this id or name."""
        data = await self._or_none("GET", f"/containers/{quote(container, safe='')}/json")
        return None if data is None else container_from_inspect(data)

    async def containers(self, labels: Sequence[str] = (), *, all: bool = True) -> list[ContainerInfo]:
        """Containers that have all `labels` (`key` or `key=value`), stopped ones too unless `all` is False."""
        query = {"all": all, "filters": json.dumps({"label": list(labels)}) if labels else None}
        return [container_from_list(entry) for entry in await self._http.ask("GET", "/containers/json", query)]

    async def remove(self, container: str, *, force: bool = False) -> None:
        """Remove it with its anonymous volumes; fine when it is gone already, or about to go by itself (`--rm`)."""
        query = {"force": force, "v": True}
        try:
            await self._or_none("DELETE", f"/containers/{quote(container, safe='')}", query, timeout=60.0)
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
        query = {
            "stdout": True,
            "stderr": True,
            "follow": follow,
            "timestamps": timestamps,
            "since": (since if isinstance(since, str) else f"{since:.9f}") if since else None,
            "tail": tail,
        }
        path = f"/containers/{quote(container, safe='')}/logs"
        async with self._http.open("GET", path, query, timeout=None if follow else 120.0) as response:
            chunks = self._http.chunks(response)
            async with aclosing(plain_batches(chunks) if tty else frame_batches(chunks, self.host)) as batches:
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
        data = await self._http.ask("POST", f"/containers/{quote(container, safe='')}/exec", None, body)
        return str(data["Id"])

    async def exec_start(self, exec_id: str) -> AsyncIterator[Frame]:
        """Run a prepared command and yield its output; it goes on when we stop listening."""
        body = json.dumps({"Detach": False, "Tty": False}).encode()
        headers = {"Content-Type": "application/json", **_RAW_STREAM}
        async with self._http.open("POST", f"/exec/{exec_id}/start", None, body, headers, None) as response:
            async for batch in frame_batches(self._http.chunks(response), self.host):
                for frame in batch:
                    yield frame

    async def exec_detach(self, exec_id: str) -> None:
        """Run a prepared command without listening."""
        await self._http.ask("POST", f"/exec/{exec_id}/start", None, {"Detach": True, "Tty": False})

    async def exec_inspect(self, exec_id: str) -> ExecInfo:
        """How a prepared command is."""
        data = await self._http.ask("GET", f"/exec/{exec_id}/json")
        code = data.get("ExitCode")
        return ExecInfo(bool(data.get("Running")), code if isinstance(code, int) else None)

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
        outcome = Outcome.LOST if code is None else Outcome.EXITED
        return Result(outcome, code, kept["stdout"].text(), kept["stderr"].text())

    async def events(self, labels: Sequence[str] = (), *, since: float = 0.0) -> AsyncIterator[DockerEvent]:
        """What happens to containers with these labels, from Unix time `since` (replayed) or now on, without end."""
        filters = {"type": ["container"], **({"label": list(labels)} if labels else {})}
        query = {"filters": json.dumps(filters), "since": f"{since:.9f}" if since else None}
        async with self._http.open("GET", "/events", query, timeout=None) as response:
            async for message in json_lines(self._http.chunks(response)):
                event = event_from(message)
                if event is not None:
                    yield event

    async def stats(self, container: str) -> ContainerStats:
        """One reading of memory and CPU; takes the daemon about a second."""
        path = f"/containers/{quote(container, safe='')}/stats"
        return stats_from(await self._http.ask("GET", path, {"stream": False}))

    async def _or_none(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int | bool | None] | None = None,
        timeout: float = TIMEOUT,
    ) -> Any:
        try:
            return await self._http.ask(method, path, query, timeout=timeout)
        except DockerError as error:
            if error.status == 404:
                return None
            raise

    def _check(self, message: Mapping[str, Any]) -> None:
        """Errors come inside a stream that began with 200."""
        if message.get("error"):
            detail = message.get("errorDetail") or {}
            code = detail.get("code") if isinstance(detail, Mapping) else None
            raise DockerError(
                clean_line(str(message["error"])), host=self.host, status=code if isinstance(code, int) else 0
            )


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
