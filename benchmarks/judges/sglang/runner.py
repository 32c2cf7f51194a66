"""SGLang's own model runner, brought up to where it sizes its pools: no weights, no kernels, no other process."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module, util
from inspect import signature
from typing import Any

from benchmarks.judges.sglang import machine

PORT = 30000

QUIET = (
    "init_msprobe",
    "init_weight_updater",
    "init_weight_exporter",
    "init_mindspore_runner",
    "init_shared_mooncake_transfer_engine",
    "check_quantized_moe_compatibility",
)
"""Steps of the runner's constructor that move no memory and ask for weights or a service."""


def model_runner(server_args: Any, stage: int, before: int, after: int) -> Any:
    """The runner of pipeline stage ``stage`` that saw ``before`` bytes available at its start and ``after`` later."""
    machine.set_available(before)
    _publish(server_args, stage)
    configs: Any = import_module("sglang.srt.configs.model_config")
    config = configs.ModelConfig.from_server_args(server_args)
    _start_groups(server_args, config)
    kind = _kind(stage)
    runner = kind(**_placed(kind, server_args, config, stage))
    machine.set_available(after)
    return runner


def setting(server_args: Any, name: str) -> Any:
    """A resolved argument: releases since 0.5.17 keep them beside the arguments."""
    if util.find_spec("sglang.srt.runtime_context") is None:
        return getattr(server_args, name)
    context = import_module("sglang.srt.runtime_context").get_context()
    leaf = getattr(context, "config_leaf", None)
    return getattr(server_args, name) if leaf is None else leaf(name)


def _publish(server_args: Any, stage: int) -> None:
    """Make the arguments those of this process, with the place of its rank where the release asks for it."""
    if util.find_spec("sglang.srt.runtime_context") is None:
        return
    context: Any = import_module("sglang.srt.runtime_context")
    if not hasattr(context, "publish"):
        # Releases before 0.5.16 keep the arguments elsewhere.
        import_module("sglang.srt.server_args").set_global_server_args_for_scheduler(server_args)
        return
    if not hasattr(context, "SpawnRanks"):
        context.publish(server_args, role="scheduler")
        return
    place = context.SpawnRanks(world_rank=server_args.tp_size * stage, dp_rank=None, gpu_id=0)
    context.publish(server_args, role="scheduler", ranks=place)


def _start_groups(server_args: Any, config: Any) -> None:
    """Build the groups of ranks, where that is not the runner's own task."""
    if util.find_spec("sglang.srt.distributed.bootstrap") is None:
        return
    bootstrap: Any = import_module("sglang.srt.distributed.bootstrap")
    if hasattr(bootstrap, "init_parallel_runtime"):
        bootstrap.init_parallel_runtime(server_args=server_args, device="cuda", dist_port=PORT)
        bootstrap.init_layer_runtime(model_config=config)


def _kind(stage: int) -> Any:
    """The runner's class, with a stand-in for the model and without the steps after it."""
    module: Any = import_module("sglang.srt.model_executor.model_runner")

    class Runner(module.ModelRunner):  # type: ignore[misc]
        """A runner that stops before it makes its pools."""

        def load_model(self) -> None:
            """Take the model's class for the model."""
            self.model = _stand_in(self.model_config, stage, self.server_args.pp_size)
            self.sliding_window_size = _window(self.model, self.model_config)
            self.dtype = self.model_config.dtype

        def initialize(self, *memory: Any) -> None:
            """Everything up to the pools; until 0.5.10 it is given what was available at the start."""
            if memory:
                self.pre_model_load_memory = memory[0]
            self.init_memory_saver()
            self.load_model()
            _set_layers(self)
            self.configure_kv_cache_dtype()

        def init_memory_saver(self) -> None:
            """Nothing is saved."""
            self.memory_saver_adapter = None

    for name in QUIET:
        if hasattr(Runner, name):
            setattr(Runner, name, lambda *_, **__: None)
    return Runner


def _placed(kind: Any, server_args: Any, config: Any, stage: int) -> dict[str, Any]:
    """What the runner's constructor asks for, by name: it is always the first rank of its stage."""
    values = {
        "model_config": config,
        "mem_fraction_static": setting(server_args, "mem_fraction_static"),
        "gpu_id": 0,
        "nccl_port": PORT,
        "server_args": server_args,
        "tp_rank": 0,
        "tp_size": server_args.tp_size,
        "pp_rank": stage,
        "pp_size": server_args.pp_size,
        "moe_ep_rank": 0,
        "moe_ep_size": server_args.ep_size,
    }
    asked = signature(kind.__init__).parameters
    if "ps" in asked:
        values["ps"] = _place(server_args, stage)
    return {name: value for name, value in values.items() if name in asked}


