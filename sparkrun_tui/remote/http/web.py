"""One file from the web: over https alone, within a size and a time, whatever the server does."""

from __future__ import annotations

import http.client
import ssl
import threading
import time
import urllib.error
import urllib.request
from queue import Empty, SimpleQueue
from typing import IO
from urllib.parse import urlsplit

from sparkrun_tui.base.errors import RecipeError, UsageError
from sparkrun_tui.base.text import clean_line

TIMEOUT = 30.0
"""Seconds for all of it: names, connections, redirects and the file."""
_CHUNK = 1 << 16
_PAUSE = 10.0
"""Seconds that a server may be silent."""
_MOST_REDIRECTS = 5


def check_address(address: str) -> str:
    """An address of a file on the web. Raises `UsageError` unless it is https, without a password in it."""
    shown = clean_line(address[:200])
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"`{shown}` is not an address: {error}") from None
    if parts.scheme != "https":
        raise UsageError(f"`{shown}` is not fetched: only https is safe from others on the way", remedy="use https://")
    if not host or not address.isprintable() or any(sign.isspace() for sign in address):
        raise UsageError(f"`{shown}` is not an address")
    if parts.username is not None or parts.password is not None:
        raise UsageError("the address contains a user name or a password", remedy="leave it out of the address")
    return address


def fetch(address: str, most: int, timeout: float = TIMEOUT) -> bytes:
    """The file at an https address, of at most `most` bytes.

    Redirects are followed to other https addresses only. Raises `UsageError` for another address, and `RecipeError`
    when the file is not there in time, is too large, or is a web page.
    """
    check_address(address)
    # A thread: looking up a name cannot be interrupted, and a server may send one byte a second for ever.
    answer: SimpleQueue[bytes | Exception] = SimpleQueue()
    end = time.monotonic() + timeout

    def work() -> None:
        try:
            answer.put(_read(address, most, end))
        except Exception as error:
            answer.put(error)

    threading.Thread(target=work, name="fetch", daemon=True).start()
    try:
        found = answer.get(timeout=timeout)
    except Empty:
        raise RecipeError(f"{address} was not there within {timeout:.0f} s") from None
    if isinstance(found, bytes):
        return found
    raise _refused(address, found) from found


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    """Follows a few redirects, and none that leaves https."""

    max_redirections = _MOST_REDIRECTS

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """The next request. Raises `UsageError` for an address that is not https."""
        # The caller reads the rest of this answer, without a limit: of a closed one nothing is left to read.
        fp.close()
        check_address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _read(address: str, most: int, end: float) -> bytes:
    secure = urllib.request.HTTPSHandler(context=ssl.create_default_context())
    opener = urllib.request.OpenerDirector()
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.ProxyHandler(),
        secure,
        _OnlyHttps(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ]
    for handler in handlers:
        opener.add_handler(handler)
    request = urllib.request.Request(address, headers={"User-Agent": "sparkrun-tui", "Accept": "*/*"})
    with opener.open(request, timeout=_PAUSE) as reply:
        data = bytearray()
        while chunk := reply.read1(_CHUNK):
            data += chunk
            if len(data) > most:
                raise RecipeError(f"{address} is larger than {most >> 10} KiB: it is not a recipe")
            if time.monotonic() > end:
                raise TimeoutError
    start = bytes(data[:200]).lstrip().lower()
    if start.startswith((b"<!doctype", b"<html")):
        raise RecipeError(
            f"{address} is a web page, not a recipe", remedy="give the address of the file itself (`Raw` on GitHub)"
        )
    return bytes(data)


def _refused(address: str, error: Exception) -> Exception:
    """The error to show for one that was raised while a file was fetched."""
    if isinstance(error, RecipeError | UsageError):
        return error
    if isinstance(error, urllib.error.HTTPError):
        return RecipeError(f"{address}: the server answers {error.code} {clean_line(str(error.reason))[:80]}")
    reason: object = error
    if isinstance(error, urllib.error.URLError):
        reason = error.reason
    if isinstance(reason, TimeoutError):
        return RecipeError(f"{address} was not there in time")
    if isinstance(reason, ssl.SSLError):
        return RecipeError(f"{address}: the server cannot be trusted: {clean_line(str(reason))[:160]}")
    if isinstance(reason, OSError | http.client.HTTPException | ValueError):
        # A `ValueError` is one of an address that a server has redirected to, such as a name that is too long.
        return RecipeError(f"{address} cannot be fetched: {clean_line(str(reason) or type(reason).__name__)[:160]}")
    return error
