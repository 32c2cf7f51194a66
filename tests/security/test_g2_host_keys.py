"""A host is known by the name that was asked for, and its key exchange costs this program next to nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncssh
import pytest
from asyncssh.packet import String, UInt32

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.remote.failures import NeedsUser
from sparkrun_tui.remote.ssh import bounds
from sparkrun_tui.remote.ssh.host_key_policy import HostKeyPolicy, Question
from sparkrun_tui.remote.ssh.pool import SshPool
from sparkrun_tui.remote.ssh.resolve import Endpoint
from sparkrun_tui.remote.transport import LinkState, LinkStatus
from tests.support.site import FixedResolver, Site, until


class Person:
    """Declines every question, and keeps it."""

    def __init__(self) -> None:
        self.asked: list[Question] = []

    async def __call__(self, question: Question) -> str | None:
        self.asked.append(question)
        return None


def name_leads_to(site: Site, known_hosts: str, person: Person) -> SshPool:
    """A pool for which the name `localhost` leads to the address of the site's server."""
    (site.folder / "known_hosts").write_text(known_hosts)
    site.change(host="localhost")
    return SshPool(site.resolver, site.policy, person, local=lambda _name: False)


async def test_another_host_that_answers_for_a_name_is_refused(site: Site) -> None:
    """The one whose address the name leads to is known by its address, and the name by another key."""
    right = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    person = Person()
    pool = name_leads_to(site, f"[localhost]:{site.server.port} {right}\n{site.server.known_hosts_line}", person)
    with pytest.raises(NeedsUser, match="HAS CHANGED"):
        await pool.transport("spark").connect()
    await pool.close()
    assert person.asked == []


@pytest.mark.parametrize("strict", ["ask", "yes"])
async def test_a_name_is_not_known_because_its_address_is(strict: str, site: Site) -> None:
    person = Person()
    pool = name_leads_to(site, site.server.known_hosts_line, person)
    site.change(strict=strict)
    with pytest.raises(NeedsUser, match="is not known"):
        await pool.transport("spark").connect()
    await pool.close()
    assert len(person.asked) == (strict == "ask")


async def test_a_key_that_is_revoked_for_the_address_stays_revoked(site: Site) -> None:
    assert site.server.host_key is not None
    public = site.server.host_key.export_public_key().decode().strip()
    known = f"[localhost]:{site.server.port} {public}\n@revoked {site.server.known_hosts_line}"
    pool = name_leads_to(site, known, Person())
    with pytest.raises(NeedsUser, match="revoked"):
        await pool.transport("spark").connect()
    await pool.close()


async def test_a_host_that_is_named_by_its_address_is_known(site: Site) -> None:
    pool = SshPool(site.resolver, site.policy, Person(), local=lambda _name: False)
    await pool.transport("spark").connect()
    assert pool.transport("spark").link.state is LinkState.UP
    await pool.close()


async def test_a_host_chooses_no_prime(tmp_path: Path) -> None:
    """In a group exchange it would, before its key is looked at, and a large prime takes minutes to look at."""
    asked: list[object] = []

    class Server(asyncssh.SSHServer):
        def connection_lost(self, exc: Exception | None) -> None:
            asked.append(exc)

    key = asyncssh.generate_private_key("ssh-ed25519")
    acceptor = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[key],
        server_factory=Server,
        kex_algs=["diffie-hellman-group-exchange-sha256", "diffie-hellman-group18-sha512", "rsa2048-sha256"],
    )
    endpoint = Endpoint("spark", "127.0.0.1", acceptor.get_port(), "me")
    pool = SshPool(FixedResolver({"spark": endpoint}), HostKeyPolicy(tmp_path / "own"), local=lambda _name: False)
    with pytest.raises(NeedsUser, match="shares no encryption"):
        await pool.transport("spark").connect()
    await pool.close()
    acceptor.close()
    await until(lambda: asked)
    assert all(isinstance(error, asyncssh.KeyExchangeFailed) for error in asked), "an exchange was begun"


async def test_what_sshd_prefers_is_offered(site: Site) -> None:
    await site.pool.transport("spark").connect()
    offered = bounds.key_exchanges()
    for name in ("curve25519-sha256", "ecdh-sha2-nistp256", "ecdh-sha2-nistp521", "diffie-hellman-group14-sha256"):
        assert name in offered
    assert not [name for name in offered if "exchange" in name or "gex" in name or "rsa" in name]


async def test_the_words_with_which_a_host_hangs_up_are_only_words(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """They neither steer the terminal nor pass for a finding of this program."""
    await site.pool.transport("spark").connect()
    seen: set[str] = set()

    def status(state: LinkState, since: float, detail: str = "", remedy: str = "") -> LinkStatus:
        # Each is kept: the next attempt to connect soon has other words.
        seen.add(detail)
        return LinkStatus(state, since, detail, remedy)

    monkeypatch.setattr("sparkrun_tui.remote.ssh.link.LinkStatus", status)
    words = String("revoked \x1b]0;canary\x07" + "A" * 20_000)
    (connection,) = site.server.connections
    site.server.traits.drop_logins = 1000
    connection.send_packet(1, UInt32(9), words, String(""))
    await until(lambda: any("canary" in detail for detail in seen))
    for detail in seen:
        assert "\x1b" not in detail
        assert len(detail) < 600


async def test_a_host_cannot_claim_that_its_key_is_revoked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang_up(self: Any, conn: Any) -> None:
        conn.send_packet(1, UInt32(9), String("Host key is revoked"), String(""))

    monkeypatch.setattr("tests.support.ssh_server._Server.connection_made", hang_up)
    with pytest.raises(HostError) as caught:
        await site.pool.transport("spark").connect()
    assert "known_hosts" not in caught.value.what


async def test_a_name_is_no_token_of_a_proxy_command(site: Site) -> None:
    said = site.folder / "said"
    # Its own output stays open a little longer: at its end the connection is given up, and the command is ended.
    site.change(host="a%p%%r", proxy_command=f"sh -c 'echo %h %p %%h > {said}; sleep 0.5'")
    with pytest.raises(HostError):
        await site.pool.transport("spark").connect()
    await until(lambda: said.read_text() != "")
    assert said.read_text().split() == ["a%p%%r", str(site.server.port), "%h"]
