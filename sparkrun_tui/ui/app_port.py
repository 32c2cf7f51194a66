"""What screens and widgets may use of the app, as a protocol, so that they import this and not the app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

    from textual.app import App
    from textual.screen import Screen

    from sparkrun_tui.base.errors import SparkrunError
    from sparkrun_tui.base.user.settings import Cluster
    from sparkrun_tui.fleet.model import Workload
    from sparkrun_tui.launch.chat.conversation import Conversation
    from sparkrun_tui.recipe.values.rendered import Rendered
    from sparkrun_tui.ui.model.ports import Backend, Changed, LaunchPort, PastLaunch
    from sparkrun_tui.ui.model.registries import Registries
    from sparkrun_tui.ui.model.rows import Status
    from sparkrun_tui.ui.model.state import AppState

Answer = TypeVar("Answer")


class AppPort(Protocol):
    """The app as its screens and widgets see it. What Textual offers on every app is taken from `self.app` instead."""

    # State.

    @property
    def state(self) -> AppState:
        """Recipes, overrides, cluster and hosts."""

    @property
    def backend(self) -> Backend:
        """The backend, which talks to hosts. Raises `SparkrunError` before it is open."""

    @property
    def registries(self) -> Registries:
        """The registries of recipes."""

    @property
    def loaded(self) -> bool:
        """Whether recipes have been read."""

    @property
    def opened(self) -> asyncio.Event:
        """Set once the backend is open."""

    # Recipes, cluster and bars.

    def read_recipes(self) -> None:
        """Read all recipes in the background."""

    def keep_soon(self) -> None:
        """Save overrides for the next session, once typing has stopped for a moment."""

    def choose_cluster(self, cluster: Cluster | None) -> None:
        """Use another cluster from now on."""

    async def refresh_hosts(self) -> None:
        """Ask all hosts now what they have and what runs there, and wait for it."""

    def world_changed(self) -> None:
        """Show what was learned of the hosts; verdicts only when they may have changed."""

    def page_shown(self) -> None:
        """Called when another page is shown, which may need news of the hosts more often."""

    def state_changed(self) -> None:
        """Refresh the visible page; the others refresh when they are shown again."""

    def bar_status(self) -> Status:
        """What the bar shows now."""

    # Launches.

    def follow(self, launch: LaunchPort) -> None:
        """Count this launch, and say when it is ready or has failed."""

    def followed(self, launch_id: str) -> LaunchPort | None:
        """A launch of this session."""

    def watch_launch(self, launch: LaunchPort, changed: Changed) -> Callable[[], None]:
        """Call `changed` when a launch changes; the returned function ends that."""

    def conversation(self, launch: LaunchPort) -> Conversation:
        """The conversation with the model of a launch; it is kept while the app runs."""

    # Opening screens.

    def open_chat(self, launch: LaunchPort) -> None:
        """Talk to the model of a launch, which is followed from now on."""

    async def chat_with(self, workload: Workload) -> None:
        """Talk to the model of a workload of the cluster; it is attached to."""

    def open_snippets(self, launch: LaunchPort) -> None:
        """Show code that calls the endpoint of a launch."""

    def open_plan(self, rendered: Rendered, hosts: tuple[str, ...] = (), *, go: bool = False) -> None:
        """Show what a launch would do, on these hosts or on those that are proposed.

        With `go` it is launched as soon as the hosts were checked and nothing is wrong.
        """

    def open_launch(self, launch: LaunchPort, past: PastLaunch | None = None) -> None:
        """Show a launch and follow it; `past` is the record of one that is over and does not change."""

    def open_host(self, name: str) -> None:
        """Show the page of a host of the cluster."""

    def open_workload(self, key: str) -> None:
        """Show the page of a workload, by its `Workload.key`."""

    def edit_recipe(self, key: str, changes: dict[str, str]) -> None:
        """Go to the overrides of the recipe whose file is `key`, with some changed."""

    def search(self, query: str) -> None:
        """Show what a query finds, in the list of recipes."""

    def screen_left(self) -> None:
        """Called when a screen was left, so that its memory is freed soon."""

    def action_do(self, name: str, *arguments: str) -> None:
        """Run an action that applies everywhere, or say why not."""

    def background(self, work: Coroutine[Any, Any, object], group: str) -> None:
        """Run `work` in the background, also when screens change; errors are shown, never raised."""

    # Messages and questions.

    def say(self, text: str, level: str = "note") -> None:
        """Show a message that needs no answer; `level` is `note`, `warning` or `error`."""

    def say_error(self, error: SparkrunError) -> None:
        """Show an error in full."""

    def copy(self, text: str, what: str) -> None:
        """Copy a text, and say that `what` was copied; secrets are left out."""

    async def ask(self, question: Screen[bool]) -> bool:
        """Show a question over the current screen; the answer."""

    async def answer(self, question: Screen[Answer]) -> Answer | None:
        """Show a screen over the current one; its result, None when it was dismissed without one."""


def port_of(app: App[Any]) -> AppPort:
    """The app of a node as its port. There is only one app, and `SparkrunApp` passes itself where a port is wanted."""
    return cast(AppPort, app)
