"""What servers answer, and the requests for it."""

from __future__ import annotations

import io
import json
import wave

import pytest

from sparkrun_tui.engines.offers import BY_NAME, OFFERS, offered_by_command, paths_of_schema, ways
from sparkrun_tui.engines.registry import FAMILIES


@pytest.mark.parametrize(
    ("name", "reply", "words"),
    [
        ("embedding", {"data": [{"embedding": [0.5] * 1024}]}, "an embedding of 1,024 numbers"),
        ("embedding", {"data": [{"embedding": "base64"}]}, "an answer of 35 bytes that is not read here"),
        ("score", {"data": [{"index": 0, "score": 0.875}]}, "score 0.875"),
        ("score", {"data": [{"index": 1, "score": 0.25}, {"score": 1, "index": 0}]}, "scores 1, 0.25"),
        ("score", {"scores": [0.125]}, "score 0.125"),
        ("rerank", {"results": [{"index": 1, "relevance_score": 2}, {"index": 0, "relevance_score": 3}]}, "scores 3"),
        ("rerank", [{"score": 0.5, "index": 0, "document": "x"}], "score 0.5"),
        ("classify", {"data": [{"label": "good", "probs": [0.9, 0.1]}]}, "class good, 2 probabilities, the highest"),
        ("pooling", {"data": [{"data": [[1, 2, 3], [4, 5, 6]]}]}, "pooled states of 2 × 3 numbers"),
        ("pooling", {"data": [{"data": [1, 2]}]}, "pooled states of 2 numbers"),
        ("transcription", {"text": "hello \x1b[31mthere"}, "hello"),
        ("completion", {"choices": [{"text": "x"}]}, "x"),
        ("chat", {"choices": [{"message": {"content": "hi"}}]}, "hi"),
        ("chat", [1, 2], "an answer of 6 bytes that is not read here"),
    ],
)  # fmt: skip
def test_an_answer_is_put_in_words(name: str, reply: object, words: str) -> None:
    said = BY_NAME[name].answer(json.dumps(reply).encode())
    assert said.startswith(words)
    assert "\x1b" not in said


def test_a_sound_is_counted_in_bytes() -> None:
    assert BY_NAME["speech"].answer(b"RIFF") == "one sound, 4 bytes"


def test_a_server_for_speech_gets_a_sound() -> None:
    request = BY_NAME["transcription"].request("/v1/audio/transcriptions", "whisper", "ignored")
    assert request.kind.startswith("multipart/form-data; boundary=")
    edge = request.kind.partition("boundary=")[2].encode()
    parts = request.body.split(b"--" + edge)
    assert parts[-1] == b"--\r\n"
    assert b"whisper" in parts[1]
    sound = parts[2].partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
    with wave.open(io.BytesIO(sound)) as file:
        assert file.getnframes() / file.getframerate() == 0.5


def test_texts_to_score_are_set_apart_by_a_sign() -> None:
    score = json.loads(BY_NAME["score"].request("/v1/score", "m", "what? | this | that").body)
    assert (score["text_1"], score["text_2"]) == ("what?", ["this", "that"])
    rank = json.loads(BY_NAME["rerank"].request("/v1/rerank", "m", "alone").body)
    assert rank["documents"] == ["alone"]


def test_only_the_paths_of_the_server_are_asked() -> None:
    schema = {"paths": {"/health": {}, "/pooling": {}, "/v1/embeddings": {}, "/tokenize": {}}}
    listed = paths_of_schema(json.dumps(schema).encode())
    assert [path for _, path in ways(listed)] == ["/v1/embeddings", "/pooling"]
    assert paths_of_schema(b"<html>") == frozenset()
    assert len(list(ways())) == sum(len(offer.paths) for offer in OFFERS)


def test_what_the_command_says_is_asked_first() -> None:
    first, _ = next(iter(ways(first="rerank")))
    assert first.name == "rerank"


@pytest.mark.parametrize(
    ("family", "command", "offer"),
    [
        ("vllm", "vllm serve m --runner pooling", "embedding"),
        ("vllm", "vllm serve m --runner=pooling --convert classify", "score"),
        ("vllm", "vllm serve m --task embed", "embedding"),
        ("vllm", "vllm serve m --runner generate", ""),
        ("vllm", "vllm serve m", ""),
        ("sglang", "python3 -m sglang.launch_server --model m --is-embedding", "embedding"),
        ("llama-cpp", "llama-server -m m.gguf --embedding", "embedding"),
        ("llama-cpp", "llama-server -m m.gguf --rerank", "rerank"),
        ("llama-cpp", "llama-server -m m.gguf --pooling rank", "rerank"),
        ("llama-cpp", "llama-server -m m.gguf --pooling mean", ""),
    ],
)
def test_a_command_says_what_its_server_offers(family: str, command: str, offer: str) -> None:
    assert offered_by_command(command.split(), FAMILIES[family]) == offer


def test_every_offer_of_an_engine_is_in_the_table() -> None:
    for family in FAMILIES.values():
        assert {name for _, _, name in family.offers} <= BY_NAME.keys()
