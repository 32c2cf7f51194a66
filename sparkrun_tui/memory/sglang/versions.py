"""Which rules an SGLang version follows where they changed between versions."""

from __future__ import annotations

import re

from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.records import dataclass

OLDEST, NEWEST = (0, 5, 17), (0, 5, 23)
"""The versions whose rules are known; those of the newest are assumed when the image does not state one."""


@dataclass(frozen=True, slots=True)
class SglangRules:
    """The rules of one version that differ from others.

    `own_modules_budgeted`: the checkpoint's own drafting modules are counted whatever the architecture.
    `latent_graphs`: prefill runs in CUDA graphs also with plain latent attention and in Nemotron H.
    `index_owners`: layers that read another's index keys keep none.
    `image_reserve`: servers that take images hold memory back beside the fraction.
    `requests_cap_graphs`: a limit of running requests lowers the largest batch that graphs are captured for.
    `pooled_index`: index keys that several tokens share are counted once, and a page holds so many times more tokens.
    `padded_pages`: DeepSeek V4's rows are counted with the padding of their pages.
    """

    version: tuple[int, int, int]
    own_modules_budgeted: bool
    latent_graphs: bool
    index_owners: bool
    image_reserve: bool
    requests_cap_graphs: bool
    pooled_index: bool
    padded_pages: bool


def parse_version(text: str) -> tuple[int, int, int] | None:
    """Read a version such as `v0.5.20.post1` out of free text; None when there is none."""
    found = re.search(r"(?<![\d.])v?([0-9])\.([0-9]{1,2})\.([0-9]{1,3})(?![0-9])", text)
    if found is None:
        return None
    major, minor, patch = (whole(part) or 0 for part in found.groups())
    return major, minor, patch


def spelled(version: tuple[int, int, int]) -> str:
    """A version as it is written."""
    return ".".join(str(part) for part in version)


def rules_note(version: str) -> str:
    """What is to be said of the rules that an image's version is sized by, empty when they are its own."""
    number = parse_version(version)
    if number is None:
        return f"the image does not state its version; SGLang {spelled(NEWEST)} is assumed"
    if number < OLDEST:
        return f"SGLang {version} is sized by the rules of {spelled(OLDEST)}"
    if number > NEWEST:
        return f"SGLang {version} is sized by the rules of {spelled(NEWEST)}"
    return ""


def rules_for(version: str) -> SglangRules:
    """The rules of a version as an image or a log states it, of the newest when it states none.

    Sources: sglang/srt/mem_cache/kv_cache_configurator.py (mm_runtime_reservation_gb, since 0.5.18),
    sglang/srt/model_executor/model_runner_components/spec_aux_hidden_state.py (own modules, since 0.5.20),
    sglang/srt/server_args.py (_disable_breakable_cudagraph_if_incompatible, until 0.5.17),
    sglang/srt/model_executor/pool_configurator.py (_compute_dsa_indexer_cell_size, since 0.5.18),
    sglang/srt/arg_groups/memory_hook.py (batches of graphs, since 0.5.22),
    sglang/srt/model_executor/pool_configurator.py (index keys, since 0.5.22; DeepSeek V4, since 0.5.21),
    sglang/srt/arg_groups/model_overrides/deepseek_v2.py (pages).
    """
    number = parse_version(version) or NEWEST
    return SglangRules(
        version=number,
        own_modules_budgeted=number >= (0, 5, 20),
        latent_graphs=number >= (0, 5, 18),
        index_owners=number >= (0, 5, 18),
        image_reserve=number >= (0, 5, 18),
        requests_cap_graphs=number >= (0, 5, 22),
        pooled_index=number >= (0, 5, 22),
        padded_pages=number >= (0, 5, 21),
    )
