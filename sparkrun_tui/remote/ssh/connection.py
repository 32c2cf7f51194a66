"""Opens one SSH connection: explicit options only, keys in our order, host keys by our policy."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable

import asyncssh

from sparkrun_tui.base import shell
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import clean_line, clean_text, shorten
from sparkrun_tui.remote.failures import NeedsUser
from sparkrun_tui.remote.ssh import bounds
from sparkrun_tui.remote.ssh import login_keys as login
from sparkrun_tui.remote.ssh.host_key_policy import Ask, HostKeyPolicy, LoginNotice, revoked
from sparkrun_tui.remote.ssh.known_hosts import KnownHosts
from sparkrun_tui.remote.ssh.resolve import Endpoint
from sparkrun_tui.remote.ssh.unlocked_keys import KeyRing

CONNECT_TIMEOUT = 3.5
"""Seconds for the TCP connection: a kernel asks again after 1 and 3 s, and a host that is off answers none of it."""
LOGIN_TIMEOUT = 20.0
"""Seconds for the handshake and the login, once the host has answered at all."""
KEEPALIVE_INTERVAL = 5.0
KEEPALIVE_COUNT = 3
"""A dead link is noticed after KEEPALIVE_INTERVAL * (KEEPALIVE_COUNT + 1) seconds."""

# AES first: every machine this is for has instructions for it; asyncssh's own first choice is slower by half.
_CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
)
_HOST_KEY_TRIES = 4

LOGIN_WAIT = 300.0
"""Seconds for a login in the browser that a host asks for."""
_LINK = late_regex(r"https://[A-Za-z0-9._~:/?#@!$&*+,;=%-]{4,300}")
_MOST_BANNER = 4000
"""Characters that are kept of what a host says at the login."""
_MOST_BANNERS = 4
"""Banners of one login that are shown; a host may send any number."""
_MOST_SAID = 300

OnLost = Callable[[asyncssh.SSHClientConnection, Exception | None], None]

# asyncssh logs every channel at INFO and dumps packets at DEBUG; neither belongs into our logs.
logging.getLogger("asyncssh").setLevel(logging.CRITICAL)


class _Client(asyncssh.SSHClient):
    """Bounds its connection, remembers a key that was offered and not trusted, and reports the connection's end."""

    def __init__(self, on_made: Callable[[], object], on_lost: OnLost, on_banner: Callable[[str], object]) -> None:
        self._on_made = on_made
        self._on_lost = on_lost
        self._on_banner = on_banner
        self._connection: asyncssh.SSHClientConnection | None = None
        self.offered: asyncssh.SSHKey | None = None
        self.address = ""
        self._debug = bounds.DebugCount()

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self._connection = conn
        bounds.bind(conn)
        self._on_made()

    def auth_banner_received(self, msg: str, lang: str) -> None:
        self._on_banner(msg)

    def debug_msg_received(self, msg: str, lang: str, always_display: bool) -> None:
        self._debug.one()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._on_lost(self._connection, exc)

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.offered = key
        self.address = addr or host
        return False


