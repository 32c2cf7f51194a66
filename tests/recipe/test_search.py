from __future__ import annotations

import random
from dataclasses import replace

import pytest

from sparkrun_tui.engines.search_words import search_words
from sparkrun_tui.recipe.model import BrokenRecipe, Problem, Severity, Source, SourceKind
from sparkrun_tui.recipe.search.entry import Entry
from sparkrun_tui.recipe.search.index import Index, light
from sparkrun_tui.recipe.search.query import parse_query
from sparkrun_tui.recipe.search.summary import entry_of
from sparkrun_tui.recipe.values.favourites import change_favourites
from sparkrun_tui.recipe.values.saved_overrides import lasting_place

from .samples import FULL, minimal, recipe

HERE = Source(SourceKind.BUNDLED, "x.yaml")


def entry(name: str, **values: object) -> Entry:
    return Entry(name, values.pop("source", HERE), **values)  # type: ignore[arg-type]


CODER = entry(
    "qwen3-coder-next-fp8", model="Qwen/Qwen3-Coder-Next-FP8", runtime="vllm", dtype="fp8", params=80 * 10**9,
    context=131072, nodes=1, tools=("qwen3_coder",), description="Coding model", has=("pre_exec", "port"),
)  # fmt: skip
GEMMA = entry(
    "gemma4-26b", model="google/gemma-4-26b-a4b", runtime="sglang", dtype="bf16", params=26 * 10**9, context=32768,
    nodes=2, maintainer="Ada", description="Runs on qwen hardware, too", kinds=("cluster", "moe"),
    source=Source(SourceKind.REGISTRY, "y.yaml", "arena"),
)  # fmt: skip
TINY = entry("tiny-qwen", model="Qwen/Qwen3-1.7B-GGUF:Q8_0", runtime="llama-cpp", dtype="q8_0", params=1_700_000_000)
BROKEN = entry_of(BrokenRecipe("bad", HERE, Problem(Severity.ERROR, "unreadable", "no")), search_words())
ALL = (CODER, GEMMA, TINY, BROKEN)
LEVELS = {CODER.name: "good", GEMMA.name: "bad", TINY.name: "tight"}


def test_favourites_are_found_by_any_start_of_the_word() -> None:
    assert names("is:fav") == []
    change_favourites([lasting_place(GEMMA.source)], True)
    for query in ("is:fav", "is:favourite", "is:f", "IS:FAV"):
        assert names(query) == [GEMMA.name]
    assert names("is:fav,broken") == [GEMMA.name, BROKEN.name]
    change_favourites([lasting_place(GEMMA.source)], False)
    assert names("is:fav") == []


def names(query: str) -> list[str]:
    return [found.name for found in Index(ALL).search(query, lambda e: LEVELS.get(e.name, "unknown"))]


@pytest.mark.parametrize(
    ("query", "result"),
    [
        ("", [CODER, GEMMA, TINY, BROKEN]),
        ("qwen", [CODER, TINY, GEMMA]),
        ("qwen fp8", [CODER]),
        ("QWEN -coder", [TINY, GEMMA]),
        ("q8_0", [TINY]),
        ("ada", [GEMMA]),
        ('"coding model"', [CODER]),
        ("runtime:vllm", [CODER]),
        ("runtime:vllm,sglang", [CODER, GEMMA]),
        ("-runtime:vllm", [GEMMA, TINY, BROKEN]),
        ("runtime:llama", [TINY]),
        ("nodes:2", [GEMMA]),
        ("nodes:>1", [GEMMA]),
        ("nodes:1", [CODER, TINY]),
        ("dtype:fp8", [CODER]),
        ("params:>30b", [CODER]),
        ("params:<=26b", [GEMMA, TINY]),
        ("params:20b..90b", [CODER, GEMMA]),
        ("params:1.7b", [TINY]),
        ("ctx:>=128k", [CODER]),
        ("ctx:128k", [CODER]),
        ("ctx:32768", [GEMMA]),
        ("tool:coder", [CODER]),
        ("registry:arena", [GEMMA]),
        ("source:registry", [GEMMA]),
        ("fits:yes", [CODER, TINY]),
        ("fits:no", [GEMMA]),
        ("fits:unknown", [BROKEN]),
        ("-fits:no", [CODER, TINY, BROKEN]),
        ("has:pre_exec", [CODER]),
        ("-has:pre-exec qwen", [TINY, GEMMA]),
        ("is:moe", [GEMMA]),
        ("is:broken", [BROKEN]),
        ("model:google", [GEMMA]),
        ("runtime:", [CODER, GEMMA, TINY, BROKEN]),
        ("params:>", [CODER, GEMMA, TINY, BROKEN]),
        ("gguf:q8", [TINY]),
        ("nothing:here", []),
        ("qwn", [CODER, TINY]),
        ("gma", [GEMMA]),
        ("zzz", []),
        ("-", [CODER, GEMMA, TINY, BROKEN]),
        ("runtime:vllm nodes:2", []),
    ],
)
def test_queries(query: str, result: list[Entry]) -> None:
    assert names(query) == [found.name for found in result]


