"""G1: what a server sends along with a redirect is not read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from sparkrun_tui.remote.http import web
from tests.cli.conftest import Cli, cli, lab, no_hosts
from tests.launch.fakes import SOLO
from tests.support.https import Answer, HttpsServer, https_server

__all__ = ["cli", "lab", "no_hosts"]

_ENOUGH = 64 << 20
"""Bytes that no buffer of a connection holds."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpsServer]:
    with https_server(tmp_path) as served:
        monkeypatch.setenv("SSL_CERT_FILE", str(served.certificate))
        yield served


class Flood:
    """A redirect with a body that goes on for as long as somebody reads it, up to a limit; counts what was taken."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.sent = 0
        self.over = threading.Event()

    def answer(self) -> Answer:
        def send(request: BaseHTTPRequestHandler) -> None:
            request.send_response(self.status)
            request.send_header("Location", "/r.yaml")
            request.end_headers()
            try:
                while self.sent < _ENOUGH:
                    request.wfile.write(b"x" * 65_536)
                    self.sent += 65_536
            except OSError:
                # The other side has hung up.
                pass
            finally:
                self.over.set()

        return send


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_body_of_a_redirect_is_not_read(server: HttpsServer, status: int) -> None:
    flood = Flood(status)
    server.pages |= {"/r": flood.answer(), "/r.yaml": b"model: a/b"}
    assert web.fetch(f"{server.address}/r", 1000, timeout=20) == b"model: a/b"
    assert flood.over.wait(10)
    assert flood.sent < _ENOUGH


def test_a_recipe_behind_such_a_redirect_is_shown(cli: Cli, no_hosts: None, server: HttpsServer) -> None:
    flood = Flood(302)
    server.pages |= {"/r": flood.answer(), "/r.yaml": SOLO.encode()}
    shown = cli("show", f"{server.address}/r")
    assert shown.code == 0, shown.err
    assert flood.over.wait(10)
    assert flood.sent < _ENOUGH
