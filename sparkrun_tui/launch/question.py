"""A question to a server, asked in the way that it offers: for a text that arrives, an embedding, a score and so on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.secrets import Redactor, Secret
from sparkrun_tui.base.text import beginning
from sparkrun_tui.engines.offers import CHAT, NO_ENTRY, NOT_OFFERED, SCHEMA_PATH, TEXT, Offer, paths_of_schema, ways
from sparkrun_tui.launch.prompting import FIRST_TOKEN, Prompt
from sparkrun_tui.launch.record.events import EndpointUp
from sparkrun_tui.launch.services import Services
from sparkrun_tui.remote.aio import closing
from sparkrun_tui.remote.http.client import HttpCall, HttpRefused, addresses_of_server

_TRY_ANOTHER = NOT_OFFERED | {400, 415, 422}
"""Statuses after which another way to ask may fit the server."""
_ERROR = 500
"""The most characters that are shown of a server's error."""
_MOST_HELD = 512
"""The most characters of an answer that are held back, as they may be the beginning of its key."""

FindKey = Callable[[], Awaitable[Secret | None]]
"""Finds the API key of a server that refuses a request; None where it is not found."""


class Question:
    """One question to a server, asked in the way that it offers. Iterate over it for the pieces of the answer.

    Where it is not known what the server offers, it is asked for the list of its paths; without one, the ways are tried
    one after the other. A key that the server wants and that is not given is looked for once.
    """

    def __init__(
        self,
        services: Services,
        host: str,
        endpoint: EndpointUp,
        text: str,
        *,
        max_tokens: int = 512,
        key: Secret | None = None,
        find_key: FindKey | None = None,
        address: str = "",
    ) -> None:
        where = urlsplit(endpoint.url)
        self._services = services
        self._host = host
        self._port = where.port or 80
        self._model = endpoint.model
        self._offers = endpoint.offers
        self._text = text
        self._max_tokens = max_tokens
        self._key = key
        self._find_key = find_key
        self._addresses = addresses_of_server(where.hostname or "")
        if address:
            self._addresses = (address,)
        self._answered = False
        self.prompt: Prompt | None = None
        """The last prompt for a text, with its figures; None where the answer was none."""
        self.offer: Offer | None = None
        """What was answered; None until then."""

    async def __aiter__(self) -> AsyncIterator[str]:
        """Pieces of the answer, safe to show. Raises `HostError` with the server's message when it refuses.

        A server that repeats its key in them does not have it shown.
        """
        held = ""
        try:
            async with closing(self._pieces()) as pieces:
                async for piece in pieces:
                    shown, held = self._split(held + piece)
                    if shown:
                        yield self._without_key(shown)
            if held:
                yield self._without_key(held)
        except HostError as error:
            error.what = self._without_key(error.what)
            error.args = (error.what,)
            raise

    def _split(self, text: str) -> tuple[str, str]:
        """A text that may go on, as what can be shown already and what may be the beginning of the key."""
        if self._key is None:
            return text, ""
        key = self._key.reveal()
        for length in range(min(len(key) - 1, len(text), _MOST_HELD), 0, -1):
            if key.startswith(text[-length:]):
                return text[:-length], text[-length:]
        return text, ""

    def _without_key(self, text: str) -> str:
        if self._key is None:
            return text
        return Redactor([self._key])(text)

    async def _pieces(self) -> AsyncGenerator[str, None]:
        first: HostError | None = None
        async for offer, path in self._ways():
            try:
                async for piece in self._with_key(offer, path):
                    self._answered = True
                    self.offer = offer
                    yield piece
            except HttpRefused as refused:
                if self._answered or refused.status not in _TRY_ANOTHER:
                    raise
                first = first or refused
                continue
            return
        raise first or HostError("the server offers nothing that can be asked here", host=self._host)

    async def _ways(self) -> AsyncIterator[tuple[Offer, str]]:
        listed: frozenset[str] = frozenset()
        begin = self._offers
        if begin in TEXT or not begin:
            begin = CHAT.name
        if not self._offers:
            listed = await self._listed()
        for offer, path in ways(listed, begin):
            yield offer, path

    async def _listed(self) -> frozenset[str]:
        """The paths that the server says it has; empty where it does not say."""
        for address in self._addresses:
            call = HttpCall(self._port, SCHEMA_PATH, address=address, key=self._key)
            try:
                reply = await self._services.http.ask(self._services.connector(self._host), call)
            except HostError:
                # The question itself will say what is wrong.
                continue
            if reply.ok:
                return paths_of_schema(reply.body)
        return frozenset()

    async def _with_key(self, offer: Offer, path: str) -> AsyncIterator[str]:
        """The answer; where the server wants a key, once more with the key that is found."""
        try:
            async for piece in self._anywhere(offer, path):
                yield piece
        except HttpRefused as refused:
            if refused.status not in NO_ENTRY or self._answered:
                raise
            if not await self._found_key():
                raise _wants_key(refused, self._key) from refused
        else:
            return
        try:
            async for piece in self._anywhere(offer, path):
                yield piece
        except HttpRefused as refused:
            if refused.status not in NO_ENTRY or self._answered:
                raise
            raise _wants_key(refused, self._key) from refused

    async def _found_key(self) -> bool:
        """Whether a key was found that was not tried yet; it is looked for once."""
        find, self._find_key = self._find_key, None
        if find is None:
            return False
        key = await find()
        if key is None or key == self._key:
            return False
        self._key = key
        return True

    async def _anywhere(self, offer: Offer, path: str) -> AsyncIterator[str]:
        """The answer, asked on loopback first, then on the server's own address."""
        for last, address in enumerate(self._addresses, 1):
            try:
                async for piece in self._at(address, offer, path):
                    yield piece
            except HttpRefused:
                raise
            except HostError:
                if self._answered or last == len(self._addresses):
                    raise
            else:
                return

    async def _at(self, address: str, offer: Offer, path: str) -> AsyncIterator[str]:
        if offer.name in TEXT:
            self.prompt = Prompt(
                self._services,
                self._host,
                self._port,
                self._model,
                self._text,
                max_tokens=self._max_tokens,
                address=address,
                key=self._key,
                offer=offer,
            )
            async for piece in self.prompt:
                yield piece
            return
        self.prompt = None
        request = offer.request(path, self._model, self._text)
        call = HttpCall(
            self._port,
            path,
            "POST",
            request.body,
            {"Content-Type": request.kind},
            address,
            FIRST_TOKEN,
            offer.most_bytes,
            key=self._key,
        )
        reply = await self._services.http.ask(self._services.connector(self._host), call)
        if not reply.ok:
            raise HttpRefused(reply.status, beginning(reply.body, _ERROR), host=self._host)
        yield offer.answer(reply.body)


def _wants_key(refused: HttpRefused, tried: Secret | None) -> HostError:
    if tried is None:
        text = "the server wants an API key, which is not known here"
    else:
        text = "the server refuses the API key that is known here"
    return HostError(f"{text} ({refused.what})", host=refused.host, remedy="Ask it yourself, with the key.")


async def ask_served(
    services: Services,
    host: str,
    endpoint: EndpointUp,
    text: str,
    key: Secret | None = None,
    find_key: FindKey | None = None,
    address: str = "",
) -> AsyncIterator[str]:
    """The answer of the server at `endpoint`, asked from its head host with its API key. Raises `HostError`.

    `address` is where it answers, as seen from that host; empty where that is not known.
    """
    async for piece in Question(services, host, endpoint, text, key=key, find_key=find_key, address=address):
        yield piece
