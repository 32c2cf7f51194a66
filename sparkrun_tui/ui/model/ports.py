"""What the app needs of its backend, as protocols, so that tests can use doubles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from sparkrun_tui.base.records import dataclass

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from sparkrun_tui.base.user.settings import Cluster
    from sparkrun_tui.engines.plan import Phase
    from sparkrun_tui.fleet.metrics import Metrics
    from sparkrun_tui.fleet.model import FleetView, HostStatus, Workload
    from sparkrun_tui.fleet.stop import StopReport
    from sparkrun_tui.launch.bench.benchmark import Benchmark
    from sparkrun_tui.launch.bench.options import Options
    from sparkrun_tui.launch.chat.pieces import Asked, Piece
    from sparkrun_tui.launch.log_warnings import LogWarning
    from sparkrun_tui.launch.plan.plan import LaunchPlan
    from sparkrun_tui.launch.record.export import Exported
    from sparkrun_tui.launch.record.logs import LogBuffer
    from sparkrun_tui.launch.record.state import LaunchState
    from sparkrun_tui.launch.sizing.sizing import FactsStore
    from sparkrun_tui.launch.stores.model import StoresView
    from sparkrun_tui.launch.stores.prune import Item, PruneReport
    from sparkrun_tui.launch.stores.verify import Checked
    from sparkrun_tui.recipe.model import Recipe
    from sparkrun_tui.recipe.search.entry import Entry
    from sparkrun_tui.recipe.values.rendered import Rendered
    from sparkrun_tui.remote.probe.facts import HostFacts


class LaunchPort(Protocol):
    """A launch as screens see it; the backend owns it."""

    @property
    def launch_id(self) -> str:
        """Its id."""

    @property
    def state(self) -> LaunchState:
        """The current state."""

    @property
    def revision(self) -> int:
        """A number that grows with every event."""

    @property
    def logs(self) -> Mapping[str, LogBuffer]:
        """The log of each host."""

    @property
    def rendered(self) -> Rendered | None:
        """The recipe as it was launched; None when it was launched from elsewhere."""


@runtime_checkable
class ReplayPort(Protocol):
    """A launch that happens once more, in a time of its own."""

    @property
    def now(self) -> float:
        """The Unix time that it has come to."""


Changed: TypeAlias = "Callable[[bool, bool], None]"
"""Called with (the state of a launch changed, its logs changed)."""


@dataclass(frozen=True, slots=True)
class HostSeen:
    """The result of probing a host: its facts, or None with `problem` and `remedy`."""

    name: str
    facts: HostFacts | None
    problem: str = ""
    remedy: str = ""
    needs_user: bool = False
    """Whether the user must do something before it can be asked again."""


@dataclass(frozen=True, slots=True)
class PastLaunch:
    """One earlier launch. `started` and `ended` are Unix seconds, `outcome` is a word (`ready`, `failed`)."""

    launch_id: str
    recipe: str
    cluster: str
    hosts: tuple[str, ...]
    outcome: str
    started: float | None
    ended: float | None
    ready_after: float | None
    detail: str = ""
    settings: Mapping[str, str] | None = None
    phases: Mapping[Phase, float] = field(default_factory=dict)
    """Seconds that each phase took on the slowest host."""
    folder: str = ""
    """The folder of its journal."""
    reference: str = ""
    """What to type to mean its recipe again; empty when it is not known."""
    claimed: bool = False
    """Whether only labels of containers say what was launched: they make no command line."""
    written: float = 0.0
    """When its journal was last written, in Unix seconds."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An earlier launch that was opened; `alive` when it was found on its hosts and is watched."""

    launch: LaunchPort
    alive: bool


@dataclass(frozen=True, slots=True)
class KeyQuestion:
    """An unknown host key: the host, the key's type and fingerprint, and what else the user should know."""

    host: str
    key_type: str
    fingerprint: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class PassphraseAsked:
    """The passphrase of a key file, wanted to log in to `host`; `again` when the last one was wrong."""

    host: str
    path: str
    again: bool = False


@dataclass(frozen=True, slots=True)
class Insight:
    """What its server and its log say of a workload."""

    context: int | None = None
    """The longest context that its server takes, in tokens; None where it is not known."""
    warnings: Sequence[LogWarning] | None = None
    """The newest warnings of its log, oldest first; None before it was read, and where it cannot be read."""
    problem: str = ""
    """Why the log cannot be read."""


class Ask(Protocol):
    """Questions that the backend puts to the user."""

    def host_says(self, host: str, text: str, link: str) -> None:
        """Show what a host says at the login; with a `link` it waits for a login in the browser."""

    async def host_key(self, question: KeyQuestion) -> bool:
        """Whether the user trusts a host key."""

    async def passphrase(self, question: PassphraseAsked) -> str | None:
        """The passphrase; None when the user declines."""


