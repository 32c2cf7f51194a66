"""Values are read as the parsers of the engines read them, in the form, in checks and in the estimate."""

from __future__ import annotations

import pytest

from sparkrun_tui.engines.dumps import load_flags
from sparkrun_tui.engines.fields.filled import engine_keys, field_of, is_passed
from sparkrun_tui.engines.fields.types import FieldType
from sparkrun_tui.engines.flags import NOTHING
from sparkrun_tui.engines.registry import FAMILIES
from sparkrun_tui.engines.values import LEADING, PLAIN, SGLANG_LONG, VLLM_LONG, Numbers
from sparkrun_tui.launch.sizing.evaluation import Target, evaluate
from sparkrun_tui.memory.result import Level
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Recipe

RUNTIMES = {"vllm": "vllm", "sglang": "sglang", "llama-cpp": "llama-cpp"}


def recipe(runtime: str, command: str = "", defaults: str = "max_model_len: 32768") -> Recipe:
    """A recipe of an engine with one default; without a command, one is built from it."""
    text = f"model: Qwen/Qwen3-8B\nruntime: {runtime}\ncontainer: acme/image:1\ndefaults:\n  port: 8000\n  {defaults}\n"
    if command:
        text += f"command: {command}\n"
    return load_text(text)


@pytest.mark.parametrize(
    ("numbers", "text", "meant"),
    [
        (PLAIN, "1_000", 1000),
        (PLAIN, " 32 ", 32),
        (PLAIN, "32k", None),
        (PLAIN, "1,000", None),
        (VLLM_LONG, "128k", 128_000),
        (VLLM_LONG, "32K", 32_768),
        (VLLM_LONG, "25.6k", 25_600),
        (VLLM_LONG, "1.5K", None),
        (VLLM_LONG, "128Ki", None),
        (VLLM_LONG, "2m", 2_000_000),
        (SGLANG_LONG, "128k", 128_000),
        (SGLANG_LONG, "128Ki", 131_072),
        (SGLANG_LONG, "128K", None),
        (SGLANG_LONG, "1.5Ki", None),
        (SGLANG_LONG, "2M", 2_000_000),
        (LEADING, "4096", 4096),
        (LEADING, "128k", 128),
        (LEADING, "abc", None),
        (LEADING, "99999999999", None),
    ],
)
def test_a_number_means_what_the_parser_makes_of_it(numbers: Numbers, text: str, meant: int | None) -> None:
    if meant is None:
        with pytest.raises(ValueError, match=r".*"):
            numbers.read(text)
    else:
        assert numbers.read(text) == meant


@pytest.mark.parametrize("name", sorted(RUNTIMES))
def test_every_typed_option_refuses_a_word_that_is_no_number(name: str) -> None:
    family = FAMILIES[name]
    base = recipe(RUNTIMES[name], defaults="seed: 1")
    flags = load_flags(family).by_spelling
    checked = 0
    for key in engine_keys(base):
        field = field_of(base, key)
        flag = flags.get(family.flags.by_key[key].name if key in family.flags.by_key else f"--{key.replace('_', '-')}")
        is_number = field.type in (FieldType.INT, FieldType.FLOAT)
        if flag is not None and flag.type in ("int", "float") and not field.known and not flag.choices:
            assert is_number, f"{key}: {flag.name} takes a number, and its field is {field.type}"
        if is_number:
            assert field.refusal("abc").startswith("must be"), key
            checked += 1
    assert checked > 5


@pytest.mark.parametrize("name", sorted(RUNTIMES))
def test_form_and_estimate_read_every_long_number_alike(name: str) -> None:
    family = FAMILIES[name]
    base = recipe(RUNTIMES[name], defaults="seed: 1")
    for flag in family.dialect.long_flags:
        assert flag in load_flags(family).by_spelling, f"{flag} is not a flag of {family.title}"
    for row in family.flags:
        if row.read is None or not row.key or row.sets == NOTHING:
            continue
        field = field_of(base, row.key)
        if field.type is not FieldType.INT:
            continue
        for text in ("128k", "32K", "32Ki", "1_024", "1,024", "x"):
            if field.refusal(text):
                continue
            assert row.read(text) == field.number(text), f"{row.name} {text}"


@pytest.mark.parametrize(
    ("runtime", "text", "words"),
    [
        ("vllm", "abc", "must be a whole number, also as 128k (128,000) or 128K (131,072) or auto or -1, not abc"),
        ("sglang", "32K", "also as 128k (128,000) or 128Ki (131,072), not 32K"),
        ("sglang", "auto", "must be a whole number"),
        ("vllm", "0", "must be at least 1"),
    ],
)
def test_a_context_that_the_engine_refuses_is_an_error_without_a_verdict(runtime: str, text: str, words: str) -> None:
    for checks in (True, False):
        found = evaluate(recipe(runtime), {"max_model_len": text}, Target(), checks=checks)
        if text != "0":
            assert {found.estimate.starts.level, found.estimate.context.level} == {Level.UNKNOWN}
            assert words in found.estimate.starts.detail
        if checks:
            assert any(words in problem.message for problem in found.errors)


@pytest.mark.parametrize(("runtime", "text", "tokens"), [("vllm", "32k", 32_000), ("sglang", "32k", 32_000)])
def test_a_suffix_counts_in_the_estimate(runtime: str, text: str, tokens: int) -> None:
    found = evaluate(recipe(runtime), {"max_model_len": text}, Target())
    assert not found.errors
    assert f"{tokens:,} tokens fit" in found.estimate.context.text


def test_llama_server_would_read_a_suffix_as_nothing() -> None:
    base = recipe("llama-cpp", defaults="ctx_size: 4096")
    found = evaluate(base, {"ctx_size": "128k"}, Target())
    assert any("the engine reads it as 128" in problem.message for problem in found.errors)


def test_a_value_that_the_command_does_not_pass_is_no_error() -> None:
    base = recipe("vllm", "vllm serve {model} --port {port}")
    assert not is_passed(base, "max_model_len")
    assert not evaluate(base, {"max_model_len": "abc"}, Target()).errors
