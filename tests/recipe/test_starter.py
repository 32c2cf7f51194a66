from __future__ import annotations

import pytest

from sparkrun_tui.base.errors import UsageError
from sparkrun_tui.engines.checks.validation import validate
from sparkrun_tui.engines.starter import Known, starter
from sparkrun_tui.recipe.values.overrides import render

from .samples import recipe

FACTS = Known(30 * 10**9, 3 * 10**9, "fp8", 48, 4, 128, 262_144)


@pytest.mark.parametrize(
    ("model", "runtime"),
    [("acme/Falcon-30B", "vllm"), ("acme/Falcon-30B", "sglang"), ("acme/F-GGUF:Q4_K_M", "llama-cpp")],
)
@pytest.mark.parametrize("known", [None, FACTS])
def test_a_new_recipe_has_no_findings(model: str, runtime: str, known: Known | None) -> None:
    got = recipe(starter(model, runtime, "registry.example/engine:1.2", known))
    assert validate(got, render(got, {}), {}) == ()
    assert (got.model, got.runtime, got.container) == (model, runtime, "registry.example/engine:1.2")
    assert got.metadata.model_params == (FACTS.params if known else None)
    assert model in got.text and (render(got, {}).command or "").count("\\") >= 5


def test_several_hosts() -> None:
    got = recipe(starter("acme/Falcon", "vllm", "x/y:1", FACTS, nodes=2))
    assert (got.min_nodes, got.defaults["tensor_parallel"].data, got.metadata.num_layers) == (2, 2, 48)


def test_what_cannot_be_started() -> None:
    for model, runtime in (("a/b", "atlas"), ("a b", "vllm"), ("../x", "vllm"), ("", "vllm")):
        with pytest.raises(UsageError):
            starter(model, runtime, "x:1")
    with pytest.raises(UsageError, match="one host"):
        starter("a/b:Q4_0", "llama-cpp", "x:1", nodes=2)


def test_a_model_that_lies_in_a_file() -> None:
    got = recipe(starter("/models/falcon.gguf", "llama-cpp", "x:1"))
    assert (render(got, {}).argv)[:3] == ("llama-server", "-m", "/models/falcon.gguf")


def test_the_share_of_memory() -> None:
    text = starter("a/b", "vllm", "x:1", utilisation="0.7")
    assert "gpu_memory_utilization: 0.7  # as much as its weights" in text
    assert "gpu_memory_utilization: 0.5  # raise it" in starter("a/b", "vllm", "x:1")
