"""A question to a server, asked in the way that it offers: for a text that arrives, an embedding, a score and so on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import replace
from urllib.parse import urlsplit

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.secrets import Redactor, Secret
from sparkrun_tui.base.text import beginning
from sparkrun_tui.engines.offers import CHAT, NO_ENTRY, NOT_OFFERED, SCHEMA_PATH, TEXT, Offer, paths_of_schema, ways
from sparkrun_tui.launch.chat.pieces import STOP, Asked, Piece
from sparkrun_tui.launch.chat.refusals import Meaning, explained, meaning_of
from sparkrun_tui.launch.prompting import FIRST_TOKEN, Prompt
from sparkrun_tui.launch.record.events import EndpointUp
from sparkrun_tui.launch.run.readiness import model_names
from sparkrun_tui.launch.services import Services
from sparkrun_tui.remote.aio import closing
from sparkrun_tui.remote.http.client import HttpCall, HttpRefused, addresses_of_server

_TRY_ANOTHER = NOT_OFFERED | {400, 415, 422}
"""Statuses after which another way to ask may fit the server."""
_FEW = 512
"""The most tokens of the answer to a text alone."""
_ERROR = 500
"""The most characters that are shown of a server's error."""
_MOST_HELD = 512
"""The most characters of an answer that are held back, as they may be the beginning of its key."""

FindKey = Callable[[], Awaitable[Secret | None]]
"""Finds the API key of a server that refuses a request; None where it is not found."""


