"""Builds a model and its drafter on the device `meta`, by vLLM's own classes: shapes without any memory."""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from typing import Any

from benchmarks.judges.meta import on_meta
from benchmarks.judges.vllm import ranks

WITHOUT_MODEL = ("ngram", "ngram_gpu", "suffix")
"""Methods of drafting that have no model."""


def build(config: Any, stage: int = 0, *, processed: bool = False) -> tuple[Any, Any]:
    """The model of one pipeline stage and its drafter (None without one), for a `VllmConfig`.

    Layers that keep a cache register themselves in the configuration. With ``processed`` the weights are repacked
    for their kernels, as vLLM does it after loading.
    """
    _load_nothing(processed)
    vllm_config: Any = import_module("vllm.config")
    ranks.place(config.parallel_config, stage)
    config.parallel_config.rank = stage * config.parallel_config.tensor_parallel_size
    with on_meta(), vllm_config.set_current_vllm_config(config):
        loader: Any = import_module("vllm.model_executor.model_loader")
        model = loader.get_model(vllm_config=config)
        last = stage == config.parallel_config.pipeline_parallel_size - 1
        drafter = _drafter(config, model) if last else None
    return model, drafter


def _load_nothing(processed: bool) -> None:
    """Weights are not filled, and only processed where that is asked for."""
    dummy: Any = import_module("vllm.model_executor.model_loader.dummy_loader")
    base: Any = import_module("vllm.model_executor.model_loader.base_loader")
    if processed:
        # What is quantised while it loads is processed by the loader, layer by layer.
        dummy.initialize_single_dummy_weight = lambda *_, **__: None
        dummy.initialize_dummy_weights = lambda *_, **__: None
    else:
        dummy.DummyModelLoader.load_weights = lambda *_, **__: None
        base.process_weights_after_loading = lambda *_, **__: None
        base._has_online_quant = lambda *_: False


def _drafter(config: Any, model: Any) -> Any:
    """The drafter, built by the class that the second model runner takes for the method."""
    speculative = config.speculative_config
    if speculative is None or speculative.draft_model_config is None or speculative.method in WITHOUT_MODEL:
        return None
    chosen: Any = import_module("vllm.v1.worker.gpu.spec_decode")
    torch: Any = import_module("torch")
    # The states of requests, which only n-grams read, are an argument since 0.32.
    arguments = (config, torch.device("meta"), None)[: len(signature(chosen.init_speculator).parameters)]
    speculator = chosen.init_speculator(*arguments)
    speculator.load_model(model)
    return speculator.model