def test_ranks() -> None:
    entries = [
        entry("zz", description="llama inside"),
        entry("my-llama"),
        entry("xllama"),
        entry("llama-big"),
        entry("other", model="llama/x"),
        entry("l-l-a-m-a"),
    ]
    got = [found.name for found in Index(entries).search("llama")]
    assert got == ["llama-big", "my-llama", "xllama", "other", "zz", "l-l-a-m-a"]


def test_what_was_not_understood_is_noted() -> None:
    [note] = parse_query("params:big").notes
    assert note.startswith("params:big is not a number")
    [note] = parse_query("parms:>30b").notes
    assert note == "no such filter: parms: did you mean `params`?"
    assert parse_query("fits:maybe").notes and parse_query("fits:y").notes == ()
    assert parse_query('open "quote').words[1].text == "quote"


def test_narrowing_gives_what_a_fresh_search_gives() -> None:
    rng = random.Random(4)
    entries = [entry("".join(rng.choice("abc-") for _ in range(12)) + str(i)) for i in range(300)]
    index = Index(entries)
    for query in ("a", "ab", "abc", "abca", "ab c", "ab c-", "ab -c", "abc"):
        assert index.search(query) == Index(entries).search(query)


def test_letters_to_light() -> None:
    assert light("Qwen3-Coder", "coder") == (6, 7, 8, 9, 10)
    assert light("Qwen3-Coder", "qwen3 runtime:vllm -x") == (0, 1, 2, 3, 4)
    assert light("Qwen3-Coder", "qcod") == (0, 6, 7, 8)
    assert light("Qwen3-Coder", "zz") == ()
    assert light("İstanbul", "x") == ()


def test_entries_of_recipes() -> None:
    got = entry_of(recipe(FULL), search_words())
    assert (got.params, got.active, got.context, got.dtype, got.nodes, got.tp) == (
        30 * 10**9, 3 * 10**9, 200000, "nvfp4", 1, 1,
    )  # fmt: skip
    assert "hf_token" in got.has and "max_model_len" in got.has and "command" in got.has
    assert "moe" in got.kinds and got.digest == recipe(FULL).digest
    literal = entry_of(
        minimal("vllm serve m --max-model-len 128K --tool-call-parser hermes", "{tensor_parallel: 2}"), search_words()
    )
    assert (literal.context, literal.tools, literal.nodes) == (128_000, ("hermes",), 2)
    solo = entry_of(minimal("x", "{tensor_parallel: 2}", "max_nodes: 1"), search_words())
    assert (solo.nodes, solo.kinds[0]) == (1, "solo")
    assert BROKEN.error == "no" and BROKEN.number("nodes") is None


def test_the_name_itself_comes_before_names_that_begin_with_it() -> None:
    entries = [Entry(name=name, source=Source(SourceKind.USER, f"/{name}")) for name in ("tiny-ranks", "tiny")]
    assert [entry.name for entry in Index(entries).search("tiny")] == ["tiny", "tiny-ranks"]


def test_a_recipe_is_found_by_its_file_too() -> None:
    named = recipe("name: GLM (big)\nmodel: zai/GLM\n", "/r/4x/quad-glm.yaml")
    nested = entry_of(
        replace(named, source=Source(SourceKind.REGISTRY, "/r/4x/quad-glm.yaml", "arena", "/r")), search_words()
    )
    index = Index([nested, CODER])
    for query in ("quad", "quad-glm", "4x/quad", "name:quad", "qudglm", "glm big"):
        assert index.search(query) == [nested], query
    assert entry("a", source=Source(SourceKind.PATH, "/x/other.yaml")).file_name == "other"
    by_file = entry("one", source=Source(SourceKind.PATH, "/x/needle.yaml"))
    by_name = entry("needle", source=Source(SourceKind.PATH, "/x/two.yaml"))
    by_model = entry("three", source=Source(SourceKind.PATH, "/x/three.yaml"), model="needle/x")
    assert Index([by_model, by_file, by_name]).search("needle") == [by_name, by_file, by_model]
