"""The work of simulated containers: they start an engine, print what it would print, and serve until they are ended."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

from sparkrun_tui.demo.container import Container, Execution
from sparkrun_tui.demo.engines.catalog import Catalog
from sparkrun_tui.demo.engines.endpoint import Endpoint
from sparkrun_tui.demo.engines.figures import Fault, Figures, figures
from sparkrun_tui.demo.engines.log_script import LogStep, filled
from sparkrun_tui.demo.engines.ray import Ray, hang_up
from sparkrun_tui.demo.engines.registry import simulated
from sparkrun_tui.demo.engines.simulated import Start, StartLog
from sparkrun_tui.demo.host import Host, Site
from sparkrun_tui.engines.layout.common import SERVE_FILE
from sparkrun_tui.engines.plan import LABEL, Role
from sparkrun_tui.launch.run.steps.start import RAY_STATUS
from sparkrun_tui.memory.result import HostMemory
from sparkrun_tui.remote.docker.look import LABEL as LOOK

_LOOKED = b"has 2.60.0\n"
"""What the images of the demo have: a Ray that knows passwords."""


class Engines:
    """Runs the containers of all hosts of a site."""

    def __init__(self, site: Site, catalog: Catalog) -> None:
        self._site = site
        self._catalog = catalog
        self._ray = Ray(site)

    async def run(self, host: Host, container: Container) -> None:
        """The work of a container from its start to its end; sets its exit code."""
        script = container.text(SERVE_FILE)
        if LOOK in container.labels:
            await container.term.wait()
            code = 0
        elif "ray start" in script:
            code = await self._ray.node(host, container, script)
        elif "rpc-server" in script:
            code = await _lend(host, container, script)
        elif f"{LABEL}role" not in container.labels:
            code = await self._serve_delegated(host, container, script)
        else:
            code = await self._serve(host, container, script)
        container.end(code)

    async def execute(self, host: Host, execution: Execution) -> None:
        """The work of a command in a container; sets the exit code of the execution."""
        container, argv = execution.container, execution.argv
        if LOOK in container.labels:
            execution.output = _LOOKED
            execution.code = 0
        elif argv[:2] == ("ray", "status") or argv[:3] == ("sh", "-c", RAY_STATUS):
            execution.output = self._ray.status(container).encode()
            execution.code = 0
        elif argv[:2] == ("test", "-d"):
            found = argv[2] in container.folders
            execution.code = 0 if found else 1
        elif argv[:1] == ("cat",):
            found = argv[1] in container.files
            execution.output = container.files.get(argv[1], b"")
            execution.code = 0 if found else 1
        elif argv[:1] == ("bash",) and argv[1].endswith(".sh"):
            await self._execute_serve(host, execution, argv[1].removesuffix(".sh"))
        else:
            program = "".join(argv[:1])
            execution.output = f"the demo's containers cannot run {program}\n".encode()
            execution.code = 127
        container.news.changed()

    async def _execute_serve(self, host: Host, execution: Execution, folder: str) -> None:
        container = execution.container
        if folder in container.folders:
            execution.code = 0
            return
        container.folders.add(folder)
        script = container.text(f"{folder}.serve.sh")
        if "/exec-after-" in folder:
            code, what = 0, "a hook that the demo does not run"
            await host.clock.sleep(1.0)
        else:
            code, what = await self._serve(host, container, script, ray=True, spread=True), "vllm serve"
        container.files[f"{folder}/code"] = f"{code}\n".encode()
        container.say(f"sparkrun-tui: {what} ended with exit code {code}")
        execution.code = code

    async def _serve_delegated(self, host: Host, container: Container, script: str) -> int:
        """Serve in containers that foreign scripts made: the head prints everything and the others wait."""
        names = container.labels.get(f"{LABEL}hosts", host.name).split(",")
        if host.name in names[1:]:
            await container.term.wait()
            return 0
        return await self._serve(host, container, script, spread=True)

    async def _serve(
        self, host: Host, container: Container, script: str, *, ray: bool = False, spread: bool = False
    ) -> int:
        """Start and serve; the exit code. With `spread`, this process acts for all ranks."""
        role, rank = _role(container)
        is_ = await asyncio.to_thread(self._figures, host, container, script)
        log = self._log(is_, role, rank, container, ray)
        if role is not Role.WORKER and is_.port in host.open_ports():
            container.say("OSError: [Errno 98] Address already in use", "stderr")
            return 1
        started = host.clock.now()
        for step in log.steps():
            await host.clock.sleep(step.after)
            await self._apply(container, step, is_.engine, started, spread)
            if "world_size=" in step.text or "Init parallel begin" in step.text:
                await self._meet(container, is_.ranks)
        if is_.fault is Fault.HOST:
            container.oom_killed = True
            return 137
        if log.fails:
            return 1
        if role is Role.WORKER:
            await container.term.wait()
            await host.clock.sleep(1.0)
            return 0
        return await self._answer(host, container, is_, log)

    async def _apply(self, container: Container, step: LogStep, engine: str, started: float, spread: bool) -> None:
        if step.memory is not None:
            for each in self._peers(container) if spread else [container]:
                each.memory = step.memory
        if step.text:
            container.say(filled(step.text, simulated(engine).stamp, container.clock, started), step.stream)

    async def _answer(self, host: Host, container: Container, is_: Figures, log: StartLog) -> int:
        """Serve until the container is asked to end."""
        endpoint = Endpoint(is_, container)
        host.listen(container, is_.port, endpoint.serve)
        container.serving = True

        def say(lines: list[tuple[str, str]]) -> None:
            for text, stream in lines:
                container.say(filled(text, simulated(is_.engine).stamp, host.clock, container.started or 0.0), stream)

        say(log.up())
        load = asyncio.create_task(endpoint.report_load(lambda *now: say([(log.load(*now), "stdout")])))

        def busy(share: float) -> None:
            for each in self._peers(container):
                each.busy = share

        visits = asyncio.create_task(endpoint.visit(busy)) if self._site.visitors else None
        try:
            await container.term.wait()
        finally:
            load.cancel()
            if visits is not None:
                visits.cancel()
        say(log.down())
        await host.clock.sleep(0.8)
        return 0

    def _figures(self, host: Host, container: Container, script: str) -> Figures:
        labels = container.labels
        rendered = self._catalog.rendered(labels, script)
        by_name = {item.name: item for item in self._site.hosts}
        own = {peer.id for peer in self._peers(container)}
        memories = []
        for name in labels.get(f"{LABEL}hosts", host.name).split(","):
            if name in by_name:
                memories.append(_memory(by_name[name], own))
        if not memories:
            memories.append(_memory(host, own))
        is_ = figures(rendered, memories, self._catalog.store)
        served = labels.get(f"{LABEL}served", "") or rendered.recipe.model
        port = labels.get(f"{LABEL}port", "")
        if port.isdecimal():
            is_ = replace(is_, port=int(port))
        return replace(is_, served=served)

    def _log(self, is_: Figures, role: Role, rank: int, container: Container, ray: bool) -> StartLog:
        head = container.labels.get(f"{LABEL}hosts", "").split(",")[0]
        head_ip = "127.0.0.1"
        for host in self._site.hosts:
            if host.name == head:
                head_ip = host.address
        return simulated(is_.engine).log(Start(is_, role, rank, ray, head_ip))

    async def _meet(self, container: Container, ranks: int) -> None:
        """Wait for the other ranks without printing, as engines do."""
        while len(self._peers(container)) < ranks:
            await container.clock.sleep(0.2)

    def _peers(self, container: Container) -> list[Container]:
        """The running containers of the same launch."""
        key = f"{LABEL}launch"
        launch = container.labels.get(key, container.id)
        found = []
        for host in self._site.hosts:
            for each in host.containers.values():
                if each.running and each.labels.get(key, each.id) == launch:
                    found.append(each)
        return found


def _role(container: Container) -> tuple[Role, int]:
    word, rank = container.labels.get(f"{LABEL}role", "solo"), container.labels.get(f"{LABEL}rank", "0")
    role = Role(word) if word in set(Role) else Role.SOLO
    return role, int(rank) if rank.isdecimal() else 0


def _memory(host: Host, own: set[str]) -> HostMemory:
    mine = sum(container.memory for container in host.containers.values() if container.id in own)
    available = host.memory_available + mine
    return HostMemory(host.name, host.memory_total, available, False, "demo", gpu_name="NVIDIA GB10")


async def _lend(host: Host, container: Container, script: str) -> int:
    """Act as llama.cpp's rpc-server, which listens and waits; the exit code."""
    found = re.search(r"--port (\d+)", script)
    port = int(found[1]) if found else 50_052
    await host.clock.sleep(1.0)
    container.say(f"Starting RPC server v3.0.0\n  endpoint       : {host.address}:{port}")
    host.listen(container, port, hang_up)
    await container.term.wait()
    return 0
