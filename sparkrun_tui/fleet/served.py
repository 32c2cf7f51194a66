"""What a server says of the model that it serves."""

from __future__ import annotations

from typing import Any

from sparkrun_tui.base.reading.json_text import JsonError, parse_json
from sparkrun_tui.base.reading.numbers import whole_of
from sparkrun_tui.fleet.asking import ask_head
from sparkrun_tui.fleet.model import Health, Workload
from sparkrun_tui.remote.ports.services import HostServices

_MOST_BYTES = 256 << 10
_MOST_TOKENS = 1 << 40


async def context_of(workload: Workload, services: HostServices) -> int | None:
    """The longest context that the server of a workload takes, in tokens; None where it does not say. Never raises."""
    if not workload.ours or workload.health is not Health.SERVING or workload.port is None:
        return None
    reply = await ask_head(workload, services, "/v1/models", _MOST_BYTES)
    if reply is None:
        return None
    try:
        return context_in(parse_json(reply.body))
    except JsonError:
        return None


def context_in(answer: Any) -> int | None:
    """The context of the first model in an answer to `/v1/models`; None where it is not stated.

    vLLM and SGLang state `max_model_len`, llama-server `n_ctx` in `meta`.
    """
    models = answer.get("data") if isinstance(answer, dict) else None
    first = models[0] if isinstance(models, list) and models else None
    if not isinstance(first, dict):
        return None
    meta = first.get("meta")
    stated = first.get("max_model_len")
    if stated is None and isinstance(meta, dict):
        stated = meta.get("n_ctx")
    return whole_of(stated, least=1, most=_MOST_TOKENS)
