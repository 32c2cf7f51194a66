"""The supervisor of a link, with a clock and a network of its own: which failures are tried again, and how often."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import asyncssh
import pytest

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.remote.failures import Kind, LinkLost, NeedsUser, explain, kind_of
from sparkrun_tui.remote.ssh.link import Backoff, HostLink
from sparkrun_tui.remote.transport import LinkState
from tests.support.site import until

LOST = asyncssh.ConnectionLost("Connection lost")


class Network:
    """Gives what it was told to, in order: exceptions are raised, anything else is a connection."""

    def __init__(self, *outcomes: object) -> None:
        self.outcomes = list(outcomes)
        self.tries = 0
        self.pauses: list[float] = []
        self.link: HostLink[object] = HostLink(
            "spark",
            self.open,
            lambda error: explain(error, "spark", "spark", 22, "me"),
            sleep=self.sleep,
            roll=lambda: 1.0,
        )

    async def open(self) -> object:
        self.tries += 1
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)


async def test_many_askers_share_one_connection() -> None:
    network = Network("up")
    assert await asyncio.gather(*(network.link.connection() for _ in range(20))) == ["up"] * 20
    assert network.tries == 1
    assert network.link.status.state is LinkState.UP


async def test_a_host_that_hangs_up_is_tried_three_times_before_it_ever_worked() -> None:
    network = Network(LOST, LOST, LOST)
    with pytest.raises(HostError, match="hung up") as caught:
        await network.link.connection()
    assert caught.value.remedy
    assert network.tries == 3
    assert network.pauses == [1.0, 2.0]
    assert network.link.status.state is LinkState.UNREACHABLE


@pytest.mark.parametrize(
    "error",
    [
        asyncssh.PermissionDenied("no"),
        asyncssh.HostKeyNotVerifiable("no"),
        asyncssh.KeyExchangeFailed("no"),
        NeedsUser("locked"),
        ValueError("known_hosts"),
    ],
)
async def test_what_a_person_must_repair_is_never_tried_again(error: Exception) -> None:
    network = Network(error, "up")
    with pytest.raises(HostError):
        await network.link.connection()
    assert (network.tries, network.pauses) == (1, [])
    assert network.link.status.state is LinkState.NEEDS_USER
    assert await network.link.connection() == "up"


async def test_an_unreachable_host_is_told_at_once() -> None:
    network = Network(ConnectionRefusedError(111, "refused"))
    with pytest.raises(HostError, match="nothing answers on port 22"):
        await network.link.connection()
    assert network.tries == 1


async def test_a_link_that_was_up_is_tried_for_ever_with_pauses_that_stop_growing() -> None:
    outage: list[object] = [TimeoutError(), LOST, OSError(113, "no route")] * 5
    network = Network("first", *outage, "second")
    first = await network.link.connection()
    network.link.lost(first, LOST)
    assert network.link.generation == 1
    assert network.link.status.state is LinkState.RECONNECTING
    assert await network.link.connection() == "second"
    assert network.tries == 17
    assert network.pauses[:5] == [1.0, 2.0, 4.0, 8.0, 8.0]
    assert max(network.pauses) == 8.0


async def test_an_old_connection_that_ends_late_is_ignored() -> None:
    network = Network("one", "two")
    network.link.lost(await network.link.connection(), LOST)
    assert await network.link.connection() == "two"
    network.link.lost("one", LOST)
    assert network.link.generation == 1
    assert network.link.status.state is LinkState.UP


async def test_a_connection_that_ends_before_it_is_in_use_is_never_used() -> None:
    network = Network("dead", "alive")
    opening = network.open

    async def open_() -> object:
        connection = await opening()
        if connection == "dead":
            network.link.lost(connection, LOST)
        return connection

    network.link._open = open_
    assert await network.link.connection() == "alive"
    assert network.link.status.state is LinkState.UP


async def test_waiting_for_a_link_that_is_down_has_an_end() -> None:
    forever = asyncio.Event()

    async def open_() -> object:
        await forever.wait()
        return "never"

    link: HostLink[object] = HostLink("spark", open_, lambda error: HostError(str(error)))
    with pytest.raises(LinkLost):
        await link.connection(timeout=0.01)
    waiting = asyncio.create_task(link.connection())
    await asyncio.sleep(0)
    await link.close(lambda _connection: None)
    with pytest.raises(HostError, match="was closed"):
        await waiting


async def test_a_link_that_was_let_go_comes_up_again_when_asked_for() -> None:
    network = Network("one", "two")
    closed: list[object] = []
    assert await network.link.connection() == "one"
    await network.link.close(closed.append)
    network.link.lost("one", LOST)
    assert closed == ["one"]
    assert network.link.status.state is LinkState.IDLE
    assert network.tries == 1
    assert await network.link.connection() == "two"


async def test_closing_ends_the_tries() -> None:
    network = Network("up", *[LOST] * 10_000)
    closed: list[object] = []
    network.link.lost(await network.link.connection(), LOST)
    await until(lambda: network.tries > 3)
    await network.link.close(closed.append)
    tries = network.tries
    await asyncio.sleep(0.02)
    assert network.tries == tries


def test_jitter_stays_under_its_ceiling() -> None:
    backoff = Backoff()
    assert [backoff.pause(n, 1.0) for n in (1, 2, 3, 4, 5, 500)] == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert backoff.pause(5, 0.0) == 0.0


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: __import__("socket").gaierror(-3, "again"), Kind.TRANSIENT),
        (lambda: __import__("socket").gaierror(-2, "no such name"), Kind.NO_NAME),
        (lambda: OSError(113, "no route"), Kind.TRANSIENT),
        (lambda: BrokenPipeError(), Kind.BROKEN),
        (lambda: HostError("the hop is off"), Kind.TRANSIENT),
        (lambda: asyncssh.PermissionDenied("x"), Kind.USER),
    ],
)
def test_kinds_of_failures(make: Callable[[], Exception], kind: Kind) -> None:
    assert kind_of(make()) is kind


def test_every_failure_is_explained_with_its_host() -> None:
    import socket

    errors = [
        socket.gaierror(-2, "no such name"),
        TimeoutError(),
        OSError(113, "no route"),
        ConnectionRefusedError(111, "refused"),
        asyncssh.PermissionDenied("x"),
        asyncssh.ProtocolError("Too many authentication failures"),
        asyncssh.KeyExchangeFailed("x \x1b[31m"),
        LOST,
    ]
    for error in errors:
        found = explain(error, "spark", "10.0.0.1", 2222, "me")
        assert found.host == "spark"
        assert found.remedy
        assert "\x1b" not in str(found)
