"""The API that CLI and app call: plan, probe, launch and attach. It keeps the launches of this process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.base.user.settings import Cluster, Settings
from sparkrun_tui.launch.plan.consent import insist_on_consent
from sparkrun_tui.launch.plan.host_views import probe_paths, views_of
from sparkrun_tui.launch.plan.inspect import inspect as inspect_hosts
from sparkrun_tui.launch.plan.inspect import see_model
from sparkrun_tui.launch.plan.launch_id import new_launch_id
from sparkrun_tui.launch.plan.making import make_plan
from sparkrun_tui.launch.plan.plan import CONDITIONS, LaunchPlan, planning, stopped_by
from sparkrun_tui.launch.plan.redaction import redactor_for
from sparkrun_tui.launch.record.bus import Bus
from sparkrun_tui.launch.record.events import StatusChanged
from sparkrun_tui.launch.record.journal import Journal, launch_folder, prune, read_events
from sparkrun_tui.launch.run import attach, executor
from sparkrun_tui.launch.run.given_secrets import secrets_of_recipe_called
from sparkrun_tui.launch.run.launch import Launch
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.launch.run.parts.running import Running
from sparkrun_tui.launch.services import Services
from sparkrun_tui.launch.sizing.headers_here import HeadersHere
from sparkrun_tui.launch.sizing.host_models import remember_cached, remember_model, wanted_of
from sparkrun_tui.recipe.format.hooks import model_on_hosts
from sparkrun_tui.recipe.values.rendered import Rendered
from sparkrun_tui.remote.hub.token import hub_token
from sparkrun_tui.remote.probe.cached_model import Wanted
from sparkrun_tui.remote.probe.facts import HostFacts

_KEPT_ENDED = 8
"""How many ended launches stay in memory; the journal has more."""

Answered = Callable[[str, HostFacts | HostError], None]
"""Called with the result of each host as a probe gets it."""


class Launcher:
    """Owns the launches. One per process; used from one event loop."""

    def __init__(self, settings: Settings, services: Services, environ: Mapping[str, str] | None = None) -> None:
        self.settings = settings
        self.services = services
        self.facts: dict[str, HostFacts] = {}
        """The last probe of each host that has answered."""
        self._asked: dict[str, list[Wanted]] = {}
        """The models that a host was asked for last."""
        self._environ = dict(os.environ if environ is None else environ)
        self._launches: dict[str, Launch] = {}
        self._headers: HeadersHere | None = None
        if services.workstation is not None:
            self._headers = HeadersHere(hub=Path(services.workstation.hub))

    @property
    def launches(self) -> Mapping[str, Launch]:
        """The launches of this process by id, oldest first; of the ended ones only the newest few."""
        return self._launches

    def plan(
        self,
        rendered: Rendered,
        cluster: Cluster,
        hosts: Sequence[str] | None = None,
        solo: bool = False,
        *,
        consented: frozenset[str] | None = None,
        launch_id: str = "",
    ) -> LaunchPlan:
        """The plan of a launch, from what is known of the hosts so far. Asks no host and needs no network.

        `hosts` chooses and orders the hosts, in place of the cluster's order; `solo` uses only the first one.
        `consented` names variables of this machine that a recipe from elsewhere may read (None: only those that every
        recipe may read). Reads the files that the recipe copies into its containers.
        Raises `LaunchError` when the recipe cannot run on these hosts.
        """
        names = tuple(hosts) if hosts else cluster.hosts
        with planning(rendered):
            return make_plan(
                rendered,
                cluster,
                views_of(names, cluster, self.facts),
                self._environ,
                launch_id=launch_id or new_launch_id(),
                solo=solo,
                consented=consented,
            )

    async def probe(
        self,
        cluster: Cluster,
        hosts: Sequence[str] | None = None,
        seen: Answered | None = None,
        plan: LaunchPlan | None = None,
    ) -> Mapping[str, HostFacts | HostError]:
        """The facts of all hosts, asked at the same time; a host that fails has its error in place of its facts.

        With `plan`, its head node also says in the same answer what its cache holds of the plan's models.
        """
        found: dict[str, HostFacts | HostError] = {}

        async def one(name: str) -> None:
            result: HostFacts | HostError
            try:
                transport = self.services.connector(name)
                await transport.connect()
                if plan is not None and name == plan.serve.ready.host and not cluster.is_demo:
                    models = wanted_of(plan.serve.models, cluster.hf_cache)
                    result = await self.services.probe(transport, probe_paths(cluster), (), models)
                    self._asked[name] = models
                else:
                    result = await self.services.probe(transport, probe_paths(cluster), ())
                self.facts[name] = result
            except HostError as error:
                result = error
            found[name] = result
            if seen is not None:
                seen(name, result)

        await asyncio.gather(*(one(name) for name in (hosts or cluster.hosts)))
        return found

    async def inspect(self, plan: LaunchPlan, *, memory_needed: int | None = None) -> LaunchPlan:
        """The plan with what its hosts hold now: what moves where, how many bytes, and what prevents the launch.

        Changes nothing on any host. A host that does not answer is a problem of the plan and raises nothing.
        """
        with planning(plan.rendered):
            seen, facts = await inspect_hosts(plan, self.services, hub_token(self._environ), memory_needed)
            self.facts.update(facts)
            if any(problem.code == CONDITIONS for problem in seen.errors):
                # Now the hosts are known, and with them which of the recipe's values hold.
                names = plan.host_names
                plan = self.plan(
                    plan.rendered,
                    plan.cluster,
                    names,
                    solo=len(names) == 1,
                    consented=plan.env.consented,
                    launch_id=plan.launch_id,
                )
                seen, facts = await inspect_hosts(plan, self.services, hub_token(self._environ), memory_needed)
                self.facts.update(facts)
        return seen

    async def read_here(self, rendered: Rendered) -> bool:
        """Read the headers of a recipe's models that lie in this machine's cache; whether there are new facts."""
        if self._headers is None:
            return False
        return await self._headers.read(rendered)

    async def learn(self, plan: LaunchPlan) -> str:
        """Keep what this machine and the head node say of the plan's models by their own files, for later estimates.

        Of those in its cache the last probe has it, and the host is probed where it did not ask for them. Returns why
        the facts could not be kept, empty where they were. Raises `HostError` when the host cannot be asked.
        """
        host = plan.serve.ready.host
        if plan.cluster.is_demo:
            return ""
        await self.read_here(plan.rendered)
        if plan.serve.models:
            return await self._learn_cached(plan, host)
        model = model_on_hosts(plan.rendered.recipe)
        seen = await see_model(plan, self.services, host)
        if model is None or seen is None:
            return ""
        try:
            await asyncio.to_thread(remember_model, model, seen, host)
        except OSError as error:
            return f"what {host} says of {model.path} cannot be kept for the estimate: {error.strerror or error}"
        return ""

    async def _learn_cached(self, plan: LaunchPlan, host: str) -> str:
        wanted = wanted_of(plan.serve.models, plan.cluster.hf_cache)
        facts = self.facts.get(host)
        if facts is None or self._asked.get(host) != wanted:
            result = (await self.probe(plan.cluster, (host,), plan=plan))[host]
            if isinstance(result, HostError):
                raise result
            facts = result
        try:
            await remember_cached(facts.models, host)
        except OSError as error:
            return f"what {host} says of its models cannot be kept for the estimate: {error.strerror or error}"
        return ""

    def launch(
        self, plan: LaunchPlan, *, memory_needed: int | None = None, ignored: frozenset[str] = frozenset()
    ) -> Launch:
        """Start `plan`. `memory_needed` is the estimate in bytes per host; `ignored` are the codes of ignored checks.

        Raises `LaunchError` when the plan has errors, when the recipe still needs the user's consent, and when a file
        to be copied into the containers has changed since the plan was made.
        """
        insist_on_consent(plan.rendered, self._environ, plan.attachments, self.settings.data_dirs)
        stopping = [problem for problem in plan.errors if problem.code not in ignored]
        if stopping:
            raise stopped_by(stopping[0])
        given = Given(
            plan=plan,
            services=self.services,
            memory_needed=memory_needed,
            ignored=ignored,
            token=hub_token(self._environ),
            sent=plan.attachments.contents(),
        )
        report = Reporter(self._bus(plan))
        executor.announce(given, report)
        return self._keep(Launch(given, Running(given, report), report, executor.execute))

    async def attach(self, workload: attach.Attachable, cluster: Cluster) -> Launch:
        """Watch a running workload, found by its labels: its state, its logs, and the ways to stop it.

        A launch of this process that has not ended is returned as it is. Raises `HostError` when none of its hosts
        can be asked.
        """
        known = self._launches.get(workload.launch_id)
        if known is not None and not known.finished:
            return known
        found = await attach.rebuild(workload, cluster, self.services)
        name = found.plan.rendered.recipe.name
        of_recipe = await asyncio.to_thread(secrets_of_recipe_called, name, self.settings)
        bus = self._bus(found.plan, [*found.secrets, *of_recipe])
        if bus.journal is not None:
            # The journal may say that the launch has ended, but it still runs.
            past = [event for event in read_events(bus.journal.folder) if not isinstance(event, StatusChanged)]
            bus.restore(past)
        given, report = Given(plan=found.plan, services=self.services, attached=True), Reporter(bus)
        running = Running(given, report)
        attach.announce(given, running, report, found)
        return self._keep(Launch(given, running, report, attach.resume))

    async def close(self) -> None:
        """Detach all launches, which go on running on their hosts, and close the links."""
        await asyncio.gather(*(launch.detach() for launch in self._launches.values() if not launch.finished))
        await self.services.close()

    def _bus(self, plan: LaunchPlan, known: Iterable[Secret | str] = ()) -> Bus:
        """The event bus of a launch; `known` are secrets that its plan does not contain."""
        redact = redactor_for(plan, self._environ).plus(known)
        journal, unwritable = None, None
        try:
            journal = Journal(launch_folder(plan.launch_id), redact, hosts=len(plan.host_names))
            prune(keep=(plan.launch_id, *self._launches))
        except OSError as error:
            unwritable = error
        return Bus(self.services.clock, redact, journal, unwritable)

    def _keep(self, launch: Launch) -> Launch:
        over = [launch_id for launch_id, known in self._launches.items() if known.finished]
        for launch_id in over[:-_KEPT_ENDED]:
            del self._launches[launch_id]
        self._launches[launch.launch_id] = launch
        launch.begin()
        return launch
