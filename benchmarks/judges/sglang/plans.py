"""What SGLang's own code makes of a row: the budget, tokens of each pool, recurrent slots, requests, bytes."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.judges.each_row import answered, in_child
from benchmarks.judges.meta import on_meta
from benchmarks.judges.sglang import machine, ranks, runner, settings

GIB = 1 << 30

TOO_LITTLE = ("memory", "SWA pool", "too small to serve")
"""Words of the errors by which SGLang says that a model does not fit."""


class Unplanned(Exception):
    """SGLang refused the arguments or does not know the model; the text is its own."""


def plan(job: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a row; ``inputs`` state what is available before and after the weights were loaded.

    Raises what SGLang raises when it refuses to start, but for too little memory: that is a figure here.
    """
    stages = int(row["inputs"].get("pipeline_parallel") or 1)
    if stages == 1:
        found = [stage_of(job, row, 0, ())]
    else:
        found = _stages(job, row, stages)
    whole = next((each for each in found if not each["fits"]), found[0])
    if whole["fits"] and stages > 1:
        whole["kv_bytes_per_stage"] = [each["kv_bytes"] for each in found]
    return {name: value for name, value in whole.items() if name != "given"}


def _stages(job: Mapping[str, Any], row: Mapping[str, Any], stages: int) -> list[dict[str, Any]]:
    """The figures of all stages: those of a second pass in which each knows the smallest of what all gave."""
    first = [_apart(job, row, stage, ()) for stage in range(stages)]
    if not all(each["fits"] for each in first):
        return first
    smallest = [min(values) for values in zip(*(each["given"] for each in first), strict=True)]
    return [_apart(job, row, stage, smallest) for stage in range(stages)]


def _apart(job: Mapping[str, Any], row: Mapping[str, Any], stage: int, smallest: Sequence[float]) -> dict[str, Any]:
    """The figures of one stage, made in a process of its own."""
    found = in_child(lambda: answered(lambda: stage_of(job, row, stage, smallest)))
    if "observed" not in found:
        raise Unplanned(found["refused"].removeprefix("Unplanned: "))
    return dict(found["observed"])


def stage_of(job: Mapping[str, Any], row: Mapping[str, Any], stage: int, smallest: Sequence[float]) -> dict[str, Any]:
    """The figures of one pipeline stage, where the smallest of what all stages give is known or not."""
    inputs = row["inputs"]
    before, after = (int(inputs[f"free_{when}_load_gib"] * GIB) for when in ("before", "after"))
    machine.set_available(before)
    with tempfile.TemporaryDirectory() as folder:
        try:
            server_args = _arguments(settings.command(inputs, job["configs"], Path(folder)))
        except AssertionError as error:
            return {
                "fits": False,
                "refused_at": "argument resolution",
                "error": f"AssertionError: {error}",
                "given": (),
            }
        ranks.install(smallest)
        made = runner.model_runner(server_args, stage, before, after)
        found = _before_pools(server_args, made)
        try:
            with on_meta():
                _make_pools(made, found)
        except (RuntimeError, ValueError) as error:
            if not any(words in str(error) for words in TOO_LITTLE):
                raise
            return found | {"fits": False, "error": f"{type(error).__name__}: {error}", "given": ranks.GIVEN}
        return found | {"fits": True} | _pools(made) | {"given": ranks.GIVEN}


def _arguments(command: list[str]) -> Any:
    """SGLang's arguments. A flag that the release does not know is an error with its own words."""

    def refuse(self: argparse.ArgumentParser, message: str) -> None:
        raise Unplanned(message)

    argparse.ArgumentParser.error = refuse  # type: ignore[method-assign,assignment]
    made = import_module("sglang.srt.server_args").prepare_server_args(command)
    if hasattr(made, "resolve_once"):
        made.resolve_once()
    return made


def _before_pools(server_args: Any, made: Any) -> dict[str, Any]:
    """What is resolved before pools are sized."""
    names = ("mem_fraction_static", "page_size", "attention_backend", "chunked_prefill_size")
    found = {name: runner.setting(server_args, name) for name in names}
    found["resolved_kv_dtype"] = str(made.kv_cache_dtype).removeprefix("torch.")
    found["context_len"] = made.model_config.context_len
    return found


def _make_pools(made: Any, found: dict[str, Any]) -> None:
    """Size the pools and make them, and note the bytes that they were given."""
    if not hasattr(made, "init_kv_cache_configurator"):
        made.init_memory_pool(made.pre_model_load_memory)
        return
    made.init_kv_cache_configurator()
    configurator = made.kv_cache_configurator
    kind = type(configurator)
    profile = kind._profile_available_bytes

    def noted(self: Any, *given: Any) -> Any:
        found["available_bytes"] = profile(self, *given)
        return found["available_bytes"]

    kind._profile_available_bytes = noted
    result = configurator.configure(pre_model_load_memory=made.pre_model_load_memory)
    for name in (
        "max_total_num_tokens",
        "max_running_requests",
        "full_max_total_num_tokens",
        "swa_max_total_num_tokens",
        "req_to_token_pool",
        "token_to_kv_pool",
    ):
        setattr(made, name, getattr(result, name))


def _pools(made: Any) -> dict[str, Any]:
    """The figures of the pools that were made."""
    found: dict[str, Any] = {
        "kv_tokens": made.max_total_num_tokens,
        "max_running_requests": made.max_running_requests,
    }
    if made.is_hybrid_swa:
        found["full_tokens"] = made.full_max_total_num_tokens
        found["swa_tokens"] = made.swa_max_total_num_tokens
    pool = made.token_to_kv_pool
    if hasattr(pool, "get_kv_size_bytes"):
        size = pool.get_kv_size_bytes()
        if isinstance(size, tuple):
            found["k_gib"], found["v_gib"] = (float(part) / GIB for part in size)
            found["kv_bytes"] = int(sum(size))
        else:
            found["kv_gib"] = float(size) / GIB
            found["kv_bytes"] = int(size)
    table = made.req_to_token_pool
    found["req_to_token_bytes"] = table.req_to_token.numel() * table.req_to_token.element_size()
    if hasattr(table, "mamba_pool"):
        found["mamba_slots"] = int(table.mamba_pool.size)
    return found
