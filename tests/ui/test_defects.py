"""Errors that nobody expected, on screens that paint: they are told, and the app goes on."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.ui.screens.detail import Detail

from .conftest import Pilots, press, screen_text, settle
from .fakes import FakeBackend


def broken(*_: object, **__: object) -> object:
    raise ZeroDivisionError("a mistake")


async def test_the_plan_screen_says_it_and_the_app_goes_on(
    open_app: Pilots, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(plan: object) -> Sequence[str]:
        raise LaunchError("internal error: planning the launch of alpha-8b failed with a mistake")

    async def no_plan(*_: object) -> object:
        raise LaunchError("internal error: planning the launch of alpha-8b failed with a mistake")

    async with open_app((120, 40)) as pilot:
        monkeypatch.setattr(backend, "dry_run", failing)
        await press(pilot, "p")
        await press(pilot, "d")
        assert "internal error: planning the launch of alpha-8b" in screen_text(pilot)
        await press(pilot, "escape", "escape")
        monkeypatch.setattr(backend, "plan", no_plan)
        await press(pilot, "p")
        await settle(pilot)
        text = screen_text(pilot)
        assert "internal error: planning the launch of alpha-8b" in text and "checking the hosts" not in text
        await press(pilot, "escape")
        assert "Recipes" in screen_text(pilot)


async def test_a_part_that_cannot_be_painted_says_so_and_the_app_goes_on(
    open_app: Pilots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparkrun_tui.ui.screens.detail.shown_source", broken)
    async with open_app((120, 40)) as pilot:
        detail = pilot.app.screen.query_one(Detail)
        while detail.tab != "source":
            await press(pilot, "right_square_bracket")
        assert "✗ internal error" in screen_text(pilot) and "ZeroDivisionError" in screen_text(pilot)
        await press(pilot, "right_square_bracket")
        assert detail.tab != "source" and "internal error" not in screen_text(pilot)
