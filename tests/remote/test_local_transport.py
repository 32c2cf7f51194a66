"""This machine as a host, and the envelope around scripts under every shell there is."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.remote.failures import CommandFailed, SocketRefused
from sparkrun_tui.remote.local_transport import LocalTransport
from sparkrun_tui.remote.script.envelope import envelope
from sparkrun_tui.remote.transport import LinkState, Outcome
from tests.support.site import until
from tests.support.ssh_server import alive

SHELLS = [
    words for words in (["sh"], ["dash"], ["bash"], ["busybox", "sh"], ["zsh"], ["ksh"]) if shutil.which(words[0])
]


@pytest.mark.parametrize("shell", SHELLS, ids="-".join)
def test_a_script_arrives_whole_under_every_shell(shell: list[str]) -> None:
    data = bytes(range(256)) * 700
    script = "cat | sha256sum\nprintf '%s|' \"it's\" '$HOME' `echo x`\ncat <<'E'\n}; heredoc $(id)\nE\nexit 9"
    wrapped = envelope(script, data)
    # Stdin stays open to the end: its end would mean that nobody wants the script any more.
    with subprocess.Popen([*shell, "-s"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(wrapped.text)
        printed = process.stdout.read()
        assert process.wait(20) == 9
    _, _, output = printed.partition(wrapped.mark + b"\n")
    digest = hashlib.sha256(data).hexdigest().encode()
    assert output == digest + b"  -\nit's|$HOME|x|}; heredoc $(id)\n"


async def test_runs_and_tells_how_it_ended() -> None:
    host = LocalTransport()
    await host.connect()
    assert host.link.state is LinkState.UP
    result = await host.run("cat; echo err >&2; exit 3", stdin=b"in\xff\n")
    assert (result.outcome, result.code, result.stdout, result.stderr) == (Outcome.EXITED, 3, "in\ufffd\n", "err\n")


async def test_a_syntax_error_is_the_scripts_own(tmp_path: Path) -> None:
    result = await LocalTransport().run("if then fi ))")
    assert result.outcome is Outcome.EXITED
    assert result.code == 2
    assert "yntax error" in result.stderr


async def test_time_up_and_cancelling_stop_the_group(tmp_path: Path) -> None:
    host = LocalTransport()
    result = await host.run("echo $$; sleep 100 & wait", timeout=0.5)
    assert result.outcome is Outcome.TIMED_OUT
    await until(lambda: not alive(int(result.stdout)))
    note = tmp_path / "pid"
    task = asyncio.create_task(host.run(f"echo $$ > {note}.new; mv {note}.new {note}; sleep 100"))
    await until(note.exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not alive(int(note.read_text())))


async def test_a_child_left_behind_does_not_hold_us() -> None:
    result = await LocalTransport().run("echo done; sleep 6 &")
    assert result.stdout == "done\n"


async def test_streams_and_their_failure() -> None:
    pieces = []
    with pytest.raises(CommandFailed, match="oh no"):
        async for piece in LocalTransport().stream("echo a; sleep 0.1; echo b; echo 'oh no' >&2; exit 1"):
            pieces.append(piece)
    assert b"".join(data for name, data in pieces if name == "stdout") == b"a\nb\n"


async def test_a_stream_that_is_left_is_stopped() -> None:
    pieces = LocalTransport().stream("echo $$; sleep 100")
    async for _, data in pieces:
        pid = int(data)
        break
    await pieces.aclose()  # type: ignore[attr-defined]
    await until(lambda: not alive(pid))


async def test_much_output_is_read_at_the_readers_pace() -> None:
    total = 0
    async for _, data in LocalTransport().stream("head -c 20000000 /dev/zero"):
        total += len(data)
        if total < 1_000_000:
            await asyncio.sleep(0.001)
    assert total == 20_000_000


async def test_sockets_ports_and_files(tmp_path: Path) -> None:
    host = LocalTransport()
    with pytest.raises(SocketRefused):
        await host.open_socket(str(tmp_path / "none"))
    with pytest.raises(SocketRefused):
        await host.open_tcp("127.0.0.1", 9)
    command = await host.open_command(["cat"])
    await command.write(b"echo")
    assert await command.read(10) == b"echo"
    await command.close()
    await host.write_file("~/deep/file", b"x", 0o644)
    target = Path.home() / "deep/file"
    assert target.read_bytes() == b"x"
    assert target.stat().st_mode & 0o777 == 0o644
    with pytest.raises(HostError, match="cannot be written"):
        await host.write_file("/dev/null/x", b"")
