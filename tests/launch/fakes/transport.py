"""The `Transport` of a host in memory: scripts, leases, detached jobs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.launch.run.post_hooks import HOOK_MARK
from sparkrun_tui.remote.transport import ByteStream, LinkState, LinkStatus, Outcome, Result
from tests.launch.fakes.guard import FakeGuard
from tests.launch.fakes.host import EPOCH, FakeHost, FakeJob


def without_variables(script: str) -> str:
    """The command of a hook without the line that sets the variables which every hook gets."""
    first, _, rest = script.partition("\n")
    assert first.startswith("export SPARKRUN_HOOK="), first
    return rest


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
            command = without_variables(script.removeprefix(HOOK_MARK).strip())
            host.cluster.ran.append(f"{host.name}: {command}")
            return host.cluster.results.get(command, Result(Outcome.EXITED, 0, "done here\n", ""))
        if "# sparkrun-tui: store-list" in script:
            return Result(Outcome.EXITED, 0, host.stored, "")
        if "owner.json" in script:
            return self._lease(script)
        if script.startswith("# sparkrun-tui: guard-") or "/guard" in script.partition("job=")[2].partition("\n")[0]:
            return self._guard(script, stdin)
        if script.startswith("rm -rf -- ") and "/guard\n" in script:
            host.guard = None
            return Result(Outcome.EXITED, 0, "", "")
        if "\njob=" in f"\n{script}" or script.startswith("rm -rf -- "):
            return self._job(script)
        if script.startswith("# sparkrun-tui: activity"):
            await asyncio.sleep(3)
            return Result(Outcome.EXITED, 0, host.activity, "")
        if script.startswith("# sparkrun-tui: model-path"):
            return Result(Outcome.EXITED, 0, host.cluster.paths.get(host.name, ""), "")
        if script.startswith("mkdir"):
            host.actions.append(script)
        return Result(Outcome.EXITED, 0, "", "")

    def _lease(self, script: str) -> Result:
        host = self._host
        if 'rm -rf "$lock"' in script and "take()" not in script:
            if f'"{host.lease}"' in script:
                host.lease = ""
        elif "take()" in script:
            launch = script.partition('{"launch": "')[2].partition('"')[0]
            if host.lease not in ("", launch):
                owner = json.dumps({"launch": host.lease, "user": "other@desk"})
                return Result(Outcome.EXITED, 0, f"held 20\n{owner}", "")
            host.lease = launch
            return Result(Outcome.EXITED, 0, "won\n", "")
        return Result(Outcome.EXITED, 0, "", "")

    def _guard(self, script: str, stdin: bytes) -> Result:
        """The memory guard of a launch: a job that only its record is seen of."""
        host, verb = self._host, script.partition("\n")[0].rpartition("sparkrun-tui: ")[2]
        said = ""
        if verb == "job-start":
            if host.guard_refused:
                return Result(Outcome.EXITED, 1, "", host.guard_refused)
            said = "EXISTS"
            if host.guard is None:
                host.guard = FakeGuard(stdin.decode(), began=host.cluster.now())
                said = "STARTED"
        elif verb == "guard-read":
            said = "missing\n" if host.guard is None else host.guard.answer(host)
        return Result(Outcome.EXITED, 0, said, "")

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
