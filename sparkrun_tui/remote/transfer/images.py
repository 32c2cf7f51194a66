"""Brings images to hosts: pulled by each host itself, or sent from the workstation's own Docker."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import clean_line, decode, log_line
from sparkrun_tui.remote import children
from sparkrun_tui.remote.docker.client import DockerClient
from sparkrun_tui.remote.docker.look import look_for
from sparkrun_tui.remote.docker.types import DockerError, ImageProgram, PullProgress, docker_arch
from sparkrun_tui.remote.failures import LinkLost, TransferLost
from sparkrun_tui.remote.local_transport import LocalTransport
from sparkrun_tui.remote.meter import Meter
from sparkrun_tui.remote.ports.models import Transfer
from sparkrun_tui.remote.script.jobs import Jobs, JobState
from sparkrun_tui.remote.ssh.arguments import SshAccess, destination
from sparkrun_tui.remote.ssh.host_key_policy import HostKeyPolicy
from sparkrun_tui.remote.ssh.resolve import Resolver
from sparkrun_tui.remote.ssh.unlocked_keys import KeyRing
from sparkrun_tui.remote.transport import Transport

STALL = 180.0
"""Seconds of silence after which a pull's progress is requested again."""
_PAUSE = 0.5
_SSH_FAILED = 255
"""ssh's own exit code, for a connection that failed or broke; the command on the host has not ended with it."""
_NEEDS_LOGIN = late_regex(r"pull access denied|unauthorized|authentication required|denied:|no basic auth", re.I)

Clients = Callable[[Transport], DockerClient]
"""Gives the Docker client of a transport."""


class DockerImages:
    """Images over the hosts' Docker; `clients` gives the client of a transport."""

    def __init__(
        self, clients: Clients, resolver: Resolver, policy: HostKeyPolicy, *, ring: KeyRing | None = None
    ) -> None:
        self._clients = clients
        self._access = SshAccess(resolver, policy, ring)

    async def program(self, transport: Transport, reference: str, name: str) -> ImageProgram | None:
        """Whether an image that a host has holds a program on its path; None where that cannot be asked."""
        return await look_for(self._clients(transport), reference, name)

    async def pull(self, transport: Transport, reference: str) -> AsyncGenerator[Transfer, None]:
        """Pull on the host and yield the bytes so far; the last item has done == total. Raises `HostError`.

        A pull asked for through the API ends with its connection, and what it had of each layer is lost. So the host
        runs `docker pull` itself as well, detached; both share one transfer, and a lost link costs nothing. Whoever
        stops waiting leaves it to the host: it is the job `pull_job`, to be ended where nobody wants it any more.
        """
        client = self._clients(transport)
        anchor = _Anchor(transport, reference, sudo=False)
        await client.ping()
        anchor.sudo = client.way.startswith("sudo")
        await anchor.start()
        meter = Meter()
        try:
            last = Transfer(0, None)
            async with aclosing(self._joined(client, transport, reference, anchor, meter)) as moving:
                async for last in moving:
                    yield last
            total = last.total or last.done
            yield Transfer(total, total)
        except HostError:
            await anchor.cancel()
            raise
        await anchor.forget()

    def pull_job(self, reference: str) -> str:
        """The key of the host's own pull among its jobs."""
        return _pull_key(reference)

    async def _joined(
        self, client: DockerClient, transport: Transport, reference: str, anchor: _Anchor, meter: Meter
    ) -> AsyncGenerator[Transfer, None]:
        best = 0
        while True:
            try:
                async with aclosing(client.pull(reference)) as steps:
                    while (step := await _next(steps)) is not None:
                        best = max(best, step.done)
                        layers = f"{step.layers_done}/{step.layers} layers" if step.layers else clean_line(step.status)
                        yield meter.transfer(best, max(step.total, best) or None, layers)
                return
            except TimeoutError:
                # Joining anew costs nothing while the host itself pulls, and shows whether it still does.
                yield Transfer(best, None, 0.0, f"nothing came for {STALL:.0f} s")
            except LinkLost:
                yield Transfer(best, None, None, "the link is down, the host goes on pulling")
                await asyncio.sleep(_PAUSE)
                await transport.connect()
            except DockerError as error:
                # The daemon's API knows no login; the host's own docker command may have one.
                if not (_NEEDS_LOGIN.search(error.what) and anchor.running):
                    raise
                yield Transfer(best, None, None, "pulling with the host's own login")
                await anchor.wait(error)
                if await client.image(reference) is None:
                    raise
                return

    async def local(self, reference: str, architecture: str) -> bool:
        """Whether the workstation's Docker has the image for that CPU (`aarch64`); False without Docker here."""
        try:
            found = await self._clients(LocalTransport()).image(reference)
        except HostError:
            return False
        return found is not None and (not architecture or found.arch == docker_arch(architecture))

    async def stream(self, transport: Transport, reference: str) -> AsyncGenerator[Transfer, None]:
        """Send the workstation's image: `docker save` here into `docker load` there, as child processes.

        The last item has done == total. Raises `HostError`.
        """
        image = await self._clients(LocalTransport()).image(reference)
        if image is None:
            raise HostError(
                f"this machine has no image {reference} to send",
                remedy=shell.script("docker pull {image}", image=reference),
            )
        client = self._clients(transport)
        await client.ping()
        meter = Meter()
        load = await self._load_words(transport, sudo=client.way.startswith("sudo"))
        async with aclosing(_piped(reference, load, transport.name)) as counts:
            async for count in counts:
                # An archive is a little longer than the layers in it.
                yield meter.transfer(min(count, image.size), image.size)
        there = await client.image(reference)
        if there is None or not there.same_content(image):
            raise HostError(f"{reference} is not there after it was sent", host=transport.name)
        yield Transfer(image.size, image.size)

    async def _load_words(self, transport: Transport, *, sudo: bool) -> list[str]:
        load = ["sudo", "-n", "docker", "load", "-q"] if sudo else ["docker", "load", "-q"]
        if isinstance(transport, LocalTransport):
            return load
        endpoint = await self._access.resolver.resolve(transport.name)
        words = await self._access.words(transport.name)
        return [*words, "--", destination(endpoint), shell.words(load)]


