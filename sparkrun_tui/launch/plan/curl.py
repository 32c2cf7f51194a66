"""Requests to a server as `curl` commands to paste; an API key is taken from a variable."""

from __future__ import annotations

from sparkrun_tui.base import shell
from sparkrun_tui.engines.offers import JSON, Offer


def get(url: str, key: str = "") -> shell.Text:
    """A request that fails on a refusal. `key` is the variable with the API key, empty where none is wanted."""
    return shell.joined([shell.words(["curl", "-fsS", url]), *_header(key)], " ")


def post(base: str, offer: Offer, model: str, text: str, key: str = "", *, fails: bool = False) -> shell.Text:
    """A request for an answer of the server at `base` (`http://host:port`); with `fails`, a refusal is a failure."""
    begin = ["curl"]
    if fails:
        begin.append("-fsS")
    begin.append(f"{base}{offer.paths[0]}")
    if offer.sound:
        # With -F, curl would send a file of the workstation where the name of the model begins with `@` or `<`.
        rest = ["--form-string", f"model={model}", "-F", "file=@sound.wav"]
    else:
        body = offer.request(offer.paths[0], model, text).body.decode()
        rest = ["-H", f"Content-Type: {JSON}", "-d", body]
    if offer.binary:
        rest += ["-o", "sound.wav"]
    return shell.joined([shell.words(begin), *_header(key), shell.words(rest)], " ")


def _header(key: str) -> list[shell.Text]:
    if not key:
        return []
    bearer = shell.joined([shell.word("Authorization: Bearer "), shell.variable(key)])
    return [shell.script("-H {bearer}", bearer=bearer)]