def _place(server_args: Any, stage: int) -> Any:
    """The place of a rank as the scheduler states it from 0.5.17 to 0.5.22."""
    wrapper: Any = import_module("sglang.srt.distributed.parallel_state_wrapper")
    attention: Any = import_module("sglang.srt.layers.dp_attention")
    found = attention.compute_dp_attention_world_info(
        server_args.enable_dp_attention, 0, server_args.tp_size, server_args.dp_size, server_args.attn_cp_size
    )
    values: Mapping[str, Any] = {
        "tp_rank": 0,
        "tp_size": server_args.tp_size,
        "pp_rank": stage,
        "pp_size": server_args.pp_size,
        "dp_rank": None,
        "dp_size": server_args.dp_size,
        "attn_tp_rank": found[0],
        "attn_tp_size": found[1],
        "attn_cp_rank": 0,
        "attn_cp_size": server_args.attn_cp_size,
        "attn_dcp_rank": 0,
        "attn_dcp_size": server_args.dcp_size,
        "dcp_size": server_args.dcp_size,
        "attn_dp_rank": found[2],
        "attn_dp_size": found[3],
        "moe_ep_rank": 0,
        "moe_ep_size": server_args.ep_size,
        "moe_dp_rank": None,
        "moe_dp_size": server_args.moe_dp_size,
        "gpu_id": 0,
    }
    asked = signature(wrapper.ParallelState).parameters
    return wrapper.ParallelState(**{name: value for name, value in values.items() if name in asked})


def _stand_in(config: Any, stage: int, stages: int) -> Any:
    """An object of the model's class that was never constructed, with the layers of its stage.

    Raises what SGLang raises when it does not know the architecture.
    """
    loader: Any = import_module("sglang.srt.model_loader.utils")
    kind, _ = loader.get_model_architecture(config)
    start, end = 0, max(config.num_hidden_layers, config.num_attention_layers)
    if stages > 1:
        indices: Any = import_module("sglang.srt.distributed.utils")
        start, end = indices.get_pp_indices(config.num_hidden_layers, stage, stages)
    members = {"start_layer": start, "end_layer": end}
    model = _unbuilt(kind, config.hf_config, members)
    object.__setattr__(model, "quant_config", _quantisation(config))
    object.__setattr__(model, "language_model", _text_model(model, config))
    return model


def _unbuilt(kind: Any, config: Any, members: dict[str, Any]) -> Any:
    """An object of a model's class that was never constructed, with a configuration."""
    torch: Any = import_module("torch")
    constructor = {"__init__": lambda self: torch.nn.Module.__init__(self)}
    model = type("StandIn", (kind,), constructor | members)()
    object.__setattr__(model, "config", config)
    return model


def _quantisation(config: Any) -> Any:
    """The checkpoint's quantisation as the loader reads it, None without one."""
    loader: Any = import_module("sglang.srt.model_loader.loader")
    loading: Any = import_module("sglang.srt.configs.load_config")
    return loader._get_quantization_config(config, loading.LoadConfig(load_format="dummy"))


def _window(model: Any, config: Any) -> int | None:
    """How far back the attention of a model's window layers looks."""
    utils = "sglang.srt.model_executor.model_runner_components"
    if util.find_spec(utils) is not None:
        found: int | None = import_module(f"{utils}.load_model_utils").resolve_sliding_window_size(model, config)
        return found
    if hasattr(model, "get_attention_sliding_window_size"):
        return int(model.get_attention_sliding_window_size())
    stated: int | None = config.sliding_window_size if config.is_hybrid_swa else config.attention_chunk_size
    return stated


def _text_model(model: Any, config: Any) -> Any:
    """The model of text that one of pictures and text would hold: the class with a window beside its own, if any."""
    beside = vars(sys.modules[type(model).__mro__[1].__module__])
    for kind in beside.values():
        if (
            isinstance(kind, type)
            and hasattr(kind, "get_attention_sliding_window_size")
            and kind not in type(model).__mro__
        ):
            return _unbuilt(kind, config.hf_text_config, {})
    return None


def _set_layers(runner: Any) -> None:
    """Which layers the runner's stage has; until 0.5.10 the runner's own fields say so."""
    parts = "sglang.srt.model_executor.model_runner_components"
    config = runner.model_config
    if util.find_spec(parts) is None:
        runner.start_layer = getattr(runner.model, "start_layer", 0)
        layers = max(config.num_hidden_layers, config.num_attention_layers)
        runner.end_layer = getattr(runner.model, "end_layer", layers)
        runner.num_effective_layers = runner.end_layer - runner.start_layer
        own = range(runner.start_layer, runner.end_layer + 1)
        for name in ("full_attention_layer_ids", "swa_attention_layer_ids"):
            setattr(config, name, [layer for layer in own if layer in (getattr(config, name, None) or ())])
        return
    setup: Any = import_module(f"{parts}.layer_setup")
    given = {
        "model": runner.model,
        "model_config": config,
        "is_draft_worker": False,
        "spec_algorithm": runner.spec_algorithm,
    }
    asked = signature(setup.resolve_layer_indices).parameters
    runner.layer_info = setup.resolve_layer_indices(**{name: given[name] for name in given if name in asked})
    if hasattr(setup, "adjust_hybrid_swa_layer_ids"):
        setup.adjust_hybrid_swa_layer_ids(
            model_config=config,
            start_layer=runner.layer_info.start_layer,
            end_layer=runner.layer_info.end_layer,
            is_hybrid_swa=runner.is_hybrid_swa,
        )
