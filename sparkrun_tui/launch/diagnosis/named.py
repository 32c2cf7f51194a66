"""The settings that the words of a refusal name, and what these words want of them: to be set, or to be left out.

Settings are named by flags, keys, variables and values, or by what a feature is called. Only names are taken from a
line: a repair never repeats its sentences or its commands. A value is offered only where the engine's own parser lists
it.
"""

from __future__ import annotations

from enum import Enum

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.engines.dumps import EngineFlag, load_flags
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.logs.causes import Context, Repair, by_hand, flag_in, set_env, set_value
from sparkrun_tui.engines.registry import FAMILIES, family_of

_MOST_NAMED = 3
"""Most settings that repairs name: a message that names more lists them all."""


class Wish(Enum):
    """What the words around the name of a setting want of it."""

    SET = "it is asked for"
    LEAVE = "it is refused"
    RAISE = "it is too low"
    LOWER = "it is too high"
    UNCLEAR = "the words do not say"


@dataclass(frozen=True, slots=True)
class Feature:
    """What engines call a feature, and the settings that switch it; a family has some of them."""

    words: str
    """In lower case."""
    keys: tuple[str, ...]
    is_off: bool = False
    """Whether the keys switch it off."""


_FEATURES = (
    Feature("prefix cach", ("enable_prefix_caching",)),
    Feature("prefix cach", ("disable_radix_cache",), is_off=True),
    Feature("radix cache", ("disable_radix_cache",), is_off=True),
    Feature("chunked prefill", ("enable_chunked_prefill",)),
    Feature("chunked prefill", ("chunked_prefill_size",)),
    Feature("speculative decoding", ("speculative_config", "speculative_algorithm")),
    Feature("speculative method", ("speculative_config", "speculative_algorithm")),
    Feature("drafting", ("speculative_config", "speculative_algorithm")),
    Feature("pipeline parallel", ("pipeline_parallel",)),
    Feature("expert parallel", ("enable_expert_parallel", "ep_size")),
    Feature("context parallel", ("decode_context_parallel_size",)),
    Feature("data parallel attention", ("enable_dp_attention",)),
    Feature("dp attention", ("enable_dp_attention",)),
    Feature("data parallel", ("data_parallel",)),
    Feature("lora", ("enable_lora",)),
    Feature("sleep mode", ("enable_sleep_mode",)),
    Feature("async scheduling", ("async_scheduling",)),
    Feature("overlap schedul", ("disable_overlap_schedule",), is_off=True),
    Feature("hierarchical cache", ("enable_hierarchical_cache",)),
    Feature("cpu offload", ("cpu_offload_gb",)),
    Feature("fp8 kv cache", ("kv_cache_dtype",)),
    Feature("kv cache dtype", ("kv_cache_dtype",)),
    Feature("cuda graph", ("enforce_eager",), is_off=True),
    Feature("trust_remote_code", ("trust_remote_code",)),
)
_RUNNER = "model runner v2"
_OLD_RUNNER = set_env("VLLM_USE_V2_MODEL_RUNNER", "0", "the older runner")
_FLAG = late_regex(r"(?<![\w-])--[a-z][a-z0-9_-]{2,60}")
_KEY = late_regex(r"(?<![\w.-])[a-z][a-z0-9]{1,30}(?:_[a-z0-9]{1,30}){1,6}(?![\w(])(?!\.\w)")
_VARIABLE = late_regex(
    r"\b(?:VLLM|SGLANG|SGL|FLASHINFER|TORCHINDUCTOR|TRITON|NCCL|GLOO|RAY|HF|LMCACHE|LLAMA)_[A-Z0-9_]{2,60}\b"
)
_VALUES = late_regex(r"(?<![\w.-])[A-Za-z][A-Za-z0-9]{1,30}(?:_[A-Za-z0-9]{1,30}){1,6}(?![\w(])(?!\.\w)")
"""Words that may be the value of a setting: those with an underscore, which sentences have none of."""
_MOST_HOLDERS = 2
"""Most flags that may have a value among their choices for the value to name one of them."""
_SWITCHED = frozenset(
    (
        "enforce_eager",
        "enable_prefix_caching",
        "enable_expert_parallel",
        "attention_backend",
        "moe_backend",
        "kv_cache_dtype",
        "dtype",
        "quantization",
        "load_format",
        "distributed_executor_backend",
    )
)
"""Settings that may be offered as an override because a line asks for them: none lets anybody in or runs code."""

