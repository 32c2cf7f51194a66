"""The command line at a real terminal: questions, ctrl+c, a terminal that closes, and hosts that go silent."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from cluster import Cluster, Host
from cluster.workstation import Workstation

Run = Callable[..., subprocess.CompletedProcess[str]]


class Terminal:
    """The program at a terminal of its own, as a person has it."""

    def __init__(self, *arguments: str) -> None:
        argv = [sys.executable, "-P", "-m", "sparkrun_tui", *arguments]
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.execv(argv[0], argv)
        self.text = ""
        self._code: int | None = None

    def wait_for(self, words: str, seconds: float = 60) -> None:
        """Read until these words have come."""
        deadline = time.monotonic() + seconds
        while words not in self.text:
            assert time.monotonic() < deadline, f"no {words!r} in:\n{self.text}"
            if not self._read(0.2) and self.ended:
                pytest.fail(f"it ended without {words!r}:\n{self.text}")

    def type(self, text: str) -> None:
        """Type on its keyboard."""
        os.write(self._fd, text.encode())

    def interrupt(self) -> None:
        """ctrl+c, as the terminal turns it into a signal."""
        self.type("\x03")

    @property
    def echoes(self) -> bool:
        """Whether what is typed is shown."""
        return bool(termios.tcgetattr(self._fd)[3] & termios.ECHO)

    @property
    def ended(self) -> bool:
        if self._code is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code is not None

    def end(self, seconds: float = 60) -> int:
        """Wait for its end; the exit code."""
        deadline = time.monotonic() + seconds
        while not self.ended:
            assert time.monotonic() < deadline, f"it goes on:\n{self.text}"
            self._read(0.1)
        while self._read(0.05):
            pass
        assert self._code is not None
        return self._code

    def hang_up(self) -> None:
        """Close the terminal's window."""
        os.close(self._fd)
        self._fd = -1

    def close(self) -> None:
        if not self.ended:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        if self._fd >= 0:
            os.close(self._fd)

    def _read(self, seconds: float) -> bool:
        if self._fd < 0:
            time.sleep(seconds)
            return False
        ready, _, _ = select.select([self._fd], [], [], seconds)
        data = b""
        with suppress(OSError):
            data = os.read(self._fd, 65536) if ready else b""
        self.text += data.decode(errors="replace")
        return bool(data)


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    """Open the program at a terminal: `terminal("status")`."""
    opened: list[Terminal] = []

    def begin(*arguments: str) -> Terminal:
        opened.append(Terminal(*arguments))
        return opened[-1]

    yield begin
    for item in opened:
        item.close()


def test_an_unknown_host_is_asked_about_once(
    hosts: list[Host], workstation: Workstation, sparkrun: Run, terminal: Callable[..., Terminal]
) -> None:
    workstation.known_hosts.write_text("")
    refused = sparkrun("cluster", "check", "-H", hosts[0].name)
    assert refused.returncode == 3
    assert "SHA256:" in refused.stderr
    assert f"ssh {hosts[0].name} true" in refused.stderr

    no = terminal("cluster", "check", "-H", hosts[0].name)
    no.wait_for("Is this the right host?")
    no.type("no\n")
    assert no.end() == 3

    yes = terminal("cluster", "check", "-H", hosts[0].name)
    yes.wait_for("Is this the right host?")
    assert "SHA256:" in yes.text
    yes.type("yes\n")
    assert yes.end() == 0
    assert sparkrun("cluster", "check", "-H", hosts[0].name).returncode == 0


def test_ctrl_c_at_a_question_leaves_at_once(
    hosts: list[Host], workstation: Workstation, terminal: Callable[..., Terminal]
) -> None:
    workstation.known_hosts.write_text("")
    asked = terminal("status", "-H", hosts[0].name)
    asked.wait_for("Is this the right host?")
    asked.interrupt()
    assert asked.end(10) == 130
    assert "Traceback" not in asked.text


@pytest.fixture
def locked_key(workstation: Workstation, cluster: Cluster, tmp_path: Path) -> str:
    """Only a key with a passphrase opens the hosts; the passphrase."""
    key = tmp_path / "locked"
    key.write_bytes(Path(cluster.key).read_bytes())
    key.chmod(0o600)
    argv = ["ssh-keygen", "-q", "-p", "-f", str(key), "-P", "", "-N", "open sesame"]
    subprocess.run(argv, check=True, capture_output=True)
    config = workstation.ssh_config.read_text().replace(str(cluster.key), str(key))
    workstation.ssh_config.write_text(config)
    return "open sesame"


def test_a_passphrase_is_asked_for_without_showing_it(
    hosts: list[Host], locked_key: str, sparkrun: Run, terminal: Callable[..., Terminal]
) -> None:
    both = ",".join(host.name for host in hosts)
    refused = sparkrun("cluster", "check", "-H", both)
    assert refused.returncode == 3
    assert "passphrase" in refused.stderr

    asked = terminal("cluster", "check", "-H", both)
    asked.wait_for("Passphrase of")
    assert not asked.echoes
    asked.type("wrong\n")
    asked.wait_for("That passphrase was wrong")
    asked.type(f"{locked_key}\n")
    assert asked.end() == 0
    assert locked_key not in asked.text
    assert asked.text.count("Passphrase of") == 2


def test_ctrl_c_at_a_passphrase_puts_the_terminal_right(
    hosts: list[Host], locked_key: str, terminal: Callable[..., Terminal]
) -> None:
    asked = terminal("status", "-H", hosts[0].name)
    asked.wait_for("Passphrase of")
    assert not asked.echoes
    asked.interrupt()
    assert asked.end(10) == 130
    assert asked.echoes


def test_a_window_that_closes_ends_nothing_on_the_hosts(
    hosts: list[Host], recipes: Path, sparkrun: Run, terminal: Callable[..., Terminal]
) -> None:
    head = hosts[0].name
    window = terminal("run", str(recipes / "tiny-llama.yaml"), "-H", head, "--follow")
    window.wait_for("serves tiny at")
    window.hang_up()
    window.end()
    assert "serving" in sparkrun("status", "-H", head).stdout
    assert sparkrun("stop", "tiny-llama", "-H", head).returncode == 0


def test_a_host_that_goes_silent_while_watched_is_exit_code_3(
    hosts: list[Host], recipes: Path, sparkrun: Run, terminal: Callable[..., Terminal]
) -> None:
    head = hosts[0]
    assert sparkrun("run", str(recipes / "tiny-llama.yaml"), "-H", head.name).returncode == 0
    watching = terminal("logs", "tiny-llama", "-f", "-H", head.name)
    watching.wait_for(": ready")
    head.faults.link_down()
    watching.wait_for("cannot be asked", 90)
    watching.interrupt()
    assert watching.end() == 3
    head.faults.link_up()
    again = terminal("logs", "tiny-llama", "-f", "-H", head.name)
    again.wait_for(": ready")
    again.interrupt()
    assert again.end() == 0
    assert sparkrun("stop", "tiny-llama", "-H", head.name).returncode == 0
