"""The app: it only wires screens, theme, keys and the backend together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from textual import events
from textual.app import App
from textual.filter import LineFilter, Monochrome, NoColor
from textual.screen import Screen

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.base.text import clean_line, clean_text, visible
from sparkrun_tui.ui.actions import Scope, bindings, unknown_keys
from sparkrun_tui.ui.actor import Actor
from sparkrun_tui.ui.app.ascii_only import AsciiOnly
from sparkrun_tui.ui.app.ending import end_by_signals
from sparkrun_tui.ui.app.freshness import Freshness
from sparkrun_tui.ui.app.gate import Gate
from sparkrun_tui.ui.app.gc import Collector
from sparkrun_tui.ui.app.host_watch import HostWatch
from sparkrun_tui.ui.app.launch_poll import LaunchPoll
from sparkrun_tui.ui.app.launches import Launches
from sparkrun_tui.ui.app.persistence import Persistence, few_colours
from sparkrun_tui.ui.app.terminal_input import read_safely
from sparkrun_tui.ui.app.theme_preview import ThemePreview
from sparkrun_tui.ui.app.theme_variables import looks
from sparkrun_tui.ui.app.title import TerminalTitle, title
from sparkrun_tui.ui.app.toasts import Toasts
from sparkrun_tui.ui.glyphs import ASCII, glyphs_here
from sparkrun_tui.ui.model.catalog import Catalog
from sparkrun_tui.ui.model.chats import Chats
from sparkrun_tui.ui.model.registries import Registries
from sparkrun_tui.ui.model.rows import Status
from sparkrun_tui.ui.model.state import AppState
from sparkrun_tui.ui.screens.base import PageScreen
from sparkrun_tui.ui.screens.browse import BrowseScreen
from sparkrun_tui.ui.widgets.line_pane import INKS

if TYPE_CHECKING:
    from textual.command import CommandPalette

    from sparkrun_tui.base.user.settings import Cluster, Settings
    from sparkrun_tui.fleet.model import Workload
    from sparkrun_tui.launch.chat.conversation import Conversation
    from sparkrun_tui.recipe.values.rendered import Rendered
    from sparkrun_tui.ui.app.session import Session
    from sparkrun_tui.ui.model.first_rows import FirstRows
    from sparkrun_tui.ui.model.ports import Backend, Changed, LaunchPort, PastLaunch

Answer = TypeVar("Answer")
_SEVERITY = {"note": ("information", ""), "warning": ("warning", "! "), "error": ("error", "✗ ")}


def _real_backend(settings: Settings) -> Backend:
    from sparkrun_tui.ui.model.backend import LocalBackend

    return LocalBackend(settings)


class SparkrunApp(App[int], Actor, inherit_bindings=False):
    """The app. The backend owns what runs on hosts; screens only show it."""

    CSS_PATH = [str(path) for path in sorted(paths.styles_dir().glob("*.tcss"))]
    """All style sheets from the start: one loaded by a screen would make Textual parse and apply all of them again."""
    COMPONENT_CLASSES = INKS
    BINDINGS = bindings(Scope.APP)
    TITLE = "sparkrun-tui"
    ENABLE_COMMAND_PALETTE = False
    """Textual's own binding would hide the one in the table of actions; `do_palette` opens the palette."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.state = AppState(session.settings, Catalog(session.settings), query=session.query)
        self.launch_poll = LaunchPoll(self)
        self.host_watch = HostWatch(self)
        self.launches = Launches(self)
        self.chats = Chats()
        self.registries = Registries(self._registries_changed)
        self.freshness = Freshness(self)
        self.collector = Collector(self)
        self.loaded = False
        self.opened = asyncio.Event()
        self._listed = asyncio.Event()
        self._completed = asyncio.Event()
        self._backend: Backend | None = session.backend
        self.theme_preview = ThemePreview(self)
        self.persistence = Persistence(
            self, session, self.state, self.say, self._first_rows, lambda: self.theme_preview.is_on
        )
        self.terminal_title = TerminalTitle(self)
        self._plain_signs = glyphs_here() is ASCII
        self._gate = Gate()
        self._notifications = Toasts()

    def get_line_filters(self) -> Sequence[LineFilter]:
        """What every drawn line passes: the filters of Textual, signs for the console, and the gate as the last one."""
        filters = [kept for kept in super().get_line_filters() if not isinstance(kept, Monochrome | NoColor)]
        if self.no_color:
            filters.append(self._without_colour())
        if self._plain_signs:
            filters.append(AsciiOnly())
        return [*filters, self._gate]

    def _without_colour(self) -> LineFilter:
        """The filter for NO_COLOR, by the theme of this moment: Textual chooses it by the one it starts with.

        The terminal's own colours have no grey that is known here: made grey and put into 16 colours, text would be
        black on black. Neither have 16 colours enough greys for a theme's.
        """
        if self.native_ansi_color or few_colours(self):
            return NoColor()
        return Monochrome()

    def get_css_variables(self) -> dict[str, str]:
        """The theme's variables, and those that the style sheets derive from them."""
        variables = super().get_css_variables()
        self.theme_variables = variables | looks(variables, self.current_theme.ansi, self.current_theme.dark)
        return self.theme_variables

    # Start and end.

    def get_default_screen(self) -> BrowseScreen:
        """The list of recipes, restored to where the last session ended."""
        self.persistence.restore()
        return BrowseScreen()

    def on_mount(self) -> None:
        """Start reading recipes and connecting after the first frame, which waits for neither."""
        # From Python 3.12 on Textual uses eager tasks, which start running when they are created. asyncssh relies on
        # tasks that start later: its handshake would never end.
        asyncio.get_running_loop().set_task_factory(None)
        end_by_signals(self)
        self.persistence.watch()
        self.set_keymap(dict(self.session.settings.keys))
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self.background(self._complete(), "complete")
        self.background(self._open_backend(), "open")
        self.freshness.start()
        for action_id in unknown_keys(self.session.settings.keys):
            spot = self.session.settings.spots.get(f"keys.{action_id}", "config.yaml")
            self.say(f"{spot}: there is no action `{action_id}`", "warning")
        from sparkrun_tui.recipe.names.mounts import agreed_folders  # not before the first paint

        settings = self.session.settings
        for note in (*settings.notes, *agreed_folders(settings.data_dirs)[1]):
            self.say(note, "warning")

    @property
    def backend(self) -> Backend:
        """The backend. Raises `SparkrunError` before it is open."""
        if self._backend is None:
            raise SparkrunError("the app is still starting", remedy="Try again in a moment.")
        return self._backend

    async def _open_backend(self) -> None:
        # The list and the detail come first: importing the backend slows both down.
        await self._listed.wait()
        await self._completed.wait()
        backend = self._backend
        try:
            if backend is None:
                backend = await asyncio.to_thread(_real_backend, self.session.settings)
                self._backend = backend
        finally:
            self.collector.calm()
        await backend.open(self.launches)
        self.opened.set()
        self.call_later(self.host_watch.start)
        if self.session.demo:
            self.choose_cluster(await backend.open_demo())
        elif self.state.cluster is None:
            self.action_do("cluster")
        else:
            self.host_watch.choose()
        self.state.catalog.store = backend.facts
        self.state_changed()

    def exit(self, result: int | None = None, return_code: int = 0, message: Any = None) -> None:
        """Quit. What is kept of the screens is kept now: they are gone when the app is."""
        self.persistence.keep()
        super().exit(result, return_code, message)

    async def on_unmount(self) -> None:
        """Save the session and disconnect from the hosts; what runs there keeps running."""
        self.host_watch.end()
        self.chats.end()
        self.persistence.keep()
        self.terminal_title.restore()
        if self._backend is not None and self.opened.is_set():
            await self._backend.close()

    # Recipes and cluster.

    def read_recipes(self) -> None:
        """Read all recipes in the background."""
        self.background(self._read_recipes(), "read")

    async def _read_recipes(self) -> None:
        from sparkrun_tui.recipe.search.listing import finish

        try:
            listing = await asyncio.to_thread(self.state.catalog.listing)
        finally:
            self.call_after_refresh(self._listed.set)
        while True:
            self.state.take(listing)
            self.loaded = True
            self.state.forget_verdicts()
            self.state_changed()
            screen = self._browse()
            if screen is not None:
                screen.do_what_waits()
            if not listing.pending:
                return
            # Many files are new: their entries are incomplete, so that the list shows early. Complete them now.
            listing = await asyncio.to_thread(finish, listing)

    async def _complete(self) -> None:
        """Fill the first screen: rows of recipes, the detail of the selected one, then all recipes."""
        screen = self._browse()
        try:
            if screen is not None:
                await screen.show_first_look()
                if not screen.list.rows:
                    self.read_recipes()
                    await self._listed.wait()
                await screen.complete()
        finally:
            self._completed.set()
            if not self._listed.is_set():
                self.read_recipes()

    def _browse(self) -> BrowseScreen | None:
        return next((screen for screen in self.screen_stack if isinstance(screen, BrowseScreen)), None)

    def _first_rows(self) -> FirstRows | None:
        screen = self._browse() if self.screen_stack else None
        return screen.first_rows() if screen is not None and screen.whole else None

    def _registries_changed(self) -> None:
        screen = self._page()
        if screen is not None:
            screen.registries_changed()

    def choose_cluster(self, cluster: Cluster | None) -> None:
        """Use another cluster from now on."""
        self.state.choose(cluster)
        self.state_changed()
        if self.opened.is_set():
            self.host_watch.choose()

    async def refresh_hosts(self) -> None:
        """Ask all hosts now what they have and what runs there, and wait for it."""
        await self.host_watch.refresh(everyone=True)

    def world_changed(self) -> None:
        """Show what was learned of the hosts; verdicts only when they may have changed."""
        if self.state.catch_up():
            self.state_changed()
        else:
            self.update_bars()
        screen = self._page()
        if screen is not None and screen.whole:
            screen.world_changed()

    def watches_hosts(self) -> bool:
        """Whether the page in sight shows what runs on the hosts."""
        screen = self._page()
        return screen is not None and screen.WATCHES_HOSTS

    def hosts_settled(self, launch_id: str) -> None:
        """A launch serves, or has ended: its hosts have other memory now."""
        self.host_watch.settled(launch_id)

    def launch_heard(self, launch: LaunchPort) -> None:
        """A launch has reported something of its hosts."""
        self.host_watch.heard(launch.state)

    def page_shown(self) -> None:
        """Called when another page is shown, which may need news of the hosts more often."""
        self.host_watch.pace_changed()

    async def on_event(self, event: events.Event) -> None:
        """A key or a click means that somebody looks at what is shown."""
        if isinstance(event, events.Key | events.MouseDown | events.AppFocus):
            self.host_watch.touched()
        await super().on_event(event)

    def keep_soon(self) -> None:
        """Save overrides for the next session, once typing has stopped for a moment."""
        self.persistence.soon()

    def state_changed(self) -> None:
        """Refresh the visible page; the others refresh when they are shown again."""
        self.update_bars()
        screen = self._page()
        if screen is not None and screen.whole:
            screen.state_changed()

    def _page(self) -> PageScreen | None:
        return next((screen for screen in reversed(self.screen_stack) if isinstance(screen, PageScreen)), None)

    def update_bars(self) -> None:
        """Refresh the title and the bar of the visible page."""
        self.update_title()
        screen = self._page()
        if screen is not None:
            screen.update_bar()

    def update_title(self) -> None:
        """Show the state of the launches in the terminal's title."""
        self.terminal_title.show(title(self.launches.states()))

    def bar_status(self) -> Status:
        """What the bar shows now."""
        starting, serving = self.launches.running()
        demo = self.session.demo
        cluster = self.state.cluster
        if cluster is None:
            return Status(running=tuple(serving), launching=len(starting), demo=demo)
        hosts = tuple((name, mark.state) for name, mark in self.state.marks.items())
        demo = demo or cluster.is_demo
        return Status(cluster.name, hosts, running=tuple(serving), launching=len(starting), demo=demo)

    # Screens.

    def open_plan(self, rendered: Rendered, hosts: tuple[str, ...] = (), *, go: bool = False) -> None:
        """Show what a launch would do, on these hosts or on those that are proposed; with `go`, do it."""
        from sparkrun_tui.ui.screens.plan import PlanScreen

        if self.state.cluster is not None:
            self.push_screen(PlanScreen(rendered, self.state.cluster, hosts, go=go))

    def open_launch(self, launch: LaunchPort, past: PastLaunch | None = None) -> None:
        """Show a launch and follow it; `past` is the record of one that is over and does not change."""
        from sparkrun_tui.ui.screens.launch import LaunchScreen

        if past is None:
            self.follow(launch)
        self.push_screen(LaunchScreen(launch, past))

    def open_host(self, name: str) -> None:
        """Show the page of a host of the cluster."""
        from sparkrun_tui.ui.screens.load_page import HostPage

        self.push_screen(HostPage(name))

    def open_workload(self, key: str) -> None:
        """Show the page of a workload."""
        from sparkrun_tui.ui.screens.load_page import WorkloadPage

        self.push_screen(WorkloadPage(key))

    def follow(self, launch: LaunchPort) -> None:
        """Count this launch, and say when it is ready or has failed."""
        self.launches.follow(launch)

    def followed(self, launch_id: str) -> LaunchPort | None:
        """A launch of this session."""
        return self.launches.find(launch_id)

    def watch_launch(self, launch: LaunchPort, changed: Changed) -> Callable[[], None]:
        """Call `changed` when a launch changes; the returned function ends that."""
        return self.launch_poll.watch(launch, changed)

    def conversation(self, launch: LaunchPort) -> Conversation:
        """The conversation with the model of a launch; it is kept while the app runs."""
        return self.chats.of(launch.launch_id)

    def open_chat(self, launch: LaunchPort) -> None:
        """Talk to the model of a launch, which is followed from now on."""
        from sparkrun_tui.ui.screens.chat import ChatScreen

        self.follow(launch)
        self.push_screen(ChatScreen(launch))

    async def chat_with(self, workload: Workload) -> None:
        """Talk to the model of a workload of the cluster; it is attached to."""
        if self.state.cluster is not None:
            self.open_chat(await self.backend.attach(workload, self.state.cluster))

    def open_snippets(self, launch: LaunchPort) -> None:
        """Show code that calls the endpoint of a launch."""
        from sparkrun_tui.ui.screens.dialogs.snippets import SnippetsScreen

        endpoint = launch.state.endpoint
        if endpoint is None:
            self.say("It does not serve yet: there is no endpoint to call.", "warning")
        else:
            self.push_screen(SnippetsScreen(endpoint))

    def recipes_in_sight(self) -> set[str]:
        """Keys of the recipes that a screen shows now."""
        found: set[str] = set()
        for screen in self.screen_stack:
            if isinstance(screen, BrowseScreen):
                found.update(screen.keys_in_sight)
        return found

    def screen_left(self) -> None:
        """Called when a screen was left, so that its memory is freed soon."""
        self.collector.screen_left()

    def shows(self, launch: LaunchPort) -> bool:
        """Whether the current screen shows this launch."""
        return getattr(self.screen, "launch", None) is launch

    def edit_recipe(self, key: str, changes: dict[str, str]) -> None:
        """Go to the overrides of the recipe whose file is `key`, with some changed."""
        recipe = self.state.catalog.recipe(key)
        if recipe is None:
            self.say(f"the recipe {key} is no longer in the list", "warning")
            return
        self.state.edits_of(recipe.source.path).update(changes)
        self.state.selected, self.state.query = recipe.source.path, ""
        self.state.forget_verdict(recipe.source.path)
        while not isinstance(self.screen, BrowseScreen):
            self.pop_screen()
        if isinstance(self.screen, BrowseScreen):
            self.screen.go_to(recipe.source.path, next(iter(changes), ""))

    def search(self, query: str) -> None:
        """Show what a query finds, in the list of recipes."""
        while not isinstance(self.screen, BrowseScreen):
            self.pop_screen()
        if isinstance(self.screen, BrowseScreen):
            self.screen.search_for(query)

    async def ask(self, question: Screen[bool]) -> bool:
        """Show a question over the current screen; the answer."""
        reply = await self.answer(question)
        return reply is True

    async def answer(self, question: Screen[Answer]) -> Answer | None:
        """Show a screen over the current one; its result. Works from any task."""
        result: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()

        def answered(value: Answer | None) -> None:
            if not result.done():
                result.set_result(value)

        self.push_screen(question, answered)
        return await result

    # Messages, clipboard and crashes.

    def hide(self, text: str) -> str:
        """`text` with the secrets that the app knows masked."""
        from sparkrun_tui.recipe.values.masking import redactor  # not before the first paint

        return redactor(typed=self.session.settings.defaults, known=self.state.secrets())(text)

    def _fatal_error(self) -> None:
        """End the app after a defect, as Textual does, but with a report without local variables and secrets."""
        from sparkrun_tui.ui.app.crash import crash_report  # only ever needed here

        self.panic(crash_report(self.hide))

    def say(self, text: str, level: str = "note") -> None:
        """Show a message that needs no answer; `level` is `note`, `warning` or `error`."""
        severity: Any
        severity, sign = _SEVERITY[level]
        text = sign + self.hide(clean_text(text))
        self.notify(text, severity=severity, markup=False, timeout=10 if level == "error" else 5)

    def say_error(self, error: SparkrunError) -> None:
        """Show an error with its remedy."""
        self.say(str(error), "error")

    def copy(self, text: str, what: str) -> None:
        """Copy through the terminal (OSC 52), and through a clipboard program of this machine if there is one.

        Secrets are masked, and invisible characters are replaced by signs as on screen, so that a shell does not act on
        them when the text is pasted.
        """
        from sparkrun_tui.ui.app.clipboard import copy_natively

        text = visible(self.hide(text))
        self.copy_to_clipboard(text)
        self.background(copy_natively(text), "copy")
        self.say(f"copied the {what}")

    # Actions that apply everywhere.

    def why_not(self, name: str) -> str:
        """The screen that is shown cannot be opened again."""
        page = self._page()
        if name in ("fleet", "history", "registries", "stores") and page is not None and name == page.WHERE:
            return "You are already there."
        return ""

    def do_help(self) -> None:
        """Show the keys that work here."""
        from sparkrun_tui.ui.screens.help import HelpScreen, keys_now

        self.push_screen(HelpScreen(keys_now(self.screen)))

    def do_palette(self) -> None:
        """Find any action by name."""
        from textual.command import CommandPalette

        from sparkrun_tui.ui.app.palette import (
            ActionProvider,
            ChatProvider,
            HostProvider,
            RecipeProvider,
            ThemeProvider,
        )

        if not isinstance(self.screen, CommandPalette):
            providers = [ActionProvider, HostProvider, ChatProvider, RecipeProvider, ThemeProvider]
            self.push_screen(CommandPalette(providers))

    def on_command_palette_option_highlighted(self, event: CommandPalette.OptionHighlighted) -> None:
        """Show the theme that is highlighted."""
        self.theme_preview.highlighted(event)

    def on_command_palette_closed(self) -> None:
        """Show the theme from before; one that was chosen is set after this."""
        self.theme_preview.end()

    def do_next_pane(self) -> None:
        """Move to the next pane."""
        self.screen.focus_next()

    def do_previous_pane(self) -> None:
        """Move to the previous pane."""
        self.screen.focus_previous()

    def do_cluster(self) -> None:
        """Choose the cluster."""
        from sparkrun_tui.ui.screens.cluster import ClusterPicker

        if not isinstance(self.screen, ClusterPicker):
            self.push_screen(ClusterPicker())

    def do_fleet(self) -> None:
        """Show what is running."""
        from sparkrun_tui.ui.screens.fleet import FleetScreen

        self.push_screen(FleetScreen())

    def do_stores(self) -> None:
        """Show models and images."""
        from sparkrun_tui.ui.screens.stores import StoresScreen

        self.push_screen(StoresScreen())

    def do_registries(self) -> None:
        """Show the registries."""
        from sparkrun_tui.ui.screens.registries import RegistriesScreen

        self.push_screen(RegistriesScreen())

    def do_history(self) -> None:
        """Show earlier launches."""
        from sparkrun_tui.ui.screens.history import HistoryScreen

        self.push_screen(HistoryScreen())

    def do_quit(self) -> None:
        """Go back; on the first screen, quit."""
        if isinstance(self.screen, BrowseScreen):
            self.do_quit_now()
        else:
            self.pop_screen()

    def do_how_to_leave(self) -> None:
        """Show how to quit: ctrl+c, which ends other programs, ends nothing here."""
        self.say("q goes back and quits from the first screen; ctrl+q quits from anywhere. Models keep serving.")

    def do_quit_now(self) -> None:
        """Quit, after a confirmation when a launch is still starting."""
        self.background(self.launches.leave(), "leave")


def open_app(*, demo: bool = False, cluster: str = "", query: str = "") -> int:
    """Open the app with the user's settings, for the command line; returns the exit code.

    Raises `UsageError` for an unknown cluster.
    """
    from sparkrun_tui.base.user.settings import load_settings
    from sparkrun_tui.ui.app.session import Session

    settings = load_settings()
    if cluster:
        settings.named_cluster(cluster)
    return run(Session(settings, cluster=cluster, query=query, demo=demo))


def run(session: Session) -> int:
    """Open the app; returns its exit code."""
    read_safely()
    app = SparkrunApp(session)
    code = app.run()
    for line in app.launches.farewell():
        print(clean_line(app.hide(line)))  # noqa: T201
    return code if code is not None else app.return_code or 0
