"""What hosts say at the login: banners are shown, a login in the browser is waited for, a chatty shell is named."""

from __future__ import annotations

import asyncio

import pytest

from sparkrun_tui.remote.failures import NeedsUser
from sparkrun_tui.remote.ssh import connection
from sparkrun_tui.remote.ssh.host_key_policy import LoginNotice, Question
from tests.support.site import Site, until

TAILSCALE = (
    "# Tailscale SSH requires an additional check.\r\n"
    "# To authenticate, visit: https://login.tailscale.com/a/1a2b3c4d5e6f\r\n"
)


@pytest.fixture
def heard(site: Site) -> list[Question]:
    """What the person was shown and asked."""
    heard: list[Question] = []

    async def ask(question: Question) -> str | None:
        heard.append(question)
        return None

    site.pool.ask = ask
    return heard


async def test_a_banner_is_shown_and_kept(site: Site, heard: list[Question]) -> None:
    site.server.traits.login_banner = "Authorised use only.\x1b[31m\n"
    spark = site.pool.transport("spark")
    await spark.connect()
    await until(lambda: heard)
    assert heard == [LoginNotice("spark", "Authorised use only.␛[31m", "")]
    assert spark.link.says == "Authorised use only.␛[31m"


async def test_a_login_in_the_browser_is_shown_and_waited_for(
    site: Site, heard: list[Question], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "LOGIN_TIMEOUT", 1.0)
    site.server.traits.login_banner = TAILSCALE
    site.server.traits.admitted = asyncio.Event()
    spark = site.pool.transport("spark")
    connecting = asyncio.create_task(spark.connect())
    await until(lambda: heard)
    (notice,) = heard
    assert isinstance(notice, LoginNotice) and notice.link == "https://login.tailscale.com/a/1a2b3c4d5e6f"
    assert "requires an additional check" in notice.text
    # Longer than a login may take otherwise.
    await asyncio.sleep(2.0)
    assert not connecting.done()
    site.server.traits.admitted.set()
    await connecting
    assert (await spark.run("echo in")).stdout == "in\n"


async def test_a_flood_of_banners_is_cut_short(site: Site, heard: list[Question]) -> None:
    site.server.traits.login_banner = "x" * 200_000
    site.server.traits.login_banners = 50
    spark = site.pool.transport("spark")
    await spark.connect()
    await until(lambda: heard)
    assert len(heard) <= 4 and len(spark.link.says) <= 4000


async def test_without_anyone_to_ask_the_error_has_the_link(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LOGIN_TIMEOUT", 1.0)
    site.server.traits.login_banner = TAILSCALE
    site.server.traits.admitted = asyncio.Event()
    with pytest.raises(NeedsUser, match="asks for a login in the browser first") as caught:
        await site.pool.transport("spark").connect()
    assert "Open https://login.tailscale.com/a/1a2b3c4d5e6f and try again" in caught.value.remedy
    site.server.traits.admitted.set()


async def test_a_chatty_login_shell_is_named(site: Site) -> None:
    site.server.traits.banner = b"Welcome to DGX OS\nlast login: never\n"
    spark = site.pool.transport("spark")
    await spark.connect()
    assert spark.link.shell_says == ""
    assert (await spark.run("echo out")).stdout == "out\n"
    assert spark.link.shell_says == "Welcome to DGX OS last login: never"
