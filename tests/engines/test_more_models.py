"""Models that a recipe asks for beside its own."""

from __future__ import annotations

import pytest

from sparkrun_tui.engines.plan import ModelNeed
from sparkrun_tui.recipe.format.more_models import MAX_MODELS, more_models
from sparkrun_tui.recipe.model import Severity

from .samples import VLLM, plan, rendered

OWN = ModelNeed("acme/Falcon-30B")


def needs(text: str) -> list[ModelNeed]:
    return list(plan(rendered(f"{VLLM}distribution_config:\n{text}"), 1).models)


def test_models_beside_the_own_one_are_fetched_each_once() -> None:
    found = needs(
        "  additional_models:\n    - acme/tokenizer\n"
        "    - {name: acme/other, revision: v2, allow_patterns: ['*.json']}\n"
        "    - acme/tokenizer\n    - 'acme/x-GGUF:Q8_0'\n    - '{model}'\n    - acme/{served_model_name}\n"
        "  models: {enabled: true, entries: [{name: acme/tokenizer, target: [-1]}, {name: '{model}', revision: v9}]}\n"
    )
    assert found[0] == OWN
    assert sorted(found[1:], key=lambda need: need.repo) == [
        ModelNeed("acme/falcon"),
        ModelNeed("acme/other", "v2", ("*.json",)),
        ModelNeed("acme/tokenizer"),
        ModelNeed("acme/x-GGUF", gguf_quant="Q8_0"),
    ]


@pytest.mark.parametrize("runtime", ["vllm", "vllm-distributed", "sglang", "eugr-vllm"])
def test_every_engine_fetches_them(runtime: str) -> None:
    text = VLLM.replace("runtime: vllm", f"runtime: {runtime}")
    if runtime == "sglang":
        text = text.replace("vllm serve {model} -tp", "python3 -m sglang.launch_server --model-path {model} --tp-size")
    serve = plan(rendered(f"{text}distribution_config: {{additional_models: [acme/more]}}\n"), 2)
    assert serve.models == (OWN, ModelNeed("acme/more"))


@pytest.mark.parametrize(
    "text",
    [
        "  additional_models: acme/x\n",
        "  additional_models: [42]\n",
        "  additional_models: [{}]\n",
        "  additional_models: [' ']\n",
        "  additional_models: ['../../etc']\n",
        "  additional_models: ['--config']\n",
        "  additional_models: [{name: acme/x, revision: 'a b'}]\n",
        "  additional_models: [{name: acme/x, allow_patterns: '*.json'}]\n",
        "  additional_models: [{name: acme/x, allow_patterns: ['']}]\n",
        "  additional_models: ['acme/{nothing}']\n",
        "  models: {entries: {name: acme/x}}\n",
    ],
)
def test_what_is_no_model_stops_the_launch(text: str) -> None:
    serve = plan(rendered(f"{VLLM}distribution_config:\n{text}"), 1)
    assert Severity.ERROR in [problem.severity for problem in serve.problems if problem.code == "more-models"]
    assert serve.models == (OWN,)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("  additional_models: [{name: acme/x, target: [0]}]\n", "target"),
        ("  additional_models: [{name: acme/x, ignore_patterns: ['*.bin']}]\n", "ignore_patterns"),
        ("  models: {enabled: false}\n", "enabled"),
        ("  containers: {entries: [acme/y]}\n", "containers"),
    ],
)
def test_what_is_not_carried_out_is_said(text: str, word: str) -> None:
    found = more_models(rendered(f"{VLLM}distribution_config:\n{text}"))[1]
    assert [problem.severity for problem in found] == [Severity.WARNING]
    assert word in found[0].message


def test_the_number_of_models_is_bounded() -> None:
    many = "".join(f"    - acme/m{number}\n" for number in range(MAX_MODELS + 1))
    found, problems = more_models(rendered(f"{VLLM}distribution_config:\n  additional_models:\n{many}"))
    assert found == ()
    assert [problem.severity for problem in problems] == [Severity.ERROR]