_BEFORE, _BEHIND = 70, 60
"""Letters before and behind a name in which the words tell what is wanted of it."""
_CLAUSE = late_regex(r"(?:[.;:!] |, (?:or|and|but) )")
_LAST_WORDS = (
    r"(?:\W{1,4}(?:the|your|a|an|to|using|setting|of|with|option|flag|argument|by|both|either)\b){0,4}\W{0,4}$"
)
_LEFT_OUT = late_regex(
    rf"\b(?:remov\w{{1,3}}|drop|disabl\w{{1,3}}|unset|leav\w{{1,3}} out|without|omit|avoid|turn(?:ing)? off|"
    rf"switch(?:ing)? off|delete|stop using|(?:not|n't) (?:set|use|pass|specify|enable)){_LAST_WORDS}"
)
_REFUSED = late_regex(
    r"\b(?:not|n't|cannot|incompatible|unsupported|conflicts?|exclusive|disallowed|forbidden|neither)\b"
)
_ASKED = late_regex(
    rf"\b(?:us(?:e|ing)|set|setting|specify\w{{0,3}}|pass\w{{0,3}}|add\w{{0,3}}|enabl\w{{1,3}}|provid\w{{1,3}}|try|via|"
    rf"switch(?:ing)? to|requir\w{{1,3}}|needs?|export|select|choose|with|when|if|only|through|consider){_LAST_WORDS}"
)
_MORE = late_regex(rf"\b(?:increas\w{{1,3}}|rais\w{{1,3}}|larger|higher|bigger|more){_LAST_WORDS}")
_LESS = late_regex(rf"\b(?:decreas\w{{1,3}}|reduc\w{{1,3}}|lower\w{{0,3}}|smaller|fewer|shrink){_LAST_WORDS}")
_THEN_REFUSED = late_regex(
    r"^[^.;,()]{0,40}?(?:\b(?:is|are|does|do|was) ?(?:not|n't)\b(?! set| given| specified| provided)|\bcannot\b|"
    r"\bmust not\b|\bunsupported\b|\bincompatible\b|\bto be disabled\b|\bdisabled\b|\bis deprecated\b|\bis ignored\b)"
)
_THEN_ASKED = late_regex(
    r"^[^.;,()]{0,40}?\b(?:is required|are required|(?:must|should|needs? to|has to|have to) be (?:set|given|specified|"
    r"provided|enabled|true|passed)|(?:is|was) not (?:set|given|specified|provided)|is (?:missing|unset|none))\b"
)
_CLEARER = {Wish.UNCLEAR: 0, Wish.LEAVE: 1, Wish.LOWER: 2, Wish.RAISE: 2, Wish.SET: 3}
"""How much words say of a setting: a message may name it twice, as what is refused and as what helps."""
_VALUE = late_regex(r"^[ =:]{1,3}(?:to )?[`'\"]?([A-Za-z0-9_.-]{1,40})")


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
    named = _named(words, family)
    if named:
        return tuple(named.values())[:_MOST_NAMED]
    if not with_features:
        return ()
    text = words.lower()
    repairs = list(_switches(text, family).values())[:_MOST_NAMED]
    repairs += list(_valued(words, family, context).values())[:_MOST_NAMED]
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


def _named(words: str, family: Family) -> dict[str, Repair]:
    """The repair for each flag, key and variable that words name, in their order: those that are asked for first."""
    found: dict[str, tuple[Wish, Repair]] = {}
    for match in _FLAG.finditer(words):
        word = match[0].replace("_", "-")
        name = family.flags.key_for(word) or flag_in(word)
        if name:
            wish = wish_of(words, match.start(), match.end())
            value = _value_behind(words[match.end() :], load_flags(family).by_spelling.get(word))
            _keep(found, name, wish, _repair(name, wish, value))
    for match in _KEY.finditer(words):
        name = _of_key(match[0], family)
        if name:
            wish = wish_of(words, match.start(), match.end())
            flag = load_flags(family).by_spelling.get(f"--{match[0].replace('_', '-')}")
            _keep(found, name, wish, _repair(name, wish, _value_behind(words[match.end() :], flag)))
    for match in _VARIABLE.finditer(words):
        wish = wish_of(words, match.start(), match.end())
        _keep(found, match[0], wish, _repair_of_variable(match[0], wish, _switch_behind(words[match.end() :])))
    asked = {name: repair for name, (wish, repair) in found.items() if wish is not Wish.UNCLEAR}
    return asked | {name: repair for name, (_, repair) in found.items()}


def _keep(found: dict[str, tuple[Wish, Repair]], name: str, wish: Wish, repair: Repair) -> None:
    """Keep what words say of a setting: the first that is clear, and what is asked for before what is refused."""
    if name not in found or _CLEARER[wish] > _CLEARER[found[name][0]]:
        found[name] = wish, repair


def wish_of(words: str, start: int, end: int) -> Wish:
    """What words want of the setting that they name between `start` and `end`."""
    before = _CLAUSE.split(words[max(0, start - _BEFORE) : start].lower())[-1]
    behind = words[end : end + _BEHIND].lower()
    for pattern, wish in ((_LEFT_OUT, Wish.LEAVE), (_MORE, Wish.RAISE), (_LESS, Wish.LOWER)):
        if pattern.search(before) is not None:
            return wish
    if _THEN_ASKED.search(behind) is not None:
        return Wish.SET
    if _THEN_REFUSED.search(behind) is not None:
        return Wish.LEAVE
    if _REFUSED.search(before) is not None:
        return Wish.LEAVE
    if _ASKED.search(before) is not None:
        return Wish.SET
    return Wish.UNCLEAR


