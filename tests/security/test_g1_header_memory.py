"""G1: what the headers of a model's files hold is bounded for all of its files together."""

from __future__ import annotations

import gc
import json
import struct
import tracemalloc
from collections.abc import Callable

import pytest

from sparkrun_tui.models import safetensors_header
from sparkrun_tui.models.gguf import header as gguf_header
from sparkrun_tui.remote.hub import facts_worker

COMMIT = "0" * 40


def text(words: bytes) -> bytes:
    return struct.pack("<Q", len(words)) + words


def pair(name: bytes, kind: int, value: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + value


def gguf(*pairs: bytes, tensors: bytes = b"", count: int = 0) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, count, len(pairs)) + b"".join(pairs) + tensors


def tensor(name: bytes) -> bytes:
    return text(name) + struct.pack("<IQIQ", 1, 1, 0, 0)


def words(count: int) -> bytes:
    """A list of as many words, of which only the length is kept."""
    return pair(b"tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, count) + text(b"w") * count)


ARCHITECTURE = pair(b"general.architecture", 8, text(b"llama"))


def file_of(data: bytes) -> Callable[[int, int], bytes]:
    return lambda start, size: data[start : start + size]


def parts(*contents: bytes) -> tuple[dict[str, object], facts_worker.Read]:
    """A request for a GGUF in as many parts, and what reads them."""
    names = [f"m-Q4_K_M-{number:05d}-of-{len(contents):05d}.gguf" for number in range(1, len(contents) + 1)]
    found = dict(zip(names, contents, strict=True))
    request: dict[str, object] = {
        "model": "a/m:Q4_K_M", "source": "here", "commit": COMMIT, "quant": "Q4_K_M", "files": names,
    }  # fmt: skip
    return request, lambda name, start, size: found[name][start : start + size]


@pytest.mark.parametrize(
    "pairs",
    [
        [pair(b"k", 8, text(b"a" * (3 << 20)))],
        [pair(f"k{number}".encode(), 8, text(b"a" * (1 << 19))) for number in range(5)],
        [pair(b"k" * (1 << 19) + bytes([number]), 0, b"\0") for number in range(5)],
        [pair(f"k{number}".encode(), 9, struct.pack("<IQ", 0, 4096) + bytes(4096)) for number in range(80)],
        [pair(b"k", 9, struct.pack("<IQ", 9, 4000) + struct.pack("<IQ", 8, 60) * 4000)],
    ],
    ids=["a text", "texts", "names", "lists", "lists of lists"],
)
def test_values_that_no_model_has_are_refused(pairs: list[bytes]) -> None:
    with pytest.raises(gguf_header.GgufError):
        gguf_header.read_header(file_of(gguf(ARCHITECTURE, *pairs)))


def test_a_long_template_and_a_large_tokenizer_are_read() -> None:
    template = pair(b"tokenizer.chat_template", 8, text(b"t" * 200_000))
    header = gguf_header.read_header(file_of(gguf(ARCHITECTURE, template, words(300_000))))
    assert header.keys["tokenizer.ggml.tokens"] == 300_000
    assert len(str(header.keys["tokenizer.chat_template"])) == 200_000


def test_a_tensor_with_a_name_of_many_characters_is_refused() -> None:
    data = gguf(ARCHITECTURE, tensors=tensor(b"n" * 2000), count=1)
    with pytest.raises(gguf_header.GgufError, match="name has 2,000 characters"):
        gguf_header.read_header(file_of(data))


def test_the_lists_of_all_parts_are_counted_together() -> None:
    part = gguf(ARCHITECTURE, words(900_000))
    request, read = parts(part, part, part)
    with pytest.raises(gguf_header.GgufError, match="entries"):
        facts_worker.digest_of(request, read)
    request, read = parts(part, gguf(tensors=tensor(b"output.weight"), count=1))
    assert facts_worker.digest_of(request, read).params == 1


def test_the_keys_of_later_parts_are_not_kept() -> None:
    filler = [pair(f"k{number}".encode(), 8, text(b"a" * 100_000)) for number in range(18)]
    request, read = parts(*[gguf(ARCHITECTURE, *filler)] * 30)
    gc.collect()
    tracemalloc.start()
    facts_worker.digest_of(request, read)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20 << 20


def test_the_names_of_all_tensors_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts_worker, "_MOST_NAMES", 100_000)
    named = gguf(ARCHITECTURE, tensors=b"".join(tensor(b"n" * 900) for _ in range(40)), count=40)
    request, read = parts(named, named, named)
    with pytest.raises(facts_worker.Refused, match="more than 100,000 characters"):
        facts_worker.digest_of(request, read)


def test_a_damaged_header_does_not_stay_with_its_error() -> None:
    header = json.dumps(dict.fromkeys(map(str, range(100_000)), 0)).encode()
    data = struct.pack("<Q", len(header)) + header
    errors = []
    tracemalloc.start()
    for _ in range(8):
        try:
            safetensors_header.read_header(file_of(data))
        except safetensors_header.SafetensorsError as error:
            errors.append(error)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(errors) == 8
    # The text itself may stay; what was parsed is ten times as large.
    assert kept < 8 * 3 * len(data)
