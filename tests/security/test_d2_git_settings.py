"""D2: the credential helpers, proxies and replaced addresses of the user reach git, and no other setting does."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import RecipeError
from sparkrun_tui.recipe.registry import git
from tests.support.https import https_server
from tests.support.programs import need

SETTINGS = """[credential "https://example.org"]
    helper = "!echo of-example"
    username = ada
[credential]
    helper = store
[url "https://mirror.example/"]
    insteadOf = https://slow.example/
[http "https://example.org"]
    proxy = http://proxy.example:3128
[core]
    sshCommand = touch CANARY
    fsmonitor = touch CANARY
    hooksPath = HOOKS
[alias]
    ls-remote = "!touch CANARY"
[url "ext::touch CANARY"]
    insteadOf = https://evil.example/
[http]
    extraHeader = "X-Secret: 1"
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A global file of git's settings, included from another, and the place of the canary."""
    canary = tmp_path / "canary"
    included = tmp_path / "included"
    included.write_text(SETTINGS.replace("CANARY", str(canary)).replace("HOOKS", str(tmp_path)))
    whole = tmp_path / "gitconfig"
    whole.write_text(f"[include]\n    path = {included}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(whole))
    return canary


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The variables that git gets for a call with the network, written by a stand-in for it."""
    log = tmp_path / "seen"
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\ncase "$1" in config) exec {need("git")} "$@";; esac\nenv > {log}\nexit 1\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return log


def test_settings_for_one_address_are_passed_on(settings: Path, seen: Path) -> None:
    with pytest.raises(RecipeError):
        git.remote_commit("https://example.org/a/b")
    variables = dict(line.partition("=")[::2] for line in seen.read_text().splitlines())
    count = int(variables["GIT_CONFIG_COUNT"])
    found = [(variables[f"GIT_CONFIG_KEY_{at}"], variables[f"GIT_CONFIG_VALUE_{at}"]) for at in range(count)]
    assert ("credential.https://example.org.helper", "!echo of-example") in found
    assert ("credential.https://example.org.username", "ada") in found
    assert ("credential.helper", "store") in found
    assert ("url.https://mirror.example/.insteadof", "https://slow.example/") in found
    assert ("http.https://example.org.proxy", "http://proxy.example:3128") in found
    keys = [key for key, _ in found]
    assert not [key for key in keys if key.startswith(("core.", "alias.")) or "extraheader" in key]


def test_a_local_repository_gets_none_of_them(settings: Path, seen: Path) -> None:
    with pytest.raises(RecipeError):
        git.remote_commit("file:///nowhere")
    assert "GIT_CONFIG_COUNT" not in seen.read_text()


@pytest.mark.parametrize("address", ["https://evil.example/a", "https://slow.example/a"])
def test_a_replaced_address_runs_no_program(settings: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    with pytest.raises(RecipeError):
        git.remote_commit(address)
    assert not settings.exists()


def test_the_helper_of_an_address_is_asked_for_its_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import base64
    from http.server import BaseHTTPRequestHandler

    asked: list[str] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        given = request.headers.get("Authorization", "")
        asked.append(base64.b64decode(given.removeprefix("Basic ")).decode())
        request.send_response(403 if given else 401)
        request.send_header("WWW-Authenticate", 'Basic realm="x"')
        request.send_header("Content-Length", "0")
        request.end_headers()

    with https_server(tmp_path) as server:
        server.pages["/private.git/info/refs?service=git-upload-pack"] = answer
        helper = tmp_path / "helper"
        helper.write_text('#!/bin/sh\n[ "$1" = get ] && echo username=ada && echo password=canary-0123456789\n')
        helper.chmod(0o755)
        config = tmp_path / "gitconfig"
        config.write_text(
            f'[credential "{server.address}"]\n    helper = {helper}\n'
            f'[http "{server.address}"]\n    sslCAInfo = {server.certificate}\n'
            f'[url "{server.address}/"]\n    insteadOf = https://company.example/\n'
        )
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
        with pytest.raises(RecipeError) as caught:
            git.remote_commit("https://company.example/private.git")
    assert "ada:canary-0123456789" in asked
    assert "canary" not in str(caught.value)


def test_a_password_in_a_replaced_address_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "gitconfig"
    config.write_text(
        '[url "https://canary-token-0123456789@127.0.0.1:1/"]\n    insteadOf = https://company.example/\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    with pytest.raises(RecipeError) as caught:
        git.remote_commit("https://company.example/private.git")
    assert "canary-token" not in str(caught.value)
    assert subprocess.run([need("git"), "--version"], capture_output=True, check=True).stdout