def _repair(name: str, wish: Wish, value: str) -> Repair:
    """What to do with a setting: `value` is one of those that its flag takes, or empty."""
    if wish is Wish.SET and value and name in _SWITCHED:
        return set_value(name, value, Context({}), "the engine asks for it")
    if wish is Wish.SET and value and value != "true":
        return by_hand(f"set {name} to {value}", "the engine asks for it")
    if wish is Wish.SET:
        return by_hand(f"set {name}", "the engine asks for it, as its message says")
    if wish is Wish.LEAVE:
        return by_hand(f"leave out {name}, or change it", "the engine refuses it")
    if wish is Wish.RAISE:
        return by_hand(f"a higher {name}", "the engine asks for it")
    if wish is Wish.LOWER:
        return by_hand(f"a lower {name}", "the engine asks for it")
    return by_hand(f"change or leave out {name}", "the engine names it")


def _repair_of_variable(name: str, wish: Wish, value: str) -> Repair:
    """What to do with a variable of the containers: `value` is 0 or 1, or empty."""
    if wish is Wish.SET:
        to = f" to {value}" if value else ""
        return by_hand(f"set {name}{to} in env", "the engine asks for it, as its message says")
    if wish is Wish.LEAVE:
        return by_hand(f"remove {name} from env, or change it", "the engine refuses it")
    return by_hand(f"change or leave out {name} in env", "the engine names it")


def _value_behind(words: str, flag: EngineFlag | None) -> str:
    """The value that stands behind the name of a flag; empty where its parser does not list it."""
    if flag is None:
        return ""
    if flag.kind in ("flag", "bool"):
        return "true"
    match = _VALUE.match(words)
    if match is None:
        return ""
    if flag.type == "int":
        return _switch_behind(words)
    by_name = {choice.lower(): choice for choice in flag.choices}
    return by_name.get(match[1].lower().rstrip("."), "")


def _switch_behind(words: str) -> str:
    """0 or 1 where it stands behind a name; empty otherwise."""
    match = _VALUE.match(words)
    value = match[1].rstrip(".") if match is not None else ""
    return value if value in ("0", "1") else ""


def _switches(text: str, family: Family) -> dict[str, Repair]:
    """The repairs for the features that words in lower case speak of, by the setting that switches each."""
    found: dict[str, tuple[Wish, Repair]] = {}
    for feature in _FEATURES:
        start = text.find(feature.words)
        if start < 0:
            continue
        wish = wish_of(text, start, start + len(feature.words))
        for key in feature.keys:
            name = _of_key(key, family)
            if name:
                _keep(found, name, wish, _switch(name, wish, is_off=feature.is_off))
    return {name: repair for name, (_, repair) in found.items()}


def _switch(name: str, wish: Wish, *, is_off: bool) -> Repair:
    """What switches a feature as words want it: `is_off` says that the setting takes the feature away."""
    if wish not in (Wish.SET, Wish.LEAVE):
        return by_hand(f"change {name}", "the engine names what it switches")
    is_set = (wish is Wish.LEAVE) is is_off
    why = "the engine refuses what it switches" if wish is Wish.LEAVE else "the engine asks for what it switches"
    if name in ("enforce_eager", "enable_prefix_caching"):
        return set_value(name, str(is_set).lower(), Context({}), why)
    if is_set:
        return by_hand(f"set {name}", why)
    return by_hand(f"leave out {name}, or change it", why)


def _valued(words: str, family: Family, context: Context) -> dict[str, Repair]:
    """The repairs for the settings whose values words name: those whose value is asked for before the others."""
    found: dict[str, tuple[Wish, Repair]] = {}
    for match in _VALUES.finditer(words):
        wish = wish_of(words, match.start(), match.end())
        for name, value in _holders_of(match[0], family, context):
            if wish is Wish.SET and value:
                _keep(found, name, wish, _repair(name, wish, value))
            else:
                _keep(found, name, Wish.UNCLEAR, by_hand(f"change {name}", "the engine names its value"))
    return {name: repair for name, (_, repair) in found.items()}


def _holders_of(word: str, family: Family, context: Context) -> list[tuple[str, str]]:
    """The settings that a value belongs to, each with the value as its parser lists it.

    They are those that the recipe gives it, else the few flags that may have it.
    """
    given = [(key, "") for key, text in context.values.items() if text == word]
    if given:
        return given
    holders = {
        flag.name: choice
        for flag in load_flags(family).by_spelling.values()
        for choice in flag.choices
        if choice.lower() == word.lower()
    }
    if len(holders) > _MOST_HOLDERS:
        return []
    return [(family.flags.key_for(flag) or flag_in(flag), holders[flag]) for flag in sorted(holders)]


def _of_key(key: str, family: Family) -> str:
    """A setting as recipes write it: a key, else a flag; empty where the family has neither."""
    if key in family.flags.by_key:
        return key
    flag = f"--{key.replace('_', '-')}"
    if flag in load_flags(family).by_spelling:
        return family.flags.key_for(flag) or flag_in(flag)
    return ""
