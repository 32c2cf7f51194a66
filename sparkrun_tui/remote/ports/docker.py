"""A host's Docker daemon, the logs of its containers, and its images, as protocols."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from sparkrun_tui.remote.docker.types import ContainerInfo, ExecInfo, ImageInfo, ImageListed, ImageProgram, VolumeListed
from sparkrun_tui.remote.ports.models import Transfer
from sparkrun_tui.remote.transport import Result, Transport

if TYPE_CHECKING:
    from sparkrun_tui.remote.docker.logs import LogRecord


class Docker(Protocol):
    """The Engine API of one host, as far as launches and surveys use it.

    Every method raises `LinkLost` when the link broke (the outcome is then not known) and `HostError` with the
    daemon's own words when it refused; None means there is no such thing.
    """

    async def image(self, reference: str) -> ImageInfo | None:
        """`GET /images/{reference}/json`."""

    async def images(self) -> Sequence[ImageListed]:
        """`GET /images/json`."""

    async def volumes(self) -> Sequence[VolumeListed]:
        """`GET /volumes`."""

    async def remove_image(self, reference: str) -> None:
        """`DELETE /images/{reference}`, without force; a missing one is fine, a container that uses it a refusal."""

    async def registry_digest(self, reference: str) -> str:
        """`GET /distribution/{reference}/json`: the digest that the registry has for a name now."""

    async def create(self, name: str, body: Mapping[str, Any]) -> str:
        """`POST /containers/create`; the id."""

    async def put_archive(self, container: str, path: str, tar: bytes) -> None:
        """`PUT /containers/{id}/archive`: unpack `tar` at `path` inside the container."""

    async def start(self, container: str) -> None:
        """`POST /containers/{id}/start`; one that runs already is fine."""

    async def stop(self, container: str, grace: float) -> None:
        """`POST /containers/{id}/stop`: SIGTERM, then SIGKILL after `grace` seconds; a stopped one is fine."""

    async def kill(self, container: str) -> None:
        """`POST /containers/{id}/kill`; a stopped or missing one is fine."""

    async def remove(self, container: str, *, force: bool = False) -> None:
        """`DELETE /containers/{id}`; a missing one is fine."""

    async def inspect(self, container: str) -> ContainerInfo | None:
        """`GET /containers/{id}/json`."""

    async def containers(self, labels: Sequence[str] = ()) -> Sequence[ContainerInfo]:
        """`GET /containers/json?all=1` with label filters (`key` or `key=value`)."""

    async def exec_create(self, container: str, argv: Sequence[str]) -> str:
        """`POST /containers/{id}/exec`; the id."""

    async def exec_detach(self, exec_id: str) -> None:
        """`POST /exec/{id}/start`, detached."""

    async def exec_inspect(self, exec_id: str) -> ExecInfo:
        """`GET /exec/{id}/json`; refused once its container has ended for long."""

    async def run_exec(self, container: str, argv: Sequence[str], *, timeout: float = 60.0) -> Result:
        """Run a command in a container and wait for it."""


class Logs(Protocol):
    """Reads the logs of containers, surviving lost links without losing or doubling a line."""

    def follow(
        self,
        transport: Transport,
        container: str,
        *,
        tail: int | None = None,
        since: float | None = None,
        keep: bool = True,
    ) -> AsyncIterator[Sequence[LogRecord]]:
        """Batches of lines: the last `tail` (all when None) from Unix time `since` on, then new ones until it ends.

        With `keep` false it ends when what is there has been read. An empty batch may come at any time.
        """


class Images(Protocol):
    """Brings images to hosts."""

    def pull(self, transport: Transport, reference: str) -> AsyncIterator[Transfer]:
        """Pull on the host itself. Raises `HostError` with the registry's words when it refuses.

        When it is not waited for any more, the host goes on by itself, as the job `pull_job`.
        """

    def pull_job(self, reference: str) -> str:
        """The key of the host's own pull of an image among its jobs."""

    async def local(self, reference: str, architecture: str) -> bool:
        """Whether the workstation's own Docker holds the image for that CPU architecture (`aarch64`, `x86_64`)."""

    def stream(self, transport: Transport, reference: str) -> AsyncIterator[Transfer]:
        """Send the workstation's image to the host."""

    async def program(self, transport: Transport, reference: str, name: str) -> ImageProgram | None:
        """Whether an image that a host has holds a program on its path; None where that cannot be asked."""
