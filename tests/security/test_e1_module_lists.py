"""E1: the lists of modules of a stranger's checkpoint cannot hold the program up, whatever they hold."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import time
from importlib import import_module
from typing import Any

import pytest

import sparkrun_tui.models.storage
from sparkrun_tui.base.reading import wildcards
from sparkrun_tui.base.reading.wildcards import like_glob
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.memory.vllm.kernels import vllm_weights
from sparkrun_tui.models.config.reader import facts_from_config
from sparkrun_tui.models.digest import digest_config
from tests.memory import models

SECONDS = 4.0
"""Far more than the slowest list takes here, far less than one that grows without a bound."""

LISTS: dict[str, list[object]] = {
    "nested repeats": ["re:(a+)+$", "re:(.*)*b", "re:((a*)*)*c"] * 50,
    "many stars": ["*a" * 200] * 400,
    "many expressions": [f"re:.*layers.{number}.*x.*y.*z$" for number in range(2000)],
    "many alternatives": ["re:" + "(a|b|c|d)" * 40] * 100,
    "many names": [f"model.layers.{number % 900}.mlp.{number}" for number in range(100_000)],
    "wide ranges": ["layers.{0-999999999}.mlp", "layers.{" + "0-1023," * 20_000 + "}.mlp"] * 50,
    "many ranges": [f"layers.{{0-1023}}.mlp.{number}" for number in range(3000)],
    "deep groups": ["re:" + "(" * 390, "re:" + "[" * 390, "re:" + "(?:" * 130],
    "other things": [None, 7, {}, [], "", "re:", "{", "{}", "}", "*", ".", "re:\\"],
}


def seconds(config: dict[str, Any]) -> float:
    began = time.thread_time()
    found = vllm_weights(facts_from_config(config), EngineSettings("vllm"))
    assert found is None or found.rank > 0
    return time.thread_time() - began


@pytest.mark.parametrize("key", ["ignore", "modules_to_not_convert", "layer_formats", "extra_config", "dynamic"])
@pytest.mark.parametrize("name", LISTS)
def test_no_list_takes_long(name: str, key: str) -> None:
    entries: object = LISTS[name]
    block: dict[str, Any] = {"quant_method": "awq" if key.startswith("modules") else "modelopt", "quant_algo": "NVFP4"}
    block |= {"bits": 4, "group_size": 128}
    if key == "layer_formats":
        entries = {"FP8": LISTS[name], "NVFP4": LISTS[name]}
    if key in ("extra_config", "dynamic"):
        block["quant_method"] = "gptq"
        entries = {str(entry): {"bits": 2 + number % 7} for number, entry in enumerate(LISTS[name])}
    block[key] = entries
    config = {**models.DENSE, "num_hidden_layers": 1000, "quantization_config": block}
    assert seconds(config) < SECONDS
    began = time.thread_time()
    digest = digest_config(config)
    assert time.thread_time() - began < SECONDS
    assert seconds(digest) < SECONDS


def test_a_wildcard_takes_time_in_proportion_to_the_name() -> None:
    began = time.thread_time()
    for _ in range(200):
        assert not like_glob("*a" * 190 + "b", "a" * 100_000)
    assert time.thread_time() - began < SECONDS


def test_no_expression_of_a_stranger_is_compiled() -> None:
    """Lists are compared with wildcards: whoever reads them uses patterns that stand in the module itself."""
    modules = [wildcards]
    for found in pkgutil.iter_modules(sparkrun_tui.models.storage.__path__):
        modules.append(import_module(f"sparkrun_tui.models.storage.{found.name}"))
    assert len(modules) >= 5
    for module in modules:
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            base = node.func.value
            if isinstance(base, ast.Name) and base.id in ("re", "fnmatch"):
                assert isinstance(node.args[0], ast.Constant), f"{module.__name__}:{node.lineno}"
