"""Models and images on the hosts and on this machine: what uses them, whether they are whole, removing them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import on
from textual.widget import Widget

from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.base.units import format_bytes, format_count
from sparkrun_tui.launch.stores.model import Image, Model, StoresView
from sparkrun_tui.launch.stores.prune import Item, Offer, offer_images, offer_models, total
from sparkrun_tui.launch.stores.verify import Checked
from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.ink import Line
from sparkrun_tui.ui.paint.hosts import store_lines as paint
from sparkrun_tui.ui.screens.base import PageScreen
from sparkrun_tui.ui.screens.dialogs.dialog import Confirm
from sparkrun_tui.ui.widgets.list_pane import ListPane
from sparkrun_tui.ui.widgets.panel import Panel
from sparkrun_tui.ui.widgets.tab_line import TabLine
from sparkrun_tui.ui.widgets.text_pane import TextPane

_TABS = (("models", "models"), ("images", "images"))


class StoresList(ListPane):
    """One row per model, or per image."""

    def __init__(self) -> None:
        super().__init__(id="stores")
        self.view: StoresView | None = None
        self.images = False
        self.message = "asking the hosts …"
        self.results: dict[tuple[str, str], Checked] = {}

    @property
    def rows(self) -> Sequence[Model | Image]:
        """What is listed now."""
        if self.view is None:
            return ()
        return self.view.images if self.images else self.view.models

    @property
    def head(self) -> int:
        """One line names the columns."""
        return 1

    @property
    def row_count(self) -> int:
        """How many there are."""
        return len(self.rows)

    @property
    def line_count(self) -> int:
        """The rows and the header."""
        return 1 + max(len(self.rows), 1)

    @property
    def current(self) -> Model | Image | None:
        """What the cursor is on."""
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    def line(self, number: int) -> Line:
        """Header, a row, or the message."""
        if number == 0:
            return paint.head_line(self.text_width, images=self.images)
        if not self.rows or self.view is None:
            return [(self.message, "dim")]
        return paint.store_line(self.rows[number - 1], self.results, self.view.taken, self.text_width)


class StoresScreen(PageScreen):
    """What is shown is asked of the hosts when the screen opens and after each change."""

    BINDINGS = bindings(Scope.STORES)
    AUTO_FOCUS = "StoresList"
    WHERE = "stores"

    def body(self) -> Iterable[Widget]:
        """The tabs, the list, and what is known of the row under the cursor."""
        self.list = StoresList()
        self.tabs = TabLine(id="stores-tabs")
        self.about = TextPane(self._about, id="store-about")
        self.about.can_focus = False
        yield self.tabs
        yield Panel(self.list, id="stores-panel")
        yield Panel(self.about, id="store-panel")

    def on_mount(self) -> None:
        """Ask the hosts."""
        self._asking = False
        self._entitle("")
        self.do_refresh()

    def _entitle(self, corner: str) -> None:
        cluster = self.sparkrun.state.cluster
        what = "Images" if self.list.images else "Models"
        where = "this machine"
        if cluster is not None and cluster.is_demo:
            where = cluster.name
        elif cluster is not None:
            where = f"{cluster.name} and this machine"
        self.query_one("#stores-panel", Panel).entitle(f"{what} on {where}", corner)
        self.tabs.show(_TABS, "images" if self.list.images else "models")

    def do_refresh(self) -> None:
        """Ask all hosts again."""
        if not self._asking:
            self._asking = True
            self.background(self._look(), "look")

    async def _look(self) -> None:
        self._entitle("asking the hosts …")
        try:
            await self.sparkrun.opened.wait()
            state = self.sparkrun.state
            view = await self.sparkrun.backend.stores(state.cluster, state.catalog.entries)
        except SparkrunError as error:
            self.list.message = error.what
            self._entitle(f"✗ {error.what}")
            self.list.refresh()
            return
        finally:
            self._asking = False
        self.list.view = view
        self.list.message = "nothing is stored there"
        self.list.cursor = min(self.list.cursor, max(self.list.row_count - 1, 0))
        self._show()

    def _show(self) -> None:
        if not self.whole:
            return
        view = self.list.view
        self._entitle(paint.room_text(view) if view is not None else "")
        self.list.refresh()
        self._moved()

    @on(ListPane.Highlighted, "#stores")
    def _moved(self) -> None:
        current = self.list.current
        name = ""
        if current is not None:
            name = _name(current)
        self.query_one("#store-panel", Panel).entitle(name)
        self.about.show(self._about)
        self.refresh_bindings()

    def _about(self, width: int) -> Sequence[Line]:
        current, view = self.list.current, self.list.view
        if view is None:
            return ()
        if current is None:
            return [[(host.problem, "bad")] for host in view.hosts if host.problem]
        return paint.about_lines(current, self.list.results, view.taken, width)

    def why_not(self, name: str) -> str:
        """Most actions need a row."""
        if name in ("back", "refresh", "switch"):
            return ""
        if self.list.view is None:
            return "The hosts have not answered yet."
        if name in ("prune", "unused", "verify_all"):
            return ""
        return "" if self.list.current is not None else "There is nothing in this row."

    def do_switch(self) -> None:
        """Show the images, or the models again."""
        self.list.images = not self.list.images
        self.list.cursor = 0
        self.list.top = 0
        self._show()

    @on(TabLine.Clicked)
    def _tab_clicked(self, event: TabLine.Clicked) -> None:
        if (event.name == "images") != self.list.images:
            self.action_do("switch")

    async def do_verify(self) -> None:
        """Check the row under the cursor."""
        current = self.list.current
        if current is not None:
            await self._verify((_name(current),))

    async def do_verify_all(self) -> None:
        """Check all rows."""
        await self._verify(())

    async def _verify(self, names: Sequence[str]) -> None:
        view = self.list.view
        if view is None:
            return
        images = self.list.images
        found: list[Checked] = []

        def done(checked: Checked) -> None:
            found.append(checked)
            self.list.results.update(paint.worst(found))
            self._entitle(f"{format_count(len(found), 'thing')} checked …")
            self.list.refresh()

        self._entitle("checking …")
        cluster = self.sparkrun.state.cluster
        await self.sparkrun.backend.verify_stores(view, cluster, names, images=images, done=done)
        self._show()

    async def do_remove(self) -> None:
        """Remove the row under the cursor, on all hosts that have it, after a confirmation."""
        current, view = self.list.current, self.list.view
        if current is None or view is None:
            return
        names = (_name(current),)
        offer = offer_images(view, names) if self.list.images else offer_models(view, names)
        await self._prune(offer.named, offer)

    async def do_prune(self) -> None:
        """Remove what nothing can use, after a confirmation: unfinished downloads, images without a name."""
        offer = self._offer()
        await self._prune(offer.first, offer)

    async def do_unused(self) -> None:
        """Remove what no recipe names and no container uses, after a confirmation."""
        offer = self._offer()
        await self._prune(offer.unused, offer)

    def _offer(self) -> Offer:
        view = self.list.view
        assert view is not None
        return offer_images(view) if self.list.images else offer_models(view)

    async def _prune(self, items: Sequence[Item], offer: Offer) -> None:
        """Show what would go and what stays, ask, and report what was seen to go."""
        stays = [stay.text for stay in offer.stays]
        if not items:
            self.sparkrun.say("\n".join(stays) or "There is nothing to remove.", "warning" if stays else "note")
            return
        lines = [f"Remove {format_count(len(items), 'thing')}, {format_bytes(total(items))}?", ""]
        lines += [item.text for item in items]
        lines += stays
        if not await self.sparkrun.ask(Confirm("Remove", lines, "Remove it", "Keep it")):
            return
        self._entitle("removing …")
        report = await self.sparkrun.backend.prune_stores(items, self.sparkrun.state.cluster)
        self.sparkrun.say(report.text, "note" if report.complete else "error")
        self.do_refresh()

    def do_copy(self) -> None:
        """Copy the name."""
        current = self.list.current
        if current is not None:
            self.sparkrun.copy(_name(current), "name")


def _name(thing: Model | Image) -> str:
    return thing.repo if isinstance(thing, Model) else thing.name
