"""What `ssh -G` says as an endpoint, and the same endpoint as an ssh command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.remote.ssh.arguments import SshAccess, destination, rsync_shell
from sparkrun_tui.remote.ssh.host_key_policy import HostKeyPolicy
from sparkrun_tui.remote.ssh.names import parse_host
from sparkrun_tui.remote.ssh.resolve import Endpoint, SshConfigResolver, endpoint_from_ssh, plain_endpoint
from tests.support.site import FixedResolver


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    return path


def test_everything_a_connection_needs(private_home: Path) -> None:
    key, only_public = write(private_home / ".ssh/id_work"), private_home / ".ssh/id_agent"
    write(private_home / ".ssh/id_agent.pub")
    text = f"""\
user nvidia
hostname 10.0.0.7
port 2222
identitiesonly yes
stricthostkeychecking accept-new
identityfile ~/.ssh/id_work
identityfile ~/.ssh/id_missing
identityfile {only_public}
identityfile none
certificatefile none
identityagent SSH_AUTH_SOCK
proxyjump hop1,me@hop2:22
hostkeyalias head
userknownhostsfile ~/.ssh/known_hosts "/with space/known" /dev/null
globalknownhostsfile /etc/ssh/ssh_known_hosts
"""
    found = endpoint_from_ssh(parse_host("spark"), text, {"SSH_AUTH_SOCK": "/run/agent"})
    assert (found.name, found.host, found.port, found.user) == ("spark", "10.0.0.7", 2222, "nvidia")
    assert found.identity_files == (key, only_public)
    assert found.identities_only
    assert found.agent == "/run/agent"
    assert found.jumps == ("hop1", "me@hop2:22")
    assert found.strict == "accept-new"
    assert found.key_name == "head"
    assert found.known_hosts_files == (
        private_home / ".ssh/known_hosts",
        Path("/with space/known"),
        Path("/etc/ssh/ssh_known_hosts"),
    )
    assert found.from_config


@pytest.mark.parametrize(
    ("value", "files"),
    [
        # OpenSSH 9.2 prints quoted names without their quotes; NVIDIA Sync keeps its files in such a folder on macOS.
        ("/me/Application Support/known", ["/me/Application Support/known"]),
        ("/a b/known /c/known", ["/a b/known", "/c/known"]),
        ("known_hosts", ["known_hosts"]),
        ("/dev/null", []),
        ("none", []),
    ],
)
def test_known_hosts_files_with_blanks_in_their_names(value: str, files: list[str]) -> None:
    found = endpoint_from_ssh(parse_host("spark"), f"userknownhostsfile {value}\n", {})
    assert found.known_hosts_files == tuple(map(Path, files))


def test_tokens_and_variables_that_ssh_leaves_as_written(private_home: Path) -> None:
    key = write(private_home / "keys/10.0.0.7-me-22-100%")
    text = "hostname 10.0.0.7\nuser me\nport 22\nidentityfile ${KEYS}/%h-%r-%p-100%%\nuserknownhostsfile %d/known-%n\n"
    found = endpoint_from_ssh(parse_host("spark"), text, {"KEYS": str(private_home / "keys")})
    assert found.identity_files == (key,)
    assert found.known_hosts_files == (private_home / "known-spark",)


@pytest.mark.parametrize(
    ("line", "agent"),
    [("none", ""), ("SSH_AUTH_SOCK", "/a"), ("$OTHER", "/b"), ("${OTHER}", "/b"), ("/c", "/c")],
)
def test_which_agent(line: str, agent: str) -> None:
    env = {"SSH_AUTH_SOCK": "/a", "OTHER": "/b"}
    assert endpoint_from_ssh(parse_host("x"), f"identityagent {line}\n", env).agent == agent


@pytest.mark.parametrize(
    ("value", "strict"), [("ask", "ask"), ("true", "yes"), ("false", "no"), ("off", "no"), ("accept-new", "accept-new")]
)
def test_how_strict(value: str, strict: str) -> None:
    assert endpoint_from_ssh(parse_host("x"), f"stricthostkeychecking {value}\n", {}).strict == strict


def test_without_an_ssh_program_the_defaults_hold(private_home: Path) -> None:
    key = write(private_home / ".ssh/id_ed25519")
    found = plain_endpoint(parse_host("me@spark:2200"), {})
    assert (found.host, found.port, found.user, found.identity_files) == ("spark", 2200, "me", (key,))
    assert found.known_hosts_files == (private_home / ".ssh/known_hosts",)


async def test_a_program_called_ssh_is_asked_with_plain_words(tmp_path: Path) -> None:
    log = tmp_path / "asked"
    script = tmp_path / "ssh"
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {log}\necho "hostname 10.1.1.1"\necho "port 7"\n')
    script.chmod(0o755)
    found = await SshConfigResolver(str(script)).resolve("me@spark:2200")
    assert (found.host, found.port) == ("10.1.1.1", 7)
    assert log.read_text().split() == ["-G", "-p", "2200", "-l", "me", "--", "spark"]


async def test_a_broken_configuration_is_told_in_the_words_of_ssh(tmp_path: Path) -> None:
    script = tmp_path / "ssh"
    script.write_text("#!/bin/sh\necho '/home/me/.ssh/config line 3: Bad configuration option: hsot' >&2\nexit 255\n")
    script.chmod(0o755)
    with pytest.raises(HostError, match="line 3: Bad configuration option: hsot"):
        await SshConfigResolver(str(script)).resolve("spark")


async def test_a_missing_ssh_falls_back(private_home: Path) -> None:
    assert (await SshConfigResolver("no-such-ssh").resolve("spark")).host == "spark"


async def test_bulk_transfers_use_the_same_host_keys_and_trust(tmp_path: Path) -> None:
    endpoint = Endpoint("spark", "10.0.0.7", 2222, "me", (tmp_path / "key",), known_hosts_files=(tmp_path / "known",))
    words = await SshAccess(FixedResolver({"spark": endpoint}), HostKeyPolicy(tmp_path / "own")).words("spark")
    options = {words[at + 1] for at, word in enumerate(words) if word == "-o"}
    assert {"BatchMode=yes", "StrictHostKeyChecking=yes", "Compression=no"} <= options
    # One that the user's own sessions run would take the place of rsync's.
    assert "RemoteCommand=none" in options
    assert f'UserKnownHostsFile="{tmp_path}/own" "{tmp_path}/known"' in options
    assert words[words.index("-p") + 1] == "2222"
    assert words[words.index("-i") + 1] == str(tmp_path / "key")
    assert destination(endpoint) == "10.0.0.7"


async def test_bulk_transfers_go_through_the_same_jump_hosts(tmp_path: Path) -> None:
    hop = Endpoint("hop", "hop", 22, "me", from_config=True)
    spark = Endpoint("me@spark:2222", "10.0.0.7", 2222, "me", jumps=("hop",), from_config=True)
    resolver = FixedResolver({"hop": hop, "me@spark:2222": spark})
    words = await SshAccess(resolver, HostKeyPolicy(tmp_path / "own")).words("me@spark:2222")
    proxy = next(word for word in words if word.startswith("ProxyCommand="))
    assert "StrictHostKeyChecking=yes" in proxy
    assert proxy.endswith("-W '[%h]:%p' -- hop")
    assert destination(spark) == "spark"
    assert "-F" not in words


def test_words_as_rsync_splits_them() -> None:
    assert rsync_shell(["ssh", "-o", 'UserKnownHostsFile="/a" "/b"', "it's"]) == (
        "ssh -o 'UserKnownHostsFile=\"/a\" \"/b\"' 'it''s'"
    )
