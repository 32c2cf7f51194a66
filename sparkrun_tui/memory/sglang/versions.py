"""Which rules an SGLang version follows where they changed between versions."""

from __future__ import annotations

import re

from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.records import dataclass

OLDEST, EXACT, NEWEST = (0, 5, 10), (0, 5, 17), (0, 5, 23)
"""The versions whose rules are known, from `EXACT` on all of them; the newest is assumed where none is stated."""

_MARGIN = 0.05
"""By how much the pools of releases before `EXACT` may be smaller: 0.5.10 and 0.5.14 are 3.5 % off at most."""


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
    `drafters_budgeted`: a drafter's cache comes out of the budget; before, only a block drafter's.
    `buffered_states`: a request holds buffers for its states where nothing else is asked for.
    `draft_states_shared`: states of drafted tokens come out of the states' share, before they came off first.
    `padding_slot`: the slot that pads the pool of states is counted.
    `margin`: the share by which pools may be smaller than is counted.
    `draft_reserve`: MiB that the default fraction leaves for a drafter and its graphs.
    """

    version: tuple[int, int, int]
    own_modules_budgeted: bool
    latent_graphs: bool
    index_owners: bool
    image_reserve: bool
    requests_cap_graphs: bool
    pooled_index: bool
    padded_pages: bool
    drafters_budgeted: bool
    buffered_states: bool
    draft_states_shared: bool
    padding_slot: bool
    draft_reserve: int
    margin: float


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
        return f"the rules of SGLang {version} are not known, those of {spelled(OLDEST)} are counted"
    if number < EXACT:
        return f"some rules of SGLang {version} are not known: its pools may be {_MARGIN:.0%} smaller"
    if number > NEWEST:
        return f"SGLang {version} is sized by the rules of {spelled(NEWEST)}"
    return ""


def is_too_old(version: str) -> bool:
    """Whether a version is older than any whose rules are known: what it allocates may be far from our figures."""
    number = parse_version(version)
    return number is not None and number < OLDEST


def rules_for(version: str) -> SglangRules:
    """The rules of a version as an image or a log states it, of the newest when it states none.

    Sources: sglang/srt/mem_cache/kv_cache_configurator.py (mm_runtime_reservation_gb, since 0.5.18),
    sglang/srt/model_executor/model_runner_components/spec_aux_hidden_state.py (own modules, since 0.5.20),
    sglang/srt/server_args.py (_disable_breakable_cudagraph_if_incompatible, until 0.5.17),
    sglang/srt/model_executor/pool_configurator.py (_compute_dsa_indexer_cell_size, since 0.5.18),
    sglang/srt/arg_groups/memory_hook.py (batches of graphs, since 0.5.22),
    sglang/srt/model_executor/pool_configurator.py (index keys, since 0.5.22; DeepSeek V4, since 0.5.21),
    sglang/srt/arg_groups/model_overrides/deepseek_v2.py (pages),
    sglang/srt/model_executor/pool_configurator.py (DefaultPoolConfigurator, drafters since 0.5.14),
    sglang/srt/model_executor/model_runner_kv_cache_mixin.py (handle_max_mamba_cache, since 0.5.14),
    sglang/srt/mem_cache/kv_cache_configurator.py (_handle_max_mamba_cache, padding since 0.5.17),
    sglang/srt/server_args.py (_handle_gpu_memory_settings, a drafter's reserve until 0.5.13; the strategy of states).
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
        drafters_budgeted=number >= (0, 5, 14),
        buffered_states=number >= (0, 5, 14),
        draft_states_shared=number >= (0, 5, 14),
        padding_slot=number >= (0, 5, 17),
        draft_reserve=0 if number >= (0, 5, 14) else 4096,
        margin=0.0 if number >= EXACT else _MARGIN,
    )
