"""Commands, sockets and files on a host, over a real SSH connection."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.remote.failures import CommandFailed, LinkLost, SocketRefused
from sparkrun_tui.remote.ssh import connection
from sparkrun_tui.remote.ssh import transport as ssh_transport
from sparkrun_tui.remote.ssh.transport import SshTransport
from sparkrun_tui.remote.transport import LinkState, Outcome
from tests.support.site import Site, until
from tests.support.ssh_server import alive


@pytest.fixture
def off(site: Site) -> Iterator[Site]:
    """The host as one that is off: nothing of it answers. A queue that is full answers none, either."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = []
        for _ in range(4):
            queued = socket.socket()
            queued.setblocking(False)
            queued.connect_ex(full.getsockname())
            waiting.append(queued)
        site.change(port=full.getsockname()[1])
        yield site
        for queued in waiting:
            queued.close()


async def test_a_host_that_is_off_is_given_up_before_one_that_is_slow(
    off: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT", 0.3)
    monkeypatch.setattr(connection, "LOGIN_TIMEOUT", 600.0)
    async with asyncio.timeout(60):
        with pytest.raises(HostError, match="does not answer"):
            await off.pool.transport("spark").connect()


async def test_a_host_that_has_answered_may_take_longer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT", 0.5)
    site.server.traits.admitted = asyncio.Event()
    asyncio.get_running_loop().call_later(1.5, site.server.traits.admitted.set)
    assert (await site.pool.transport("spark").run("echo in")).stdout == "in\n"


async def test_a_script_gives_its_output_and_exit_code(site: Site) -> None:
    host = site.pool.transport("spark")
    result = await host.run("echo out; echo err >&2; exit 3")
    assert (result.outcome, result.code) == (Outcome.EXITED, 3)
    assert (result.stdout, result.stderr) == ("out\n", "err\n")
    assert not result.ok
    assert host.link.state is LinkState.UP


async def test_the_command_line_is_constant_whatever_the_script(site: Site) -> None:
    host = site.pool.transport("spark")
    script = "printf '%s|' 'a b' \"$HOME\" '$(id)' \"it's\" `echo tick`; echo 'ü'"
    result = await host.run(script)
    assert result.stdout.startswith("a b|")
    assert "$(id)|it's|tick|ü" in result.stdout
    assert site.server.commands == ["sh -s"]


async def test_stdin_reaches_the_script_byte_for_byte(site: Site) -> None:
    data = bytes(range(256)) * 3000
    result = await site.pool.transport("spark").run('sha256sum; echo "$?"', stdin=data)
    import hashlib

    assert result.stdout.split()[0] == hashlib.sha256(data).hexdigest()


async def test_banners_of_the_login_shell_are_dropped(site: Site) -> None:
    site.server.traits.banner = b"Welcome to \xff\xfe DGX OS\nlast login: never\n"
    result = await site.pool.transport("spark").run("echo hello")
    assert result.stdout == "hello\n"
    assert result.stderr == ""


async def test_an_account_without_a_shell_is_named(site: Site) -> None:
    site.server.traits.refuse_command = "This account is currently not available."
    with pytest.raises(HostError, match=r"did not run our script.*not available"):
        await site.pool.transport("spark").run("true")


async def test_invalid_utf8_does_not_cost_the_connection(site: Site) -> None:
    host = site.pool.transport("spark")
    result = await host.run(r"printf 'a\377b\000c\n'")
    assert result.stdout == "a\ufffdb\0c\n"
    assert (await host.run("echo still")).stdout == "still\n"
    assert site.server.logins == 1


async def test_output_is_bounded_in_the_middle(site: Site) -> None:
    result = await site.pool.transport("spark").run("echo first; yes | head -c 5000000; echo last")
    assert result.stdout.startswith("first\n")
    assert result.stdout.endswith("last\n")
    assert "bytes left out" in result.stdout
    assert len(result.stdout) < 2_200_000


async def test_a_child_that_keeps_the_output_open_does_not_keep_us(site: Site) -> None:
    result = await site.pool.transport("spark").run("echo done; sleep 6 & echo $! >&2", timeout=20)
    assert result.ok
    assert result.stdout == "done\n"


async def test_time_up_stops_the_whole_process_group(site: Site) -> None:
    result = await site.pool.transport("spark").run("echo $$; sleep 100 & wait", timeout=0.8)
    assert result.outcome is Outcome.TIMED_OUT
    assert result.code is None
    pid = int(result.stdout)
    await until(lambda: not alive(pid))


async def test_a_cancelled_command_leaves_nothing_behind(site: Site) -> None:
    host = site.pool.transport("spark")
    note = site.folder / "pid"
    task = asyncio.create_task(host.run(f"echo $$ > {note}.new; mv {note}.new {note}; sleep 100"))
    await until(note.exists)
    pid = int(note.read_text())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not alive(pid))


