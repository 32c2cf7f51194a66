"""The child process that reads what a model's files say of it: a request on stdin, one JSON line on stdout.

From the Hub it reads small files and, by range requests, headers of weights; no weights. Files that lie in the local
cache are read there, and of files on a host their beginnings are in the request. The token is in its environment. Run
as `python -m sparkrun_tui.remote.hub.facts_worker`.
"""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from sparkrun_tui.base.disk.files import open_regular
from sparkrun_tui.base.disk.memory_limit import limit_memory
from sparkrun_tui.base.reading.json_text import JsonError, parse_json
from sparkrun_tui.models import safetensors_header
from sparkrun_tui.models.config.reader import facts_from_config
from sparkrun_tui.models.digest import Digest, digest_config, to_data
from sparkrun_tui.models.gguf import header as gguf_header
from sparkrun_tui.models.gguf.keys import plain_keys
from sparkrun_tui.models.gguf.reader import GgufTensor, gguf_weights
from sparkrun_tui.models.tensor_classes import weight_facts
from sparkrun_tui.remote.hub.worker import describe

Read = Callable[[str, int, int], bytes]
"""Up to that many bytes of a named file, from a position on."""

_SMALL_FILE = 16 << 20
_TIMEOUT = 60.0
_AT_ONCE = 8
_MOST_FILES = 2000
"""Most files of weights that are read; the largest models have some hundred."""
_MOST_TENSORS = 400_000
"""Tensors of all files together; the largest models have 300,000."""
_MOST_NAMES = 64 << 20
"""Characters of the names of all tensors together."""
_MOST_MEMORY = 512 << 20
_PLAIN = frozenset({"BF16", "F16", "F32", "F64"})


class Refused(Exception):
    """The repository's files do not describe a model; the message is for the person."""


def main() -> int:
    """Carry out one request; the line is the digest or an error."""
    request = parse_json(sys.stdin.buffer.read())
    limit_memory(_MOST_MEMORY)
    # Threads that wait for the network do not end by an exception in the main one: the process ends instead.
    signal.signal(signal.SIGINT, lambda _number, _frame: os._exit(130))
    try:
        if request.get("snapshot"):
            read = _local(Path(request["snapshot"]))
        elif request.get("starts"):
            read = _given(request["starts"])
        else:
            read = _remote(request)
        line: dict[str, Any] = {"kind": "digest", "digest": to_data(digest_of(request, read))}
    except (Refused, gguf_header.GgufError, safetensors_header.SafetensorsError) as error:
        line = {"kind": "error", "error": "content", "status": 0, "message": str(error)}
    except BaseException as error:
        line = {"kind": "error", **describe(error)}
    sys.stdout.write(json.dumps(line) + "\n")
    return 0 if line["kind"] == "digest" else 1


def digest_of(request: dict[str, Any], read: Read) -> Digest:
    """The digest of a model from its files' own words. Raises `Refused`, and what reading raises."""
    names: list[str] = request["files"]
    whole = {"model": request["model"], "source": request["source"], "commit": request["commit"]}
    ggufs = sorted(name for name in names if name.endswith(".gguf"))
    if ggufs and request.get("quant"):
        return _of_gguf(whole, request["quant"], ggufs, request.get("projector", 0), read)
    if "config.json" not in names:
        if ggufs:
            raise Refused("it has no config.json: name a quantisation (OWNER/NAME:Q4_K_M)")
        raise Refused("it has no config.json")
    config = _json(read, "config.json")
    companion = None
    if "hf_quant_config.json" in names:
        companion = _json(read, "hf_quant_config.json")
    small = digest_config(config, companion)
    tensors = _tensors(weight_files(names), read)
    facts = facts_from_config(small)
    if not tensors:
        return Digest(config=small, weights=None, params=None, **whole)
    layers = None
    if facts.layers is not None:
        layers = len(facts.layers)
    tied = bool(facts.config.get("tie_word_embeddings"))
    sizes = [(tensor.name, tensor.size) for tensor in tensors]
    weights = weight_facts(sizes, layers=layers, tied=tied)
    params = None
    if facts.quant is None and _unquantised(tensors):
        params = sum(tensor.elements for tensor in tensors) or None
    return Digest(config=small, weights=weights, params=params, **whole)


def _unquantised(tensors: Sequence[safetensors_header.Tensor]) -> bool:
    """Whether the elements of all tensors are parameters, one each."""
    return all(tensor.dtype in _PLAIN for tensor in tensors)


