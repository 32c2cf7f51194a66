"""Doubles of the engine for the app's tests: hosts that answer at once, and launches that follow a script."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace

from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.base.secrets import Redactor
from sparkrun_tui.base.units import GIB
from sparkrun_tui.base.user.settings import Cluster, Settings
from sparkrun_tui.engines.plan import HostView
from sparkrun_tui.fleet.metrics import Metrics
from sparkrun_tui.fleet.model import FleetView, HostStatus, Workload
from sparkrun_tui.fleet.stop import StopReport
from sparkrun_tui.launch.bench.benchmark import Benchmark
from sparkrun_tui.launch.bench.options import Options
from sparkrun_tui.launch.chat.pieces import Asked, Figures, Piece
from sparkrun_tui.launch.plan.plan import LaunchPlan, build_plan
from sparkrun_tui.launch.record.events import AnyEvent, EndpointUp, LaunchBegan, LaunchStatus, StatusChanged
from sparkrun_tui.launch.record.export import Exported, export_logs
from sparkrun_tui.launch.record.fold import fold
from sparkrun_tui.launch.record.logs import LogBuffer, LogLine
from sparkrun_tui.launch.record.report import report
from sparkrun_tui.launch.record.state import LaunchState
from sparkrun_tui.launch.stores.model import StoresView
from sparkrun_tui.launch.stores.prune import Item, Pruned, PruneReport
from sparkrun_tui.launch.stores.verify import Checked
from sparkrun_tui.recipe.model import Problem, Recipe
from sparkrun_tui.recipe.search.entry import Entry
from sparkrun_tui.recipe.search.sources import find_recipe
from sparkrun_tui.recipe.values.rendered import Rendered
from sparkrun_tui.remote.probe.facts import Disk, Gpu, HostFacts
from sparkrun_tui.remote.transport import LinkState, LinkStatus
from sparkrun_tui.ui.model.ports import Ask, HostSeen, Insight, LaunchPort, Opened, PastLaunch

LAB = Cluster("lab", ("spark-1", "spark-2"))
DEMO = Cluster("demo", ("demo-1", "demo-2"), source="demo")
LAB_SETTINGS = Settings(clusters=(LAB,))
SPARK = int(121.7 * GIB)
THOUGHT = "…"
"""How a piece of reasoning begins."""


def host_facts(name: str, left: float, gpu: Gpu | None = None, taken: float | None = None) -> HostFacts:
    """A Spark that has answered, now unless `taken` says when, with `left` GiB available."""
    return HostFacts(
        name=name,
        taken=time.time() if taken is None else taken,
        round_trip=0.01,
        hostname=name,
        arch="aarch64",
        kernel="6.11",
        user="spark",
        home="/home/spark",
        hf_cache="/home/spark/.cache/huggingface",
        boot_id="b",
        clock_skew=0.0,
        memory_total=SPARK,
        memory_available=int(left * GIB),
        swap_free=0,
        disks=(Disk("/", 800 * GIB, 3600 * GIB),),
        gpus=(gpu or Gpu("NVIDIA GB10"),),
        driver="580",
        cuda="13.0",
        docker_version="29",
        docker_root="/var/lib/docker",
        docker_access="ok",
        gpu_runtime=True,
        default_interface="eth0",
        default_address="10.0.0.1",
        rdma=(),
        infiniband=False,
        used_ports=frozenset(),
    )


class FakeLaunch:
    """A launch whose events and lines the test gives."""

    def __init__(self, launch_id: str, hosts: Sequence[str], rendered: Rendered | None = None) -> None:
        self.launch_id = launch_id
        self.rendered = rendered
        self.state = LaunchState()
        self.revision = 0
        self.logs: Mapping[str, LogBuffer] = {host: LogBuffer() for host in hosts}
        recipe = rendered.recipe.name if rendered else "some-recipe"
        model = rendered.recipe.model if rendered else "some/model"
        self.send(
            LaunchBegan(
                launch_id=launch_id,
                recipe=recipe,
                engine="vllm",
                model=model,
                cluster="lab",
                hosts=tuple(hosts),
                port=8000,
                time=1000.0,
            )
        )

    def send(self, *events: AnyEvent) -> None:
        """Let these events happen."""
        for event in events:
            self.state = fold(self.state, event)
            self.revision += 1

    def print(self, host: str, *texts: str, time: float = 1000.0) -> None:
        """Let the container on `host` print these lines."""
        self.logs[host].extend(LogLine(time + n, "stdout", text) for n, text in enumerate(texts))


class FakeBackend:
    """Answers at once and writes down what it was asked."""

    def __init__(self) -> None:
        self.facts = None
        self.benchmarks: dict[str, Benchmark] = {}
        self.calls: list[str] = []
        self.unreachable: dict[str, str] = {}
        self.surveys = 0
        self.measurements = 0
        """How often servers were asked how busy they are."""
        self.alive: set[str] = set()
        """Ids of earlier launches that still run."""
        self.ending: tuple[AnyEvent, ...] = ()
        """How an earlier launch ended by its record; it is gone where nothing is said."""
        self.settings = Settings()
        self.free: dict[str, float] = {}
        """GiB that hosts have available; 115 where nothing is said."""
        self.taken: float | None = None
        """When hosts have answered, in place of now."""
        self.launches: list[FakeLaunch] = []
        self.view = FleetView("lab", 1000.0, (), ())
        self.metrics: dict[str, Metrics] = {}
        self.insight = Insight(warnings=())
        self.past: list[PastLaunch] = []
        self.stored = StoresView("lab", 1000.0, ())
        self.checked: list[Checked] = []
        self.goes = True
        self.found: tuple[Problem, ...] = ()
        self.stopped = StopReport(())
        self.answer: tuple[str, ...] = ("Hello", " from", " the", " model.")
        """The pieces of every answer; those that begin with `THOUGHT` are reasoning."""
        self.end = "stop"
        self.hold: asyncio.Event | None = None
        """What an answer waits for before it ends."""
        self.refusal: SparkrunError | None = None
        """How an answer ends, behind its pieces."""
        self.asked: list[Asked] = []
        self.ask: Ask | None = None

    async def open(self, ask: Ask) -> None:
        self.ask = ask
        self.calls.append("open")

    async def close(self) -> None:
        self.calls.append("close")

    async def open_demo(self) -> Cluster:
        self.calls.append("open_demo")
        return DEMO

    async def probe(self, cluster: Cluster, seen: Callable[[HostSeen], None]) -> None:
        for host in cluster.hosts:
            if host in self.unreachable:
                seen(HostSeen(host, None, self.unreachable[host], "Is it switched on?"))
            else:
                seen(HostSeen(host, self.facts_of(host)))

    def facts_of(self, host: str) -> HostFacts:
        """What a host says of itself."""
        return host_facts(host, self.free.get(host, 115.0), taken=self.taken)

    async def look_up(self, model: str, revision: str) -> None:
        self.calls.append(f"look_up {model}")

    def benchmark(self, workload: Workload, cluster: Cluster, options: Options) -> Benchmark:
        self.calls.append(f"benchmark {workload.recipe} {options.concurrency} {options.prompt} {options.output}")
        begun = Benchmark(workload.recipe, options)
        self.benchmarks[workload.key] = begun
        return begun

    def benchmark_of(self, key: str) -> Benchmark | None:
        return self.benchmarks.get(key)

    async def read_here(self, rendered: Rendered) -> bool:
        return False

    async def plan(self, rendered: Rendered, cluster: Cluster, hosts: Sequence[str] = ()) -> LaunchPlan:
        views = [HostView(host, host) for host in hosts or cluster.hosts]
        return build_plan(rendered, cluster, views, launch_id="fake1234")

    def dry_run(self, plan: LaunchPlan) -> Sequence[str]:
        return [command.text for step in plan.steps for command in step.commands]

    async def inspect(self, plan: LaunchPlan) -> LaunchPlan:
        return replace(plan, problems=(*plan.problems, *self.found))

    async def launch(self, plan: LaunchPlan, ignored: frozenset[str] = frozenset()) -> LaunchPort:
        extra = f" ignored {sorted(ignored)}" if ignored else ""
        self.calls.append(f"launch {plan.rendered.recipe.name} {dict(plan.rendered.overrides)}{extra}")
        launch = FakeLaunch(f"launch-{len(self.launches)}", plan.host_names, plan.rendered)
        self.launches.append(launch)
        return launch

    async def cancel(self, launch: LaunchPort, force: bool = False) -> None:
        self.calls.append(f"cancel {launch.launch_id}{' force' if force else ''}")
        assert isinstance(launch, FakeLaunch)
        launch.send(StatusChanged(status=LaunchStatus.CANCELLED if force else LaunchStatus.CANCELLING))

    async def stop(self, launch: LaunchPort) -> str:
        self.calls.append(f"stop {launch.launch_id}")
        assert isinstance(launch, FakeLaunch)
        launch.send(StatusChanged(status=LaunchStatus.STOPPED))
        return ""

    async def survey(
        self,
        cluster: Cluster,
        seen: Callable[[HostStatus], None] | None = None,
        leave_out: frozenset[str] = frozenset(),
    ) -> FleetView:
        self.surveys += 1
        given = {host.name: host for host in self.view.hosts}
        hosts: list[HostStatus] = []
        for name in cluster.hosts:
            if name in leave_out:
                continue
            host = given.get(name) or self._status(name)
            hosts.append(host)
            if seen is not None:
                seen(host)
        hosts += [host for name, host in given.items() if name not in cluster.hosts]
        return replace(self.view, hosts=tuple(hosts))

    def _status(self, name: str) -> HostStatus:
        if name in self.unreachable:
            link = LinkStatus(LinkState.UNREACHABLE, 1.0, self.unreachable[name], "Is it switched on?")
            return HostStatus(name, link)
        return HostStatus(name, LinkStatus(LinkState.UP, 1.0), self.facts_of(name))

    async def readings(self, view: FleetView, cluster: Cluster) -> Mapping[str, Metrics]:
        self.measurements += 1
        return dict(self.metrics)

    async def look_into(self, workload: Workload, cluster: Cluster) -> Insight:
        self.calls.append(f"look_into {workload.key}")
        return self.insight

    async def stop_workload(self, workload: Workload, view: FleetView, cluster: Cluster) -> StopReport:
        self.calls.append(f"stop_workload {workload.launch_id}")
        return self.stopped

    async def attach(self, workload: Workload, cluster: Cluster) -> LaunchPort:
        self.calls.append(f"attach {workload.launch_id}")
        launch = FakeLaunch(workload.launch_id, [rank.host for rank in workload.ranks])
        self.launches.append(launch)
        return launch

    async def stores(self, cluster: Cluster | None, entries: Sequence[Entry]) -> StoresView:
        self.calls.append(f"stores of {cluster.name if cluster else 'here'}, {len(entries)} recipes")
        return self.stored

    async def verify_stores(
        self,
        view: StoresView,
        cluster: Cluster | None,
        names: Sequence[str],
        *,
        images: bool,
        done: Callable[[Checked], None],
    ) -> None:
        self.calls.append(f"verify {'images' if images else 'models'} {', '.join(names) or 'all'}")
        for checked in self.checked:
            done(checked)

    async def prune_stores(self, items: Sequence[Item], cluster: Cluster | None) -> PruneReport:
        self.calls.append(f"prune {'; '.join(item.text for item in items)}")
        return PruneReport(tuple(Pruned(item, self.goes, "" if self.goes else "it is used") for item in items))

    def history(self) -> Sequence[PastLaunch]:
        return self.past

    async def report(self, launch: LaunchPort) -> tuple[str, str]:
        self.calls.append(f"report {launch.launch_id}")
        lines = {host: buffer.since(0) for host, buffer in launch.logs.items()}
        return report(launch.state, (), lines, Redactor()), "/state/reports/one.md"

    async def recorded(self, past: PastLaunch) -> LaunchPort:
        return FakeLaunch(past.launch_id, past.hosts)

    async def replay(self, past: PastLaunch) -> LaunchPort:
        self.calls.append(f"replay {past.launch_id}")
        return FakeLaunch(past.launch_id, past.hosts)

    async def export_logs(self, launch: LaunchPort) -> Exported:
        self.calls.append(f"export_logs {launch.launch_id}")
        lines = {host: buffer.since(0) for host, buffer in launch.logs.items()}
        return export_logs(launch.state, lines, Redactor())

    async def reopen(self, past: PastLaunch, clusters: Sequence[Cluster]) -> Opened:
        self.calls.append(f"reopen {past.launch_id}")
        launch = FakeLaunch(past.launch_id, past.hosts)
        if past.launch_id in self.alive:
            launch.send(EndpointUp(url="http://h:8000", model="alpha"), StatusChanged(status=LaunchStatus.READY))
            return Opened(launch, True)
        gone = StatusChanged(status=LaunchStatus.STOPPED, detail="no longer there", time=1100.0)
        launch.send(*(self.ending or (gone,)))
        return Opened(launch, False)

    async def forget(self, past: PastLaunch) -> None:
        self.calls.append(f"forget {past.launch_id}")
        self.past = [known for known in self.past if known is not past]

    async def recipe_of(self, past: PastLaunch) -> Recipe:
        self.calls.append(f"recipe_of {past.launch_id}")
        return find_recipe(past.reference or past.recipe, self.settings)

    async def ask_endpoint(self, launch: LaunchPort, asked: Asked) -> AsyncIterator[Piece]:
        self.calls.append(f"ask {asked.question}")
        self.asked.append(asked)
        figures = Figures(first_after=0.25)
        try:
            for number, text in enumerate(self.answer, 1):
                await asyncio.sleep(0)
                figures = Figures(number, first_after=0.25, seconds=0.5 * number)
                yield Piece(text, text.startswith(THOUGHT), figures, offer="chat")
            if self.hold is not None:
                await self.hold.wait()
            if self.refusal is not None:
                raise self.refusal
        finally:
            self.calls.append("closed")
        exact = replace(figures, tokens=len(self.answer), exact=True, prompt_tokens=12)
        yield Piece(figures=exact, end=self.end, offer="chat")