async def test_a_command_that_ignores_term_is_killed(site: Site) -> None:
    result = await site.pool.transport("spark").run("trap '' TERM; echo $$; sleep 100; sleep 100", timeout=0.5)
    assert result.outcome is Outcome.TIMED_OUT
    pid = int(result.stdout)
    await until(lambda: not alive(pid), 8.0)


async def test_a_lost_link_is_lost_and_comes_back(site: Site) -> None:
    host = site.pool.transport("spark")
    note = site.folder / "pid"
    task = asyncio.create_task(host.run(f"echo $$ > {note}.new; mv {note}.new {note}; sleep 100"))
    await until(note.exists)
    pid = int(note.read_text())
    site.server.drop()
    result = await task
    assert result.outcome is Outcome.LOST
    assert result.code is None
    assert not result.ok
    await until(lambda: not alive(pid))
    assert (await host.run("echo back")).stdout == "back\n"
    assert site.server.logins == 2


async def test_the_link_comes_back_by_itself(site: Site) -> None:
    host = site.pool.transport("spark")
    await host.connect()
    site.server.drop()
    await until(lambda: site.server.logins == 2 and host.link.state is LinkState.UP)


async def test_more_commands_than_sessions_all_run(site: Site) -> None:
    host = site.pool.transport("spark")
    results = await asyncio.gather(*(host.run(f"sleep 0.05; echo {number}") for number in range(20)))
    assert [result.stdout for result in results] == [f"{number}\n" for number in range(20)]
    assert site.server.logins == 1


class _Refusing:
    """A link over which no session opens; `lost` tells whether that is because the connection ends each time."""

    def __init__(self, lost: bool) -> None:
        self.lost = lost
        self.generation = 0
        self.tries = 0
        self.sessions = asyncio.Semaphore(1)

    async def connection(self, timeout: float | None = None) -> _Refusing:
        return self

    async def create_session(self, *_: object, **__: object) -> None:
        self.tries += 1
        self.generation += self.lost
        raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "no")

    def is_closed(self) -> bool:
        return False


async def test_a_connection_that_ends_again_and_again_is_lost_and_refuses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ssh_transport, "_RETRY_PAUSE", 0.0)
    link: Any = _Refusing(lost=True)
    assert (await SshTransport("spark", link).run("true")).outcome is Outcome.LOST
    assert link.tries > 3
    refusing: Any = _Refusing(lost=False)
    with pytest.raises(SocketRefused, match="opens no session"):
        await SshTransport("spark", refusing).run("true")


async def test_a_stream_comes_in_pieces_and_its_failure_is_told(site: Site) -> None:
    host = site.pool.transport("spark")
    pieces: list[tuple[str, bytes]] = []
    with pytest.raises(CommandFailed, match="no such thing") as caught:
        async for piece in host.stream("echo one; echo 'no such thing' >&2; exit 5"):
            pieces.append(piece)
    assert caught.value.code == 5
    assert b"".join(data for name, data in pieces if name == "stdout") == b"one\n"


async def test_a_stream_over_a_lost_link_is_lost(site: Site) -> None:
    host = site.pool.transport("spark")
    with pytest.raises(LinkLost):
        async for _piece in host.stream("echo one; sleep 100"):
            site.server.drop()


async def test_a_unix_socket_of_the_host(site: Site) -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()

    path = site.folder / "echo.sock"
    server = await asyncio.start_unix_server(shout, str(path))
    async with server:
        stream = await site.pool.transport("spark").open_socket(str(path))
        await stream.write(b"hello\n")
        assert await stream.read(100) == b"HELLO\n"
        assert await stream.read(100) == b""
        await stream.close()
    with pytest.raises(SocketRefused):
        await site.pool.transport("spark").open_socket(str(site.folder / "none.sock"))


async def test_forwarding_that_is_forbidden_is_refused_with_a_remedy(site: Site) -> None:
    site.server.traits.forwarding = False
    with pytest.raises(SocketRefused, match="forbids forwarding"):
        await site.pool.transport("spark").open_tcp("127.0.0.1", site.server.port)


async def test_a_file_is_written_whole_with_its_mode(site: Site, tmp_path: Path) -> None:
    host = site.pool.transport("spark")
    target = tmp_path / "new folder" / "it's"
    await host.write_file(str(target), b"\0secret\n", 0o640)
    assert target.read_bytes() == b"\0secret\n"
    assert target.stat().st_mode & 0o777 == 0o640
    await host.write_file(str(target), b"")
    assert target.read_bytes() == b""
    assert [path.name for path in target.parent.iterdir()] == ["it's"]
    with pytest.raises(HostError, match="cannot be written"):
        await host.write_file(f"{site.key_file}/x", b"")
