"""The settings that the words of a refusal name: by flags, keys, variables and values, or by what a feature is called.

Only names are taken from a line: a repair never repeats its sentences or its commands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from sparkrun_tui.engines.dumps import load_flags
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.logs.causes import Context, Repair, by_hand, flag_in, set_env
from sparkrun_tui.engines.registry import FAMILIES, family_of

_MOST_NAMED = 3
"""Most settings that repairs name: a message that names more lists them all."""
_FEATURES = (
    ("prefix cach", ("enable_prefix_caching", "disable_radix_cache")),
    ("radix cache", ("disable_radix_cache",)),
    ("chunked prefill", ("enable_chunked_prefill", "chunked_prefill_size")),
    ("speculative decoding", ("speculative_config", "speculative_algorithm")),
    ("speculative method", ("speculative_config", "speculative_algorithm")),
    ("drafting", ("speculative_config", "speculative_algorithm")),
    ("pipeline parallel", ("pipeline_parallel",)),
    ("expert parallel", ("enable_expert_parallel", "ep_size")),
    ("context parallel", ("decode_context_parallel_size",)),
    ("data parallel", ("data_parallel",)),
    ("lora", ("enable_lora",)),
    ("sleep mode", ("enable_sleep_mode",)),
    ("async scheduling", ("async_scheduling",)),
    ("overlap schedul", ("disable_overlap_schedule",)),
    ("hierarchical cache", ("enable_hierarchical_cache",)),
    ("cpu offload", ("cpu_offload_gb",)),
    ("fp8 kv cache", ("kv_cache_dtype",)),
    ("kv cache dtype", ("kv_cache_dtype",)),
    ("cuda graph", ("enforce_eager",)),
)
"""What engines call a feature, and the keys that switch it; a family has some of them."""
_RUNNER = "model runner v2"
_OLD_RUNNER = set_env("VLLM_USE_V2_MODEL_RUNNER", "0", "the older runner")
_FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]{2,60}")
_KEY = re.compile(r"(?<![\w.])[a-z][a-z0-9]{1,30}(?:_[a-z0-9]{1,30}){1,6}(?![\w.(])")
_VARIABLE = re.compile(
    r"\b(?:VLLM|SGLANG|SGL|FLASHINFER|TORCHINDUCTOR|TRITON|NCCL|GLOO|RAY|HF|LMCACHE|LLAMA)_[A-Z0-9_]{2,60}\b"
)
_MOST_HOLDERS = 2
"""Most flags that may have a value among their choices for the value to name one of them."""


def names_a_flag(words: str) -> bool:
    """Whether words hold a flag as it stands on a command line."""
    return _FLAG.search(words) is not None


def named_settings(words: str, context: Context, *, with_features: bool) -> tuple[Repair, ...]:
    """Repairs for the settings that the words of a refusal name; empty where they name none of this engine.

    Flags, keys and variables go first. Only `with_features` a value that few flags have, and what a feature is called,
    name a setting, too: words that do not refuse anything hold these by chance.
    """
    family = family_of(context.engine)
    if family is None:
        return ()
    names = [family.flags.key_for(flag) or flag_in(flag) for flag in _FLAG.findall(words)]
    names += [_of_key(key, family) for key in _KEY.findall(words)]
    variables = [f"{name} in env" for name in _VARIABLE.findall(words)]
    named = _distinct([*names, *variables])
    if named:
        return tuple(by_hand(f"change or leave out {name}", "the engine names it") for name in named)
    if not with_features:
        return ()
    text = words.lower()
    values = [name for word in _KEY.findall(words) for name in _holders_of(word, family, context)]
    switches = [_of_key(key, family) for feature, keys in _FEATURES if feature in text for key in keys]
    repairs = [by_hand(f"change {name}", "the engine names what it switches") for name in _distinct(switches)]
    repairs += [by_hand(f"change {name}", "the engine names its value") for name in _distinct(values)]
    if _RUNNER in text:
        repairs.append(_OLD_RUNNER)
    return tuple(repairs)


def is_of_engine(repair: Repair, context: Context) -> bool:
    """Whether the engine of a log knows what a repair sets; True for what is done by hand, and for other settings."""
    family = family_of(context.engine)
    if not repair.key or family is None or repair.key in context.values:
        return True
    key, _, name = repair.key.partition(".")
    if key == "env":
        others = [module for other in FAMILIES.values() if other is not family for module in other.modules]
        return not any(name.startswith(f"{module.upper()}_") for module in others)
    return key in family.flags.by_key


def _holders_of(value: str, family: Family, context: Context) -> list[str]:
    """The settings that a value belongs to: those that the recipe gives it, else the few flags that may have it."""
    given = [key for key, text in context.values.items() if text == value]
    if given:
        return given
    flags = {flag.name for flag in load_flags(family).by_spelling.values() if value in flag.choices}
    if len(flags) > _MOST_HOLDERS:
        return []
    return [family.flags.key_for(flag) or flag_in(flag) for flag in sorted(flags)]


def _of_key(key: str, family: Family) -> str:
    """A setting as recipes write it: a key, else a flag; empty where the family has neither."""
    if key in family.flags.by_key:
        return key
    flag = f"--{key.replace('_', '-')}"
    if flag in load_flags(family).by_spelling:
        return family.flags.key_for(flag) or flag_in(flag)
    return ""


def _distinct(names: Iterable[str]) -> list[str]:
    """The first names of settings that a message gives, each once."""
    return list(dict.fromkeys(name for name in names if name))[:_MOST_NAMED]
