"""Looking up models: once each, nothing that is fresh, nothing offline, and refusals are remembered with why."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.launch.sizing.model_lookup import FRESH, LookedUp, ModelLookup
from sparkrun_tui.launch.sizing.sizing import digest_folder, known_models, size
from sparkrun_tui.models.digest import Digest
from sparkrun_tui.models.digest_cache import digest_path, write_digest
from sparkrun_tui.models.facts import WeightFacts
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Source, SourceKind
from sparkrun_tui.recipe.values.overrides import render

MODEL = "acme/tiny"
CONFIG = {
    "model_type": "qwen3",
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "head_dim": 128,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "num_hidden_layers": 4,
    "vocab_size": 32000,
    "max_position_embeddings": 8192,
}
NOW = 1_800_000_000.0


class Reader:
    """Keeps a digest, or refuses; remembers what it was asked, and how many look-ups ran at the same time."""

    def __init__(self, folder: Path, error: SparkrunError | None = None) -> None:
        self.folder = folder
        self.error = error
        self.asked: list[tuple[str, str]] = []
        self.tokens: list[Secret | None] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.begun = asyncio.Event()
        self.running = self.most = 0

    async def read(self, model: str, revision: str = "", token: Secret | None = None) -> Digest:
        self.asked.append((model, revision))
        self.tokens.append(token)
        self.begun.set()
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.gate.wait()
            await asyncio.sleep(0)
        finally:
            self.running -= 1
        if self.error is not None:
            raise self.error
        digest = Digest(model, "Hub", "a" * 40, CONFIG, weights=WeightFacts(123_000_000, "headers", 122_000_000))
        write_digest(digest_path(self.folder, model, revision), digest)
        return digest


@pytest.fixture
def reader(private_home: Path) -> Reader:
    return Reader(digest_folder())


def lookup(reader: Reader, environ: dict[str, str] | None = None, now: float = NOW) -> ModelLookup:
    return ModelLookup(reader, reader.folder, environ or {}, clock=lambda: now)


async def test_what_was_learned_is_in_the_next_estimate(reader: Reader) -> None:
    text = (
        f"model: {MODEL}\nruntime: vllm\ncontainer: acme/vllm:1.0\ncommand: vllm serve {{model}} --max-model-len 4096\n"
    )
    rendered = render(load_text(text, Source(SourceKind.PATH, "x.yaml")), {})
    assert size(rendered, ()).weights_bytes is None
    assert await lookup(reader).look_up(MODEL) == LookedUp(new=True)
    after = size(rendered, ())
    assert after.weights_bytes is not None and 123_000_000 <= after.weights_bytes < 130_000_000
    assert after.kv_bytes_per_request == 4 * 2 * 8 * 128 * 2 * 4096
    assert after.facts_source == "Hub"


async def test_each_model_is_asked_about_once_and_one_at_a_time(reader: Reader) -> None:
    here = lookup(reader)
    names = [f"acme/model-{number}" for number in range(4)]
    results = await asyncio.gather(*(here.look_up(name) for name in [*names, *names]))
    assert [result.new for result in results] == [True] * 4 + [False] * 4
    assert sorted(reader.asked) == [(name, "") for name in names]
    assert reader.most == 1


async def test_a_refusal_is_reported_and_not_asked_for_again(reader: Reader) -> None:
    reader.error = SparkrunError("acme/tiny is gated", remedy="Accept its licence.")
    here = lookup(reader)
    assert here.wanted(MODEL) and here.problem(MODEL) is None
    first, second = await here.look_up(MODEL), await here.look_up(MODEL)
    assert first == second == LookedUp(new=False, problem=reader.error)
    assert here.problem(MODEL) is reader.error
    assert reader.asked == [(MODEL, "")]
    assert here.wanted(MODEL, "v2")


async def test_a_fresh_digest_is_enough_and_an_old_one_is_read_anew(reader: Reader) -> None:
    await reader.read(MODEL)
    path = digest_path(reader.folder, MODEL)
    os.utime(path, (NOW - 60, NOW - 60))
    assert not lookup(reader).wanted(MODEL)
    assert await lookup(reader).look_up(MODEL) == LookedUp(new=False)
    assert lookup(reader, now=NOW + FRESH).wanted(MODEL)


@pytest.mark.parametrize("model", ["", "/models/tiny", "./tiny/x", "~/x", "tiny", "a/b/c", "{model}", "a b/c"])
async def test_what_is_no_repository_is_never_asked_about(reader: Reader, model: str) -> None:
    assert not lookup(reader).wanted(model)
    assert await lookup(reader).look_up(model) == LookedUp(new=False)
    assert reader.asked == []


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
async def test_no_look_up_where_the_user_is_offline_on_purpose(reader: Reader, name: str) -> None:
    assert not lookup(reader, {name: "1"}).wanted(MODEL)
    assert lookup(reader, {name: "0"}).wanted(MODEL)


async def test_cancelling_leaves_the_model_to_be_tried_again(reader: Reader) -> None:
    here = lookup(reader)
    reader.gate.clear()
    task = asyncio.create_task(here.look_up(MODEL))
    await reader.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert here.wanted(MODEL) and reader.running == 0
    reader.gate.set()
    assert (await here.look_up(MODEL)).new


async def test_the_token_of_this_machine_goes_along(reader: Reader) -> None:
    await lookup(reader, {"HF_TOKEN": "hf_" + "b" * 30}).look_up(MODEL)
    (token,) = reader.tokens
    assert token is not None and token.reveal() == "hf_" + "b" * 30


async def test_a_drafter_of_its_own_is_looked_up_too(reader: Reader) -> None:
    text = (
        f"model: {MODEL}\nruntime: vllm\ncontainer: acme/vllm:1.0\n"
        "command: |\n  vllm serve {model} --max-model-len 4096"
        ' --speculative-config \'{"method": "draft_model", "model": "acme/draft", "num_speculative_tokens": 3}\'\n'
    )
    rendered = render(load_text(text, Source(SourceKind.PATH, "x.yaml")), {})
    await reader.read(MODEL)
    alone = size(rendered, ()).weights_bytes
    await reader.read("acme/draft")
    assert known_models().find("acme/draft") is not None
    both = size(rendered, ()).weights_bytes
    assert alone is not None and both is not None
    assert both - alone == 123_000_000
