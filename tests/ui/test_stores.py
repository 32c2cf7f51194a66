"""Models and images in the app: by keys, at small and usual sizes."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from sparkrun_tui.base.units import GIB
from sparkrun_tui.launch.stores.look import view_of
from sparkrun_tui.launch.stores.model import HostStores, NamedBy, StoresView, User
from sparkrun_tui.launch.stores.verify import Checked, Verdict
from sparkrun_tui.remote.docker.types import ContainerInfo, ImageListed
from sparkrun_tui.remote.hub.host_store import HostStore, StoredRepo, StoredRevision
from sparkrun_tui.ui.screens.browse import BrowseScreen
from sparkrun_tui.ui.screens.dialogs.dialog import Confirm
from sparkrun_tui.ui.screens.fleet import FleetScreen
from sparkrun_tui.ui.screens.stores import StoresScreen

from .conftest import Pilots, lines_with, press, settle
from .fakes import FakeBackend

SIZES = pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 40), (200, 50)])
NOW = 1_000_000.0
IMAGE = ImageListed("sha256:1", ("acme/vllm:1",), ("acme/vllm@sha256:abcdef0123456789",), 20 * GIB, NOW - 86_400 * 3)


def host(name: str, *repos: StoredRepo, containers: tuple[ContainerInfo, ...] = (), here: bool = False) -> HostStores:
    store = HostStore(
        "/cache/hub", NOW, "me", f"boot-{name}", "1:1", disk_free=500 * GIB, disk_total=900 * GIB, repos=repos
    )
    return HostStores(name, here, store, (IMAGE,), containers)


def stored() -> StoresView:
    """Two hosts and this machine; one model is in use, one is half there."""
    revision = (StoredRevision("abc0" * 10, 5, 8 * GIB, refs=("main",)),)
    used = StoredRepo("acme/alpha-8b", 8 * GIB, NOW - 7200, NOW - 7200, revision, owners=("me",))
    half = StoredRepo(
        "acme/half-[b]70b", 40 * GIB, NOW - 86_400 * 9, NOW - 86_400 * 9, parts=1, partial=40 * GIB, owners=("root",)
    )
    box = ContainerInfo("1", "box", "acme/vllm:1", "running", {}, image_id="sha256:1", command="serve acme/alpha-8b")
    hosts = (host("spark-1", used, containers=(box,)), host("spark-2", used, half), host("workstation", here=True))
    return view_of("lab", NOW, hosts, [NamedBy(User.RECIPE, "alpha", "acme/alpha-8b")])


@pytest.fixture
def backend(backend: FakeBackend) -> FakeBackend:
    backend.stored = stored()
    return backend


def said(pilot: Pilot[int]) -> list[str]:
    """The messages of the app."""
    return [notification.message for notification in pilot.app._notifications]


@SIZES
async def test_models_and_images_are_shown_with_what_uses_them(
    open_app: Pilots, backend: FakeBackend, size: tuple[int, int]
) -> None:
    async with open_app(size) as pilot:
        await press(pilot, "M")
        await settle(pilot)
        assert isinstance(pilot.app.screen, StoresScreen)
        (row,) = lines_with(pilot, " acme/half-[b]70b  ")
        assert "40.0 GiB …" in row and "spark-2" in row and "9 d" in row and "nothing" in row
        (row,) = lines_with(pilot, " acme/alpha-8b  ")
        assert "2 hosts" in row and "box on" in row
        await press(pilot, "j")
        assert lines_with(pilot, "revision   abc0abc0")
        assert lines_with(pilot, "container box on spark-1 (another tool's)")
        await press(pilot, "right_square_bracket")
        (row,) = lines_with(pilot, " acme/vllm:1  ")
        assert "3 hosts" in row and "3 d" in row
        assert lines_with(pilot, "digest     abcdef012345")
        await press(pilot, "i", "escape")
        assert isinstance(pilot.app.screen, BrowseScreen)


async def test_the_fleet_leads_there_and_a_click_changes_the_tab(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app((80, 24)) as pilot:
        await press(pilot, "f")
        assert isinstance(pilot.app.screen, FleetScreen)
        await press(pilot, "m")
        await settle(pilot)
        assert backend.calls[-1] == "stores of lab, 4 recipes"
        await pilot.click("#stores-tabs", offset=(12, 0))
        await settle(pilot)
        assert lines_with(pilot, "acme/vllm:1")
        await press(pilot, "M")
        assert isinstance(pilot.app.screen, StoresScreen)


async def test_what_would_go_is_shown_first_and_what_went_is_said(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app((80, 24)) as pilot:
        await press(pilot, "M")
        await settle(pilot)
        await press(pilot, "p")
        assert isinstance(pilot.app.screen, Confirm)
        assert lines_with(pilot, "Remove 1 thing, 40.0 GiB?")
        assert lines_with(pilot, "unfinished download of acme/half-[b]70b, 40.0 GiB")
        await press(pilot, "n")
        assert not any(call.startswith("prune") for call in backend.calls)
        await press(pilot, "p", "y")
        await settle(pilot)
        assert any(call.startswith("prune spark-2: unfinished download") for call in backend.calls)
        assert backend.calls[-1].startswith("stores of lab")
        assert said(pilot)[-1] == "1 of 1 gone, 40.0 GiB"


async def test_what_is_used_is_not_removed_and_the_reason_is_shown(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app((120, 40)) as pilot:
        await press(pilot, "M")
        await settle(pilot)
        await press(pilot, "j", "x")
        assert isinstance(pilot.app.screen, Confirm)
        # Nothing uses it on the other host.
        assert lines_with(pilot, "spark-2: acme/alpha-8b, 8.0 GiB")
        assert lines_with(pilot, "spark-1: acme/alpha-8b stays: container box on spark-1")
        backend.goes = False
        await press(pilot, "y")
        await settle(pilot)
        assert "0 of 1 gone" in said(pilot)[-1] and "it is used" in said(pilot)[-1]
        await press(pilot, "i", "u")
        await settle(pilot)
        assert isinstance(pilot.app.screen, Confirm)


async def test_a_verification_marks_its_rows(open_app: Pilots, backend: FakeBackend) -> None:
    backend.checked = [
        Checked("spark-1", "acme/alpha-8b", "abc0" * 10, Verdict.WHOLE, "5 files, by their headers"),
        Checked("spark-2", "acme/alpha-8b", "abc0" * 10, Verdict.FAULTY, "missing: config.json"),
    ]
    async with open_app((80, 24)) as pilot:
        await press(pilot, "M")
        await settle(pilot)
        await press(pilot, "j", "v")
        await settle(pilot)
        assert "verify models acme/alpha-8b" in backend.calls
        assert lines_with(pilot, "✗ acme/alpha-8b") and lines_with(pilot, "faulty: missing: config.json")
        await press(pilot, "i", "V")
        await settle(pilot)
        assert "verify images all" in backend.calls


async def test_hosts_that_do_not_answer_are_named(open_app: Pilots, backend: FakeBackend) -> None:
    backend.stored = view_of("lab", NOW, [HostStores("spark-1", problem="no route to host")], ())
    async with open_app((80, 24)) as pilot:
        await press(pilot, "M")
        await settle(pilot)
        assert lines_with(pilot, "spark-1: no answer") and lines_with(pilot, "no route to host")
        await press(pilot, "x")
        assert "nothing in this row" in said(pilot)[-1]
