"""Suggestions of the estimate: whatever is offered works when it is applied."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from sparkrun_tui.base.user.settings import Cluster, Settings
from sparkrun_tui.engines.command.added import added_text, has_place, with_value
from sparkrun_tui.engines.search_words import search_words
from sparkrun_tui.launch.sizing.evaluation import Evaluation, Target, evaluate
from sparkrun_tui.launch.sizing.sizing import engine_settings, model_facts
from sparkrun_tui.launch.sizing.stepping import stepped
from sparkrun_tui.launch.sizing.suggestions import CONTEXT_KEYS, Suggestion, suggestions
from sparkrun_tui.memory.engines import model_of
from sparkrun_tui.memory.result import Level
from sparkrun_tui.recipe.format.loader import load_file, load_text
from sparkrun_tui.recipe.model import Recipe, Source, SourceKind
from sparkrun_tui.recipe.search.listing import list_recipes
from sparkrun_tui.recipe.values.launch_keys import FLAGS
from sparkrun_tui.recipe.values.overrides import render

TWO = Target(Cluster("lab", ("spark-1", "spark-2")))
MORE = os.environ.get("SPARKRUN_TUI_RECIPES", "")
"""A folder with more recipes for a longer run."""
TROUBLE: tuple[Mapping[str, str], ...] = (
    {},
    {"max_model_len": "900000", "ctx_size": "900000"},
    {"gpu_memory_utilization": "1.00"},
    {"gpu_memory_utilization": "0.3"},
)


def bundled() -> Iterator[str]:
    """The files of all bundled recipes, and of the folder with more."""
    for entry in list_recipes(Settings(), search_words).entries:
        if entry.source.kind is SourceKind.BUNDLED:
            yield entry.source.path
    if MORE:
        for pattern in ("*.yaml", "*.yml"):
            yield from sorted(str(path) for path in Path(MORE).rglob(pattern))


def in_trouble(recipe: Recipe) -> Iterator[Evaluation]:
    """A recipe as it is, and with values that make it not fit, as far as its command takes them."""
    plain = render(recipe, {})
    for values in TROUBLE:
        taken = {key: text for key, text in values.items() if has_place(plain, key)}
        if taken or not values:
            yield evaluate(recipe, taken, TWO)


def asked(evaluation: Evaluation) -> int:
    """The context in tokens that a recipe asks for; 0 where the engine chooses."""
    settings = engine_settings(evaluation.rendered)
    return max(model_of(settings.engine).length(settings), 0)


def contradictions(before: Evaluation, offered: Suggestion) -> Iterator[str]:
    """What is wrong with a suggestion once it is applied."""
    after = evaluate(before.rendered.original, offered.overrides, TWO)
    found = after.estimate
    for verdict in (found.starts, found.context, found.headroom):
        if verdict.level is Level.BAD:
            yield f"ends with ✗ {verdict.text}"
    if after.errors and not before.errors:
        yield f"is refused: {after.errors[0].message}"
    if after.hosts > TWO.available:
        yield f"needs {after.hosts} hosts"
    if after.command == before.command and after.rendered.recipe == before.rendered.recipe:
        yield "does not change the command"
    shortens = any(change.key in CONTEXT_KEYS for change in offered.changes)
    if not shortens and (found.max_context or 0) < asked(before):
        yield f"{found.max_context} tokens, {asked(before)} asked for"
    own = model_facts(after.rendered).max_length
    if own is not None and asked(after) > own:
        yield f"{asked(after)} tokens of a model for {own}"


@pytest.mark.parametrize("path", list(bundled()), ids=lambda path: Path(path).stem)
def test_every_suggestion_works_when_it_is_applied(path: str) -> None:
    recipe = load_file(path, Source(SourceKind.BUNDLED, path))
    if not isinstance(recipe, Recipe):
        pytest.skip("cannot be read")
    for evaluation in in_trouble(recipe):
        for offered in suggestions(evaluation, TWO):
            wrong = list(contradictions(evaluation, offered))
            assert not wrong, f"{dict(evaluation.rendered.overrides)} → {offered.changes}: {wrong}"


@pytest.mark.parametrize("path", list(bundled()), ids=lambda path: Path(path).stem)
def test_no_verdict_contradicts_another(path: str) -> None:
    recipe = load_file(path, Source(SourceKind.BUNDLED, path))
    if not isinstance(recipe, Recipe):
        pytest.skip("cannot be read")
    for values in ({}, {"gpu_memory_utilization": "1.00"}, {"tensor_parallel": "3"}, {"max_model_len": "9"}):
        found = evaluate(recipe, values, TWO).estimate
        if found.starts.level is Level.BAD:
            assert found.context.level not in (Level.GOOD, Level.TIGHT), found.context.text
        if found.starts.text.startswith("needs") or "cannot run" in found.starts.text:
            assert found.min_hosts is None
            assert found.headroom.level not in (Level.GOOD, Level.TIGHT), found.headroom.text
        assert not (found.context.level is Level.GOOD and "9 tokens" in found.context.text[:8]), found.context.text


def test_the_offers_are_not_empty() -> None:
    counts = 0
    for path in bundled():
        recipe = load_file(path, Source(SourceKind.BUNDLED, path))
        if isinstance(recipe, Recipe):
            evaluation = evaluate(recipe, {"gpu_memory_utilization": "1.00"}, TWO)
            counts += len(suggestions(evaluation, TWO))
    assert counts > 20


PLAIN = """\
model: Qwen/Qwen3-8B
runtime: vllm
container: vllm/vllm-openai:v0.33.0
defaults: {port: 8000}
command: vllm serve {model} --port {port} --max-model-len 40960
"""


def test_a_value_without_a_place_becomes_a_flag_behind_the_command() -> None:
    recipe = load_text(PLAIN)
    plain = render(recipe, {})
    assert not has_place(plain, "kv_cache_dtype")
    assert added_text(plain, "kv_cache_dtype", "fp8") == "--kv-cache-dtype fp8"
    one = with_value(plain, {}, "kv_cache_dtype", "fp8")
    assert one == {FLAGS: "--kv-cache-dtype fp8"}
    two = with_value(plain, {**one, "max_num_seqs": "4"}, "max_num_seqs", "8")
    assert two == {FLAGS: "--kv-cache-dtype fp8 --max-num-seqs 8"}
    assert with_value(plain, two, "kv_cache_dtype", "auto") == {FLAGS: "--max-num-seqs 8 --kv-cache-dtype auto"}
    found = evaluate(recipe, two, TWO)
    assert found.command.rstrip().endswith("--kv-cache-dtype fp8 --max-num-seqs 8")
    assert not found.errors


def test_steps_go_round_known_values_keep_limits_and_divide_the_model() -> None:
    plain = render(load_text(PLAIN), {})
    assert stepped(plain, "kv_cache_dtype", "auto", 1) != "auto"
    assert stepped(plain, "port", "65535", 1) == "65535"
    assert stepped(plain, "max_model_len", "32k", 1) == "36096"
    # Qwen3-8B has 32 attention heads.
    assert [stepped(plain, "tensor_parallel", size, 1) for size in ("1", "2", "3", "4", "32")] == [
        "2",
        "4",
        "4",
        "8",
        "32",
    ]
    assert stepped(plain, "tensor_parallel", "4", -1) == "2"


@pytest.mark.parametrize(
    ("key", "text", "flag"),
    [
        ("enable_prefix_caching", "true", "--enable-prefix-caching"),
        ("enable_prefix_caching", "false", "--no-enable-prefix-caching"),
        ("enforce_eager", "true", "--enforce-eager"),
        ("enforce_eager", "false", "--no-enforce-eager"),
        ("tensor_parallel", "2", "-tp 2"),
        ("async_scheduling", "true", "--async-scheduling"),
        ("max_model_len", "20000", "--max-model-len 20000"),
        ("no_such_flag", "1", ""),
        ("port", "9000", ""),
        ("speculative_config", '{"method":"mtp"}', """--speculative-config '{"method":"mtp"}'"""),
    ],
)
def test_the_flag_of_a_key_is_what_the_engine_takes(key: str, text: str, flag: str) -> None:
    plain = render(load_text(PLAIN), {})
    if key == "port":
        assert has_place(plain, key)
    else:
        assert added_text(plain, key, text) == flag