def _of_gguf(whole: dict[str, Any], quant: str, names: Sequence[str], projector: int, read: Read) -> Digest:
    """The digest of a GGUF: the keys of its first part, the tensors of all, and the bytes of its projector."""
    budget = _Budget(names)
    first = budget.gguf(partial(read, names[0]))
    keys = plain_keys(first.keys)
    tensors = list(first.tensors)
    for name in names[1:]:
        # The keys of other parts are not kept: each may have as many as the first one.
        tensors.extend(budget.gguf(partial(read, name)).tensors)
    kept = {key: value for key, value in keys.items() if not key.startswith(("general.", "split.", "quantize."))}
    params = sum(tensor.elements for tensor in tensors) or None
    weights = gguf_weights(tensors, keys)
    if weights is not None and projector:
        weights = replace(weights, vision=projector)
    return Digest(gguf=kept, quant=quant, weights=weights, params=params, **whole)


def weight_files(names: Sequence[str]) -> list[str]:
    """The safetensors files that an engine loads: not a second copy of the same weights, and no adapters."""
    top = [name for name in names if name.endswith(".safetensors") and "/" not in name]
    first = [name for name in top if not name.startswith(("consolidated", "adapter"))]
    return sorted(first or [name for name in top if not name.startswith("adapter")])


class _Budget:
    """What all files of a model together may hold; reading them raises `Refused` as soon as it is more."""

    def __init__(self, names: Sequence[str]) -> None:
        if len(names) > _MOST_FILES:
            raise Refused(f"it has {len(names):,} files of weights, more than any model that is known")
        self._left = _MOST_TENSORS
        self._names = _MOST_NAMES
        self._values = gguf_header.MOST_VALUES
        self._counting = Lock()

    def safetensors(self, fetch: safetensors_header.Fetch) -> Sequence[safetensors_header.Tensor]:
        """The tensors of one file."""
        self._take(())
        tensors = safetensors_header.read_header(fetch)
        self._take(tensors)
        return tensors

    def gguf(self, fetch: gguf_header.Fetch) -> gguf_header.GgufHeader:
        """The header of one file."""
        header = gguf_header.read_header(fetch, self._values)
        self._values -= header.values
        self._take(header.tensors)
        return header

    def _take(self, tensors: Sequence[safetensors_header.Tensor | GgufTensor]) -> None:
        names = sum(len(tensor.name) for tensor in tensors)
        with self._counting:
            self._left -= len(tensors)
            self._names -= names
            if self._left < 0:
                raise Refused(f"its files list more than {_MOST_TENSORS:,} tensors")
            if self._names < 0:
                raise Refused(f"the names of its tensors have more than {_MOST_NAMES:,} characters")


def _tensors(names: Sequence[str], read: Read) -> list[safetensors_header.Tensor]:
    """The tensors of all files, whose headers are read concurrently. Raises `Refused` when they are too many."""
    budget = _Budget(names)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        headers = pool.map(lambda name: budget.safetensors(partial(read, name)), names)
        return [tensor for header in headers for tensor in header]


def _json(read: Read, name: str) -> dict[str, Any]:
    try:
        data = parse_json(read(name, 0, _SMALL_FILE))
    except JsonError:
        data = None
    if not isinstance(data, dict):
        raise Refused(f"its {name} cannot be read")
    return data


def _local(snapshot: Path) -> Read:
    """Reads files of a snapshot on this machine."""

    def read(name: str, start: int, size: int) -> bytes:
        with open_regular(snapshot / name) as file:
            file.seek(start)
            return file.read(size)

    return read


def _given(starts: dict[str, str]) -> Read:
    """Reads files of which only the beginnings are known, in base64 by name."""

    def read(name: str, start: int, size: int) -> bytes:
        return base64.b64decode(starts[name])[start : start + size]

    return read


def _is_part(status: int, place: str, start: int) -> bool:
    """Whether an answer is a part of a file from `start` on, by its header `Content-Range`.

    Another part may look like a header as well, and the figures in it would be taken for the model's.
    """
    return status == 206 and re.match(rf"bytes {start}-", place) is not None


def _remote(request: dict[str, Any]) -> Read:
    """Reads ranges of files on the Hub."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import (  # type: ignore[attr-defined]  # documented, but not in its __all__
        build_hf_headers,
        get_session,
        hf_raise_for_status,
    )

    def read(name: str, start: int, size: int) -> bytes:
        url = hf_hub_url(request["repo"], name, revision=request["commit"], endpoint=request.get("endpoint") or None)
        headers = {**build_hf_headers(), "Range": f"bytes={start}-{start + size - 1}", "Accept-Encoding": "identity"}
        with get_session().stream("GET", url, headers=headers, timeout=_TIMEOUT) as answer:
            if answer.status_code == 416:  # asked for what lies behind the file's end
                return b""
            if answer.status_code >= 400:
                answer.read()
            hf_raise_for_status(answer)
            if start and not _is_part(answer.status_code, answer.headers.get("Content-Range", ""), start):
                raise Refused("the server cannot send parts of files")
            found = bytearray()
            for piece in answer.iter_bytes():
                found += piece
                if len(found) >= size:
                    break
            return bytes(found[:size])

    return read


if __name__ == "__main__":
    sys.exit(main())