class Question:
    """One question to a server, asked in the way that it offers. Iterate over it, or over `pieces`, for the answer.

    Where it is not known what the server offers, it is asked for the list of its paths; without one, the ways are tried
    one after the other. A key that the server wants and that is not given is looked for once.
    """

    def __init__(
        self,
        services: Services,
        host: str,
        endpoint: EndpointUp,
        asked: Asked | str,
        *,
        key: Secret | None = None,
        find_key: FindKey | None = None,
        address: str = "",
    ) -> None:
        """A text alone is one question, with an answer of a few hundred tokens."""
        where = urlsplit(endpoint.url)
        self._services = services
        self._host = host
        self._port = where.port or 80
        self._model = endpoint.model
        self._offers = endpoint.offers
        self._asked = Asked.once(asked, max_tokens=_FEW) if isinstance(asked, str) else asked
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
        """The texts of `pieces`."""
        async with closing(self.pieces()) as pieces:
            async for piece in pieces:
                if piece.text:
                    yield piece.text

    async def pieces(self) -> AsyncGenerator[Piece, None]:
        """Pieces of the answer, safe to show, and a last one that says why it ended. Raises `HostError` when refused.

        A server that repeats its key in them does not have it shown.
        """
        held = Piece()
        """Its text may be the beginning of the key."""
        try:
            async with closing(self._answer()) as pieces:
                async for piece in pieces:
                    goes_on = not piece.end and piece.is_reasoning == held.is_reasoning
                    if held.text and not goes_on:
                        yield replace(held, text=self._without_key(held.text))
                        held = Piece()
                    shown, rest = self._split(held.text + piece.text)
                    held = replace(piece, text=rest)
                    if shown or piece.end:
                        yield replace(piece, text=self._without_key(shown))
        except HttpRefused as refused:
            self._mask(refused)
            error = explained(refused, self._model, await self._served(refused))
            self._mask(error)
            raise error from refused
        except HostError as error:
            self._mask(error)
            raise

    def _mask(self, error: HostError) -> None:
        """Take the key out of an error and what caused it: the server may have put it into its words."""
        error.what = self._without_key(error.what)
        error.remedy = self._without_key(error.remedy)
        error.args = (error.what,)
        if isinstance(error, HttpRefused):
            error.words = self._without_key(error.words)
        if isinstance(error.__cause__, HostError):
            self._mask(error.__cause__)

    async def _served(self, refused: HttpRefused) -> tuple[str, ...]:
        """The names of the models of a server that does not know the one that was asked for."""
        if meaning_of(refused) is not Meaning.MODEL:
            return ()
        for address in self._addresses:
            call = HttpCall(self._port, "/v1/models", address=address, key=self._key)
            try:
                reply = await self._services.http.ask(self._services.connector(self._host), call)
            except HostError:
                # The refusal itself says what is wrong.
                continue
            if reply.ok:
                return tuple(model_names(reply.body))
        return ()

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

    async def _answer(self) -> AsyncGenerator[Piece, None]:
        first: HostError | None = None
        async for offer, path in self._ways():
            try:
                async with closing(self._with_key(offer, path)) as pieces:
                    async for piece in pieces:
                        self._answered = True
                        self.offer = offer
                        yield piece
            except HttpRefused as refused:
                if self._answered or not self._may_fit_otherwise(refused):
                    raise
                first = first or refused
                continue
            return
        raise first or HostError("the server offers nothing that can be asked here", host=self._host)

    def _may_fit_otherwise(self, refused: HttpRefused) -> bool:
        """Whether a server that refused one way of asking may answer another one."""
        if refused.status not in _TRY_ANOTHER:
            return False
        meaning = meaning_of(refused)
        if meaning in (Meaning.CONTEXT, Meaning.MODEL):
            return False
        if self._offers in TEXT and refused.status not in NOT_OFFERED:
            # It writes text: what it refuses is what was asked, unless its model cannot chat.
            return meaning is Meaning.TEMPLATE
        return True

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

    async def _with_key(self, offer: Offer, path: str) -> AsyncGenerator[Piece, None]:
        """The answer; where the server wants a key, once more with the key that is found."""
        try:
            async with closing(self._anywhere(offer, path)) as pieces:
                async for piece in pieces:
                    yield piece
        except HttpRefused as refused:
            if refused.status not in NO_ENTRY or self._answered:
                raise
            if not await self._found_key():
                raise _wants_key(refused, self._key) from refused
        else:
            return
        try:
            async with closing(self._anywhere(offer, path)) as pieces:
                async for piece in pieces:
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

    async def _anywhere(self, offer: Offer, path: str) -> AsyncGenerator[Piece, None]:
        """The answer, asked on loopback first, then on the server's own address."""
        for last, address in enumerate(self._addresses, 1):
            try:
                async with closing(self._at(address, offer, path)) as pieces:
                    async for piece in pieces:
                        yield piece
            except HttpRefused:
                raise
            except HostError:
                if self._answered or last == len(self._addresses):
                    raise
            else:
                return

    async def _at(self, address: str, offer: Offer, path: str) -> AsyncGenerator[Piece, None]:
        if offer.name in TEXT:
            self.prompt = Prompt(
                self._services,
                self._host,
                self._port,
                self._model,
                self._asked,
                address=address,
                key=self._key,
                offer=offer,
            )
            async with closing(self.prompt.pieces()) as pieces:
                async for piece in pieces:
                    yield piece
            return
        self.prompt = None
        request = offer.request(path, self._model, self._asked.question)
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
        yield Piece(offer.answer(reply.body), offer=offer.name)
        yield Piece(end=STOP, offer=offer.name)


def _wants_key(refused: HttpRefused, tried: Secret | None) -> HostError:
    if tried is None:
        text = "the server wants an API key, which is not known here"
    else:
        text = "the server refuses the API key that is known here"
    return HostError(f"{text} ({refused.what})", host=refused.host, remedy="Ask it yourself, with the key.")


def ask_served(
    services: Services,
    host: str,
    endpoint: EndpointUp,
    asked: Asked | str,
    key: Secret | None = None,
    find_key: FindKey | None = None,
    address: str = "",
) -> Question:
    """A question to the server at `endpoint`, asked from its head host with its API key.

    `address` is where it answers, as seen from that host; empty where that is not known.
    """
    return Question(services, host, endpoint, asked, key=key, find_key=find_key, address=address)
