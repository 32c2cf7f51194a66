from __future__ import annotations

from sparkrun_tui.recipe.search.completion import QueryCompleter

from .test_search import ALL


def texts(line: str) -> list[str]:
    return [found.text for found in QueryCompleter(ALL).complete(line, len(line))]


def test_keys_of_the_query_line() -> None:
    assert texts("qwen run") == ["runtime:"]
    assert texts("-ha") == ["-has:"]
    assert texts("")[0] == "runtime:" and texts("qwen ") == texts(""), "all keys, where the next word begins"
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
