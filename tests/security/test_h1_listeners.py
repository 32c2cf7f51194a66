"""H1: another user of a host, who listens where a server is to be, gets neither its key nor a prompt, nor its name."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.fleet.load import readings
from sparkrun_tui.fleet.model import Health
from sparkrun_tui.fleet.survey import survey
from sparkrun_tui.launch.launcher import Launcher
from sparkrun_tui.launch.record.events import LaunchStatus
from sparkrun_tui.launch.run.launch import Launch
from sparkrun_tui.remote.docker import listening
from sparkrun_tui.remote.docker.listening import Listener, Listeners, Place, read, words
from sparkrun_tui.remote.http.client import HttpReply
from sparkrun_tui.remote.script.output import Kept
from sparkrun_tui.remote.transport import Outcome, Result
from tests.launch.fakes import SOLO, FakeCluster, FakeContainer, rendered
from tests.launch.fakes.docker import FakeDocker
from tests.launch.fakes.host import FakeHost
from tests.launch.virtual import virtual_time

KEY = "canary-key-Zq8vT3"
KEYED = SOLO.replace("--port {port}", "--port {port} --api-key {api_key}")
ROOT = Path(__file__).parents[2]
SHELLS = [["sh"], ["busybox", "sh"], ["bash", "--posix"]]

ANY, LOOP, OWN_IP, OTHER_IP = "00000000", "0100007F", "0A00000A", "0B00000A"
"""0.0.0.0, 127.0.0.1, 10.0.0.10 and 10.0.0.11 as the kernel prints them."""
ANY6, LOOP6, MAPPED = "0" * 32, "0" * 24 + "01000000", "0000000000000000FFFF00000100007F"
OURS, THEIRS = "4711", "666"


def row(address: str, inode: str, port: int = 8000, state: str = "0A") -> str:
    remote = "0" * len(address)
    return f"   0: {address}:{port:04X} {remote}:0000 {state} 00000000:00000000 00:00000000 00000000 0 0 {inode} 1 0\n"


def kernel(folder: Path, rows: Sequence[str], sockets: Sequence[str] = (OURS,), state: str = "S") -> Path:
    """The kernel's files as a container with one process sees them."""
    (folder / "net").mkdir(parents=True)
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    (folder / "net/tcp").write_text(head + "".join(line for line in rows if len(line.split()[1]) < 20))
    (folder / "net/tcp6").write_text(head + "".join(line for line in rows if len(line.split()[1]) > 20))
    (folder / "7/fd").mkdir(parents=True)
    (folder / "7/stat").write_text(f"7 (a ) Z) {state} 1 7 7 0 -1\n")
    for number, inode in enumerate(sockets):
        (folder / f"7/fd/{number}").symlink_to(f"socket:[{inode}]")
    (folder / "7/fd/99").symlink_to("/dev/null")
    return folder


def asked(proc: Path, address: str, shell: Sequence[str] = ("sh",)) -> Listener:
    said = words(8000, str(proc))
    done = subprocess.run([*shell, *said[1:]], capture_output=True, text=True, timeout=20, check=True)
    return read(done.stdout, address)


TABLE = [
    ([row(ANY, OURS)], "127.0.0.1", Listener.OWN),
    ([row(ANY6, OURS)], "127.0.0.1", Listener.OWN),
    ([row(OWN_IP, OURS)], "10.0.0.10", Listener.OWN),
    ([row(MAPPED, OURS)], "127.0.0.1", Listener.OWN),
    # A container in a network of its own is reached at an address of its host.
    ([row(OTHER_IP, OURS)], "127.0.0.1", Listener.OWN),
    ([row(LOOP, THEIRS)], "127.0.0.1", Listener.OTHER),
    ([row(ANY, THEIRS)], "127.0.0.1", Listener.OTHER),
    ([row(ANY6, THEIRS)], "10.0.0.10", Listener.OTHER),
    ([row(MAPPED, THEIRS)], "127.0.0.1", Listener.OTHER),
    # The server has another address, and somebody has taken loopback.
    ([row(OWN_IP, OURS), row(LOOP, THEIRS)], "127.0.0.1", Listener.OTHER),
    ([row(OWN_IP, OURS), row(LOOP, THEIRS)], "10.0.0.10", Listener.OWN),
    ([row(OWN_IP, OURS), row(LOOP6, THEIRS)], "10.0.0.10", Listener.OWN),
    ([row(OWN_IP, OURS), row(LOOP, THEIRS)], "spark-1", Listener.OTHER),
    ([row(OWN_IP, OURS), row(LOOP, THEIRS)], "10.0.0.12", Listener.OTHER),
    ([row(LOOP, "6660")], "127.0.0.1", Listener.OTHER),
    ([row(LOOP, "4711", port=8001)], "127.0.0.1", Listener.NOBODY),
    ([row(LOOP, OURS, state="01")], "127.0.0.1", Listener.NOBODY),
    ([], "127.0.0.1", Listener.NOBODY),
]


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize(("rows", "address", "expected"), TABLE)
def test_the_table_of_the_kernel_says_who_listens(
    tmp_path: Path, rows: list[str], address: str, expected: Listener, shell: list[str]
) -> None:
    if shutil.which(shell[0]) is None:
        pytest.skip(f"no {shell[0]} here")
    assert asked(kernel(tmp_path / "proc", rows), address, shell) is expected


