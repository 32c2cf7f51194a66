"""D1: recipes by address are fetched over https, within bounds, and are another person's until agreed to."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import RecipeError, UsageError
from sparkrun_tui.launch.plan.web_recipes import address_of
from sparkrun_tui.remote.http import web
from tests.cli.conftest import Cli, cli, lab, no_hosts
from tests.launch.fakes import SOLO, FakeCluster
from tests.support.https import Answer, HttpsServer, https_server

__all__ = ["cli", "lab", "no_hosts"]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpsServer]:
    with https_server(tmp_path) as served:
        monkeypatch.setenv("SSL_CERT_FILE", str(served.certificate))
        yield served


def redirect(target: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", target)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def test_a_recipe_by_address_is_shown_validated_and_run_after_a_question(
    cli: Cli, lab: FakeCluster, server: HttpsServer
) -> None:
    server.pages["/r.yaml"] = SOLO.encode()
    address = f"{server.address}/r.yaml"
    shown = cli("show", address)
    assert shown.code == 0, shown.err
    digest = hashlib.sha256(SOLO.encode()).hexdigest()
    assert address in shown.out and digest in shown.out
    assert cli("recipe", "validate", address).code == 0
    refused = cli("run", address, "-H", "spark-1")
    assert refused.code == 2
    assert address in refused.err and digest in refused.err
    assert not lab.running
    assert cli("run", address, "-H", "spark-1", "--yes").code == 0
    assert cli("run", address, "-H", "spark-1", "-o", "port=9555").code == 0
    changed = SOLO + "env: {A: b}\n"
    server.pages["/r.yaml"] = changed.encode()
    again = cli("run", address, "-H", "spark-1", "-o", "port=9556")
    assert again.code == 2
    assert hashlib.sha256(changed.encode()).hexdigest() in again.err
    assert "has changed since you agreed to it" in again.err


@pytest.mark.parametrize(
    "address",
    [
        "http://example.org/r.yaml",
        "ftp://example.org/r.yaml",
        "file:///etc/passwd",
        "https://me:word@example.org/r.yaml",
        "https://token@example.org/r.yaml",
        "https:///r.yaml",
        "https://exa mple.org/r",
        "https://[::1/r",
        "https://example.org:port/r",
    ],
)
def test_other_addresses_are_refused_before_anything_is_asked(cli: Cli, no_hosts: None, address: str) -> None:
    done = cli("run", address, "--dry-run")
    assert (done.code, done.out) == (2, "")
    with pytest.raises(UsageError):
        web.fetch(address, 100)


def test_a_redirect_never_leaves_https(server: HttpsServer, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("model: a/b")
    server.pages |= {
        "/file": redirect(canary.as_uri()),
        "/plain": redirect("http://127.0.0.1:1/r.yaml"),
        "/circle": redirect("/circle"),
        "/good": redirect("/r.yaml"),
        "/r.yaml": b"model: a/b",
    }
    for path in ("/file", "/plain"):
        with pytest.raises((UsageError, RecipeError)):
            web.fetch(server.address + path, 1000)
    with pytest.raises(RecipeError):
        web.fetch(f"{server.address}/circle", 1000)
    assert web.fetch(f"{server.address}/good", 1000) == b"model: a/b"


def test_size_and_time_are_bounded(server: HttpsServer) -> None:
    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        try:
            while True:
                request.wfile.write(b"x" * 65_536)
        except OSError:
            return

    def slow(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "1000")
        request.end_headers()
        try:
            for _ in range(40):
                request.wfile.write(b"x")
                request.wfile.flush()
                time.sleep(0.1)
        except OSError:
            return

    server.pages |= {"/endless": endless, "/slow": slow, "/page": b" <!DOCTYPE html><html>"}
    with pytest.raises(RecipeError, match="larger than 9 KiB"):
        web.fetch(f"{server.address}/endless", 10_000)
    began = time.monotonic()
    with pytest.raises(RecipeError, match="was not there"):
        web.fetch(f"{server.address}/slow", 10_000, timeout=0.5)
    assert time.monotonic() - began < 3
    with pytest.raises(RecipeError, match="web page"):
        web.fetch(f"{server.address}/page", 10_000)
    with pytest.raises(RecipeError, match="404"):
        web.fetch(f"{server.address}/none", 10_000)


def test_a_server_with_an_unknown_certificate_is_not_believed(tmp_path: Path) -> None:
    with https_server(tmp_path) as served:
        served.pages["/r.yaml"] = b"model: a/b"
        with pytest.raises(RecipeError, match="cannot be trusted"):
            web.fetch(f"{served.address}/r.yaml", 1000)
        assert served.asked == []


def test_short_addresses() -> None:
    uuid = "0F8FAD5B-D9CB-469F-A165-70867728950E"
    assert address_of(f"@spark-arena/{uuid}") == f"https://spark-arena.com/api/recipes/{uuid.lower()}/raw"
    assert address_of("@spark-arena/qwen3") == ""
    assert address_of("@eugr/0f8fad5b-d9cb-469f-a165-70867728950e") == ""
    assert address_of("qwen3-1.7b-vllm") == ""
    page = "https://github.com/a/b/blob/main/recipes/r.yaml"
    assert address_of(page) == "https://raw.githubusercontent.com/a/b/main/recipes/r.yaml"


def test_a_recipe_from_the_web_copies_no_files_of_this_machine(
    cli: Cli, no_hosts: None, server: HttpsServer, tmp_path: Path
) -> None:
    canary = tmp_path / "canary.txt"
    canary.write_text("canary-0123456789")
    for source in (str(canary), "../../../../../../etc/hostname", "~/.ssh/id_rsa"):
        text = f"{SOLO}pre_exec:\n  - copy: {source}\n    dest: /tmp/x\n"
        server.pages["/r.yaml"] = text.encode()
        done = cli("run", f"{server.address}/r.yaml", "-H", "a", "--dry-run")
        assert "canary-0123456789" not in done.out + done.err
        assert done.code != 0
