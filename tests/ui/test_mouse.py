"""What keys do, the mouse does: footer, tabs, rows, steps of the plan, repairs."""

from __future__ import annotations

from textual.pilot import Pilot

from sparkrun_tui.launch.record.events import LaunchStatus, StatusChanged
from sparkrun_tui.ui.screens.browse import BrowseScreen
from sparkrun_tui.ui.screens.cluster import ClusterPicker
from sparkrun_tui.ui.screens.dialogs.dialog import Confirm
from sparkrun_tui.ui.screens.help import HelpScreen
from sparkrun_tui.ui.screens.history import HistoryScreen
from sparkrun_tui.ui.screens.plan import PlanScreen

from .conftest import Pilots, press, screen_text, settle, until
from .fakes import FakeBackend
from .test_launch import DIAGNOSIS, begin, tick


async def click(pilot: Pilot[int], text: str, times: int = 1) -> None:
    """Click where `text` stands on the screen."""
    rows = screen_text(pilot).splitlines()
    y = next(number for number, row in enumerate(rows) if text in row)
    await pilot.click(offset=(rows[y].index(text), y), times=times)
    await pilot.pause()
    await pilot.pause()


async def test_every_key_of_the_footer_can_be_clicked(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await click(pilot, "? help")
        assert isinstance(pilot.app.screen, HelpScreen)
        await press(pilot, "escape")
        await click(pilot, "h history")
        assert isinstance(pilot.app.screen, HistoryScreen)
        await click(pilot, "q quit")
        assert isinstance(pilot.app.screen, BrowseScreen)


async def test_the_cluster_in_the_bar_opens_the_choice(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await click(pilot, "spark-2 ●")
        assert isinstance(pilot.app.screen, ClusterPicker)


async def test_rows_and_tabs_are_chosen_by_a_click(open_app: Pilots) -> None:
    async with open_app() as pilot:
        screen = pilot.app.screen
        assert isinstance(screen, BrowseScreen)
        await click(pilot, "gamma-sg")
        assert screen.list.current is not None and screen.list.current.name == "gamma-sg"
        await click(pilot, "Source")
        assert screen.detail.tab == "source"


async def test_a_field_is_stepped_reset_and_edited_by_clicks(open_app: Pilots) -> None:
    async with open_app(size=(160, 40)) as pilot:
        screen = pilot.app.screen
        assert isinstance(screen, BrowseScreen)

        def port() -> str:
            return next(row.value for row in screen.detail.form.rows if row.key == "port")

        def arrow(sign: str) -> tuple[int, int]:
            rows = screen_text(pilot).splitlines()
            y = next(number for number, row in enumerate(rows) if " port " in row and "800" in row)
            return rows[y].index(sign, rows[y].index("port")), y

        await pilot.click(offset=arrow("▸"))
        await settle(pilot)
        assert port() == "8001"
        await pilot.click(offset=arrow("◂ 8000"))
        await settle(pilot)
        assert port() == "8000"
        await pilot.click(offset=arrow("8000"), times=2)
        await settle(pilot)
        assert screen.detail.form.editing == "port"
        await press(pilot, "escape")
        await click(pilot, "+ add a key")
        assert screen.detail.form.adding


async def test_steps_of_the_plan_open_by_their_triangle_and_by_a_double_click(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "p")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, PlanScreen)
        await click(pilot, "▸ 2")
        assert screen.list.opened == {1}
        await click(pilot, "▾ 2")
        assert screen.list.opened == set()
        await click(pilot, "1  check", times=2)
        assert screen.list.opened == {0}


async def test_a_repair_is_applied_by_a_double_click(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app() as pilot:
        launch = await begin(pilot, backend)
        launch.send(DIAGNOSIS, StatusChanged(status=LaunchStatus.FAILED))
        tick(pilot)
        await settle(pilot)
        await click(pilot, "the longest that fits", times=2)
        await settle(pilot)
        assert isinstance(pilot.app.screen, Confirm)
        await click(pilot, "Launch (y)")
        await until(pilot, lambda: len(backend.launches) == 2)
        assert backend.calls[-1] == "launch alpha-8b {'max_model_len': '16384'}"