async def _next(steps: AsyncGenerator[PullProgress, None]) -> PullProgress | None:
    async with asyncio.timeout(STALL):
        return await anext(steps, None)


def _pull_key(reference: str) -> str:
    return f"pull-{hashlib.sha256(reference.encode()).hexdigest()[:16]}"


class _Anchor:
    """`docker pull` as a detached job of the host, which keeps a transfer alive when our connection does not."""

    def __init__(self, transport: Transport, reference: str, *, sudo: bool) -> None:
        self.sudo = sudo
        self.running = False
        self._reference = reference
        self._jobs = Jobs(transport)
        self._key = _pull_key(reference)

    async def start(self) -> None:
        """Start it, unless one of the same image runs; without a docker command there is none."""
        command = shell.words(["sudo", "-n", "docker"] if self.sudo else ["docker"])
        # The reference arrives as a variable, never as shell text.
        script = shell.script(
            'command -v docker >/dev/null 2>&1 || exit 127\nexec {docker} pull -q -- "$IMAGE"\n', docker=command
        )
        env = {"IMAGE": self._reference}
        if not await self._jobs.start(self._key, script, env):
            if (await self._jobs.status(self._key)).state is JobState.RUNNING:
                self.running = True
                return
            await self._jobs.forget(self._key)
            await self._jobs.start(self._key, script, env)
        self.running = True

    async def wait(self, refusal: DockerError) -> None:
        """Wait for its end. Raises `HostError` with its words, or `refusal`, when it fails."""
        status = await self._jobs.wait(self._key)
        if status.code == 0:
            return
        said = await self._jobs.last_words(self._key)
        if status.code == 127 or not said:
            raise refusal
        raise DockerError(said, host=refusal.host, status=refusal.status, remedy="On the host: docker login")

    async def cancel(self) -> None:
        """Stop it if the host can be reached."""
        with suppress(HostError, TimeoutError):
            async with asyncio.timeout(5):
                await self._jobs.cancel(self._key)
                await self._jobs.forget(self._key)

    async def forget(self) -> None:
        """Its end has come with the image's arrival; take its folder away."""
        with suppress(HostError):
            await self._jobs.forget(self._key)


async def _piped(reference: str, load: list[str], host: str) -> AsyncGenerator[int, None]:
    """Run the three processes; yields the bytes that have gone through. Raises `HostError` when one fails."""
    pipe_in, save_out = os.pipe()
    load_in, pump_out = os.pipe()
    pump_words = [sys.executable, "-P", "-m", "sparkrun_tui.remote.docker.pump"]
    ends = [pipe_in, save_out, load_in, pump_out]
    try:
        save = await children.spawn(["docker", "save", "--", reference], stdout=save_out)
        pump = await children.spawn(pump_words, stdin=pipe_in, stdout=pump_out)
        sink = await children.spawn(load, stdin=load_in)
    except FileNotFoundError as error:
        raise HostError(f"{error.filename} is not installed on this machine") from error
    finally:
        for end in ends:
            os.close(end)
    async with children.stopping(save), children.stopping(pump), children.stopping(sink):
        words = [asyncio.create_task(children.last_words(process.stderr)) for process in (save, sink)]
        printed = asyncio.create_task(children.last_words(sink.stdout))
        assert pump.stderr is not None
        async for line in pump.stderr:
            if (count := whole(decode(line))) is not None:
                yield count
        codes = [await process.wait() for process in (sink, save, pump)]
        await printed
        if codes[0] == _SSH_FAILED and load[0] not in ("docker", "sudo"):
            raise LinkLost(f"sending {reference} broke off", host=host)
        for code, said, where in ((codes[0], words[1], host), (codes[1], words[0], "")):
            if code:
                last = log_line(decode(await said).strip().rpartition("\n")[2])
                raise HostError(f"sending {reference} failed: {last or f'exit code {code}'}", host=where)
        if codes[2]:
            raise TransferLost(f"sending {reference} broke off", host=host)
