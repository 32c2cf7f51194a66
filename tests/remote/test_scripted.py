"""The double that other tests stand on keeps the contract of a transport."""

from __future__ import annotations

import pytest

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.remote.transport import LinkState, Outcome, Transport
from tests.support.scripted import LOST, ScriptedTransport


async def test_answers_by_the_newest_rule_and_keeps_what_was_asked() -> None:
    host = ScriptedTransport("a").on("uname", "Linux\n").on("uname -m", "aarch64\n", times=1)
    typed: Transport = host
    assert (await typed.run("uname -m", stdin=b"x")).stdout == "aarch64\n"
    assert (await typed.run("uname -m")).stdout == "Linux\n"
    assert host.scripts == ["uname -m", "uname -m"]
    assert host.calls[0].stdin == b"x"


async def test_an_unknown_script_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="no rule"):
        await ScriptedTransport().run("rm -rf /")


async def test_a_lost_link_is_lost_and_not_a_failure() -> None:
    host = ScriptedTransport().on("true")
    host.lose()
    result = await host.run("true")
    assert result is LOST
    assert result.outcome is Outcome.LOST
    assert not result.ok
    assert host.link.state is LinkState.RECONNECTING
    with pytest.raises(HostError):
        await host.open_socket("/var/run/docker.sock")
    host.heal()
    assert (await host.run("true")).ok
