"""What screens and widgets may ask of the app, as a protocol, so that they import this and not the app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

    from textual.app import App
    from textual.screen import Screen

    from sparkrun_tui.base.errors import SparkrunError
    from sparkrun_tui.base.settings import Cluster
    from sparkrun_tui.recipe.values.rendered import Rendered
    from sparkrun_tui.ui.model.ports import Backend, Changed, LaunchPort
    from sparkrun_tui.ui.model.registries import Registries
    from sparkrun_tui.ui.model.rows import Status
    from sparkrun_tui.ui.model.state import AppState

Answer = TypeVar("Answer")


class AppPort(Protocol):
    """The app as its screens and widgets see it. What Textual offers on every app is asked of `self.app` instead."""

    # What it holds.

    @property
    def state(self) -> AppState:
        """Recipes, overrides, cluster and hosts."""

    @property
    def backend(self) -> Backend:
        """What talks to hosts. Raises `SparkrunError` before it is open."""

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
        """Read all recipes beside the screen."""

    def keep_soon(self) -> None:
        """Keep overrides for the next session, once the keys rest for a moment."""

    def choose_cluster(self, cluster: Cluster | None) -> None:
        """Use another cluster from now on."""

    def state_changed(self) -> None:
        """Refresh the screen in sight; others look when they come back."""

    def bar_status(self) -> Status:
        """What the bar shows now."""

    # Launches.

    def follow(self, launch: LaunchPort) -> None:
        """Count this launch, and say when it is ready or has failed."""

    def followed(self, launch_id: str) -> LaunchPort | None:
        """A launch of this session."""

    def watch_launch(self, launch: LaunchPort, changed: Changed) -> Callable[[], None]:
        """Call `changed` when a launch has news, until the function that is returned is called."""

    # Going somewhere.

    def open_plan(self, rendered: Rendered) -> None:
        """Show what a launch would do."""

    def open_launch(self, launch: LaunchPort, follow: bool = True) -> None:
        """Show a launch; one from the journal is not followed."""

    def edit_recipe(self, key: str, changes: dict[str, str]) -> None:
        """Go to the overrides of the recipe whose file is `key`, with some changed."""

    def search(self, query: str) -> None:
        """Show what a query finds, in the list of recipes."""

    def screen_left(self) -> None:
        """A screen was left: what it held can be freed."""

    def action_do(self, name: str, *arguments: str) -> None:
        """Run an action that applies everywhere, or say why not."""

    def background(self, work: Coroutine[Any, Any, object], group: str) -> None:
        """Run `work` beside every screen; what goes wrong is shown, never raised."""

    # Talking to the person.

    def say(self, text: str, level: str = "note") -> None:
        """Show a message that needs no answer; `level` is `note`, `warning` or `error`."""

    def say_error(self, error: SparkrunError) -> None:
        """Show an error in full."""

    def copy(self, text: str, what: str) -> None:
        """Copy a text, and say that `what` was copied; secrets are left out."""

    async def ask(self, question: Screen[bool]) -> bool:
        """Put a question over the screen and wait for its answer."""

    async def answer(self, question: Screen[Answer]) -> Answer | None:
        """Show a screen and wait for its result."""


def port_of(app: App[Any]) -> AppPort:
    """The app of a node as its port. There is only one app, and `SparkrunApp` passes itself where a port is wanted."""
    return cast(AppPort, app)
