"""Completing overrides: keys and values as the recipe and its engine know them, and what fields are told of flags."""

from __future__ import annotations

from sparkrun_tui.engines.dumps import flag_help
from sparkrun_tui.engines.fields.completion import NOT_USED, KeyCompleter, ValueCompleter
from sparkrun_tui.engines.fields.declared import FIELDS
from sparkrun_tui.engines.fields.filled import field_of, spelling_of
from sparkrun_tui.engines.fields.types import FieldType
from sparkrun_tui.engines.registry import FAMILIES
from sparkrun_tui.recipe.model import Recipe

from .samples import recipe


def values(base: Recipe, key: str, text: str, before: str = "") -> list[str]:
    return [found.text for found in ValueCompleter(base, key, before).complete(text, len(text))]


def keys(base: Recipe, text: str) -> list[str]:
    return [found.text for found in KeyCompleter(base).complete(text, len(text))]


VLLM = recipe(
    "model: m\nruntime: vllm\ndefaults: {max_zeta: 1, port: 1, kv: auto}\n"
    "command: vllm serve {model} --port {port} --kv-cache-dtype {kv} --load-format={how} --zeta {max_zeta}\n"
)
SGLANG = recipe("model: m\nruntime: sglang\ndefaults: {kv_cache_dtype: auto}\n")


def test_values_are_the_engines() -> None:
    assert values(SGLANG, "kv_cache_dtype", "fp8_e4") == ["fp8_e4m3"]
    assert "mistral" in values(SGLANG, "load_format", "m")
    assert values(SGLANG, "enable_nothing", "x") == []


def test_a_value_as_it_was_is_offered_all_others() -> None:
    everything = values(SGLANG, "kv_cache_dtype", "")
    assert {"auto", "fp8_e4m3", "bfloat16"} <= set(everything)
    assert values(SGLANG, "kv_cache_dtype", "auto") == [value for value in everything if value != "auto"]
    assert len(values(VLLM, "max_model_len", "8192", before="8192")) == 2, "auto and -1"
    assert values(VLLM, "max_model_len", "8193", before="8192") == []


def test_a_part_of_a_value_is_enough() -> None:
    found = values(VLLM, "tool_call_parser", "coder")
    assert "qwen3_coder" in found and all("coder" in value for value in found)
    found = values(VLLM, "reasoning_parser", "qwen")
    assert found and found[0].startswith("qwen")


def test_switches_are_true_or_false() -> None:
    assert values(VLLM, "enforce_eager", "t") == ["true"]
    assert field_of(VLLM, "async_scheduling").type is FieldType.BOOL
    assert values(VLLM, "async_scheduling", "") == ["true", "false"]


def test_keys_open_in_the_command_come_first() -> None:
    assert keys(VLLM, "") == ["how=", "container=", "extra_flags=", "restart_policy=", "env."]
    found = keys(VLLM, "max_")
    assert found[0] == "max_zeta=" and "max_model_len=" in found and "ctx_size=" not in found
    assert "async_scheduling=" in keys(VLLM, "async"), "flags of the engine that no field declares"


def test_keys_may_be_typed_as_flags() -> None:
    assert "max_model_len=" in keys(VLLM, "--max-model")


def test_after_the_equals_sign_come_values() -> None:
    assert keys(VLLM, "enforce_eager=f") == ["enforce_eager=false"]
    assert "kv=fp8" in keys(VLLM, "kv=")


def test_a_key_that_the_command_does_not_take_says_so() -> None:
    told = {found.text: found.help for found in KeyCompleter(VLLM).complete("max_", 4)}
    assert told["max_model_len="].startswith("appends --max-model-len: ") and told["max_zeta="] != NOT_USED
    [found] = KeyCompleter(SGLANG).complete("page_siz", 8)
    assert found.help and found.help != NOT_USED, "without a command, the engine's flags are all taken"


def test_a_key_of_the_authors_own_is_known_by_the_flag_it_goes_to() -> None:
    assert spelling_of(VLLM, "kv") == "--kv-cache-dtype" and spelling_of(VLLM, "how") == "--load-format"
    field = field_of(VLLM, "kv")
    assert "fp8" in field.values and field.help == FIELDS["kv_cache_dtype"].help
    unknown = field_of(VLLM, "max_zeta")
    assert unknown.values == () and unknown.help == ""


def test_the_sentence_of_a_flag_is_the_fields_help() -> None:
    assert field_of(VLLM, "async_scheduling").help == flag_help(FAMILIES["vllm"], "--async-scheduling")
    assert (
        "vLLM" in field_of(VLLM, "api_server_count").help
        and "--api-server-count" in field_of(VLLM, "api_server_count").help
    )
