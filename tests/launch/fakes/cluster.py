"""The cluster in memory: its hosts, what lies on the workstation, and the services that launches are given."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.base.user.settings import Cluster, Settings
from sparkrun_tui.launch.launcher import Launcher
from sparkrun_tui.launch.run.launch import Launch
from sparkrun_tui.launch.services import Services
from sparkrun_tui.remote.docker.types import ImageProgram
from sparkrun_tui.remote.lease import lease_of
from sparkrun_tui.remote.probe.cached_model import Wanted
from sparkrun_tui.remote.probe.facts import HostFacts
from sparkrun_tui.remote.transport import Result
from tests.launch.fakes.docker import FakeDocker
from tests.launch.fakes.following import FakeHttp, FakeLogs
from tests.launch.fakes.host import EPOCH, FakeHost, Program, end_well, serve_well
from tests.launch.fakes.moving import FakeImages, FakeModels
from tests.launch.fakes.recipes import rendered
from tests.launch.fakes.transport import FakeTransport


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
        self.paths: dict[str, str] = {}
        """What each host says of the model's path."""
        self.script_lines: list[str] = ["done"]
        """What a script run on a host prints, a line a second, before it does its work."""
        self.script_code = 0
        self.processes = ""
        """The command lines in a container of foreign scripts."""
        self.image_id = "sha256:1"
        self.looks: list[str] = []
        """The looks into images for a program."""
        self.image_program: ImageProgram | None = ImageProgram(True, "2.49.0")
        """What images have of it."""
        self.http = FakeHttp(self)
        self.cluster = Cluster("lab", tuple(names))
        self.asked: list[Wanted] = []
        """The models that hosts were asked for in probes."""

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

    async def _probe(
        self, transport: Any, paths: Sequence[str], ports: Sequence[int], models: Sequence[Wanted] = ()
    ) -> HostFacts:
        self.asked += models
        await asyncio.sleep(0.001)
        host = self.hosts[transport.name]
        host.check()
        if not host.lease:
            return host.facts
        owner = json.dumps({"launch": host.lease, "user": "other@desk"})
        return replace(host.facts, lease=lease_of(owner, 20.0))

    def launcher(self, environ: Mapping[str, str] | None = None) -> Launcher:
        return Launcher(Settings(clusters=(self.cluster,)), self.services, environ or {})

    def begin(self, text: str) -> Launch:
        """Launch a recipe's text from a launcher of its own."""
        launcher = self.launcher()
        return launcher.launch(launcher.plan(rendered(text), self.cluster))

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
