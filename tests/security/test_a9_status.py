"""A9: the real `status` on this machine with a hostile daemon ends with exit code 3 and a plain word."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest


def _serve(server: socket.socket, body: bytes) -> None:
    """Answer `_ping` well and everything else with `body`, until the socket is closed."""

    def one(connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(65_536):
                said = b"OK" if b"_ping" in data else body
                head = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: %d\r\n\r\n" % len(said)
                connection.sendall(head + said)

    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=one, args=(connection,), daemon=True).start()


def _with_docker(folder: Path) -> str:
    """A search path that begins with a docker command that says the daemon is well."""
    folder.mkdir()
    docker = folder / "docker"
    docker.write_text("#!/bin/sh\nprintf 'version=27.0\\nroot=/var/lib/docker\\nruntimes=runc\\n'\n")
    docker.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.mark.skipif(os.path.exists("/var/run/docker.sock"), reason="a Docker daemon runs here")
@pytest.mark.parametrize("body", [b"<html>", b"null", b"[" * 100_000, b"[1]"])
def test_status_names_the_host_and_exits_with_3(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "d.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        threading.Thread(target=_serve, args=(server, body), daemon=True).start()
        env = os.environ | {"DOCKER_HOST": f"unix://{path}", "PATH": _with_docker(tmp_path / "bin")}
        words = [sys.executable, "-m", "sparkrun_tui", "status", "-H", "localhost"]
        done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert "cannot be understood" in done.stdout
    assert "unexpected" not in done.stdout + done.stderr