def test_what_cannot_be_seen_is_unknown(tmp_path: Path) -> None:
    assert asked(tmp_path, "127.0.0.1") is Listener.UNKNOWN
    hidden = kernel(tmp_path / "proc", [row(LOOP, THEIRS)])
    shutil.rmtree(hidden / "7/fd")
    assert asked(hidden, "127.0.0.1") is Listener.UNKNOWN
    # The sockets of a process that has ended are none.
    (hidden / "7/stat").write_text("7 (a ) b) Z 1 7 7 0 -1\n")
    assert asked(hidden, "127.0.0.1") is Listener.OTHER


def test_what_is_left_out_of_a_long_output_may_be_the_servers_socket() -> None:
    kept = Kept(1000)
    kept.add(f"{row(ANY, OURS)}\n".encode())
    for number in range(1000):
        kept.add(b"socket:[%d]\n" % number)
    kept.add(b"end\n")
    assert read(kept.text(), "127.0.0.1") is Listener.UNKNOWN


@pytest.mark.parametrize(
    "text", ["", "\n", "end", "unknown\n", "\x1b[2J", "0A " * 50_000, "a: b c 0A e f g h i j\n\nend\n", "\0\n\nend\n\n"]
)
def test_any_answer_of_a_container_is_read(text: str) -> None:
    assert read(text, "127.0.0.1") in (Listener.UNKNOWN, Listener.NOBODY)


def test_a_server_of_this_machine_is_seen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = subprocess.run(words(port), capture_output=True, text=True, timeout=20, check=True)
    assert read(done.stdout, "127.0.0.1") is Listener.OWN


class Seen(FakeDocker):
    """A daemon whose containers see who listens."""

    def __init__(self, host: FakeHost, rows: dict[str, list[str]], asked: list[str]) -> None:
        super().__init__(host)
        self._rows = rows
        self._asked = asked

    async def run_exec(self, container: str, argv: Sequence[str], *, timeout: float = 60.0) -> Result:
        if "listen" not in argv:
            return await super().run_exec(container, argv, timeout=timeout)
        await self._turn()
        self._host.check()
        self._asked.append(container)
        listed = "".join(self._rows["now"])
        return Result(Outcome.EXITED, 0, f"{listed}\nsocket:[{OURS}]\nend\n", "")


class Scene:
    """A launch on a host, on which somebody may listen at its port."""

    def __init__(self, cluster: FakeCluster, *rows: str) -> None:
        self.cluster = cluster
        self.rows = {"now": list(rows)}
        self.asked: list[str] = []
        services = cluster.services
        self.services = replace(
            services, docker=lambda transport: Seen(cluster.hosts[transport.name], self.rows, self.asked)
        )
        self.launcher = Launcher(cluster.launcher().settings, self.services, {})

    def begin(self) -> Launch:
        return self.launcher.launch(self.launcher.plan(rendered(KEYED, api_key=KEY), self.cluster.cluster))

    def keys(self) -> set[str]:
        return {call.key.reveal() for call in self.cluster.http.calls if call.key is not None}


async def slow(host: FakeHost, container: FakeContainer) -> int:
    """An engine that loads for long, during which another program answers at its port."""
    host.open(8000, "tiny")
    await asyncio.sleep(10_000_000)
    return 0


IMPOSTORS = {
    "says that all is well": {},
    "wants a key": {"/health": HttpReply(401, b"")},
    "loads": {"/health": HttpReply(503, b"")},
    "sends on": {"/health": HttpReply(302, b"")},
}


