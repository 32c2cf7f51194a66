"""Who is trusted and how one logs in: host keys, key files, passphrases, jump hosts, over real SSH servers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncssh
import pytest

from sparkrun_tui.remote.failures import NeedsUser
from sparkrun_tui.remote.ssh.host_key_policy import YES, HostKeyQuestion, PassphraseQuestion, Question
from sparkrun_tui.remote.ssh.known_hosts import read_known_hosts
from sparkrun_tui.remote.ssh.pool import SshPool
from sparkrun_tui.remote.ssh.resolve import Endpoint
from sparkrun_tui.remote.transport import LinkState
from tests.support.site import Site
from tests.support.ssh_server import SshServer


class Person:
    """Answers questions from a list and keeps them."""

    def __init__(self, *answers: str | None) -> None:
        self.answers = list(answers)
        self.asked: list[Question] = []

    async def __call__(self, question: Question) -> str | None:
        self.asked.append(question)
        return self.answers.pop(0)


def pool_with(site: Site, person: Person | None) -> SshPool:
    return SshPool(site.resolver, site.policy, person, local=lambda _name: False)


def known(site: Site, text: str) -> None:
    (site.folder / "known_hosts").write_text(text)


async def connect(site: Site, person: Person | None = None) -> LinkState:
    pool = pool_with(site, person)
    try:
        await pool.transport("spark").connect()
        return pool.transport("spark").link.state
    finally:
        await pool.close()


async def test_a_new_key_is_shown_and_once_accepted_known(site: Site) -> None:
    known(site, "")
    person = Person(YES)
    assert await connect(site, person) is LinkState.UP
    (question,) = person.asked
    assert isinstance(question, HostKeyQuestion)
    assert site.server.host_key is not None
    assert question.fingerprint == site.server.host_key.get_fingerprint("sha256")
    assert question.address == f"127.0.0.1:{site.server.port}"
    assert question.key_type == "ssh-ed25519"
    assert site.policy.file.stat().st_mode & 0o777 == 0o600
    assert await connect(site) is LinkState.UP


@pytest.mark.parametrize("answer", [None, "", "no", "YES"])
async def test_only_yes_accepts_a_key(site: Site, answer: str | None) -> None:
    known(site, "")
    with pytest.raises(NeedsUser, match="is not known") as caught:
        await connect(site, Person(answer))
    assert "ssh-keygen -lf" in caught.value.remedy
    assert not site.policy.file.exists()


async def test_without_anybody_to_ask_a_new_key_is_refused(site: Site) -> None:
    known(site, "")
    with pytest.raises(NeedsUser):
        await connect(site)


@pytest.mark.parametrize("strict", ["accept-new", "no"])
async def test_accept_new_asks_nobody(site: Site, strict: str) -> None:
    known(site, "")
    site.change(strict=strict)
    assert await connect(site) is LinkState.UP


async def test_strict_yes_asks_nobody_and_refuses(site: Site) -> None:
    known(site, "")
    site.change(strict="yes")
    person = Person(YES)
    with pytest.raises(NeedsUser):
        await connect(site, person)
    assert person.asked == []


@pytest.mark.parametrize("strict", ["ask", "accept-new", "no"])
async def test_a_changed_key_is_refused_whatever_is_configured(site: Site, strict: str) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519")
    known(site, f"[127.0.0.1]:{site.server.port} {other.export_public_key().decode()}")
    site.change(strict=strict)
    person = Person(YES)
    with pytest.raises(NeedsUser, match="HAS CHANGED") as caught:
        await connect(site, person)
    assert person.asked == []
    assert site.server.host_key is not None
    for key in (other, site.server.host_key):
        assert key.get_fingerprint("sha256") in caught.value.what
    path = site.folder / "known_hosts"
    assert caught.value.remedy.endswith(f"ssh-keygen -f {path} -R '[127.0.0.1]:{site.server.port}'")


async def test_a_revoked_key_is_refused(site: Site) -> None:
    known(site, f"@revoked {site.server.known_hosts_line}")
    person = Person(YES)
    with pytest.raises(NeedsUser, match="revoked"):
        await connect(site, person)
    assert person.asked == []


async def test_a_host_known_by_another_type_of_key_is_asked_about_with_a_warning(site: Site) -> None:
    other = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    known(site, f"[127.0.0.1]:{site.server.port} {other.export_public_key().decode()}")
    person = Person(YES)
    assert await connect(site, person) is LinkState.UP
    (question,) = person.asked
    assert isinstance(question, HostKeyQuestion)
    assert other.get_fingerprint("sha256") in question.note


async def test_a_link_that_breaks_during_the_login_ends_in_no_question(site: Site) -> None:
    await site.server.stop()
    site.server.other_key = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    async with site.server:
        public = site.server.other_key.export_public_key().decode()
        known(site, f"[127.0.0.1]:{site.server.port} {public}")
        site.server.traits.drop_logins = 1
        person = Person()
        assert await connect(site, person) is LinkState.UP
        assert person.asked == []


async def test_a_malformed_line_costs_only_itself(site: Site) -> None:
    line = site.server.known_hosts_line
    known(site, f"garbage\n|1|no!|x {line.partition(' ')[2]}@nonsense {line}{line}")
    assert await connect(site) is LinkState.UP
    assert read_known_hosts([site.folder / "known_hosts"]).passed_over == 3


async def test_hashed_names_aliases_and_authorities_are_known(site: Site) -> None:
    assert site.server.host_key is not None
    public = site.server.host_key.export_public_key().decode()
    import base64
    import hashlib
    import hmac

    salt = b"salt" * 5
    name = f"[127.0.0.1]:{site.server.port}".encode()
    digest = hmac.new(salt, name, hashlib.sha1).digest()
    known(site, f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()} {public}")
    assert await connect(site) is LinkState.UP
    known(site, f"my-alias {public}")
    site.change(host_key_alias="my-alias")
    assert await connect(site) is LinkState.UP


async def test_a_passphrase_is_asked_for_once_for_all_hosts(site: Site) -> None:
    key = asyncssh.read_private_key(str(site.key_file))
    key.write_private_key(str(site.key_file), passphrase="open sesame", rounds=50)
    site.resolver.endpoints["also"] = site.resolver.endpoints["spark"]
    person = Person("wrong", "open sesame")
    pool = pool_with(site, person)
    await asyncio.gather(pool.transport("spark").connect(), pool.transport("also").connect())
    site.server.drop()
    assert (await pool.transport("spark").run("echo again")).stdout == "again\n"
    assert [(type(item), getattr(item, "again", None)) for item in person.asked] == [
        (PassphraseQuestion, False),
        (PassphraseQuestion, True),
    ]
    await pool.close()


async def test_a_locked_key_without_anybody_to_ask_is_named(site: Site) -> None:
    key = asyncssh.read_private_key(str(site.key_file))
    key.write_private_key(str(site.key_file), passphrase="open sesame", rounds=50)
    with pytest.raises(NeedsUser, match="locked by a passphrase") as caught:
        await connect(site)
    assert caught.value.remedy == f"Unlock it once with: ssh-add {site.key_file}"


async def test_a_wrong_key_is_refused_once_and_not_tried_again(site: Site, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(wrong))
    site.change(identity_files=(wrong,))
    with pytest.raises(NeedsUser, match="does not let tester in") as caught:
        await connect(site)
    assert f"ssh-copy-id -p {site.server.port} tester@127.0.0.1" in caught.value.remedy
    assert site.server.logins == 1


async def test_through_two_jump_hosts_with_keys_verified_at_each(site: Site, tmp_path: Path) -> None:
    key = asyncssh.read_private_key(str(site.key_file))
    async with SshServer(tmp_path / "hop1", key) as first, SshServer(tmp_path / "hop2", key) as second:
        base = site.resolver.endpoints["spark"]
        for name, server in (("hop1", first), ("hop2", second)):
            site.resolver.endpoints[name] = Endpoint(
                name, "127.0.0.1", server.port, "tester", base.identity_files,
                known_hosts_files=(tmp_path / "hops",),
            )  # fmt: skip
        (tmp_path / "hops").write_text(first.known_hosts_line)
        site.change(jumps=("hop1", "hop2"))
        with pytest.raises(NeedsUser, match="is not known"):
            await connect(site)
        (tmp_path / "hops").write_text(first.known_hosts_line + second.known_hosts_line)
        pool = pool_with(site, None)
        site.resolver.endpoints["also"] = site.resolver.endpoints["spark"]
        results = await asyncio.gather(*(pool.transport(name).run("echo far") for name in ("spark", "also")))
        assert [result.stdout for result in results] == ["far\n", "far\n"]
        assert (first.logins, second.logins, site.server.logins) == (2, 2, 2)
        first.drop()
        assert (await pool.transport("spark").run("echo back")).stdout == "back\n"
        await pool.close()