class Backend(Protocol):
    """Everything that the app asks of hosts, launches and journals. Errors are `SparkrunError`s, shown in full."""

    async def open(self, ask: Ask) -> None:
        """Get ready; `ask` is used for host keys and passphrases."""

    async def close(self) -> None:
        """Disconnect from the hosts; what runs on them keeps running."""

    @property
    def facts(self) -> FactsStore | None:
        """What is known of models without a network."""

    async def open_demo(self) -> Cluster:
        """Start the demo cluster inside this process."""

    async def probe(self, cluster: Cluster, seen: Callable[[HostSeen], None]) -> None:
        """Probe every host of a cluster in parallel; `seen` is called as each answers or fails."""

    async def look_up(self, model: str, revision: str) -> None:
        """Read the headers of a model from the Hub, so that estimates are exact from now on."""

    def benchmark(self, workload: Workload, cluster: Cluster, options: Options) -> Benchmark:
        """Begin to measure a workload; one that is being measured already is not begun anew."""

    def benchmark_of(self, key: str) -> Benchmark | None:
        """The newest benchmark of a workload in this session."""

    async def read_here(self, rendered: Rendered) -> bool:
        """Read the headers of a recipe's models in this machine's cache; whether estimates have new facts now."""

    async def plan(self, rendered: Rendered, cluster: Cluster, hosts: Sequence[str] = ()) -> LaunchPlan:
        """What a launch would do on these hosts, head first; without any, on the first ones of the cluster."""

    def dry_run(self, plan: LaunchPlan) -> Sequence[str]:
        """The plan as lines of text to read or paste."""

    async def inspect(self, plan: LaunchPlan) -> LaunchPlan:
        """The plan with what the hosts hold now; changes nothing there. It does not judge their memory."""

    async def launch(self, plan: LaunchPlan, ignored: frozenset[str] = frozenset()) -> LaunchPort:
        """Start a launch; `ignored` are the codes of checks to ignore."""

    async def cancel(self, launch: LaunchPort, force: bool = False) -> None:
        """Cancel a launch that has not come up; `force` kills without grace."""

    async def stop(self, launch: LaunchPort) -> str:
        """Stop what a launch started, on all its hosts; what could not be confirmed, empty when all of it is gone.

        Raises `SparkrunError` when there is nothing that could be stopped.
        """

    async def survey(
        self,
        cluster: Cluster,
        seen: Callable[[HostStatus], None] | None = None,
        leave_out: frozenset[str] = frozenset(),
    ) -> FleetView:
        """What is running on a cluster now; `seen` is called with each host, and hosts in `leave_out` are not asked."""

    async def readings(self, view: FleetView, cluster: Cluster) -> Mapping[str, Metrics]:
        """The metrics of the servers of launched workloads, by launch id, without those that do not answer."""

    async def look_into(self, workload: Workload, cluster: Cluster) -> Insight:
        """What the server and the log of a workload say now. What cannot be had is left out; never raises."""

    async def stop_workload(self, workload: Workload, view: FleetView, cluster: Cluster) -> StopReport:
        """Stop a workload, as `view` shows it, on all its hosts. Only what was seen to stop is reported as stopped."""

    async def attach(self, workload: Workload, cluster: Cluster) -> LaunchPort:
        """Attach to a workload that was launched before."""

    async def stores(self, cluster: Cluster | None, entries: Sequence[Entry]) -> StoresView:
        """The models and images on a cluster's hosts and on this machine; `entries` are the recipes of the list."""

    async def verify_stores(
        self,
        view: StoresView,
        cluster: Cluster | None,
        names: Sequence[str],
        *,
        images: bool,
        done: Callable[[Checked], None],
    ) -> None:
        """Check the models or images of a view, all without `names`; `done` is called with each result."""

    async def prune_stores(self, items: Sequence[Item], cluster: Cluster | None) -> PruneReport:
        """Remove models and images. Only what was seen to be gone is reported as gone."""

    def history(self) -> Sequence[PastLaunch]:
        """Earlier launches, newest first. Reads files: call it in a thread."""

    async def report(self, launch: LaunchPort) -> tuple[str, str]:
        """The report of a launch as Markdown, without secrets and names, and the path where it is saved."""

    async def recorded(self, past: PastLaunch) -> LaunchPort:
        """An earlier launch as its journal has it; no host is asked."""

    async def replay(self, past: PastLaunch) -> LaunchPort:
        """An earlier launch that happens once more, from its journal; no host is asked."""

    async def export_logs(self, launch: LaunchPort) -> Exported:
        """Write the complete logs of a launch into files."""

    async def reopen(self, past: PastLaunch, clusters: Sequence[Cluster]) -> Opened:
        """An earlier launch with its phases and logs: its hosts are asked whether it still runs.

        `clusters` are those that the user knows. What is found to be over is recorded as such.
        """

    async def forget(self, past: PastLaunch) -> None:
        """Delete the record of an earlier launch with its logs; nothing on any host changes."""

    async def recipe_of(self, past: PastLaunch) -> Recipe:
        """The recipe of an earlier launch as it is now. Raises `SparkrunError` when it cannot be had."""

    def ask_endpoint(self, launch: LaunchPort, asked: Asked) -> AsyncIterator[Piece]:
        """Ask the endpoint of a launch; yields the answer as it arrives. Raises `SparkrunError`."""