class Opener:
    """One attempt to reach an endpoint, with the questions that come up on the way."""

    def __init__(
        self,
        endpoint: Endpoint,
        policy: HostKeyPolicy,
        ask: Ask | None,
        on_lost: OnLost,
        tunnel: asyncssh.SSHClientConnection | None = None,
        ring: KeyRing | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._policy = policy
        self._ask = ask
        self._on_lost = on_lost
        self._tunnel = tunnel
        self._ring = ring or KeyRing()
        self._any_key_type = False
        self._limit: asyncio.Timeout | None = None
        self._banners = 0
        self._notices: set[asyncio.Task[object]] = set()
        self.says = ""
        """What the host has said before the login, safe to display; empty where it said nothing."""

    async def open(self) -> asyncssh.SSHClientConnection:
        """The connection, logged in. Raises `NeedsUser` or what asyncssh and the network raise."""
        keys = await login.gather(self._endpoint, self._ring)
        try:
            return await self._login(keys)
        except (OSError, TimeoutError, asyncssh.Error) as error:
            link = self._link
            if not link:
                raise
            raise NeedsUser(
                f"{self._endpoint.host} asks for a login in the browser first",
                host=self._endpoint.name,
                remedy=f"Open {link} and try again. It says: {shorten(clean_line(self.says), _MOST_SAID)}",
            ) from error
        finally:
            keys.close()

    @property
    def _link(self) -> str:
        """The link to a login in the browser among what the host has said; empty without one."""
        found = _LINK.search(self.says)
        return found[0].rstrip(".,;") if found is not None else ""

    def _answered(self) -> None:
        """The TCP connection is made: the host is there, and may take its time for the login."""
        if self._limit is not None:
            self._limit.reschedule(asyncio.get_running_loop().time() + LOGIN_TIMEOUT)

    def _heard(self, text: str) -> None:
        """A banner came: show it, and wait for longer where it asks for a login in the browser."""
        self._banners += 1
        if self._banners > _MOST_BANNERS:
            return
        self.says = clean_text(f"{self.says}{text[:_MOST_BANNER]}")[:_MOST_BANNER]
        if self._ask is None:
            return
        link = self._link
        if link and self._limit is not None:
            self._limit.reschedule(asyncio.get_running_loop().time() + LOGIN_WAIT)
        notice = LoginNotice(self._endpoint.name, self.says.strip(), link)
        task: asyncio.Task[object] = asyncio.ensure_future(self._ask(notice))
        self._notices.add(task)
        task.add_done_callback(self._notices.discard)

    async def _login(self, keys: login.LoginKeys) -> asyncssh.SSHClientConnection:
        try:
            return await self._trusted(keys.pairs)
        except (asyncssh.PermissionDenied, asyncssh.ProtocolError) as error:
            refused = isinstance(error, asyncssh.PermissionDenied) or "authentication failures" in str(error)
            if not refused:
                raise
            if self._ask is not None:
                for path in keys.encrypted:
                    pairs = await self._ring.unlock(path, self._endpoint, self._ask)
                    if pairs:
                        return await self._trusted(pairs)
            if keys.total > login.MAX_OFFERED:
                raise login.too_many(self._endpoint, keys) from error
            if keys.encrypted:
                raise self._locked(keys) from error
            raise

    def _locked(self, keys: login.LoginKeys) -> NeedsUser:
        names = ", ".join(str(path) for path in keys.encrypted)
        return NeedsUser(
            f"{self._endpoint.host} accepts no unlocked key; locked by a passphrase: {names}",
            host=self._endpoint.name,
            remedy=f"Unlock it once with: {shell.words(['ssh-add', str(keys.encrypted[0])])}",
        )

    async def _trusted(self, pairs: list[asyncssh.SSHKeyPair]) -> asyncssh.SSHClientConnection:
        """Connect, settling the host key when it is not known yet."""
        for attempt in range(_HOST_KEY_TRIES):
            known = self._policy.read(self._endpoint)
            client = _Client(self._answered, self._on_lost, self._heard)
            try:
                return await self._connect(pairs, known, client)
            except asyncssh.HostKeyNotVerifiable as error:
                if client.offered is None:
                    # The host may have ended the connection with words that only sound so.
                    if known.revoked_keys(self._endpoint):
                        raise revoked(self._policy, self._endpoint) from error
                    raise
                if attempt == _HOST_KEY_TRIES - 1:
                    raise
                await self._policy.settle(self._endpoint, client.address, client.offered, self._ask)
            except (asyncssh.KeyExchangeFailed, asyncssh.ConnectionLost) as error:
                # The host is known only by key types that it no longer has, so it may show another type. A link that
                # broke at this moment looks the same, and must not lead to a question about another key.
                if self._any_key_type or not known.trusted_keys(self._endpoint):
                    raise
                self._any_key_type = attempt > 0 or isinstance(error, asyncssh.KeyExchangeFailed)
        raise AssertionError("unreachable: the last try raises")

    async def _connect(
        self, pairs: list[asyncssh.SSHKeyPair], known: KnownHosts, client: _Client
    ) -> asyncssh.SSHClientConnection:
        endpoint = self._endpoint
        proxy: tuple[str, ...] = ()
        if self._tunnel is None:
            proxy = _proxy_command(endpoint)
        algorithms: str | tuple[str, ...] = ()
        if self._any_key_type:
            algorithms = "default"
        async with asyncio.timeout(CONNECT_TIMEOUT) as self._limit:
            return await asyncssh.connect(
                endpoint.host,
                endpoint.port,
                config=None,
                tunnel=self._tunnel or (),
                proxy_command=proxy,
                client_factory=lambda: client,
                known_hosts=known.lists,
                host_key_alias=endpoint.host_key_alias or None,
                server_host_key_algs=algorithms,
                username=endpoint.user or (),
                client_keys=pairs or None,
                agent_path=None,
                preferred_auth="publickey",
                public_key_auth=True,
                kbdint_auth=False,
                password_auth=False,
                gss_auth=False,
                gss_kex=False,
                gss_host=None,
                host_based_auth=False,
                x509_trusted_certs=None,
                kex_algs=bounds.key_exchanges(),
                encryption_algs=_CIPHERS,
                compression_algs=["none"],
                # The time above is the limit; it grows when the host asks for a login in the browser.
                connect_timeout=LOGIN_WAIT,
                login_timeout=LOGIN_WAIT,
                keepalive_interval=KEEPALIVE_INTERVAL,
                keepalive_count_max=KEEPALIVE_COUNT,
                utf8_decode_errors="replace",
            )


def _proxy_command(endpoint: Endpoint) -> tuple[str, ...]:
    command = endpoint.proxy_command
    if not command:
        return ()
    tokens = {"h": endpoint.host, "p": str(endpoint.port), "r": endpoint.user, "n": endpoint.name, "%": "%"}
    # In one pass: what a name holds is no token.
    command = re.sub(r"%(.)", lambda found: tokens.get(found[1], found[0]), command)
    return ("sh", "-c", f"exec {command}")
