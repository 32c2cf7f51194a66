"""Images onto hosts and ways to a daemon, with stand-ins for the docker command."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.remote.docker.client import DockerClient
from sparkrun_tui.remote.docker.dial import Dialer, Look, cause, parse_look
from sparkrun_tui.remote.docker.types import DockerError
from sparkrun_tui.remote.local_transport import LocalTransport
from sparkrun_tui.remote.ports.models import Transfer
from sparkrun_tui.remote.transfer.images import DockerImages
from sparkrun_tui.remote.transport import Transport
from tests.support.docker_things import image_json
from tests.support.fake_docker import FakeDocker
from tests.support.site import Site

IMAGE = "acme/engine:1"

BRIDGE = """\
#!{python}
import os, socket, sys, threading
if sys.argv[1:] == ["version"]:
    sys.exit(0)
assert sys.argv[1:] == ["system", "dial-stdio"], sys.argv
link = socket.socket(socket.AF_UNIX)
link.connect({socket!r})
def up():
    while data := os.read(0, 65536):
        link.sendall(data)
    link.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while data := link.recv(65536):
    os.write(1, data)
"""


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[FakeDocker]:
    async with FakeDocker(tmp_path / "docker") as docker:
        yield docker


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts a program called `docker` first on PATH, for this process and the hosts it serves."""

    def install(text: str) -> Path:
        path = tmp_path / "bin" / "docker"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")
        return path

    return install


def images_of(site: Site, daemon: FakeDocker) -> DockerImages:
    def clients(transport: Transport) -> DockerClient:
        return DockerClient(transport, str(daemon.socket))

    return DockerImages(clients, site.resolver, site.policy)


async def test_where_forwarding_is_forbidden_the_docker_command_is_the_bridge(
    site: Site, daemon: FakeDocker, command: Callable[[str], Path]
) -> None:
    site.server.traits.forwarding = False
    command(BRIDGE.format(python=sys.executable, socket=str(daemon.socket)))
    client = DockerClient(site.pool.transport("spark"))
    daemon.images[IMAGE] = image_json(IMAGE)
    assert (await client.info()).version == "20.10.24"
    assert client.way == "docker system dial-stdio"
    made = await client.create("mine", {"Image": IMAGE})
    await client.start(made)
    assert (await client.run_exec(made, ["true"])).ok
    await client.close()


async def test_another_socket_is_found_where_the_host_names_it(
    site: Site, daemon: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{daemon.socket}")
    dialer = Dialer(site.pool.transport("spark"), str(site.folder / "none.sock"))
    stream = await dialer.dial()
    await stream.close()
    assert dialer.way == str(daemon.socket)


@pytest.mark.parametrize(
    ("look", "what", "remedy"),
    [
        (Look(user="me", denied=("/var/run/docker.sock",), cli=True), "me may not use Docker", "usermod -aG docker me"),
        (Look(cli=True), "not running", "systemctl start docker"),
        (Look(), "not installed", "apt-get install"),
        (Look(usable=("/var/run/docker.sock",)), "does not forward", "AllowStreamLocalForwarding"),
    ],
)
def test_why_docker_cannot_be_reached(look: Look, what: str, remedy: str) -> None:
    found = cause(look, "spark")
    assert what in found.what
    assert remedy in found.remedy
    assert found.host == "spark"


def test_what_a_look_at_the_host_prints() -> None:
    look = parse_look(
        "groups=me docker\nuser=me\nusable=/run/user/1/docker.sock\ndenied=/var/run/docker.sock\ncli=yes\n"
    )
    assert look == Look("me", ("me", "docker"), ("/run/user/1/docker.sock",), ("/var/run/docker.sock",), cli=True)


async def test_a_pull_has_an_anchor_on_the_host(
    site: Site, daemon: FakeDocker, command: Callable[[str], Path], tmp_path: Path
) -> None:
    command(f'#!/bin/sh\nprintf "%s|" "$@" >> {tmp_path}/calls\n')
    daemon.registry[IMAGE] = [
        {"id": "a", "status": "Downloading", "progressDetail": {"current": 40, "total": 100}},
        {"id": "a", "status": "Pull complete"},
    ]
    seen = [moved async for moved in images_of(site, daemon).pull(site.pool.transport("spark"), IMAGE)]
    assert [(moved.done, moved.total) for moved in seen] == [(40, 100), (100, 100), (100, 100)]
    assert (tmp_path / "calls").read_text() == f"pull|-q|--|{IMAGE}|"
    assert list((Path.home() / ".cache/sparkrun-tui/jobs").iterdir()) == []


async def test_a_private_image_is_pulled_with_the_hosts_own_login(
    site: Site, daemon: FakeDocker, command: Callable[[str], Path], tmp_path: Path
) -> None:
    done = tmp_path / "pulled"
    command(f"#!/bin/sh\nsleep 0.2\ntouch {done}\n")

    def after_the_login(_method: str, _path: str) -> None:
        if done.exists():
            daemon.images[IMAGE] = image_json(IMAGE)

    daemon.on_request = after_the_login
    seen = [moved async for moved in images_of(site, daemon).pull(site.pool.transport("spark"), IMAGE)]
    assert any("own login" in moved.detail for moved in seen)


async def test_an_image_that_is_refused_says_so_and_leaves_no_job(
    site: Site, daemon: FakeDocker, command: Callable[[str], Path]
) -> None:
    command("#!/bin/sh\necho 'Error: pull access denied for acme/engine' >&2\nexit 1\n")
    with pytest.raises(DockerError, match="pull access denied") as caught:
        async for _moved in images_of(site, daemon).pull(site.pool.transport("spark"), IMAGE):
            pass
    assert caught.value.remedy == "On the host: docker login"
    assert list((Path.home() / ".cache/sparkrun-tui/jobs").iterdir()) == []


async def test_an_image_is_sent_through_children(
    site: Site, daemon: FakeDocker, command: Callable[[str], Path], tmp_path: Path
) -> None:
    daemon.images[IMAGE] = image_json(IMAGE, size=3_000_000)
    command(
        '#!/bin/sh\ncase $1 in\nsave) [ "$3" = acme/engine:1 ] && head -c 3000000 /dev/zero ;;\n'
        f"load) cat > {tmp_path}/loaded ;;\nesac\n"
    )
    here = LocalTransport()
    seen = [moved async for moved in images_of(site, daemon).stream(here, IMAGE)]
    assert seen[-1] == Transfer(3_000_000, 3_000_000)
    assert (tmp_path / "loaded").stat().st_size == 3_000_000
    assert await images_of(site, daemon).local(IMAGE, "aarch64")
    assert not await images_of(site, daemon).local(IMAGE, "x86_64")
    assert not await images_of(site, daemon).local("acme/other:1", "")


async def test_a_load_that_fails_is_told_in_its_words(
    site: Site, daemon: FakeDocker, command: Callable[[str], Path]
) -> None:
    daemon.images[IMAGE] = image_json(IMAGE)
    command(
        "#!/bin/sh\ncase $1 in\nsave) head -c 3000000 /dev/zero ;;\nload) echo 'no space left' >&2; exit 1 ;;\nesac\n"
    )
    with pytest.raises(HostError, match="no space left"):
        async for _moved in images_of(site, daemon).stream(LocalTransport(), IMAGE):
            pass
    with pytest.raises(HostError, match="no image acme/none"):
        async for _moved in images_of(site, daemon).stream(LocalTransport(), "acme/none:1"):
            pass
