"""The real backend: a launcher for the user's clusters, one for the demo; imported after the first paint."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sparkrun_tui.base.errors import HostError, SparkrunError
from sparkrun_tui.base.user.settings import DEMO_CLUSTER, Cluster, Settings
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.fleet.choose import silent_hosts, unseen_ranks
from sparkrun_tui.fleet.load import readings
from sparkrun_tui.fleet.metrics import Metrics
from sparkrun_tui.fleet.model import FleetView, HostStatus, Workload
from sparkrun_tui.fleet.served import context_of
from sparkrun_tui.fleet.server_keys import key_of
from sparkrun_tui.fleet.stop import Outcome, RankStopped, StopReport, stop
from sparkrun_tui.fleet.survey import survey
from sparkrun_tui.launch.bench.benchmark import Benchmark
from sparkrun_tui.launch.bench.options import Options
from sparkrun_tui.launch.bench.subject import Subject, look_at
from sparkrun_tui.launch.chat.pieces import Asked, Piece
from sparkrun_tui.launch.launcher import Launcher
from sparkrun_tui.launch.log_warnings import recent_warnings
from sparkrun_tui.launch.plan import dry_run as dryrun
from sparkrun_tui.launch.plan.host_views import probe_paths
from sparkrun_tui.launch.plan.plan import LaunchPlan
from sparkrun_tui.launch.plan.web_recipes import any_recipe
from sparkrun_tui.launch.question import ask_served
from sparkrun_tui.launch.record import journal
from sparkrun_tui.launch.record.events import LaunchStatus
from sparkrun_tui.launch.record.export import Exported, export_logs
from sparkrun_tui.launch.record.fold import FINAL, fold
from sparkrun_tui.launch.record.late import LateRecord
from sparkrun_tui.launch.record.logs import LogBuffer
from sparkrun_tui.launch.record.replay import moments, timed
from sparkrun_tui.launch.record.report import LAST_LINES, report, save_report
from sparkrun_tui.launch.record.state import HostRow, LaunchState
from sparkrun_tui.launch.run.cleanup import unconfirmed
from sparkrun_tui.launch.run.launch import Launch
from sparkrun_tui.launch.services import Services, choose_gguf, real_services
from sparkrun_tui.launch.sizing.evaluation import memory_needed
from sparkrun_tui.launch.sizing.sizing import FactsStore, digest_folder, host_memory
from sparkrun_tui.launch.stores.look import look
from sparkrun_tui.launch.stores.model import StoresView
from sparkrun_tui.launch.stores.named import named_by
from sparkrun_tui.launch.stores.prune import Item, PruneReport, prune
from sparkrun_tui.launch.stores.verify import Checked, verify_images, verify_models
from sparkrun_tui.recipe.model import Problem, Recipe, Severity
from sparkrun_tui.recipe.search.entry import Entry
from sparkrun_tui.recipe.trust import consented_variables
from sparkrun_tui.recipe.values.masking import redactor
from sparkrun_tui.recipe.values.rendered import Rendered
from sparkrun_tui.remote.aio import closing
from sparkrun_tui.remote.failures import NeedsUser
from sparkrun_tui.remote.hub.token import hub_token
from sparkrun_tui.remote.probe.facts import HostFacts
from sparkrun_tui.remote.ssh.host_key_policy import YES, HostKeyQuestion, LoginNotice, Question
from sparkrun_tui.ui.model.ports import (
    Ask,
    HostSeen,
    Insight,
    KeyQuestion,
    LaunchPort,
    Opened,
    PassphraseAsked,
    PastLaunch,
)

if TYPE_CHECKING:
    from sparkrun_tui.demo.cluster import DemoCluster

_SOON = 15.0
"""Seconds within which a launch that serves is seen to serve after it was attached to."""


class Reopened:
    """An earlier launch, read from its journal. It does not change.

    `doubt` says why it is not known whether it still runs; without it, it does not.
    """

    def __init__(self, folder: Path, doubt: str = "") -> None:
        self.state: LaunchState = journal.read_state(folder)
        if doubt:
            self.state = replace(self.state, status=LaunchStatus.UNKNOWN, detail=doubt)
        self.launch_id = self.state.launch_id
        self.rendered: Rendered | None = None
        self.revision = 1
        self.logs: Mapping[str, LogBuffer] = {}
        for host in self.state.hosts:
            buffer = LogBuffer()
            buffer.extend(journal.read_log(folder, host))
            self.logs = {**self.logs, host: buffer}


class Replayed:
    """An earlier launch that happens once more, from its journal, faster and without long pauses."""

    def __init__(self, folder: Path) -> None:
        whole = journal.read_state(folder)
        self._moments = timed(moments(folder, tuple(whole.hosts)))
        self.launch_id = whole.launch_id
        self.state = LaunchState(launch_id=whole.launch_id, recipe=whole.recipe, hosts=_bare(whole))
        self.rendered: Rendered | None = None
        self.revision = 0
        self.logs: Mapping[str, LogBuffer] = {host: LogBuffer() for host in whole.hosts}
        self.now = whole.started or 0.0

    async def play(self) -> None:
        """Let it happen, to its end."""
        for pause, moment in self._moments:
            if pause:
                await asyncio.sleep(pause)
            self.now = moment.time
            if moment.event is not None:
                self.state = fold(self.state, moment.event)
                self.revision += 1
            elif moment.line is not None:
                self.logs[moment.host].extend([moment.line])


def _bare(state: LaunchState) -> dict[str, HostRow]:
    """The hosts of a launch before anything has happened."""
    return {name: HostRow(name, row.rank) for name, row in state.hosts.items()}


class LocalBackend:
    """The backend on the real hosts, launches and journals, and on the demo cluster."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._launcher: Launcher | None = None
        self._demo: DemoCluster | None = None
        self._demo_launcher: Launcher | None = None
        self._clusters: dict[str, Cluster] = {}
        self._benchmarks: dict[str, Benchmark] = {}
        self._replaying: asyncio.Task[None] | None = None

    async def open(self, ask: Ask) -> None:
        """Get the services ready; no host is contacted yet."""

        async def answer(question: Question) -> str | None:
            if isinstance(question, HostKeyQuestion):
                shown = KeyQuestion(question.host, question.key_type, question.fingerprint, question.note)
                return YES if await ask.host_key(shown) else None
            if isinstance(question, LoginNotice):
                ask.host_says(question.host, question.text, question.link)
                return None
            return await ask.passphrase(PassphraseAsked(question.host, question.path, question.again))

        self._launcher = Launcher(self._settings, real_services(answer))

    async def close(self) -> None:
        """Detach from launches and close links; what runs on the hosts keeps running. The demo cluster ends."""
        if self._replaying is not None:
            self._replaying.cancel()
        for benchmark in self._benchmarks.values():
            benchmark.stop()
            await benchmark.finished()
        if self._launcher is not None:
            await self._launcher.close()
        if self._demo_launcher is not None:
            await self._demo_launcher.close()
        if self._demo is not None:
            await self._demo.__aexit__(None, None, None)

    async def open_demo(self) -> Cluster:
        """Start the demo cluster, once."""
        if self._demo is None:
            from sparkrun_tui.demo.cluster import DemoCluster

            demo = DemoCluster(settings=self._settings)
            await demo.__aenter__()
            self._demo = demo
            self._demo_launcher = Launcher(self._settings, demo.services)
        return self._demo.cluster

    def _launcher_of(self, cluster: Cluster) -> Launcher:
        launcher = self._demo_launcher if cluster.is_demo else self._launcher
        if launcher is None:
            raise SparkrunError("the app is still starting", remedy="Try again in a moment.")
        return launcher

    def _services(self, cluster: Cluster) -> Services:
        return self._launcher_of(cluster).services

    @property
    def facts(self) -> FactsStore | None:
        """What is known of models without a network."""
        return None

    async def probe(self, cluster: Cluster, seen: Callable[[HostSeen], None]) -> None:
        """Probe all hosts in parallel."""

        def answered(name: str, found: HostFacts | HostError) -> None:
            if isinstance(found, HostFacts):
                seen(HostSeen(name, found))
            else:
                seen(HostSeen(name, None, found.what, found.remedy, isinstance(found, NeedsUser)))

        await self._launcher_of(cluster).probe(cluster, seen=answered)

    async def look_up(self, model: str, revision: str) -> None:
        """Read the headers of a model; no weights are downloaded."""
        from sparkrun_tui.remote.hub.model_facts import HubFacts

        token = hub_token(os.environ)
        await HubFacts(digest_folder(), choose_gguf).read(model, revision, token)

    def benchmark(self, workload: Workload, cluster: Cluster, options: Options) -> Benchmark:
        """Begin to measure a workload; one that is being measured already is not begun anew."""
        known = self._benchmarks.get(workload.key)
        if known is not None and not known.is_over:
            return known
        services = self._services(cluster)

        async def find() -> Subject:
            return await look_at(workload, services, probe_paths(cluster), await key_of(workload, services))

        begun = Benchmark(workload.recipe, options)
        begun.start(find)
        self._benchmarks[workload.key] = begun
        return begun

    def benchmark_of(self, key: str) -> Benchmark | None:
        """The newest benchmark of a workload in this session."""
        return self._benchmarks.get(key)

    async def read_here(self, rendered: Rendered) -> bool:
        """Read the headers of models that lie in this machine's cache, once."""
        if self._launcher is None:
            return False
        return await self._launcher.read_here(rendered)

    async def plan(self, rendered: Rendered, cluster: Cluster, hosts: Sequence[str] = ()) -> LaunchPlan:
        """What a launch would do, with what is known of the hosts."""
        consented = consented_variables(rendered.recipe)
        return self._launcher_of(cluster).plan(rendered, cluster, hosts, consented=consented)

    async def inspect(self, plan: LaunchPlan) -> LaunchPlan:
        """The plan with what the hosts hold now."""
        launcher = self._launcher_of(plan.cluster)
        not_kept = ""
        with suppress(HostError):
            # A host that does not answer is a problem of the inspected plan.
            not_kept = await launcher.learn(plan)
        # The screen judges the memory itself, so that the plan says what its picture says.
        seen = await launcher.inspect(plan)
        if not_kept:
            warning = Problem(Severity.WARNING, "model-facts", not_kept)
            seen = replace(seen, problems=(*seen.problems, warning))
        return seen

    def _memory_needed(self, plan: LaunchPlan) -> int | None:
        """The bytes that the launch takes on its fullest host, by the estimate; None when unknown."""
        known = self._launcher_of(plan.cluster).facts
        hosts = [host_memory(known[name]) for name in plan.host_names if name in known]
        return memory_needed(plan.rendered, hosts, self.facts)

    def dry_run(self, plan: LaunchPlan) -> Sequence[str]:
        """The plan as lines of text."""
        return dryrun.lines(plan)

    async def launch(self, plan: LaunchPlan, ignored: frozenset[str] = frozenset()) -> LaunchPort:
        """Start a launch."""
        needed = self._memory_needed(plan)
        launch = self._launcher_of(plan.cluster).launch(plan, memory_needed=needed, ignored=ignored)
        self._clusters[launch.launch_id] = plan.cluster
        return launch

    async def cancel(self, launch: LaunchPort, force: bool = False) -> None:
        """Cancel; the events of the launch say how it ends."""
        if isinstance(launch, Launch):
            if force:
                launch.force()
            else:
                launch.cancel()

    async def stop(self, launch: LaunchPort) -> str:
        """Stop a launch and wait until it has stopped."""
        if not isinstance(launch, Launch):
            raise SparkrunError("nothing was stopped: only its record is open", remedy="Press f to see what runs now.")
        state = await launch.stop()
        if state.status not in FINAL:
            return f"its end was not seen: it is {state.status}"
        return unconfirmed(state.detail)

    async def survey(
        self,
        cluster: Cluster,
        seen: Callable[[HostStatus], None] | None = None,
        leave_out: frozenset[str] = frozenset(),
    ) -> FleetView:
        """What is running now."""
        view = await survey(cluster, self._services(cluster), seen, leave_out)
        for host in view.hosts:
            if host.facts is not None:
                self._launcher_of(cluster).facts[host.name] = host.facts
        return view

    async def readings(self, view: FleetView, cluster: Cluster) -> Mapping[str, Metrics]:
        """The metrics of the servers."""
        return await readings(view, self._services(cluster))

    async def look_into(self, workload: Workload, cluster: Cluster) -> Insight:
        """The context of a server, and the newest warnings of its log."""
        services = self._services(cluster)
        context = await context_of(workload, services)
        if not workload.ranks:
            return Insight(context)
        try:
            found = await recent_warnings(workload.ranks[0], workload.recipe, services, self._settings)
        except HostError as error:
            return Insight(context, problem=f"the log cannot be read: {error.what}")
        return Insight(context, found)

    async def stop_workload(self, workload: Workload, view: FleetView, cluster: Cluster) -> StopReport:
        """Stop a workload on all its hosts; a launch of this session is stopped as such, so that it knows by whom."""
        known = self._launcher_of(cluster).launches.get(workload.launch_id)
        if known is not None and not known.finished:
            unclear = await self.stop(known)
            outcome = Outcome.UNKNOWN if unclear else Outcome.STOPPED
            ranks = [RankStopped(rank.host, rank.rank, outcome, unclear) for rank in workload.ranks]
            return StopReport(tuple(ranks), unseen_ranks(view, workload))
        return await stop(workload, self._services(cluster), view, record=LateRecord(workload.launch_id))

    async def attach(self, workload: Workload, cluster: Cluster) -> LaunchPort:
        """Attach to a workload."""
        launch = await self._launcher_of(cluster).attach(workload, cluster)
        self._clusters[launch.launch_id] = cluster
        return launch

    async def stores(self, cluster: Cluster | None, entries: Sequence[Entry]) -> StoresView:
        """What hosts and this machine store."""
        named = await asyncio.to_thread(named_by, entries)
        return await look(cluster, self._stores_services(cluster), named)

    async def verify_stores(
        self,
        view: StoresView,
        cluster: Cluster | None,
        names: Sequence[str],
        *,
        images: bool,
        done: Callable[[Checked], None],
    ) -> None:
        """Check models or images."""
        services = self._stores_services(cluster)
        if images:
            await verify_images(view, cluster, services, names, done=done)
        else:
            await verify_models(view, cluster, services, names, token=hub_token(os.environ), done=done)

    async def prune_stores(self, items: Sequence[Item], cluster: Cluster | None) -> PruneReport:
        """Remove models and images."""
        return await prune(items, cluster, self._stores_services(cluster))

    def _stores_services(self, cluster: Cluster | None) -> Services:
        """The services of a cluster; without one, those that reach this machine."""
        if cluster is not None:
            return self._services(cluster)
        if self._launcher is None:
            raise SparkrunError("the app is still starting", remedy="Try again in a moment.")
        return self._launcher.services

    def history(self) -> Sequence[PastLaunch]:
        """Earlier launches from their journals."""
        return [_past(past) for past in journal.past_launches()]

    async def report(self, launch: LaunchPort) -> tuple[str, str]:
        """The report of a launch, from its journal and from memory."""
        lines = {host: buffer.since(buffer.end - LAST_LINES) for host, buffer in launch.logs.items()}
        redact = redactor(rendered=launch.rendered)

        def made() -> tuple[str, str]:
            events = journal.read_events(journal.launches_dir() / Path(launch.launch_id).name)
            text = report(launch.state, events, lines, redact)
            return text, str(save_report(launch.state, text))

        return await asyncio.to_thread(made)

    async def recorded(self, past: PastLaunch) -> LaunchPort:
        """An earlier launch from its journal."""
        return await asyncio.to_thread(Reopened, Path(past.folder))

    async def replay(self, past: PastLaunch) -> LaunchPort:
        """An earlier launch once more."""
        replayed = await asyncio.to_thread(Replayed, Path(past.folder))
        if self._replaying is not None:
            self._replaying.cancel()
        self._replaying = asyncio.create_task(replayed.play(), name=f"replay {past.launch_id}")
        return replayed

    async def export_logs(self, launch: LaunchPort) -> Exported:
        """Write the complete logs into files, from the journal and from memory."""
        lines = {host: buffer.since(0) for host, buffer in launch.logs.items()}
        # Journal and memory were already masked by the launch; this filter also knows the secrets of the recipe.
        redact = redactor(rendered=launch.rendered)
        return await asyncio.to_thread(export_logs, launch.state, lines, redact)

    async def reopen(self, past: PastLaunch, clusters: Sequence[Cluster]) -> Opened:
        """An earlier launch: attached to where it runs, else read from its journal."""
        folder = Path(past.folder)
        if past.outcome in FINAL:
            return Opened(Reopened(folder), False)
        doubt = ""
        cluster = self._cluster_of(past, clusters)
        if cluster is not None:
            view = await self.survey(cluster)
            for workload in view.workloads:
                if workload.launch_id == past.launch_id:
                    return Opened(await self.attach(workload, cluster), True)
            silent = silent_hosts(view)
            if silent:
                doubt = f"{', '.join(silent)} cannot be asked whether it still runs there"
        elif past.cluster != DEMO_CLUSTER:
            doubt = "its hosts are in no cluster of yours, so they are not asked"
        if past.outcome == LaunchStatus.STARTING and time.time() - past.written < journal.FRESH:
            doubt = doubt or "another window may still be preparing it"
        if not doubt:
            # A record that cannot be written is shown as it is.
            with suppress(OSError):
                await asyncio.to_thread(journal.note_gone, folder)
        return Opened(Reopened(folder, doubt), False)

    def _cluster_of(self, past: PastLaunch, clusters: Sequence[Cluster]) -> Cluster | None:
        """The hosts of an earlier launch, to be asked; None when they cannot or should not be.

        Hosts that only labels name are asked when they belong to a cluster of the user's.
        """
        if past.cluster == DEMO_CLUSTER:
            return self._demo.cluster if self._demo is not None else None
        for cluster in clusters:
            if past.hosts and set(past.hosts) <= set(cluster.hosts):
                return replace(cluster, hosts=past.hosts)
        if past.claimed or not past.hosts:
            return None
        return Cluster(past.cluster or ",".join(past.hosts), past.hosts, source="history")

    async def forget(self, past: PastLaunch) -> None:
        """Delete its journal."""
        try:
            await asyncio.to_thread(journal.remove, Path(past.folder))
        except OSError as error:
            raise SparkrunError(f"the record cannot be deleted: {error.strerror or error}") from error

    async def recipe_of(self, past: PastLaunch) -> Recipe:
        """The recipe as it is now, found by what was typed for it."""
        if past.claimed:
            raise SparkrunError("it was launched elsewhere: only labels of its containers say how")
        return await asyncio.to_thread(any_recipe, past.reference or past.recipe, self._settings)

    async def ask_endpoint(self, launch: LaunchPort, asked: Asked) -> AsyncIterator[Piece]:
        """The answer of a served model, piece by piece. Raises `SparkrunError` without an endpoint."""
        if isinstance(launch, Launch) and launch.state.endpoint is None:
            # One that was just attached to is looked at first.
            with suppress(TimeoutError):
                async with asyncio.timeout(_SOON):
                    await launch.wait_ready()
        state = launch.state
        cluster = self._clusters.get(launch.launch_id)
        if state.endpoint is None or cluster is None:
            remedy = "Ask again once it serves." if state.status not in FINAL else ""
            raise SparkrunError("there is no endpoint to send a prompt to", remedy=remedy)
        head = min(state.hosts.values(), key=lambda row: row.rank)
        key = find_key = None
        address = ""
        if isinstance(launch, Launch):
            key, find_key = launch.key, launch.find_key
            address = await launch.own_address()
        services = self._services(cluster)
        question = ask_served(services, head.name, state.endpoint, asked, key, find_key, address)
        async with closing(question.pieces()) as pieces:
            async for piece in pieces:
                yield piece


def _durations(state: LaunchState) -> dict[Phase, float]:
    took: dict[Phase, float] = {}
    for row in state.hosts.values():
        for phase, cell in row.cells.items():
            if cell.started is not None and cell.ended is not None:
                took[phase] = max(took.get(phase, 0.0), cell.ended - cell.started)
    return took


def _past(past: journal.PastLaunch) -> PastLaunch:
    state = past.state
    ready = state.ready_at - state.started if state.ready_at and state.started else None
    return PastLaunch(
        launch_id=state.launch_id or past.folder.name,
        recipe=state.recipe,
        cluster=state.cluster,
        hosts=tuple(state.hosts),
        outcome=state.status.value,
        started=state.started,
        ended=state.ended,
        ready_after=ready,
        detail=state.diagnosis.title if state.diagnosis else state.detail,
        settings=state.settings,
        phases=_durations(state),
        folder=str(past.folder),
        reference=state.reference,
        claimed=state.claimed,
        written=past.written,
    )
