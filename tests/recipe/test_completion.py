from __future__ import annotations

from sparkrun_tui.recipe.completion import QueryCompleter, complete_override_key, complete_override_value

from .samples import minimal
from .test_search import ALL


def texts(line: str) -> list[str]:
    return [found.text for found in QueryCompleter(ALL).complete(line, len(line))]


def test_keys_of_the_query_line() -> None:
    assert texts("qwen run") == ["runtime:"]
    assert texts("-ha") == ["-has:"]
    assert texts("") == [] and texts("qwen ") == []
    [found] = QueryCompleter(ALL).complete("a fi b", 4)
    assert (found.text, found.start, found.end) == ("fits:", 2, 4) and found.help


def test_values_are_those_that_recipes_have() -> None:
    assert set(texts("runtime:")) == {"runtime:vllm", "runtime:sglang", "runtime:llama-cpp"}
    assert texts("runtime:v") == ["runtime:vllm"]
    assert texts("runtime:vllm,s") == ["runtime:vllm,sglang"]
    assert texts("fits:y") == ["fits:yes"]
    assert texts("registry:") == ["registry:arena"]
    assert texts("-dtype:q") == ["-dtype:q8_0"]
    assert texts("nokey:") == []


def test_override_keys_and_values() -> None:
    base = minimal("x", "{max_zeta: 1, port: 1}")
    keys = [found.text for found in complete_override_key(base, "max_")]
    assert keys[0] == "max_zeta" and "max_model_len" in keys and "ctx_size" not in keys
    assert {"fp8_e4m3", "fp8_e5m2"} <= {found.text for found in complete_override_value(base, "kv_cache_dtype", "fp8_")}
    assert [found.text for found in complete_override_value(base, "enforce_eager", "t")] == ["true"]
