"""What a server means that refuses a question, in words that say what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum, auto

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.reading.decoded import Decoded, decode_json
from sparkrun_tui.base.reading.json_text import JsonError
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import clean_line, shorten
from sparkrun_tui.remote.http.client import HttpRefused

_MOST_SHOWN = 500
"""The most characters that are shown of a server's words."""
_MOST_NAMES = 5
"""The most names of models that are shown."""

# vllm/entrypoints/openai (maximum context length, maximum model length), sglang/srt/managers/tokenizer_manager.py
# (longer than the model's context length), tools/server of llama.cpp (exceeds the available context size).
_CONTEXT = late_regex(r"context[ _](?:length|size|window)|maximum (?:model|input) length|max_model_len", re.IGNORECASE)
# "The model `x` does not exist." (vLLM), "could not find real modelID" (llama-swap), "model 'x' not found" (proxies).
_MODEL = late_regex(r"\bmodel\b.{0,200}?(?:does not exist|not found|unknown)|could not find.{0,40}model", re.IGNORECASE)
_TEMPLATE = late_regex(r"chat[ _]template", re.IGNORECASE)
_BUSY = frozenset({429, 503})
_BAD_REQUEST = frozenset({400, 413, 422})


class Meaning(Enum):
    """What a refusal is about."""

    CONTEXT = auto()
    MODEL = auto()
    TEMPLATE = auto()
    BUSY = auto()
    BROKEN = auto()
    OTHER = auto()


def meaning_of(refused: HttpRefused) -> Meaning:
    """What a server refuses."""
    words = message_in(refused.words)
    if refused.status in _BAD_REQUEST and _CONTEXT.search(words):
        return Meaning.CONTEXT
    if refused.status in (400, 404) and _MODEL.search(words):
        return Meaning.MODEL
    if refused.status == 400 and _TEMPLATE.search(words):
        return Meaning.TEMPLATE
    if refused.status in _BUSY:
        return Meaning.BUSY
    if refused.status >= 500:
        return Meaning.BROKEN
    return Meaning.OTHER


def explained(refused: HttpRefused, model: str = "", served: Sequence[str] = ()) -> HostError:
    """The refusal as an error for people. `served` are the names that the server knows, where it was asked for them."""
    words = message_in(refused.words) or "it gives no reason"
    match meaning_of(refused):
        case Meaning.CONTEXT:
            what = f"the conversation does not fit into the model's context ({words})"
            remedy = "Begin a new conversation, ask for fewer tokens, or launch with a larger max_model_len."
        case Meaning.MODEL:
            what = f"the server does not know the model {shorten(model, 200)} ({words})"
            remedy = "Launch it again, or attach to it again: it may serve another name now."
            if served:
                names = ", ".join(shorten(clean_line(name), 100) for name in served[:_MOST_NAMES])
                remedy = f"It serves: {names}."
        case Meaning.BUSY:
            what = f"the server takes no more requests now ({refused.status}: {words})"
            remedy = "Ask again in a moment."
        case Meaning.BROKEN:
            what = f"the server failed ({refused.status}: {words})"
            remedy = "Its log says why."
        case _:
            what = f"the server refuses the question ({refused.status}: {words})"
            remedy = ""
    return HostError(what, host=refused.host, remedy=remedy)


def broken_off(words: str, host: str) -> HostError:
    """The error for an answer that the server ended with an error of its own, after it had begun."""
    remedy = "Its log says why. What came until then is kept."
    if _CONTEXT.search(words):
        remedy = "Begin a new conversation, ask for fewer tokens, or launch with a larger max_model_len."
    return HostError(f"the server broke off the answer: {words}", host=host, remedy=remedy)


def message_in(words: str) -> str:
    """The sentence in the body of a refusal, which is JSON of several shapes or plain text; safe to show."""
    try:
        data = decode_json(words)
        found = _sentence(data)
    except JsonError:
        found = ""
    return shorten(clean_line(found or words).strip(), _MOST_SHOWN)


def _sentence(data: Decoded) -> str:
    """The text at the usual places: `error.message`, `message`, `detail`, `error`; empty where there is none."""
    if isinstance(data.data, str):
        return data.data
    if not isinstance(data.data, dict):
        return ""
    for name in ("error", "message", "detail"):
        inner = data.at(name)
        if isinstance(inner.data, str) and inner.data:
            return inner.data
        if isinstance(inner.data, dict):
            return _sentence(inner)
    return ""
