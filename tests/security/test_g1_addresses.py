"""G1: no address of a registry becomes a command of the user's own configuration of ssh."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkrun_tui.base.errors import UsageError
from sparkrun_tui.recipe.registry.config import check_url, configured, registries_file
from tests.cli.conftest import Cli, cli, no_hosts

__all__ = ["cli", "no_hosts"]

HOSTILE = [
    "ssh://a$(touch${IFS}CANARY)b/r",
    "ssh://a`touch${IFS}CANARY`/r",
    "ssh://a;touch${IFS}CANARY;/r",
    "ssh://a|touch${IFS}CANARY/r",
    "ssh://$(touch${IFS}CANARY)@example.org/r",
    "ssh://-oProxyCommand=touch@example.org/r",
    "ssh://git@-oProxyCommand=touch/r",
    "ssh://a'b/r",
    'ssh://a"b/r',
    "ssh://a%24(touch)/r",
    "ssh://example.org:$(touch)/r",
    "https://a$(touch${IFS}CANARY)b/r",
    "https://a;b/r",
]
GOOD = [
    "ssh://git@example.org/a/b",
    "ssh://example.org:2222/a/b.git",
    "ssh://deploy-1.x@git_1.example.org:22/~me/b",
    "ssh://git@[2001:db8::1]:22/a",
    "https://example.org/a/b",
    "https://example.org:8443/a/b",
    "https://[::1]:8443/a",
    "https://exämple.org/a/b",
    "https://my_host/a/b",
]


@pytest.mark.parametrize("address", HOSTILE)
def test_a_host_with_signs_of_a_shell_is_refused(cli: Cli, no_hosts: None, tmp_path: Path, address: str) -> None:
    canary = tmp_path / "canary"
    done = cli("registry", "add", address.replace("CANARY", str(canary)))
    assert done.code == 2
    assert "is not the address of a repository" in done.err
    assert not canary.exists()


def test_one_in_the_settings_is_passed_over(tmp_path: Path) -> None:
    registries_file().parent.mkdir(parents=True, exist_ok=True)
    registries_file().write_text("registries:\n- {name: evil, url: 'ssh://a$(touch)b/r'}\n")
    known, notes = configured()
    assert "evil" not in {registry.name for registry in known}
    assert "evil" in " ".join(notes)


@pytest.mark.parametrize("address", GOOD)
def test_honest_addresses_stay_as_they_are(address: str) -> None:
    assert check_url(address) == address


def test_a_password_is_still_named_as_one() -> None:
    with pytest.raises(UsageError, match="contains a password"):
        check_url("ssh://git:word@example.org/a")
