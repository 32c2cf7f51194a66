"""Builds a model and its drafter on the device `meta`, by vLLM's own classes: shapes without any memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from inspect import signature
from typing import Any

from benchmarks.judges.vllm import ranks, stubs

WITHOUT_MODEL = ("ngram", "ngram_gpu", "suffix")
"""Methods of drafting that have no model."""

NOWHERE: list[Any] = []
"""Storages that vLLM itself makes on `meta`: the towers that it leaves out."""


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


@contextmanager
def on_meta() -> Iterator[None]:
    """Every tensor that would be made on a GPU is made on `meta`."""
    overrides: Any = import_module("torch.overrides")
    torch: Any = import_module("torch")

    tensor = torch.Tensor
    read = {tensor.item: 0, tensor.__int__: 0, tensor.__float__: 0.0, tensor.__bool__: False}
    alike = {torch.equal, torch.allclose}

    class Redirect(overrides.TorchFunctionMode):  # type: ignore[misc]
        """Sends tensors to `meta`. A value that is read there is zero, and tensors that are compared are equal."""

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            named = dict(kwargs or {})
            if func in read and args[0].is_meta:
                return read[func]
            if func in alike:
                return True
            if func is tensor.tolist and args[0].is_meta:
                return _zeros(tuple(args[0].shape))
            if func is tensor.cpu and args[0].is_meta:
                return torch.zeros(args[0].shape, dtype=args[0].dtype)
            if _is_gpu(named.get("device"), torch) or isinstance(named.get("device"), int):
                named["device"] = torch.device("meta")
            moved = tuple(_moved(value, torch) for value in args)
            if func is tensor.cuda:
                return moved[0].to("meta")
            if named.get("pin_memory"):
                named["pin_memory"] = False
            if func is tensor.pin_memory:
                return moved[0]
            found = func(*moved, **named)
            if contexts and contexts[-1] == "meta" and isinstance(found, tensor) and not _any_tensor(args, tensor):
                NOWHERE.append(found.untyped_storage())
            return found

    torch.distributions.Distribution.set_default_validate_args(False)
    contexts = _device_contexts()
    torch.unique = tensor.unique = lambda values, *_, **__: values.new_empty(1)
    with Redirect():
        yield


def _device_contexts() -> list[str]:
    """The devices of the blocks `with torch.device(...)` that are open, kept up to date from now on."""
    context: Any = import_module("torch.utils._device").DeviceContext
    enter, leave, opened = context.__enter__, context.__exit__, []

    def entered(self: Any) -> Any:
        opened.append(str(self.device))
        return enter(self)

    def left(self: Any, *about: Any) -> Any:
        opened.pop()
        return leave(self, *about)

    context.__enter__, context.__exit__ = entered, left
    return opened


def _any_tensor(values: Any, tensor: type) -> bool:
    """Whether a result was computed from a tensor, so that it may share its storage."""
    return any(isinstance(value, tensor) for value in values)


def _moved(value: Any, torch: Any) -> Any:
    """An argument with the GPU replaced, and a size that only a package of kernels knows replaced by one."""
    if _is_gpu(value, torch):
        return torch.device("meta")
    return 1 if isinstance(value, stubs.Anything) else value


def _zeros(shape: tuple[int, ...]) -> Any:
    """Nested lists of zeros."""
    if not shape:
        return 0
    return [_zeros(shape[1:]) for _ in range(shape[0])]


def _is_gpu(value: Any, torch: Any) -> bool:
    """Whether a value names the GPU as a device."""
    if isinstance(value, str):
        return value == "cuda" or value.startswith("cuda:")
    return isinstance(value, torch.device) and value.type == "cuda"