@pytest.mark.parametrize("answers", IMPOSTORS.values(), ids=IMPOSTORS.keys())
@virtual_time
async def test_who_listens_first_is_not_the_server(cluster: FakeCluster, answers: dict[str, HttpReply]) -> None:
    scene = Scene(cluster, row(LOOP, THEIRS))
    cluster[1].program = slow
    cluster.http.answers = dict(answers)
    launch = scene.begin()
    await asyncio.sleep(300)
    assert launch.state.status is LaunchStatus.STARTING
    assert scene.asked and scene.keys() == set()
    assert {call.path for call in cluster.http.calls} == {"/health"}
    told = [notice.text for notice in launch.state.notices if "another program answers" in notice.text]
    assert len(told) <= 2 and "127.0.0.1:8000" in told[0]
    # It leaves, and the server comes.
    cluster.http.answers = {}
    scene.rows["now"] = [row(ANY, OURS)]
    assert (await launch.wait_ready()).status is LaunchStatus.READY
    assert scene.keys() == {KEY}
    await launch.stop()


@virtual_time
async def test_a_server_on_its_own_address_is_asked_there(cluster: FakeCluster) -> None:
    cluster[1].facts = replace(cluster[1].facts, default_address="10.0.0.10")
    scene = Scene(cluster, row(OWN_IP, OURS), row(LOOP, THEIRS))
    launch = scene.begin()
    assert (await launch.wait_ready()).status is LaunchStatus.READY
    assert {call.address for call in cluster.http.calls if call.key is not None} == {"10.0.0.10"}
    assert await launch.own_address() == "10.0.0.10"
    view = await survey(cluster.cluster, scene.services)
    (workload,) = view.workloads
    assert (workload.health, workload.address) == (Health.SERVING, "10.0.0.10")
    await launch.stop()


@virtual_time
async def test_one_that_takes_the_place_of_a_server_later_is_found_out(cluster: FakeCluster) -> None:
    scene = Scene(cluster, row(ANY, OURS))
    launch = scene.begin()
    await launch.wait_ready()
    assert await launch.own_address() == "127.0.0.1"
    scene.rows["now"] = [row(LOOP, THEIRS)]
    cluster.http.calls.clear()
    await asyncio.sleep(listening.LASTS + 30)
    assert launch.state.status is LaunchStatus.DEGRADED
    with pytest.raises(HostError, match="another program answers"):
        await launch.own_address()
    cluster.http.calls.clear()
    await asyncio.sleep(300)
    assert scene.keys() == set()
    view = await survey(cluster.cluster, scene.services)
    (workload,) = view.workloads
    assert (workload.health, workload.port) == (Health.DEGRADED, None)
    assert "another program answers" in workload.detail
    assert await readings(view, scene.services) == {}
    await launch.stop()


@virtual_time
async def test_a_container_is_asked_once_a_minute(cluster: FakeCluster) -> None:
    scene = Scene(cluster, row(ANY, OURS))
    launch = scene.begin()
    await launch.wait_ready()
    scene.asked.clear()
    await asyncio.sleep(600)
    assert 0 < len(scene.asked) <= 12
    await launch.stop()


async def test_what_is_kept_is_bounded() -> None:
    class Daemon:
        async def run_exec(self, container: str, argv: Sequence[str], *, timeout: float = 60.0) -> Result:
            return Result(Outcome.EXITED, 0, f"{row(ANY, OURS)}\nsocket:[{OURS}]\nend\n", "")

    listeners = Listeners()
    for number in range(2000):
        assert await listeners.at(Place("spark-1", f"c{number}", 8000, "127.0.0.1"), Daemon()) is Listener.OWN
    assert len(listeners._known) <= 256


def test_no_other_module_asks_servers() -> None:
    """A request to a server is made only where it is known who listens there, or without its key."""
    asking = {
        "fleet/asking.py",  # of workloads that the survey found to serve
        "fleet/survey.py",
        "launch/prompting.py",  # made by question.py
        "launch/question.py",  # at the address that `own_address` or the survey gives
        "launch/run/asking.py",
    }
    found = set()
    for path in sorted((ROOT / "sparkrun_tui").rglob("*.py")):
        if re.search(r"\bHttpCall\(", path.read_text(encoding="utf-8")):
            found.add(str(path.relative_to(ROOT / "sparkrun_tui")))
    assert found == asking
